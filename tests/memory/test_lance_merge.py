"""Three-way merges of LanceDB databases: rows by id, everything else whole."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lancedb
import pyarrow
import pytest
from lancedb.index import BTree

from chronos.errors import UsageError
from chronos.memory import MergeWork, StoreMerge, TableMerge
from chronos.memory.lancedb import LanceKind
from chronos.merging import Choice, Conflict, ConflictKind, Resolution, Strategy

THEIRS = Resolution(Choice.THEIRS)
Change = Callable[[Any], object]
SCHEMA = pyarrow.schema(
    [
        pyarrow.field("id", pyarrow.int64()),
        pyarrow.field("text", pyarrow.string()),
        pyarrow.field("vector", pyarrow.list_(pyarrow.float32(), 2)),
        pyarrow.field(
            "more", pyarrow.struct([pyarrow.field("n", pyarrow.int32()), pyarrow.field("b", pyarrow.binary())])
        ),
    ]
)


def rows(*ids: int, text: str = "old") -> pyarrow.Table:
    made = [{"id": i, "text": f"{text} {i}", "vector": [i / 3, 0.5], "more": {"n": i, "b": bytes([i])}} for i in ids]
    return pyarrow.Table.from_pylist(made, SCHEMA)


def make(database: Any) -> None:
    database.create_table("t", rows(1, 2, 3, 4))


def set_text(text: str, *ids: int) -> Change:
    where = f"id IN ({', '.join(map(str, ids))})"
    return lambda database: database.open_table("t").update(where=where, values={"text": text})


def also(*changes: Change) -> Change:
    return lambda database: [change(database) for change in changes]


def nothing(_: Any) -> None:
    """Change nothing."""


class Merged:
    def __init__(
        self,
        folder: Path,
        base: Change | None,
        ours: Change,
        theirs: Change,
        resolution: Resolution | None = None,
        strategy: Strategy = Strategy.CONFLICT,
    ) -> None:
        (folder / "base").mkdir(parents=True)
        (base or nothing)(lancedb.connect(folder / "base"))
        for name, change in (("ours", ours), ("theirs", theirs)):
            shutil.copytree(folder / "base", folder / name)
            change(lancedb.connect(folder / name))
        (folder / "out").mkdir()
        work = MergeWork(folder / "out", b"data/v", "v", lambda conflict: resolution, strategy)
        former = folder / "base" if base is not None else None
        self.result: StoreMerge = LanceKind().merge(former, folder / "ours", folder / "theirs", work)
        self.place = self.result.place
        assert self.place == folder / "out"

    @property
    def conflicts(self) -> list[tuple[ConflictKind, str, str]]:
        return [(conflict.kind, conflict.table, conflict.key) for conflict in self.result.conflicts]

    def rows(self, table: str = "t") -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = lancedb.connect(self.place).open_table(table).to_arrow().to_pylist()
        return sorted(found, key=lambda row: row.get("id") or 0)

    def texts(self) -> dict[int, str]:
        return {row["id"]: row["text"] for row in self.rows()}


OLD = {number: f"old {number}" for number in (1, 2, 3, 4)}


@pytest.mark.usefixtures("cold_lance")
def test_rows_changed_on_both_sides_end_as_the_union(tmp_path: Path) -> None:
    ours = also(set_text("o", 1), lambda db: db.open_table("t").add(rows(10, text="ours")))
    theirs = also(
        set_text("t", 2),
        lambda db: db.open_table("t").add(rows(20, 21, text="theirs")),
        lambda db: db.open_table("t").delete("id = 3"),
    )
    result = Merged(tmp_path, make, ours, theirs)
    assert result.texts() == {1: "o", 2: "t", 4: "old 4", 10: "ours 10", 20: "theirs 20", 21: "theirs 21"}
    assert result.conflicts == []
    assert result.result.tables == [TableMerge("t", 2, 1, 1)]
    added = next(row for row in result.rows() if row["id"] == 20)
    assert added["vector"] == rows(20).to_pylist()[0]["vector"] and added["more"] == {"n": 20, "b": b"\x14"}


def test_the_same_row_changed_twice_is_a_conflict_that_shows_all_sides(tmp_path: Path) -> None:
    result = Merged(tmp_path, make, set_text("o", 1, 2), also(set_text("t", 1), set_text("o", 2)))
    assert result.conflicts == [(ConflictKind.ROW, "t", '{"id": 1}')]
    conflict: Conflict = result.result.conflicts[0]
    sides = [json.loads(side or b"") for side in (conflict.base, conflict.ours, conflict.theirs)]
    assert [side["text"] for side in sides] == ["old 1", "o", "t"]
    assert sides[0]["more"] == {"n": 1, "b": {"blob": "01"}}
    assert sides[0]["vector"] == rows(1).to_pylist()[0]["vector"]
    assert (conflict.path, conflict.store, result.texts()[1]) == (b"data/v", "v", "o")


def content(**cells: Any) -> Resolution:
    whole = {"id": 1, "text": "mine", "vector": [1.5, None], "more": None, **cells}
    return Resolution(Choice.CONTENT, json.dumps(whole).encode())


@pytest.mark.parametrize(("resolution", "strategy", "text"), [
    (THEIRS, Strategy.CONFLICT, "t"), (Resolution(Choice.OURS), Strategy.CONFLICT, "o"), (None, Strategy.THEIRS, "t"),
    (None, Strategy.OURS, "o"), (content(vector=[1.5, 2.5]), Strategy.CONFLICT, "mine"),
])  # fmt: skip
def test_a_conflict_of_rows_can_be_resolved(
    tmp_path: Path, resolution: Resolution | None, strategy: Strategy, text: str
) -> None:
    result = Merged(tmp_path, make, set_text("o", 1), set_text("t", 1, 2), resolution, strategy)
    assert (result.texts(), result.conflicts) == ({**OLD, 1: text, 2: "t"}, [])
    if text == "mine":
        assert result.rows()[0] == {"id": 1, "text": "mine", "vector": [1.5, 2.5], "more": None}


@pytest.mark.parametrize("resolution", [content(id=7), content(text=5), content(vector="x"), content(other=1)])
def test_a_resolution_that_is_not_the_row_is_refused(tmp_path: Path, resolution: Resolution) -> None:
    with pytest.raises(UsageError):
        Merged(tmp_path, make, set_text("o", 1), set_text("t", 1), resolution)


def test_a_row_deleted_here_and_changed_there_is_a_conflict(tmp_path: Path) -> None:
    def delete(number: int) -> Change:
        return lambda database: database.open_table("t").delete(f"id = {number}")

    sides = also(delete(1), set_text("o", 2)), also(delete(2), set_text("t", 1))
    result = Merged(tmp_path / "1", make, *sides)
    assert sorted(result.conflicts) == [(ConflictKind.ROW, "t", '{"id": 1}'), (ConflictKind.ROW, "t", '{"id": 2}')]
    assert result.texts() == {2: "o", 3: "old 3", 4: "old 4"}
    assert Merged(tmp_path / "2", make, *sides, THEIRS).texts() == {1: "t", 3: "old 3", 4: "old 4"}


def test_the_strategy_union_takes_columns_from_both(tmp_path: Path) -> None:
    def vector(database: Any) -> None:
        database.open_table("t").update(where="id IN (1, 2)", values={"vector": [8.0, 9.0]})

    result = Merged(tmp_path, make, set_text("o", 1, 2), also(vector, set_text("t", 2)), strategy=Strategy.UNION)
    assert result.conflicts == [(ConflictKind.ROW, "t", '{"id": 2}')]
    assert (result.rows()[0]["text"], result.rows()[0]["vector"]) == ("o", [8.0, 9.0])


def test_a_vector_that_differs_in_one_bit_is_a_change(tmp_path: Path) -> None:
    def nudge(database: Any) -> None:
        row = rows(2).to_pylist()[0]
        bits = pyarrow.array([row["vector"][0]], pyarrow.float32()).view(pyarrow.int32())[0].as_py() + 1
        value = pyarrow.array([bits], pyarrow.int32()).view(pyarrow.float32())[0].as_py()
        changed = pyarrow.Table.from_pylist([{**row, "vector": [value, 0.5]}], SCHEMA)
        database.open_table("t").merge_insert("id").when_matched_update_all().execute(changed)

    result = Merged(tmp_path, make, set_text("o", 1), nudge)
    assert result.result.tables == [TableMerge("t", 0, 1, 0)]
    assert result.rows()[1]["vector"] != rows(2).to_pylist()[0]["vector"]


def test_a_missing_vector_stays_missing(tmp_path: Path) -> None:
    row = pyarrow.Table.from_pylist([{"id": 9, "text": None, "vector": None, "more": None}], SCHEMA)
    result = Merged(tmp_path, make, set_text("o", 1), lambda database: database.open_table("t").add(row))
    assert result.rows()[-1] == {"id": 9, "text": None, "vector": None, "more": None}


def test_tables_that_one_side_changed_added_or_dropped_are_taken_with_their_versions(tmp_path: Path) -> None:
    def base(database: Any) -> None:
        make(database)
        for name in ("gone", "same"):
            database.create_table(name, rows(1, 2))

    def theirs(database: Any) -> None:
        database.drop_table("gone")
        database.create_table("new", rows(7))
        set_text("t", 1)(database)
        database.open_table("t").tags.create("mine", 1)

    result = Merged(tmp_path, base, lambda database: database.create_table("own", rows(5)), theirs)
    assert sorted(path.name for path in result.place.iterdir()) == ["new.lance", "own.lance", "same.lance", "t.lance"]
    assert sorted(result.result.tables, key=lambda table: table.name) == [
        TableMerge("gone", 0, 0, 2), TableMerge("new", 1, 0, 0), TableMerge("t", 0, 1, 0)
    ]  # fmt: skip
    table = lancedb.connect(result.place).open_table("t")
    assert "mine" in table.tags.list() and table.version == 2
    assert result.conflicts == []


def test_a_table_dropped_here_and_changed_there_is_a_conflict(tmp_path: Path) -> None:
    def drop(database: Any) -> None:
        database.drop_table("t")

    for number, (ours, theirs) in enumerate([(drop, set_text("t", 1)), (set_text("o", 1), drop)]):
        result = Merged(tmp_path / str(number), make, ours, theirs)
        assert result.conflicts == [(ConflictKind.DELETED, "t", "")]
        assert (result.place / "t.lance").exists() == (ours is not drop)
        taken = Merged(tmp_path / f"{number}t", make, ours, theirs, THEIRS)
        assert (taken.place / "t.lance").exists() == (theirs is not drop) and taken.conflicts == []


def test_columns_that_only_one_side_has_are_a_conflict(tmp_path: Path) -> None:
    def widen(database: Any) -> None:
        database.open_table("t").add_columns({"extra": "id + 1"})

    assert Merged(tmp_path / "one", make, nothing, widen).rows()[0]["extra"] == 2
    result = Merged(tmp_path / "both", make, set_text("o", 1), widen)
    assert result.conflicts == [(ConflictKind.SCHEMA, "t", "")]
    assert b"extra" in (result.result.conflicts[0].theirs or b"")
    assert b"extra" not in (result.result.conflicts[0].ours or b"")
    assert result.texts()[1] == "o"
    assert Merged(tmp_path / "theirs", make, set_text("o", 1), widen, THEIRS).texts()[1] == "old 1"


@pytest.mark.parametrize(("made", "words"), [
    ([{"name": "a"}, {"name": "b"}], "no column"), ([{"id": 1.5}], "neither a number nor a text"),
    ([{"id": 1}, {"id": 1}], "twice"), ([{"id": 1}, {"id": None}], "no key"),
])  # fmt: skip
def test_a_table_without_a_key_is_a_conflict_when_both_changed_it(
    tmp_path: Path, made: list[dict[str, Any]], words: str
) -> None:
    def append(database: Any) -> None:
        database.open_table("t").add(made[:1])

    one = Merged(tmp_path / "one", lambda database: database.create_table("t", made), nothing, append)
    assert len(one.rows()) == len(made) + 1 and one.conflicts == []
    both = Merged(tmp_path / "both", lambda database: database.create_table("t", made), append, append)
    assert [(kind, table) for kind, table, _ in both.conflicts] == [(ConflictKind.SCHEMA, "t")]
    assert words in both.result.conflicts[0].reason


def test_the_only_column_that_ends_in_id_is_a_key(tmp_path: Path) -> None:
    def add(key: str) -> Change:
        return lambda database: database.open_table("t").add([{"chunk_id": key, "n": 1}])

    made = [{"chunk_id": "it's", "n": 0}, {"chunk_id": "b", "n": 0}]
    theirs = also(add("t"), lambda database: database.open_table("t").delete("n = 0"))
    result = Merged(tmp_path, lambda database: database.create_table("t", made), add("o"), theirs)
    assert sorted(row["chunk_id"] for row in result.rows()) == ["o", "t"]


def test_an_index_stays_and_that_new_rows_are_outside_is_said(tmp_path: Path) -> None:
    def base(database: Any) -> None:
        make(database)
        database.open_table("t").create_index("id", config=BTree())

    result = Merged(tmp_path, base, set_text("o", 1), lambda db: db.open_table("t").add(rows(20)))
    assert [index.name for index in lancedb.connect(result.place).open_table("t").list_indices()] == ["id_idx"]
    assert any("optimize" in note for note in result.result.notes)
    assert len(lancedb.connect(result.place).open_table("t").search().where("id = 20").to_list()) == 1


def test_a_single_table_is_merged_too(tmp_path: Path) -> None:
    for name, change in (("base", nothing), ("ours", set_text("o", 1)), ("theirs", set_text("t", 2))):
        database = lancedb.connect(tmp_path / name)
        if name == "base":
            make(database)
        else:
            shutil.copytree(tmp_path / "base", tmp_path / name, dirs_exist_ok=True)
        change(database)
    (tmp_path / "out").mkdir()
    work = MergeWork(tmp_path / "out", b"v", "v", lambda conflict: None, Strategy.CONFLICT)
    places = [tmp_path / name / "t.lance" for name in ("base", "ours", "theirs")]
    result = LanceKind().merge(*places, work)
    assert [(table.added, table.changed, table.removed) for table in result.tables] == [(0, 1, 0)]
    (tmp_path / "out").rename(tmp_path / "t.lance")
    texts = lancedb.connect(tmp_path).open_table("t").to_arrow().to_pylist()
    assert sorted(row["text"] for row in texts) == ["o", "old 3", "old 4", "t"]


def test_files_beside_the_tables_are_merged_too(tmp_path: Path) -> None:
    def write(name: str) -> Change:
        return lambda database: Path(database.uri, name).write_text(name)

    result = Merged(tmp_path, make, write("o.txt"), also(write("t.txt"), set_text("t", 1)))
    assert {path.name for path in result.place.iterdir()} == {"o.txt", "t.txt", "t.lance"}
    assert TableMerge("t.txt", 1, 0, 0) in result.result.tables


def test_without_a_base_rows_are_told_apart_all_the_same(tmp_path: Path) -> None:
    ours, theirs = (lambda db: db.create_table("t", rows(1, 2))), (lambda db: db.create_table("t", rows(2, 3)))
    result = Merged(tmp_path, None, ours, theirs)
    assert (result.texts(), result.conflicts) == ({1: "old 1", 2: "old 2", 3: "old 3"}, [])


def test_a_damaged_table_is_a_conflict_and_the_others_are_merged(tmp_path: Path) -> None:
    def damage(database: Any) -> None:
        set_text("x", 1)(database)
        for file in Path(database.uri, "t.lance", "data").iterdir():
            file.write_bytes(b"damaged")

    def base(database: Any) -> None:
        make(database)
        database.create_table("u", rows(1))

    def grow(number: int) -> Change:
        return lambda database: database.open_table("u").add(rows(number))

    result = Merged.__new__(Merged)
    for name, change in (("base", base), ("ours", also(set_text("o", 1), grow(5))), ("theirs", also(damage, grow(6)))):
        if name != "base":
            shutil.copytree(tmp_path / "base", tmp_path / name)
        change(lancedb.connect(tmp_path / name))
    (tmp_path / "out").mkdir()
    work = MergeWork(tmp_path / "out", b"v", "v", lambda conflict: None, Strategy.CONFLICT)
    result.result = LanceKind().merge(tmp_path / "base", tmp_path / "ours", tmp_path / "theirs", work)
    result.place = result.result.place
    assert result.conflicts == [(ConflictKind.SCHEMA, "t", "")]
    assert result.texts()[1] == "o" and len(result.rows("u")) == 3
