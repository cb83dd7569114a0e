"""The process that opens Lance tables, and the only one that imports lancedb: a question comes in, an answer goes out.

Tables are opened through links in a folder of our own, so that any folder name will do, and read in windows of rows,
so that memory does not follow the size of a table (a plain scan of 100 MB was measured to hold all of it). Nothing is
written to a table here; `lance_merging` does that, to a copy.
"""

from __future__ import annotations

import asyncio
import math
import os
import tempfile
import time
from array import array
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec

from chronos.memory.kinds import TableDifference, TableSummary
from chronos.memory.lance_client import Question
from chronos.pool import digest

_WINDOW_BYTES = 8 * 1024 * 1024
_KEY = "id"
_NULL = b"\0null"


class Rows(msgspec.Struct):
    """Eight bytes for the key and eight for the content of each row: ten million rows are 160 MB."""

    keys: array[int] = msgspec.field(default_factory=lambda: array("Q"))
    contents: array[int] = msgspec.field(default_factory=lambda: array("Q"))

    def add(self, batch: Any, columns: list[str], key: str) -> None:
        """Take in the rows of an Arrow batch."""
        cells = [_cells(batch.column(column)) for column in columns]
        self.contents.extend(_short(msgspec.msgpack.encode(row)) for row in zip(*cells, strict=True))
        if key in columns and not batch.column(key).null_count:
            self.keys.extend(_short(cell) for cell in cells[columns.index(key)])


async def _answer(question: Question, links: Path) -> list[Any]:
    import lancedb

    database = await lancedb.connect_async(links)
    deadline = time.monotonic() + question.limit_s
    found: list[Any] = []
    for number, (name, old, new) in enumerate(question.tables):
        before = await open_linked(database, links, f"old{number}", old)
        after = await open_linked(database, links, f"new{number}", new)
        if question.action == "compare":
            found += [row for row in [await _compare(name, before, after, deadline)] if row is not None]
        elif after is not None:
            found.append(await _summarise(name, after, is_scan=question.action == "scan"))
    return found


async def open_linked(database: Any, links: Path, name: str, folder: bytes) -> Any:
    """Open the table in `folder` through a link, which has a plain name; None without a folder."""
    if not folder:
        return None
    os.symlink(folder, os.fsencode(links / f"{name}.lance"))
    return await database.open_table(name)


async def _summarise(name: str, table: Any, *, is_scan: bool) -> TableSummary:
    rows = await table.count_rows()
    if is_scan:
        read = 0
        async for batch in batches_of(table, None):
            read += batch.num_rows
        if read != rows:
            raise ValueError(f"{name} counts {rows} rows, but {read} can be read")
    columns = ", ".join(f"{field.name} {field.type}" for field in await table.schema())
    return TableSummary(name, rows, columns, await table.version())


async def _compare(name: str, old: Any, new: Any, deadline: float) -> TableDifference | None:
    if old is None or new is None:
        rows = await (new if old is None else old).count_rows()
        return TableDifference(name, "A", rows, 0, 0) if old is None else TableDifference(name, "D", 0, rows, 0)
    versions = await old.version(), await new.version()
    schemas = [{field.name: field.type for field in await table.schema()} for table in (old, new)]
    notes = [f"version {versions[0]} → {versions[1]}"] if versions[0] != versions[1] else []
    notes += [f"column {column} added: {kind}" for column, kind in schemas[1].items() if column not in schemas[0]]
    notes += [f"column {column} dropped" for column in schemas[0] if column not in schemas[1]]
    both = {column: kind for column, kind in schemas[0].items() if column in schemas[1]}
    notes += [f"column {c}: {kind} → {schemas[1][c]}" for c, kind in both.items() if schemas[1][c] != kind]
    columns = sorted(column for column, kind in both.items() if schemas[1][column] == kind)
    before = await digest_rows(old, columns, _KEY, deadline)
    after = await digest_rows(new, columns, _KEY, deadline) if before is not None else None
    if before is None or after is None:
        grown = await new.count_rows() - await old.count_rows()
        notes.append("rows were counted, not compared: it took too long")
        return TableDifference(name, "M", max(grown, 0), max(-grown, 0), None, tuple(notes))
    added, removed, changed = _count(before, after)
    if not (notes or added or removed or changed):
        return None
    return TableDifference(name, "M", added, removed, changed, tuple(notes))


def _count(old: Rows, new: Rows) -> tuple[int, int, int | None]:
    """Return how many rows were added, removed and changed; without unique keys a changed row is both of the former."""
    import numpy

    sides = [(numpy.frombuffer(s.keys, "u8"), numpy.frombuffer(s.contents, "u8")) for s in (old, new)]
    (old_keys, old_contents), (new_keys, new_contents) = sides
    is_keyed = len(old_keys) == len(old_contents) and len(new_keys) == len(new_contents)
    if is_keyed and all(len(numpy.unique(keys)) == len(keys) for keys in (old_keys, new_keys)):
        common, at_old, at_new = numpy.intersect1d(old_keys, new_keys, assume_unique=True, return_indices=True)
        changed = int((old_contents[at_old] != new_contents[at_new]).sum())
        return len(new_keys) - len(common), len(old_keys) - len(common), changed
    values = numpy.union1d(old_contents, new_contents)
    counts = [numpy.bincount(numpy.searchsorted(values, side), minlength=len(values)) for _, side in sides]
    difference = counts[1] - counts[0]
    return int(difference[difference > 0].sum()), int(-difference[difference < 0].sum()), None


async def digest_rows(table: Any, columns: list[str], key: str, deadline: float = math.inf) -> Rows | None:
    """Return the digests of all rows and of their keys (none for a null), or None when the time is up."""
    rows = Rows()
    async for batch in batches_of(table, columns):
        if time.monotonic() > deadline:
            return None
        rows.add(batch, columns, key)
    return rows


async def batches_of(table: Any, columns: list[str] | None) -> AsyncIterator[Any]:
    """Yield all rows in Arrow batches, read in windows."""
    rows = await table.count_rows()
    if not rows or columns == []:
        return
    size = (await table.stats())["total_bytes"]
    window = max(1, min(rows, _WINDOW_BYTES * rows // max(size, 1)))
    for start in range(0, rows, window):
        query = table.query().offset(start).limit(min(window, rows - start))
        async for batch in await (query if columns is None else query.select(columns)).to_batches():
            yield batch


def _cells(column: Any) -> list[bytes]:
    """Return each value of an Arrow array as bytes that are equal for equal values only; numbers bit by bit."""
    import pyarrow

    kind = column.type
    is_list = pyarrow.types.is_fixed_size_list(kind) and kind.list_size > 0
    number = kind.value_type if is_list else kind
    if not (pyarrow.types.is_integer(number) or pyarrow.types.is_floating(number)):
        return [_NULL if value is None else repr(value).encode("utf-8", "replace") for value in column.to_pylist()]
    dense = column.drop_null()
    values = dense.flatten() if is_list else dense
    if values.null_count:
        return [_vector(value, number) for value in column.to_pylist()]
    data = values.to_numpy(zero_copy_only=True).tobytes()
    width = number.bit_width // 8 * (kind.list_size if is_list else 1)
    pieces = iter([data[start : start + width] for start in range(0, len(data), width)])
    return [next(pieces) if is_valid else _NULL for is_valid in column.is_valid().to_pylist()]


def _vector(value: list[Any] | None, number: Any) -> bytes:
    """Return one vector as `_cells` does, of a column in which some have nulls inside."""
    import pyarrow

    if value is None:
        return _NULL
    if None in value:
        return repr(value).encode()
    data: bytes = pyarrow.array(value, number).to_numpy(zero_copy_only=True).tobytes()
    return data


def _short(data: bytes) -> int:
    return int.from_bytes(digest(data)[:8], "little")


def main() -> None:
    """Answer the question on standard input."""
    with open(0, "rb", closefd=False) as stream:
        question = msgspec.msgpack.decode(stream.read(), type=Question)
    with tempfile.TemporaryDirectory(prefix="chronos-") as links:
        found = asyncio.run(_answer(question, Path(links)))
    with open(1, "wb", closefd=False) as output:
        output.write(msgspec.msgpack.encode(found))


if __name__ == "__main__":
    main()
