"""Changing one file under the guard: read, change, check, assess, checkpoint, write in one step; or nothing at all.

A plan holds the file as it was read. It is carried out only while the file still is that, down to its change time.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from chronos.config import GuardRules
from chronos.errors import BadPathError, ChangedMeanwhileError, StorageError, UnsupportedError
from chronos.files import (
    FileStat,
    PathKind,
    SafeRoot,
    TreePath,
    check_tree_path,
    display,
    is_inside,
    stat_of,
    to_text,
    translate_os_errors,
)
from historian.errors import BrokenContentError
from historian.formats import Change, change_content, find_fault
from historian.guard.gate import Gate, Passage, inside
from historian.risk import Operation, OperationKind

if TYPE_CHECKING:
    from chronos.engine import ChronosEngine

LARGEST_FILE_BYTES = 64 * 1024 * 1024
_NO_CHECK = "give --no-check, or check=False, to write it all the same"


class FileChange(msgspec.Struct, frozen=True):
    """What an update would write. `path` is from the root and has no link in it; `old` is None for a new file.

    `notes` say what could not be kept or checked.
    """

    path: TreePath
    old: bytes | None
    new: bytes
    stat: FileStat | None
    is_executable: bool = False
    notes: tuple[str, ...] = ()

    @property
    def is_needed(self) -> bool:
        """Whether the file would be another than it is."""
        return self.old != self.new

    @property
    def changed_bytes(self) -> int:
        """How many bytes change: what is left between the beginning and the end that stay, the longer of both."""
        old, new = self.old or b"", self.new
        start = len(os.path.commonprefix((old, new)))  # noqa: RUF071 - bytes, no paths
        most = min(len(old), len(new)) - start
        end = min(most, len(os.path.commonprefix((old[::-1], new[::-1]))))  # noqa: RUF071
        return max(len(old), len(new)) - start - end


class FileUpdate(msgspec.Struct, frozen=True):
    """What became of an update; without a passage there was nothing to change."""

    change: FileChange
    passage: Passage | None

    @property
    def checkpoint_id(self) -> str | None:
        """The checkpoint that has the file as it was, None where none has it, such as a secret."""
        passage = self.passage
        if passage is None or passage.root is None:
            return None
        is_missed = str(passage.root / os.fsdecode(self.change.path)) in passage.missed
        return None if is_missed else passage.checkpoint_id


def plan_update(engine: ChronosEngine, path: Path | str, change: Change, *, check: bool = True) -> FileChange:
    """Return what the change makes of the file at `path`, absolute or from the root. Nothing is written.

    A link is followed as long as it stays in the root. With `check` the result must be valid in its format, unless what
    is there already is not. Raises BadPathError, PatchRejectedError, BrokenContentError, UnsupportedError.
    """
    where = _locate(engine, path)
    with SafeRoot(engine.root) as tree:
        old, stat = _read(tree, where)
    name = display(where)
    new = change_content(to_text(where), old, change)
    notes = []
    fault = find_fault(to_text(where), new) if check else None
    if fault is not None:
        was_broken = old is not None and find_fault(to_text(where), old) is not None
        if not was_broken:
            raise BrokenContentError(f"{name} would not be valid: {fault}", hint=f"nothing was changed; {_NO_CHECK}")
        notes.append(f"{name} was not valid before and is not now: {fault}")
    if stat is not None and os.lstat(engine.root / os.fsdecode(where)).st_nlink > 1:
        notes.append(f"{name} has other names (hard links), which keep the old content")
    is_script = stat is None and new.startswith(b"#!")
    return FileChange(where, old, new, stat, is_script, tuple(notes))


def apply_update(engine: ChronosEngine, gate: Gate, rules: GuardRules, change: FileChange) -> FileUpdate:
    """Carry a plan out under the guard. Raises ChangedMeanwhileError, what a guard raises, and StorageError."""
    if not change.is_needed:
        return FileUpdate(change, None)
    verb = "create" if change.old is None else "update"
    operation = Operation(
        kind=OperationKind.FILE, path=os.fsdecode(change.path), change=verb, size_bytes=change.changed_bytes,
        cwd=str(engine.root),
    )  # fmt: skip
    passage = gate.let_through(operation, rules)
    passage.warnings += change.notes
    with inside(passage):
        _write(engine.root, change)
    return FileUpdate(change, passage)


def _locate(engine: ChronosEngine, path: Path | str) -> TreePath:
    """Return the path from the root, behind all links. Raises BadPathError for what is not the user's to change."""
    root = Path(os.path.realpath(engine.root))
    typed = display(str(path)[:200])
    with _as_bad_path(typed):
        real = Path(os.path.realpath(root / path))
    if not real.is_relative_to(root) or real == root:
        raise BadPathError(f"{typed!r} is not a file inside the working tree {display(str(root))}")
    where = check_tree_path(os.fsencode(real.relative_to(root).as_posix()))
    store = Path(os.path.realpath(engine.store_path))
    for own, what in ((store, "the store"), (Path(os.path.realpath(engine.claim_lessons())), "the lessons")):
        if own.is_relative_to(root) and is_inside(where, os.fsencode(own.relative_to(root).as_posix())):
            raise BadPathError(f"{typed!r} belongs to {what}", hint="chrono's own commands change that")
    return where


@contextmanager
def _as_bad_path(typed: str) -> Iterator[None]:
    try:
        yield
    except (ValueError, OSError) as cause:
        raise BadPathError(f"{typed!r} is no path: {cause}") from cause


def _read(tree: SafeRoot, path: TreePath) -> tuple[bytes | None, FileStat | None]:
    with translate_os_errors(f"cannot read {display(path)}"):
        stat = tree.find_stat(path)
        if stat is None:
            return None, None
        if stat.kind is not PathKind.FILE:
            raise BadPathError(f"{display(path)} is no file but a {stat.kind.value}")
        if stat.size > LARGEST_FILE_BYTES:
            raise UnsupportedError(
                f"{display(path)} is larger than {LARGEST_FILE_BYTES} bytes", hint="change it yourself"
            )
        if tree.is_database(path):
            raise UnsupportedError(f"{display(path)} is a database", hint="change it by SQL, under `chrono run`")
        with tree.reading(path) as descriptor, open(descriptor, "rb", closefd=False) as stream:
            data = stream.read()
            if stat_of(os.fstat(descriptor)) != stat or len(data) != stat.size:
                raise ChangedMeanwhileError(f"{display(path)} is being written by somebody else")
    return data, stat


def _write(root: Path, change: FileChange) -> None:
    name = display(change.path)
    try:
        with SafeRoot(root) as tree, translate_os_errors(f"cannot write {name}"):
            if change.stat is not None:
                tree.replace_file(change.path, change.new, change.stat)
            else:
                tree.create_file(change.path, change.new, executable=change.is_executable)
    except StorageError as cause:
        if isinstance(cause.__cause__, FileExistsError | FileNotFoundError):
            raise ChangedMeanwhileError(
                f"{name} was changed by somebody else since it was read", hint="nothing was written; run it again"
            ) from cause
        raise
