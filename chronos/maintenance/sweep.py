"""Giving the disk back what no checkpoint needs: dead packs are dropped, half-dead ones rewritten without the rest.

What is in a pack is read from the pack, never from the catalog. A pack is compared with its hash while its live chunks
are copied, as they are stored; one that is damaged is left alone and named. New packs are durable and indexed before
the old ones go, and hold no more than 256 MiB, which is all the space that is ever needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from enum import Enum

import msgspec

from chronos.checkpoints import Store, drop_packs, list_timelines, replace_packs
from chronos.errors import ChronosError, DamagedPackError, IntegrityError, StorageError
from chronos.files import free_bytes
from chronos.layout import ChunkLocation
from chronos.maintenance.marking import key_of
from chronos.pool import (
    PACK_LIMIT_BYTES,
    RECORD_BYTES,
    PackFile,
    PackWriter,
    WrittenPack,
    copy_chunks,
    read_pack_index,
)

_SPARE_BYTES = 1024 * 1024  # for the index of a new pack and the folders that it needs


class Fate(str, Enum):
    """What becomes of a pack."""

    KEEP = "keep"
    DROP = "drop"
    REWRITE = "rewrite"
    DAMAGED = "damaged"


class PackReport(msgspec.Struct, frozen=True):
    """A pack: its size, the bytes of its chunks that are needed and no other pack holds, and what becomes of it."""

    timeline: str
    name: str
    size: int
    live_bytes: int
    dead_bytes: int
    fate: Fate
    problem: str = ""


class SweepPlan(msgspec.Struct):
    """What a sweep would do. `lost_chunks` is how many chunks are needed and lie in no pack that can be read.

    `spared` are ids of live chunks that a pack need not hold, because another one has them whole.
    """

    packs: list[PackReport] = msgspec.field(default_factory=list)
    live_chunks: int = 0
    dead_chunks: int = 0
    lost_chunks: int = 0
    spared: dict[tuple[str, str], set[bytes]] = msgspec.field(default_factory=dict)

    def with_fate(self, fate: Fate) -> list[PackReport]:
        """Return the packs that share a fate."""
        return [pack for pack in self.packs if pack.fate is fate]

    @property
    def live_bytes(self) -> int:
        """The bytes of chunks that are needed."""
        return sum(pack.live_bytes for pack in self.packs)

    @property
    def dead_bytes(self) -> int:
        """The bytes of all other chunks."""
        return sum(pack.dead_bytes for pack in self.packs)

    @property
    def freed_bytes(self) -> int:
        """What the disk gets back."""
        dropped, rewritten = self.with_fate(Fate.DROP), self.with_fate(Fate.REWRITE)
        return sum(pack.size for pack in dropped) + sum(pack.dead_bytes for pack in rewritten)

    @property
    def extra_bytes(self) -> int:
        """The space that is needed on the way: that of the largest new pack."""
        batches = _batches(self.with_fate(Fate.REWRITE), PACK_LIMIT_BYTES - _SPARE_BYTES)
        return max((sum(pack.live_bytes for pack in batch) for batch in batches), default=0)


def plan_sweep(store: Store, live: set[int], least_dead: float) -> SweepPlan:
    """Look into every pack and decide; one is rewritten when at least the share `least_dead` of it is dead."""
    plan, seen, repeated = SweepPlan(), set[int](), set[int]()
    indexed: list[tuple[str, str]] = []
    for timeline, name in _list_packs(store):
        try:
            pack = read_pack_index(store.layout.pack(timeline, name))
        except (IntegrityError, StorageError) as cause:
            plan.packs.append(PackReport(timeline, name, 0, 0, 0, Fate.DAMAGED, cause.message))
            continue
        found = {key_of(chunk_id) for chunk_id, _ in pack.chunks} & live
        repeated |= found & seen
        seen |= found
        plan.live_chunks += len(found)
        plan.dead_chunks += len(pack.chunks) - len(found)
        plan.packs.append(_judge(pack, timeline, lambda chunk_id: key_of(chunk_id) in live, least_dead))
        indexed.append((timeline, name))
    plan.lost_chunks = len(live) - len(seen)
    if repeated:
        _spare_copies(store, plan, indexed, repeated)
        plan.packs = [_judge_again(store, plan, pack, live, least_dead) for pack in plan.packs]
    return plan


def sweep(store: Store, plan: SweepPlan, live: set[int], progress: Callable[[int, int], None] | None) -> list[str]:
    """Carry a plan out, dead packs first; return what could not be done, as sentences. Needs the exclusive lock.

    Whatever it is stopped at, every chunk that is needed lies in a pack, and the next sweep does the rest.
    """
    for timeline in {pack.timeline for pack in plan.with_fate(Fate.DROP)}:
        names = [pack.name for pack in plan.with_fate(Fate.DROP) if pack.timeline == timeline]
        drop_packs(store, timeline, names)
    waiting, total = plan.with_fate(Fate.REWRITE), len(plan.with_fate(Fate.REWRITE))
    problems: list[str] = []
    while waiting:
        room = min(PACK_LIMIT_BYTES, free_bytes(store.layout.system)) - _SPARE_BYTES
        batch = next(_batches(waiting, room), [])
        if not batch:
            problems.append(f"{len(waiting)} half-dead packs wait: the disk has no space for the smallest new one")
            break
        problems += _rewrite(store, plan, batch, live)
        waiting = [pack for pack in waiting if pack not in batch]
        if progress is not None:
            progress(total - len(waiting), total)
    return problems


def _rewrite(store: Store, plan: SweepPlan, batch: list[PackReport], live: set[int]) -> list[str]:
    """Make one new pack out of a batch; a damaged one is taken out of it, left alone and named."""
    timeline, problems = batch[0].timeline, []
    batch = list(batch)
    while batch:
        with store.temporary_folder() as scratch:
            writer = PackWriter(scratch / "rewritten.pack")
            try:
                for pack in batch:
                    _copy(store, plan, pack, live, writer)
                replace_packs(store, timeline, writer.finish(), [pack.name for pack in batch])
                break
            except _DamagedInBatchError as damage:
                problems.append(f"{damage.cause.message}; it is left alone, see `chrono verify`")
                batch.remove(damage.pack)
            finally:
                writer.abandon()
    return problems


class _DamagedInBatchError(Exception):
    def __init__(self, pack: PackReport, cause: ChronosError) -> None:
        super().__init__(cause.message)
        self.pack = pack
        self.cause = cause


def _copy(store: Store, plan: SweepPlan, pack: PackReport, live: set[int], writer: PackWriter) -> None:
    spared = plan.spared.get((pack.timeline, pack.name), set())
    try:
        copy_chunks(
            store.layout.pack(pack.timeline, pack.name),
            lambda chunk_id: key_of(chunk_id) in live and chunk_id not in spared,
            writer,
        )
    except DamagedPackError as cause:
        raise _DamagedInBatchError(pack, cause) from cause


def _batches(packs: Sequence[PackReport], room_bytes: int) -> Iterator[list[PackReport]]:
    """Put packs together that make one new pack, those with the most to gain for the least space first.

    A pack is never spread over two new ones, so that it can go as soon as its new one is there.
    """
    ordered = sorted(packs, key=lambda pack: (pack.timeline, pack.live_bytes, pack.name))
    batch: list[PackReport] = []
    taken = 0
    for pack in ordered:
        if batch and (pack.timeline != batch[0].timeline or taken + pack.live_bytes > room_bytes):
            yield batch
            batch, taken = [], 0
        if pack.live_bytes <= room_bytes:
            batch.append(pack)
            taken += pack.live_bytes
    if batch:
        yield batch


def _judge(
    pack: WrittenPack, timeline: str, is_needed: Callable[[bytes], bool], least_dead: float
) -> PackReport:  # fmt: skip
    live_bytes = dead_bytes = 0
    for chunk_id, place in pack.chunks:
        if is_needed(chunk_id):
            live_bytes += place.stored_bytes + RECORD_BYTES
        else:
            dead_bytes += place.stored_bytes + RECORD_BYTES
    fate = Fate.KEEP
    if not live_bytes:
        fate = Fate.DROP
    elif dead_bytes and dead_bytes >= least_dead * pack.size:
        fate = Fate.REWRITE
    return PackReport(timeline, pack.name, pack.size, live_bytes, dead_bytes, fate)


def _judge_again(store: Store, plan: SweepPlan, report: PackReport, live: set[int], least_dead: float) -> PackReport:
    spared = plan.spared.get((report.timeline, report.name))
    if not spared:
        return report
    pack = read_pack_index(store.layout.pack(report.timeline, report.name))
    return _judge(
        pack, report.timeline, lambda chunk_id: key_of(chunk_id) in live and chunk_id not in spared, least_dead
    )


def _spare_copies(store: Store, plan: SweepPlan, packs: Sequence[tuple[str, str]], repeated: set[int]) -> None:
    """Of each chunk that lies in several packs, choose the copy that stays, and note where the others need not.

    It stays where most is needed anyway, and only a copy that has just been read whole counts.
    """
    shares = {(pack.timeline, pack.name): pack.live_bytes / max(pack.size, 1) for pack in plan.packs}
    places: dict[bytes, list[tuple[tuple[str, str], ChunkLocation]]] = {}
    for home in sorted(packs, key=lambda home: (-shares[home], home)):
        for chunk_id, place in read_pack_index(store.layout.pack(*home)).chunks:
            if key_of(chunk_id) in repeated:
                places.setdefault(chunk_id, []).append((home, place))
    for chunk_id, copies in places.items():
        homes = [home for home, place in copies if len(copies) > 1 and _is_whole(store, chunk_id, home, place)]
        for home, _ in copies if homes else ():
            if home != homes[0]:
                plan.spared.setdefault(home, set()).add(chunk_id)


def _is_whole(store: Store, chunk_id: bytes, home: tuple[str, str], place: ChunkLocation) -> bool:
    try:
        pack = PackFile(store.layout.pack(*home))
    except StorageError:
        return False
    try:
        pack.read(chunk_id, place)
    except (IntegrityError, StorageError):
        return False
    finally:
        pack.close()
    return True


def _list_packs(store: Store) -> Iterator[tuple[str, str]]:
    for timeline in list_timelines(store.layout):
        for path in sorted(store.layout.packs(timeline).glob("*.pack")):
            yield timeline, path.stem
