"""Merges of databases with virtual tables, with what cannot run here, and with what means harm."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from chronos.memory import MergeWork
from chronos.merging import Choice, Conflict, ConflictKind, Resolution, Strategy
from tests.memory.sqlite_merged import OURS, THEIRS, Merged, Merging, merged
from tests.memory.sqlite_world import KIND

__all__ = ["merged"]
T = ["CREATE TABLE t (id INTEGER PRIMARY KEY, a)", "INSERT INTO t VALUES (1, 'one'), (2, 'two'), (3, 'three')"]


@pytest.mark.parametrize("module", ["fts5", "fts4", "fts3"])
def test_a_full_text_index_is_merged_by_rows(merged: Merging, module: str) -> None:
    base = [
        f"CREATE VIRTUAL TABLE f USING {module}(title, body)",
        "INSERT INTO f VALUES ('a', 'apple'), ('b', 'bear'), ('c', 'cat')",
    ]
    theirs = [
        "UPDATE f SET body = 'bee' WHERE rowid = 2",
        "INSERT INTO f (rowid, title, body) VALUES (9, 't', 'tiger')",
        "DELETE FROM f WHERE rowid = 3",
    ]
    result = merged(base, ["INSERT INTO f (rowid, title, body) VALUES (8, 'o', 'owl')"], theirs)
    assert result.rows("SELECT rowid, body FROM f") == [(1, "apple"), (2, "bee"), (8, "owl"), (9, "tiger")]
    for word, found in (("bear", 0), ("cat", 0), ("tiger", 1), ("owl", 1), ("bee", 1)):
        assert len(result.rows(f"SELECT rowid FROM f WHERE f MATCH '{word}'")) == found
    assert [(t.name, t.added, t.changed, t.removed) for t in result.result.tables] == [("f", 1, 1, 1)]
    clash = merged(base, ["UPDATE f SET body = 'x' WHERE rowid = 1"], ["UPDATE f SET body = 'y' WHERE rowid = 1"])
    assert [(kind, key) for kind, _, key, *_ in clash.conflicts] == [(ConflictKind.ROW, '{"rowid": 1}')]


EXTERNAL = [
    *T,
    "CREATE VIRTUAL TABLE f USING fts5(a, content='t', content_rowid='id')",
    "INSERT INTO f(f) VALUES ('rebuild')",
    "CREATE TRIGGER i AFTER INSERT ON t BEGIN INSERT INTO f (rowid, a) VALUES (NEW.id, NEW.a); END",
]


def test_an_index_over_another_table_follows_it(merged: Merging) -> None:
    result = merged(EXTERNAL, ["INSERT INTO t VALUES (10, 'ours')"], ["INSERT INTO t VALUES (20, 'theirs')"])
    for word in ("one", "ours", "theirs"):
        assert len(result.rows(f"SELECT rowid FROM f WHERE f MATCH '{word}'")) == 1
    with closing(sqlite3.connect(result.place)) as connection:
        connection.execute("INSERT INTO f(f) VALUES ('integrity-check')")
    assert result.result.notes == ["the full-text index f was built anew"]


RTREE = ["CREATE VIRTUAL TABLE r USING rtree(id, x0, x1)", "INSERT INTO r VALUES (1, 0, 1), (2, 5, 6)"]
CONTENTLESS = ["CREATE VIRTUAL TABLE r USING fts5(a, content='')", "INSERT INTO r (rowid, a) VALUES (1, 'one')"]
UNKNOWN = [
    *RTREE,
    "PRAGMA writable_schema = ON",
    "UPDATE sqlite_master SET sql = replace(sql, 'rtree', 'no_such_module') WHERE name = 'r'",
]
CHANGED = "INSERT INTO r_rowid VALUES (77, 1)"


@pytest.mark.parametrize(
    ("base", "change", "other", "look"),
    [
        (RTREE, "INSERT INTO r VALUES (3, 1, 2)", "INSERT INTO r VALUES (4, 1, 2)", "SELECT 1 FROM r WHERE id = 3"),
        (
            CONTENTLESS,
            "INSERT INTO r (rowid, a) VALUES (3, 'xx')",
            "INSERT INTO r (rowid, a) VALUES (4, 'yy')",
            "SELECT 1 FROM r WHERE r MATCH 'xx'",
        ),
        (
            UNKNOWN,
            "INSERT INTO r_rowid VALUES (77, 1)",
            "INSERT INTO r_rowid VALUES (78, 1)",
            "SELECT 1 FROM r_rowid WHERE rowid = 77",
        ),
    ],
)
def test_other_virtual_tables_are_had_whole(
    tmp_path: Path, base: list[str], change: str, other: str, look: str
) -> None:
    def run(number: int, ours: Sequence[str], theirs: Sequence[str], resolution: Resolution | None = None) -> Merged:
        return Merged(tmp_path / str(number), [*base, *T], ours, theirs, lambda conflict: resolution)

    for number, (ours, theirs) in enumerate([([], [change]), ([change], []), ([change], [change])]):
        result = run(
            number, [*ours, "UPDATE t SET a = 'x' WHERE id = 1"], [*theirs, "UPDATE t SET a = 'y' WHERE id = 2"]
        )
        assert result.rows(look) == [(1,)] and result.conflicts == []
        assert result.rows("SELECT a FROM t") == [("x",), ("y",), ("three",)]
        assert result.rows("PRAGMA quick_check") == [("ok",)] or base is UNKNOWN
    both = run(5, [other], [change])
    assert [(kind, table) for kind, table, *_ in both.conflicts] == [(ConflictKind.STORE, "r")]
    assert both.rows(look) == []
    assert run(6, [other], [change], THEIRS).rows(look) == [(1,)]
    assert run(7, [other], [change], OURS).rows(look) == []


@pytest.mark.parametrize(
    "made", [RTREE, CONTENTLESS, UNKNOWN, ["CREATE VIRTUAL TABLE r USING fts5(a)", "INSERT INTO r VALUES ('x')"]]
)
def test_virtual_tables_come_and_go(tmp_path: Path, made: list[str]) -> None:
    came = Merged(tmp_path / "came", T, ["UPDATE t SET a = 'x' WHERE id = 1"], made)
    assert came.conflicts == []
    names = {row[0] for row in came.rows("SELECT name FROM sqlite_master")}
    assert "r" in names and any(name.startswith("r_") for name in names)
    drop = ["DROP TABLE r"]
    if made is UNKNOWN:
        drop = [
            "PRAGMA writable_schema = ON",
            "DELETE FROM sqlite_master WHERE name = 'r'",
            "PRAGMA writable_schema = RESET",
            *(f"DROP TABLE r_{part}" for part in ("rowid", "node", "parent")),
        ]
    gone = Merged(tmp_path / "gone", [*T, *made], ["UPDATE t SET a = 'x' WHERE id = 1"], drop)
    assert gone.conflicts == []
    assert [row[0] for row in gone.rows("SELECT name FROM sqlite_master")] == ["t"]
    gone.check()


def test_a_table_whose_name_only_looks_like_that_of_a_shadow_is_a_table(merged: Merging) -> None:
    base = [
        *T,
        "CREATE VIRTUAL TABLE f USING fts5(a)",
        "CREATE TABLE f_more (id INTEGER PRIMARY KEY, v)",
        "INSERT INTO f_more VALUES (1, 1), (2, 2)",
    ]
    result = merged(
        base,
        ["UPDATE f_more SET v = 8 WHERE id = 1", "INSERT INTO f VALUES ('o')"],
        ["UPDATE f_more SET v = 9 WHERE id = 2", "INSERT INTO f (rowid, a) VALUES (5, 't')"],
    )
    assert result.rows("SELECT v FROM f_more") == [(8,), (9,)]
    assert result.rows("SELECT a FROM f") == [("o",), ("t",)]


def with_function(place: Path, statements: Sequence[str]) -> None:
    with closing(sqlite3.connect(place, isolation_level=None)) as connection:
        connection.create_function("mine", 1, lambda value: 1, deterministic=True)
        for statement in statements:
            connection.execute(statement)


def merge_with_function(
    folder: Path, base: list[str], ours: list[str], theirs: list[str], resolution: Resolution | None = None
) -> Merged:
    """Make a merge of databases whose application has a function that we have not."""
    places = [folder / name / "database.sqlite" for name in ("base", "ours", "theirs")]
    for place, statements in zip(places, (base, ours, theirs), strict=True):
        place.parent.mkdir(parents=True)
        with_function(place, base if statements is base else [*base, *statements])
    (folder / "out").mkdir()
    work = MergeWork(folder / "out", b"m", "m", lambda conflict: resolution, Strategy.CONFLICT)
    result = Merged.__new__(Merged)
    result.result = KIND.merge(*places, work)
    result.place = result.result.place
    return result


def test_a_check_that_cannot_run_here_is_no_obstacle(tmp_path: Path) -> None:
    base = ["CREATE TABLE t (id INTEGER PRIMARY KEY, a CHECK (mine(a)))", "INSERT INTO t VALUES (1, 1), (2, 2)"]
    result = merge_with_function(
        tmp_path,
        base,
        ["UPDATE t SET a = 8 WHERE id = 1"],
        ["UPDATE t SET a = 9 WHERE id = 2", "INSERT INTO t VALUES (3, 3)"],
    )
    assert result.rows("SELECT a FROM t") == [(8,), (9,), (3,)]
    assert result.conflicts == []
    assert any("CHECKs of t" in note for note in result.result.notes)


def test_an_index_that_cannot_be_kept_here_leaves_the_table_as_in_ours(tmp_path: Path) -> None:
    base = [
        *T,
        "CREATE TABLE s (id INTEGER PRIMARY KEY, a)",
        "CREATE INDEX x ON s (mine(a))",
        "INSERT INTO s VALUES (1, 1), (2, 2)",
    ]
    sides = (
        ["UPDATE t SET a = 'x' WHERE id = 1"],
        ["UPDATE s SET a = 9 WHERE id = 2", "UPDATE t SET a = 'y' WHERE id = 2"],
    )
    for number, resolution in enumerate((None, THEIRS, OURS)):
        result = merge_with_function(tmp_path / str(number), base, *sides, resolution)
        assert result.rows("SELECT a FROM t") == [("x",), ("y",), ("three",)]
        assert result.rows("SELECT a FROM s") == [(1,), (2,)]
        assert [(kind, table) for kind, table, *_ in result.conflicts] == (
            [(ConflictKind.SCHEMA, "s")] if resolution != OURS else []
        )


def test_a_database_that_means_harm_is_only_a_database(merged: Merging) -> None:
    base = [*T, "CREATE TABLE victim (id INTEGER PRIMARY KEY, v)", "INSERT INTO victim VALUES (1, 1)",
            "CREATE VIEW broken AS SELECT no_such_function(x) FROM nowhere",
            "CREATE TRIGGER w INSTEAD OF INSERT ON broken BEGIN DELETE FROM victim; END"]  # fmt: skip
    theirs = [
        "CREATE TRIGGER evil AFTER INSERT ON t BEGIN DELETE FROM victim; DELETE FROM t; END",
        "CREATE TRIGGER evil2 AFTER UPDATE ON t BEGIN SELECT load_extension('/tmp/evil.so'); END",
        "CREATE VIEW also AS SELECT * FROM also2",
        "INSERT INTO victim VALUES (5, zeroblob(3000000))",
    ]
    result = merged(
        base,
        ["INSERT INTO t VALUES (8, 'o')"],
        ["INSERT INTO t VALUES (9, 't')", "UPDATE t SET a = 'z' WHERE id = 1", *theirs],
    )
    assert result.conflicts == []
    assert result.rows("SELECT id, a FROM t") == [(1, "z"), (2, "two"), (3, "three"), (8, "o"), (9, "t")]
    assert result.rows("SELECT count(*), max(length(v)) FROM victim") == [(2, 3000000)]
    names = [
        row[0] for row in result.rows("SELECT name FROM sqlite_master WHERE type IN ('view', 'trigger') ORDER BY 1")
    ]
    assert names == ["also", "broken", "evil", "evil2", "w"]


def test_a_huge_cell_is_shown_as_its_hash(merged: Merging) -> None:
    base = ["CREATE TABLE t (id INTEGER PRIMARY KEY, v)", "INSERT INTO t VALUES (1, zeroblob(5000000))"]
    seen: list[Conflict] = []

    def resolve(conflict: Conflict) -> Resolution:
        seen.append(conflict)
        return THEIRS

    result = merged(
        base, ["UPDATE t SET v = zeroblob(5000001)"], ["UPDATE t SET v = 'x' || zeroblob(5000002)"], resolve
    )
    assert seen[0].is_large and len(seen[0].ours or b"") < 500 and b"blake3" in (seen[0].ours or b"")
    assert result.rows("SELECT typeof(v) FROM t") == [("text",)]


def whole(
    folder: Path, base: bytes | None, ours: bytes, theirs: bytes, resolution: Resolution | None = None
) -> tuple[bytes, list[Conflict]]:
    places = {}
    for name, data in (("base", base), ("ours", ours), ("theirs", theirs)):
        places[name] = folder / name / "database.sqlite"
        places[name].parent.mkdir(parents=True)
        places[name].write_bytes(data or b"")
    (folder / "out").mkdir()
    work = MergeWork(folder / "out", b"m", "m", lambda conflict: resolution, Strategy.CONFLICT)
    result = KIND.merge(places["base"] if base is not None else None, places["ours"], places["theirs"], work)
    return result.place.read_bytes(), result.conflicts


def test_what_is_no_readable_database_is_had_whole(tmp_path: Path) -> None:
    a, b, c = b"a" * 4096, b"b" * 4096, b"c" * 2_000_000
    assert whole(tmp_path / "1", a, a, b) == (b, [])
    assert whole(tmp_path / "2", a, b, a) == (b, [])
    assert whole(tmp_path / "3", a, b, b) == (b, [])
    data, (conflict,) = whole(tmp_path / "4", a, b, c)
    assert (data, conflict.kind, conflict.base, conflict.ours) == (b, ConflictKind.STORE, a, b)
    assert conflict.is_large and len(conflict.theirs or b"") == 64
    assert whole(tmp_path / "5", a, b, c, THEIRS) == (c, [])
    assert whole(tmp_path / "6", None, b, c, Resolution(Choice.OURS)) == (b, [])


def test_a_readable_database_beside_a_damaged_one_is_had_whole(tmp_path: Path) -> None:
    place = tmp_path / "good.db"
    with closing(sqlite3.connect(place, isolation_level=None)) as connection:
        connection.execute("CREATE TABLE t (a)")
    good, bad = place.read_bytes(), b"damaged" * 600
    assert whole(tmp_path / "1", good, good, bad) == (bad, [])
    data, (conflict,) = whole(tmp_path / "2", b"", good, bad)
    assert (data, conflict.kind) == (good, ConflictKind.STORE)


def test_a_database_with_a_damaged_page_is_had_whole(tmp_path: Path) -> None:
    big = ["CREATE TABLE big (id INTEGER PRIMARY KEY, v)", "INSERT INTO big VALUES (1, zeroblob(9000)), (2, 'x')"]
    result = Merged.__new__(Merged)
    places = [tmp_path / name / "database.sqlite" for name in ("base", "ours", "theirs")]
    for place, change in zip(
        places, ("SELECT 1", "UPDATE t SET a = 'x' WHERE id = 1", "DELETE FROM t WHERE id = 2"), strict=True
    ):
        place.parent.mkdir()
        with_function(place, [*T, *big, change])
    with closing(sqlite3.connect(places[2])) as connection:
        (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'big'").fetchone()
    data = bytearray(places[2].read_bytes())
    data[(page - 1) * 4096 : page * 4096] = b"\xee" * 4096
    places[2].write_bytes(data)
    (tmp_path / "out").mkdir()
    result.result = KIND.merge(*places, MergeWork(tmp_path / "out", b"m", "m", lambda c: None, Strategy.CONFLICT))
    result.place = result.result.place
    # SQLite commits nothing in a connection that has met a damaged page.
    assert [(kind, table) for kind, table, *_ in result.conflicts] == [(ConflictKind.STORE, "")]
    assert result.rows("SELECT * FROM t") == [(1, "x"), (2, "two"), (3, "three")]
    result.check()


def test_texts_in_another_encoding_are_had_whole(merged: Merging) -> None:
    result = merged(None, T, ["PRAGMA encoding = 'UTF-16le'", "CREATE TABLE t (a)"])
    assert [kind for kind, *_ in result.conflicts] == [ConflictKind.STORE]
    same = merged(
        ["PRAGMA encoding = 'UTF-16le'", *T],
        ["UPDATE t SET a = 'ü' WHERE id = 1"],
        ["UPDATE t SET a = 'ö' WHERE id = 2"],
    )
    assert same.rows("SELECT a FROM t") == [("ü",), ("ö",), ("three",)]
