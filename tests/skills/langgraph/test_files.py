"""A real graph in a real repository: its files and its state go back, forth and apart together."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
from langgraph.types import Command

from chronos.errors import DisabledError, UnknownCheckpointError
from skills.langgraph import ChronoSaver
from tests.skills.langgraph.graphs import build, put_steps, thread
from tests.support import RepoBuilder

T = thread("1")


def run(graph: Any, given: Any, config: Any = T) -> Any:
    return graph.invoke(given, config, durability="sync")


def at(graph: Any, node: str) -> Any:
    """Return the newest state before `node`."""
    return next(state for state in graph.get_state_history(T) if state.next == (node,))


@pytest.fixture
def saver(repo: RepoBuilder) -> ChronoSaver:
    repo.write("a.txt", "first\n")
    repo.commit()
    return ChronoSaver(repo.root, checkpoint_files=True)


def test_files_and_graph_go_back_to_a_step_and_on_from_there(repo: RepoBuilder, saver: ChronoSaver) -> None:
    graph = build(saver, repo.root)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # durability="sync" is seen
        assert run(graph, {"steps": []})["__interrupt__"]
    run(graph, Command(resume="yes"))
    assert not repo.exists("draft.txt")
    assert repo.read("final.txt") == b"ask: yes\n"

    saver.restore(at(graph, "ask").config)
    assert repo.read("draft.txt") == b"draft\n"
    assert not repo.exists("final.txt")
    now = graph.get_state(T)
    assert (now.next, now.values["steps"]) == (("ask",), ["plan", "draft"])
    assert run(graph, None)["__interrupt__"], "the question is asked again"
    run(graph, Command(resume="no"))
    assert repo.read("final.txt") == b"ask: no\n"
    answers = [one.values["steps"][2] for one in graph.get_state_history(T) if one.next == () and one.values["steps"]]
    assert answers == ["ask: no", "ask: yes"], "the history is whole"


def test_undo_takes_the_files_of_a_restore_back_and_leaves_the_graph(repo: RepoBuilder, saver: ChronoSaver) -> None:
    graph = build(saver, repo.root)
    run(graph, {"steps": []})
    saver.restore(at(graph, "draft").config)
    assert not repo.exists("draft.txt")
    repo.engine().undo()
    assert repo.read("draft.txt") == b"draft\n"
    assert graph.get_state(T).next == ("draft",)
    saver.restore(at(graph, "ask").config)
    assert graph.get_state(T).next == ("ask",), "forward as well as back"


def test_an_old_config_forks_with_its_files_and_leaves_the_thread_until_it_runs(
    repo: RepoBuilder, saver: ChronoSaver
) -> None:
    graph = build(saver, repo.root)
    run(graph, {"steps": []})
    run(graph, Command(resume="yes"))
    old = at(graph, "draft").config
    config = saver.restore(old, graph=False)
    assert config["configurable"]["checkpoint_id"] == old["configurable"]["checkpoint_id"]
    assert graph.get_state(T).next == ()
    assert not repo.exists("final.txt")
    run(graph, None, config)
    assert graph.get_state(T).next == ("ask",)
    assert repo.exists("draft.txt")


def test_other_threads_and_other_stores_of_the_moment(repo: RepoBuilder, saver: ChronoSaver) -> None:
    repo.write("data/memory/notes.txt", "one\n")
    old = put_steps(saver, "1", 1)[0]
    repo.write("data/memory/notes.txt", "two\n")
    others = put_steps(saver, "2", 2)
    saver.restore(old)
    assert repo.read("data/memory/notes.txt") == b"one\n", "other memory goes back with the files"
    assert saver.get_tuple(thread("2")) == saver.get_tuple(others[-1]), "another thread's graph does not"


def test_steps_that_change_no_file_share_a_checkpoint(repo: RepoBuilder, saver: ChronoSaver) -> None:
    first = put_steps(saver, "1", 3)
    repo.write("b.txt", "new\n")
    second = put_steps(saver, "2", 2)
    found = [saver.find_chrono_checkpoint(config) for config in (*first, *second)]
    assert found == [found[0]] * 3 + [found[3]] * 2
    assert found[0] != found[3]
    assert repo.engine().count_checkpoints() == 2
    listed = [one.metadata["chrono_checkpoint"] for one in saver.list(thread("2"))]  # type: ignore[typeddict-item]
    assert listed == found[3:]


def test_a_restore_of_chrono_brings_the_graph_back_with_the_code(repo: RepoBuilder, saver: ChronoSaver) -> None:
    graph = build(saver, repo.root)
    run(graph, {"steps": []})
    draft = at(graph, "draft")
    chrono_id = saver.find_chrono_checkpoint(at(graph, "ask").config)
    assert chrono_id is not None
    run(graph, Command(resume="yes"))
    repo.engine().restore_checkpoint(chrono_id)
    now = graph.get_state(T)
    assert (now.next, now.values["steps"]) == (("ask",), ["plan", "draft"])
    assert saver.find_chrono_checkpoint(now.config) == chrono_id, "though its id was recorded after it was taken"
    assert saver.find_chrono_checkpoint(draft.config) is not None
    run(graph, None)
    run(graph, Command(resume="later"))
    assert repo.read("final.txt") == b"ask: later\n"


def test_without_files_there_is_nothing_to_restore(repo: RepoBuilder) -> None:
    saver = ChronoSaver(repo.root)
    config = put_steps(saver, "1", 1)[0]
    assert saver.find_chrono_checkpoint(config) is None
    for wanted in (config, thread("nobody")):
        with pytest.raises(UnknownCheckpointError, match="no checkpoint of chrono has the files") as error:
            saver.restore(wanted)
        assert "checkpoint_files=True" in error.value.hint


def test_files_that_retention_took_are_said_to_be_gone(repo: RepoBuilder, saver: ChronoSaver) -> None:
    config = put_steps(saver, "1", 1)[0]
    found = saver.find_chrono_checkpoint(config)
    assert found is not None
    repo.engine().delete_checkpoint(found)
    assert saver.find_chrono_checkpoint(config) is None
    with pytest.raises(UnknownCheckpointError):
        saver.restore(config)


def test_a_graph_that_runs_ahead_of_its_checkpoints_is_warned_of(repo: RepoBuilder, saver: ChronoSaver) -> None:
    with pytest.warns(UserWarning, match='durability="sync"'):
        build(saver, repo.root).invoke({"steps": []}, T)


def test_an_async_graph_goes_back_as_well(repo: RepoBuilder, saver: ChronoSaver) -> None:
    async def work() -> None:
        async with saver:
            graph = build(saver, repo.root)
            await graph.ainvoke({"steps": []}, T, durability="sync")
            history = [state async for state in graph.aget_state_history(T)]
            await saver.arestore(next(state.config for state in history if state.next == ("draft",)))
            assert (await graph.aget_state(T)).next == ("draft",)

    asyncio.run(work())
    assert not repo.exists("draft.txt")


def test_chronos_that_is_switched_off_is_said_at_once(repo: RepoBuilder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENABLE_CHRONOS", "false")
    with pytest.raises(DisabledError, match="checkpoint_files"):
        ChronoSaver(repo.root, checkpoint_files=True)
    put_steps(ChronoSaver(repo.root), "1", 1)


def test_the_room_loads_nothing_of_langgraph_before_it_is_used() -> None:
    code = (
        "import sys, skills.langgraph\n"
        "assert 'langgraph' not in sys.modules and 'langchain_core' not in sys.modules\n"
        "sys.modules['langgraph'] = None\n"
        "try:\n    skills.langgraph.ChronoSaver\n"
        "except Exception as error:\n    print(type(error).__name__, error.hint)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path.cwd())
    assert done.stdout == "UnsupportedError pip install --upgrade 'chronomancer[langgraph]'\n"
