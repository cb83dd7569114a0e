"""The catalog: a SQLite index over checkpoints and chunks. A cache; deleting it loses nothing."""

from chronos.catalog.database import Catalog, find_error_kind, open_catalog
from chronos.catalog.rows import CheckpointRow, ChunkRow, StatRow, TimelineMark

__all__ = [
    "Catalog",
    "CheckpointRow",
    "ChunkRow",
    "StatRow",
    "TimelineMark",
    "find_error_kind",
    "open_catalog",
]
