"""What a store takes on disk, and who has it: of each checkpoint, timeline and memory store the bytes that are its own.

What is its own is what would come free with it alone; what is shared, others need as well. Each list is read once or,
where several checkpoints have it, twice.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from chronos.catalog import CheckpointRow
from chronos.checkpoints import Manifest, Store, kept_bytes, list_timelines, stored_bytes
from chronos.errors import ChronosError
from chronos.git import Repository
from chronos.maintenance.expiry import folder_of
from chronos.maintenance.marking import ChunkFinder, PartList, iter_lists, key_of, read_manifest_in
from chronos.maintenance.tree_usage import TreeUsage, measure_trees
from chronos.pool import RECORD_BYTES, read_pack_index

_Owner = TypeVar("_Owner", str, tuple[str, str])


class Share(msgspec.Struct, frozen=True):
    """What one owner needs: the bytes that only it does, and those that others do as well. Stored bytes, of packs."""

    unique_bytes: int = 0
    shared_bytes: int = 0
    member_bytes: int = 0

    @property
    def total_bytes(self) -> int:
        """All of it."""
        return self.unique_bytes + self.shared_bytes + self.member_bytes


class Usage(msgspec.Struct):
    """What a store takes. `memory` is keyed by timeline and name; `unread` names checkpoints that cannot be read.

    `dead_bytes` are those of chunks that no checkpoint needs; the bytes of members are those of the files beside the
    manifests, a file that several share by a link counted for each; `kept_bytes` are those of records of operations,
    files that restores saved, and the quarantine.
    """

    checkpoints: list[tuple[CheckpointRow, Share]]
    timelines: dict[str, Share]
    memory: dict[tuple[str, str], Share]
    packs: int
    pack_bytes: int
    dead_bytes: int
    member_bytes: int
    other_bytes: int
    kept_bytes: int
    quota_bytes: int
    unread: list[str]
    trees: list[TreeUsage]

    @property
    def total_bytes(self) -> int:
        """Everything."""
        return self.pack_bytes + self.member_bytes + self.other_bytes + self.kept_bytes


class _Sharing(Generic[_Owner]):
    """Tells apart what one owner has alone and what several have. Each owner's keys are added at once."""

    def __init__(self) -> None:
        self._first: dict[int, _Owner] = {}
        self._several: set[int] = set()
        self._counts: dict[_Owner, int] = {}

    def add(self, owner: _Owner, keys: set[int], sizes: Mapping[int, int]) -> None:
        """Note that `owner` needs these chunks."""
        known = keys & self._first.keys()
        self._several |= known
        self._first.update(dict.fromkeys(keys - known, owner))
        self._counts[owner] = sum(map(sizes.__getitem__, keys & sizes.keys()))

    def shares(self, sizes: Mapping[int, int]) -> dict[_Owner, Share]:
        """Return each owner's share."""
        unique = dict.fromkeys(self._counts, 0)
        for key, owner in self._first.items():
            if key not in self._several:
                unique[owner] += sizes.get(key, 0)
        return {owner: Share(unique[owner], total - unique[owner]) for owner, total in self._counts.items()}

    @property
    def keys(self) -> Iterable[int]:
        """Every chunk that somebody needs."""
        return self._first.keys()


def measure_usage(store: Store, repository: Repository) -> Usage:
    """Measure a store from its folders, and the trees of its timelines. Raises LockedError, StorageError."""
    with store.shared():
        sizes, packs, pack_bytes, chunk_bytes = _measure_packs(store)
        measured = _Measured(store, sizes)
        rows = [*store.catalog.list_checkpoints(), *store.catalog.list_checkpoints(deleted=True)]
        rows.sort(key=lambda row: (row.timeline, -row.sequence))
        for row in rows:
            measured.add(row)
        shares = measured.by_checkpoint.shares(sizes)
        found = [
            (
                row,
                msgspec.structs.replace(shares.get(row.checkpoint_id, Share()), member_bytes=_own_members(store, row)),
            )
            for row in rows
        ]
        kept = kept_bytes(store.layout)
        return Usage(
            found,
            _with_members(measured.timelines(), found),
            measured.memory(),
            packs,
            pack_bytes,
            chunk_bytes - sum(sizes.get(key, 0) for key in measured.by_checkpoint.keys),
            store.catalog.stored_bytes() - sum(size for name in list_timelines(store.layout)
                                               for size in store.catalog.pack_sizes(name).values()),
            stored_bytes(store.catalog, store.layout) - store.catalog.stored_bytes() - kept,
            kept,
            store.config.quota_bytes,
            measured.unread,
            measure_trees(store, repository),
        )  # fmt: skip


class _Measured:
    def __init__(self, store: Store, sizes: Mapping[int, int]) -> None:
        self.by_checkpoint: _Sharing[str] = _Sharing()
        self.unread: list[str] = []
        self._store = store
        self._sizes = sizes
        self._finder = ChunkFinder(store)
        self._keys: dict[tuple[str, type | None, bool], set[int]] = {}
        self._by_timeline: dict[str, set[int]] = {}
        self._by_store: dict[tuple[str, str], set[int]] = {}

    def add(self, row: CheckpointRow) -> None:
        """Add a checkpoint; the lists that it has in common with the one before are not read again."""
        folder = folder_of(self._store, row)
        try:
            parts = list(_parts(read_manifest_in(folder), folder))
            keys = {part.key: self._keys_of(part) for part in parts}
        except ChronosError:
            self.unread.append(row.checkpoint_id)
            return
        self._keys = keys
        for part in parts:
            self._by_store.setdefault((row.timeline, part.part), set()).update(keys[part.key])
        own = set().union(*keys.values())
        self._by_timeline.setdefault(row.timeline, set()).update(own)
        self.by_checkpoint.add(row.checkpoint_id, own, self._sizes)

    def timelines(self) -> dict[str, Share]:
        """Return what each timeline has."""
        return self._share(self._by_timeline)

    def memory(self) -> dict[tuple[str, str], Share]:
        """Return what each part has: the code of each timeline, and its memory stores."""
        return self._share(self._by_store)

    def _share(self, owners: Mapping[_Owner, set[int]]) -> dict[_Owner, Share]:
        sharing: _Sharing[_Owner] = _Sharing()
        for owner, keys in owners.items():
            sharing.add(owner, keys, self._sizes)
        return sharing.shares(self._sizes)

    def _keys_of(self, part: PartList) -> set[int]:
        known = self._keys.get(part.key)
        return self._finder.of_list(part) if known is None else known


def _parts(manifest: Manifest, folder: Path) -> Iterator[PartList]:
    return (part for part in iter_lists(manifest, folder) if part.ref.bytes)


def _measure_packs(store: Store) -> tuple[dict[int, int], int, int, int]:
    """Return the bytes of each chunk by its key, the number of packs, their bytes, and those of all their chunks."""
    sizes: dict[int, int] = {}
    count = total = chunk_bytes = 0
    for timeline in list_timelines(store.layout):
        for path in sorted(store.layout.packs(timeline).glob("*.pack")):
            count, total = count + 1, total + path.stat().st_size
            try:
                chunks = read_pack_index(path).chunks
            except ChronosError:
                continue  # verify names it
            for chunk_id, place in chunks:
                chunk_bytes += sizes.setdefault(key_of(chunk_id), place.stored_bytes + RECORD_BYTES)
    return sizes, count, total, chunk_bytes


def _own_members(store: Store, row: CheckpointRow) -> int:
    """Return the bytes of the files beside a manifest that no other checkpoint shares by a hard link."""
    total = 0
    for place, _, names in os.walk(folder_of(store, row)):
        for name in names:
            found = os.lstat(os.path.join(place, name))
            total += found.st_size if found.st_nlink == 1 else 0
    return total


def _with_members(
    shares: Mapping[str, Share], checkpoints: Iterable[tuple[CheckpointRow, Share]]
) -> dict[str, Share]:  # fmt: skip
    members: dict[str, int] = {}
    for row, share in checkpoints:
        members[row.timeline] = members.get(row.timeline, 0) + share.member_bytes
    return {name: msgspec.structs.replace(share, member_bytes=members.get(name, 0)) for name, share in shares.items()}
