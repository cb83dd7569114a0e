"""Deciding a conflict with a program: an editor, or any command that writes the result into a file.

The command finds the paths of four files in its environment, under the names of git-mergetool(1) and our own: BASE,
LOCAL or OURS, REMOTE or THEIRS, and MERGED, which it changes. There MERGED is what could be merged so far, or ours: an
editor may leave it so, but a command that did not write it has decided nothing.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from chronos import process
from chronos.errors import ToolFailedError, UnknownConflictError
from chronos.files import display, remove_tree, translate_os_errors
from chronos.merging.conflicts import Choice, Conflict, Resolution

_MARKERS = (b"<<<<<<< ", b">>>>>>> ")
_LARGEST_RESULT_BYTES = 64 * 1024 * 1024


class ToolResolver:
    """Asks a program about each conflict. `folder` is a place for files of ours, made for each and removed.

    With `must_write` a program has a result only when it wrote one, be it what stood there already.
    """

    def __init__(
        self, argv: Sequence[str], environment: Mapping[str, str], folder: Path, *, must_write: bool = False
    ) -> None:  # fmt: skip
        self._argv = argv
        self._environment = environment
        self._folder = folder
        self._must_write = must_write

    def __call__(self, conflict: Conflict) -> Resolution:
        """Return what the program made of a conflict.

        Raises ToolFailedError when it ends with another code than 0, leaves conflict markers, or has to write and did
        not; UnknownConflictError for what is too large to be shown.
        """
        what = display(conflict.path)
        if conflict.is_large:
            raise UnknownConflictError(f"{what} is too large to be shown", hint="resolve it with --ours or --theirs")
        folder = self._folder / conflict.conflict_id
        with translate_os_errors(f"cannot write in {self._folder}"):
            folder.mkdir(mode=0o700)
        try:
            files = _write(folder, conflict)
            merged = Path(files["MERGED"])
            before = _look(merged)
            code = process.run_attached(self._argv, environment={**self._environment, **files}, cwd=folder)
            if code != 0:
                raise ToolFailedError(f"{self._argv[-1]} ended with code {code}; {what} is as undecided as before")
            data = _read(merged, what)
            if self._must_write and _look(merged) == before:
                raise ToolFailedError(f"{self._argv[-1]} wrote nothing into MERGED; {what} is as undecided as before")
            return Resolution(Choice.CONTENT, data)
        finally:
            remove_tree(folder)


def _write(folder: Path, conflict: Conflict) -> dict[str, str]:
    """Write the sides of a conflict; return the paths by the variables that name them. An absent side is empty."""
    name = os.fsdecode(conflict.path.rpartition(b"/")[2])[-100:]
    name = f"{name}.json" if conflict.key else name
    start = next(side for side in (conflict.merged, conflict.ours, conflict.theirs, b"") if side is not None)
    sides = {"BASE": conflict.base, "OURS": conflict.ours, "THEIRS": conflict.theirs, "MERGED": start}
    paths = {}
    for label, data in sides.items():
        path = folder / f"{label}.{name}"
        with translate_os_errors(f"cannot write {path}"):
            path.write_bytes(data or b"")
        paths[label] = str(path)
    with translate_os_errors(f"cannot write in {folder}"):
        os.utime(paths["MERGED"], ns=(0, 0))  # so that every write shows, however coarse the file system's clock is
    return {**paths, "LOCAL": paths["OURS"], "REMOTE": paths["THEIRS"]}


def _look(path: Path) -> tuple[int, int, int]:
    seen = path.stat()
    return seen.st_ino, seen.st_size, seen.st_mtime_ns


def _read(path: Path, what: str) -> bytes:
    with translate_os_errors(f"cannot read {path}"):
        if not path.is_file() or path.stat().st_size > _LARGEST_RESULT_BYTES:
            raise ToolFailedError(f"the program left no file that {what} could become")
        data = path.read_bytes()
    if any(line.startswith(_MARKERS) for line in data.splitlines()):
        raise ToolFailedError(f"{what} still has conflict markers in it")
    return data
