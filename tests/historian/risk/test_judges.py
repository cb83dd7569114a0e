"""Programs with a judge of their own: it is found where the table says that it is."""

from __future__ import annotations

from historian.risk.judges import JUDGES, find_judge


def test_every_program_of_the_table_has_its_judge() -> None:
    assert [name for name in JUDGES if not callable(find_judge(name))] == []


def test_a_program_that_is_not_in_the_table_has_none() -> None:
    assert find_judge("npm") is None
