"""The verbs that bring changes together: merge a timeline, take one checkpoint's changes back, decide conflicts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec

from chronos import checkpoints, merging, operations, timelines
from chronos.engine.place import EnginePlace
from chronos.errors import StateError
from chronos.files import parse_tree_path

if TYPE_CHECKING:
    from chronos.merging import Resolution, Resolver
    from chronos.operations import Workspace
    from chronos.timelines import MergeOutcome, MergeRequest, PendingMerge


class MergeVerbs(EnginePlace):
    """Three-way merges of code and memory into a working tree, each one operation that undo takes back."""

    def merge_timeline(
        self, source: str, target: str | None = None, *, strategy: str = "conflict", paths: Sequence[str] = (),
        base: str | None = None, resolver: Resolver | str | None = None, plan_id: str | None = None,
    ) -> MergeOutcome:  # fmt: skip
        """Merge what timeline `source` changed into the tree of timeline `target`, by default this one.

        Both are taken as they are now, committed or not. While there are conflicts in the outcome nothing was changed:
        decide them with `resolve_conflict` and merge again, or give a `resolver` (a function, or the name of one).
        `paths` are from the root; such a part of a merge does not count as one later. `base` is the checkpoint to
        compare with, by default the common one.

        Raises UsageError, UnknownTimelineError, NoCommonCheckpointError, ChangedMeanwhileError when `plan_id` is not
        that of the plan that would be carried out, and what `restore_checkpoint` raises.
        """
        return self._merge(source, target, strategy, paths, base, resolver, plan_id, plan_only=False)

    def plan_merge_timeline(
        self, source: str, target: str | None = None, *, strategy: str = "conflict", paths: Sequence[str] = (),
        base: str | None = None, resolver: Resolver | str | None = None,
    ) -> MergeOutcome:  # fmt: skip
        """Return what `merge_timeline` would do, and change nothing in either tree."""
        return self._merge(source, target, strategy, paths, base, resolver, None, plan_only=True)

    def revert_checkpoint(
        self, checkpoint: str, *, strategy: str = "conflict", paths: Sequence[str] = (),
        resolver: Resolver | str | None = None, plan_id: str | None = None, plan_only: bool = False,
    ) -> MergeOutcome:  # fmt: skip
        """Take back what a checkpoint changed against the one before it, code and rows, and keep what came later.

        See `merge_timeline` for the rest.
        """
        row = self.find_checkpoint(checkpoint)
        with self._here.workspace() as workspace, self._request(strategy, paths, resolver, plan_id) as request:
            return timelines.revert(workspace, row, msgspec.structs.replace(request, plan_only=plan_only))

    def list_conflicts(self, timeline: str | None = None) -> PendingMerge | None:
        """Return the merge that waits for decisions on a timeline, with its conflicts, or None."""
        store = self._find_store(timeline)
        return timelines.read_pending(store, timeline or self.timeline) if store is not None else None

    def resolve_conflict(
        self, subject: str, resolution: Resolution | Resolver, *, table: str | None = None, key: str | None = None,
        timeline: str | None = None,
    ) -> PendingMerge:  # fmt: skip
        """Decide the conflicts at a path, with an id, or of a memory store, a table or a row; return what waits still.

        A function is asked about each; where it returns None the conflict stays. Nothing in the tree changes before
        the merge is made again. Raises UnknownConflictError, StateError when nothing waits.
        """
        with self._here.workspace() as workspace:
            decided = {}  # whoever is asked may take long, and holds no lock
            for conflict in self._pending(workspace, timeline).find(subject, table, key):
                answer = timelines.check_answer(resolution(conflict) if callable(resolution) else resolution)
                if answer is not None:
                    decided[conflict.conflict_id] = timelines.check_resolution(conflict, answer)
            with workspace.store.working_on(timeline or self.timeline):
                pending = self._pending(workspace, timeline)
                pending.resolutions |= decided
                timelines.write_pending(workspace.store, timeline or self.timeline, pending)
            return pending

    def forget_conflicts(self, timeline: str | None = None) -> PendingMerge:
        """Give a merge up that waits for decisions. Nothing was changed by it. Raises StateError when none waits."""
        with self._here.workspace() as workspace, workspace.store.working_on(timeline or self.timeline):
            pending = self._pending(workspace, timeline)
            timelines.drop_pending(workspace.store, timeline or self.timeline)
            return pending

    def _pending(self, workspace: Workspace, timeline: str | None) -> PendingMerge:
        pending = timelines.read_pending(workspace.store, timeline or self.timeline)
        if pending is None:
            raise StateError("no merge waits for decisions here", hint="`chrono timeline merge NAME` begins one")
        return pending

    def _merge(
        self, source: str, target: str | None, strategy: str, paths: Sequence[str], base: str | None,
        resolver: Resolver | str | None, plan_id: str | None, *, plan_only: bool,
    ) -> MergeOutcome:  # fmt: skip
        self._find_store(source)
        self._find_store(target)
        with self._here.workspace() as workspace, self._request(strategy, paths, resolver, plan_id) as request:
            if target not in (None, workspace.timeline):
                there = operations.workspace_at(workspace, str(target))
                workspace = msgspec.structs.replace(there, progress=workspace.progress)
            row = self.find_checkpoint(base) if base is not None else None
            return timelines.merge(workspace, source, msgspec.structs.replace(request, base=row, plan_only=plan_only))

    @contextmanager
    def _request(
        self, strategy: str, paths: Sequence[str], resolver: Resolver | str | None, plan_id: str | None
    ) -> Iterator[MergeRequest]:
        options = checkpoints.Options(tuple(map(parse_tree_path, paths)))
        request = timelines.MergeRequest(merging.parse_strategy(strategy), options, expected=plan_id)
        if not isinstance(resolver, str):
            yield msgspec.structs.replace(request, resolve=resolver)
            return
        with self.open_resolver(resolver) as resolve:
            yield msgspec.structs.replace(request, resolve=resolve)

    @contextmanager
    def open_resolver(self, name: str) -> Iterator[Resolver]:
        """Give a resolver that is installed under `name` in the group `chronos.merge_resolvers`.

        Raises UnknownResolverError, BadConfigError, UnsupportedError.
        """
        settings = merging.ResolverSettings.from_config(
            self.config, self._surroundings.environment, self.notices.append
        )
        with merging.open_resolver(name, settings) as resolve:
            yield resolve
