"""Graphs in graphs, graphs side by side, and graphs on two timelines."""

from __future__ import annotations

import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, interrupt

from chronos.errors import UsageError
from skills.langgraph import ChronoSaver
from tests.skills.langgraph.graphs import Steps, build, ids, put_steps, thread
from tests.support import RepoBuilder

T = thread("1")


@pytest.fixture
def saver(repo: RepoBuilder) -> ChronoSaver:
    repo.write("a.txt", "first\n")
    repo.write(".gitignore", "data/\n")
    repo.commit()
    return ChronoSaver(repo.root, checkpoint_files=True)


def nested(saver: ChronoSaver, repo: RepoBuilder) -> Any:
    """A graph with a graph inside that writes a file at each of its steps, and asks between them."""

    def one(state: Steps) -> Steps:
        repo.write("inner.txt", "one\n")
        return {"steps": ["one"]}

    def two(state: Steps) -> Steps:
        answer = interrupt("on?")
        repo.write("inner.txt", f"two: {answer}\n")
        return {"steps": ["two"]}

    inner = StateGraph(Steps)
    inner.add_node(one)
    inner.add_node(two)
    inner.add_edge(START, "one")
    inner.add_edge("one", "two")
    outer = StateGraph(Steps)
    outer.add_node("before", lambda state: {"steps": ["before"]})
    outer.add_node("inner", inner.compile())
    outer.add_edge(START, "before")
    outer.add_edge("before", "inner")
    outer.add_edge("inner", END)
    return outer.compile(checkpointer=saver)


def test_the_steps_of_an_inner_graph_have_their_files_too(repo: RepoBuilder, saver: ChronoSaver) -> None:
    graph = nested(saver, repo)
    graph.invoke({"steps": []}, T, durability="sync")
    assert repo.read("inner.txt") == b"one\n"
    asked = graph.get_state(T, subgraphs=True)
    inside = asked.tasks[0].state
    assert inside.next == ("two",)
    found = [saver.find_chrono_checkpoint(state.config) for state in (asked, inside)]
    assert None not in found
    assert found[0] != found[1]
    graph.invoke(Command(resume="yes"), T, durability="sync")
    assert repo.read("inner.txt") == b"two: yes\n"

    with pytest.raises(UsageError, match="inner graph"):
        saver.restore(inside.config)
    saver.restore(inside.config, graph=False)
    assert repo.read("inner.txt") == b"one\n"
    saver.restore(asked.config)
    assert not repo.exists("inner.txt")
    assert graph.get_state(T).next == ("inner",)
    graph.invoke(None, T, durability="sync")
    assert repo.read("inner.txt") == b"one\n"
    graph.invoke(Command(resume="no"), T, durability="sync")
    assert repo.read("inner.txt") == b"two: no\n"


def test_graphs_side_by_side_hold_files_at_once(repo: RepoBuilder, saver: ChronoSaver) -> None:
    with ThreadPoolExecutor(3) as threads:
        stored = list(threads.map(lambda name: put_steps(saver, name, 3), "123"))
    assert all(saver.find_chrono_checkpoint(config) for configs in stored for config in configs)


def test_a_run_that_saves_at_its_end_has_the_files_of_its_end(repo: RepoBuilder, saver: ChronoSaver) -> None:
    graph = build(saver, repo.root)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        graph.invoke({"steps": []}, T, durability="exit")
    (state,) = graph.get_state_history(T)
    repo.remove("draft.txt")
    saver.restore(state.config)
    assert repo.exists("draft.txt")


def test_two_timelines_go_on_apart_and_merge(repo: RepoBuilder, saver: ChronoSaver) -> None:
    engine = repo.engine()
    put_steps(saver, "1", 2, "common")
    tree = engine.branch_timeline("other").path
    put_steps(saver, "here", 2, "x" * 20_000)
    with ChronoSaver(tree) as there:
        assert len(ids(there, "1")) == 2
        put_steps(there, "there", 3, "y" * 20_000)
        put_steps(there, "1", 1, "later")
    engine.merge_timeline("other", "main")
    assert {name: len(ids(saver, name)) for name in ("1", "here", "there")} == {"1": 3, "here": 2, "there": 3}
    values = {found.checkpoint["channel_values"]["messages"] for found in saver.list(thread("there"))}
    assert values == {"y" * 20_000}
