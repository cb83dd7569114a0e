"""How much larger a store may become: what is left of its quota, and of the disk above the floor that stays free.

Asking costs one row of the catalog and two system calls. It is spent while bytes are written, so that a capture that
does not fit stops there and not when it has filled the disk.
"""

from __future__ import annotations

import os

from chronos.catalog import Catalog
from chronos.config import Config
from chronos.errors import LowSpaceError, QuotaExceededError
from chronos.files import free_bytes
from chronos.layout import StoreLayout


class Allowance:
    """The bytes that a checkpoint in the making may still take."""

    def __init__(self, catalog: Catalog, layout: StoreLayout, config: Config) -> None:
        self._quota = config.quota_bytes
        self._floor = config.min_free_bytes
        self._stored = stored_bytes(catalog, layout) if self._quota else 0
        self._free = free_bytes(layout.system) if self._floor else 0
        self._spent = 0

    def spend(self, number_bytes: int) -> None:
        """Take `number_bytes` more. Raises QuotaExceededError or LowSpaceError when they do not fit."""
        self._spent += number_bytes
        if self._quota and self._stored + self._spent > self._quota:
            quota = f"the quota of {self._quota:,} bytes"
            if self._spent > self._quota:
                raise QuotaExceededError(
                    f"{quota} is smaller than this one checkpoint", hint="raise CHRONOS_QUOTA_BYTES"
                )
            raise QuotaExceededError(
                f"the store has {self._stored:,} bytes, and this checkpoint needs {self._spent:,} or more: "
                f"that exceeds {quota}"
            )
        if self._floor and self._free - self._spent < self._floor:
            raise LowSpaceError(
                f"the disk has {self._free:,} bytes free; this checkpoint needs {self._spent:,} or more, and "
                f"{self._floor:,} are to stay free"
            )


def stored_bytes(catalog: Catalog, layout: StoreLayout) -> int:
    """Return what a store takes: packs, files of checkpoints, catalog and log, and what undo and repair keep.

    Of files that several checkpoints share, what a removed one brought in counts again only when the catalog is built
    anew; a pack that is too damaged to be indexed does not count.
    """
    return catalog.stored_bytes() + _size_of(layout.catalog) + _size_of(layout.operations) + kept_bytes(layout)


def kept_bytes(layout: StoreLayout) -> int:
    """Return what records of operations, files that restores saved, and the quarantine take."""
    folders = (layout.changes, layout.journals, layout.quarantine)
    found = (os.path.join(place, name) for folder in folders for place, _, names in os.walk(folder) for name in names)
    return sum(_size_of(path) for path in found)


def _size_of(path: str | os.PathLike[str]) -> int:
    try:
        return os.lstat(path).st_size
    except FileNotFoundError:
        return 0
