"""The verbs about timelines: branch, list, look at, work in, compare, delete and prune them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Self

import msgspec

from chronos import checkpoints, operations, timelines
from chronos.engine.place import EnginePlace
from chronos.errors import ChangedMeanwhileError, UnknownTimelineError
from chronos.files import parse_tree_path

if TYPE_CHECKING:
    from chronos.catalog import CheckpointRow
    from chronos.checkpoints import Difference
    from chronos.operations import Operation
    from chronos.timelines import Branched, LeavingPlan, TimelineDetails, TimelineSummary, Trial


class TimelineVerbs(EnginePlace):
    """Isolated working trees with their own memory, beside the one at hand."""

    def branch_timeline(
        self, name: str, checkpoint: str | None = None, *, memory: bool = True, seeds: Sequence[str] = ()
    ) -> Branched:
        """Make a timeline with a working tree that has the present state, or that of `checkpoint`; return all about it.

        `seeds` are patterns (gitignore syntax) of ignored files that are copied as well. Raises BadTimelineNameError,
        TimelineExistsError, GitFailedError, StorageError, and then nothing of it is left.
        """
        timelines.check_timeline_name(name)
        with self._here.workspace() as workspace:
            source = self.find_checkpoint(checkpoint) if checkpoint is not None else None
            return timelines.branch(workspace, timelines.Request(name, source, memory, tuple(seeds)))

    def create_timeline(self, name: str) -> Path:
        """Branch the present state and return the new working tree. See `branch_timeline`."""
        return self.branch_timeline(name).path

    def list_timelines(self) -> list[TimelineSummary]:
        """Return the timelines of the store, `main` first."""
        store = self._here.find_store()
        return timelines.list_all(store, self._here.place.repository) if store is not None else []

    def show_timeline(self, name: str) -> TimelineDetails:
        """Return everything about one timeline. Raises UnknownTimelineError."""
        self._find_store(name)
        with self._here.workspace() as workspace:
            return timelines.describe(workspace, name)

    def timeline_environment(self, name: str) -> dict[str, str]:
        """Return the variables for a program that is run in a timeline's tree. Raises UnknownTimelineError."""
        self._find_store(name)
        with self._here.workspace() as workspace:
            return timelines.environment_in(workspace, name)

    def timeline_path(self, name: str) -> Path:
        """Return a timeline's working tree. Raises UnknownTimelineError when it has none."""
        return Path(self.timeline_environment(name)["CHRONOS_ROOT"])

    @contextmanager
    def open_timeline(self, name: str) -> Iterator[Self]:
        """Give an engine for the tree of another timeline, closed at the end. Raises UnknownTimelineError.

        Nothing of this engine is used, so that threads may each open one of their own from it, side by side.
        """
        environment = {**self._surroundings.environment, "CHRONOS_TIMELINE": name}
        surroundings = msgspec.structs.replace(self._surroundings, environment=environment)
        with type(self)(self.root, config=self._config, surroundings=surroundings) as engine:
            if engine.timeline != name or engine.store_path != self.store_path:
                raise UnknownTimelineError(
                    f"{engine.root} is timeline {engine.timeline} of {engine.store_path}, not {name}"
                )
            yield engine

    @contextmanager
    def open_trial(self, seeds: Sequence[str] = ()) -> Iterator[Trial]:
        """Give a throw-away working tree that takes on one checkpoint after the other, with its memory.

        It is no timeline, and nothing of it is left at the end. `seeds` are as in `branch_timeline`. Nothing of this
        engine is used, so that threads may each open one. Raises BadPathError, StorageError.
        """
        with (
            type(self)(self.root, config=self._config, surroundings=self._surroundings) as engine,
            engine._here.workspace() as workspace,
            timelines.open_trial(workspace, seeds) as trial,
        ):
            yield trial

    def list_line(self, checkpoint: str = "@", timeline: str | None = None) -> list[CheckpointRow]:
        """Return a checkpoint and what it comes from, first parents only, the newest first; over timelines as well.

        Safety checkpoints are left out, but for the first. Raises UnknownCheckpointError.
        """
        row = self.find_checkpoint(checkpoint, timeline)
        history = operations.read_history(self._here.get_store())
        line, seen = [row], {row.checkpoint_id}
        while parents := history.parents(line[-1].checkpoint_id):
            if parents[0].row.checkpoint_id in seen:
                break
            line.append(parents[0].row)
            seen.add(line[-1].checkpoint_id)
        return [row, *(one for one in line[1:] if one.trigger != checkpoints.Trigger.SAFETY.value)]

    def hold_timeline(self, name: str) -> str:
        """Return the checkpoint that has a timeline's present state, taking an automatic one if need be.

        Of a timeline whose tree is gone it is the newest. Raises UnknownTimelineError, UnknownCheckpointError.
        """
        self._find_store(name)
        with self._here.workspace() as workspace:
            return timelines.hold(workspace, name)

    def diff_timelines(self, old: str, new: str, *, paths: Sequence[str] = ()) -> list[Difference]:
        """Return what differs from the present state of timeline `old` to that of `new`, committed or not."""
        with self._here.workspace() as workspace:
            rows = [operations.get_checkpoint(workspace.store, self.hold_timeline(name)) for name in (old, new)]
            with operations.open_diff(workspace, rows[0], rows[1]) as found:
                return found.differences(tuple(map(parse_tree_path, paths)))

    def plan_delete_timeline(self, name: str) -> LeavingPlan:
        """Return what deleting a timeline takes away. Raises UnknownTimelineError, RefusedError, StateError."""
        self._find_store(name)
        with self._here.workspace() as workspace:
            return timelines.plan_delete(workspace, name)

    def delete_timeline(self, name: str, *, plan_id: str | None = None) -> Operation:
        """Take a timeline away, after a checkpoint of what is there; undo brings back the tree and the checkpoints.

        Raises what `plan_delete_timeline` raises, StorageError, GitFailedError, ChangedMeanwhileError.
        """
        self._find_store(name)
        with self._here.workspace() as workspace:
            _check(plan_id, timelines.plan_delete(workspace, name) if plan_id is not None else None)
            return timelines.delete(workspace, name)

    def plan_prune_timelines(self, idle_days: int | None = None) -> LeavingPlan:
        """Return which branched trees nobody has used for long, by default for the lease of the settings."""
        self._here.get_store()
        with self._here.workspace() as workspace:
            return timelines.plan_prune(workspace, self.config.timeline_lease_days if idle_days is None else idle_days)

    def prune_timelines(self, plan: LeavingPlan, idle_days: int | None = None) -> list[Operation]:
        """Move the trees of a plan aside, each as an operation that can be undone; one that was used since stays."""
        days = self.config.timeline_lease_days if idle_days is None else idle_days
        with self._here.workspace() as workspace:
            return timelines.prune(workspace, plan, days)


def _check(expected: str | None, plan: LeavingPlan | None) -> None:
    if plan is not None and plan.plan_id != expected:
        raise ChangedMeanwhileError("the timeline changed since the plan was made; nothing was touched")
