"""The `.gitignore` and `.gitattributes` files of a state, laid out in a scratch folder so that git itself obeys them.

They decide whether the capture of a checkpoint would have looked at a path, and which bytes a checkout in that state
writes. Today's files may say otherwise; they are not asked.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from chronos.checkpoints.changes import SideKind
from chronos.checkpoints.sides import BlobSource, Sides
from chronos.checkpoints.states import State
from chronos.files import TreePath, translate_os_errors
from chronos.git import Repository, list_ignored
from chronos.pool import PoolReader

IGNORE_FILE = b".gitignore"
ATTRIBUTES_FILE = b".gitattributes"


class StateRules:
    """Ask questions under the rule files of one state. `make_scratch` gives an empty folder of ours for each."""

    def __init__(
        self, state: State, repositories: dict[TreePath, Repository], pool: PoolReader,
        make_scratch: Callable[[], Path],
    ) -> None:  # fmt: skip
        self._sides = Sides(state, repositories)
        self._repositories = repositories
        self._pool = pool
        self._make_scratch = make_scratch

    def ignored(self, paths: list[TreePath]) -> set[TreePath]:
        """Return those of `paths` that the state's own ignore files, or the user's excludes, ignore."""
        top = self._lay_out(IGNORE_FILE, paths)
        return list_ignored(self._repositories[b""], top, paths)

    def attributes_folder(self, paths: Iterable[TreePath]) -> Path:
        """Return a folder with the state's attribute files above `paths`: a working tree for `BlobSource`."""
        return self._lay_out(ATTRIBUTES_FILE, paths)

    def _lay_out(self, name: bytes, paths: Iterable[TreePath]) -> Path:
        top = self._make_scratch()
        files = sorted({folder + name for path in paths for folder in _folders_above(path)})
        self._sides.load(files)
        with BlobSource(self._repositories) as blobs:
            for path in files:
                data = self._read(blobs, path)
                if data is not None:
                    target = top / os.fsdecode(path)
                    with translate_os_errors(f"cannot write {target}"):
                        target.parent.mkdir(parents=True, exist_ok=True)
                        target.write_bytes(data)
        return top

    def _read(self, blobs: BlobSource, path: TreePath) -> bytes | None:
        side = self._sides.find(path)
        if side.kind is not SideKind.FILE:
            return None  # git does without a rules file that is a symlink
        if side.blob is not None:
            return blobs.read(path, side)
        return self._pool.read_content(side.content) if side.content is not None else None


def _folders_above(path: TreePath) -> list[TreePath]:
    parts = path.split(b"/")[:-1]
    return [b"", *(b"/".join(parts[: count + 1]) + b"/" for count in range(len(parts)))]
