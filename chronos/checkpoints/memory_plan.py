"""Planning what a restore or undo does to memory stores: each is replaced whole, made, removed, or kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from chronos.checkpoints.changes import StoreChange, StoreSide
from chronos.checkpoints.manifest import UNCAPTURED, Reason
from chronos.checkpoints.plan import Kept, Options, Plan
from chronos.checkpoints.states import MemoryState, State
from chronos.files import TreePath, display, is_inside, unescape
from chronos.memory import FOUND_FOLDER, StorePlace

_OUTSIDE = "it lies outside the project and is not declared here; `chrono memory add` declares it"


class StorePlanner:
    """Compare stores by their places: a name may have changed. `places` are those that are known here."""

    def __init__(self, present: State, places: Iterable[StorePlace], options: Options, plan: Plan) -> None:
        self._state = present
        self._present = {part.record.path: part for part in present.memory.values()}
        self._known = {place.path for place in places}
        self._options = options
        self._plan = plan

    def towards(self, target: State, ignored: Callable[[list[TreePath]], set[TreePath]]) -> tuple[StoreChange, ...]:
        """Return the changes that give every store what `target` has; `ignored` asks the target's own rules."""
        wanted = {part.record.path: part for part in target.memory.values()}
        changes = [change for part in wanted.values() if (change := self._restore(part)) is not None]
        others = [part for path, part in self._present.items() if path not in wanted]
        return (*changes, *(change for part in others if (change := self._remove(part, target, ignored)) is not None))

    def back(self, changes: Iterable[StoreChange], *, overwrite: bool) -> tuple[StoreChange, ...]:
        """Return the changes that bring `after` back, but for stores that were written to since `before`."""
        found = []
        for change in changes:
            now = self._now(change.path)
            if not self._may_change(change.name, change.path) or _identity(now) == _identity(change.after):
                continue
            if _identity(now) != _identity(change.before) and not overwrite:
                self._keep(change.path, "written to since; add --overwrite to replace it")
                continue
            found.append(StoreChange(change.name, change.path, now, change.after))
        return tuple(found)

    def _restore(self, part: MemoryState) -> StoreChange | None:
        record = part.record
        if not self._options.covers_store(record.name, record.path):
            return None
        before, after = self._now(record.path), StoreSide.of(record)
        if _identity(before) == _identity(after) or not self._may_change(record.name, record.path):
            return None
        if record.is_torn:
            name = display(record.name)
            self._plan.warnings.append(f"memory store {name} would not hold still when the checkpoint was taken")
        return StoreChange(record.name, record.path, before, after)

    def _remove(
        self, part: MemoryState, target: State, ignored: Callable[[list[TreePath]], set[TreePath]]
    ) -> StoreChange | None:
        """A store that came later goes when the target's capture would have found it, and nobody declared it."""
        record = part.record
        if not self._options.covers_store(record.name, record.path):
            return None
        path = unescape(record.path)
        row, is_looked_at = target.is_left_out(path), is_inside(path, FOUND_FOLDER.encode())
        if row is not None and row.reason is Reason.EXPORT:
            self._keep(record.path, f"the checkpoint does not hold it: {row.reason.value}: {row.detail}")
        elif not record.is_found:
            self._keep(record.path, "a memory store that was not declared when the checkpoint was taken")
        elif row is not None and (row.reason in UNCAPTURED or not is_looked_at):
            self._keep(record.path, f"the checkpoint does not hold it: {row.reason.value}")
        elif not is_looked_at and ignored([path]):
            self._keep(record.path, "ignored when the checkpoint was taken")
        elif target.find_entry(path) is not None:
            self._keep(record.path, "a memory store now, and a file of the code in the checkpoint")
        else:
            return StoreChange(record.name, record.path, StoreSide.of(record), None)
        return None

    def _may_change(self, name: str, path: str) -> bool:
        data = unescape(path)
        if data.startswith(b"/") and path not in self._known:
            self._keep(path, _OUTSIDE)
            return False
        row = self._state.is_left_out(data)
        if path not in self._present and row is not None and row.reason in UNCAPTURED:
            self._keep(path, f"not captured: {row.detail or row.reason.value}")
            return False
        return True

    def _now(self, path: str) -> StoreSide | None:
        part = self._present.get(path)
        return StoreSide.of(part.record) if part is not None else None

    def _keep(self, path: str, reason: str) -> None:
        self._plan.kept.append(Kept(unescape(path), reason))


def _identity(side: StoreSide | None) -> str | None:
    return side.identity if side is not None else None
