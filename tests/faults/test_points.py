"""Which points are left out: only those that find the disk of another point."""

from __future__ import annotations

import pytest

from tests.faults import points
from tests.faults.harness import Call
from tests.faults.points import every_state, once_begun


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
