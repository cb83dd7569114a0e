"""LanceDB folders as a store, captured without being opened and without a trace.

Every file of a table but a hint is written once and never changed, so a version is whole when the files that its
manifest names are there. LanceDB itself is asked only about copies and for people, in a process of its own.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from chronos.errors import UnreadableStoreError, VerifyFailedError
from chronos.files import PathKind, TreePath
from chronos.memory.folders import (
    as_look,
    changed_place,
    find_place,
    open_place,
    walk,
)
from chronos.memory.kinds import CaptureWork, ReplaceWork, StoreState, TableDifference, TableSummary
from chronos.memory.lance_client import compare_tables, scan_tables, summarise_tables
from chronos.memory.lance_format import (
    ManifestReader,
    find_tables,
    has_table,
    newest_manifest,
)
from chronos.memory.lance_reading import LanceReading, fact_of, lasting, shown
from chronos.memory.placing import PlacingRules, replace_place
from chronos.memory.steps import Steps, carry_out_one
from chronos.memory.writing import check_files, write_files
from chronos.pool import Content

if TYPE_CHECKING:
    from chronos.memory.store_merge import MergeWork, StoreMerge

_ATTEMPTS = 6
_PAUSE_S = 0.02


class LanceKind:
    """A LanceDB database folder with all of its tables, or the folder of a single table.

    Every version whose files are all there is kept, with tags and branches. Files that no version names (of a write in
    progress, or left by one that died) are not, nor is `latest_version_hint.json`, which LanceDB does without. Files in
    the folder that belong to no table are taken as they lie.
    """

    name: ClassVar[str] = "lancedb"

    def detect(self, place: Path) -> bool:
        """See MemoryKind."""
        try:
            found = find_place(place)
            if found is None or found.kind is not PathKind.FOLDER:
                return False
            return has_table(place) or any(
                entry.is_dir(follow_symlinks=False) and has_table(Path(entry.path)) for entry in os.scandir(place)
            )
        except OSError:
            return False

    def companions(self, place: Path) -> list[Path]:
        """See MemoryKind."""
        return []

    def look(self, place: Path) -> tuple[object, ...]:
        """See MemoryKind. Hints and files that come and go do not count."""
        found = find_place(place)
        if found is None:
            return ()
        if found.kind is not PathKind.FOLDER:
            return (found.kind.value, found.size, found.mtime_ns, found.inode)
        with open_place(place) as tree:
            return as_look(lasting(walk(tree)))

    def capture(self, place: Path, work: CaptureWork) -> StoreState:
        """See MemoryKind."""
        manifests = ManifestReader()
        for attempt in range(_ATTEMPTS):
            time.sleep(_PAUSE_S * attempt)
            looks = self.look(place)
            found = find_place(place)
            if found is None or found.kind is not PathKind.FOLDER:
                raise changed_place(place)
            with open_place(place) as tree:
                reading = LanceReading(place, found, tree, work, manifests)
                reading.run()
            if not reading.lost and not reading.moving:
                break
        return reading.state(self.name, looks)

    def replace(self, place: Path, state: StoreState | None, work: ReplaceWork) -> list[str]:
        """See MemoryKind."""
        return carry_out_one(self.replacing(place, state, work))

    def replacing(self, place: Path, state: StoreState | None, work: ReplaceWork) -> Steps[list[str]]:
        """See SteppedKind. Every row of every table is read before the old folder moves.

        A folder in which another process has a file open is in use. A process that only remembers a table (LanceDB
        keeps no file open between two calls) cannot be told: it has to open the table again afterwards.
        """
        notes: list[str] = []
        rules = PlacingRules(
            self.look, lambda draft: notes.extend(_check(draft, state)), minds_readers=True, shares_files=True
        )
        return (yield from replace_place(place, state, work, rules)) + notes

    def write_out(self, folder: Path, state: StoreState, pieces: Callable[[Content], Iterator[bytes]]) -> Path:
        """See MemoryKind."""
        write_files(folder, state.files, pieces)
        return folder

    def summarise(self, place: Path) -> list[TableSummary]:
        """See MemoryKind."""
        return summarise_tables(place, {shown(place, table): table for table in find_tables(place)})

    def compare(self, old: Path, new: Path, *, limit_s: float) -> list[TableDifference]:
        """See MemoryKind. Rows are told apart by `id` where its values are unique, and compared bit by bit."""
        found = sorted({*find_tables(old), *find_tables(new)})
        tables = {shown(new, table): table for table in found if not _is_sameversion_of(old, new, table)}
        return compare_tables(old, new, tables, limit_s)

    def merge(self, base: Path | None, ours: Path, theirs: Path, work: MergeWork) -> StoreMerge:
        """See MemoryKind. Rows are told apart by `id`, or by the only column whose name ends in `_id`."""
        from chronos.memory.lance_merge import merge

        return merge(base, ours, theirs, work)


def _check(draft: Path, state: StoreState | None) -> list[str]:
    """Read everything in a folder that was written for `state`; return the rows of each table, for people."""
    facts = {} if state is None else state.facts
    check_files(draft, [] if state is None else state.files)
    tables = {fact_of(table): table for table in find_tables(draft)}
    if missing := sorted(facts.keys() - tables.keys()):
        raise VerifyFailedError(f"table {missing[0]} was written, but LanceDB would not find it")
    own = {name: table for name, table in tables.items() if name in facts and not _leans(draft, table)}
    notes = []
    for found in scan_tables(draft, own):
        if found.version != facts[found.name]:
            raise VerifyFailedError(f"{found.name} is at version {found.version}, not {facts[found.name]}")
        notes.append(f"{found.name}: {found.rows} rows, version {found.version}")
    return notes


def _leans(place: Path, table: TreePath) -> bool:
    """Tell whether a table's newest version needs files by absolute paths, so that it opens at its own place only."""
    try:
        return ManifestReader().read(newest_manifest(place, table)[1]).leans
    except (OSError, ValueError) as cause:
        raise UnreadableStoreError(f"{place} has a damaged manifest: {cause}") from cause


def _is_sameversion_of(old: Path, new: Path, table: TreePath) -> bool:
    """Tell whether a table stands at one and the same version on both sides: then every file of it is the same."""
    try:
        return newest_manifest(old, table) == newest_manifest(new, table)
    except OSError:
        return False
