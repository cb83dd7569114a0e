"""Verdicts: said of a sealed checkpoint, the newest counts, `last-green` leads to it, and retention keeps that one."""

from __future__ import annotations

import os

import pytest

from chronos import ChronosEngine
from chronos.errors import BadNameError, UnknownCheckpointError, UsageError
from tests.support import RepoBuilder, store_digest


@pytest.fixture
def work(repo: RepoBuilder) -> RepoBuilder:
    """Three checkpoints: one, two, three."""
    repo.write("a.txt", "a\n")
    repo.commit()
    for name in ("one", "two", "three"):
        repo.write("a.txt", f"{name}\n")
        repo.engine().create_checkpoint(name)
    return repo


def test_the_newest_verdict_counts_and_older_ones_stay_readable(work: RepoBuilder) -> None:
    engine, sealed = work.engine(), store_digest(work.store)
    engine.set_verdict("two", "passed", metrics={"accuracy": 0.5}, note="by hand", command="make test")
    row = engine.set_verdict("two", "failed")
    assert row.verdict == "failed"
    newest, oldest = engine.get_verdicts("two")
    assert (newest.result, newest.metrics, newest.note) == ("failed", {}, "")
    assert (oldest.result, oldest.metrics, oldest.note, oldest.command) == (
        "passed", {"accuracy": 0.5}, "by hand", "make test"
    )  # fmt: skip
    assert engine.show_checkpoint("two").verdicts == (newest, oldest)
    assert engine.list_checkpoints()[1] == row
    assert engine.get_verdicts("one") == []
    assert store_digest(work.store) == sealed


def test_verdicts_survive_the_loss_of_the_catalog(work: RepoBuilder) -> None:
    engine = work.engine()
    row = engine.set_verdict("two", "passed", metrics={"loss": -1.5e-9})
    said = engine.get_verdicts("two")
    engine.close()
    for path in (work.store / ".store").glob("catalog.sqlite*"):
        path.unlink()
    again = work.engine()
    assert again.list_checkpoints()[1] == row
    assert again.get_verdicts("two") == said
    assert again.verify() == []


def test_a_verdict_is_no_operation(work: RepoBuilder) -> None:
    engine = work.engine()
    before = engine.list_operations()
    engine.set_verdict("one", "passed")
    assert engine.list_operations() == before
    assert [one.checkpoint for one in engine.list_annotations()] == [engine.find_checkpoint("one").checkpoint_id]


def test_last_green_is_the_newest_that_passed(work: RepoBuilder) -> None:
    engine = work.engine()
    with pytest.raises(UnknownCheckpointError) as none:
        engine.find_checkpoint("last-green")
    assert "verdict" in none.value.hint
    engine.set_verdict("two", "passed")
    engine.set_verdict("one", "passed")
    assert engine.find_checkpoint("last-green").name == "two"
    engine.set_verdict("last-green", "failed")
    assert engine.find_checkpoint("last-green").name == "one"
    engine.restore_checkpoint("last-green")
    assert work.read("a.txt") == b"one\n"


def test_last_green_of_another_timeline(work: RepoBuilder) -> None:
    engine = work.engine()
    engine.set_verdict("one", "passed")
    engine.branch_timeline("feature", "two")
    with engine.open_timeline("feature") as there:
        there.set_verdict("@", "passed")
        assert there.find_checkpoint("last-green").timeline == "feature"
        assert there.find_checkpoint("main@last-green").name == "one"
    assert engine.find_checkpoint("last-green").name == "one"
    assert engine.find_checkpoint("feature@last-green").timeline == "feature"
    with pytest.raises(UnknownCheckpointError, match="no timeline"):
        engine.find_checkpoint("nowhere@last-green")


def test_no_new_checkpoint_can_be_called_last_green(work: RepoBuilder) -> None:
    engine = work.engine()
    for name in ("last-green", "main@last-green"):
        with pytest.raises(BadNameError):
            engine.create_checkpoint(name)
    assert engine.create_checkpoint("the last-green one")


@pytest.mark.parametrize(
    ("result", "metrics"),
    [("green", {}), ("passed", {"": 1.0}), ("passed", {"a b": 1.0}), ("passed", {"x": float("nan")}),
     ("failed", {f"m{number}": 1.0 for number in range(101)})],
)  # fmt: skip
def test_a_bad_verdict_is_refused_and_nothing_is_written(
    work: RepoBuilder, result: str, metrics: dict[str, float]
) -> None:
    log = work.store / ".store/operations.jsonl"
    before = log.read_bytes()
    with pytest.raises(UsageError):
        work.engine().set_verdict("one", result, metrics=metrics)
    assert log.read_bytes() == before


def test_a_command_of_any_length_and_bytes_is_kept_as_text(work: RepoBuilder) -> None:
    engine = work.engine()
    engine.set_verdict("one", "failed", command="x" * 100_000)
    engine.set_verdict("one", "failed", command="run\0me \udc80\n")
    second, first = engine.get_verdicts("one")
    assert len(first.command) < 3000
    assert second.command == "run\N{REPLACEMENT CHARACTER}me ?\n"
    assert engine.verify() == []


def test_a_verdict_comes_back_with_a_checkpoint_that_is_imported_again(work: RepoBuilder) -> None:
    engine = work.engine()
    engine.set_verdict("one", "passed")
    checkpoint = engine.find_checkpoint("one").checkpoint_id
    engine.export_checkpoint("one", work.root.parent / "one.chrono")
    engine.delete_checkpoint("one")
    engine.gc(deleted=True)
    engine.import_checkpoint(work.root.parent / "one.chrono")
    assert engine.find_checkpoint(checkpoint).verdict == "passed"
    assert engine.verify() == []


def test_retention_keeps_the_newest_green_one(repo: RepoBuilder) -> None:
    repo.write("a.txt", "a\n")
    repo.commit()
    variables = {"CHRONOS_MAX_CHECKPOINTS_PER_TIMELINE": "2", "CHRONOS_RETENTION_INCLUDES_NAMED": "1"}
    keep = {f"CHRONOS_KEEP_{name}": "0" for name in ("LAST", "HOURLY", "DAILY", "WEEKLY")}
    engine = repo.engine(**variables, **keep, CHRONOS_AUTO_GC="0")
    _take_many(engine, repo)
    kept = {verdict.row.name: verdict for verdict in engine.plan_gc().expiry.verdicts}
    assert "the newest that passed" in kept["number 3"].reasons
    assert not kept["number 3"].goes
    assert "the newest that passed" not in kept["number 1"].reasons


def _take_many(engine: ChronosEngine, repo: RepoBuilder) -> None:
    for number in range(8):
        repo.write("a.txt", os.urandom(10))
        engine.create_checkpoint(f"number {number}")
    engine.set_verdict("number 1", "passed")
    engine.set_verdict("number 3", "passed")
    engine.set_verdict("number 5", "passed")
    engine.set_verdict("number 5", "failed")


def test_a_secret_in_a_command_is_not_written_down(work: RepoBuilder) -> None:
    engine, secret = work.engine(), "gh" + "p_" + "a1B2c3" * 6
    command = f"API_KEY=hunter2 make eval TOKEN={secret} N=3"
    engine.set_verdict("one", "passed", note=f"with {secret}", command=command)
    engine.record_effects([f"pushes to https://me:hunter2@host/x.git with {secret}"], command)
    assert engine.get_verdicts("one")[0].command == "API_KEY=… make eval TOKEN=… N=3"
    log = (work.store / ".store/operations.jsonl").read_bytes()
    assert secret.encode() not in log and b"hunter2" not in log
