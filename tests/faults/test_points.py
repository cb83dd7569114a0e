"""Which points are left out: those that find the disk of another point, and of many others some."""

from __future__ import annotations

from itertools import pairwise

import pytest

from tests.faults import points
from tests.faults.harness import Call
from tests.faults.points import at_turns, every, every_state, once_begun, thinned


@pytest.fixture(autouse=True)
def _nothing_chosen_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(points, "_CHOSEN_STEP", None)


def _calls(*facts: tuple[int, str, bool]) -> list[Call]:
    return [Call(number, pid, name, "/w/file", changes) for number, (pid, name, changes) in enumerate(facts, 1)]


def test_a_kill_is_left_out_where_the_call_before_it_changed_nothing() -> None:
    calls = _calls(
        (7, "mkdir", True), (7, "fsync", False), (7, "unlink", False), (7, "write", True), (7, "fsync", False)
    )
    assert every_state(1, 0, behind=False)(calls) == [1, 2, 5]
    assert every_state(1, 0, behind=True)(calls) == [1, 4]


def test_no_kill_is_left_out_where_processes_run_side_by_side() -> None:
    calls = _calls(*[(8 if number == 15 else 7, "fsync", False) for number in range(1, 31)])
    assert every_state(1, 0, behind=True)(calls) == list(range(15 - points._NEAR, 15 + points._NEAR + 1))


def test_sampling_takes_every_kth_disk_and_at_least_one() -> None:
    calls = _calls(*[(7, "write", number % 2 == 0) for number in range(20)])
    assert every_state(4, 1, behind=True)(calls) == [3, 11, 19]
    assert every_state(100, 50, behind=True)(calls) == [19]


def test_once_it_is_written_down_each_disk_is_met_but_for_the_catalog() -> None:
    targets = ["/s/.store/tmp/1"] * 6 + [
        "/s/.store/journal/1.tree",
        "/s/tree",
        "/s/.store/catalog.sqlite-wal",
        "/s/log",
    ]
    calls = [Call(number, 7, "write", target) for number, target in enumerate(targets, 1)]
    assert once_begun(4)(calls) == [3, 7, 8, 9]


def test_no_kill_around_a_name_that_counts_is_left_out_and_of_many_others_some_are_taken() -> None:
    facts = [("write", "/s/.store/tmp/1/pack")] * 300
    facts[100] = ("rename", "/s/main/packs/1.pack")
    facts[200] = ("unlink", "/s/.store/tmp/1/index")
    facts[250] = ("linkat", "/w/file")
    calls = [Call(number, 7, name, target) for number, (name, target) in enumerate(facts, 1)]
    points = at_turns(calls)
    assert {101, 102, 251, 252} <= set(points)
    assert len(points) == 60
    assert max(after - before for before, after in pairwise(points)) <= 6
    assert at_turns(calls[:50]) == list(range(1, 51))


def test_where_names_change_at_nearly_every_call_a_few_others_are_taken() -> None:
    facts = [("link", "/w/file")] * 80 + [("write", "/w/file")] * 100
    calls = [Call(number, 7, name, target) for number, (name, target) in enumerate(facts, 1)]
    assert set(range(1, 82)) <= set(at_turns(calls))
    assert len(at_turns(calls)) == 81 + points._LEAST_OF_OTHERS


def test_the_environment_overrules_every_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(points, "_CHOSEN_STEP", "1")
    calls = _calls(*[(7, "write", True)] * 200)
    for choose in (at_turns, every(9, 3, 4), every_state(9, 3, behind=True, most=4), once_begun(5)):
        assert choose(calls) == list(range(1, 201))


def test_of_a_run_of_writes_into_one_draft_every_fifth_is_taken() -> None:
    facts = [("openat", "/m/.chronos-1a2b.tmp"), *[("write", "/m/.chronos-1a2b.tmp")] * 12, ("rename", "/m/one.db")]
    calls = [Call(number, 7, name, target) for number, (name, target) in enumerate(facts, 1)]
    assert thinned(every(1, 0))(calls) == [1, 2, 7, 12, 14]
