"""Reading `git status --porcelain=v2 -z`: every path that differs from HEAD or the index, in one process."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from chronos.errors import GitFailedError
from chronos.files import TreePath, to_text
from chronos.git.objects import GITLINK_MODE, TreeEntry, find_tree_entries
from chronos.git.repository import Repository
from chronos.process import Completed

_ARGUMENTS = (
    "status",
    "--porcelain=v2",
    "-z",
    "--branch",
    "--no-ahead-behind",
    "--untracked-files=all",
    "--ignored=matching",
    "--no-renames",
    "--ignore-submodules=dirty",
)

# Status says so of a file that shrinks while it is hashed, or gives an error, and reports it as modified (git 2.39).
_LISTED_ALL_THE_SAME = (b"error: short read while indexing ", b"error: read error while indexing ")
# Status says so of a folder that it cannot list, and of a tracked file that it cannot even look at.
_UNLISTED = rb"warning: could not open directory '(.*?)/?': [^':]*|(?!warning: |error: |fatal: )(.*): Permission denied"
_IN_A_LOOP = rb"(?!warning: |error: |fatal: )(.*): Too many levels of symbolic links"


class StagedRow(msgspec.Struct, frozen=True):
    """One index entry that differs from HEAD: stage 0, or 1-3 of a conflict. `mode` 0 means removed from the index.

    An intent to add has the mode and the id (of the empty blob) that the index has.
    """

    path: TreePath
    mode: int
    oid: str
    stage: int = 0
    is_intent: bool = False


class Status(msgspec.Struct):
    """What status said. `branch` is text that `unescape` reads back exactly.

    `tracked` paths differ from HEAD on disk or in the index, each with what HEAD has there; `not_in_head` are those
    that HEAD does not have. `deleted` paths are gone from the disk and as in HEAD otherwise, which git also says of an
    intent to add whose file is gone; `intents` are those that can be nothing else. Of `unmerged` paths nothing more is
    known before `settle_conflicts`; where HEAD has one of `gitlinks`, it has no file.
    """

    commit: str | None = None
    branch: str | None = None
    tracked: dict[TreePath, TreeEntry] = msgspec.field(default_factory=dict)
    not_in_head: list[TreePath] = msgspec.field(default_factory=list)
    untracked: list[TreePath] = msgspec.field(default_factory=list)
    nested: list[TreePath] = msgspec.field(default_factory=list)
    ignored: list[TreePath] = msgspec.field(default_factory=list)
    staged: list[StagedRow] = msgspec.field(default_factory=list)
    deleted: list[TreePath] = msgspec.field(default_factory=list)
    intents: list[TreePath] = msgspec.field(default_factory=list)
    unmerged: list[TreePath] = msgspec.field(default_factory=list)
    gitlinks: list[TreePath] = msgspec.field(default_factory=list)


def begin_status(
    repository: Repository, index: Path
) -> Callable[[], tuple[bytes, list[TreePath], list[TreePath]]]:  # fmt: skip
    """Start a status; the callable that comes back waits for it.

    It returns what status prints, what it cannot look at, and what lies below links that lead to themselves.
    """
    answer = repository.command.with_index(index, refresh=True).begin(*_ARGUMENTS)
    return lambda: _read_answer(repository, index, answer)


def _read_answer(
    repository: Repository, index: Path, answer: Callable[[], Completed]
) -> tuple[bytes, list[TreePath], list[TreePath]]:
    try:
        done = answer()
    except GitFailedError as cause:
        own = str(repository.index)
        hint = f"if {own} is damaged, remove it and run git reset; the files stay as they are" if own else None
        raise GitFailedError(cause.message.replace(str(index), own), hint=hint) from cause
    unlisted, looped = [], []
    for line in done.stderr.splitlines():
        found = re.fullmatch(_UNLISTED, line)
        if found:
            unlisted.append(found[1] or found[2])
        elif found := re.fullmatch(_IN_A_LOOP, line):
            looped.append(found[1])
        elif not line.startswith(_LISTED_ALL_THE_SAME):
            raise GitFailedError(f"git status: {line.decode('utf-8', 'replace')}")
    return done.stdout, unlisted, looped


def parse_status(output: bytes) -> Status:
    """Parse the NUL-terminated records of porcelain version 2 (git-status(1), "Porcelain Format Version 2")."""
    status = Status()
    for record in output.split(b"\0"):
        kind = record[:2]
        if kind == b"1 ":
            _ordinary(status, record)
        elif kind == b"? ":
            path = record[2:]
            (status.nested if path.endswith(b"/") else status.untracked).append(path.rstrip(b"/"))
        elif kind == b"! ":
            status.ignored.append(record[2:])
        elif kind == b"u ":
            _unmerged(status, record)
        elif record.startswith(b"# branch.oid ") and not record.endswith(b"(initial)"):
            status.commit = record.rpartition(b" ")[2].decode("ascii")
        elif record.startswith(b"# branch.head ") and not record.endswith(b"(detached)"):
            status.branch = to_text(record[len(b"# branch.head ") :])
    return status


def settle_conflicts(repository: Repository, status: Status) -> None:
    """Say of unmerged paths what HEAD has there: git names the three sides only, of which none need be HEAD's."""
    in_head = find_tree_entries(repository, status.commit, status.unmerged) if status.unmerged else {}
    for path in status.unmerged:
        entry = in_head.get(path)
        _in_head(status, path, entry.mode if entry else 0, entry.oid if entry else "")


def settle_loops(repository: Repository, status: Status, paths: Sequence[TreePath]) -> None:
    """Note that tracked `paths` below a link that leads to itself are gone: git cannot look at them and lists none."""
    for path, entry in find_tree_entries(repository, status.commit, paths).items():
        if path not in status.tracked:
            _in_head(status, path, entry.mode, entry.oid)
            if path in status.tracked:
                status.deleted.append(path)


def _ordinary(status: Status, record: bytes) -> None:
    _, states, _, head_mode, index_mode, _, head_oid, index_oid, path = record.split(b" ", 8)
    _in_head(status, path, int(head_mode, 8), head_oid.decode("ascii"))
    if states in (b"DA", b"DD"):  # taken out of the index and added again with `git add -N`
        status.staged.append(StagedRow(path, 0, "0" * len(index_oid)))
    elif states[:1] != b".":
        status.staged.append(StagedRow(path, int(index_mode, 8), index_oid.decode("ascii")))
    if states[1:] == b"A" or states == b"DD":
        status.intents.append(path)
    elif states == b".D" and path in status.tracked:
        status.deleted.append(path)


def _unmerged(status: Status, record: bytes) -> None:
    _, _, _, mode1, mode2, mode3, _, oid1, oid2, oid3, path = record.split(b" ", 10)
    status.unmerged.append(path)
    for stage, mode, oid in ((1, mode1, oid1), (2, mode2, oid2), (3, mode3, oid3)):
        if int(mode, 8):
            status.staged.append(StagedRow(path, int(mode, 8), oid.decode("ascii"), stage))


def _in_head(status: Status, path: TreePath, mode: int, oid: str) -> None:
    """Note what HEAD has at a path that differs; in place of a gitlink there may be a file now, which HEAD lacks."""
    if mode and mode != GITLINK_MODE:
        status.tracked[path] = TreeEntry(path, mode, oid)
        return
    status.not_in_head.append(path)
    if mode:
        status.gitlinks.append(path)
