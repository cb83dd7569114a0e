"""Replacing memory stores, all or none: they come before the code, and one that cannot be replaced undoes the others.

They go side by side, so that many small ones wait for the disk as often as one (see `chronos.memory.steps`).

May be run again after a crash. What stands at each place is captured (in memory) and compared with both sides first:
what is `after` already is done, what is `before` or gone is replaced, anything else was written to by somebody.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TypeAlias

from chronos.checkpoints.changes import StoreChange, StoreSide, held_identity
from chronos.checkpoints.manifest import check_memory_files, decode_rows
from chronos.checkpoints.memory import find_fact, refusals, stats_key
from chronos.checkpoints.packs import cache_only
from chronos.checkpoints.policy import CapturePolicy
from chronos.checkpoints.store import Store
from chronos.errors import (
    ChronosError,
    IntegrityError,
    InterruptedOperationError,
    OutsideError,
    RefusedError,
    StorageError,
    StoreChangedError,
)
from chronos.file_users import find_users, name_users
from chronos.files import display, remove_tree, translate_os_errors, unescape
from chronos.memory import (
    CaptureWork,
    MemoryFile,
    Pause,
    Present,
    ReplaceWork,
    SteppedKind,
    Steps,
    StoreState,
    carry_out,
    draft_beside,
    get_kind,
    is_allowed,
    is_unsettled,
    place_of,
    settle_place,
)
from chronos.pool import CHUNK_ID_BYTES, HashingSink
from chronos.stat_cache import StatCache

# How many checked states are remembered for each place, but for the newest.
_MOST_SOUND = 63

_Numbered: TypeAlias = tuple[int, StoreChange]


class StoreApplier:
    """Replace stores under the timeline's lock, with a journal already on disk.

    Places out of the root are written to only when `policy` knows them, so that they are declared on this machine.
    `read` names the stores whose present bytes this operation has read already, and `waited_s` says, by path, for how
    long it has waited for the users of one: all it does with a store waits as long as the settings say, and no longer.
    """

    def __init__(
        self, store: Store, policy: CapturePolicy, trash: Path, read: Collection[str] = (),
        waited_s: Mapping[str, float] | None = None,
    ) -> None:  # fmt: skip
        self._root = policy.root
        self._store = store
        self._policy = policy
        self._read = read
        self._trash = trash
        self._outside = {place.path: place.place for place in policy.places if not place.is_inside}
        self.notes: list[str] = []
        self.replaced: list[str] = []
        self.kept: list[tuple[str, str]] = []
        self.is_half_done = False
        self._left_on_way: list[Path] = []
        self._waited_s = dict(waited_s or {})

    def apply(self, changes: Iterable[StoreChange], *, is_resumed: bool = False, way: str = "store") -> None:
        """Make every change, or none. After a crash (`is_resumed`) what was written to since is kept and named.

        Each change has a trash of its own, named by the `way` that the whole goes: a run after a crash finds in it what
        the one before moved away. What frees a place comes first.

        Raises StoreInUseError, StoreChangedError, IntegrityError or StorageError, and then every store is as it was
        unless it `is_half_done`: one could not be taken back either, or can only be carried on.
        """
        done: list[_Numbered] = []
        self._left_on_way = self._unsettled()
        try:
            self._make(way, enumerate(changes), done, is_resumed=is_resumed)
        except ChronosError as cause:
            if self.is_half_done or self._unsettled():
                raise self._half_done(cause.message, cause) from cause
            self._take_back(way, done, cause)
            raise
        self.replaced = [change.name for _, change in done]

    def _make(self, way: str, changes: Iterable[_Numbered], done: list[_Numbered], *, is_resumed: bool = False) -> None:
        """Make changes; what was made, and not found so, is added to `done`."""
        for batch in _batches(self._root, changes):

            def note(made: _Numbered | None) -> None:
                done.extend([made] if made is not None else [])

            carry_out((self._apply(way, number, change, is_resumed=is_resumed) for number, change in batch), note)

    def _take_back(self, way: str, done: list[_Numbered], cause: ChronosError) -> None:
        try:
            self._make("store-back", [(number, change.inverted()) for number, change in reversed(done)], [])
        except ChronosError as failed:
            raise self._half_done(f"{cause.message}; and going back failed: {failed.message}", failed) from failed
        for number, _ in done:  # both states are held, and one is at its place
            for ending in ("", "-old", "-again"):
                remove_tree(self._trash / f"{way}-{number}{ending}")
                remove_tree(self._trash / f"store-back-{number}{ending}")

    def _half_done(self, message: str, cause: ChronosError) -> ChronosError:
        self.is_half_done = True
        kind = StorageError if isinstance(cause, OutsideError) else InterruptedOperationError
        return kind(message, hint=InterruptedOperationError.default_hint)

    def _apply(self, way: str, number: int, change: StoreChange, *, is_resumed: bool) -> Steps[_Numbered | None]:
        place = self._check_place(change)
        with (
            _naming_users(place, change),
            translate_os_errors(f"cannot replace the memory store {display(change.name)}"),
        ):
            self._settle(place, number, change)
            look, identity = self._now(place, change)
            if identity == held_identity(change.after):
                if is_resumed and place.parent.is_dir():
                    yield Pause((place.parent,))  # to sync it may be what failed
                return None
            if identity not in (held_identity(change.before), None):
                if not is_resumed:
                    raise _changed(change)
                self.kept.append((change.path, "written to since the plan was made"))
                return None
            is_known, trash = identity == held_identity(change.before), f"{way}-{number}"
            try:
                yield from self._replace(place, trash, change, look, is_known=is_known)
            except (StorageError, OSError):
                self.is_half_done = self.is_half_done or self._is_made(place, change)
                raise
            if is_resumed and self._now(place, change)[1] != held_identity(change.after):
                raise IntegrityError(f"memory store {display(change.name)} is not what it should be after the recovery")
        return number, change

    def _is_made(self, place: Path, change: StoreChange) -> bool:
        """Tell whether a change that failed was made all the same: what failed was to make it durable."""
        with suppress(ChronosError, OSError):
            return self._now(place, change)[1] == held_identity(change.after)
        return False

    def _replace(
        self, place: Path, trash: str, change: StoreChange, look: tuple[object, ...], *, is_known: bool
    ) -> Steps[None]:
        before, after = change.before, change.after
        is_other_kind = before is not None and after is not None and before.kind != after.kind
        if before is not None and (after is None or is_other_kind):
            work = self._work(f"{trash}-old", change, look)
            self.notes += yield from self._replacing(before.kind, place, change, None, work)
        if after is None:
            return
        try:
            look = self._look_at_rest(place, change, after) if is_other_kind else look
            place.parent.mkdir(parents=True, exist_ok=True)
            work = self._work(trash, change, look)
            work.is_sound = after.files.id in self._sound(place)
            work.stats.known |= self._store.catalog.stats(stats_key(place))
            if is_known and before is not None and not is_other_kind:
                work.present = self._present(before, change.name in self._read)
            self.notes += yield from self._replacing(after.kind, place, change, self._state(after), work)
            self._remember(place, after, work)
        except (ChronosError, OSError, GeneratorExit):  # the last: one beside it failed
            if before is not None and is_other_kind and not self._is_made(place, change):
                self._put_back(place, f"{trash}-again", change, before)
            raise

    def _replacing(
        self, kind: str, place: Path, change: StoreChange, state: StoreState | None, work: ReplaceWork
    ) -> Steps[list[str]]:
        """Let a kind replace a place, in steps if it can."""
        found, left_s = get_kind(kind), work.timeout_s
        try:
            if isinstance(found, SteppedKind):
                return (yield from found.replacing(place, state, work))
            return found.replace(place, state, work)
        finally:
            self._wait(change.path, left_s - work.timeout_s)

    def _put_back(self, place: Path, trash: str, change: StoreChange, before: StoreSide) -> None:
        """Give the old kind its place again, if the new one has nothing there. Failing, it is half done."""
        try:
            work = self._work(trash, change, self._look_at_rest(place, change, before))
            get_kind(before.kind).replace(place, self._state(before), work)
        except (ChronosError, OSError):
            self.is_half_done = True
            raise

    def _look_at_rest(self, place: Path, change: StoreChange, side: StoreSide) -> tuple[object, ...]:
        """Return how what stayed at an emptied place looks to the kind of `side`: what no capture takes, or nothing."""
        if not os.path.lexists(place):
            return ()
        state = self._capture(side.kind, place, change.path)
        if state.files:
            raise _changed(change)
        return state.looks

    def _settle(self, place: Path, number: int, change: StoreChange) -> None:
        """Bring to its end what a run before left on the way at this place, whichever way that went."""
        found = sorted(path.name for path in self._left_on_way if str(number) in path.name.split("-"))
        self.notes += settle_place(place, [self._work(trash, change, None) for trash in found])

    def _unsettled(self) -> list[Path]:
        return [path for path in self._trash.glob("store-*") if is_unsettled(path)]

    def _work(self, trash: str, change: StoreChange, look: tuple[object, ...] | None) -> ReplaceWork:
        folder = self._trash / trash
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        timeout_s, may_take = self._wait(change.path), refusals(self._policy, change.path)
        saved = self._trash.with_suffix(".saved") / f"{trash}.saved"  # where `journals` puts what is saved in the trash
        return ReplaceWork(self._store.pool.iter_content, folder, look, timeout_s, may_take, saved=saved)

    def _present(self, side: StoreSide, was_read: bool) -> Present | None:
        """Return what stands at the place by its content, which the safety checkpoint holds."""
        try:
            state = self._state(side)
        except (IntegrityError, StorageError):
            return None
        return Present(state, self._store.piece_ids, self._store.pool.iter_chunks, was_read)

    def _sound(self, place: Path) -> list[bytes]:
        """Return the lists of files, which name all bytes, of those states that passed their check at this place."""
        found = self._store.catalog.find_fact(f"sound:{stats_key(place)}") or b""
        return [found[start : start + CHUNK_ID_BYTES] for start in range(0, len(found), CHUNK_ID_BYTES)]

    def _remember(self, place: Path, after: StoreSide, work: ReplaceWork) -> None:
        """Keep what the replacement has read and checked, so that it need not be done again."""
        key, catalog = stats_key(place), self._store.catalog
        fresh, gone = work.stats.changes()
        if not fresh and not work.is_sound:
            return
        with cache_only(self._store), catalog.transaction():
            if fresh:
                catalog.update_stats(key, fresh, gone)
            if work.is_sound:
                others = [known for known in self._sound(place) if known != after.files.id]
                catalog.set_fact(f"sound:{key}", b"".join([after.files.id, *others[:_MOST_SOUND]]))

    def _now(self, place: Path, change: StoreChange) -> tuple[tuple[object, ...], str | None]:
        """Return how the place looks, and the identity of what stands there, seen as either side's kind."""
        found: tuple[tuple[object, ...], str | None] = ((), None)
        for side in (change.after, change.before):
            if side is None:
                continue
            with suppress(FileNotFoundError, NotADirectoryError, IsADirectoryError):
                if not os.path.lexists(place) and not get_kind(side.kind).look(place):
                    continue
                state = self._capture(side.kind, place, change.path)
                is_bare = not state.files and place.is_dir()  # what is in it stays, whatever is put there
                found = (state.looks, None if is_bare else state.identity)
            if found[1] == held_identity(side):
                return found
        return found

    def _capture(self, kind: str, place: Path, path: str) -> StoreState:
        key = stats_key(place)
        stats, find = StatCache(self._store.catalog.stats(key)), partial(find_fact, self._store, key)
        timeout_s, may_take = self._wait(path), refusals(self._policy, path)
        work = CaptureWork(HashingSink(), stats, self._store.piece_ids, may_take, timeout_s, find)
        state = get_kind(kind).capture(place, work)
        self._wait(path, state.waited_s)
        return state

    def _wait(self, path: str, more_s: float = 0.0) -> float:
        """Count seconds that a store was waited for; return how long it still may be."""
        self._waited_s[path] = waited_s = self._waited_s.get(path, 0.0) + more_s
        return max(0.0, self._store.config.lock_timeout_s - waited_s)

    def _state(self, side: StoreSide) -> StoreState:
        files = decode_rows(self._store.pool.read_content(side.files), MemoryFile)
        check_memory_files(files)
        return StoreState(side.kind, side.identity, files, facts=dict(side.facts))

    def _check_place(self, change: StoreChange) -> Path:
        """Return the place. Raises RefusedError for one that is neither in the root nor declared here."""
        if os.path.isabs(change.path):
            is_free = change.path in self._outside
        else:
            is_free = is_allowed(self._root, self._store.layout, change.path, self._policy.lessons)
        if not is_free:
            raise RefusedError(
                f"a memory store at {display(change.path)} lies outside the project and is not declared here, or where "
                "none may be",
                hint="declare it with `chrono memory add`, or leave it out with --code",
            )
        return self._outside.get(change.path) or place_of(self._root, change.path)


def _batches(root: Path, changes: Iterable[_Numbered]) -> Iterator[list[_Numbered]]:
    """Yield what may go side by side: nothing that frees a place beside what comes to one, nor two with one draft."""
    waiting = sorted(changes, key=lambda item: item[1].after is not None)
    while waiting:
        frees, drafts = waiting[0][1].after is None, set[Path]()
        batch: list[_Numbered] = []
        later: list[_Numbered] = []
        for number, change in waiting:
            draft = draft_beside(root / os.fsdecode(unescape(change.path)))
            fits = (change.after is None) is frees and draft not in drafts
            drafts.add(draft)
            (batch if fits else later).append((number, change))
        yield batch
        waiting = later


def _changed(change: StoreChange) -> StoreChangedError:
    return StoreChangedError(f"memory store {display(change.name)} was written to since the plan")


@contextmanager
def _naming_users(place: Path, change: StoreChange) -> Iterator[None]:
    """Add to the error of a store that was written to who has it open, where that can be told."""
    try:
        yield
    except StoreChangedError as cause:
        kinds = {side.kind for side in (change.before, change.after) if side is not None}
        paths = {path for kind in kinds for path in get_kind(kind).companions(place)}
        users = [user for user in find_users({place, *paths, *place.rglob("*")}) if not user.is_self]
        if not users:
            raise
        raise StoreChangedError(f"{cause.message}; {name_users(users)} has it open") from cause
