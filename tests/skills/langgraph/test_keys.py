"""Whatever a thread, a namespace or a value is called or holds: it comes back, and stands apart from all others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skills.langgraph import ChronoSaver
from tests.skills.langgraph.graphs import checkpoint_of, ids, put_steps, thread
from tests.support import RepoBuilder

HOSTILE = [
    "",
    "'; DROP TABLE checkpoints; --",
    "a\0b",
    "a",
    "%",
    "_",
    "../../etc/passwd",
    "é",
    "e\u0301",
    "\u202e",
    "x" * 5000,
]


@pytest.fixture(scope="module")
def saver(tmp_path_factory: pytest.TempPathFactory, sealed_session: None) -> Iterator[ChronoSaver]:
    root: Path = tmp_path_factory.mktemp("plain")
    with ChronoSaver(root) as saver:
        yield saver


def test_hostile_threads_and_namespaces_stand_apart(repo: RepoBuilder) -> None:
    saver = ChronoSaver(repo.root)
    for name in HOSTILE:
        for namespace in HOSTILE:
            put_steps(saver, name, 1, [name, namespace], namespace=namespace)
    for name in HOSTILE:
        for namespace in HOSTILE:
            (found,) = saver.list(thread(name, namespace))
            assert found.checkpoint["channel_values"] == {"messages": [name, namespace]}
    saver.delete_thread("a")
    assert [len(ids(saver, name)) for name in HOSTILE] == [name != "a" for name in HOSTILE]


def test_hostile_ids_have_their_own_files(repo: RepoBuilder) -> None:
    saver = ChronoSaver(repo.root, checkpoint_files=True)
    found = []
    for number, name in enumerate(("a\0b", "'; DROP TABLE checkpoints; --", "-x", "../..", "\u202e" * 200)):
        repo.write("a.txt", f"{number}\n")
        checkpoint = {**checkpoint_of({}, {}), "id": name}
        found.append(saver.put(thread(name), checkpoint, {"source": "input", "step": -1}, {}))  # type: ignore[arg-type]
    for number, config in enumerate(found):
        saver.restore(config, graph=False)
        assert repo.read("a.txt") == f"{number}\n".encode()
    with saver._database.transaction(write=True) as connection:
        connection.execute("UPDATE checkpoints SET chrono_id = CASE checkpoint_id WHEN '-x' THEN '@' END")
    assert [saver.find_chrono_checkpoint(config) for config in found] == [None] * 5, "nothing is guessed"


def test_a_filter_with_a_hostile_key_finds_nothing(saver: ChronoSaver) -> None:
    put_steps(saver, "filtered", 3)
    assert list(saver.list(thread("filtered"), filter={"x') OR 1=1 --": 1})) == []
    assert len(list(saver.list(thread("filtered"), filter={"step": 1}))) == 1
    assert len(list(saver.list(thread("filtered"), limit=2, filter={"source": "update"}))) == 2
    assert list(saver.list(thread("filtered"), limit=0)) == []


def test_a_number_is_a_thread_as_well(saver: ChronoSaver) -> None:
    put_steps(saver, "7", 1)
    assert len(list(saver.list({"configurable": {"thread_id": 7}}))) == 1
    saver.delete_thread(7)  # type: ignore[arg-type]
    assert ids(saver, "7") == []


def test_many_are_listed_page_by_page_while_some_are_deleted(repo: RepoBuilder) -> None:
    saver = ChronoSaver(repo.root)
    put_steps(saver, "1", 120)
    put_steps(saver, "2", 3)
    listed = saver.list(None)
    first = next(listed)
    saver.delete_thread("2")
    rest = [one.config["configurable"]["checkpoint_id"] for one in listed]
    assert first.config["configurable"]["thread_id"] == "2"
    assert rest[-120:] == ids(saver, "1")
    before = thread("1", checkpoint=rest[-100])
    assert [one.checkpoint["id"] for one in saver.list(thread("1"), before=before, limit=60)] == rest[-99:][:60]


def test_versions_go_up_whatever_made_the_ones_before(saver: ChronoSaver) -> None:
    version: Any = None
    for _ in range(3):
        following = saver.get_next_version(version, None)
        assert version is None or following > version
        version = following
    assert saver.get_next_version(9, None).startswith("0000000010.")
    assert len({saver.get_next_version("0000000001.aaaaaaaa", None) for _ in range(9)}) > 1


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
NAMES = st.text(st.characters(codec="utf-8"), max_size=12)


@settings(max_examples=60, deadline=None)
@given(NAMES, NAMES, st.dictionaries(NAMES, PLAIN, max_size=4), st.sampled_from([1, 1.5, "0001.x"]))
def test_what_is_put_comes_back(
    saver: ChronoSaver, name: str, namespace: str, values: dict[str, Any], version: Any
) -> None:
    checkpoint = checkpoint_of(values, dict.fromkeys(values, version))
    config = saver.put(
        thread(name, namespace), checkpoint, {"source": "loop", "step": 1}, checkpoint["channel_versions"]
    )
    saver.put_writes(config, list(values.items()), "task")
    found = saver.get_tuple(config)
    assert found is not None
    assert found.checkpoint == checkpoint
    assert found.pending_writes == [("task", channel, value) for channel, value in values.items()]
