"""What is in a database and how two differ, whatever their schema says."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from chronos.errors import UnreadableStoreError
from chronos.memory import TableDifference, TableSummary
from tests.memory.sqlite_world import KIND, listing, make_bank


def make(place: Path, *statements: str) -> Path:
    with closing(sqlite3.connect(place, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)
    return place


@pytest.fixture
def differ(tmp_path: Path):  # type: ignore[no-untyped-def]
    def differ(before: list[str], after: list[str], limit_s: float = 10.0) -> list[TableDifference]:
        old = make(tmp_path / "old.db", *before)
        new = tmp_path / "new.db"
        shutil.copy(old, new)
        make(new, *after)
        unchanged = listing(tmp_path)
        found = KIND.compare(old, new, limit_s=limit_s)
        assert listing(tmp_path) == unchanged
        return found

    return differ


def row(name: str, added: int, removed: int, changed: int | None, *notes: str, status: str = "M") -> TableDifference:
    return TableDifference(name, status, added, removed, changed, notes)


def test_rows_are_counted_by_primary_key(differ) -> None:  # type: ignore[no-untyped-def]
    before = [
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v)",
        "INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, NULL), (4, x'00')",
    ]
    after = ["DELETE FROM t WHERE id = 1", "UPDATE t SET v = 'B' WHERE id = 2", "UPDATE t SET v = 0 WHERE id = 3",
             "INSERT INTO t VALUES (5, 'e'), (6, 'f')"]  # fmt: skip
    assert differ(before, after) == [row("t", 2, 1, 2)]


@pytest.mark.parametrize("suffix", ["", "WITHOUT ROWID"])
def test_composite_keys_count(differ, suffix: str) -> None:  # type: ignore[no-untyped-def]
    before = [f"CREATE TABLE t (a TEXT, b INT, v, PRIMARY KEY (b, a)) {suffix}",
              "INSERT INTO t VALUES ('x', 1, 1), ('y', 1, 1), ('x', 2, 1)"]  # fmt: skip
    after = ["UPDATE t SET v = 2 WHERE a = 'y'", "UPDATE t SET b = 3 WHERE b = 2"]
    assert differ(before, after) == [row("t", 1, 1, 1)]


def test_a_table_without_a_key_is_compared_as_a_multiset(differ) -> None:  # type: ignore[no-untyped-def]
    before = ["CREATE TABLE t (a, b)", "INSERT INTO t VALUES (1, NULL), (1, NULL), (2, 'x'), (3, 'y')"]
    after = ["DELETE FROM t WHERE rowid = 1", "UPDATE t SET b = 'X' WHERE a = 2", "INSERT INTO t VALUES (3, 'y')"]
    assert differ(before, after) == [row("t", 2, 2, None)]


def test_a_key_with_a_null_is_no_key(differ) -> None:  # type: ignore[no-untyped-def]
    before = ["CREATE TABLE t (k TEXT PRIMARY KEY, v)", "INSERT INTO t VALUES (NULL, 1), (NULL, 2), ('a', 3)"]
    assert differ(before, ["UPDATE t SET v = 9 WHERE v = 2"]) == [row("t", 1, 1, None)]


def test_a_change_of_case_alone_is_a_change(differ) -> None:  # type: ignore[no-untyped-def]
    before = [
        "CREATE TABLE t (k TEXT COLLATE NOCASE PRIMARY KEY, v COLLATE NOCASE)",
        "INSERT INTO t VALUES ('a', 'x'), ('b', 'y')",
    ]
    assert differ(before, ["UPDATE t SET v = 'X' WHERE k = 'a'", "UPDATE t SET k = 'B' WHERE k = 'b'"]) == [
        row("t", 0, 0, 2)
    ]


def test_tables_that_come_and_go_are_said(differ) -> None:  # type: ignore[no-untyped-def]
    before = ["CREATE TABLE gone (a)", "INSERT INTO gone VALUES (1), (2)", "CREATE TABLE same (a)"]
    after = ["DROP TABLE gone", "CREATE TABLE new (a)", "INSERT INTO new VALUES (1)"]
    assert differ(before, after) == [row("gone", 0, 2, 0, status="D"), row("new", 1, 0, 0, status="A")]


def test_changes_of_columns_are_said(differ) -> None:  # type: ignore[no-untyped-def]
    before = ["CREATE TABLE t (id INTEGER PRIMARY KEY, v)", "INSERT INTO t VALUES (1, 'a')"]
    assert differ(before, ["ALTER TABLE t ADD COLUMN more TEXT"]) == [row("t", 0, 0, 0, "new column more TEXT")]


def test_generated_columns_do_not_matter(differ) -> None:  # type: ignore[no-untyped-def]
    before = ["CREATE TABLE t (id INTEGER PRIMARY KEY, v INT, d INT AS (v * 2), s INT AS (v + 1) STORED)",
              "INSERT INTO t (id, v) VALUES (1, 1), (2, 2)"]  # fmt: skip
    assert differ(before, ["UPDATE t SET v = 5 WHERE id = 1"]) == [row("t", 0, 0, 1)]


def test_a_full_text_index_is_one_table(differ) -> None:  # type: ignore[no-untyped-def]
    before = ["CREATE VIRTUAL TABLE notes USING fts5(body)", "INSERT INTO notes VALUES ('one'), ('two')"]
    after = ["UPDATE notes SET body = 'zwei' WHERE rowid = 2", "INSERT INTO notes VALUES ('three')"]
    assert differ(before, after) == [row("notes", 1, 0, 1)]


def test_a_virtual_table_that_cannot_be_read_is_shown_by_its_shadow_tables(tmp_path: Path) -> None:
    place = make(tmp_path / "x.db", "CREATE VIRTUAL TABLE notes USING fts5(body)", "INSERT INTO notes VALUES ('one')")
    make(place, "PRAGMA writable_schema=ON",
         "UPDATE sqlite_master SET sql = replace(sql, 'fts5', 'no_such_module') WHERE name = 'notes'")  # fmt: skip
    names = [table.name for table in KIND.summarise(place)]
    assert "notes" not in names and "notes_content" in names


HOSTILE = ['we"ird', "semi; DROP TABLE t; --", "sp ace", "'", "[x]", "`", "ünï", "order", "%_"]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_only_names(differ, name: str) -> None:  # type: ignore[no-untyped-def]
    quoted = '"' + name.replace('"', '""') + '"'
    before = [f"CREATE TABLE {quoted} ({quoted} INTEGER PRIMARY KEY, v)", f"INSERT INTO {quoted} VALUES (1, 1)"]
    assert differ(before, [f"INSERT INTO {quoted} VALUES (2, 2)"]) == [row(name, 1, 0, 0)]


def test_equal_databases_do_not_differ(differ) -> None:  # type: ignore[no-untyped-def]
    before = ["CREATE TABLE t (a)", "CREATE VIEW v AS SELECT * FROM t", "INSERT INTO t VALUES (1)"]
    assert differ(before, ["VACUUM"]) == []


def test_counting_ends_in_time_and_says_so(differ) -> None:  # type: ignore[no-untyped-def]
    numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000)"
    many = f"{numbers} INSERT INTO t SELECT i, i FROM n"
    before = ["CREATE TABLE t (id INTEGER PRIMARY KEY, v)", many]
    assert differ(before, ["UPDATE t SET v = 0"], limit_s=0.0) == [
        row("t", 0, 0, None, "its rows were not counted: that takes too long")
    ]


def test_tables_are_summarised_with_what_is_in_the_wal(tmp_path: Path) -> None:
    place = tmp_path / "memory.db"
    make_bank(place, "wal")
    with closing(sqlite3.connect(place, isolation_level=None)) as connection:
        connection.execute("INSERT INTO steps (filler) VALUES ('x')")
        assert TableSummary("steps", 1, "id INTEGER, filler TEXT") in KIND.summarise(place)
        for suffix in ("", "-wal"):
            (tmp_path / f"copy.db{suffix}").write_bytes(Path(f"{place}{suffix}").read_bytes())
    before = listing(tmp_path)
    assert TableSummary("steps", 1, "id INTEGER, filler TEXT") in KIND.summarise(tmp_path / "copy.db")
    assert listing(tmp_path) == before


def test_what_is_no_database_is_an_error(tmp_path: Path) -> None:
    place = tmp_path / "no.db"
    place.write_bytes(b"x" * 4096)
    good = make(tmp_path / "good.db", "CREATE TABLE t (a)")
    with pytest.raises(UnreadableStoreError):
        KIND.summarise(place)
    with pytest.raises(UnreadableStoreError):
        KIND.compare(place, good, limit_s=1.0)
    assert not KIND.detect(place) and KIND.detect(good)
