"""Bisections: the planted checkpoint is found in six runs, memory included, and nothing of the user's is touched."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from chronos import ChronosEngine
from chronos.errors import OutsideError, StateError, ToolFailedError, UsageError
from historian import HistorianAgent
from historian.bisecting import Bisection, Request, Result, Try, run_bisection
from tests.historian.bisecting.conftest import BAD_CODE, BAD_MEMORY, CODE, MEMORY, git_digest, scratch
from tests.support import RepoBuilder
from tests.support.databases import add_notes, make_notes, read_notes

pytestmark = pytest.mark.xdist_group("bisecting")  # one worker builds the history
ENDS = {"good": "n0", "bad": "n63"}
# Where three runs show what six do.
NEAR: dict[str, object] = {"good": "n37", "bad": "n45"}


def bisect(engine: ChronosEngine, command: tuple[str, ...], **options: object) -> Bisection:
    return run_bisection(engine, Request(command, **{**ENDS, **options}))  # type: ignore[arg-type]


def names(found: Bisection) -> list[str]:
    return [one.row.name for one in found.tries]


def found_name(found: Bisection) -> str:
    assert found.first_bad is not None
    return found.first_bad.name


def test_the_planted_code_is_found_in_six_runs_and_nothing_is_touched(
    engine: ChronosEngine, project: RepoBuilder
) -> None:
    project.write("code.txt", "work in progress\n")
    before, refs, log = project.state(), git_digest(project), engine.list_operations()
    notes = read_notes(project.root / "data/memory/notes.db")
    found = HistorianAgent(engine=engine).bisect(Request(CODE, **ENDS))  # type: ignore[arg-type]
    assert found_name(found) == f"n{BAD_CODE}"
    assert found.last_good is not None
    assert found.last_good.name == f"n{BAD_CODE - 1}"
    assert found.runs == len(found.tries) == 6
    assert {item.path for item in found.differences} == {b"code.txt", b"number.txt"}
    assert (found.candidates, found.reversals, found.is_older) == ((), (), False)
    assert (project.state(), git_digest(project)) == (before, refs)
    assert read_notes(project.root / "data/memory/notes.db") == notes
    assert engine.list_operations() == log
    assert [one.name for one in engine.list_timelines()] == ["main"]
    assert scratch(project) == []
    assert engine.verify() == []


def test_what_only_the_memory_shows_is_found_in_six_runs(engine: ChronosEngine, project: RepoBuilder) -> None:
    found = bisect(engine, MEMORY)
    assert found_name(found) == f"n{BAD_MEMORY}"
    assert found.runs == 6
    assert [(item.name, item.tables[0].added) for item in found.stores] == [("notes.db", 1)]
    assert scratch(project) == []


def test_two_at_a_time_find_the_same(engine: ChronosEngine, project: RepoBuilder) -> None:
    found = bisect(engine, MEMORY, jobs=2)
    assert found_name(found) == f"n{BAD_MEMORY}"
    assert found.runs <= 8
    assert scratch(project) == []


def test_a_store_outside_of_the_project_is_a_copy_of_that_time(repo: RepoBuilder, tmp_path: Path) -> None:
    repo.write("a.txt", "a\n")
    repo.commit()
    outside = make_notes(tmp_path / "agent/brain.db", 1)
    engine = repo.engine()
    engine.add_memory(outside, name="brain")
    for number in range(6):
        add_notes(outside, "broken" if number == 3 else f"note {number}")
        engine.create_checkpoint(f"n{number}")
    program = MEMORY[2].replace("CHRONOS_MEMORY_NOTES_DB", "CHRONOS_MEMORY_BRAIN")
    writing = "import os, sqlite3; c = sqlite3.connect(os.environ['CHRONOS_MEMORY_BRAIN']);"
    writing += "c.execute(\"INSERT INTO notes (body) VALUES ('of the try')\"); c.commit();"
    found = bisect(engine, (sys.executable, "-c", writing + program), bad="n5")
    assert found_name(found) == "n3"
    assert "of the try" not in read_notes(outside)


def test_what_a_command_leaves_in_its_tree_is_gone_at_the_next_try(engine: ChronosEngine, project: RepoBuilder) -> None:
    script = "test ! -e new.txt && test ! -e build && test ! -e ignored.o && test -e .gitignore || exit 200;"
    script += "! grep -q broken code.txt; code=$?; echo broken > code.txt; rm .gitignore; echo x > new.txt;"
    script += "mkdir -p build/deep; echo x > build/deep/x; chmod 500 build/deep; echo x > ignored.o; rm -r data;"
    script += "git init -q build/own; git add -A; git -c user.name=a -c user.email=a@b.c commit -qm mine; exit $code"
    before, refs = project.state(), git_digest(project)
    found = bisect(engine, ("sh", "-c", script), **NEAR)
    assert found_name(found) == f"n{BAD_CODE}"
    assert found.runs > 1
    assert (project.state(), git_digest(project)) == (before, refs)
    assert scratch(project) == []


def test_a_command_that_destroys_its_repository_gets_a_new_one(engine: ChronosEngine) -> None:
    script = "git rev-parse HEAD || exit 200; ! grep -q broken code.txt; code=$?; rm -rf .git; exit $code"
    assert found_name(bisect(engine, ("sh", "-c", script), **NEAR)) == f"n{BAD_CODE}"


def test_what_a_command_leaves_in_its_repository_is_gone_at_the_next_try(engine: ChronosEngine) -> None:
    script = "git tag mine && git branch other && ! git config chronos.mine && ! test -e .git/hooks/x || exit 200;"
    script += "git config chronos.mine yes; mkdir -p .git/hooks; touch .git/hooks/x .git/index.lock;"
    script += "! grep -q broken code.txt"
    assert found_name(bisect(engine, ("sh", "-c", script), **NEAR)) == f"n{BAD_CODE}"


def test_a_command_that_is_never_found_accuses_no_checkpoint(engine: ChronosEngine, project: RepoBuilder) -> None:
    options: dict[str, object]
    for options in (NEAR, {"jobs": 3, **NEAR}, {"good": None, "bad": "n5"}):
        with pytest.raises(ToolFailedError, match="exit code 127"):
            bisect(engine, ("sh", "-c", "no-such-command"), **options)
    assert engine.list_annotations() == []
    assert scratch(project) == []


def test_a_command_that_is_found_at_the_good_end_alone_is_one_that_fails_after_it(engine: ChronosEngine) -> None:
    found = bisect(engine, ("sh", "-c", 'test "$(cat number.txt)" = 0 || exit 127'))
    assert (found_name(found), names(found)[-1]) == ("n1", "n0")
    assert len(engine.list_annotations()) == found.runs


def test_the_tree_stands_where_the_checkpoint_did(engine: ChronosEngine, project: RepoBuilder) -> None:
    project.git("tag", "v1", "HEAD~1")
    script = 'test "$(git branch --show-current)" = "$1" && git describe --tags && git status --porcelain | grep number'
    branch = project.git("branch", "--show-current")
    found = bisect(engine, ("sh", "-c", f"({script}) || exit 200; exit 0", "sh", branch), bad="n33", checks_ends=True)
    assert found.first_bad is None
    assert found.runs == 1


def test_nothing_fails(engine: ChronosEngine) -> None:
    found = run_bisection(engine, Request(("true",)))
    assert (found.first_bad, found.runs) == (None, 1)


def test_everything_fails(engine: ChronosEngine) -> None:
    found = run_bisection(engine, Request(("false",)))
    assert found_name(found) == "n0"
    assert found.is_older
    assert found.last_good is None


def test_skipped_ones_are_candidates(engine: ChronosEngine) -> None:
    script = "n=$(cat number.txt); test $n -ge 38 -a $n -le 42 && exit 125; ! grep -q broken code.txt"
    found = bisect(engine, ("sh", "-c", script))
    assert [row.name for row in found.candidates] == ["n38", "n39", "n40", "n41", "n42"]
    assert found_name(found) == "n43"
    assert found.last_good is not None
    assert found.last_good.name == "n37"
    skipped = [one.row for one in found.tries if one.result is Result.SKIPPED]
    assert [engine.get_verdicts(row.checkpoint_id) for row in skipped] == [[]] * len(skipped)


def test_a_bad_end_that_cannot_be_tried_is_an_error(engine: ChronosEngine) -> None:
    with pytest.raises(StateError, match="n63"):
        run_bisection(engine, Request(("sh", "-c", "exit 125")))


def test_verdicts_are_stored_and_reused(engine: ChronosEngine) -> None:
    first = bisect(engine, CODE)
    said = engine.get_verdicts(f"n{BAD_CODE}")
    assert [(one.result, one.command) for one in said] == [("failed", Request(CODE).text)]
    assert engine.find_checkpoint("last-green").name == f"n{BAD_CODE - 1}"
    again = bisect(engine, CODE, reuses=True)
    assert (again.runs, found_name(again), names(again)) == (0, found_name(first), names(first))
    assert bisect(engine, MEMORY, reuses=True).runs == 6


def test_no_verdicts_are_stored_when_none_are_wanted(engine: ChronosEngine) -> None:
    bisect(engine, CODE, keeps_verdicts=False, **NEAR)
    assert engine.list_annotations() == []


def test_without_ends_it_begins_at_the_newest_that_passed(engine: ChronosEngine) -> None:
    engine.set_verdict("n20", "passed")
    engine.set_verdict("n36", "passed")
    engine.set_verdict("n63", "failed")
    found = run_bisection(engine, Request(CODE))
    assert found_name(found) == f"n{BAD_CODE}"
    assert found.runs <= 5
    assert min(int(name[1:]) for name in names(found)) > 36


def test_a_verdict_of_another_command_is_tried_first(engine: ChronosEngine) -> None:
    engine.set_verdict("n50", "passed", command="another command")
    found = run_bisection(engine, Request(CODE))
    assert names(found)[:2] == ["n63", "n50"]
    assert found_name(found) == f"n{BAD_CODE}"


def test_ends_are_tried_when_asked(engine: ChronosEngine) -> None:
    tries: list[Try] = []
    found = run_bisection(engine, Request(CODE, "n0", "n63", checks_ends=True), tries.append)
    assert found.tries == tuple(tries)
    assert names(found)[:2] == ["n63", "n0"]
    assert found.runs == 8
    older = run_bisection(engine, Request(CODE, "n50", "n63", checks_ends=True))
    assert (found_name(older), older.is_older) == ("n50", True)


@pytest.mark.parametrize(("good", "bad"), [("n63", "n0"), ("n5", "n5")])
def test_ends_in_the_wrong_order_are_refused(engine: ChronosEngine, good: str, bad: str) -> None:
    with pytest.raises(UsageError, match="not before"):
        bisect(engine, CODE, good=good, bad=bad)


def test_a_command_that_cannot_be_started_or_is_killed_stops_it(engine: ChronosEngine, project: RepoBuilder) -> None:
    with pytest.raises(OutsideError, match="no-such-command"):
        bisect(engine, ("no-such-command",))
    with pytest.raises(ToolFailedError, match="signal 9"):
        bisect(engine, ("sh", "-c", "kill -9 $$"))
    with pytest.raises(ToolFailedError, match="exit code 200"):
        bisect(engine, ("sh", "-c", "exit 200"), jobs=2)
    assert engine.list_annotations() == []
    assert scratch(project) == []


@pytest.mark.parametrize("options", [{"jobs": 0}, {"jobs": 1000}, {"command": ()}])
def test_bad_requests_are_refused(engine: ChronosEngine, options: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        run_bisection(engine, Request(**{"command": CODE, **options}))  # type: ignore[arg-type]


def test_checkpoints_that_go_meanwhile_are_skipped(engine: ChronosEngine, project: RepoBuilder) -> None:
    other = project.engine()

    def delete(done: Try) -> None:
        if done.row.name == "n31":
            for name in ("n47", "n46", "n48"):
                other.delete_checkpoint(name)

    found = run_bisection(engine, Request(CODE, "n0", "n63"), delete)
    assert found_name(found) == f"n{BAD_CODE}"
    gone = [one for one in found.tries if one.row.name in ("n46", "n47", "n48")]
    assert gone
    assert all(one.result is Result.SKIPPED for one in gone)


def test_deleted_checkpoints_are_stepped_over(engine: ChronosEngine) -> None:
    for number in range(35, 45):
        engine.delete_checkpoint(f"n{number}")
    found = bisect(engine, CODE)
    assert found_name(found) == "n45"
    assert found.last_good is not None
    assert found.last_good.name == "n34"


def test_equal_states_are_tried_once(repo: RepoBuilder) -> None:
    repo.write("a.txt", "good\n")
    repo.commit()
    engine = repo.engine()
    for number in range(9):
        if number == 7:
            repo.write("a.txt", "broken\n")
        engine.create_checkpoint(f"n{number}")
    found = run_bisection(engine, Request(("sh", "-c", "! grep broken a.txt"), "n0"))
    assert found_name(found) == "n7"
    assert found.runs == 2
    assert [one.known for one in found.tries if one.code is None]


def test_another_timeline_is_searched_over_its_beginning(engine: ChronosEngine) -> None:
    engine.branch_timeline("feature", "n50")
    with engine.open_timeline("feature") as there:
        there.create_checkpoint("of the feature")
    found = run_bisection(engine, Request(CODE, "n3", timeline="feature"))
    assert found_name(found) == f"n{BAD_CODE}"
    assert found.line[-1].timeline == "feature"


def test_ignored_files_come_along_when_they_are_named(engine: ChronosEngine, project: RepoBuilder) -> None:
    project.write("ignored.cfg", "needed\n")
    script = ("sh", "-c", "grep -q needed ignored.cfg || exit 200; ! grep -q broken code.txt")
    assert found_name(bisect(engine, script, seeds=("ignored.cfg",), **NEAR)) == f"n{BAD_CODE}"
    with pytest.raises(ToolFailedError):
        bisect(engine, script)


def test_what_is_found_can_be_kept_as_a_timeline(engine: ChronosEngine) -> None:
    found = bisect(engine, CODE, keeps=True, **NEAR)
    assert found.kept is not None
    assert (found.kept / "code.txt").read_text() == "broken\n"
    assert bisect(engine, CODE, keeps=True, **NEAR).kept == found.kept
