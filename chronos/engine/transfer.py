"""The verbs that carry checkpoints between stores: export into a file, and import from one."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from chronos import operations, transfer
from chronos.engine.place import EnginePlace

if TYPE_CHECKING:
    from chronos.transfer import Arrival, Exported, Imported, ImportPlan


class TransferVerbs(EnginePlace):
    """Taking a checkpoint to another clone, and one from there."""

    def export_checkpoint(
        self,
        checkpoint: str,
        file: Path | str,
        timeline: str | None = None,
        *,
        base: bool = False,
        include_secrets: bool = False,
    ) -> Exported:
        """Write a checkpoint into the new file `file`; return what went in and what stayed out.

        Files in which a secret seems to stand are left out unless `include_secrets`. With `base` the base commits go
        along with their history. Raises TargetExistsError, SecretInSealError, IncompleteBaseError, IntegrityError.
        """
        row = operations.resolve(self._here.find_store(), checkpoint, timeline or self.timeline)
        with self._here.workspace() as workspace:
            return transfer.export(workspace, row, Path(file), base=base, include_secrets=include_secrets)

    def plan_import(self, file: Path | str, timeline: str | None = None) -> ImportPlan:
        """Check every byte of `file` and return what `import_checkpoint` would do. Nothing is written.

        Raises DamagedParcelError, UnsupportedError, ForeignTimelineError.
        """
        with self._open_arrival(file) as arrival:
            return transfer.plan_import(arrival, self._here.find_store(), self.timeline, timeline)

    def import_checkpoint(self, file: Path | str, timeline: str | None = None) -> Imported:
        """Take the checkpoint in `file` into this store, on a timeline for imports (`imported`, or `timeline`).

        One that is here already stays as it is. Raises what `plan_import` raises, LockedError, StorageError.
        """
        with self._open_arrival(file) as arrival, self._here.workspace() as workspace:
            return transfer.import_parcel(workspace, arrival, timeline)

    def _open_arrival(self, file: Path | str) -> AbstractContextManager[Arrival]:
        here = self._here
        return transfer.open_arrival(Path(file), here.place.repository, here.git, self.notices, here.progress)
