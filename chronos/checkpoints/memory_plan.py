"""Planning what a restore or undo does to memory stores: each is replaced whole, made, removed, or kept."""

from __future__ import annotations

import os
from collections.abc import Container, Iterable, Mapping
from typing import Protocol

from chronos.checkpoints.capture import Capture
from chronos.checkpoints.changes import StoreChange, StoreSide, held_identity
from chronos.checkpoints.manifest import UNCAPTURED, Reason, ReceiptRow, decode_rows
from chronos.checkpoints.plan import Kept, Options, Plan
from chronos.checkpoints.states import MemoryState, State
from chronos.files import PathKind, SafeRoot, TreePath, display, is_inside, to_text, unescape
from chronos.memory import FOUND_FOLDER, MemoryFile, StorePlace, overlap
from chronos.pool import PoolReader

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
        """Tell whether code stood at `path` or below it, captured or as in its base."""
        ...


class StorePlanner:
    """Compare stores by their places: a name may have changed. `places` are those that are known here.

    What no capture takes stays where it is, so that a place that holds nothing else counts as one where nothing is.
    What is at the paths of `code` is asked for as code.
    """

    def __init__(
        self, present: Capture, places: Iterable[StorePlace], options: Options, plan: Plan, pool: PoolReader,
        code: Container[TreePath] = (),
    ) -> None:  # fmt: skip
        self._root = present.repositories[b""].root
        self._state = present.state
        self._present = {part.record.path: part for part in present.state.memory.values()}
        self._pool = pool
        self._places = {place.path: place for place in places}
        self._options = options
        self._plan = plan
        self._code = code

    def towards(self, target: State, seen_by: SeenBy) -> tuple[StoreChange, ...]:
        """Return the changes that give every store what `target` has; `seen_by` asks what its capture looked at.

        What was found gives way to the places of then before this; where a declared one does not, because it lies in
        another or holds it, nothing is changed: neither would be whole.
        """
        wanted = {part.record.path: part for part in target.memory.values()}
        others = {path: part for path, part in self._present.items() if path not in wanted}
        self._note_paths_inside((*wanted.values(), *others.values()))
        self._note_unheld(target, wanted)
        self._note_committed(wanted.values(), seen_by)
        found = [
            self._restore(part, target) for path, part in wanted.items() if not self._is_divided(path, part, others)
        ]
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
            if held_identity(now) == held_identity(change.after) or not self._may_change(change.path, change.after):
                continue
            if held_identity(now) != held_identity(change.before) and not overwrite:
                self._keep(change.path, "written to since; add --overwrite to replace it")
                continue
            found.append(StoreChange(change.name, change.path, now, change.after))
        return tuple(found)

    def _restore(self, part: MemoryState, target: State) -> StoreChange | None:
        record = part.record
        if not self._covers(record.name, record.path):
            return None
        before, after = self._now(record.path), StoreSide.of(record)
        if held_identity(before) == held_identity(after) or not self._may_change(record.path, after):
            return None
        row = target.is_left_out(unescape(record.path))
        if held_identity(after) is None and row is not None and row.reason in UNCAPTURED:
            self._keep(record.path, f"the checkpoint does not hold it: {row.reason.value}")
            return None
        if record.is_torn:
            name = display(record.name)
            self._plan.warnings.append(f"memory store {name} would not hold still when the checkpoint was taken")
        return StoreChange(record.name, record.path, before, after)

    def _covers(self, name: str, path: str) -> bool:
        return unescape(path) in self._code or self._options.covers_store(name, path)

    def _is_divided(self, path: str, part: MemoryState, others: Mapping[str, MemoryState]) -> bool:
        other = next((other for other in others if overlap(path, other)), None)
        if other is None or not self._covers(part.record.name, path):
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

    def _note_committed(self, parts: Iterable[MemoryState], seen_by: SeenBy) -> None:
        """Name a database that git has, that differs, and that the code is asked for without: it is memory by now."""
        for record in (part.record for part in parts if part.record.is_inside):
            path = unescape(record.path)
            if not self._options.covers(path) or self._covers(record.name, record.path):
                continue
            is_same = held_identity(self._now(record.path)) == held_identity(StoreSide.of(record))
            if not is_same and not is_inside(path, FOUND_FOLDER.encode()) and seen_by.has_code_at(path):
                self._keep(record.path, "a memory store, then or now: it comes with --memory or --store")

    def _note_unheld(self, target: State, wanted: Container[str]) -> None:
        """Name what came later at a place that was found and of which nothing is held: it stays."""
        for path, place in self._places.items():
            if not place.is_found or path in wanted or path in self._present:
                continue
            row, before = _find_row(self._state, path), _find_row(target, path)
            if row is not None and before is None and self._covers(place.name, path):
                self._keep(path, f"not captured: {row.detail or row.reason.value}")

    def _remove(self, part: MemoryState, target: State, seen_by: SeenBy) -> StoreChange | None:
        """A store that came later goes when the target's capture would have found it, and nobody declared it."""
        record = part.record
        if not self._covers(record.name, record.path) or held_identity(StoreSide.of(record)) is None:
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
            self._keep(
                record.path, "a memory store now, and code then; move it away and restore again, or use `--into`"
            )
        else:
            return StoreChange(record.name, record.path, StoreSide.of(record), None)
        return None

    def _may_change(self, path: str, after: StoreSide | None) -> bool:
        """Tell whether a place may be given what `after` says; if not, a kept row has the reason."""
        reason = _OUTSIDE if os.path.isabs(path) and path not in self._places else self._find_obstacle(path, after)
        if reason is not None:
            self._keep(path, reason)
        return reason is None

    def _find_obstacle(self, path: str, after: StoreSide | None) -> str | None:
        data = unescape(path)
        row = self._state.is_left_out(data)
        if held_identity(self._now(path)) is None and row is not None and row.reason in UNCAPTURED:
            return f"not captured: {row.detail or row.reason.value}"
        if after is None:
            return None
        if not os.path.isabs(path):
            with SafeRoot(self._root) as tree:
                above = next((folder for folder in _folders_above(data) if not _is_folder(tree, folder)), None)
                if above is not None and tree.find_stat(above) is not None:
                    return f"{display(above)} is no folder now; restore the memory again when it has gone"
                stat = tree.find_stat(data) if above is None else None
                if stat is not None and stat.kind is PathKind.LINK:
                    return f"{display(data)} is a link now; restore the memory again when it has gone"
        blocker = self._find_blocker(data, after)
        if blocker is None:
            return None
        if blocker.path.rstrip(b"/") != data:
            return (
                f"{display(blocker.path)}, which no checkpoint holds ({blocker.reason.value}), is in the way of what "
                "was there; restore it again when that is elsewhere"
            )
        return f"{display(blocker.path)} is not captured, and in the way"

    def _find_blocker(self, place: TreePath, after: StoreSide) -> ReceiptRow | None:
        """Return the row of what lies in a place now, was not taken, and is where a file of `after` would come."""
        rows = [row for row in self._state.receipt if row.reason in UNCAPTURED and is_inside(row.path, place)]
        files = decode_rows(self._pool.read_content(after.files), MemoryFile) if rows else []
        paths = [place + b"/" + file.path if file.path else place for file in files]
        for row in rows:
            own = row.path.rstrip(b"/")
            if any(is_inside(own, path) or is_inside(path, own) for path in paths):
                return row
        return None

    def _now(self, path: str) -> StoreSide | None:
        part = self._present.get(path)
        return StoreSide.of(part.record) if part is not None else None

    def _keep(self, path: str, reason: str) -> None:
        self._plan.kept.append(Kept(unescape(path), reason))


def _find_row(state: State, path: str) -> ReceiptRow | None:
    """Return a row about something at or below a path that was not taken."""
    return next((row for row in state.uncaptured() if is_inside(row.path.rstrip(b"/"), unescape(path))), None)


def _folders_above(path: TreePath) -> list[TreePath]:
    return [path[:at] for at, byte in enumerate(path) if byte == ord("/")]


def _is_folder(tree: SafeRoot, path: TreePath) -> bool:
    stat = tree.find_stat(path)
    return stat is not None and stat.kind is PathKind.FOLDER
