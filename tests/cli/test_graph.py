"""`chrono log --graph`: every checkpoint once, every link, all timelines, and nothing that ends without a word."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import example, given

from chronos.catalog import CheckpointRow
from chronos.cli.graph import draw
from chronos.operations import Graph, History, build_graph
from tests.cli.conftest import Program
from tests.properties.profiles import examples
from tests.support import RepoBuilder
from tests.support.histories import SHAPES, Shape, grow, line, row

UP, DOWN, LEFT, RIGHT = 1, 2, 4, 8
WAYS = {
    " ": 0, "│": UP | DOWN, "┊": UP | DOWN, "─": LEFT | RIGHT, "┌": DOWN | RIGHT, "┐": DOWN | LEFT, "└": UP | RIGHT,
    "┘": UP | LEFT, "├": UP | DOWN | RIGHT, "┤": UP | DOWN | LEFT, "┬": DOWN | LEFT | RIGHT, "┴": UP | LEFT | RIGHT,
    "┼": UP | DOWN | LEFT | RIGHT,
}  # fmt: skip


def drawing(graph: Graph) -> list[str]:
    return ["".join(cell.text for cell in cells).rstrip() for cells in draw(graph)]


def brief(rows: Sequence[CheckpointRow], shelf: Sequence[CheckpointRow] = (), *, everything: bool = False) -> str:
    """Return a drawing without the times and names, which are all alike."""
    lines = drawing(build_graph(History(rows, shelf), everything=everything))
    words = [text.partition("  2026")[0] + ("  [" + text.split("[")[1].split("]")[0] + "]" if "[" in text else "")
             for text in lines]  # fmt: skip
    return "\n" + "\n".join(words) + "\n"


def test_one_line() -> None:
    graph = build_graph(History(line("main", 2)))
    assert drawing(graph) == [
        "●  main2  2026-03-01 00:00:02  [main] the main2",
        "●  main1  2026-03-01 00:00:01  the main1",
    ]


def test_a_fork() -> None:
    rows = [row("main1"), row("main2", "main1"), row("side1", "main1", at=3), row("main4", "main2"),
            row("side5", "side1")]  # fmt: skip
    assert (
        brief(rows)
        == """
●    side5  [side]
│ ●  main4  [main]
● │  side1
│ ●  main2
└─┤
  ●  main1
"""
    )


def test_a_fork_and_its_merge() -> None:
    rows = [row("main1"), row("side1", "main1", at=2), row("main3", "main1"), row("side4", "side1"),
            row("main5", "main3", "side4"), row("main6", "main5")]  # fmt: skip
    assert (
        brief(rows)
        == """
●    main6  [main]
●    main5
├─┐
│ ●  side4  [side]
● │  main3
│ ●  side1
├─┘
●    main1
"""
    )


def test_a_merge_from_a_timeline_that_goes_on() -> None:
    rows = [row("main1"), row("side1", "main1", at=2), row("main3", "main1", "side1"), row("side4", "side1")]
    assert (
        brief(rows)
        == """
●    side4  [side]
│ ●  main3  [main]
├─┤
● │  side1
└─┤
  ●  main1
"""
    )


def test_two_forks_from_one_checkpoint() -> None:
    rows = [row("main1"), row("main2", "main1"), row("side1", "main1", at=3), row("third1", "main1", at=4),
            row("main5", "main2"), row("side6", "side1"), row("third7", "third1")]  # fmt: skip
    assert (
        brief(rows)
        == """
●      third7  [third]
│ ●    side6  [side]
│ │ ●  main5  [main]
● │ │  third1
│ ● │  side1
│ │ ●  main2
└─┴─┤
    ●  main1
"""
    )


def test_merges_in_both_directions() -> None:
    rows = [row("main1"), row("main2", "main1"), row("side2", "main1", at=3), row("main4", "main2", "side2"),
            row("side4", "side2", "main2", at=5), row("main6", "main4"), row("side6", "side4", at=7)]  # fmt: skip
    assert (
        brief(rows)
        == """
●      side6  [side]
│ ●    main6  [main]
● │    side4
├─│─┐
│ ● │  main4
├─┤ │
● │ │  side2
│ ├─┘
│ ●    main2
└─┤
  ●    main1
"""
    )


def test_a_merge_of_three() -> None:
    rows = [row("main1"), row("a1", "main1", at=2), row("b1", "main1", at=3), row("c1", "main1", at=4),
            row("main5", "main1", "a1", "b1", "c1"), row("b9", "b1")]  # fmt: skip
    assert (
        brief(rows)
        == """
●        b9  [b]
│ ●      main5  [main]
├─┼─┬─┐
│ │ │ ●  c1  [c]
● │ │ │  b1
│ │ ● │  a1  [a]
└─┼─┴─┘
  ●      main1
"""
    )


def test_what_is_gone_is_said_and_its_line_goes_on_in_another_stroke() -> None:
    rows = [*line("main", 6)[1:3], row("main6", "gone5"), row("side1", "gone1", at=5), row("side7", "side1")]
    assert (
        brief(rows)
        == """
●    side7  [side]
│ ●  main6  [main]
│ ┊  some are gone
● ┊  side1
┊ ┊  some are gone
  ●  main3
  ●  main2
  ┊  some are gone
"""
    )


def test_three_timelines_at_interleaved_times() -> None:
    rows = [row("main1"), row("side1", at=2), row("third1", at=3), row("main4", "main1"), row("side5", "side1"),
            row("third6", "third1"), row("main7", "main4"), row("main8", "main7", "third6"),
            row("side9", "side5")]  # fmt: skip
    assert (
        brief(rows)
        == """
●      side9  [side]
│ ●    main8  [main]
│ ├─┐
│ ● │  main7
│ │ ●  third6  [third]
● │ │  side5
│ ● │  main4
│ │ ●  third1
● │    side1
  ●    main1
"""
    )


def test_two_that_only_stand_below_each_other_are_not_joined() -> None:
    rows = [row("imported1", "gone7"), row("imported2"), row("imported3")]
    lines = drawing(build_graph(History(rows, unordered={"imported"})))
    assert [text[:11].rstrip() for text in lines] == [
        "●  imported", "", "●  imported", "", "●  imported", "┊  some are"
    ]  # fmt: skip
    assert sum("[imported]" in text for text in lines) == 3


def test_what_was_taken_by_itself_shows_only_where_lines_meet_or_nothing_else_is_there() -> None:
    rows = [row("main1"), row("main2", "main1", trigger="automatic"), row("main3", "main2", trigger="safety"),
            row("main4", "main3"), row("side5", "main2"), row("main6", "main4", trigger="automatic"),
            row("third7", trigger="automatic"), row("third8", "third7", trigger="automatic")]  # fmt: skip
    assert (
        brief(rows)
        == """
○    third8  [third]

●    side5  [side]
│ ●  main4  [main]
└─┤
  ○  main2
  ●  main1
"""
    )
    assert brief(rows, everything=True).count("○") == 5


def test_past_hidden_ones_a_gap_is_still_said() -> None:
    rows = [row("main1"), row("main3", "gone2", trigger="automatic"), row("main4", "main3")]
    assert (
        brief(rows)
        == """
●  main4  [main]
┊  some are gone
●  main1
"""
    )


def test_lanes_that_go_on_below_the_limit_do_not_end() -> None:
    rows = [*line("main", 4), row("side5", "main1")]
    graph = build_graph(History(rows), limit=2)
    assert [text[:3] for text in drawing(graph)] == ["●  ", "│ ●", "│ │"]
    assert graph.total == 5


def test_an_id_is_as_long_as_it_takes_to_tell_it_from_the_others() -> None:
    rows = [row("imported1"), row("imported22"), row("imported223")]
    assert [text.split()[1] for text in drawing(build_graph(History(rows))) if text] == [
        "imported223", "imported22", "imported1"
    ]  # fmt: skip


def read_links(lines: Sequence[str], nodes: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield each link, child and parent, as an eye reads it from a drawing that knows of no lanes but its strokes.

    Fails when a stroke begins or ends in the air. `nodes` are the ids from the top.
    """
    waiting, width = list(nodes), lines[0].index(nodes[0]) - 2
    open_lanes: dict[int, set[str]] = {}
    last: tuple[int, str] | None = None
    for text in lines:
        lanes = {place: char for place, char in enumerate(text[:width]) if char != " "}
        if last is not None and lanes.get(last[0], "─") == "─":
            open_lanes.pop(last[0])  # a root: nothing goes on below it
            last = None
        marks = [place for place, char in lanes.items() if char in "●○"]
        if marks:
            (place,), name = marks, waiting.pop(0)
            assert name in text
            yield from ((child, name) for child in open_lanes.pop(place, ()))
            assert lanes.keys() - {place} == open_lanes.keys()
            open_lanes[place], last = {name}, (place, name)
            continue
        ways = {place: WAYS[char] for place, char in lanes.items()}
        met = {place for place, way in ways.items() if way & (LEFT | RIGHT) and way & (UP | DOWN)}
        assert {place for place, way in ways.items() if way & UP} == open_lanes.keys()
        ending = {place for place in met if not ways[place] & DOWN}
        if ending:
            (into,) = met - ending
            open_lanes[into] = open_lanes[into].union(*(open_lanes.pop(place) for place in ending))
        elif met:
            assert last is not None
            for place in met - {last[0]}:
                open_lanes[place] = open_lanes.get(place, set()) | {last[1]}
        assert {place for place, way in ways.items() if way & DOWN} == open_lanes.keys()
        last = None if ending else last
    assert not waiting


@given(SHAPES)
@example([])
@examples(200)
def test_every_checkpoint_is_drawn_once_and_every_link(shape: Shape) -> None:
    rows, gone = grow(shape)
    history = History(
        [found for found in rows if not found.deleted and found not in gone],
        [found for found in rows if found.deleted and found not in gone],
    )
    for everything in (True, False):
        graph = build_graph(history, everything=everything)
        shown = [node.row.checkpoint_id for node in graph.nodes]
        assert len(set(shown)) == len(shown) == graph.total
        if everything:
            assert set(shown) == {found.checkpoint_id for found in history.rows}
        assert {node.row.timeline for node in graph.nodes} == {found.timeline for found in history.rows}
        expected = {(node.row.checkpoint_id, edge.parent) for node in graph.nodes for edge in node.edges}
        above: dict[str, set[str]] = {name: {name} for name in shown}
        for node in reversed(graph.nodes):  # parents have been there before their children
            above[node.row.checkpoint_id].update(*(above[edge.parent] for edge in node.edges))
        assert all(above[name] == history.ancestors(name) & set(shown) for name in shown)
        if shown:
            found = list(read_links(drawing(graph), shown))
            assert sorted(found) == sorted(expected)


@pytest.fixture
def side(chrono: Program, repo: RepoBuilder, tmp_path: Path) -> Iterator[RepoBuilder]:
    """A worktree that the user made beside the repository of `chrono`."""
    repo.git("worktree", "add", "-q", "-b", "topic", str(tmp_path / "side"))
    side = RepoBuilder(tmp_path / "side", repo.environment)
    yield side
    side.close()


@pytest.fixture
def taken(repo: RepoBuilder, side: RepoBuilder) -> list[str]:
    """Three checkpoints of `main`, a safety checkpoint there, and one of `side` at the end."""
    engine, other = repo.engine(), side.engine()
    ids = []
    for number in range(3):
        repo.write("a.txt", os.urandom(10))
        ids.append(engine.create_checkpoint(f"number {number}"))
    repo.write("a.txt", "edited\n")
    engine.restore_checkpoint(ids[0])
    side.write("a.txt", "elsewhere\n")
    return [*ids, other.create_checkpoint("elsewhere")]


def test_the_timelines_of_all_worktrees_are_drawn(chrono: Program, taken: list[str]) -> None:
    lines = chrono.good("log", "--graph").out.splitlines()
    assert [text[:12].strip() for text in lines] == [
        f"●  {taken[3][:8]}", "", *(f"●  {checkpoint_id[:8]}" for checkpoint_id in taken[2::-1])
    ]  # fmt: skip
    assert lines[0].endswith("  [side] elsewhere")
    assert lines[2].endswith("  [main] number 2")
    assert lines[3].endswith("  number 1")


def test_all_shows_safety_checkpoints_too(chrono: Program, taken: list[str]) -> None:
    assert "○" not in chrono.good("log", "--graph").out
    text = chrono.good("log", "--graph", "--all").out
    assert text.count("○") == 1
    assert "(safety)" in text


def test_a_deleted_checkpoint_leaves_a_mark(chrono: Program, taken: list[str]) -> None:
    chrono.good("checkpoint", "delete", taken[1], "--yes")
    lines = chrono.good("log", "--graph").out.splitlines()
    assert [text.split()[0] for text in lines if text] == ["●", "●", "┊", "●"]
    rows = chrono.good("log", "--graph", "--json").json["checkpoints"]
    assert [(found["parents"], found["bridged"], found["cut"]) for found in rows] == [
        ([], [], False), ([taken[0]], [taken[0]], False), ([], [], False)
    ]  # fmt: skip


def test_the_document_has_what_a_list_has_with_parents_and_lanes(chrono: Program, taken: list[str]) -> None:
    found = chrono.good("log", "--graph", "--json").json
    listed = chrono.good("checkpoint", "list", "--all", "--json").json["checkpoints"]
    added = {"parents", "bridged", "cut", "lane"}
    assert [{key: row[key] for key in row.keys() - added} for row in found["checkpoints"]] == listed
    assert all(added <= row.keys() for row in found["checkpoints"])
    assert found["checkpoints"][1]["parents"] == [taken[1]]
    assert [timeline["name"] for timeline in found["timelines"]] == ["main", "side"]
    assert found["timelines"][1]["head"] == taken[3]
    assert found["total"] == 4


def test_a_limit_shows_the_newest(chrono: Program, taken: list[str]) -> None:
    found = chrono.good("log", "--graph", "--limit", "2", "--json").json
    assert [row["checkpoint_id"] for row in found["checkpoints"]] == taken[:1:-1]
    assert found["total"] == 4
    assert "2 of 4; see more with --limit" in chrono.on_terminal("log", "--graph", "--limit", "2").out


def test_an_encoding_without_the_strokes_gets_others(chrono: Program, taken: list[str]) -> None:
    chrono.good("checkpoint", "delete", taken[1], "--yes")
    text = chrono.good("log", "--graph", PYTHONIOENCODING="ascii").out
    assert text.isascii()
    assert [line.split()[0] for line in text.splitlines() if line] == ["*", "*", ":", "*"]


def test_lanes_have_colour_on_a_terminal_that_wants_it(chrono: Program, taken: list[str]) -> None:
    plain = chrono.good("log", "--graph").out
    coloured = chrono.on_terminal("log", "--graph").out
    assert coloured != plain
    assert re.sub("\x1b\\[[0-9;]*m", "", coloured) == plain
    assert "\x1b" not in plain
    assert chrono.on_terminal("log", "--graph", NO_COLOR="1").out == plain


@pytest.mark.parametrize("variables", [{}, {"NO_COLOR": "1"}, {"PYTHONIOENCODING": "ascii"}])
def test_lines_are_cut_to_the_terminal_and_whole_in_a_pipe(chrono: Program, variables: dict[str, str]) -> None:
    chrono.create("名" * 60)
    text = chrono.on_terminal("log", "--graph", COLUMNS="60", **variables).out
    (shown,) = re.sub("\x1b\\[[0-9;]*m", "", text).splitlines()
    assert shown.endswith("..." if "PYTHONIOENCODING" in variables else "…")
    assert 58 < len(shown) + shown.count("名") <= 60
    assert chrono.good("log", "--graph").out.count("名") == 60


def test_without_checkpoints_there_is_nothing_to_draw(chrono: Program) -> None:
    assert chrono.good("log", "--graph").out == "no checkpoints\n"
    assert chrono.good("log", "--graph", "--json").json["checkpoints"] == []


def test_options_that_do_not_go_together_are_refused(chrono: Program) -> None:
    assert chrono.run("log", "--all").code == 2
    assert chrono.run("log", "--graph", "--timeline", "main").code == 2
