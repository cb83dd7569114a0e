"""Three-way merges of databases: rows by key, schemas as wholes, and nothing that is guessed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chronos.errors import UsageError
from chronos.memory import TableMerge
from chronos.merging import Choice, Conflict, ConflictKind, Resolution, Strategy
from tests.memory.sqlite_merged import OURS, THEIRS, Merged, Merging, merged, value

__all__ = ["merged"]

T = ["CREATE TABLE t (id INTEGER PRIMARY KEY, a, b)", "INSERT INTO t VALUES (1, 'a', 1), (2, 'b', 2), (3, 'c', 3)"]


def test_rows_changed_on_both_sides_end_as_the_union(merged: Merging) -> None:
    ours = ["UPDATE t SET a = 'A' WHERE id = 1", "INSERT INTO t VALUES (10, 'ours', 0)"]
    theirs = [
        "UPDATE t SET a = 'B' WHERE id = 2",
        "INSERT INTO t VALUES (20, 'theirs', 0)",
        "DELETE FROM t WHERE id = 3",
    ]
    result = merged(T, ours, theirs)
    assert result.rows("SELECT * FROM t") == [(1, "A", 1), (2, "B", 2), (10, "ours", 0), (20, "theirs", 0)]
    assert result.conflicts == []
    assert result.result.tables == [TableMerge("t", 1, 1, 1)]


def test_the_same_row_changed_twice_is_a_conflict_that_shows_all_sides(merged: Merging) -> None:
    result = merged(T, ["UPDATE t SET a = 'x' WHERE id = 1"], ["UPDATE t SET b = 9 WHERE id = 1"])
    sides = {"id": 1, "a": "a", "b": 1}, {"id": 1, "a": "x", "b": 1}, {"id": 1, "a": "a", "b": 9}
    assert result.conflicts == [(ConflictKind.ROW, "t", '{"id": 1}', *sides)]
    (conflict,) = result.result.conflicts
    assert (conflict.path, conflict.store, conflict.is_large) == (b"data/m.db", "m", False)
    assert result.rows("SELECT * FROM t WHERE id = 1") == [(1, "x", 1)]


def test_a_row_deleted_here_and_changed_there_is_a_conflict(merged: Merging) -> None:
    result = merged(T, ["DELETE FROM t WHERE id = 1", "UPDATE t SET a = 'x' WHERE id = 2"],
                    ["UPDATE t SET a = 'y' WHERE id = 1", "DELETE FROM t WHERE id = 2"])  # fmt: skip
    found = {key: (ours, theirs) for _, _, key, _, ours, theirs in result.conflicts}
    assert found == {
        '{"id": 1}': (None, {"id": 1, "a": "y", "b": 1}),
        '{"id": 2}': ({"id": 2, "a": "x", "b": 2}, None),
    }
    assert result.rows("SELECT id, a FROM t") == [(2, "x"), (3, "c")]


def test_a_key_added_twice_is_a_conflict_unless_the_rows_are_equal(merged: Merging) -> None:
    result = merged(
        T, ["INSERT INTO t VALUES (4, 'x', 1), (5, 'same', 1)"], ["INSERT INTO t VALUES (4, 'y', 1), (5, 'same', 1)"]
    )
    assert [(key, base) for _, _, key, base, _, _ in result.conflicts] == [('{"id": 4}', None)]


def test_the_same_change_on_both_sides_is_fine(merged: Merging) -> None:
    both = ["UPDATE t SET a = 'x' WHERE id = 1", "DELETE FROM t WHERE id = 2", "INSERT INTO t VALUES (9, 1, 2)"]
    result = merged(T, both, both)
    assert (result.conflicts, result.result.tables) == ([], [])


TWICE = (["UPDATE t SET a = 'x' WHERE id = 1"], ["UPDATE t SET a = 'y' WHERE id = 1"])


@pytest.mark.parametrize(("resolution", "row"), [
    (OURS, "x"), (THEIRS, "y"), (Resolution(Choice.CONTENT, b'{"b": 7, "id": 1, "a": "both"}'), "both"),
])  # fmt: skip
def test_a_conflict_of_rows_can_be_resolved(merged: Merging, resolution: Resolution, row: str) -> None:
    result = merged(T, *TWICE, lambda conflict: resolution)
    assert result.rows("SELECT a FROM t WHERE id = 1") == [(row,)]
    assert result.conflicts == []


@pytest.mark.parametrize(("strategy", "row"), [(Strategy.OURS, "x"), (Strategy.THEIRS, "y")])
def test_a_strategy_decides_what_the_resolver_does_not(merged: Merging, strategy: Strategy, row: str) -> None:
    assert merged(T, *TWICE, strategy=strategy).rows("SELECT a FROM t WHERE id = 1") == [(row,)]
    kept = merged(T, *TWICE, lambda conflict: OURS, strategy)
    assert kept.rows("SELECT a FROM t WHERE id = 1") == [("x",)]


def test_the_strategy_union_takes_columns_from_both(merged: Merging) -> None:
    result = merged(
        T,
        ["UPDATE t SET a = 'x' WHERE id < 3"],
        ["UPDATE t SET b = 9 WHERE id = 1", "UPDATE t SET a = 'y' WHERE id = 2"],
        strategy=Strategy.UNION,
    )
    assert result.rows("SELECT * FROM t WHERE id < 3") == [(1, "x", 9), (2, "x", 2)]
    assert [key for _, _, key, *_ in result.conflicts] == ['{"id": 2}']


@pytest.mark.parametrize(
    "content",
    [
        b"nonsense",
        b"[1]",
        b'{"id": 1, "a": 1}',
        b'{"id": 1, "a": 1, "b": 1, "c": 1}',
        b'{"id": 2, "a": 1, "b": 1}',
        b'{"id": 1, "a": true, "b": 1}',
        b'{"id": 1, "a": {"x": 1}, "b": 1}',
        b'{"id": 1, "a": 9223372036854775808, "b": 1}',
    ],
)
def test_a_resolution_that_is_not_the_row_is_refused(merged: Merging, content: bytes) -> None:
    with pytest.raises(UsageError) as caught:
        merged(T, *TWICE, lambda conflict: Resolution(Choice.CONTENT, content))
    assert "table t" in caught.value.message and caught.value.hint


def test_cells_are_shown_and_written_exactly(merged: Merging) -> None:
    cells = ["x'00ff'", "9007199254740993", "1.5", "9e999", "'ü\n'", "CAST(x'ff' AS TEXT)", "NULL", "''", "1.0"]
    columns = [f"c{number}" for number in range(len(cells))]
    made = f"CREATE TABLE t (id INTEGER PRIMARY KEY, {', '.join(columns)}, n)"
    row = f"INSERT INTO t VALUES (1, {', '.join(cells)}, 0)"
    seen: list[Conflict] = []

    def resolve(conflict: Conflict) -> Resolution:
        seen.append(conflict)
        return Resolution(Choice.CONTENT, (conflict.theirs or b"").replace(b'"n": 2', b'"n": 3'))

    result = merged([made, row], ["UPDATE t SET n = 1"], ["UPDATE t SET n = 2"], resolve)
    wanted = [{"blob": "00ff"}, 9007199254740993, 1.5, {"real": "inf"}, "ü\n", {"text": "ff"}, None, "", 1.0]
    assert [value(seen[0].base)[name] for name in columns] == wanted
    is_same = " AND ".join(
        f"{name} IS {cell} AND typeof({name}) = typeof({cell})" for name, cell in zip(columns, cells, strict=True)
    )
    assert result.rows(f"SELECT n FROM t WHERE {is_same}") == [(3,)]


@pytest.mark.parametrize("change", ["1.0", "'1'", "x'31'", "NULL"])
def test_a_change_of_type_alone_is_a_change(merged: Merging, change: str) -> None:
    result = merged(T, [], [f"UPDATE t SET b = {change} WHERE id = 1"])
    assert result.rows(f"SELECT typeof(b) = typeof({change}) FROM t WHERE id = 1") == [(1,)]
    assert (
        len(merged(T, ["UPDATE t SET b = 5 WHERE id = 1"], [f"UPDATE t SET b = {change} WHERE id = 1"]).conflicts) == 1
    )


@pytest.mark.parametrize("suffix", ["", "WITHOUT ROWID"])
def test_composite_keys_of_any_type(merged: Merging, suffix: str) -> None:
    base = [f"CREATE TABLE t (k TEXT, l BLOB, v, PRIMARY KEY (l, k)) {suffix}",
            "INSERT INTO t VALUES ('a', 1, 1), ('a', '1', 1), ('a', x'31', 1), ('b', 1.5, 1)"]  # fmt: skip
    result = merged(
        base,
        ["UPDATE t SET v = 'o' WHERE l = 1"],
        ["UPDATE t SET v = 't' WHERE l = '1' OR l = 1.5", "DELETE FROM t WHERE l = x'31'"],
    )
    assert sorted(result.rows("SELECT typeof(l), v FROM t")) == [("integer", "o"), ("real", "t"), ("text", "t")]
    clash = merged(base, ["UPDATE t SET v = 2 WHERE l = x'31'"], ["UPDATE t SET v = 3 WHERE l = x'31'"])
    assert [key for _, _, key, *_ in clash.conflicts] == ['{"l": {"blob": "31"}, "k": "a"}']


def test_keys_are_equal_as_their_column_says(merged: Merging) -> None:
    base = ["CREATE TABLE t (k TEXT COLLATE NOCASE PRIMARY KEY, v)", "INSERT INTO t VALUES ('a', 1), ('b', 2)"]
    result = merged(base, ["UPDATE t SET v = 9 WHERE k = 'b'"], ["UPDATE t SET k = 'A' WHERE k = 'a'"])
    assert sorted(result.rows("SELECT k, v FROM t")) == [("A", 1), ("b", 9)]
    assert (
        len(merged(base, ["UPDATE t SET v = 9 WHERE k = 'a'"], ["UPDATE t SET k = 'A' WHERE k = 'a'"]).conflicts) == 1
    )


def test_rowids_that_others_refer_to_stay(merged: Merging) -> None:
    base = ["CREATE TABLE t (k TEXT PRIMARY KEY, v)", "INSERT INTO t VALUES ('a', 1), ('b', 2), ('c', 3)"]
    result = merged(base, ["DELETE FROM t WHERE k = 'a'", "INSERT INTO t VALUES ('o', 1)"],
                    ["UPDATE t SET v = 9 WHERE k = 'b'", "INSERT INTO t VALUES ('t', 1), ('u', 2)"])  # fmt: skip
    rows = dict(result.rows("SELECT k, rowid FROM t"))
    assert (rows["b"], rows["c"], rows["o"], rows["u"]) == (2, 3, 4, 5)
    assert len(set(rows.values())) == len(rows) == 5


def test_rowids_that_were_made_anew_are_no_change(merged: Merging) -> None:
    base = ["CREATE TABLE t (k TEXT COLLATE NOCASE PRIMARY KEY, v)", "CREATE TABLE n (a, b)"]
    base += [f"INSERT INTO {table} VALUES ('{key}', 1)" for table in "tn" for key in "abcd"]
    gap = ["DELETE FROM t WHERE k = 'a'", "DELETE FROM n WHERE a = 'a'"]
    anew = ["VACUUM", "UPDATE t SET v = 2 WHERE k = 'c'", "INSERT INTO t VALUES ('e', 1)"]
    result = merged([*base, *gap], ["UPDATE n SET b = 5 WHERE a = 'd'", "UPDATE t SET v = 3 WHERE k = 'd'"], anew)
    assert sorted(result.rows("SELECT k, v FROM t")) == [("b", 1), ("c", 2), ("d", 3), ("e", 1)]
    assert result.rows("SELECT b FROM n") == [(1,), (1,), (5,)]
    assert result.conflicts == [] and result.result.tables == [TableMerge("t", 1, 1, 0)]


UNKEYED = ["CREATE TABLE t (a, b)", "INSERT INTO t VALUES (1, 1), (1, 1), (2, NULL)"]


@pytest.mark.parametrize(
    "base", [UNKEYED, ["CREATE TABLE t (a PRIMARY KEY, b)", "INSERT INTO t VALUES (NULL, 1), (NULL, 2)"]]
)
def test_a_table_without_a_key_is_taken_whole_from_the_side_that_changed_it(merged: Merging, base: list[str]) -> None:
    change = ["INSERT INTO t VALUES (7, 'x')"]
    result = merged(base, [], change)
    assert result.rows("SELECT b FROM t WHERE a = 7") == [("x",)] and result.conflicts == []
    assert result.result.tables == [TableMerge("t", 1, 0, 0)]
    assert merged(base, change, []).rows("SELECT b FROM t WHERE a = 7") == [("x",)]
    assert merged(base, change, change).conflicts == []


def test_a_table_without_a_key_that_both_changed_is_a_conflict(merged: Merging) -> None:
    sides = ["UPDATE t SET b = 'o' WHERE a = 2"], ["UPDATE t SET b = 't' WHERE a = 2"]
    result = merged(UNKEYED, *sides)
    assert [(kind, table) for kind, table, *_ in result.conflicts] == [(ConflictKind.SCHEMA, "t")]
    assert "no key" in result.result.conflicts[0].reason
    assert result.rows("SELECT b FROM t WHERE a = 2") == [("o",)]
    assert merged(UNKEYED, *sides, lambda c: THEIRS).rows("SELECT b FROM t WHERE a = 2") == [("t",)]
    with pytest.raises(UsageError):
        merged(UNKEYED, *sides, lambda c: Resolution(Choice.CONTENT, b"{}"))


def test_tables_that_one_side_added_or_dropped_are_taken(merged: Merging) -> None:
    base = [*T, "CREATE TABLE old (a)", "INSERT INTO old VALUES (1)"]
    theirs = ["DROP TABLE old", "CREATE TABLE new (k PRIMARY KEY, v) WITHOUT ROWID", "INSERT INTO new VALUES (1, 2)",
              "CREATE INDEX new_v ON new (v)"]  # fmt: skip
    result = merged(base, ["INSERT INTO t VALUES (9, 9, 9)"], theirs)
    assert result.rows("SELECT name FROM sqlite_master WHERE name NOT LIKE 'sqlite%' ORDER BY 1") == [
        ("new",),
        ("new_v",),
        ("t",),
    ]
    assert result.result.tables == [TableMerge("old", 0, 0, 1), TableMerge("new", 1, 0, 0)]
    assert merged(base, ["DROP TABLE old"], []).rows("SELECT count(*) FROM sqlite_master WHERE name = 'old'") == [(0,)]


def test_a_table_dropped_here_and_changed_there_is_a_conflict(merged: Merging) -> None:
    drop, change = ["DROP TABLE t"], ["UPDATE t SET a = 'x' WHERE id = 1"]
    for ours, theirs, is_there in ((drop, change, False), (change, drop, True)):
        result = merged(T, ours, theirs)
        assert [(kind, table) for kind, table, *_ in result.conflicts] == [(ConflictKind.DELETED, "t")]
        there = "SELECT count(*) FROM sqlite_master WHERE name = 't'"
        assert result.rows(there) == [(int(is_there),)]
        assert merged(T, ours, theirs, lambda c: THEIRS).rows(there) == [(int(not is_there),)]


def test_what_belongs_to_a_table_stays_or_goes_with_it(merged: Merging) -> None:
    made = ["CREATE INDEX i ON t (a)", "CREATE TRIGGER g AFTER INSERT ON t BEGIN SELECT 1; END"]
    drop, change = ["DROP TABLE t"], ["UPDATE t SET a = 'x' WHERE id = 1"]
    names = "SELECT name FROM sqlite_master ORDER BY 1"
    for ours, theirs in ((drop, change), (change, drop)):
        for resolution in (None, OURS, THEIRS):
            result = merged([*T, *made], ours, theirs, lambda c, resolution=resolution: resolution)
            is_there = (theirs if resolution == THEIRS else ours) is change
            assert result.rows(names) == ([("g",), ("i",), ("t",)] if is_there else [])
    assert merged([*T, *made], [], drop).rows(names) == []
    assert merged(T, made[:1], drop).result.notes == ["the index i went with t"]


ADD = ["ALTER TABLE t ADD COLUMN c DEFAULT 5"]


def test_a_changed_schema_is_taken_when_the_other_side_left_the_table_alone(merged: Merging) -> None:
    change = [*ADD, "UPDATE t SET c = id"]
    for ours, theirs in (([], change), (change, [])):
        result = merged(T, ours, theirs)
        assert result.rows("SELECT c FROM t") == [(1,), (2,), (3,)] and result.conflicts == []


def test_a_changed_schema_and_changed_rows_are_a_conflict(merged: Merging) -> None:
    change = ["UPDATE t SET a = 'x' WHERE id = 1"]
    result = merged(T, change, ADD)
    assert [(kind, table) for kind, table, *_ in result.conflicts] == [(ConflictKind.SCHEMA, "t")]
    assert "DEFAULT 5" in (result.result.conflicts[0].theirs or b"").decode()
    assert len(result.rows("PRAGMA table_info(t)")) == 3
    assert merged(T, ADD, change).rows("SELECT a, c FROM t WHERE id = 1") == [("a", 5)]
    assert merged(T, ADD, change, lambda c: THEIRS).rows("SELECT * FROM t WHERE id = 1") == [(1, "x", 1)]


def test_two_different_schemas_are_a_conflict(merged: Merging) -> None:
    result = merged(T, ["ALTER TABLE t ADD COLUMN o"], ["ALTER TABLE t ADD COLUMN x"])
    assert [kind for kind, *_ in result.conflicts] == [ConflictKind.SCHEMA]
    both = merged([], ["CREATE TABLE n (a)"], ["CREATE TABLE n (b)"])
    assert [kind for kind, *_ in both.conflicts] == [ConflictKind.SCHEMA]


def test_the_same_migration_on_both_sides_leaves_rows_to_be_merged(merged: Merging) -> None:
    ours = [
        *ADD,
        "UPDATE t SET a = 'x' WHERE id = 1",
        "DELETE FROM t WHERE id = 3",
        "INSERT INTO t VALUES (8, 8, 8, 8)",
    ]
    theirs = [*ADD, "UPDATE t SET c = 6 WHERE id = 2", "INSERT INTO t VALUES (9, 9, 9, 9)"]
    result = merged(T, ours, theirs)
    assert result.conflicts == []
    assert result.rows("SELECT * FROM t") == [(1, "x", 1, 5), (2, "b", 2, 6), (8, 8, 8, 8), (9, 9, 9, 9)]
    assert (
        len(merged(T, [*ADD, "UPDATE t SET c = 1 WHERE id = 1"], [*ADD, "UPDATE t SET c = 2 WHERE id = 1"]).conflicts)
        == 1
    )


def test_indexes_views_and_triggers_of_one_side_are_taken(merged: Merging) -> None:
    old = ["CREATE INDEX i ON t (a)", "CREATE VIEW v AS SELECT a FROM t", "CREATE INDEX same ON t (b)"]
    base = [*T, *old, "CREATE TRIGGER g AFTER INSERT ON t BEGIN SELECT 1; END"]
    new = ["CREATE INDEX i ON t (b)", "CREATE UNIQUE INDEX u ON t (a)", "CREATE VIEW w AS SELECT b FROM t"]
    theirs = ["DROP INDEX i", "DROP VIEW v", "DROP TRIGGER g", *new]
    theirs.append("CREATE TRIGGER h AFTER DELETE ON t BEGIN SELECT 1; END")
    result = merged(base, ["INSERT INTO t VALUES (9, 9, 9)", "CREATE INDEX o ON t (id, a)"], theirs)
    names = result.rows("SELECT name, sql LIKE '%(b)' FROM sqlite_master WHERE type <> 'table' ORDER BY 1")
    assert names == [("h", 0), ("i", 1), ("o", 0), ("same", 1), ("u", 0), ("w", 0)]
    assert result.rows("SELECT count(*) FROM t") == [(4,)] and result.conflicts == []


def test_an_index_that_both_changed_is_a_conflict(merged: Merging) -> None:
    base = [*T, "CREATE INDEX i ON t (a)"]
    result = merged(base, ["DROP INDEX i", "CREATE INDEX i ON t (b)"], ["DROP INDEX i", "CREATE INDEX i ON t (a, b)"])
    assert [(kind, table) for kind, table, *_ in result.conflicts] == [(ConflictKind.SCHEMA, "i")]
    assert result.rows("SELECT sql FROM sqlite_master WHERE name = 'i'") == [("CREATE INDEX i ON t (b)",)]


def test_a_unique_index_that_the_merged_rows_do_not_fit_is_a_conflict(merged: Merging) -> None:
    result = merged(T, ["INSERT INTO t VALUES (4, 'a', 4)"], ["CREATE UNIQUE INDEX u ON t (a)"])
    assert [(kind, table) for kind, table, *_ in result.conflicts] == [(ConflictKind.SCHEMA, "u")]
    assert result.rows("SELECT count(*) FROM sqlite_master WHERE name = 'u'") == [(0,)]


def test_triggers_do_not_fire_and_are_there_afterwards(merged: Merging) -> None:
    base = [
        *T,
        "CREATE TABLE log (n INTEGER PRIMARY KEY, what)",
        "CREATE TRIGGER i AFTER INSERT ON t BEGIN INSERT INTO log (what) VALUES (1); DELETE FROM t WHERE id = 1; END",
        "CREATE TRIGGER u BEFORE UPDATE ON t BEGIN SELECT RAISE(ABORT, 'no'); END",
        "CREATE TRIGGER d BEFORE DELETE ON t BEGIN SELECT RAISE(ABORT, 'no'); END",
    ]
    theirs = [
        "DROP TRIGGER i",
        "DROP TRIGGER u",
        "DROP TRIGGER d",
        "UPDATE t SET a = 'x' WHERE id = 2",
        "DELETE FROM t WHERE id = 3",
        "INSERT INTO t VALUES (4, 4, 4)",
        *base[3:],
    ]
    result = merged(base, ["INSERT INTO log VALUES (77, 'ours')"], theirs)
    assert result.rows("SELECT id, a FROM t") == [(1, "a"), (2, "x"), (4, 4)]
    assert result.rows("SELECT n FROM log") == [(77,)]
    assert result.rows("SELECT name FROM sqlite_master WHERE type = 'trigger' ORDER BY 1") == [("d",), ("i",), ("u",)]


LINKED = [
    "CREATE TABLE p (id INTEGER PRIMARY KEY, n)",
    "CREATE TABLE c (id INTEGER PRIMARY KEY, p REFERENCES p (id), q REFERENCES p)",
    "INSERT INTO p VALUES (1, 'one'), (2, 'two')",
    "INSERT INTO c VALUES (1, 1, NULL)",
]


@pytest.mark.parametrize(("resolution", "parents", "children"), [
    (None, [1], [1]), (OURS, [1], [1]), (THEIRS, [1, 2], [1, 5]),
    (Resolution(Choice.CONTENT, b'{"id": 5, "p": 1, "q": null}'), [1], [1, 5]),
])  # fmt: skip
def test_a_child_of_theirs_whose_parent_ours_deleted(
    merged: Merging, resolution: Resolution | None, parents: list[int], children: list[int]
) -> None:
    result = merged(LINKED, ["DELETE FROM p WHERE id = 2"], ["INSERT INTO c VALUES (5, 2, NULL)"], lambda c: resolution)
    assert [row[0] for row in result.rows("SELECT id FROM p")] == parents
    assert [row[0] for row in result.rows("SELECT id FROM c")] == children
    found = [(kind, table, key) for kind, table, key, *_ in result.conflicts]
    assert found == ([(ConflictKind.CONSTRAINT, "c", '{"id": 5}')] if resolution is None else [])


@pytest.mark.parametrize(("resolution", "parents", "children"), [
    (None, [1, 2], [1, 5]), (OURS, [1, 2], [1, 5]), (THEIRS, [1], [1]),
])  # fmt: skip
def test_a_child_of_ours_whose_parent_theirs_deleted(
    merged: Merging, resolution: Resolution | None, parents: list[int], children: list[int]
) -> None:
    result = merged(LINKED, ["INSERT INTO c VALUES (5, 1, 2)"], ["DELETE FROM p WHERE id = 2"], lambda c: resolution)
    assert [row[0] for row in result.rows("SELECT id FROM p")] == parents
    assert [row[0] for row in result.rows("SELECT id FROM c")] == children
    assert len(result.conflicts) == (resolution is None)


def test_a_parent_that_was_missing_before_is_no_conflict(tmp_path: Path) -> None:
    base = [*LINKED, "INSERT INTO c VALUES (3, 99, NULL)"]
    result = Merged(tmp_path, base, ["INSERT INTO p VALUES (7, 7)"], ["INSERT INTO c VALUES (4, 1, NULL)"])
    assert result.conflicts == [] and result.result.notes == []
    assert result.rows("SELECT count(*) FROM c") == [(3,)]


def test_foreign_keys_of_several_columns_and_of_tables_that_came_whole(merged: Merging) -> None:
    base = [
        "CREATE TABLE p (a, b, n, PRIMARY KEY (a, b)) WITHOUT ROWID",
        "CREATE TABLE c (k TEXT PRIMARY KEY, x, y, FOREIGN KEY (x, y) REFERENCES p) WITHOUT ROWID",
        "INSERT INTO p VALUES (1, 'x', 0), (2, 'y', 0)",
    ]
    theirs = [
        "INSERT INTO c VALUES ('fine', 1, 'x'), ('lost', 2, 'y')",
        "CREATE TABLE w (x, y, FOREIGN KEY (x, y) REFERENCES p)",
    ]
    theirs.append("INSERT INTO w VALUES (2, 'y'), (1, 'x'), (NULL, 'y')")
    result = merged(base, ["DELETE FROM p WHERE a = 2"], theirs)
    assert sorted((table, key) for _, table, key, *_ in result.conflicts) == [
        ("c", '{"k": "lost"}'),
        ("w", '{"rowid": 1}'),
    ]
    assert result.rows("SELECT k FROM c") == [("fine",)] and result.rows("SELECT x FROM w") == [(1,), (None,)]
    taken = merged(base, ["DELETE FROM p WHERE a = 2"], theirs, strategy=Strategy.THEIRS)
    assert len(taken.rows("SELECT * FROM c")) == 2 and len(taken.rows("SELECT * FROM w")) == 3
    assert len(taken.rows("SELECT * FROM p")) == 2


def test_a_parent_and_the_child_of_its_child_go_together(merged: Merging) -> None:
    base = ["CREATE TABLE n (id INTEGER PRIMARY KEY, up REFERENCES n)", "INSERT INTO n VALUES (1, NULL), (2, 1)"]
    ours = ["DELETE FROM n WHERE id = 2"]
    result = merged(base, ours, ["INSERT INTO n VALUES (3, 2), (4, 3), (5, 1)"])
    assert [row[0] for row in result.rows("SELECT id FROM n")] == [1, 5]
    assert [key for _, _, key, *_ in result.conflicts] == ['{"id": 3}', '{"id": 4}']
    theirs = merged(base, ours, ["INSERT INTO n VALUES (3, 2), (4, 3), (5, 1)"], strategy=Strategy.THEIRS)
    assert [row[0] for row in theirs.rows("SELECT id FROM n")] == [1, 2, 3, 4, 5]


UNIQUE = [
    "CREATE TABLE u (id INTEGER PRIMARY KEY, mail TEXT UNIQUE, n)",
    "INSERT INTO u VALUES (1, 'a', 0), (2, 'b', 0), (3, 'c', 0)",
]


@pytest.mark.parametrize(("resolution", "rows"), [
    (None, [(10, "new")]), (OURS, [(10, "new")]), (THEIRS, [(20, "new")]),
    (Resolution(Choice.CONTENT, b'{"id": 20, "mail": "other", "n": 2}'), [(10, "new"), (20, "other")]),
])  # fmt: skip
def test_rows_that_cannot_stand_beside_each_other_are_a_conflict(
    merged: Merging, resolution: Resolution | None, rows: list[tuple[int, str]]
) -> None:
    result = merged(
        UNIQUE,
        ["INSERT INTO u VALUES (10, 'new', 1)"],
        ["INSERT INTO u VALUES (20, 'new', 2), (21, 'fine', 2)"],
        lambda c: resolution,
    )
    assert result.rows("SELECT id, mail FROM u WHERE id > 3 AND id <> 21") == rows
    assert result.rows("SELECT mail FROM u WHERE id = 21") == [("fine",)]
    if resolution is None:
        ours, theirs = {"id": 10, "mail": "new", "n": 1}, {"id": 20, "mail": "new", "n": 2}
        assert result.conflicts == [(ConflictKind.CONSTRAINT, "u", '{"id": 20}', None, ours, theirs)]
        assert "UNIQUE constraint failed: u.mail" in result.result.conflicts[0].reason


def test_values_that_changed_places_do_not_collide(merged: Merging) -> None:
    theirs = [
        "UPDATE u SET mail = 'x' WHERE id = 1",
        "UPDATE u SET mail = 'a' WHERE id = 2",
        "UPDATE u SET mail = 'b' WHERE id = 1",
    ]
    result = merged(UNIQUE, ["UPDATE u SET n = 9 WHERE id = 3"], theirs)
    assert result.rows("SELECT id, mail, n FROM u") == [(1, "b", 0), (2, "a", 0), (3, "c", 9)]


def test_what_gives_way_to_a_row_of_ours_is_a_conflict_too(merged: Merging) -> None:
    theirs = ["UPDATE u SET mail = 'z' WHERE id = 1", "INSERT INTO u VALUES (20, 'a', 2)"]
    result = merged(UNIQUE, ["INSERT INTO u VALUES (10, 'z', 1)"], theirs)
    assert sorted(key for _, _, key, *_ in result.conflicts) == ['{"id": 1}', '{"id": 20}']
    assert result.rows("SELECT id, mail FROM u ORDER BY id") == [(1, "a"), (2, "b"), (3, "c"), (10, "z")]
    taken = merged(UNIQUE, ["INSERT INTO u VALUES (10, 'z', 1)"], theirs, strategy=Strategy.THEIRS)
    assert taken.rows("SELECT id, mail FROM u ORDER BY id") == [(1, "z"), (2, "b"), (3, "c"), (20, "a")]


def test_unique_indexes_on_expressions_count_as_well(merged: Merging) -> None:
    base = [*T, "CREATE UNIQUE INDEX e ON t (lower(a)) WHERE b > 5"]
    result = merged(base, ["INSERT INTO t VALUES (10, 'X', 9)"], ["INSERT INTO t VALUES (20, 'x', 9), (21, 'x', 1)"])
    assert [key for _, _, key, *_ in result.conflicts] == ['{"id": 20}']
    assert result.rows("SELECT id FROM t WHERE id > 3") == [(10,), (21,)]


def test_a_resolution_that_a_check_refuses_stays_a_conflict(merged: Merging) -> None:
    base = ["CREATE TABLE t (id INTEGER PRIMARY KEY, a CHECK (a > 0), b NOT NULL)", "INSERT INTO t VALUES (1, 1, 1)"]
    for content in (b'{"id": 1, "a": -1, "b": 1}', b'{"id": 1, "a": 1, "b": null}'):
        result = merged(
            base,
            ["UPDATE t SET a = 2"],
            ["UPDATE t SET a = 3"],
            lambda c, content=content: Resolution(Choice.CONTENT, content),
        )
        assert [kind for kind, *_ in result.conflicts] == [ConflictKind.CONSTRAINT]
        assert result.rows("SELECT a FROM t") == [(2,)]


def test_autoincrement_goes_on_from_the_higher_number(merged: Merging) -> None:
    base = ["CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, a)", "INSERT INTO t (a) VALUES (1)"]
    theirs = [
        "INSERT INTO t VALUES (50, 'gone')",
        "DELETE FROM t WHERE id = 50",
        "CREATE TABLE n (id INTEGER PRIMARY KEY AUTOINCREMENT)",
        "INSERT INTO n VALUES (7)",
    ]
    result = merged(base, ["INSERT INTO t VALUES (20, 'o')"], theirs)
    assert sorted(result.rows("SELECT * FROM sqlite_sequence")) == [("n", 7), ("t", 50)]
    back = merged(base, ["INSERT INTO t VALUES (60, 'o')"], ["INSERT INTO t VALUES (50, 't')"])
    assert back.rows("SELECT seq FROM sqlite_sequence") == [(60,)]


def test_generated_columns_follow(merged: Merging) -> None:
    base = [
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v INT, d INT AS (v * 2), s INT AS (v + 1) STORED)",
        "INSERT INTO t (id, v) VALUES (1, 1), (2, 2)",
    ]
    result = merged(
        base,
        ["UPDATE t SET v = 5 WHERE id = 1"],
        ["UPDATE t SET v = 6 WHERE id = 2", "INSERT INTO t (id, v) VALUES (3, 3)"],
    )
    assert result.rows("SELECT * FROM t") == [(1, 5, 10, 6), (2, 6, 12, 7), (3, 3, 6, 4)]


def test_numbers_in_the_header(merged: Merging) -> None:
    base = ["CREATE TABLE t (a)", "PRAGMA user_version = 1"]
    assert merged(base, [], ["PRAGMA user_version = 2"]).rows("PRAGMA user_version") == [(2,)]
    assert merged(base, ["PRAGMA application_id = 7"], []).rows("PRAGMA application_id") == [(7,)]
    both = merged(base, ["PRAGMA user_version = 2"], ["PRAGMA user_version = 3"])
    assert both.conflicts == [(ConflictKind.SCHEMA, "PRAGMA user_version", "", 1, 2, 3)]
    taken = merged(base, ["PRAGMA user_version = 2"], ["PRAGMA user_version = 3"], strategy=Strategy.THEIRS)
    assert taken.rows("PRAGMA user_version") == [(3,)]


def test_statistics_stay_those_of_ours(merged: Merging) -> None:
    base = [*T, "CREATE INDEX i ON t (a)", "ANALYZE"]
    result = merged(base, [], ["INSERT INTO t VALUES (9, 9, 9)", "ANALYZE"])
    assert result.rows("SELECT stat FROM sqlite_stat1") == [("3 1",)]
    assert result.rows("SELECT count(*) FROM t") == [(4,)]


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_the_journal_mode_is_that_of_ours(merged: Merging, mode: str) -> None:
    result = merged([*T, f"PRAGMA journal_mode = {mode}"], ["UPDATE t SET a = 1"], ["INSERT INTO t VALUES (5, 5, 5)"])
    assert result.rows("PRAGMA journal_mode") == [(mode,)]
    assert result.rows("SELECT count(*) FROM t") == [(4,)]


def test_without_a_base_everything_was_added_twice(merged: Merging) -> None:
    theirs = [T[0], "INSERT INTO t VALUES (1, 'a', 1), (2, 'other', 2), (9, 'new', 9)"]
    result = merged(None, T, theirs)
    assert [(key, base) for _, _, key, base, *_ in result.conflicts] == [('{"id": 2}', None)]
    assert result.rows("SELECT id FROM t") == [(1,), (2,), (3,), (9,)]


def test_more_conflicts_than_are_listed_are_said(merged: Merging) -> None:
    base = ["CREATE TABLE t (id INTEGER PRIMARY KEY, v)", "INSERT INTO t VALUES (1, 0), (2, 0), (3, 0), (4, 0), (5, 0)"]
    result = merged(base, ["UPDATE t SET v = 1"], ["UPDATE t SET v = 2"], most=2)
    assert len(result.conflicts) == 2
    assert result.result.notes == ["3 more conflicts are not listed"]


@pytest.mark.parametrize(
    "name", ['we"ird', "semi; DROP TABLE t; --", "sp ace", "'", "[x]", "`", "order", "d", "n", "k0", "state", "rowid"]
)
def test_hostile_names_are_only_names(merged: Merging, name: str) -> None:
    quoted = '"' + name.replace('"', '""') + '"'
    base = [f"CREATE TABLE {quoted} ({quoted} TEXT PRIMARY KEY, v)", f"INSERT INTO {quoted} VALUES ('1', 1), ('2', 2)"]
    result = merged(
        base,
        [f"UPDATE {quoted} SET v = 8 WHERE {quoted} = '1'", f"UPDATE {quoted} SET v = 5 WHERE {quoted} = '2'"],
        [f"INSERT INTO {quoted} VALUES ('3', 3)", f"UPDATE {quoted} SET v = 6 WHERE {quoted} = '2'"],
    )
    assert sorted(result.rows(f"SELECT v FROM {quoted}")) == [(3,), (5,), (8,)]
    assert [json.loads(key) for _, _, key, *_ in result.conflicts] == [{name: "2"}]
