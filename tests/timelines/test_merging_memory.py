"""Merging memory: rows of both sides come together, a row changed twice is shown, and no store is half merged."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from chronos.errors import StoreInUseError, UnknownConflictError, UsageError
from chronos.merging import Choice, ConflictKind, Resolution
from tests.support import RepoBuilder
from tests.support.databases import run_sql
from tests.timelines.facts import BOTH, DB, make_facts, read_facts, set_fact
from tests.timelines.pairs import Pair, has, write


@pytest.fixture
def pair(repo: RepoBuilder) -> Pair:
    """Two timelines with a database of four rows."""
    write(repo, {"a.txt": "a\n", ".gitignore": "data/\n"})
    repo.commit()
    make_facts(repo.path(DB), BOTH)
    return Pair(repo)


@pytest.mark.parametrize("journal", ["delete", "wal"])
def test_rows_that_were_changed_on_both_sides_end_as_the_union(pair: Pair, journal: str) -> None:
    for tree in (pair.here, pair.there):
        run_sql(tree.path(DB), f"PRAGMA journal_mode={journal}")
    set_fact(pair.here.path(DB), 1, "changed here")
    set_fact(pair.here.path(DB), 10, "new here")
    set_fact(pair.there.path(DB), 2, "changed there")
    set_fact(pair.there.path(DB), 20, "new there")
    run_sql(pair.there.path(DB), "DELETE FROM facts WHERE id = 4")
    before, there = read_facts(pair.here.path(DB)), read_facts(pair.there.path(DB))
    plan = pair.engine.plan_merge_timeline("exp")
    (table,) = plan.stores["facts.db"].tables
    assert (table.name, table.added, table.changed, table.removed) == ("facts", 1, 1, 1)
    assert read_facts(pair.here.path(DB)) == before, "a plan wrote to a database"
    done = pair.engine.merge_timeline("exp", plan_id=plan.plan.plan_id)
    assert done.is_done
    merged = {1: "changed here", 2: "changed there", 3: "three", 10: "new here", 20: "new there"}
    assert read_facts(pair.here.path(DB)) == merged
    assert read_facts(pair.there.path(DB)) == there
    pair.engine.undo()
    assert read_facts(pair.here.path(DB)) == before
    pair.engine.redo()
    assert read_facts(pair.here.path(DB)) == merged
    assert pair.engine.verify() == []


def test_a_second_merge_of_memory_begins_where_the_first_ended(pair: Pair) -> None:
    set_fact(pair.here.path(DB), 1, "here")
    set_fact(pair.there.path(DB), 2, "there")
    pair.engine.merge_timeline("exp")
    set_fact(pair.here.path(DB), 2, "changed again here")
    set_fact(pair.there.path(DB), 3, "later there")
    done = pair.engine.merge_timeline("exp")
    assert done.is_done
    assert read_facts(pair.here.path(DB)) == {1: "here", 2: "changed again here", 3: "later there", 4: "four"}


def test_the_same_row_changed_twice_is_shown_with_base_ours_and_theirs(pair: Pair) -> None:
    set_fact(pair.here.path(DB), 1, "ours")
    set_fact(pair.there.path(DB), 1, "theirs")
    set_fact(pair.there.path(DB), 2, "no conflict")
    write(pair.there, {"new.txt": "code waits, too\n"})
    done = pair.engine.merge_timeline("exp")
    (conflict,) = done.conflicts
    assert (conflict.kind, conflict.store, conflict.table) == (ConflictKind.ROW, "facts.db", "facts")
    assert conflict.path == DB.encode()
    assert msgspec.json.decode(conflict.key) == {"id": 1}
    sides = [msgspec.json.decode(side or b"")["body"] for side in (conflict.base, conflict.ours, conflict.theirs)]
    assert sides == ["one", "ours", "theirs"]
    assert read_facts(pair.here.path(DB)) == {**BOTH, 1: "ours"}
    has(pair.here, {"new.txt": None})


@pytest.mark.parametrize("choice", ["ours", "theirs", "content"])
def test_rows_are_decided_one_by_one(pair: Pair, choice: str) -> None:
    for number in (1, 2):
        set_fact(pair.here.path(DB), number, f"ours {number}")
        set_fact(pair.there.path(DB), number, f"theirs {number}")
    conflicts = pair.engine.merge_timeline("exp").conflicts
    assert len(conflicts) == 2
    key = next(one.key for one in conflicts if msgspec.json.decode(one.key) == {"id": 1})
    content = msgspec.json.encode({"id": 1, "body": "written", "weight": 7})
    left = pair.engine.resolve_conflict("facts.db", Resolution(Choice(choice), content), table="facts", key=key)
    assert len(left.open) == 1
    assert not pair.engine.merge_timeline("exp").is_done
    assert read_facts(pair.here.path(DB))[2] == "ours 2"
    pair.engine.resolve_conflict(DB, Resolution(Choice.THEIRS), table="facts")
    assert pair.engine.merge_timeline("exp").is_done
    first = {"ours": "ours 1", "theirs": "theirs 1", "content": "written"}[choice]
    assert read_facts(pair.here.path(DB)) == {**BOTH, 1: first, 2: "theirs 2"}


def test_a_table_or_row_that_is_in_no_conflict_is_unknown_and_those_that_are_in_one_are_named(pair: Pair) -> None:
    set_fact(pair.here.path(DB), 1, "ours")
    set_fact(pair.there.path(DB), 1, "theirs")
    pair.engine.merge_timeline("exp")
    for table, key, known in (
        ("nothing", None, "facts"),
        ("facts", '{"id": 2}', '{"id": 1}'),
        (None, "1", '{"id": 1}'),
    ):
        with pytest.raises(UnknownConflictError, match=r"about facts\.db has") as unknown:
            pair.engine.resolve_conflict("facts.db", Resolution(Choice.OURS), table=table, key=key)
        assert known in unknown.value.hint


def test_a_key_is_compared_by_what_it_says(pair: Pair) -> None:
    set_fact(pair.here.path(DB), 1, "ours")
    set_fact(pair.there.path(DB), 1, "theirs")
    pair.engine.merge_timeline("exp")
    assert pair.engine.resolve_conflict("facts.db", Resolution(Choice.OURS), key='{"id":1}').open == []


def test_what_cannot_be_the_row_is_refused_when_it_is_resolved(pair: Pair) -> None:
    set_fact(pair.here.path(DB), 1, "ours")
    set_fact(pair.there.path(DB), 1, "theirs")
    pair.engine.merge_timeline("exp")
    for content in (b"no json", b"[]", b'{"id": 2, "body": "another row", "weight": 0}', b'{"nothing": 1}'):
        with pytest.raises(UsageError, match="cannot be the row"):
            pair.engine.resolve_conflict("facts.db", Resolution(Choice.CONTENT, content))
    pending = pair.engine.list_conflicts()
    assert pending is not None
    assert len(pending.open) == 1


def test_a_row_that_the_merge_refuses_changes_nothing_and_is_to_be_resolved_again(pair: Pair) -> None:
    set_fact(pair.here.path(DB), 1, "ours")
    set_fact(pair.there.path(DB), 1, "theirs")
    pair.engine.merge_timeline("exp")
    content = b'{"id": 1, "body": [], "weight": 0}'
    pair.engine.resolve_conflict("facts.db", Resolution(Choice.CONTENT, content))
    with pytest.raises(UsageError) as refused:
        pair.engine.merge_timeline("exp")
    assert "resolve it again" in refused.value.hint
    assert read_facts(pair.here.path(DB)) == {**BOTH, 1: "ours"}


@pytest.mark.parametrize("kind", [ConflictKind.STORE, ConflictKind.SCHEMA])
def test_what_can_only_be_had_whole_is_not_written_by_hand(pair: Pair, kind: ConflictKind) -> None:
    if kind is ConflictKind.STORE:
        pair.there.write(DB, "garbage\n")
    else:
        run_sql(pair.here.path(DB), "ALTER TABLE facts ADD COLUMN ours TEXT")
        run_sql(pair.there.path(DB), "ALTER TABLE facts ADD COLUMN theirs TEXT")
    assert [one.kind for one in pair.engine.merge_timeline("exp").conflicts] == [kind]
    with pytest.raises(UnknownConflictError, match="whole"):
        pair.engine.resolve_conflict("facts.db", Resolution(Choice.CONTENT, b"x"))


@pytest.mark.parametrize("way", ["found", "declared"])
def test_a_database_that_was_damaged_there_does_not_take_the_place_of_a_whole_one(pair: Pair, way: str) -> None:
    if way == "declared":
        pair.engine.add_memory(pair.here.path(DB), name="facts.db")
    pair.there.write(DB, "garbage\n")
    (difference,) = pair.engine.diff_memory(*(pair.engine.hold_timeline(name) for name in ("main", "exp")))
    assert difference.notes
    (conflict,) = pair.engine.merge_timeline("exp").conflicts
    assert (conflict.kind, conflict.store) == (ConflictKind.STORE, "facts.db")
    assert read_facts(pair.here.path(DB)) == BOTH
    pair.engine.resolve_conflict("facts.db", Resolution(Choice.OURS))
    assert pair.engine.merge_timeline("exp").is_done
    assert read_facts(pair.here.path(DB)) == BOTH


@pytest.mark.parametrize("page", [2, 5])
@pytest.mark.parametrize("where", [DB, "app.db"])
def test_a_database_with_a_damaged_page_there_is_a_conflict_before_it_takes_the_place_of_a_whole_one(
    repo: RepoBuilder, where: str, page: int
) -> None:
    facts = dict.fromkeys(range(400), "x" * 100)
    write(repo, {"a.txt": "a\n", ".gitignore": "data/\n"})
    make_facts(repo.path(where), facts)
    repo.commit()
    pair = Pair(repo)
    data = bytearray(pair.there.read(where))
    data[4096 * (page - 1) : 4096 * page] = bytes(4096)
    pair.there.write(where, bytes(data))
    (conflict,) = pair.engine.plan_merge_timeline("exp").conflicts
    assert (conflict.kind, conflict.path) == (ConflictKind.STORE, where.encode())
    assert conflict.reason == "damaged on the other side: database disk image is malformed"
    assert pair.engine.merge_timeline("exp").conflicts
    assert read_facts(repo.path(where)) == facts
    assert pair.engine.merge_timeline("exp", strategy="theirs").is_done
    assert repo.read(where) == data


@pytest.mark.parametrize("there", ["zeroed", "too large", "gone"])
def test_why_a_committed_database_that_is_none_there_stays_is_said(repo: RepoBuilder, there: str) -> None:
    write(repo, {"a.txt": "a\n"})
    size = make_facts(repo.path("app.db"), BOTH).stat().st_size
    repo.commit()
    pair = Pair(repo)
    set_fact(repo.path("app.db"), 1, "here")
    if there == "zeroed":
        pair.there.write("app.db", bytes(size))
    elif there == "too large":
        pair.there.write("app.db", b"x" * 100_000)
        pair.engine.close()
        pair.engine = repo.engine(CHRONOS_MAX_FILE_BYTES="50000")
    else:
        pair.there.remove("app.db")
    why = {
        "zeroed": "it is no database that can be read on the other side",
        "too large": "it is not in the other side's checkpoint (too large)",
        "gone": "it is gone on the other side",
    }[there]
    assert pair.engine.plan_merge_timeline("exp").stores["app.db"].notes == (f"{why}, and kept here",)
    assert pair.engine.merge_timeline("exp").is_done
    assert read_facts(repo.path("app.db")) == {**BOTH, 1: "here"}


def test_a_damaged_database_that_was_mended_there_is_taken(repo: RepoBuilder) -> None:
    write(repo, {"a.txt": "a\n", ".gitignore": "data/\n"})
    repo.commit()
    repo.write(DB, "garbage\n")
    pair = Pair(repo)
    pair.there.remove(DB)
    make_facts(pair.there.path(DB), BOTH)
    assert pair.engine.merge_timeline("exp").is_done
    assert read_facts(pair.here.path(DB)) == BOTH


@pytest.mark.parametrize("strategy", ["ours", "theirs"])
def test_a_strategy_takes_a_side_of_the_rows_in_conflict_only(pair: Pair, strategy: str) -> None:
    set_fact(pair.here.path(DB), 1, "ours")
    set_fact(pair.there.path(DB), 1, "theirs")
    set_fact(pair.there.path(DB), 2, "there")
    assert pair.engine.merge_timeline("exp", strategy=strategy).is_done
    assert read_facts(pair.here.path(DB)) == {**BOTH, 1: strategy, 2: "there"}


def test_a_row_deleted_on_one_side_and_changed_on_the_other_is_a_conflict(pair: Pair) -> None:
    run_sql(pair.here.path(DB), "DELETE FROM facts WHERE id = 1")
    set_fact(pair.there.path(DB), 1, "theirs")
    (conflict,) = pair.engine.merge_timeline("exp").conflicts
    assert conflict.ours is None
    pair.engine.resolve_conflict("facts.db", Resolution(Choice.THEIRS))
    assert pair.engine.merge_timeline("exp").is_done
    assert read_facts(pair.here.path(DB))[1] == "theirs"


def test_only_a_part_of_the_memory_is_merged_when_that_is_asked_for(pair: Pair) -> None:
    write(pair.there, {"a.txt": "theirs\n"})
    set_fact(pair.there.path(DB), 1, "theirs")
    assert pair.engine.merge_timeline("exp", paths=[DB]).is_done
    has(pair.here, {"a.txt": "a\n"})
    assert read_facts(pair.here.path(DB))[1] == "theirs"
    pair.engine.undo()
    assert pair.engine.merge_timeline("exp", paths=["a.txt"]).is_done
    assert read_facts(pair.here.path(DB)) == BOTH


def test_rows_of_a_vector_store_are_merged_as_they_were_planned(pair: Pair) -> None:
    lancedb, place = pytest.importorskip("lancedb"), "data/memory/vectors"
    pair.here.path(place).mkdir()
    rows = [{"id": number, "text": "old", "vector": [number / 2, 0.5]} for number in (1, 2, 3)]
    lancedb.connect(pair.here.path(place)).create_table("facts", rows)
    there = pair.branch("vectors")
    for tree, number in ((pair.here, 1), (there, 2)):
        lancedb.connect(tree.path(place)).open_table("facts").update(where=f"id = {number}", values={"text": "new"})
    plan = pair.engine.plan_merge_timeline("vectors")
    assert [(table.name, table.changed) for table in plan.stores["vectors"].tables] == [("facts", 1)]
    assert pair.engine.merge_timeline("vectors", plan_id=plan.plan.plan_id).is_done
    found = lancedb.connect(pair.here.path(place)).open_table("facts").to_arrow().to_pylist()
    assert {row["id"]: row["text"] for row in found} == {1: "new", 2: "new", 3: "old"}
    lancedb.connect(there.path(place)).open_table("facts").update(where="id = 1", values={"text": "theirs"})
    (conflict,) = pair.engine.merge_timeline("vectors").conflicts
    assert [msgspec.json.decode(side or b"")["text"] for side in (conflict.ours, conflict.theirs)] == ["new", "theirs"]


def test_a_store_outside_the_project_is_merged_into_its_place(pair: Pair, tmp_path: Path) -> None:
    outside = make_facts(tmp_path / "agent/brain.db", {1: "one", 2: "two"})
    pair.engine.add_memory(outside, name="brain")
    there = pair.branch("brainy")
    own = pair.here.store / "brainy/memory/brain"
    set_fact(outside, 1, "here")
    set_fact(own, 2, "there")
    assert pair.engine.merge_timeline("brainy").is_done
    assert read_facts(outside) == {1: "here", 2: "there"}
    assert read_facts(own) == {1: "one", 2: "there"}
    pair.engine.undo()
    assert read_facts(outside) == {1: "here", 2: "two"}
    pair.engine.redo()
    assert pair.engine.merge_timeline("main", "brainy").is_done
    assert read_facts(own) == {1: "here", 2: "there"}
    set_fact(outside, 1, "here again")
    set_fact(own, 1, "there again")
    (conflict,) = pair.engine.merge_timeline("brainy").conflicts
    assert conflict.store == "brain"
    pair.engine.resolve_conflict("brain", Resolution(Choice.THEIRS))
    assert pair.engine.merge_timeline("brainy").is_done
    assert read_facts(outside)[1] == "there again"
    assert there.root.is_dir()


def test_a_store_that_is_new_there_comes_whole(pair: Pair) -> None:
    make_facts(pair.there.path("data/memory/new.db"), {1: "new"})
    write(pair.there, {"data/memory/notes/n.md": "note\n"})
    done = pair.engine.merge_timeline("exp")
    assert done.is_done
    assert read_facts(pair.here.path("data/memory/new.db")) == {1: "new"}
    has(pair.here, {"data/memory/notes/n.md": "note\n"})
    pair.engine.undo()
    has(pair.here, {"data/memory/new.db": None, "data/memory/notes/n.md": None})


def test_stores_of_one_name_that_are_new_on_both_sides_are_merged(pair: Pair) -> None:
    make_facts(pair.here.path("data/memory/new.db"), {1: "ours"})
    make_facts(pair.there.path("data/memory/new.db"), {2: "theirs"})
    assert pair.engine.merge_timeline("exp").is_done
    assert read_facts(pair.here.path("data/memory/new.db")) == {1: "ours", 2: "theirs"}


def test_a_store_deleted_there_is_kept_here_and_said(pair: Pair) -> None:
    pair.there.remove(DB)
    for name in (f"{DB}-wal", f"{DB}-shm"):
        if pair.there.exists(name):
            pair.there.remove(name)
    done = pair.engine.merge_timeline("exp")
    assert done.is_done
    assert read_facts(pair.here.path(DB)) == BOTH
    assert any("gone on the other side" in note for note in done.notes)


def test_stores_of_another_kind_on_each_side_are_had_whole(pair: Pair) -> None:
    write(pair.here, {"data/memory/state": "a text\n"})
    there = pair.branch("other")
    write(pair.here, {"data/memory/state": "changed here\n"})
    write(there, {"data/memory/state": None})
    make_facts(there.path("data/memory/state"), BOTH)
    (conflict,) = pair.engine.merge_timeline("other").conflicts
    assert conflict.kind is ConflictKind.STORE
    pair.engine.resolve_conflict("state", Resolution(Choice.THEIRS))
    assert pair.engine.merge_timeline("other").is_done
    assert read_facts(pair.here.path("data/memory/state")) == BOTH
    pair.engine.undo()
    has(pair.here, {"data/memory/state": "changed here\n"})


def test_a_store_is_not_put_where_a_file_of_the_code_stands(pair: Pair) -> None:
    write(pair.here, {"app.db": "a text\n"})
    make_facts(pair.there.path("app.db"), BOTH)
    write(pair.there, {"a.txt": "theirs\n"})
    (held,) = pair.engine.merge_timeline("exp").conflicts
    assert (held.kind, held.path, held.store) == (ConflictKind.HELD, b"app.db", "app.db")
    has(pair.here, {"a.txt": "a\n", "app.db": "a text\n"})
    pair.engine.resolve_conflict("app.db", Resolution(Choice.OURS))
    assert pair.engine.merge_timeline("exp").is_done
    has(pair.here, {"a.txt": "theirs\n", "app.db": "a text\n"})


@pytest.mark.parametrize("choice", [Choice.OURS, Choice.THEIRS])
def test_a_store_deleted_here_and_changed_there_is_a_conflict(pair: Pair, choice: Choice) -> None:
    for name in (DB, f"{DB}-wal", f"{DB}-shm"):
        if pair.here.exists(name):
            pair.here.remove(name)
    set_fact(pair.there.path(DB), 1, "theirs")
    (conflict,) = pair.engine.merge_timeline("exp").conflicts
    assert conflict.kind is ConflictKind.STORE
    assert not pair.here.exists(DB)
    pair.engine.resolve_conflict("facts.db", Resolution(choice))
    assert pair.engine.merge_timeline("exp").is_done
    if choice is Choice.THEIRS:
        assert read_facts(pair.here.path(DB)) == {**BOTH, 1: "theirs"}
    else:
        assert not pair.here.exists(DB)


def test_a_database_that_a_writer_has_open_in_the_source_is_merged_as_of_one_instant(pair: Pair) -> None:
    with closing(sqlite3.connect(pair.there.path(DB))) as writer:
        writer.execute("PRAGMA journal_mode=wal")
        writer.execute("INSERT INTO facts (id, body) VALUES (30, 'committed')")
        writer.commit()
        writer.execute("INSERT INTO facts (id, body) VALUES (31, 'not committed')")
        assert pair.engine.merge_timeline("exp").is_done
        writer.commit()
    assert read_facts(pair.here.path(DB)) == {**BOTH, 30: "committed"}


def test_a_target_store_in_use_is_refused_and_nothing_changes(pair: Pair) -> None:
    set_fact(pair.here.path(DB), 1, "ours")
    set_fact(pair.there.path(DB), 2, "theirs")
    write(pair.there, {"a.txt": "theirs\n"})
    with closing(sqlite3.connect(pair.here.path(DB))) as user:
        user.execute("SELECT * FROM facts").fetchone()
        user.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreInUseError):
            pair.here.engine(CHRONOS_LOCK_TIMEOUT="1").merge_timeline("exp")
        user.rollback()
    has(pair.here, {"a.txt": "a\n"})
    assert read_facts(pair.here.path(DB)) == {**BOTH, 1: "ours"}
    assert pair.engine.merge_timeline("exp").is_done
    assert read_facts(pair.here.path(DB)) == {**BOTH, 1: "ours", 2: "theirs"}


def test_tables_made_differently_are_reported_and_not_guessed(pair: Pair) -> None:
    run_sql(pair.here.path(DB), "ALTER TABLE facts ADD COLUMN mood TEXT")
    run_sql(pair.there.path(DB), "ALTER TABLE facts ADD COLUMN colour TEXT")
    set_fact(pair.there.path(DB), 2, "theirs")
    done = pair.engine.merge_timeline("exp")
    assert {one.kind for one in done.conflicts} == {ConflictKind.SCHEMA}
    with closing(sqlite3.connect(pair.here.path(DB))) as connection:
        columns = [row[1] for row in connection.execute("PRAGMA table_info(facts)")]
    assert columns == ["id", "body", "weight", "mood"]


def test_plain_memory_files_are_merged_one_by_one(pair: Pair) -> None:
    write(pair.here, {"data/memory/notes/a.md": "a\n", "data/memory/notes/b.md": "1\n2\n3\n4\n5\n"})
    there = pair.branch("noted")
    write(pair.here, {"data/memory/notes/b.md": "one\n2\n3\n4\n5\n", "data/memory/notes/here.md": "h\n"})
    write(there, {"data/memory/notes/b.md": "1\n2\n3\n4\nfive\n", "data/memory/notes/a.md": None})
    assert pair.engine.merge_timeline("noted").is_done
    has(pair.here, {"data/memory/notes/b.md": "one\n2\n3\n4\nfive\n", "data/memory/notes/here.md": "h\n"})
    has(pair.here, {"data/memory/notes/a.md": None})
    write(pair.here, {"data/memory/notes/b.md": "ours\n"})
    write(there, {"data/memory/notes/b.md": "theirs\n"})
    (conflict,) = pair.engine.merge_timeline("noted").conflicts
    assert conflict.path == b"data/memory/notes/b.md" or conflict.store
    pair.engine.resolve_conflict(conflict.conflict_id, Resolution(Choice.CONTENT, b"both\n"))
    assert pair.engine.merge_timeline("noted").is_done
    has(pair.here, {"data/memory/notes/b.md": "both\n"})


@pytest.mark.parametrize("is_changed_here", [False, True])
@pytest.mark.parametrize("is_committed_there", [False, True])
def test_a_committed_database_is_merged_by_rows(
    repo: RepoBuilder, is_changed_here: bool, is_committed_there: bool
) -> None:
    make_facts(repo.path("app.db"), BOTH)
    repo.commit()
    pair = Pair(repo)
    set_fact(pair.there.path("app.db"), 2, "changed there")
    if is_committed_there:
        pair.there.commit()
    if is_changed_here:
        set_fact(pair.here.path("app.db"), 1, "changed here")
    before = read_facts(pair.here.path("app.db"))
    plan = pair.engine.plan_merge_timeline("exp")
    assert set(plan.stores) == {"app.db"}
    assert pair.engine.merge_timeline("exp", plan_id=plan.plan.plan_id).is_done
    assert read_facts(pair.here.path("app.db")) == {**before, 2: "changed there"}
    assert pair.engine.merge_timeline("exp").outcome is None, "there is nothing left to merge"
    pair.engine.undo()
    assert read_facts(pair.here.path("app.db")) == before
    pair.engine.redo()
    assert read_facts(pair.here.path("app.db")) == {**before, 2: "changed there"}


def test_databases_that_both_sides_committed_are_merged_by_rows(repo: RepoBuilder) -> None:
    make_facts(repo.path("app.db"), BOTH)
    repo.commit()
    pair = Pair(repo)
    set_fact(pair.there.path("app.db"), 2, "there")
    pair.there.commit()
    set_fact(pair.here.path("app.db"), 1, "here")
    pair.here.commit()
    with closing(sqlite3.connect(pair.here.path("app.db"))) as program:
        assert dict(program.execute("SELECT id, body FROM facts")) == {**BOTH, 1: "here"}
        assert pair.engine.merge_timeline("exp").is_done
        assert dict(program.execute("SELECT id, body FROM facts")) == {**BOTH, 1: "here", 2: "there"}
    assert pair.engine.merge_timeline("exp").outcome is None, "there is nothing left to merge"
    pair.engine.undo()
    assert read_facts(pair.here.path("app.db")) == {**BOTH, 1: "here"}


def test_a_committed_database_is_text_when_the_other_side_made_it_text(repo: RepoBuilder) -> None:
    make_facts(repo.path("app.db"), BOTH)
    repo.commit()
    pair = Pair(repo)
    pair.there.write("app.db", "no database any more\n")
    pair.there.commit()
    assert pair.engine.merge_timeline("exp").is_done
    assert pair.here.read("app.db") == b"no database any more\n"
    pair.engine.undo()
    assert read_facts(pair.here.path("app.db")) == BOTH


def test_a_committed_database_that_a_commit_of_the_other_side_deleted_goes(repo: RepoBuilder) -> None:
    make_facts(repo.path("app.db"), BOTH)
    repo.commit()
    pair = Pair(repo)
    pair.there.remove("app.db")
    pair.there.commit()
    assert pair.engine.merge_timeline("exp").is_done
    assert not pair.here.exists("app.db")
    pair.engine.undo()
    assert read_facts(pair.here.path("app.db")) == BOTH


@pytest.mark.parametrize("is_changed", [False, True])
def test_the_executable_bit_that_the_other_side_gave_a_committed_database_comes(
    repo: RepoBuilder, is_changed: bool
) -> None:
    make_facts(repo.path("app.db"), BOTH)
    repo.commit()
    pair = Pair(repo)
    pair.there.path("app.db").chmod(0o755)
    if is_changed:
        set_fact(pair.there.path("app.db"), 2, "there")
    pair.there.commit()
    assert pair.engine.merge_timeline("exp").is_done
    assert pair.here.path("app.db").stat().st_mode & 0o111
    assert read_facts(pair.here.path("app.db")) == ({**BOTH, 2: "there"} if is_changed else BOTH)


def test_a_committed_database_that_became_a_folder_there_becomes_one_here(repo: RepoBuilder) -> None:
    make_facts(repo.path("app.db"), BOTH)
    repo.commit()
    pair = Pair(repo)
    pair.there.remove("app.db")
    write(pair.there, {"app.db/x": "x\n"})
    pair.there.commit()
    assert pair.engine.merge_timeline("exp").is_done
    has(pair.here, {"app.db/x": "x\n"})
    pair.engine.undo()
    assert read_facts(pair.here.path("app.db")) == BOTH
