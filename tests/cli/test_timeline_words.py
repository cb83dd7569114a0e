"""What `chrono timeline` and merges say: the next command to type, and what was really done."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import Program
from tests.support import RepoBuilder
from tests.support.databases import add_notes, make_notes


def branch(chrono: Program, name: str) -> Path:
    return Path(chrono.good("timeline", "branch", name, "--json").json["path"])


def test_a_comparison_of_timelines_names_the_command_that_shows_the_rows(chrono: Program) -> None:
    make_notes(chrono.folder / "data/memory/notes.db", 2)
    add_notes(branch(chrono, "other") / "data/memory/notes.db", "only there")
    said = chrono.good("timeline", "diff", "main", "other").out
    command = "chrono timeline diff main other --memory"
    assert f"`{command}` shows the rows" in said
    assert re.search(r"notes +\+1 ", chrono.good(*command.split()[1:]).out)


def test_a_merge_says_what_decided_each_conflict(chrono: Program) -> None:
    files = {"by-hand.txt": ("base\n", "ours\n", "theirs\n")}
    files["keys.json"] = ('{"a": 1, "b": 1}\n', '{"a": 2, "b": 1}\n', '{"a": 1, "b": 2}\n')
    for name, (base, _, _) in files.items():
        (chrono.folder / name).write_text(base)
    there = branch(chrono, "other")
    for name, (_, ours, theirs) in files.items():
        (chrono.folder / name).write_text(ours)
        (there / name).write_text(theirs)
    assert chrono.run("timeline", "merge", "other", "--yes").code == 1
    chrono.good("resolve", "by-hand.txt", "--theirs")
    said = chrono.good("timeline", "merge", "other", "--yes").out
    assert "by-hand.txt: as it was decided" in said
    assert "keys.json: merged key by key" in said


def test_a_prune_says_which_links_it_removed(chrono: Program) -> None:
    shutil.rmtree(branch(chrono, "gone"))
    said = chrono.good("timeline", "prune", "--yes").out
    assert "1 link of git" in said
    assert "taken away" not in said
    branch(chrono, "idle")
    assert "1 working tree taken away: idle" in chrono.good("timeline", "prune", "--idle", "0", "--yes").out


def test_a_branch_that_stays_is_said_wherever_its_timeline_goes(chrono: Program) -> None:
    own = RepoBuilder(branch(chrono, "kept"), chrono.environment)
    own.write("work.txt", "work\n")
    own.commit("work")
    why = "no other branch or tag leads to its commits"
    said = f"git branch chronos/kept stays: {why}"
    assert said in chrono.good("undo", "--plan").err
    assert said in chrono.good("undo", "--yes").err
    chrono.good("redo", "--yes")
    assert said in chrono.good("timeline", "delete", "kept", "--plan").out
    (plan,) = chrono.good("timeline", "delete", "kept", "--plan", "--json").json["timelines"]
    assert (plan["branch"], plan["kept_branch"]) == (None, {"name": "chronos/kept", "reason": why})
    done = chrono.good("timeline", "delete", "kept", "--yes", "--json").json
    assert (done["branch"], done["notices"]) == (None, [said])


@pytest.mark.parametrize("command", [(), ("--",), ("--", "")])
def test_a_run_of_nothing_is_a_slip_and_no_bug(chrono: Program, command: tuple[str, ...]) -> None:
    branch(chrono, "other")
    found = chrono.run("timeline", "run", "other", *command)
    assert found.code == 2
    assert "chrono timeline run" in found.err, "what to type"


def test_a_path_is_printed_as_the_bytes_that_it_is(tmp_path: Path, sealed: dict[str, str]) -> None:
    place = RepoBuilder(tmp_path / os.fsdecode(b"caf\xe9"), sealed)
    place.commit()
    chrono = Program(place.root, sealed)
    branch(chrono, "other")
    said = chrono.good("timeline", "path", "other").out
    assert os.fsencode(said) == os.fsencode(place.store / "other/.worktree") + b"\n"
    assert chrono.good("timeline", "path", "other", "--json").json["name"] == "other"
