"""From which checkpoints each one comes: forks, merges, criss-cross, and what deletes and retention have taken."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from hypothesis import given

from chronos.operations import History, read_history
from tests.properties.profiles import examples
from tests.support import RepoBuilder
from tests.support.histories import SHAPES, Shape, grow, line, row


def links(history: History, name: str) -> list[tuple[str, bool]]:
    return [(link.row.checkpoint_id, link.is_bridged) for link in history.parents(name)]


def best(history: History, first: str, second: str) -> list[str]:
    found = [row.checkpoint_id for row in history.common_ancestors(first, second)]
    assert found == [row.checkpoint_id for row in history.common_ancestors(second, first)]
    return found


def test_a_line_has_its_older_neighbours_for_parents() -> None:
    history = History(line("main", 3)[::-1])
    assert [row.checkpoint_id for row in history.rows] == ["main3", "main2", "main1"]
    assert links(history, "main3") == [("main2", False)]
    assert links(history, "main1") == []
    assert not any(history.is_cut(name) for name in ("main1", "main2", "main3"))
    assert best(history, "main3", "main2") == ["main2"]
    assert best(history, "main2", "main2") == ["main2"]
    assert history.ancestors("main2") == {"main1", "main2"}


def test_a_fork_has_the_checkpoint_it_came_from_for_its_base() -> None:
    history = History([*line("main", 4), *line("side", 3, root="main2")])
    assert best(history, "main4", "side3") == ["main2"]
    assert best(history, "main1", "side3") == ["main1"]
    assert {name: head.checkpoint_id for name, head in history.heads().items()} == {"main": "main4", "side": "side3"}


def test_a_merge_makes_what_it_took_the_base_of_the_next() -> None:
    rows = [*line("main", 3), *line("side", 4, root="main1"), row("main4", "main3", "side3")]
    assert best(History(rows), "main4", "side4") == ["side3"]
    assert links(History(rows), "main4") == [("main3", False), ("side3", False)]


def test_after_merges_in_both_directions_there_are_two_bases() -> None:
    rows = [row("main1"), row("main2", "main1"), row("side2", "main1", at=3), row("main4", "main2", "side2"),
            row("side4", "side2", "main2", at=5), row("main6", "main4"), row("side6", "side4", at=7)]  # fmt: skip
    assert best(History(rows), "main6", "side6") == ["side2", "main2"]


def test_timelines_that_have_nothing_in_common_have_no_base() -> None:
    history = History([*line("main", 2), *line("side", 2), *line("third", 1)])
    assert best(history, "main2", "side2") == []
    assert [head.timeline for head in history.heads().values()] == ["main", "side", "third"]
    with pytest.raises(KeyError):
        history.common_ancestors("main2", "gone1")


def test_the_one_before_stands_in_for_a_parent_that_is_gone_for_good() -> None:
    rows = [row for row in line("main", 6) if row.checkpoint_id not in ("main4", "main5")]
    history = History([*rows, *line("side", 2, root="main6")])
    assert links(history, "main6") == [("main3", True)]
    assert not history.is_cut("main6")
    assert best(history, "side2", "main3") == ["main3"]


def test_nothing_stands_in_before_the_oldest_and_for_the_gone_root_of_a_branch() -> None:
    history = History([*line("main", 4)[2:], *line("side", 2, root="other9")])
    assert [name for name in ("main3", "main4", "side1", "side2") if history.is_cut(name)] == ["main3", "side1"]
    assert links(history, "side1") == links(history, "main3") == []


def test_a_deleted_one_is_stepped_over_to_the_one_before_and_has_merged_nothing() -> None:
    # An undone merge lies on the shelf: what it had merged must come again when the merge is made again.
    live = [row("main1"), row("side1", "main1"), row("side2", "side1"), row("main3", "main2")]
    shelf = [row("main2", "main1", "side2", deleted=True)]
    for history in (History(live, shelf), History(live)):
        assert links(history, "main3") == [("main1", True)]
        assert best(history, "main3", "side2") == ["main1"]


def test_a_deleted_root_cuts_nothing() -> None:
    history = History([row("main2", "main1")], [row("main1", deleted=True)])
    assert links(history, "main2") == []
    assert not history.is_cut("main2")


def test_a_parent_of_its_own_line_comes_first_also_when_it_is_bridged() -> None:
    live = [row("main1"), row("side1", "main1"), row("main4", "main3", "side1")]
    history = History(live, [row("main2", "main1", deleted=True), row("main3", "main2", deleted=True)])
    assert links(history, "main4") == [("main1", True), ("side1", False)]


def test_a_direct_parent_is_not_called_bridged_for_another_way_to_it() -> None:
    history = History([row("main1"), row("main3", "main2", "main1")], [row("main2", "main1", deleted=True)])
    assert links(history, "main3") == [("main1", False)]


def test_imports_are_no_line() -> None:
    rows = [row("imported3", "gone2"), row("imported5", "imported3"), row("imported7", "gone6")]
    history = History(rows, unordered={"imported"})
    assert links(history, "imported7") == []
    assert links(history, "imported5") == [("imported3", False)]
    assert history.is_cut("imported7")


def test_clocks_that_are_wrong_put_no_parent_above_its_child() -> None:
    rows = [row("main1", at=50), row("main2", "main1", at=9), row("side1", "main2", at=40), row("side2", "side1", at=1)]
    assert [row.checkpoint_id for row in History(rows).rows] == ["side2", "side1", "main2", "main1"]


def test_a_stand_in_that_comes_from_whom_it_stands_in_for_goes() -> None:
    rows = [row("main6", "main5"), row("side1", "main6"), row("main3", "gone2", "side1")]
    history = History(rows)
    assert sorted(row.checkpoint_id for row in history.rows) == ["main3", "main6", "side1"]
    assert history.ancestors("main3") | history.ancestors("main6") == {"main3", "main6", "side1"}


def test_the_work_grows_with_the_number_of_checkpoints_and_not_with_its_square() -> None:
    def cost(count: int) -> float:
        rows = [*line("main", count * 5), *line("side", count * 3, root="main1"), *line("third", count * 2)]
        rows = [found for found in rows if found.sequence % 7 or found.sequence == 1]
        times = []
        for _ in range(5):
            start = time.process_time()
            History(rows).common_ancestors(rows[-1].checkpoint_id, rows[0].checkpoint_id)
            times.append(time.process_time() - start)
        return min(times)

    assert cost(1000) < 40 * cost(100)


@given(SHAPES)
@examples(150)
def test_the_best_common_ancestors_are_those_of_the_whole_history(shape: Shape) -> None:
    """Against the definition, on random histories of which nothing but shelved ones are gone; they merge nothing."""
    rows, _ = grow(shape)
    live = [found for found in rows if not found.deleted]
    history = History(live, [found for found in rows if found.deleted])
    above: dict[str, set[str]] = {}
    for found in rows:
        named = [parent for parent in (found.parent, *(() if found.deleted else found.other_parents)) if parent]
        above[found.checkpoint_id] = {found.checkpoint_id}.union(*(above[parent] for parent in named))
    ids = {found.checkpoint_id for found in live}
    for first in ids:
        assert history.ancestors(first) == above[first] & ids
        for second in ids:
            shared = above[first] & above[second] & ids
            expected = {one for one in shared if not any(one in above[other] for other in shared - {one})}
            assert {found.checkpoint_id for found in history.common_ancestors(first, second)} == expected
    places = {found.checkpoint_id: place for place, found in enumerate(history.rows)}
    assert places.keys() == ids
    assert all(places[one] < places[link.row.checkpoint_id] for one in ids for link in history.parents(one))


def test_the_history_of_a_store_spans_its_timelines_and_deletes(repo: RepoBuilder, tmp_path: Path) -> None:
    repo.write("a.txt", "a\n")
    repo.commit()
    repo.git("worktree", "add", "-q", "-b", "topic", str(tmp_path / "side"))
    side = RepoBuilder(tmp_path / "side", repo.environment)
    engine, other = repo.engine(), side.engine()
    taken = []
    for number in range(4):
        repo.write("new.bin", os.urandom(100))
        taken.append(engine.create_checkpoint(f"number {number}"))
    side.write("new.bin", os.urandom(100))
    elsewhere = other.create_checkpoint("elsewhere")
    engine.delete_checkpoint(taken[2])
    store = engine._here.get_store()
    history = read_history(store)
    assert [found.checkpoint_id for found in history.rows] == [elsewhere, taken[3], taken[1], taken[0]]
    assert links(history, taken[3]) == [(taken[1], True)]
    assert {name: head.checkpoint_id for name, head in history.heads().items()} == {"main": taken[3], "side": elsewhere}
    assert history.common_ancestors(elsewhere, taken[3]) == []
    side.close()
