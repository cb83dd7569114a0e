"""Planning what a restore or undo does to memory stores: each is replaced whole, made, removed, or kept."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from typing import Protocol

from chronos.checkpoints.changes import StoreChange, StoreSide
from chronos.checkpoints.manifest import UNCAPTURED, Reason, ReceiptRow
from chronos.checkpoints.plan import Kept, Options, Plan
from chronos.checkpoints.states import MemoryState, State
from chronos.files import TreePath, display, is_inside, to_text, unescape
from chronos.memory import FOUND_FOLDER, StorePlace, overlap

_OUTSIDE = (
    "it lies outside the project and is not declared here; `chrono memory extract` writes a copy of what the "
    "checkpoint has, `chrono memory add` declares it"
)


class SeenBy(Protocol):
    """What the capture of a checkpoint looked at."""

    def ignored(self, paths: list[TreePath]) -> set[TreePath]:
        """Return those of `paths` that the checkpoint's own rules ignore."""
        ...

    def has_code_at(self, path: TreePath) -> bool:
        """Tell whether a file of the code stood at `path`, captured or as in its base."""
        ...


class StorePlanner:
    """Compare stores by their places: a name may have changed. `places` are those that are known here."""

    def __init__(self, present: State, places: Iterable[StorePlace], options: Options, plan: Plan) -> None:
        self._state = present
        self._present = {part.record.path: part for part in present.memory.values()}
        self._places = {place.path: place for place in places}
        self._options = options
        self._plan = plan

    def towards(self, target: State, seen_by: SeenBy) -> tuple[StoreChange, ...]:
        """Return the changes that give every store what `target` has; `seen_by` asks what its capture looked at.

        Where the places were divided otherwise, one in the other, nothing is changed: neither would be whole.
        """
        wanted = {part.record.path: part for part in target.memory.values()}
        others = {path: part for path, part in self._present.items() if path not in wanted}
        self._note_paths_inside((*wanted.values(), *others.values()))
        self._note_unheld(target, wanted)
        found = [self._restore(part) for path, part in wanted.items() if not self._is_divided(path, part, others)]
        found += [
            self._remove(part, target, seen_by)
            for path, part in others.items()
            if not self._is_divided(path, part, wanted)
        ]
        return tuple(change for change in found if change is not None)

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
        blocker = self._find_blocker(part)
        if blocker is not None:
            self._keep(record.path, f"{display(blocker)} is not captured, and in the way")
            return None
        if record.is_torn:
            name = display(record.name)
            self._plan.warnings.append(f"memory store {name} would not hold still when the checkpoint was taken")
        return StoreChange(record.name, record.path, before, after)

    def _find_blocker(self, part: MemoryState) -> TreePath | None:
        """Return what lies in the place now, was not taken, and is where a file of `part` would come."""
        place = unescape(part.record.path)
        rows = [row.path.rstrip(b"/") for row in self._state.receipt if row.reason in UNCAPTURED]
        rows = [row for row in rows if is_inside(row, place)]
        wanted = [place + b"/" + file.path if file.path else place for file in part.files] if rows else []
        return next((row for row in rows for path in wanted if is_inside(row, path) or is_inside(path, row)), None)

    def _is_divided(self, path: str, part: MemoryState, others: Mapping[str, MemoryState]) -> bool:
        other = next((other for other in others if overlap(path, other)), None)
        if other is None or not self._options.covers_store(part.record.name, path):
            return False
        self._keep(
            path, f"{display(other)} was a memory store of its own then or is now; `chrono memory extract` gives it"
        )
        return True

    def _note_paths_inside(self, parts: Iterable[MemoryState]) -> None:
        """A store is restored as a whole: say so of a path that lies in one."""
        for part in parts:
            place = unescape(part.record.path)
            for path in self._options.paths:
                if path != place and is_inside(path, place):
                    self._keep(to_text(path), f"it belongs to memory store {display(part.record.name)}: use --store")

    def _note_unheld(self, target: State, wanted: Container[str]) -> None:
        """Name what came later at a place that was found and of which nothing is held: it stays."""
        for path, place in self._places.items():
            if not place.is_found or path in wanted or path in self._present:
                continue
            row, before = _find_row(self._state, path), _find_row(target, path)
            if row is not None and before is None and self._options.covers_store(place.name, path):
                self._keep(path, f"not captured: {row.detail or row.reason.value}")

    def _remove(self, part: MemoryState, target: State, seen_by: SeenBy) -> StoreChange | None:
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
        elif not is_looked_at and seen_by.ignored([path]):
            self._keep(record.path, "ignored when the checkpoint was taken")
        elif seen_by.has_code_at(path):
            self._keep(record.path, "a memory store now, and a file of the code then, which git or `--into` gives")
        else:
            return StoreChange(record.name, record.path, StoreSide.of(record), None)
        return None

    def _may_change(self, name: str, path: str) -> bool:
        data = unescape(path)
        if data.startswith(b"/") and path not in self._places:
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


def _find_row(state: State, path: str) -> ReceiptRow | None:
    """Return a row about something at or below a path that was not taken."""
    return next((row for row in state.uncaptured() if is_inside(row.path.rstrip(b"/"), unescape(path))), None)


def _identity(side: StoreSide | None) -> str | None:
    return side.identity if side is not None else None
