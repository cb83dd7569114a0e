"""Capturing the memory stores of a checkpoint: each as of one instant, all looked at again when the code has been read.

A store whose look has not changed since its last capture costs a few `lstat` calls; see `memory_loose` too. What cannot
be read becomes a receipt row, and never silence.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from chronos.catalog import StatRow
from chronos.checkpoints.manifest import Grade, MemoryRecord, Reason, ReceiptRow, encode_rows, list_ref
from chronos.checkpoints.policy import CapturePolicy
from chronos.checkpoints.states import MemoryState, State
from chronos.checkpoints.store import Store
from chronos.files import TreePath, display, to_text, unescape
from chronos.memory import (
    COMPANION_ENDINGS,
    FOUND_FOLDER,
    CaptureWork,
    MemoryKind,
    StorePlace,
    StoreState,
    Territory,
    free_name,
    get_kind,
    overlap,
)
from chronos.pool import LIST_PROFILE, ContentSink, digest
from chronos.stat_cache import ContentFact, StatCache

if TYPE_CHECKING:
    from chronos.checkpoints.memory_loose import LooseFiles

_ENDINGS = tuple(map(to_text, COMPANION_ENDINGS))
_REASONS = {reason.value: reason for reason in Reason}


class CapturedStore(msgspec.Struct):
    """One memory store as it was read: the rows for the stat cache go under `key`, and a new `fact` beside them.

    `waited_s` says for how long its users had to be waited for, however often it was read.
    """

    place: StorePlace
    kind: MemoryKind
    looks: tuple[object, ...]
    memory: MemoryState
    key: str = ""
    stats: tuple[list[StatRow], list[bytes]] = ([], [])
    waited_s: float = 0.0
    fact: ContentFact | None = None


class MemoryCapture:
    """The stores of one capture, by name. `places` are those that are known before the code is looked at."""

    def __init__(self, store: Store, policy: CapturePolicy, sink: ContentSink, places: Iterable[StorePlace]) -> None:
        self._store = store
        self._policy = policy
        self._sink = sink
        self.places = list(places)
        self._by_path = {place.path: place for place in self.places}
        self.loose: LooseFiles | None = None
        self.stores: dict[str, CapturedStore] = {}
        self._rows: dict[str, list[ReceiptRow]] = {}
        self._warnings: dict[str, list[str]] = {}
        self._torn: dict[str, str] = {}
        self._waited_s: dict[str, float] = {}
        self._vanished: set[str] = set()
        self._last = ""

    @property
    def tree_paths(self) -> set[TreePath]:
        """The paths from the root that belong to stores, and never to the code.

        Where something was found once and nothing is now, the code says so.
        """
        return {path for place in self.places if not self._is_empty(place) for path in place.tree_paths()}

    def add_found(self, paths: Iterable[TreePath]) -> None:
        """Take databases in that the capture of the code came across."""
        found = sorted(set(paths))
        taken = Territory(place.path for place in self.places if place.is_inside and found)
        for path in found:
            text = to_text(path)
            if not taken.overlaps(text):
                taken.add(text)
                name = free_name(text, text, {place.name for place in self.places})
                place = self._policy.root / os.fsdecode(path)
                self._by_path[text] = StorePlace(name, "sqlite", place, text, is_found=True)
                self.places.append(self._by_path[text])

    def read(self, places: Sequence[StorePlace] | None = None) -> None:
        """Capture the stores at `places`, or all."""
        if self.places and self.loose is None:
            from chronos.checkpoints.memory_loose import LooseFiles  # where nothing is kept in mind, nothing is loaded

            self.loose = LooseFiles(self._store, self._policy.root)
        for place in self.places if places is None else places:
            self._forget(place.name)
            try:
                self._read(place)
            except FileNotFoundError:
                self._vanished.add(place.name)
            self._last = place.name

    def moved(self) -> list[StorePlace]:
        """Return the places that were written to before the last store had been read.

        That one was read as of one instant, at which all others, and the code, were as they still are: it may go on.
        """
        places = (place for place in self.places if place.name != self._last or place.name in self._vanished)
        return [p for p in places if p.name in self._vanished or self._look(p) != self._seen(p)]

    def mark_torn(self, places: Iterable[StorePlace]) -> None:
        """Note that these stores were written to all the time."""
        for place in (place for place in places if place.name in self.stores):
            self._torn[place.name] = f"torn: memory store {display(place.name)} was written to during the checkpoint"

    def add_to(self, state: State) -> None:
        """Put everything into the state: stores, receipt rows, warnings, and the grade that they make."""
        state.memory = {name: part.memory for name, part in sorted(self.stores.items())}
        for place in self.places:
            if place.name in self._vanished and os.path.lexists(place.place):
                self._leave_out(place, Reason.UNREADABLE, "it is of another kind, or was replaced while it was read")
            if place.refusal and state.is_left_out(unescape(place.path)) is not None:  # and it is no code either
                self._leave_out(place, Reason.SPECIAL, place.refusal)
            state.warnings += self._warnings.get(place.name, [])
        state.add_rows(row for rows in self._rows.values() for row in rows)
        state.warnings += [self._torn[name] for name in sorted(self._torn)]
        if self._torn:
            state.grade = Grade.TORN

    def _forget(self, name: str) -> None:
        self.stores.pop(name, None)
        self._vanished.discard(name)
        for notes in (self._rows, self._warnings, self._torn):
            notes.pop(name, None)

    def _read(self, place: StorePlace) -> None:
        try:
            if place.refusal:
                return
            kind = place.find_kind()
            look = self._look_as(kind, place)
            if not look:
                if not place.is_found:
                    self._warn(place, f"nothing stands at {display(place.path)}")
                return
            if self._recall(place, kind, look):
                return
            if place.is_found and _size_of(place) > self._policy.config.max_capture_bytes:
                self._leave_out(place, Reason.OVER_LIMIT, "declare it with `chrono memory add` to have it captured")
                return
            self._take(place, kind)
        except FileNotFoundError:
            raise
        except OSError as cause:
            self._leave_out(place, Reason.UNREADABLE, cause.strerror or str(cause))

    def _recall(self, place: StorePlace, kind: MemoryKind, look: tuple[object, ...]) -> bool:
        """Take a loose file as it was captured last, if it may be taken now and looks as it did."""
        memory = self.loose.find(place, kind, look) if self.loose is not None else None
        if memory is None or (place.is_found and memory.record.bytes > self._policy.config.max_capture_bytes):
            return False
        if self._policy.refusal(unescape(place.path), memory.record.bytes, included=True) is not None:
            return False
        self.stores[place.name] = CapturedStore(place, kind, look, memory)
        return True

    def _take(self, place: StorePlace, kind: MemoryKind) -> None:
        key = stats_key(place.place)
        stats = StatCache(self._store.catalog.stats(key))
        waited_s = self._waited_s.get(place.name, 0.0)
        may_take = refusals(self._policy, place.path)
        timeout_s = max(0.0, self._store.config.lock_timeout_s - waited_s)
        find = partial(find_fact, self._store, key)
        work = CaptureWork(self._sink, stats, self._store.piece_ids, may_take, timeout_s, find)
        found = kind.capture(place.place, work)
        self._waited_s[place.name] = waited_s = waited_s + found.waited_s
        if not found.is_unheld:
            state = keep_state(self._sink, place, found)
            self.stores[place.name] = CapturedStore(
                place, kind, found.looks, state, key, stats.changes(), waited_s, found.fact
            )  # fmt: skip
            if self.loose is not None and not (found.left_out or found.notes or found.is_torn):
                self.loose.remember(found.looks, stats, state)
        self._note(place, found)

    def _note(self, place: StorePlace, found: StoreState) -> None:
        for row in found.left_out:
            reason = _REASONS.get(row.reason, Reason.UNREADABLE)
            detail = row.detail if row.reason in _REASONS else row.reason
            if reason is Reason.SECRET and row.path:  # its place is no secret
                detail = f"a secret in memory store {display(place.name)}"
            path = unescape(place.path) + (b"/" + row.path if row.path else b"")
            self._rows.setdefault(place.name, []).append(ReceiptRow(path, reason, row.size, detail))
        for note in found.notes:
            self._warn(place, note)
        if found.is_torn:
            from chronos.file_users import find_users, name_users  # most stores hold still

            users = [user for user in find_users({place.place, *place.companions()}) if not user.is_self]
            who = f": {name_users(users)} has it open" if users else ""
            self._torn[place.name] = f"torn: memory store {display(place.name)} would not hold still{who}"

    def _look(self, place: StorePlace) -> tuple[object, ...]:
        if place.refusal:
            return ()
        try:
            part = self.stores.get(place.name)
            return self._look_as(part.kind if part else place.find_kind(), place)
        except OSError:
            return ()

    def _is_empty(self, place: StorePlace) -> bool:
        """Tell whether nothing is where a store was found in the code."""
        is_known = not place.is_found or overlap(place.path, FOUND_FOLDER) or os.path.lexists(place.place)
        return not is_known and not self._look(place)

    def _look_as(self, kind: MemoryKind, place: StorePlace) -> tuple[object, ...]:
        look = kind.look(place.place)
        return () if look and self._is_others(kind, place) else look

    def _is_others(self, kind: MemoryKind, place: StorePlace) -> bool:
        """Tell whether what a store would be made of belongs to others.

        What lies beside a database belongs to it, and not to what was found there. Where that is gone and has left
        something, this is what it was seen as: the state of its place, or stores by themselves.
        """
        path = place.path
        if place.is_found:
            for main in (path.removesuffix(ending) for ending in _ENDINGS if path.endswith(ending)):
                owner = self._by_path.get(main)
                if owner is not None and os.path.lexists(owner.place) and place.place in owner.companions():
                    return True
        is_left = bool(kind.companions(place.place)) and not os.path.lexists(place.place)
        return is_left and any(path + ending in self._by_path for ending in _ENDINGS)

    def _seen(self, place: StorePlace) -> tuple[object, ...]:
        part = self.stores.get(place.name)
        return part.looks if part is not None else self._look(place) if self._rows.get(place.name) else ()

    def _warn(self, place: StorePlace, note: str) -> None:
        self._warnings.setdefault(place.name, []).append(f"memory store {display(place.name)}: {note}")

    def _leave_out(self, place: StorePlace, reason: Reason, detail: str) -> None:
        row = ReceiptRow(unescape(place.path), reason, _size_of(place), detail)
        self._rows.setdefault(place.name, []).append(row)


def keep_state(sink: ContentSink, place: StorePlace, found: StoreState) -> MemoryState:
    """Put the list of a store's files into `sink`; return the store as a state has it at `place`."""
    files = sorted(found.files, key=lambda file: file.path)
    listed = sink.add_bytes(encode_rows(files), LIST_PROFILE)
    beside = tuple(to_text(os.fsencode(path.name)) for path in get_kind(found.kind).companions(place.place))
    record = MemoryRecord(
        place.name, found.kind, place.path, found.identity, list_ref(listed, len(files)), found.size,
        place.is_found, found.is_torn, found.facts, tuple(found.notes), beside,
    )  # fmt: skip
    return MemoryState(record, tuple(files))


def stats_key(place: Path) -> str:
    """Return the key of a store's rows in the stat cache."""
    return f"memory:{digest(os.fsencode(place)).hex()[:16]}"


def find_fact(store: Store, key: str) -> ContentFact | None:
    """Return what the last capture of the store with this key left to remember, if the pool holds that content."""
    return ContentFact.of(store.catalog.stats(fact_key(key)))


def fact_key(key: str) -> str:
    """Return the key of the row that holds a store's fact, beside its rows in the stat cache."""
    return f"fact:{key}"


def refusals(policy: CapturePolicy, path: str) -> Callable[[bytes, int], str | None]:
    """Return the function that says why a file of the store at `path` must stay out of checkpoints, or None."""
    top = unescape(path)

    def refusal(own: bytes, size: int) -> str | None:
        reason = policy.refusal(top + b"/" + own if own else top, size, included=True)
        return reason.value if reason is not None else None

    return refusal


def _size_of(place: StorePlace) -> int:
    """Return the size of what stands at a place, or else of what a database that is gone has left beside it."""
    sizes = []
    for path in (place.place, *place.companions()):
        with suppress(OSError):
            sizes.append(path.lstat().st_size)
            if path == place.place:
                break
    return sum(sizes)
