"""The verbs about memory stores: what is covered, declaring, comparing, and plain copies."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from chronos import operations
from chronos.engine.place import EnginePlace

if TYPE_CHECKING:
    from chronos.memory import StorePlace
    from chronos.operations import StoreDifference, StoreReport


class MemoryVerbs(EnginePlace):
    """Memory stores of this working tree, and of its checkpoints."""

    def list_memory(self, *, tables: bool = False) -> list[StoreReport]:
        """Return the memory stores that a checkpoint would hold now, with `tables` also what is in them."""
        with self._here.workspace() as workspace:
            return operations.list_stores(workspace, tables=tables)

    def add_memory(self, path: Path | str, kind: str | None = None, name: str | None = None) -> StorePlace:
        """Declare the memory store at `path` on this machine, inside the working tree or outside of it.

        Raises BadPathError when nothing stands there that a checkpoint would take, BadConfigError, UnknownKindError.
        """
        with self._here.workspace() as workspace:
            return operations.add_store(workspace, Path(path), kind, name)

    def remove_memory(self, name: str) -> str:
        """Take the declaration of a memory store back; return its path. Checkpoints keep what they have."""
        with self._here.workspace() as workspace:
            return operations.remove_store(workspace, name)

    def diff_memory(self, old: str, new: str | None = None, *, tables: bool = True) -> list[StoreDifference]:
        """Return how the memory stores of checkpoint `new`, or of now, differ from those of `old`.

        Without `tables` only which ones do, which is quick.
        """
        rows = [self.find_checkpoint(name) for name in (old, new) if name is not None]
        with self._here.workspace() as workspace:
            return operations.diff_stores(workspace, rows[0], rows[1] if new else None, tables=tables)

    def extract_memory(self, checkpoint: str, name: str, folder: Path | str) -> Path:
        """Write a plain copy of a checkpoint's memory store into the new folder `folder`; return where it lies."""
        row = self.find_checkpoint(checkpoint)
        with self._here.workspace() as workspace:
            return operations.extract_store(workspace, row, name, Path(folder))
