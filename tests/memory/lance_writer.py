"""A process that never stops writing to a LanceDB database: it appends and deletes whole batches, compacts, cleans up.

Every batch has ten rows whose numbers add up to zero, and a ledger table is told of a batch before the batch comes in,
and of its end after it went. Run as a script with the database folder; ends with its standard input.
"""

from __future__ import annotations

import select
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

BATCH = 10


def batch_rows(number: int) -> list[dict[str, Any]]:
    """Return the rows of one batch."""
    rows = [{"id": number * BATCH + i, "batch": number, "value": i + 1, "text": f"word{number % 7}"} for i in range(9)]
    return [*rows, {"id": number * BATCH + 9, "batch": number, "value": -45, "text": f"word{number % 7}"}]


def create(place: Path) -> Any:
    """Make the database with two batches and a full-text index."""
    import lancedb
    from lancedb.index import FTS

    database = lancedb.connect(place)
    database.create_table("ledger", [{"batch": 0}, {"batch": 1}])
    table = database.create_table("rows", batch_rows(0) + batch_rows(1))
    table.create_index("text", config=FTS())
    return database


def write_on(place: Path) -> None:
    """Write until somebody says stop."""
    import lancedb

    database = lancedb.connect(place)
    rows, ledger = database.open_table("rows"), database.open_table("ledger")
    number = 2
    while not select.select([sys.stdin], [], [], 0)[0]:
        ledger.add([{"batch": number}])
        rows.add(batch_rows(number))
        if number % 3 == 0:
            rows.delete(f"batch = {number - 2}")
        if number % 8 == 0:
            for table in (rows, ledger):
                table.optimize(cleanup_older_than=timedelta(0))
        number += 1
        print(number, flush=True)


if __name__ == "__main__":
    write_on(Path(sys.argv[1]))
