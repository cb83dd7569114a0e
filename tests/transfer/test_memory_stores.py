"""Memory stores of a checkpoint go with it into another clone, or stay out as a whole and are never made up there."""

from __future__ import annotations

from pathlib import Path

import pytest

from chronos.engine import ChronosEngine
from chronos.parcel import Parcel
from tests.support import RepoBuilder
from tests.support.databases import add_notes, make_notes, read_notes
from tests.support.roundtrip import kept_paths, receipt_of
from tests.transfer.conftest import MakeClone

DB = "data/memory/agent.db"
FACTS = "data/memory/facts"
TOKEN = "ghp_" + "R7tQ2mWx9LkVb4ZpNc81sYdHf6JgUe3TaBio"
LEFT_OUT = "left out by export"


@pytest.fixture
def agent(repo: RepoBuilder) -> RepoBuilder:
    """Code, a database and a plain folder of memory, none of which git has."""
    repo.write("app.py", "version = 1\n")
    repo.write(".gitignore", "data/\n")
    repo.commit()
    repo.write("app.py", "version = 2\n")
    make_notes(repo.path(DB))
    repo.write(f"{FACTS}/one.json", '{"a": 1}\n')
    repo.write(f"{FACTS}/two.json", '{"b": 2}\n')
    return repo


def _plant(path: Path) -> None:
    add_notes(path, *(f"padding {number} {'.' * 900}" for number in range(200)), f"the token is {TOKEN}")


def _is_in(file: Path, secret: str) -> bool:
    with Parcel(file) as parcel:
        texts = [parcel.pool.read_chunk(chunk_id) for chunk_id in parcel.chunks]
        texts += [parcel.read(span) for span in parcel.members.values()]
    return any(secret.encode() in text for text in texts)


def _wrong(engine: ChronosEngine, *, deep: bool = True) -> list[object]:
    return [finding for finding in engine.verify(deep=deep) if finding.severity]


def test_a_database_and_a_folder_survive_an_export_and_import(agent: RepoBuilder, make: MakeClone, file: Path) -> None:
    wanted = read_notes(agent.path(DB))
    checkpoint = agent.engine().create_checkpoint("wanted")
    exported = agent.engine().export_checkpoint(checkpoint, file)
    assert exported.left_out == () and exported.members_left_out == ()

    other = make("other", agent)
    engine = other.engine()
    engine.import_checkpoint(file)
    assert {record.path for record in engine.show_checkpoint(checkpoint).memory} == {DB, FACTS}
    engine.restore_checkpoint(checkpoint)
    assert read_notes(other.path(DB)) == wanted
    assert other.read(f"{FACTS}/two.json") == b'{"b": 2}\n'
    assert other.read("app.py") == b"version = 2\n"
    assert _wrong(engine) == []
    assert engine.gc().problems == []
    engine.restore_checkpoint(checkpoint)
    assert read_notes(other.path(DB)) == wanted


def test_a_database_with_a_token_stays_out_and_what_stands_there_is_kept(
    agent: RepoBuilder, make: MakeClone, file: Path
) -> None:
    _plant(agent.path(DB))
    checkpoint = agent.engine().create_checkpoint("wanted")
    exported = agent.engine().export_checkpoint(checkpoint, file)
    assert [row.path for row in exported.left_out] == ["agent.db"]
    assert not _is_in(file, TOKEN)

    other = make("other", agent)
    make_notes(other.path(DB), 3)
    engine = other.engine()
    engine.import_checkpoint(file)
    assert receipt_of(engine, checkpoint)[DB] == LEFT_OUT
    outcome = engine.restore_checkpoint(checkpoint)
    assert kept_paths(outcome.kept) == {DB}
    assert [row.reason for row in outcome.kept if LEFT_OUT in row.reason and "a GitHub token" in row.reason]
    assert len(read_notes(other.path(DB))) == 3
    assert other.read(f"{FACTS}/one.json") == b'{"a": 1}\n'
    engine.undo()
    assert len(read_notes(other.path(DB))) == 3
    assert not other.exists(FACTS)


def test_a_store_that_stayed_out_is_no_damage_to_verify_repair_gc_and_du(
    agent: RepoBuilder, make: MakeClone, file: Path
) -> None:
    _plant(agent.path(DB))
    checkpoint = agent.engine().create_checkpoint("wanted")
    agent.engine().export_checkpoint(checkpoint, file)
    other = make("other", agent)
    engine = other.engine()
    engine.create_checkpoint("own")
    engine.import_checkpoint(file)
    for deep in (False, True):
        assert _wrong(engine, deep=deep) == []
    assert any(row.problem.startswith(f"{DB} was left out by the export") for row in engine.verify())
    assert engine.plan_repair().steps == ()
    assert engine.measure_usage().unread == []
    other.write("passing.bin", bytes(range(256)) * 400)
    passing = engine.create_checkpoint("passing")
    engine.delete_checkpoint(passing)
    plan = engine.gc(deleted=True).plan
    assert plan.obstacles == [] and plan.sweep is not None and plan.sweep.lost_chunks == 0
    engine.restore_checkpoint(checkpoint)
    assert other.read(f"{FACTS}/one.json") == b'{"a": 1}\n'
    assert _wrong(engine) == []


def test_a_store_comes_after_all_when_it_is_exported_with_its_secrets(
    agent: RepoBuilder, make: MakeClone, file: Path
) -> None:
    _plant(agent.path(DB))
    wanted = read_notes(agent.path(DB))
    checkpoint = agent.engine().create_checkpoint("wanted")
    agent.engine().export_checkpoint(checkpoint, file)
    everything = file.with_name("everything.chrono")
    agent.engine().export_checkpoint(checkpoint, everything, include_secrets=True)
    assert _is_in(everything, TOKEN)
    other = make("other", agent)
    engine = other.engine()
    engine.import_checkpoint(file)
    assert engine.import_checkpoint(everything).completed
    engine.restore_checkpoint(checkpoint)
    assert read_notes(other.path(DB)) == wanted


def test_a_folder_with_a_token_in_one_file_stays_out_as_a_whole(
    agent: RepoBuilder, make: MakeClone, file: Path
) -> None:
    agent.write(f"{FACTS}/three.json", f'{{"token": "{TOKEN}"}}\n')
    checkpoint = agent.engine().create_checkpoint("wanted")
    assert {row.path.partition(":")[0] for row in agent.engine().export_checkpoint(checkpoint, file).left_out} == {
        "facts"
    }
    assert not _is_in(file, TOKEN) and not _is_in(file, '{"b": 2}')
    other = make("other", agent)
    other.write(f"{FACTS}/mine.json", "mine\n")
    engine = other.engine()
    engine.import_checkpoint(file)
    outcome = engine.restore_checkpoint(checkpoint)
    assert FACTS in kept_paths(outcome.kept)
    assert other.read(f"{FACTS}/mine.json") == b"mine\n"
    assert not other.exists(f"{FACTS}/two.json")


def test_a_declared_store_outside_that_stayed_out_is_kept_and_named(
    agent: RepoBuilder, make: MakeClone, file: Path, tmp_path: Path
) -> None:
    outside = make_notes(tmp_path / "elsewhere.db")
    _plant(outside)
    agent.engine().add_memory(outside)
    checkpoint = agent.engine().create_checkpoint("wanted")
    agent.engine().export_checkpoint(checkpoint, file)
    other = make("other", agent)
    engine = other.engine()
    engine.import_checkpoint(file)
    assert receipt_of(engine, checkpoint)[str(outside)] == LEFT_OUT
    before = outside.read_bytes()
    engine.restore_checkpoint(checkpoint)
    assert outside.read_bytes() == before
    assert read_notes(other.path(DB))
    engine.add_memory(outside)
    other.remove(DB)
    outcome = engine.restore_checkpoint(checkpoint)
    assert str(outside) in kept_paths(outcome.kept)
    assert outside.read_bytes() == before


NAMES = ["x&y.json", "a=b.db", "it's.txt", "[1].txt", "-rf.txt", "@x.txt", " lead.txt", "n" * 200]


def test_a_found_store_may_have_any_name_that_a_file_has(repo: RepoBuilder, make: MakeClone, file: Path) -> None:
    repo.commit()
    for name in NAMES:
        repo.write(f"data/memory/{name}", name)
    checkpoint = repo.engine().create_checkpoint("names")
    repo.engine().export_checkpoint(checkpoint, file)
    engine = make("other", repo).engine()
    engine.import_checkpoint(file)
    assert {record.name for record in engine.show_checkpoint(checkpoint).memory} == set(NAMES)
