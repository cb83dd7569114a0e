"""A three-way merge of trees that exist in no repository: commits and results are made in a scratch git folder.

A side is a commit of the user's repository and what differs from it, as a checkpoint has it. One `git fast-import`
makes three commits of it, `git merge-tree` (git 2.38) merges them, one `git diff-tree` tells what became of what. The
user's repository is read as an alternate; of its configuration only what steers line endings counts, and its attributes
do: they come from its working tree and `info/attributes`, as for `git merge`.

Bytes on disk are not git's where it converts them, so both forms meet in one merge. What comes out is read as a
checkout would write it, and where a conflict is about such a file, contents are normalised before lines are compared
(merge.renormalize). They are not in other merges, for then git takes a renamed file for unchanged, and lets it go.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from chronos.errors import GitFailedError
from chronos.files import TreePath, translate_os_errors
from chronos.git.command import GitCommand, words_of
from chronos.git.conversion import SETTINGS as CONVERSION_SETTINGS
from chronos.git.objects import BlobReader, TreeEntry, object_format_of
from chronos.git.patch import quote_path
from chronos.git.repository import Repository
from chronos.process import Conversation

_NAMES = (b"base", b"ours", b"theirs")
_SETTINGS = (
    ("merge.conflictStyle", "merge"), ("merge.renormalize", "false"), ("merge.verbosity", "2"),
    ("core.ignoreCase", "false"), ("core.fsync", "none"), ("core.compression", "0"), ("core.looseCompression", "0"),
    ("pack.compression", "0"), ("fastimport.unpackLimit", "0"),
)  # fmt: skip
# git allocates and frees for each object, and glibc's malloc gives memory back to the system each time (mallopt(3)):
# 200 files in 200 folders take fast-import 25 ms of processor time so, and 80 otherwise.
_MALLOC = {
    "MALLOC_TRIM_THRESHOLD_": "268435456", "MALLOC_TOP_PAD_": "16777216", "MALLOC_MMAP_THRESHOLD_": "67108864"
}  # fmt: skip
# Where a folder that one side renamed meets a file of that name, git 2.39 makes an entry without an object, or a file
# in a file, or stops. Without its guesses about folders, and at last without those about files, it does not.
_ATTEMPTS: tuple[tuple[tuple[str, str], ...], ...] = (
    (), (("merge.directoryRenames", "false"),), (("merge.renames", "false"),),
)  # fmt: skip


class _MergeFailedError(GitFailedError):
    """git could not merge, or made what cannot be."""


class TreeFile(msgspec.Struct, frozen=True):
    """What a side has at a path: git's mode and bytes (`pieces` gives all `size` of them), or the id of an object."""

    mode: int
    size: int = 0
    pieces: Callable[[], Iterable[bytes]] | None = None
    oid: str = ""


class TreeSide(msgspec.Struct, frozen=True):
    """One side of a merge: a commit or tree of the user's repository (None: empty) and what differs from it.

    None among the changes is a deletion.
    """

    base: str | None
    changes: Mapping[TreePath, TreeFile | None] = {}


class MergeMessage(msgspec.Struct, frozen=True):
    """What git says of a merge: a kind that is the same in every version, the paths it is about, and its words."""

    kind: str
    paths: tuple[TreePath, ...]
    text: str


Difference = dict[TreePath, TreeEntry | None]


class TreeMerge(msgspec.Struct, frozen=True):
    """What git made of three sides.

    `stages` has the unmerged paths as an index would (1 base, 2 ours, 3 theirs). The differences say by path
    what a tree has that another has not (None: nothing): ours and theirs against the base, the result against ours
    (`changed`), and what ours has at the same paths (`replaced`).
    The trees are ids; `command` is git where all objects can be read, `checkout_command` with the user's
    own filters.
    """

    command: GitCommand
    checkout_command: GitCommand
    base_tree: str
    ours_tree: str
    theirs_tree: str
    stages: dict[TreePath, dict[int, TreeEntry]]
    messages: list[MergeMessage]
    by_ours: Difference
    by_theirs: Difference
    changed: Difference
    replaced: Difference


def merge_in_scratch(
    repository: Repository, others: Sequence[Repository], sides: tuple[TreeSide, TreeSide, TreeSide], scratch: Path
) -> TreeMerge:
    """Merge base, ours and theirs. `others` are more repositories that have objects of them; `scratch` is empty.

    Nothing is written outside of `scratch`. Raises GitFailedError, and StorageError when the disk refuses.
    """
    git_dir = _make_git_folder(repository, sides, scratch)
    known = list(dict.fromkeys(one.common_dir / "objects" for one in (repository, *others)))
    place = repository.root if repository.root.is_dir() else scratch
    conversions = [(os.fsdecode(key), os.fsdecode(repository.setting(key) or b"")) for key in CONVERSION_SETTINGS]
    settings = [*_SETTINGS, *((key, value) for key, value in conversions if value)]
    command, checkout_command = (
        msgspec.structs.replace(one, environment={**one.environment, **_MALLOC})
        .at(place, git_dir=git_dir, work_tree=place)
        .with_objects(git_dir / "objects", known)
        .with_settings(settings)
        for one in (repository.command, repository.checkout_command)
    )
    trees = _import(command, sides)
    merge = _merge(command, checkout_command, trees)
    if merge.stages and _is_about_converted(merge):
        merge = _merge(command.with_settings((("merge.renormalize", "true"),)), checkout_command, trees)
    return merge


def _merge(command: GitCommand, checkout_command: GitCommand, trees: Sequence[str]) -> TreeMerge:
    """Merge the commits, with fewer guesses about renames when git fails because of them."""
    for settings in _ATTEMPTS[:-1]:
        with suppress(_MergeFailedError):
            return _try_merge(command.with_settings(settings), checkout_command, trees)
    return _try_merge(command.with_settings(_ATTEMPTS[-1]), checkout_command, trees)


def _try_merge(command: GitCommand, checkout_command: GitCommand, trees: Sequence[str]) -> TreeMerge:
    base, ours, theirs = trees
    done = command.run("merge-tree", "--write-tree", "-z", "ours", "theirs", ok=range(-64, 256), quiet=False)
    if done.returncode not in (0, 1):
        raise _MergeFailedError(f"git merge-tree: {words_of(done)}")
    tree, stages, messages = _parse_merge(done.stdout)
    messages += [MergeMessage("warning", (), line) for line in done.stderr.decode("utf-8", "replace").splitlines()]
    (_, by_ours), (_, by_theirs), (replaced, changed) = _diff(command, ((base, ours), (base, theirs), (ours, tree)))
    sides = (entry for found in stages.values() for number, entry in found.items() if number > 1)
    _check_possible([*(entry for entry in changed.values() if entry is not None), *sides])
    differences = (by_ours, by_theirs, changed, replaced)
    return TreeMerge(command, checkout_command, base, ours, theirs, stages, messages, *differences)


def find_renames(merge: TreeMerge) -> dict[TreePath, TreePath]:
    """Return what theirs renamed: by the new path the old one."""
    arguments = ("-r", "-z", "-M", "-l0", "--diff-filter=R", "--name-status", merge.base_tree, merge.theirs_tree)
    fields = merge.command.output("diff-tree", *arguments).split(b"\0")[:-1]
    return dict(zip(fields[2::3], fields[1::3], strict=True))


def _check_possible(entries: Sequence[TreeEntry]) -> None:
    """Raise _MergeFailedError when there is an entry without an object, or one that is a file and a folder."""
    paths = {entry.path for entry in entries}
    folders = {path[: found.start()] for path in paths for found in re.finditer(b"/", path)}
    if not all(entry.oid.strip("0") for entry in entries) or paths & folders:
        raise _MergeFailedError("git merge-tree: it made a tree that cannot be")


def _is_about_converted(merge: TreeMerge) -> bool:
    """Tell whether git would write other bytes than it keeps for anything that is not merged. Filters do not count."""
    entries = [entry for found in merge.stages.values() for entry in found.values() if stat.S_ISREG(entry.mode)]
    with BlobReader(merge.command) as raw, BlobReader(merge.command, filters=True) as converted:
        return any(raw.read(entry.oid) != converted.read(entry.oid, entry.path) for entry in entries)


def _make_git_folder(repository: Repository, sides: Iterable[TreeSide], scratch: Path) -> Path:
    git_dir = scratch / "git"
    known = [side.base for side in sides if side.base]
    lines = "[core]\n\trepositoryFormatVersion = 1\n\tbare = false\n[extensions]\n\tobjectFormat = "
    attributes = repository.common_dir / "info/attributes"
    with translate_os_errors(f"cannot write in {scratch}"):
        for folder in ("objects", "refs", "info"):
            (git_dir / folder).mkdir(mode=0o700, parents=True)
        (git_dir / "HEAD").write_bytes(b"ref: refs/heads/base\n")
        (git_dir / "config").write_text(lines + (object_format_of(known[0]) if known else "sha1") + "\n", "ascii")
        with suppress(FileNotFoundError):
            (git_dir / "info/attributes").write_bytes(attributes.read_bytes())
    return git_dir


def _import(command: GitCommand, sides: Sequence[TreeSide]) -> list[str]:
    """Make a commit of each side, base first and then its children; return their trees."""
    talk = command.converse("fast-import", "--quiet", "--done", "--depth=0", "--date-format=raw", keep_errors=True)
    try:
        known = {side.base: b"" for side in sides if side.base}
        for tree in known:
            known[tree] = _ask_tree(talk, tree.encode("ascii"))
        for number, (name, side) in enumerate(zip(_NAMES, sides, strict=True), start=1):
            _send_commit(talk, number, name, side, known)
        trees = [_ask_tree(talk, b":%d" % number) for number in range(1, len(sides) + 1)]
        talk.input.write(b"done\n")
        if talk.finish() != 0:
            raise GitFailedError(f"git fast-import: {talk.words()[0]}")
    except BrokenPipeError as cause:
        raise GitFailedError(f"git fast-import: {talk.words()[0]}") from cause
    finally:
        talk.close()
    return [tree.decode("ascii") for tree in trees]


def _ask_tree(talk: Conversation, commit: bytes) -> bytes:
    talk.input.write(b'ls %s ""\n' % commit)
    talk.input.flush()
    fields = talk.output.readline().split()
    if len(fields) != 3 or fields[1] != b"tree":
        raise GitFailedError(f"git fast-import: {talk.words()[0]}")
    return fields[2]


def _send_commit(talk: Conversation, number: int, name: bytes, side: TreeSide, trees: dict[str, bytes]) -> None:
    send = talk.input.write
    send(b"commit refs/heads/%s\nmark :%d\ncommitter chronos <chronos> 0 +0000\ndata 0\n" % (name, number))
    if number > 1:
        send(b"from :1\n")
    send(b'M 040000 %s ""\n' % trees[side.base] if side.base else b"deleteall\n")
    for path in (path for path, file in side.changes.items() if file is None):
        send(b"D %s\n" % quote_path(path))
    for path, file in side.changes.items():
        if file is not None and file.pieces is None:
            send(b"M %o %s %s\n" % (file.mode, file.oid.encode("ascii"), quote_path(path)))
        elif file is not None and file.pieces is not None:
            send(b"M %o inline %s\ndata %d\n" % (file.mode, quote_path(path), file.size))
            sent = 0
            for piece in file.pieces():
                send(piece)
                sent += len(piece)
            if sent != file.size:
                raise GitFailedError(f"{path!r} has {sent} bytes and not {file.size}")
            send(b"\n")
    send(b"\n")  # or the next question would be one inside this commit


def _parse_merge(output: bytes) -> tuple[str, dict[TreePath, dict[int, TreeEntry]], list[MergeMessage]]:
    """Read what `git merge-tree --write-tree -z` prints (git-merge-tree(1), OUTPUT)."""
    tree, *fields = output.split(b"\0")[:-1]
    stages: dict[TreePath, dict[int, TreeEntry]] = {}
    rest = iter(fields)
    for row in rest:
        if not row:
            break
        head, _, path = row.partition(b"\t")
        mode, oid, stage = head.split(b" ")
        stages.setdefault(path, {})[int(stage)] = TreeEntry(path, int(mode, 8), oid.decode("ascii"))
    messages = []
    for count in rest:
        paths = tuple(next(rest) for _ in range(int(count)))
        kind, text = next(rest).decode("utf-8", "replace"), next(rest).decode("utf-8", "replace")
        messages.append(MergeMessage(kind, paths, text.strip()))
    return tree.decode("ascii"), stages, messages


def _diff(command: GitCommand, pairs: Sequence[tuple[str, str]]) -> list[tuple[Difference, Difference]]:
    """Return for each pair of trees what the first has at the paths where they differ, and what the second has."""
    question = "".join(f"{old} {new}\n" for old, new in pairs).encode("ascii")
    arguments = ("--stdin", "-r", "-z", "--raw", "--full-index", "--no-renames", "--no-ext-diff")
    output = command.output("diff-tree", *arguments, input_bytes=question)
    found: list[tuple[Difference, Difference]] = []
    position = 0
    while position < len(output):
        if output[position : position + 1] != b":":  # the two ids of the next pair
            position = output.index(b"\n", position) + 1
            found.append(({}, {}))
            continue
        end = output.index(b"\0", position)
        until = output.index(b"\0", end + 1)
        modes_and_oids = output[position + 1 : end].split(b" ")
        path = output[end + 1 : until]
        for side, mode, oid in zip(found[-1], modes_and_oids[:2], modes_and_oids[2:4], strict=True):
            side[path] = TreeEntry(path, int(mode, 8), oid.decode("ascii")) if int(mode, 8) else None
        position = until + 1
    return found
