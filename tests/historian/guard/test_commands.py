"""`chrono run` and `chrono update` as programs: exit codes, streams, signals, and the terminal passed through."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.historian.guard.conftest import JudgedProgram
from tests.support import RepoBuilder, index_digest, tree_digest
from tests.support.digests import STORE


def test_a_command_that_goes_well_says_nothing_of_ours(chrono: JudgedProgram) -> None:
    done = chrono.run("run", "--", "sh", "-c", "echo medium; echo err >&2")
    assert (done.code, done.out, done.err) == (0, "medium\n", "err\n")
    assert [row["name"] for row in chrono.good("checkpoint", "list", "--json").json["checkpoints"]] == [
        "before sh -c echo medium echo err 2"
    ]


def test_the_arguments_reach_the_command_as_they_are(chrono: JudgedProgram) -> None:
    words = ["a b", "", "$HOME", "*", "--json", "--", "é\n"]
    done = chrono.run("run", "--", "printf", "<%s>", *words)
    assert done.out == "".join(f"<{word}>" for word in words)


def test_a_failure_shows_what_changed_and_names_the_way_back(chrono: JudgedProgram, tree: RepoBuilder) -> None:
    done = chrono.run("run", "--", "sh", "-c", ": high; rm a.txt; echo x > new.txt; echo broken >&2; exit 3")
    assert (done.code, done.out) == (3, "")
    assert "broken\nchrono: the command ended with exit code 3\n" in done.err
    assert "  D a.txt\n" in done.err
    assert "  A new.txt\n" in done.err
    checkpoint = done.err.partition("chrono checkpoint restore ")[2].partition("`")[0]
    chrono.good("checkpoint", "restore", checkpoint, "--yes")
    assert tree.paths() & {"a.txt", "new.txt"} == {"a.txt"}


def test_restore_on_failure_restores_whatever_the_risk_and_keeps_the_exit_code(
    chrono: JudgedProgram, tree: RepoBuilder
) -> None:
    all_but_lessons = (STORE, b"data/lessons")
    before = tree_digest(tree.root, without=all_but_lessons), index_digest(tree)
    done = chrono.run("run", "--restore-on-failure", "--", "sh", "-c", ": low; rm a.txt; exit 5")
    assert done.code == 5
    assert (tree_digest(tree.root, without=all_but_lessons), index_digest(tree)) == before
    done = chrono.run("run", "--restore-on-failure", "--", "sh", "-c", ": low; rm a.txt")
    assert done.code == 0
    assert not tree.exists("a.txt")


@pytest.mark.parametrize("gone", [".git", "data/timelines"])
def test_a_command_that_takes_away_what_is_compared_with_still_fails_with_its_own_code(
    chrono: JudgedProgram, gone: str
) -> None:
    script = f": low; rm -rf {gone} a.txt; echo broken >&2; exit 4"
    done = chrono.run("run", "--json", "--restore-on-failure", "--", "sh", "-c", script)
    assert (done.code, done.json["exit_code"], done.json["restored"]) == (4, 4, None)
    told = "\n".join(done.json["warnings"])
    assert "what has changed since" in told
    assert "could not be restored" in told
    assert done.json["lesson_id"] or "the failure could not be recorded" in told
    assert not (chrono.folder / gone).exists()


def test_a_document_says_it_all_and_the_commands_output_goes_to_standard_error(chrono: JudgedProgram) -> None:
    done = chrono.run("run", "--json", "--", "sh", "-c", ": high; echo out; echo err >&2; echo x > b.txt; exit 4")
    found = done.json
    assert (done.code, found["exit_code"], found["level"], found["created"]) == (4, 4, "high", True)
    assert (found["differences"], found["stderr_tail"]) == ([{"path": "b.txt", "status": "M"}], "out\nerr\n")
    assert done.err == "out\nerr\n"


def test_standard_output_and_error_of_one_file_keep_their_order(chrono: JudgedProgram, tmp_path: Path) -> None:
    target = tmp_path / "log"
    with target.open("wb") as log:
        code = subprocess.run(
            [*chrono.command, "run", "--", "sh", "-c", "for i in 1 2 3 4 5; do echo o$i; echo e$i >&2; done"],
            cwd=chrono.folder, env=chrono.environment, stdout=log, stderr=subprocess.STDOUT, check=False,
        ).returncode  # fmt: skip
    assert code == 0
    assert target.read_text().split() == [f"{kind}{number}" for number in range(1, 6) for kind in "oe"]


@pytest.mark.parametrize(("name", "code"), [("TERM", 143), ("KILL", 137), ("SEGV", 139)])
def test_a_command_that_a_signal_ends_is_128_and_the_signal(chrono: JudgedProgram, name: str, code: int) -> None:
    assert chrono.run("run", "--", "sh", "-c", f"kill -{name} $$").code == code


def test_a_signal_for_us_is_for_the_command(chrono: JudgedProgram, tree: RepoBuilder) -> None:
    script = "trap 'echo ended > ended; exit 9' TERM; echo ready > ready; while :; do sleep 0.05; done"
    process = subprocess.Popen(
        [*chrono.command, "run", "--", "sh", "-c", script], cwd=chrono.folder, env=chrono.environment,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    try:
        end = time.monotonic() + 60
        while not tree.exists("ready") and time.monotonic() < end:
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 9
    assert tree.exists("ended")


def test_a_program_left_behind_holds_nobody_up(chrono: JudgedProgram) -> None:
    done = chrono.run("run", "--", "sh", "-c", "(exec >/dev/null; sleep 30) & echo $! >pid; echo started")
    os.kill(int((chrono.folder / "pid").read_text()), signal.SIGKILL)
    assert (done.code, done.out) == (0, "started\n")
    assert "still writes" in done.err


def test_policies_refuse_before_anything_runs(chrono: JudgedProgram, tree: RepoBuilder) -> None:
    touch = ("--", "touch", "high")
    assert chrono.run("run", "--policy", "block", *touch, "--json").code == 7
    blocked = chrono.run("run", "--policy", "high=block", "--json", *touch)
    assert (blocked.code, blocked.error["code"]) == (7, "blocked")
    asked = chrono.run("run", "--policy", "confirm", "--json", *touch)
    assert (asked.code, asked.error["code"]) == (7, "not_confirmed")
    full = chrono.run("run", "--json", *touch, CHRONOS_QUOTA_BYTES="1")
    assert (full.code, full.error["code"]) == (7, "unprotected")
    assert not tree.exists("high")
    assert chrono.run("run", "--policy", "confirm", "--yes", *touch).code == 0
    assert tree.exists("high")


def test_wrong_command_lines_are_said(chrono: JudgedProgram) -> None:
    assert chrono.run("run").code == 2
    assert chrono.run("run", "--policy", "sometimes", "--", "true").code == 2
    assert chrono.run("run", "--kind", "magic", "--", "true").code == 2
    assert chrono.run("run", "--", "").code == 2
    missing = chrono.run("run", "--json", "--", "no-such-program")
    assert (missing.code, missing.error["code"]) == (5, "outside")


def test_where_no_checkpoint_can_be_the_policy_decides(chrono: JudgedProgram) -> None:
    home = Path(chrono.environment["HOME"])
    low = chrono.run("run", "--", "echo", "low", folder=home)
    assert (low.code, low.out) == (0, "low\n")
    medium = chrono.run("run", "--", "echo", "medium", folder=home)
    assert (medium.code, medium.out) == (0, "medium\n")
    assert "no checkpoint could be taken" in medium.err
    assert chrono.run("run", "--", "echo", "high", folder=home).code == 7


# on a terminal


def test_the_command_has_the_terminal(chrono: JudgedProgram) -> None:
    script = "test -t 0 && test -t 1 && test -t 2 && printf 'name? ' && read name && echo hello $name"
    done = chrono.on_terminal("run", "--", "sh", "-c", script, answers=[("name? ", "medium\n")])
    assert done.code == 0, done.out
    assert "hello medium" in done.out


def test_ctrl_c_is_for_the_command_and_we_report_after(chrono: JudgedProgram) -> None:
    script = "trap 'echo cleaning up; exit 7' INT; echo x > b.txt; echo ready; while :; do sleep 0.05; done"
    done = chrono.on_terminal("run", "--", "sh", "-c", script, answers=[("ready", "\x03"), ("[y/N]", "n\n")])
    assert done.code == 7
    assert done.out.index("cleaning up") < done.out.index("ended with exit code 7")
    assert "Traceback" not in done.out


def test_ctrl_c_that_ends_the_command_is_not_one_of_ours(chrono: JudgedProgram) -> None:
    done = chrono.on_terminal("run", "--", "sh", "-c", ": low; echo ready; sleep 30", answers=[("ready", "\x03")])
    assert done.code == 130
    assert "was ended by signal 2" in done.out
    assert "interrupted" not in done.out
    done = chrono.run("run", "--json", "--", "sh", "-c", ": low; exit 130")
    assert (done.code, done.json["exit_code"], done.err) == (130, 130, "")


def test_a_failure_offers_the_restore_and_makes_it_on_yes(chrono: JudgedProgram, tree: RepoBuilder) -> None:
    script = ("run", "--", "sh", "-c", "rm a.txt; exit 1")
    done = chrono.on_terminal(*script, answers=[("Restore it? [y/N]", "n\n")])
    assert (done.code, tree.exists("a.txt")) == (1, False)
    tree.git("checkout", "a.txt")
    done = chrono.on_terminal(*script, answers=[("Restore it? [y/N]", "y\n")])
    assert (done.code, tree.read("a.txt")) == (1, b"one\n")
    assert "1 to write" in done.out


def test_confirm_shows_the_reasons_and_asks(chrono: JudgedProgram, tree: RepoBuilder) -> None:
    words = ("run", "--policy", "confirm", "--", "touch", "high")
    done = chrono.on_terminal(*words, answers=[("Go on? [y/N]", "n\n")])
    assert (done.code, tree.exists("high")) == (7, False)
    assert "the words say high" in done.out
    assert chrono.on_terminal(*words, answers=[("Go on? [y/N]", "y\n")]).code == 0
    assert tree.exists("high")


# update


def test_update_plans_and_writes(chrono: JudgedProgram, tree: RepoBuilder) -> None:
    tree.write("c.yaml", "a:\n  b: 1 # one\n")
    (chrono.folder / "new").write_text("changed\n")
    plan = chrono.good("update", "a.txt", "--with", "new", "--plan", "--json").json
    assert (plan["change"], plan["written"], "-one\n+changed\n" in plan["patch"]) == ("update", False, True)
    assert "+changed" in chrono.good("update", "a.txt", "--with", "new", "--plan").out
    assert tree.read("a.txt") == b"one\n"
    done = chrono.good("update", "a.txt", "--with", "new", "--json").json
    assert (done["written"], tree.read("a.txt")) == (True, b"changed\n")
    assert done["checkpoint_id"]
    chrono.good("update", "c.yaml", "--set", "a.b=2", "--set", 'a.c="3.10"', "--set", "d=text")
    assert tree.read("c.yaml") == b"a:\n  b: 2 # one\n  c: '3.10'\nd: text\n"
    assert "already" in chrono.good("update", "a.txt", "--with", "new").out
    tree.write("x.json", '{"a": 1}')
    chrono.good("update", "x.json", "--json-patch", '[{"op": "remove", "path": "/a"}]')
    assert tree.read("x.json") == b"{}"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("a.txt",), 2), (("a.txt", "--with", "b.txt", "--set", "a=1"), 2), (("a.txt", "--set", "a"), 2),
        (("a.txt", "--set", "a=3.10"), 2), (("a.txt", "--with", "missing"), 5), (("../a.txt", "--with", "b.txt"), 2),
        (("new.json", "--with", "b.txt"), 2), (("a.txt", "--diff", "b.txt"), 2), (("a.txt", "--set", "a=1"), 6),
        (("high.txt", "--with", "b.txt", "--policy", "block"), 7),
    ],
)  # fmt: skip
def test_a_change_that_cannot_be_made_changes_nothing(
    chrono: JudgedProgram, tree: RepoBuilder, words: tuple[str, ...], code: int
) -> None:
    before = tree.state()
    done = chrono.run("update", *words, "--json")
    assert (done.code, bool(done.error["message"])) == (code, True)
    assert tree.state() == before
