"""The search: as few tries as there can be, whatever is skipped, and a good answer for every line."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from historian.bisecting import Search


def run(search: Search, line: list[bool | None], jobs: int = 1) -> int:
    """Search a line (True is good, None cannot be tried) to its end; return how many rounds that took."""
    rounds = 0
    while places := search.next_places(jobs):
        rounds += 1
        assert len(places) <= jobs
        for place in places:
            search.note(place, line[place])
    return rounds


@pytest.mark.parametrize("bad", range(1, 64))
def test_sixty_four_with_both_ends_known_take_six_tries(bad: int) -> None:
    search = Search(0, 63)
    assert run(search, [place < bad for place in range(64)]) <= 6
    assert (search.good, search.bad, search.skipped, search.reversals()) == (bad - 1, bad, [], [])


@pytest.mark.parametrize("jobs", [2, 3, 4])
def test_more_at_a_time_take_fewer_rounds(jobs: int) -> None:
    for bad in range(1, 64):
        search = Search(0, 63)
        assert run(search, [place < bad for place in range(64)], jobs) <= math.ceil(math.log(63, jobs + 1)) + 1
        assert search.bad == bad


@given(st.lists(st.sampled_from([True, False, None]), max_size=40), st.integers(1, 5))
@settings(deadline=None)
def test_any_line_ends_between_a_good_one_and_a_bad_one(middle: list[bool | None], jobs: int) -> None:
    line = [True, *middle, False]
    search = Search(0, len(line) - 1)
    run(search, line, jobs)
    assert line[search.good] is True
    assert line[search.bad] is False
    assert search.good < search.bad
    between = list(range(search.good + 1, search.bad))
    assert search.skipped == between
    assert all(line[place] is None for place in between)


def test_a_good_one_after_a_bad_one_is_named() -> None:
    search = Search(0, 9)
    for place, is_good in ((3, False), (6, True)):
        search.note(place, is_good)
    assert search.reversals() == [(3, 6)]
    assert (search.good, search.bad) == (0, 3)
