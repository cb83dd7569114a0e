"""What graph checkpoints take: values once, of a growing list what is new, and nothing when they are deleted."""

from __future__ import annotations

import os
import random
from collections.abc import Callable

import pytest
from langgraph.checkpoint.serde.types import _DeltaSnapshot

from skills.langgraph import ChronoSaver
from tests.skills.langgraph.graphs import checkpoint_of, ids, put_steps, thread
from tests.support import RepoBuilder

TABLES = ("checkpoints", "channels", "writes", "contents", "parts", "pieces")


@pytest.fixture
def saver(repo: RepoBuilder) -> ChronoSaver:
    return ChronoSaver(repo.root)


def counts(saver: ChronoSaver) -> dict[str, int]:
    with saver._database.transaction() as connection:
        return {table: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in TABLES}


def size(saver: ChronoSaver) -> int:
    saver.close()
    return os.path.getsize(saver.path)


def growing(words: int = 150) -> Callable[[int], list[str]]:
    """Return what a list of messages is after so many steps; each message has about a kilobyte."""
    said = random.Random(1)
    messages: list[str] = []

    def after(number: int) -> list[str]:
        messages.append(" ".join(f"{said.randrange(10**6)}" for _ in range(words)))
        return list(messages)

    return after


def test_a_value_that_stays_or_comes_back_is_stored_once(saver: ChronoSaver) -> None:
    value = os.urandom(200_000)
    put_steps(saver, "1", 10, value)
    put_steps(saver, "2", 10, value, namespace="inner")
    assert counts(saver)["contents"] == 1
    assert size(saver) < 2 * len(value)


def test_a_list_that_grows_takes_what_is_new_in_it(saver: ChronoSaver) -> None:
    put_steps(saver, "warm", 1, growing())
    before, steps = size(saver), 60
    found = put_steps(saver, "1", steps, growing())
    states = sum(1000 * number for number in range(1, steps))
    assert size(saver) - before < states / 2
    after = growing()
    for number, config in enumerate(found):
        stored = saver.get_tuple(config)
        assert stored is not None
        assert stored.checkpoint["channel_values"]["messages"] == after(number)


def test_deleting_gives_everything_back(saver: ChronoSaver) -> None:
    put_steps(saver, "kept", 2, growing())
    kept, before = counts(saver), size(saver)
    put_steps(saver, "1", 30, growing(300))
    put_steps(saver, "1", 5, growing(300), namespace="inner")
    assert size(saver) > before + 100_000
    saver.delete_thread("1")
    assert counts(saver) == kept
    assert size(saver) <= before + 16_384
    saver.delete_thread("kept")
    saver.delete_thread("nobody")
    assert counts(saver) == dict.fromkeys(TABLES, 0)


def test_pruning_keeps_the_newest_of_each_namespace_and_what_it_needs(saver: ChronoSaver) -> None:
    newest = put_steps(saver, "1", 10, growing(300))[-1]
    inner = put_steps(saver, "1", 5, growing(300), namespace="inner")[-1]
    other = put_steps(saver, "2", 3, "x")
    saved = [saver.get_tuple(newest), saver.get_tuple(inner)]
    saver.prune(["1", "nobody"])
    assert [saver.get_tuple(newest), saver.get_tuple(inner)] == saved
    assert (len(ids(saver, "1")), len(ids(saver, "1", "inner")), len(ids(saver, "2"))) == (1, 1, len(other))
    left = counts(saver)
    assert (left["checkpoints"], left["channels"], left["writes"]) == (5, 5, 5)
    saver.prune(["1", "2"], strategy="delete")
    assert counts(saver) == dict.fromkeys(TABLES, 0)


def test_a_write_that_comes_before_its_checkpoint_outlives_pruning(saver: ChronoSaver) -> None:
    put_steps(saver, "1", 3)
    coming = checkpoint_of({}, {})
    saver.put_writes(thread("1", checkpoint=coming["id"]), [("messages", "early")], "task")
    saver.prune(["1"])
    config = saver.put(thread("1"), coming, {"source": "loop", "step": 3}, {})
    assert saver.get_tuple(config).pending_writes == [("task", "messages", "early")]  # type: ignore[union-attr]


def test_runs_are_deleted_with_what_only_they_had(saver: ChronoSaver) -> None:
    shared = "x" * 20_000
    put_steps(saver, "1", 3, shared, run="first")
    left = counts(saver)
    put_steps(saver, "1", 4, lambda number: f"{number}" * 20_000, run="second", namespace="inner")
    put_steps(saver, "2", 2, shared, run="second")
    saver.delete_for_runs(["second", "never"])
    assert counts(saver) == left
    assert len(ids(saver, "1")) == 3


def test_a_copy_shares_the_values_and_stands_alone(saver: ChronoSaver) -> None:
    put_steps(saver, "1", 20, growing(300))
    put_steps(saver, "1", 2, namespace="inner")
    before = counts(saver)
    saver.copy_thread("1", "2")
    saver.copy_thread("1", "2")
    after = counts(saver)
    assert {table for table in TABLES if after[table] != before[table]} == {"checkpoints", "channels", "writes"}
    assert all(after[table] == 2 * before[table] for table in ("checkpoints", "channels", "writes"))
    wanted = [(one.checkpoint, one.metadata, one.pending_writes) for one in saver.list(thread("1"))]
    saver.delete_thread("1")
    assert [(one.checkpoint, one.metadata, one.pending_writes) for one in saver.list(thread("2"))] == wanted
    saver.copy_thread("2", "2")
    assert counts(saver) == before


@pytest.mark.parametrize("snapshot", [2, 5])
def test_pruning_keeps_what_a_delta_channel_is_made_from(saver: ChronoSaver, snapshot: int) -> None:
    """As LangGraph stores one: a whole value now and then, the writes since, and their number in the metadata."""
    configs, config = [], thread("1")
    for number in range(6):
        version = f"{number + 1:010}.aa"
        values = {"log": _DeltaSnapshot([f"all until {number}"])} if number == snapshot else {}
        since = number - snapshot if number >= snapshot else number + 1
        metadata = {"source": "loop", "step": number, "counters_since_delta_snapshot": {"log": (since, since)}}
        config = saver.put(config, checkpoint_of(values, {"log": version}, number), metadata, {"log": version})  # type: ignore[arg-type]
        saver.put_writes(config, [("log", f"write {number}"), ("other", 1)], f"task {number}")
        configs.append(config)
    before = saver.get_delta_channel_history(config=configs[-1], channels=["log", "other"])
    assert before == super(ChronoSaver, saver).get_delta_channel_history(config=configs[-1], channels=["log", "other"])
    saver.prune(["1"])
    after = saver.get_delta_channel_history(config=configs[-1], channels=["log"])
    assert len(ids(saver, "1")) == (4 if snapshot == 2 else 1)
    if snapshot == 2:
        assert after["log"] == before["log"]
        assert [value for _, _, value in after["log"]["writes"]] == ["write 2", "write 3", "write 4"]
