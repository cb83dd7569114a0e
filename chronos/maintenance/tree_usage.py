"""What the working trees of timelines take on disk, those that were moved aside as well. They count to no quota."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec

from chronos.checkpoints import Store, find_record, list_timelines
from chronos.errors import IntegrityError
from chronos.git import Repository
from chronos.operations import aside_of, locate_tree, read_operations

_BLOCK_BYTES = 512


class TreeUsage(msgspec.Struct, frozen=True):
    """One working tree that was branched: bytes on disk, and whether it was moved aside and waits for gc."""

    timeline: str
    path: Path
    bytes: int
    is_aside: bool = False


def measure_trees(store: Store, repository: Repository) -> list[TreeUsage]:
    """Measure the trees of branched timelines, and what deleted and pruned ones left. Raises StorageError."""
    found = []
    for timeline in list_timelines(store.layout):
        with suppress(IntegrityError):
            record = find_record(store.layout, timeline)
            tree = locate_tree(store.layout, repository, timeline, record) if record is not None else None
            if tree is not None and tree.is_dir() and store.layout.timeline_memory(timeline).is_dir():
                found.append(TreeUsage(timeline, tree, sum(_blocks_in(tree))))
    for operation in read_operations(store):
        aside = aside_of(store.layout, operation)
        if aside is not None and operation.tree is not None:
            found.append(TreeUsage(operation.tree.timeline, aside, sum(_blocks_in(aside)), is_aside=True))
    return found


def _blocks_in(folder: Path) -> Iterator[int]:
    for place, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                yield os.lstat(os.path.join(place, name)).st_blocks * _BLOCK_BYTES
