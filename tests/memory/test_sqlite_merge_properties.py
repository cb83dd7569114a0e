"""Merges of generated databases against dictionaries, which need no SQL to be merged."""

from __future__ import annotations

import json
import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chronos.memory import MergeWork
from chronos.merging import ConflictKind, Strategy
from tests.memory.sqlite_world import KIND

TABLES = {
    "plain": "CREATE TABLE plain (k INTEGER PRIMARY KEY, a, b)",
    "texts": "CREATE TABLE texts (a, k TEXT PRIMARY KEY, b)",
    "bare": "CREATE TABLE bare (b, a, k PRIMARY KEY) WITHOUT ROWID",
}
UNIQUE = "CREATE TABLE single (k INTEGER PRIMARY KEY, a INT UNIQUE, b)"
CELLS = st.sampled_from([None, 0, 1, 1.0, 1.5, -(2**62), "", "1", "é\0x", b"", b"1", b"\xff"])
Row = tuple[Any, Any]
State = dict[tuple[str, int], Row]


def rows_of(tables: list[str], cells: st.SearchStrategy[Any]) -> st.SearchStrategy[State]:
    keys = st.tuples(st.sampled_from(tables), st.integers(0, 7))
    return st.dictionaries(keys, st.tuples(cells, CELLS), max_size=14)


@st.composite
def sides(draw: st.DrawFn, tables: list[str], cells: st.SearchStrategy[Any]) -> tuple[State, State, State]:
    """Draw a base and what two sides made of it."""
    base = draw(rows_of(tables, cells))
    made = []
    for _ in range(2):
        gone = draw(st.sets(st.sampled_from(sorted(base)), max_size=4)) if base else set()
        state = {key: row for key, row in base.items() if key not in gone}
        for key, row in draw(rows_of(tables, cells)).items():
            columns = draw(st.sampled_from(["a", "b", "ab"]))
            old = state.get(key, row)
            state[key] = (row[0] if "a" in columns else old[0], row[1] if "b" in columns else old[1])
        made.append(state)
    return base, made[0], made[1]


def exact(row: Row | None) -> Any:
    return None if row is None else tuple((type(cell), cell) for cell in row)


def merge_rows(base: Row | None, ours: Row | None, theirs: Row | None, strategy: Strategy) -> tuple[Row | None, bool]:
    """Return the merged row, and whether it is a conflict."""
    if exact(ours) == exact(theirs) or exact(theirs) == exact(base):
        return ours, False
    if exact(ours) == exact(base):
        return theirs, False
    if strategy in (Strategy.OURS, Strategy.THEIRS):
        return (ours if strategy is Strategy.OURS else theirs), False
    if strategy is Strategy.UNION and base and ours and theirs:
        cells = [merge_rows((b,), (o,), (t,), Strategy.CONFLICT) for b, o, t in zip(base, ours, theirs, strict=True)]  # type: ignore[arg-type]
        if not any(is_conflict for _, is_conflict in cells):
            return (cells[0][0][0], cells[1][0][0]), False  # type: ignore[index]
    return ours, True


def as_key(table: str, number: int) -> Any:
    return {"plain": number, "single": number, "texts": f"key {number}", "bare": bytes([number])}[table]


def write(place: Path, schema: list[str], state: State) -> None:
    with closing(sqlite3.connect(place, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        for statement in schema:
            connection.execute(statement)
        for (table, number), (a, b) in state.items():
            connection.execute(f"INSERT INTO {table} (k, a, b) VALUES (?, ?, ?)", (as_key(table, number), a, b))


def evolve(place: Path, old: State, new: State) -> None:
    """Make a copy of a database hold another state, by the changes that lead there."""
    with closing(sqlite3.connect(place, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        for (table, number), row in old.items():
            if exact(new.get((table, number))) != exact(row):
                connection.execute(f"DELETE FROM {table} WHERE k = ?", (as_key(table, number),))
        for (table, number), row in new.items():
            if exact(old.get((table, number))) != exact(row):
                key = as_key(table, number)
                connection.execute(f"INSERT INTO {table} (k, a, b) VALUES (?, ?, ?)", (key, *row))


def read(place: Path, tables: list[str]) -> dict[Any, Any]:
    with closing(sqlite3.connect(place)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return {
            (table, k): exact((a, b))
            for table in tables
            for k, a, b in connection.execute(f"SELECT k, a, b FROM {table}")
        }


def run_merge(
    folder: Path, schema: list[str], states: tuple[State, State, State], strategy: Strategy
) -> tuple[dict[Any, Any], set[tuple[str, Any]], set[ConflictKind]]:
    places = [folder / name / "database.sqlite" for name in ("base", "ours", "theirs")]
    for place, state in zip(places, states, strict=True):
        place.parent.mkdir()
        if state is states[0] and place is places[0]:
            write(place, schema, state)
        else:
            shutil.copy(places[0], place)
            evolve(place, states[0], state)
    (folder / "out").mkdir()
    result = KIND.merge(*places, MergeWork(folder / "out", b"m", "m", lambda conflict: None, strategy))
    assert result.notes == []
    keys = set()
    for conflict in result.conflicts:
        cell = json.loads(conflict.key)["k"]
        keys.add((conflict.table, bytes.fromhex(cell["blob"]) if isinstance(cell, dict) else cell))
    tables = [statement.split()[2] for statement in schema]
    return read(result.place, tables), keys, {conflict.kind for conflict in result.conflicts}


HARSH = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


@HARSH
@given(states=sides(list(TABLES), CELLS), strategy=st.sampled_from(Strategy))
def test_a_merge_is_that_of_dictionaries(states: tuple[State, State, State], strategy: Strategy) -> None:
    base, ours, theirs = states
    wanted, conflicts = {}, set()
    for table, number in {*base, *ours, *theirs}:
        key = (table, number)
        row, is_conflict = merge_rows(base.get(key), ours.get(key), theirs.get(key), strategy)
        if row is not None:
            wanted[table, as_key(table, number)] = exact(row)
        if is_conflict:
            conflicts.add((table, as_key(table, number)))
    with tempfile.TemporaryDirectory() as folder:
        found, keys, kinds = run_merge(Path(folder), list(TABLES.values()), states, strategy)
    assert found == wanted
    assert keys == conflicts
    assert kinds <= {ConflictKind.ROW}


def is_unique(state: State) -> bool:
    values = [a for a, _ in state.values() if a is not None]
    return len(values) == len(set(values))


@HARSH
@given(states=sides(["single"], st.integers(0, 9)).filter(lambda states: all(map(is_unique, states))))
def test_rows_of_a_unique_column_are_merged_or_as_in_ours(states: tuple[State, State, State]) -> None:
    base, ours, theirs = states
    with tempfile.TemporaryDirectory() as folder:
        found, keys, _ = run_merge(Path(folder), [UNIQUE], states, Strategy.CONFLICT)
    for key in {*base, *ours, *theirs}:
        row, is_conflict = merge_rows(base.get(key), ours.get(key), theirs.get(key), Strategy.CONFLICT)
        name = ("single", key[1])
        assert found.get(name) == exact(ours.get(key) if name in keys else row)
        assert not is_conflict or name in keys
