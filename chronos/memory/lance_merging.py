"""The process that merges Lance tables by rows: what theirs changed against the base is written into the copy of ours.

Rows are compared by digests of all their cells, bit by bit; only those that theirs changed, or both, are read as rows.
What is written is read again, and compared with what should be there, before a table counts as merged.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chronos.memory.judge import Judge, Sides
from chronos.memory.lance_child import Rows, batches_of, digest_rows, open_linked
from chronos.memory.rows import encode
from chronos.memory.sqlite_frames import ANSWER, FAILURE, read_frame, read_json, send_json

_SIDES = ("base", "ours", "theirs")
_KEY, _KEY_ENDING = "id", "_id"
_KEYS_AT_ONCE = 500
# What lancedb raises, depending on the depth at which something fails.
_FAILURES = (OSError, RuntimeError, ValueError, TypeError, KeyError, NotImplementedError)


class _WholeError(Exception):
    """A table can only be had whole; the argument says why."""


class _BadContentError(Exception):
    """A row that somebody wrote does not fit the table; the argument says why."""


class _Digests:
    """The rows of one side, sorted by the digest of their key."""

    def __init__(self, rows: Rows, side: str) -> None:
        import numpy

        keys = numpy.frombuffer(rows.keys, "u8")
        if len(keys) != len(rows.contents):
            raise _WholeError(f"a row of {side} has no key")
        order = numpy.argsort(keys)
        self.keys = keys[order]
        self.contents = numpy.frombuffer(rows.contents, "u8")[order]
        if len(keys) > 1 and bool((self.keys[1:] == self.keys[:-1]).any()):
            raise _WholeError(f"a key is there twice in {side}")

    def of(self, keys: Any) -> tuple[Any, Any]:
        """Return which keys are there, and the contents of their rows; 0 for no row."""
        import numpy

        if not len(self.keys):
            return numpy.zeros(len(keys), bool), numpy.zeros(len(keys), "u8")
        at = numpy.minimum(numpy.searchsorted(self.keys, keys), len(self.keys) - 1)
        is_there = self.keys[at] == keys
        return is_there, numpy.where(is_there, self.contents[at], 0)


class _Table:
    """One table on its way from ours to the merged one."""

    def __init__(self, name: str, sides: Mapping[str, Any], judge: Judge, *, unites: bool) -> None:
        self._name = name
        self._sides = sides
        self._judge = judge
        self._unites = unites
        self._key = ""
        self._columns: list[str] = []
        self._schema: Any = None
        self._digests: dict[str, _Digests] = {}
        self._rows: dict[str, dict[int, Any]] = {}

    async def merge(self) -> dict[str, Any]:
        """Merge the rows; return the counts. Raises _WholeError with the table as it was."""
        import numpy

        await self._check_schemas()
        for side, table in self._sides.items():
            rows = await digest_rows(table, self._columns, self._key) if table is not None else Rows()
            assert rows is not None
            self._digests[side] = _Digests(rows, side)
        base, ours, theirs = (self._digests[side] for side in _SIDES)
        keys = numpy.union1d(base.keys, theirs.keys)
        before, after = base.of(keys), theirs.of(keys)
        keys = keys[(before[0] != after[0]) | (before[1] != after[1])]
        before, here, after = base.of(keys), ours.of(keys), theirs.of(keys)
        is_same = (here[0] == after[0]) & (here[1] == after[1])
        is_free = (here[0] == before[0]) & (here[1] == before[1]) & ~is_same
        both = keys[~is_same & ~is_free]
        await self._read_rows(keys[is_free], both)
        wanted: dict[int, Any] = {int(key): self._rows["theirs"].get(int(key)) for key in keys[is_free]}
        for key in both:
            self._decide(int(key), wanted)
        present = {int(key) for key, is_there in zip(keys, here[0], strict=True) if is_there}
        await self._write(wanted, present)
        removed = sum(row is None for row in wanted.values())
        changed = sum(row is not None and key in present for key, row in wanted.items())
        indexes = await self._sides["ours"].list_indices() if len(wanted) > removed else []
        notes = [f"{self._name}: new rows are in its indexes after the next `optimize`"] if indexes else []
        return {"added": len(wanted) - removed - changed, "changed": changed, "removed": removed, "notes": notes}

    async def _check_schemas(self) -> None:
        schemas = [await table.schema() for table in self._sides.values() if table is not None]
        self._schema = await self._sides["ours"].schema()
        if not all(schema.equals(self._schema) for schema in schemas):
            raise _WholeError("its columns are not the same on all sides")
        self._columns = [field.name for field in self._schema]
        self._key = _find_key(self._schema)

    async def _read_rows(self, free: Any, both: Any) -> None:
        """Read the rows that will be written or shown, each as an Arrow table of one row."""
        import numpy

        wanted = {"base": both, "ours": both, "theirs": numpy.union1d(free, both)}
        gone = numpy.setdiff1d(free, self._digests["theirs"].keys)
        wanted["ours"] = numpy.union1d(both, gone)  # for the keys of rows that go
        for side, table in self._sides.items():
            self._rows[side] = {}
            if table is None or not len(wanted[side]):
                continue
            async for batch in batches_of(table, self._columns):
                keys = Rows()
                keys.add(batch.select([self._key]), [self._key], self._key)
                found = numpy.isin(numpy.frombuffer(keys.keys, "u8"), wanted[side])
                for at in numpy.flatnonzero(found):
                    self._rows[side][keys.keys[at]] = _as_table(batch.slice(int(at), 1), self._schema)

    def _decide(self, key: int, wanted: dict[int, Any]) -> None:
        """Ask about a row that both changed."""
        rows = {side: self._rows[side].get(key) for side in _SIDES}
        shown = {side: None if row is None else _as_json(row) for side, row in rows.items()}
        if self._unites and (row := self._unite(rows, shown)) is not None:
            wanted[key] = row
            return
        own = next(row for row in (shown["ours"], shown["theirs"]) if row is not None)
        reason = "both changed it"
        if shown["ours"] is None or shown["theirs"] is None:
            reason = "one deleted what the other changed"
        elif shown["base"] is None:
            reason = "both added it, and not the same"
        sides = Sides(shown["base"], shown["ours"], shown["theirs"])
        verdict = self._judge.ask("row", reason, sides, self._name, {self._key: own[self._key]})
        if verdict.is_theirs:
            wanted[key] = rows["theirs"]
        elif verdict.row is not None:
            wanted[key] = self._written(verdict.row, rows, shown)

    def _unite(self, rows: Mapping[str, Any], shown: Mapping[str, Any]) -> Any:
        """Return a row with each column of the side that changed it, or None where both changed one."""
        if any(row is None for row in rows.values()):
            return None
        picked = []
        for name in self._columns:
            base, ours, theirs = (json.dumps(shown[side][name]) for side in _SIDES)
            if base not in (ours, theirs) and ours != theirs:
                return None
            picked.append(rows["ours" if theirs == base else "theirs"].column(name))
        return _of_columns(picked, self._schema)

    def _written(self, row: Mapping[str, Any], rows: Mapping[str, Any], shown: Mapping[str, Any]) -> Any:
        """Return the row that somebody wrote: a cell that a side has is that side's, bit by bit."""
        picked = []
        for field in self._schema:
            value = row[field.name]
            same = (side for side in ("ours", "theirs", "base") if shown[side] and shown[side][field.name] == value)
            side = next(same, None)
            picked.append(rows[side].column(field.name) if side is not None else _cell_of(value, field))
        return _of_columns(picked, self._schema)

    async def _write(self, wanted: Mapping[int, Any], present: set[int]) -> None:
        """Write all rows into ours and prove that they are there, or leave it as it was."""
        import pyarrow

        if not wanted:
            return
        table = self._sides["ours"]
        version = await table.version()
        try:
            gone = [self._rows["ours"][key] for key, row in wanted.items() if row is None and key in present]
            await self._delete(pyarrow.concat_tables(gone).column(self._key).to_pylist() if gone else [])
            coming = [row for row in wanted.values() if row is not None]
            if coming:
                upsert = table.merge_insert(self._key).when_matched_update_all().when_not_matched_insert_all()
                # A missing vector stays missing; one with NaN is lost, which the comparison then shows.
                await upsert.execute(pyarrow.concat_tables(coming).combine_chunks(), on_bad_vectors="null")
            await self._prove(wanted)
        except (*_FAILURES, _WholeError) as cause:
            await table.checkout(version)
            await table.restore()
            raise _WholeError(f"LanceDB does not write its rows: {_first_line(cause)}") from cause

    async def _delete(self, keys: list[Any]) -> None:
        for start in range(0, len(keys), _KEYS_AT_ONCE):
            listed = ", ".join(_literal(key) for key in keys[start : start + _KEYS_AT_ONCE])
            await self._sides["ours"].delete(f"{_quoted(self._key)} IN ({listed})")

    async def _prove(self, wanted: Mapping[int, Any]) -> None:
        """Read everything again, and compare it with what should be there."""
        import numpy

        expected = Rows()
        for row in wanted.values():
            for batch in row.to_batches() if row is not None else ():
                expected.add(batch, self._columns, self._key)
        new, old = _Digests(expected, "the merged table"), self._digests["ours"]
        stays = ~numpy.isin(old.keys, numpy.fromiter(wanted, "u8", len(wanted)))
        keys = numpy.concatenate([old.keys[stays], new.keys])
        contents = numpy.concatenate([old.contents[stays], new.contents])
        rows = await digest_rows(self._sides["ours"], self._columns, self._key)
        assert rows is not None
        found, order = _Digests(rows, "the merged table"), numpy.argsort(keys)
        if len(found.keys) != len(keys) or await self._sides["ours"].count_rows() != len(keys):
            raise _WholeError(f"{len(found.keys)} rows can be read, {len(keys)} should be there")
        if not bool((found.keys == keys[order]).all() and (found.contents == contents[order]).all()):
            raise _WholeError("a row that was read again is another one")


def _find_key(schema: Any) -> str:
    """Return the column that tells rows apart. Raises _WholeError."""
    import pyarrow

    names = [field.name for field in schema]
    endings = [name for name in names if name.endswith(_KEY_ENDING)]
    name = _KEY if _KEY in names else endings[0] if len(endings) == 1 else None
    if name is None:
        raise _WholeError("both changed it, and no column is called `id`, nor a single one by an ending in `_id`")
    kind = schema.field(name).type
    if not (pyarrow.types.is_integer(kind) or pyarrow.types.is_string(kind) or pyarrow.types.is_large_string(kind)):
        raise _WholeError(f"both changed it, and its {name} is neither a number nor a text")
    return name


def _as_table(batch: Any, schema: Any) -> Any:
    """Return one row by itself: a slice would keep the whole batch in memory."""
    import pyarrow

    return pyarrow.Table.from_batches([batch.take(pyarrow.array([0]))]).cast(schema)


def _of_columns(columns: list[Any], schema: Any) -> Any:
    import pyarrow

    return pyarrow.Table.from_arrays(columns, schema=schema)


def _as_json(row: Any) -> dict[str, Any]:
    return {name: _encoded(value) for name, value in row.to_pylist()[0].items()}


def _encoded(value: Any) -> Any:
    """Return a value as JSON has it; of a kind that JSON has no word for, as people read it."""
    if isinstance(value, list):
        return [_encoded(inner) for inner in value]
    if isinstance(value, dict):
        return {name: _encoded(inner) for name, inner in value.items()}
    if value is None or isinstance(value, bool | int | float | str | bytes):
        return encode(value)
    return str(value)


def _cell_of(value: Any, field: Any) -> Any:
    """Return a cell that somebody wrote. Raises _BadContentError."""
    import pyarrow

    try:
        cell = pyarrow.array([_decoded(value)], field.type)
    except (ValueError, TypeError) as cause:
        raise _BadContentError(f"{field.name} cannot be {json.dumps(value)[:80]}: {_first_line(cause)}") from cause
    if cell.null_count and not field.nullable:
        raise _BadContentError(f"{field.name} cannot be null")
    return cell


def _decoded(value: Any) -> Any:
    if isinstance(value, list):
        return [_decoded(inner) for inner in value]
    if isinstance(value, dict) and value.keys() == {"real"}:
        return float(value["real"])
    if isinstance(value, dict) and value.keys() == {"blob"}:
        return bytes.fromhex(value["blob"])
    return {name: _decoded(inner) for name, inner in value.items()} if isinstance(value, dict) else value


def _literal(key: Any) -> str:
    return str(key) if isinstance(key, int) else "'" + key.replace("'", "''") + "'"


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def _first_line(cause: BaseException) -> str:
    lines = str(cause).strip().splitlines() or [type(cause).__name__]
    return lines[0][:300]


async def _answer(request: Mapping[str, Any], judge: Judge, links: Path) -> list[dict[str, Any]]:
    import lancedb

    database, found = await lancedb.connect_async(links), []
    for number, task in enumerate(request["tables"]):
        result: dict[str, Any] = {"schemas": dict.fromkeys(_SIDES)}
        try:
            sides = {}
            for side in _SIDES:
                folder = bytes.fromhex(task[side])
                sides[side] = await open_linked(database, links, f"{side}{number}", folder)
                if sides[side] is not None:
                    result["schemas"][side] = (await sides[side].schema()).to_string(show_schema_metadata=False)
            result |= await _Table(task["name"], sides, judge, unites=request["unites"]).merge()
        except (*_FAILURES, _WholeError) as cause:
            judge.forget(task["name"])
            result["whole"] = _first_line(cause)
        found.append(result)
    return found


def main() -> None:
    """Answer the request on standard input."""
    with open(0, "rb", closefd=False) as requests, open(1, "wb", closefd=False) as answers:
        request = read_json(read_frame(requests)[1])
        with tempfile.TemporaryDirectory(prefix="chronos-") as links:
            try:
                found = asyncio.run(_answer(request, Judge(requests, answers), Path(links)))
            except _BadContentError as cause:
                send_json(answers.write, FAILURE, {"usage": str(cause)})
                return
        send_json(answers.write, ANSWER, found)


if __name__ == "__main__":
    main()
