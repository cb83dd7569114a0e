"""The verbs about checkpoints: take, list, show, compare, delete, restore, and undo and redo of all that."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec

from chronos import checkpoints, locks, maintenance, operations
from chronos.engine.place import EnginePlace
from chronos.errors import LockedError, LowSpaceError, NothingToUndoError, QuotaExceededError, UsageError
from chronos.files import TreePath, display, parse_tree_path

if TYPE_CHECKING:
    from chronos.catalog import CheckpointRow
    from chronos.checkpoints import (
        Annotation,
        Created,
        Difference,
        FoundSecret,
        Manifest,
        MemoryRecord,
        Options,
        Plan,
        ReceiptRow,
        StateDiff,
        Trigger,
    )
    from chronos.git import TextPatch
    from chronos.operations import Graph, Operation, OperationKind, Outcome, Workspace

_Result = TypeVar("_Result")


class Details(msgspec.Struct, frozen=True):
    """One checkpoint with everything that its manifest and receipt say, and the verdicts on it, the newest first."""

    row: CheckpointRow
    manifest: Manifest
    receipt: tuple[ReceiptRow, ...]
    memory: tuple[MemoryRecord, ...]
    folder: Path
    secrets: tuple[FoundSecret, ...] = ()
    verdicts: tuple[Annotation, ...] = ()


class CheckpointVerbs(EnginePlace):
    """Taking checkpoints, comparing them, going back to them and forth again."""

    # checkpoints

    def create_checkpoint(
        self, name: str, description: str = "", timeline: str | None = None, *, tags: Sequence[str] = ()
    ) -> str:
        """Take a checkpoint and return its id. See `take_checkpoint` for the errors."""
        return self.take_checkpoint(name, description, timeline, tags=tags).checkpoint_id

    def take_checkpoint(
        self,
        name: str,
        description: str = "",
        timeline: str | None = None,
        *,
        tags: Sequence[str] = (),
        trigger: Trigger | None = None,
        needed: bool = False,
        is_prompt: bool = False,
        include: Sequence[Path | str] = (),
        aside: Sequence[Path | str] = (),
    ) -> Created:
        """Take a checkpoint and return all about it. It is durable when this returns. `trigger` is MANUAL by default.

        An automatic one is not taken when the newest has this state, unless it is `needed`; whether the memory stores
        at the paths of `aside` (absolute, or from the root) have changed does not count then, and where `description`
        is of a prompt (`is_prompt`), the newest gets it as an annotation. What stands at the paths of `include` is
        taken in this once although it is ignored or outside; `not_included` says what cannot be.

        Raises BadNameError, UnknownTimelineError, DisabledError, LockedError, StorageError, GitFailedError, and
        QuotaExceededError or LowSpaceError when it does not fit, also after retention and gc.
        """
        trigger = trigger or checkpoints.Trigger.MANUAL
        self._own_timeline(timeline)
        operations.check_new_name(name)
        for tag in tags:
            checkpoints.check_name(tag)
        description = checkpoints.check_description(description)
        with self._here.workspace() as workspace:
            inclusion = operations.plan_inclusion(workspace, include) if include else None
            create = partial(
                operations.create, workspace, name, description, tuple(tags), trigger=trigger, needed=needed,
                inclusion=inclusion, aside=workspace.texts_of(aside),
            )  # fmt: skip
            created = _fitting(workspace, create)
            if created.created and maintenance.is_due(workspace.store, workspace.timeline, trigger):
                maintenance.look_after(workspace)
            if is_prompt and not created.created:
                operations.link_prompt(workspace, created.checkpoint_id, description)
            return msgspec.structs.replace(created, not_included=inclusion.left_out) if inclusion else created

    def list_checkpoints(
        self,
        timeline: str | None = None,
        *,
        limit: int | None = None,
        every_timeline: bool = False,
        safety: bool = False,
    ) -> list[CheckpointRow]:
        """Return the checkpoints of a timeline (this one by default), the newest first. Takes no lock.

        Those that restores took for safety are left out unless asked for.
        """
        store = self._find_store(timeline)
        wanted = None if every_timeline else timeline or self.timeline
        if store is None:
            return []
        return store.catalog.list_checkpoints(wanted, limit=-1 if limit is None else limit, safety=safety)

    def count_checkpoints(self, timeline: str | None = None, *, safety: bool = False) -> int:
        """Return how many checkpoints a timeline (this one by default) has."""
        store = self._find_store(timeline)
        return store.catalog.count_checkpoints(timeline or self.timeline, safety=safety) if store else 0

    def show_checkpoint(self, checkpoint: str, timeline: str | None = None, *, scan: bool = False) -> Details:
        """Return everything that a checkpoint says about itself. Raises IntegrityError when it is damaged.

        With `scan` every content is read and looked at for secrets now, also what its capture had no time for.
        """
        row = self.find_checkpoint(checkpoint, timeline)
        store = self._here.get_store()
        manifest = store.read_manifest(row.timeline, row.checkpoint_id)
        folder = store.layout.checkpoint(row.timeline, row.checkpoint_id)
        state = store.read_state(manifest, folder)
        secrets = checkpoints.find_secrets(store, manifest, state, scan=scan)
        memory = tuple(part.record for part in state.memory.values())
        verdicts = tuple(operations.list_verdicts(store, row.checkpoint_id))
        return Details(row, manifest, tuple(state.receipt), memory, folder, tuple(secrets), verdicts)

    def search_checkpoints(self, text: str, timeline: str | None = None) -> list[CheckpointRow]:
        """Return checkpoints with `text` in name, description or tags, the newest first."""
        store = self._find_store(timeline)
        return store.catalog.search(text, timeline) if store and operations.is_storable(text) else []

    def delete_checkpoint(self, checkpoint: str, timeline: str | None = None) -> CheckpointRow:
        """Delete a checkpoint and return it; `undo` on this timeline brings it back until gc takes it."""
        row = self.find_checkpoint(checkpoint, timeline, damaged=True)
        with self._here.workspace() as workspace:
            operations.delete(workspace, row)
        return row

    # restore, undo, redo

    def plan_restore(
        self,
        checkpoint: str,
        timeline: str | None = None,
        *,
        paths: Sequence[str] = (),
        head: bool = False,
        include: Sequence[str] = (),
        code: bool = True,
        memory: bool = True,
        stores: Sequence[str] = (),
        aside: Sequence[Path | str] = (),
    ) -> Plan:
        """Return what `restore_checkpoint` with the same arguments would do."""
        row = self.find_checkpoint(checkpoint, timeline)
        with self._here.workspace() as workspace:
            options = _options(workspace, paths, head, include, code, memory, stores, aside)
            return operations.plan_restore(workspace, row, options)

    def restore_checkpoint(
        self,
        checkpoint: str,
        timeline: str | None = None,
        *,
        paths: Sequence[str] = (),
        head: bool = False,
        include: Sequence[str] = (),
        code: bool = True,
        memory: bool = True,
        stores: Sequence[str] = (),
        aside: Sequence[Path | str] = (),
        plan_id: str | None = None,
    ) -> Outcome:
        """Give the working tree and the memory stores the state of a checkpoint, or only `paths` of it.

        Without `memory` only the code, without `code` only the memory, with `stores` only the stores of these names.
        Those at the paths of `aside` (absolute, or from the root) stay as they are.
        What is there now is held by a safety checkpoint first; bytes that nothing holds are kept and listed, unless
        `include` names them. With `plan_id` the plan must still be the one that was shown. `head` moves HEAD and its
        branch too. Raises ChangedMeanwhileError, StoreInUseError, StoreChangedError, IntegrityError, LockedError,
        StorageError, VerifyFailedError.
        """
        row = self.find_checkpoint(checkpoint, timeline)
        with self._here.workspace() as workspace:
            options = _options(workspace, paths, head, include, code, memory, stores, aside)
            return _fitting(workspace, partial(operations.restore, workspace, row, options, plan_id))

    def restore_into(
        self, checkpoint: str, folder: Path | str, timeline: str | None = None, *, paths: Sequence[str] = ()
    ) -> int:
        """Write the state of a checkpoint into the new folder `folder`; return the number of paths written."""
        row = self.find_checkpoint(checkpoint, timeline)
        with self._here.workspace() as workspace:
            return operations.restore_into(workspace, row, Path(folder), _selection(paths))

    def plan_undo(self, *, overwrite: bool = False) -> tuple[Operation, Plan]:
        """Return the operation that `undo` takes back, and what that does. Raises NothingToUndoError."""
        return self._plan_step(operations.OperationKind.UNDO, overwrite)

    def plan_redo(self, *, overwrite: bool = False) -> tuple[Operation, Plan]:
        """Return the undo that `redo` takes back, and what that does. Raises NothingToUndoError."""
        return self._plan_step(operations.OperationKind.REDO, overwrite)

    def undo(self, *, overwrite: bool = False, plan_id: str | None = None) -> Outcome:
        """Take back the last operation of this timeline. Paths edited since are kept, unless `overwrite`."""
        return self._step(operations.OperationKind.UNDO, overwrite, plan_id)

    def redo(self, *, overwrite: bool = False, plan_id: str | None = None) -> Outcome:
        """Take back the last undo of this timeline."""
        return self._step(operations.OperationKind.REDO, overwrite, plan_id)

    def skip(self) -> Operation:
        """Step over the last operation when its record is damaged, so that `undo` reaches the ones before it.

        Nothing in the tree changes. Raises NothingToUndoError, and StateError when the operation can be undone.
        """
        self._require_steps(operations.OperationKind.UNDO)
        with self._here.workspace() as workspace:
            return operations.skip(workspace)

    # looking

    def diff(self, old: str, new: str | None = None, *, paths: Sequence[str] = ()) -> list[Difference]:
        """Return what differs from checkpoint `old` to checkpoint `new`, or to the working tree now."""
        with self._diff(old, new) as found:
            return found.differences(_selection(paths))

    def diff_patches(
        self, old: str, new: str | None = None, *, paths: Sequence[str] = ()
    ) -> Iterator[tuple[Difference, TextPatch]]:
        """Yield what `diff` returns, each with its patch."""
        with self._diff(old, new) as found:
            yield from found.patches(found.differences(_selection(paths)))

    def find_unheard(self, paths: Sequence[TreePath]) -> set[TreePath]:
        """Return those of `paths` (from the root) that no checkpoint would look at, so that their changes are none.

        Those are git's own, the store's, and what is ignored, but for memory stores and what include rules name.
        """
        with self._here.workspace() as workspace:
            return operations.find_unheard(workspace, paths)

    @contextmanager
    def hold_watch(self) -> Iterator[None]:
        """Be the only one that watches this working tree. Raises LockedError when somebody does already."""
        with self._here.workspace() as workspace:
            lock = workspace.store.layout.watch_lock(workspace.timeline)
        with ExitStack() as stack:
            try:
                stack.enter_context(locks.hold(lock, timeout_s=0))
            except LockedError as cause:
                shown = display(str(self.root))
                raise LockedError(f"{shown} is watched already: {cause.message}", hint="one watch is enough") from cause
            yield

    def list_operations(self, timeline: str | None = None, *, limit: int | None = None) -> list[Operation]:
        """Return the operations of a timeline, the newest first."""
        store = self._find_store(timeline)
        if store is None:
            return []
        found = operations.read_operations(store, timeline or self.timeline)[::-1]
        return found if limit is None else found[:limit]

    def read_graph(self, *, everything: bool = False, limit: int | None = None) -> Graph:
        """Return the newest checkpoints of all timelines, and from which each of them comes. Takes no lock.

        Without `everything` automatic and safety ones are left out, but where lines meet.
        """
        store = self._find_store(None)
        history = operations.read_history(store) if store else operations.History(())
        return operations.build_graph(history, everything=everything, limit=limit)

    @contextmanager
    def _diff(self, old: str, new: str | None) -> Iterator[StateDiff]:
        rows = [self.find_checkpoint(name) for name in (old, new) if name is not None]
        with (
            self._here.workspace() as workspace,
            operations.open_diff(workspace, rows[0], rows[1] if new else None) as found,
        ):
            yield found

    def _plan_step(self, kind: OperationKind, overwrite: bool) -> tuple[Operation, Plan]:
        self._require_steps(kind)
        with self._here.workspace() as workspace:
            return operations.plan_step(workspace, kind, checkpoints.Options(overwrite=overwrite))

    def _step(self, kind: OperationKind, overwrite: bool, plan_id: str | None) -> Outcome:
        self._require_steps(kind)
        with self._here.workspace() as workspace:
            options = checkpoints.Options(overwrite=overwrite)
            return _fitting(workspace, partial(operations.step, workspace, kind, options, plan_id))

    def _require_steps(self, kind: OperationKind) -> None:
        if self._here.find_store() is None:
            raise NothingToUndoError(f"nothing to {kind.value}: there are no checkpoints here yet")


def _fitting(workspace: Workspace, work: Callable[[], _Result]) -> _Result:
    """Do what takes a checkpoint; when that does not fit, give back first what no checkpoint needs, and try again."""
    try:
        return work()
    except (QuotaExceededError, LowSpaceError):
        if not maintenance.make_room(workspace):
            raise
    return work()


def _selection(paths: Sequence[str]) -> tuple[TreePath, ...]:
    """Paths as the rooms below know them; the root itself is everything, and nothing stands for everything."""
    return () if "." in paths else tuple(map(parse_tree_path, paths))


def _options(
    workspace: Workspace, paths: Sequence[str], head: bool, include: Sequence[str], code: bool, memory: bool,
    stores: Sequence[str], aside: Sequence[Path | str],
) -> Options:  # fmt: skip
    selection = _selection(paths)
    if head and (selection or stores or not code):
        raise UsageError("HEAD can be moved with all of the code only", hint="leave out --head, or what narrows it")
    if stores and (selection or not memory):
        raise UsageError("stores go by themselves", hint="leave out --store, or --path and --code")
    if not code and not memory:
        raise UsageError("neither code nor memory is nothing at all", hint="leave out --code and --memory for both")
    forced = workspace.expand(tuple(map(parse_tree_path, include)))
    return checkpoints.Options(selection, head, False, forced, code, memory, tuple(stores), workspace.texts_of(aside))
