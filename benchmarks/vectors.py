"""A LanceDB table of vectors: `python -m benchmarks.vectors make FOLDER ROWS`, `… append FOLDER ROWS`."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import numpy as np

_WIDTH = 128


def rows(count: int, start: int) -> Any:
    """Return `count` rows as an Arrow table; the same numbers give the same rows."""
    arrow = importlib.import_module("pyarrow")
    chance = np.random.default_rng(start)
    vectors = arrow.FixedSizeListArray.from_arrays(chance.random(count * _WIDTH, dtype=np.float32), _WIDTH)
    return arrow.table({"id": np.arange(start, start + count), "vector": vectors})


def make(folder: Path, count: int) -> None:
    """Make the table."""
    importlib.import_module("lancedb").connect(folder).create_table("vectors", rows(count, 0))


def append(folder: Path, count: int) -> None:
    """Append rows."""
    table = importlib.import_module("lancedb").connect(folder).open_table("vectors")
    table.add(rows(count, table.count_rows()))


if __name__ == "__main__":
    work, place, figure = sys.argv[1:]
    (make if work == "make" else append)(Path(place), int(figure))
