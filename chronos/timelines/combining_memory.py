"""Bringing memory stores together: whole where one side left a store alone, by rows where both wrote to it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from chronos.checkpoints import UNCAPTURED, EntryKind, MemoryState, Options, State, keep_state
from chronos.errors import UnreadableStoreError
from chronos.files import display, translate_os_errors, unescape
from chronos.memory import CaptureWork, MergedText, MergeWork, StorePlace, TableMerge, free_name, get_kind, merge_lines
from chronos.merging import Choice, Conflict, ConflictKind, Resolution, Resolver, Strategy, merge_structured
from chronos.operations import Workspace, write_store
from chronos.pool import ContentSink
from chronos.stat_cache import StatCache

# A child counts the rows of so much in 60 ms (measured, without writing it).
_LARGEST_COUNTED_BYTES = 64 * 1024 * 1024


class StoreResult(msgspec.Struct):
    """What becomes of one memory store: `after` (None: it goes), and in rows what came from the other side."""

    after: MemoryState | None
    summary: str
    tables: tuple[TableMerge, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    notes: tuple[str, ...] = ()


class StoreCombiner:
    """Combines stores by their places: a name may differ from timeline to timeline."""

    def __init__(
        self, workspace: Workspace, sink: ContentSink, strategy: Strategy, resolve: Resolver, options: Options
    ) -> None:
        self._workspace = workspace
        self._sink = sink
        self._strategy = strategy
        self._resolve = resolve
        self._options = options

    def combine(self, base: State, ours: State, theirs: State, scratch: Path) -> dict[str, StoreResult]:
        """Return what happens to the stores that the other side changed, by our name for them."""
        parts = [_by_place(state) for state in (base, ours, theirs)]
        found: dict[str, StoreResult] = {}
        for number, place in enumerate(sorted(parts[0].keys() | parts[2].keys())):
            was, mine, other = (known.get(place) for known in parts)
            name = self._name(mine or other or was, ours)
            if not self._options.covers_store(name, place) or _identity(was) == _identity(other):
                continue
            if _identity(mine) == _identity(other):
                continue
            folder = scratch / f"memory-{number}"
            folder.mkdir()
            if other is None:
                found[name] = _gone_there(place, was, mine, theirs)
            else:
                found[name] = self._combine(name, place, was, mine, other, folder)
        return found

    def _name(self, part: MemoryState | None, ours: State) -> str:
        assert part is not None
        record = part.record
        others = {one.record.name for one in ours.memory.values() if one.record.path != record.path}
        return free_name(record.name, record.path, others)

    def _combine(
        self, name: str, place: str, was: MemoryState | None, mine: MemoryState | None, other: MemoryState,
        folder: Path,
    ) -> StoreResult:  # fmt: skip
        here = self._workspace.place_of(place)
        if mine is None and (os.path.lexists(here) or get_kind(other.record.kind).look(here)):
            return self._in_the_way(name, place)
        if mine is not None and _is_readable(mine) and not _is_readable(other):
            reason = f"a store of kind {mine.record.kind} here, which the other side's cannot be read as"
            return self._ask_whole(name, place, reason, mine, other)
        if _identity(was) == _identity(mine):
            damage = self._find_damage(other, folder) if mine is not None else ""
            if damage:
                return self._ask_whole(name, place, f"damaged on the other side: {damage}", mine, other)
            return StoreResult(_named(other, name), "taken as a whole")
        if mine is None:
            return self._ask_whole(name, place, "deleted here and changed on the other side", mine, other)
        if mine.record.kind != other.record.kind:
            return self._ask_whole(name, place, "of another kind on each side", mine, other)
        return self._merge(name, was, mine, other, folder)

    def _find_damage(self, other: MemoryState, folder: Path) -> str:
        """Return why the rows of a database cannot be counted, or nothing. A capture sees only whether it opens.

        Of a large one, which would have to be written out once more for this, it is said when it has been put in place.
        """
        if not other.record.facts.get("readable") or other.record.bytes > _LARGEST_COUNTED_BYTES:
            return ""
        try:
            get_kind(other.record.kind).summarise(write_store(self._workspace.store.pool, other, folder))
        except UnreadableStoreError as cause:
            return cause.reason
        return ""

    def _in_the_way(self, name: str, place: str) -> StoreResult:
        """What stands here or beside it is not such a memory store, and is not made one."""
        reason = "the other side has a memory store here, and this side something else"
        conflict = Conflict(ConflictKind.HELD, unescape(place), reason, store=name, is_large=True)
        resolution = self._resolve(conflict)
        is_kept = self._strategy is Strategy.OURS or (resolution is not None and resolution.choice is Choice.OURS)
        return StoreResult(None, "kept") if is_kept else StoreResult(None, "conflict", conflicts=(conflict,))

    def _ask_whole(
        self, name: str, place: str, reason: str, mine: MemoryState | None, other: MemoryState
    ) -> StoreResult:
        sides = [part.record.identity.encode() if part is not None else None for part in (mine, other)]
        conflict = Conflict(
            ConflictKind.STORE, unescape(place), reason, ours=sides[0], theirs=sides[1], store=name, is_large=True
        )
        resolution = self._resolve(conflict)
        if resolution is None and self._strategy in (Strategy.OURS, Strategy.THEIRS):
            resolution = Resolution(Choice(self._strategy.value))
        if resolution is None or resolution.choice is Choice.CONTENT:
            return StoreResult(mine, "conflict", conflicts=(conflict,))
        if resolution.choice is Choice.OURS:
            return StoreResult(mine, "kept")
        return StoreResult(_named(other, name), "taken as a whole")

    def _merge(
        self, name: str, was: MemoryState | None, mine: MemoryState, other: MemoryState, folder: Path
    ) -> StoreResult:
        kind, store, path = get_kind(mine.record.kind), self._workspace.store, mine.record.path
        if not hasattr(kind, "merge"):  # one that another package brings, made before there were merges
            return self._ask_whole(name, path, f"stores of kind {kind.name} cannot be merged", mine, other)
        base = was if was is not None and was.record.kind == kind.name else None
        copies = [
            self._copy(part, folder / label) for label, part in (("base", base), ("ours", mine), ("theirs", other))
        ]
        assert copies[1] is not None and copies[2] is not None
        work = MergeWork(
            self._folder(folder / "merged"), unescape(path), name, self._resolve, self._strategy,
            merge_text=self._merge_text,
        )  # fmt: skip
        try:
            with translate_os_errors(f"cannot merge memory store {display(name)}"):
                merged = kind.merge(copies[0], copies[1], copies[2], work)
                if merged.conflicts:
                    return StoreResult(mine, "conflict", conflicts=tuple(merged.conflicts), notes=tuple(merged.notes))
                capture = CaptureWork(
                    self._sink, StatCache({}), store.piece_ids, lambda _path, _size: None, store.config.lock_timeout_s
                )
                state = kind.capture(merged.place, capture)
        except UnreadableStoreError as cause:
            return self._ask_whole(name, path, f"it cannot be merged: {cause.reason}", mine, other)
        place = StorePlace(name, kind.name, self._workspace.place_of(path), path, mine.record.is_found)
        after = keep_state(self._sink, place, state)
        return StoreResult(after, "merged by rows", tuple(merged.tables), notes=tuple(merged.notes))

    def _merge_text(self, path: bytes, base: bytes, ours: bytes, theirs: bytes) -> MergedText | None:
        """Merge a file of a store by lines, and where that leaves something to decide, by its keys."""
        by_lines = merge_lines(self._workspace.git, self._strategy)(path, base, ours, theirs)
        if by_lines is not None and by_lines.is_clean:
            return by_lines
        by_keys = merge_structured(path, base, ours, theirs)
        return MergedText(by_keys, True) if by_keys is not None else by_lines

    def _copy(self, part: MemoryState | None, folder: Path) -> Path | None:
        return write_store(self._workspace.store.pool, part, self._folder(folder)) if part is not None else None

    def _folder(self, folder: Path) -> Path:
        with translate_os_errors(f"cannot write in {folder.parent}"):
            folder.mkdir()
        return folder


def _gone_there(place: str, was: MemoryState | None, mine: MemoryState | None, theirs: State) -> StoreResult:
    """A store that is gone on the other side stays: a missing database is more often lost than meant to go."""
    path = unescape(place)
    left_out, entry = theirs.is_left_out(path), theirs.find_entry(path)
    why = "it is gone on the other side"
    if left_out is not None and left_out.reason in UNCAPTURED:
        why = f"it is not in the other side's checkpoint ({left_out.reason.value})"
    elif entry is not None and entry.kind is not EntryKind.DELETED:
        why = "it is no database that can be read on the other side"
    return StoreResult(mine, "kept", notes=(f"{why}, and kept here",) if mine is not None and was is not None else ())


def _by_place(state: State) -> Mapping[str, MemoryState]:
    return {part.record.path: part for part in state.memory.values()}


def _named(part: MemoryState, name: str) -> MemoryState:
    return msgspec.structs.replace(part, record=msgspec.structs.replace(part.record, name=name))


def _is_readable(part: MemoryState) -> bool:
    """Tell whether a store is more than files as they lie: a damaged database that was found is captured as a file."""
    return part.record.kind != "files" and bool(part.record.facts.get("readable", 1))


def _identity(part: MemoryState | None) -> str | None:
    return part.record.identity if part is not None else None
