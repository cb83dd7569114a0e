"""Intents to add (`git add -N`): finding them in an index, and putting them into another one.

git reports an intent as missing from the index, and in some states (its file is gone, a flag hides it) like an entry
that HEAD has as well. What tells it apart: it records the empty blob, and HEAD has nothing at its path.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from chronos.files import SafeRoot, TreePath
from chronos.git.index import HiddenEntry
from chronos.git.objects import EMPTY_BLOBS, EXECUTABLE_MODE, GITLINK_MODE, LINK_MODE, find_tree_entries
from chronos.git.repository import Repository
from chronos.git.status import StagedRow, Status


def settle_intents(repository: Repository, index: Path, status: Status, hidden: Iterable[HiddenEntry]) -> None:
    """Add the intents of the index file `index` to `status.staged`, and correct what status says of their paths."""
    staged = {row.path for row in status.staged}
    deleted = {path for path in status.deleted if status.tracked[path].oid in EMPTY_BLOBS}
    flagged = {entry.path for entry in hidden if entry.oid in EMPTY_BLOBS and not entry.is_gitlink} - staged
    doubtful = sorted(deleted | flagged)
    in_head = find_tree_entries(repository, status.commit, doubtful) if doubtful else {}
    fresh = [path for path in doubtful if path not in in_head]
    for path in fresh:
        status.tracked.pop(path, None)
    status.not_in_head += [path for path in fresh if path not in status.not_in_head]
    if status.intents or fresh:
        status.staged += _intent_rows(repository, index, {*status.intents, *fresh})


def add_intents(repository: Repository, index: Path, rows: Sequence[StagedRow], folder: Path) -> None:
    """Add the intents `rows` to the index file `index`; the empty folder `folder` serves as the working tree."""
    if not rows:
        return
    with SafeRoot(folder) as tree:
        for row in rows:
            tree.make_parents(row.path)
            if row.mode == LINK_MODE:
                tree.write_link(row.path, b"nowhere")
            else:
                tree.write_file(row.path, [], executable=row.mode == EXECUTABLE_MODE)
    command = repository.command.at(folder, git_dir=repository.git_dir, work_tree=folder).with_index(
        index, refresh=True
    )
    kept = command.with_settings(
        [("core.fileMode", "true"), ("core.symlinks", "true"), ("core.sparseCheckout", "false")]
    )
    paths = b"".join(row.path + b"\0" for row in rows)
    kept.output("add", "-N", "-f", "--pathspec-from-file=-", "--pathspec-file-nul", input_bytes=paths)


def _intent_rows(repository: Repository, index: Path, wanted: set[TreePath]) -> Iterator[StagedRow]:
    """Yield the index entries at the `wanted` paths; an embedded repository has none that could be made again.

    The whole index is listed: there can be more paths than fit a command line, and git compares each with each.
    """
    output = repository.command.with_index(index).output("ls-files", "-s", "-z")
    for record in filter(None, output.split(b"\0")):
        head, _, path = record.partition(b"\t")
        if path in wanted:
            mode, oid, _ = head.split(b" ")
            if int(mode, 8) != GITLINK_MODE:
                yield StagedRow(path, int(mode, 8), oid.decode("ascii"), is_intent=True)
