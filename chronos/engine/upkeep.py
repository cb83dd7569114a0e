"""The verbs that look after a store (status, doctor, verify, recover, gc, what it has), and what it would cover."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from chronos import maintenance, operations, timelines
from chronos.engine.place import EnginePlace

if TYPE_CHECKING:
    from chronos.operations import Coverage


class UpkeepVerbs(EnginePlace):
    """Looking after the store, and at it as a whole."""

    def status(self) -> maintenance.StatusReport:
        """Compare the working tree with the newest checkpoint, from a capture in memory."""
        if self._here.find_store() is None:
            return maintenance.StatusReport(self.root, self.store_path, self.timeline)
        with self._here.workspace() as workspace:
            report = maintenance.report_status(workspace)
            pending = timelines.read_pending(workspace.store, workspace.timeline)
        if pending is None:
            return report
        return msgspec.structs.replace(report, waiting=pending.summary, conflicts=len(pending.open))

    def verify(self, *, deep: bool = False) -> list[maintenance.Finding]:
        """Check the store and return what is wrong, the worst first.

        Reads manifests, lists and indexes, and looks for every chunk; with `deep` also every stored byte, by hash, and
        tries every complete patch on its base.
        """
        if self._here.find_store(despite_damage=True) is None:
            return []
        with self._here.workspace(despite_damage=True) as workspace:
            return maintenance.verify(workspace, deep=deep)

    def plan_repair(self) -> maintenance.RepairPlan:
        """Read the whole store and return what `repair` would do. Raises LockedError."""
        if self._here.find_store(despite_damage=True) is None:
            return maintenance.RepairPlan((), ())
        with self._here.workspace(despite_damage=True) as workspace:
            return maintenance.plan_repair(workspace)

    def repair(self, *, plan_id: str | None = None) -> maintenance.RepairOutcome:
        """Set aside what is damaged, bring back what still exists, and return what was done and what is wrong still.

        With `plan_id` the plan must still be the one that was shown. Raises ChangedMeanwhileError, LockedError,
        StorageError, GitFailedError.
        """
        if self._here.find_store(despite_damage=True) is None:
            return maintenance.RepairOutcome((), ())
        with self._here.workspace(despite_damage=True) as workspace:
            return maintenance.repair(workspace, plan_id)

    def doctor(self) -> list[maintenance.Finding]:
        """Look at the surroundings: versions, permissions, what git shows of us, what could destroy the store."""
        if self._here.find_store() is None:
            return maintenance.examine(self._here.git, self._here.place.repository, None)
        with self._here.workspace() as workspace:
            return maintenance.examine(self._here.git, self._here.place.repository, workspace)

    def recover(self, *, abort: bool = False) -> list[str]:
        """Finish an interrupted restore (or with `abort` take it back), sweep what crashes left, say what was done."""
        if not self._here.place.layout.system.exists():
            operations.sweep_hiding_drafts(self._here.place.repository, self._here.place.layout)
            return []
        with self._here.workspace() as workspace:
            return maintenance.recover(workspace, abort=abort)

    def plan_gc(self, *, named: bool = False, deleted: bool = False) -> maintenance.GcPlan:
        """Return what `gc` with the same arguments would do, with the reason why each checkpoint goes or stays."""
        self._here.get_store()
        with self._here.workspace() as workspace:
            return maintenance.plan_gc(workspace, named=named, deleted=deleted)

    def gc(self, *, named: bool = False, deleted: bool = False, plan_id: str | None = None) -> maintenance.GcOutcome:
        """Apply retention and give the disk back what no checkpoint needs.

        With `named` count and age speak of named checkpoints too; with `deleted` undo cannot bring deleted ones back
        any more. With `plan_id` the same checkpoints must go that were shown. Raises ChangedMeanwhileError, LockedError
        when somebody is at work, StorageError.
        """
        self._here.get_store()
        with self._here.workspace() as workspace:
            return maintenance.run_gc(workspace, named=named, deleted=deleted, expected=plan_id)

    def measure_usage(self) -> maintenance.Usage:
        """Return what the store takes on disk, by timeline, checkpoint and memory store."""
        store = self._here.get_store()
        return maintenance.measure_usage(store, self._here.place.repository)

    def coverage(self, paths: Sequence[Path], *, timeout_s: float | None = None) -> list[Coverage]:
        """Return for each absolute path where a checkpoint that is taken now would have it.

        This and the three questions below write nothing and set nothing up; each raises OutsideError after `timeout_s`
        seconds.
        """
        return operations.find_coverage(self._here.place, paths, timeout_s)

    def list_unsaved(self, *, timeout_s: float | None = None) -> tuple[list[str], list[str], list[str]]:
        """Return the paths that differ from the last commit, that git does not know, and that it ignores."""
        return operations.list_unsaved(self._here.place, timeout_s)

    def git_settings(self, prefix: str, *, timeout_s: float | None = None) -> dict[str, str]:
        """Return git's settings whose names begin with `prefix`, by the rest of the name."""
        return operations.find_git_settings(self._here.place, prefix, timeout_s)

    def is_ref(self, name: str, *, timeout_s: float | None = None) -> bool:
        """Tell whether git finds a commit under a name."""
        return operations.is_ref(self._here.place, name, timeout_s)
