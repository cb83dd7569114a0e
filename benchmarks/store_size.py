"""What a folder costs on disk: what the file system allocates for it, and what its files add up to."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

BLOCK_BYTES = 512  # the unit of st_blocks, whatever the file system's own block is


@dataclass(frozen=True)
class StoreSize:
    """Bytes of a store: allocated counts folders too, a hard-linked file counts once."""

    allocated_bytes: int
    file_bytes: int
    checkpoints: int


def measure_store(folder: Path) -> StoreSize:
    """Walk `folder` and add it up; an absent folder is empty."""
    seen: dict[tuple[int, int], os.stat_result] = {}
    files: set[tuple[int, int]] = set()
    for place, _folders, names in os.walk(folder):
        for name in ("", *names):
            found = os.lstat(Path(place, name))
            seen[found.st_dev, found.st_ino] = found
            if name:
                files.add((found.st_dev, found.st_ino))
    allocated = sum(found.st_blocks for found in seen.values()) * BLOCK_BYTES
    checkpoints = sum(1 for _ in folder.glob("*/*/checkpoint.json"))
    return StoreSize(allocated, sum(seen[key].st_size for key in files), checkpoints)
