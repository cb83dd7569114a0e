"""LanceDB as a store: while others write, compact and clean up, with every version, and against damaged folders."""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import lancedb
import pytest
from lancedb.index import FTS, BTree

from chronos.errors import StoreInUseError, UnreadableStoreError, VerifyFailedError
from chronos.memory import StoreState, lance_client
from chronos.memory.lance_format import ManifestReader, find_tables, version_of
from chronos.memory.lancedb import LanceKind
from tests.memory import lance_writer
from tests.memory.stores import MemoryPool, capture, marks, replace

pytestmark = pytest.mark.filterwarnings("ignore:optimize.cleanup_older_than=0")
KIND = LanceKind()
CAPTURES = 50
PROJECT = Path(__file__).parents[2]


@pytest.fixture
def pool() -> MemoryPool:
    return MemoryPool()


@pytest.fixture
def place(tmp_path: Path) -> Path:
    folder = tmp_path / "memory.lancedb"
    lance_writer.create(folder)
    return folder


def rows_of(place: Path, table: str = "rows") -> list[dict[str, Any]]:
    found = lancedb.connect(place).open_table(table).to_arrow().to_pylist()
    return sorted(found, key=lambda row: sorted(map(repr, row.items())))


def written(state: StoreState, pool: MemoryPool, folder: Path) -> Path:
    folder.mkdir()
    return KIND.write_out(folder, state, pool.pieces)


def names(state: StoreState) -> set[str]:
    return {file.path.decode() for file in state.files}


@contextmanager
def writer(place: Path) -> Iterator[subprocess.Popen[str]]:
    argv = [sys.executable, "-m", "tests.memory.lance_writer", str(place)]
    process = subprocess.Popen(argv, cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin and process.stdout
    process.stdout.readline()
    try:
        yield process
    finally:
        process.stdin.write("stop\n")
        process.stdin.flush()
        process.stdout.read()
        assert process.wait() == 0


def test_fifty_captures_beside_a_writer_that_compacts_and_cleans_up(
    place: Path, pool: MemoryPool, tmp_path: Path
) -> None:
    with writer(place):
        states = []
        for _ in range(CAPTURES):
            states.append(capture(KIND, place, pool))
            while KIND.look(place) == states[-1].looks:
                time.sleep(0.005)
    assert [state.notes for state in states if state.is_torn] == []
    assert len({state.identity for state in states}) > CAPTURES // 4
    for number, state in enumerate(states):
        copy = written(state, pool, tmp_path / f"copy{number}")
        database = lancedb.connect(copy)
        batches: dict[int, list[int]] = defaultdict(list)
        for row in database.open_table("rows").to_arrow().to_pylist():
            batches[row["batch"]].append(row["value"])
        assert all((len(values), sum(values)) == (lance_writer.BATCH, 0) for values in batches.values())
        ledger = [row["batch"] for row in database.open_table("ledger").to_arrow().to_pylist()]
        assert sorted(ledger) == list(range(len(ledger)))
        # The ledger hears of a batch first: at one instant it knows every batch, and at most one that is to come.
        assert max(ledger) - max(batches) in (0, 1)
        found = database.open_table("rows").search("word3", query_type="fts").limit(1000).to_list()
        assert len(found) == lance_writer.BATCH * sum(batch % 7 == 3 for batch in batches)
        shutil.rmtree(copy)


def test_a_full_text_index_answers_after_a_restore(place: Path, pool: MemoryPool, tmp_path: Path) -> None:
    state = capture(KIND, place, pool)
    lancedb.connect(place).open_table("rows").delete("batch = 0")
    notes = replace(KIND, place, state, pool, tmp_path / "trash", expected=KIND.look(place))
    table = lancedb.connect(place).open_table("rows")
    assert [index.name for index in table.list_indices()] == ["text_idx"]
    assert len(table.search("word0", query_type="fts").limit(99).to_list()) == 10
    assert any(re.search("rows.*: 20 rows", note) for note in notes)
    table.add(lance_writer.batch_rows(2))
    table.optimize(cleanup_older_than=timedelta(0))
    assert len(rows_of(place)) == 30


def test_older_versions_tags_and_branches_come_along(place: Path, pool: MemoryPool, tmp_path: Path) -> None:
    table = lancedb.connect(place).open_table("rows")
    first = table.version
    table.tags.create("before", first)
    table.add(lance_writer.batch_rows(2))
    if hasattr(table, "branches"):
        table.branches.create("trial").add(lance_writer.batch_rows(3))
    state = capture(KIND, place, pool)
    assert (state.notes, state.is_torn) == ([], False)
    shutil.rmtree(place)
    replace(KIND, place, state, pool, tmp_path / "trash", expected=())
    table = lancedb.connect(place).open_table("rows")
    assert table.count_rows() == 30
    table.checkout("before")
    assert (table.version, table.count_rows()) == (first, 20)
    table.checkout_latest()
    if hasattr(table, "branches"):
        assert table.branches.checkout("trial").count_rows() == 40
        assert {summary.name: summary.rows for summary in KIND.summarise(place)}["rows@trial"] == 40


def test_exactly_the_files_that_versions_name_are_taken(place: Path, pool: MemoryPool) -> None:
    lancedb.connect(place).open_table("rows").delete("id = 3")
    whole = {path.relative_to(place).as_posix() for path in place.rglob("*") if path.is_file()}
    rests = ["rows.lance/data/half-written.lance", "rows.lance/_versions/.tmp_9.manifest", "rows.lance/_versions/9#1"]
    for name in [*rests, "readme.txt", "rows.lance/_refs/own.json"]:
        (place / name).parent.mkdir(exist_ok=True)
        (place / name).write_bytes(b"rest")
    state = capture(KIND, place, pool)
    hints = {name for name in whole if name.endswith("latest_version_hint.json")}
    assert names(state) == whole - hints | {"readme.txt", "rows.lance/_refs/own.json"}
    assert len(hints) == 2
    assert state.notes == ["1 files that no version of a table names were left out"]


def on_nth_file(pool: MemoryPool, number: int, action: Callable[[], None]) -> None:
    """Run `action` when the `number`-th file of a capture is read, once."""
    count = iter(range(1, 10_000))

    def hook() -> None:
        if next(count) == number:
            action()

    pool.on_file = hook


@pytest.mark.parametrize("number", [1, 4, 8, 11])
def test_a_compaction_and_cleanup_in_the_middle_leave_the_newest_version_whole(
    place: Path, pool: MemoryPool, tmp_path: Path, number: int
) -> None:
    table = lancedb.connect(place).open_table("rows")
    for batch in range(2, 6):
        table.add(lance_writer.batch_rows(batch))

    def clean_up() -> None:
        table.delete("batch = 2")
        table.optimize(cleanup_older_than=timedelta(0))

    on_nth_file(pool, number, clean_up)
    state = capture(KIND, place, pool)
    assert not state.is_torn
    copy = written(state, pool, tmp_path / "copy")
    opened = lancedb.connect(copy).open_table("rows")
    assert opened.count_rows() in (50, 60)
    for version in opened.list_versions():
        opened.checkout(version["version"])
        assert opened.to_arrow().num_rows == opened.count_rows()


def test_a_table_that_is_dropped_while_it_is_read_is_gone_or_whole(
    place: Path, pool: MemoryPool, tmp_path: Path
) -> None:
    on_nth_file(pool, 5, lambda: lancedb.connect(place).drop_table("rows"))
    state = capture(KIND, place, pool)
    assert not state.is_torn
    copy = written(state, pool, tmp_path / "copy")
    assert [table.decode() for table in find_tables(copy)] == ["ledger.lance"]
    assert len(rows_of(copy, "ledger")) == 2


def test_a_folder_that_is_removed_while_it_is_read_is_an_error(place: Path, pool: MemoryPool) -> None:
    on_nth_file(pool, 3, lambda: shutil.rmtree(place))
    with pytest.raises(FileNotFoundError):
        capture(KIND, place, pool)


def test_a_newest_version_without_its_files_is_torn_and_said(place: Path, pool: MemoryPool, tmp_path: Path) -> None:
    next((place / "rows.lance" / "data").iterdir()).unlink()
    state = capture(KIND, place, pool)
    assert state.is_torn
    assert [note for note in state.notes if note.startswith("rows: files of its newest version")]
    assert state.facts.keys() == {"ledger.lance"}
    assert len(rows_of(written(state, pool, tmp_path / "copy"), "ledger")) == 2


def test_older_versions_that_a_cleanup_took_apart_are_left_out(place: Path, pool: MemoryPool, tmp_path: Path) -> None:
    table = lancedb.connect(place).open_table("rows")
    old = {path.name for path in (place / "rows.lance" / "data").iterdir()}
    table.add(lance_writer.batch_rows(2))
    table.delete("batch < 2")
    for name in old:
        (place / "rows.lance" / "data" / name).unlink()
    state = capture(KIND, place, pool)
    assert not state.is_torn
    assert [note for note in state.notes if "older versions were left out" in note]
    opened = lancedb.connect(written(state, pool, tmp_path / "copy")).open_table("rows")
    assert opened.count_rows() == 10
    for version in opened.list_versions():
        opened.checkout(version["version"])
        assert opened.to_arrow().num_rows == opened.count_rows()


def test_a_damaged_manifest_makes_the_table_plain_files(place: Path, pool: MemoryPool, tmp_path: Path) -> None:
    manifest = min((place / "rows.lance" / "_versions").glob("*.manifest"))
    manifest.write_bytes(manifest.read_bytes()[:-3])
    state = capture(KIND, place, pool)
    assert not state.is_torn
    assert state.notes == ["rows: a manifest is damaged; the table was taken as plain files"]
    before = {path: path.read_bytes() for path in place.rglob("*") if path.is_file() and "hint" not in path.name}
    replace(KIND, place, state, pool, tmp_path / "trash")
    assert {path: path.read_bytes() for path in place.rglob("*") if path.is_file()} == before
    with pytest.raises(UnreadableStoreError):
        KIND.summarise(place)


def test_any_flipped_byte_of_a_manifest_is_survived(place: Path, pool: MemoryPool) -> None:
    manifest = min((place / "rows.lance" / "_versions").glob("*.manifest"))
    whole = manifest.read_bytes()
    for at in range(len(whole)):
        damaged = bytearray(whole)
        damaged[at] ^= 1 << random.Random(at).randrange(8)
        for data in (bytes(damaged), whole[:at]):
            try:
                found = ManifestReader().read(data)
            except ValueError:
                continue
            assert isinstance(found.version, int)
    manifest.write_bytes(bytes(damaged))
    capture(KIND, place, pool)


def test_a_manifest_that_names_files_outside_reads_none_of_them(place: Path, pool: MemoryPool, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    lance_writer.create(outside)
    database = lancedb.connect(place)
    if not hasattr(database, "clone_table"):
        pytest.skip("this lancedb cannot clone")
    database.clone_table("clone", str(outside / "rows.lance"), is_shallow=True)
    state = capture(KIND, place, pool)
    assert not state.is_torn
    assert [note for note in state.notes if "outside" in note and str(outside) in note]
    assert all(not name.startswith(("/", "..")) for name in names(state))
    replace(KIND, place, state, pool, tmp_path / "trash")
    assert len(rows_of(place, "clone")) == 20


def test_manifests_say_what_lancedb_says(place: Path) -> None:
    table = lancedb.connect(place).open_table("rows")
    for batch in range(2, 9):
        table.add(lance_writer.batch_rows(batch))
        table.delete(f"id = {batch * 10}")
    table.optimize(cleanup_older_than=timedelta(0))
    folder = place / "rows.lance"
    manifests = sorted((folder / "_versions").glob("*.manifest"))
    found = [ManifestReader().read(manifest.read_bytes()) for manifest in manifests]
    assert [version.version for version in found] == [version_of(os.fsencode(path.name)) for path in manifests]
    assert found[0].version == table.version
    assert all(version.is_known for version in found)
    needed = {name for version in found for name in version.required}
    for kind in ("data", "_deletions", "_indices"):
        there = {p.relative_to(folder).as_posix().encode() for p in (folder / kind).rglob("*") if p.is_file()}
        assert {name for name in needed if name.startswith(kind.encode())} == there


@pytest.mark.usefixtures("cold_lance")
def test_a_single_table_folder_is_a_store(place: Path, pool: MemoryPool, tmp_path: Path) -> None:
    table = place / "rows.lance"
    assert KIND.detect(table)
    rows = rows_of(place)
    state = capture(KIND, table, pool)
    assert state.facts.keys() == {"."}
    lancedb.connect(place).open_table("rows").delete("batch = 1")
    replace(KIND, table, state, pool, tmp_path / "trash", expected=KIND.look(table))
    assert rows_of(place) == rows
    assert [summary.name for summary in KIND.summarise(table)] == ["rows"]


def test_tables_of_namespaces_are_tables(tmp_path: Path, pool: MemoryPool) -> None:
    place = tmp_path / "spaces"
    database = lancedb.connect(place)
    if not hasattr(database, "create_namespace"):
        pytest.skip("this lancedb has no namespaces")
    database.create_table("top", [{"id": 1}])
    database.create_namespace(["agents"])
    database.create_table("inner", [{"id": 2}], namespace_path=["agents"])
    state = capture(KIND, place, pool)
    copy = lancedb.connect(written(state, pool, tmp_path / "copy"))
    assert copy.open_table("inner", namespace_path=["agents"]).to_arrow().to_pylist() == [{"id": 2}]
    assert sum(summary.rows for summary in KIND.summarise(place) if "inner" in summary.name) == 1


def test_a_state_that_does_not_hold_what_it_says_is_not_put_in_place(
    place: Path, pool: MemoryPool, tmp_path: Path
) -> None:
    state = capture(KIND, place, pool)
    table = lancedb.connect(place).open_table("rows")
    table.add(lance_writer.batch_rows(2))
    before = rows_of(place)
    state.facts["rows.lance"] = 99
    with pytest.raises(VerifyFailedError):
        replace(KIND, place, state, pool, tmp_path / "trash")
    state.facts["rows.lance"] = table.version - 1
    state.files = [file for file in state.files if b"/data/" not in file.path or b"rows" not in file.path]
    with pytest.raises(UnreadableStoreError):
        replace(KIND, place, state, pool, tmp_path / "trash")
    assert rows_of(place) == before
    assert (
        os.listdir(place.parent).count(place.name) == len([n for n in os.listdir(place.parent) if "chronos" in n]) + 1
    )


def test_unchanged_files_are_shared_until_the_trash_is_emptied(place: Path, pool: MemoryPool, tmp_path: Path) -> None:
    state = capture(KIND, place, pool)
    inodes = {path.name: path.stat().st_ino for path in (place / "rows.lance" / "data").iterdir()}
    lancedb.connect(place).open_table("rows").add(lance_writer.batch_rows(2))
    replace(KIND, place, state, pool, tmp_path / "trash", expected=KIND.look(place))
    assert {path.name: path.stat().st_ino for path in (place / "rows.lance" / "data").iterdir()} == inodes
    shutil.rmtree(tmp_path / "trash")
    assert {path.stat().st_nlink for path in place.rglob("*") if path.is_file()} == {1}


def test_a_folder_that_another_process_reads_is_refused_with_that_process(
    place: Path, pool: MemoryPool, tmp_path: Path
) -> None:
    state = capture(KIND, place, pool)
    data = next((place / "rows.lance" / "data").iterdir())
    reader = subprocess.Popen(["tail", "-f", str(data)], stdout=subprocess.PIPE)
    try:
        assert reader.stdout
        reader.stdout.read(1)
        before = marks(place)
        with pytest.raises(StoreInUseError) as refused:
            replace(KIND, place, state, pool, tmp_path / "trash", expected=state.looks)
        assert f"process {reader.pid} (tail)" in refused.value.message
        assert marks(place) == before
    finally:
        reader.kill()
        reader.communicate()


def test_a_capture_does_not_import_lancedb(place: Path) -> None:
    script = (
        "import sys; from pathlib import Path\n"
        "from tests.memory.stores import *\n"
        "kind = get_kind('lancedb'); state = capture(kind, Path(sys.argv[1]), MemoryPool())\n"
        "assert len(state.facts) == 2\n"
        "print([name for name in ('lancedb', 'pyarrow', 'numpy', 'asyncio', 'psutil') if name in sys.modules])"
    )
    argv = [sys.executable, "-c", script, str(place)]
    done = subprocess.run(argv, cwd=PROJECT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


class TestComparing:
    """What `compare` says of two states of one table."""

    @pytest.fixture
    def old(self, tmp_path: Path) -> Path:
        return self.table(tmp_path / "old", [{"id": n, "v": [0.0, float(n)]} for n in range(300)])

    def table(self, place: Path, rows: list[dict[str, Any]]) -> Path:
        lancedb.connect(place).create_table("t", rows)
        return place

    def copy(self, old: Path) -> Any:
        shutil.copytree(old, old.with_name("new"))
        return lancedb.connect(old.with_name("new")).open_table("t")

    def test_rows_are_told_apart_by_id_and_vectors_bit_by_bit(self, old: Path) -> None:
        table = self.copy(old)
        table.delete("id IN (7, 9)")
        table.add([{"id": 1000, "v": [1.0, 1.0]}])
        table.delete("id = 20")
        table.add([{"id": 20, "v": [-0.0, 20.0]}])  # 0.0 before
        (found,) = KIND.compare(old, old.with_name("new"), limit_s=60)
        assert (found.status, found.added, found.removed, found.changed) == ("M", 1, 2, 1)
        assert found.notes == (f"version 1 → {table.version}",)

    def test_a_compaction_changes_no_row(self, old: Path) -> None:
        table = self.copy(old)
        table.add([{"id": 900, "v": [1.0, 1.0]}])
        table.delete("id = 900")
        table.optimize(cleanup_older_than=timedelta(0))
        (found,) = KIND.compare(old, old.with_name("new"), limit_s=60)
        assert (found.added, found.removed, found.changed) == (0, 0, 0)

    def test_without_unique_ids_rows_are_counted_as_a_whole(self, old: Path) -> None:
        table = self.copy(old)
        table.add([{"id": 5, "v": [0.0, 5.0]}, {"id": 5, "v": None}])
        table.delete("id = 8")
        (found,) = KIND.compare(old, old.with_name("new"), limit_s=60)
        assert (found.added, found.removed, found.changed) == (2, 1, None)

    def test_columns_are_named_and_common_ones_compared(self, old: Path) -> None:
        table = self.copy(old)
        table.add_columns({"twice": "id * 2"})
        (found,) = KIND.compare(old, old.with_name("new"), limit_s=60)
        assert (found.added, found.removed, found.changed) == (0, 0, 0)
        assert "column twice added: int64" in found.notes

    def test_when_the_time_is_up_rows_are_only_counted(self, old: Path) -> None:
        table = self.copy(old)
        table.add([{"id": 1000, "v": [1.0, 1.0]}])
        (found,) = KIND.compare(old, old.with_name("new"), limit_s=0)
        assert (found.added, found.removed, found.changed) == (1, 0, None)
        assert "took too long" in found.notes[-1]

    def test_tables_come_and_go(self, old: Path) -> None:
        new = self.table(old.with_name("new"), [{"id": 1, "v": [0.0, 0.0]}])
        database = lancedb.connect(new)
        database.drop_table("t")
        database.create_table("u", [{"id": 1}, {"id": 2}])
        found = KIND.compare(old, new, limit_s=60)
        assert [(d.name, d.status, d.added, d.removed) for d in found] == [("t", "D", 0, 300), ("u", "A", 2, 0)]

    def test_vectors_with_nulls_inside_and_missing_ones(self, tmp_path: Path) -> None:
        import pyarrow

        kind = pyarrow.list_(pyarrow.float32(), 2)
        schema = pyarrow.schema([("id", pyarrow.int64()), ("v", kind), ("s", pyarrow.string())])
        vectors = [[1.0, 2.0], None, [None, 2.0], [3.0, 4.0]]
        rows = [{"id": n, "v": vector, "s": None if n == 1 else "ß"} for n, vector in enumerate(vectors)]
        for name, kept in (("old", rows), ("new", [rows[0], rows[3]])):
            lancedb.connect(tmp_path / name).create_table("t", pyarrow.Table.from_pylist(kept, schema))
        (found,) = KIND.compare(tmp_path / "old", tmp_path / "new", limit_s=60)
        assert (found.added, found.removed, found.changed) == (0, 2, 0)


def test_a_table_with_more_rows_than_a_window_is_read_whole(tmp_path: Path, pool: MemoryPool) -> None:
    import numpy
    import pyarrow

    place = tmp_path / "wide"
    values = pyarrow.array(numpy.random.default_rng(1).random(6000 * 512, dtype="f4"))
    vectors = pyarrow.FixedSizeListArray.from_arrays(values, 512)
    table = pyarrow.table({"id": range(6000), "vector": vectors})
    lancedb.connect(place).create_table("t", table)
    (summary,) = KIND.summarise(place)
    assert (summary.rows, summary.columns) == (6000, "id int64, vector fixed_size_list<item: float>[512]")
    state = capture(KIND, place, pool)
    opened = lancedb.connect(place).open_table("t")
    opened.update(where="id = 5999", values={"vector": [0.0] * 512})
    copy = written(state, pool, tmp_path / "copy")
    (found,) = KIND.compare(copy, place, limit_s=60)
    assert (found.added, found.removed, found.changed) == (0, 0, 1)
    (note,) = replace(KIND, place, state, pool, tmp_path / "trash")
    assert "6000 rows" in note


def test_a_table_made_with_an_index_of_its_own_kind_still_answers(tmp_path: Path, pool: MemoryPool) -> None:
    place = tmp_path / "indexed"
    table = lancedb.connect(place).create_table("t", [{"id": n, "text": f"number {n}"} for n in range(500)])
    table.create_index("text", config=FTS())
    table.create_index("id", config=BTree())
    state = capture(KIND, place, pool)
    shutil.rmtree(place)
    replace(KIND, place, state, pool, tmp_path / "trash")
    opened = lancedb.connect(place).open_table("t")
    assert sorted(index.name for index in opened.list_indices()) == ["id_idx", "text_idx"]
    assert [row["id"] for row in opened.search().where("id = 77").to_list()] == [77]


def test_a_child_that_does_not_answer_is_ended_and_said_as_such(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lance_client, "_PATIENCE_S", 0.01)
    with pytest.raises(UnreadableStoreError, match="no answer"):
        lance_client.summarise_tables(tmp_path, {"t": b"t.lance"})
