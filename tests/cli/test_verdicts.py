"""Verdicts and effects on the command line: a mark in lists, `last-green`, and what a plan says is not taken back."""

from __future__ import annotations

from tests.cli.conftest import Program
from tests.support import RepoBuilder


def test_a_verdict_is_shown_by_show_list_and_log(chrono: Program) -> None:
    checkpoint = chrono.create("one")
    words = ("--metric", "accuracy=0.75", "--metric", "loss=2", "--note", "by hand", "--command", "make test")
    said = chrono.good("checkpoint", "verdict", "one", "passed", *words, "--json").json
    assert said["verdict"] == "passed"
    assert said["verdicts"][0]["metrics"] == {"accuracy": 0.75, "loss": 2}
    chrono.good("checkpoint", "verdict", "one", "failed")
    assert chrono.good("checkpoint", "list", "--json").json["checkpoints"][0]["verdict"] == "failed"
    assert "failed" in chrono.good("checkpoint", "list").out
    shown = chrono.good("checkpoint", "show", "one", "--json").json["verdicts"]
    assert [one["result"] for one in shown] == ["failed", "passed"]
    text = chrono.good("checkpoint", "show", "one").out
    assert "accuracy=0.75" in text
    assert "by hand" in text
    assert [one["kind"] for one in chrono.good("log", "--json").json["annotations"]] == ["verdict", "verdict"]
    assert f"{checkpoint[:8]} passed, by make test" in chrono.good("log").out


def test_what_is_no_verdict_is_refused(chrono: Program) -> None:
    chrono.create("one")
    for words in (
        ("perhaps",),
        ("passed", "--metric", "x"),
        ("passed", "--metric", "x=inf"),
        ("passed", "--metric", "x=y"),
    ):
        result = chrono.run("checkpoint", "verdict", "one", *words, "--json")
        assert result.code == 2
        assert result.error["code"] == "usage"


def test_restore_last_green(chrono: Program, repo: RepoBuilder) -> None:
    chrono.create("good")
    repo.write("a.txt", "broken\n")
    chrono.create("bad")
    missing = chrono.run("restore", "last-green", "--yes", "--json")
    assert missing.code == 2
    assert "chrono checkpoint verdict" in missing.error["hint"]
    chrono.good("checkpoint", "verdict", "good", "passed")
    chrono.good("restore", "last-green", "--yes")
    assert repo.read("a.txt") == b"one\n"
    chrono.good("undo", "--yes")
    chrono.good("checkpoint", "restore", "main@last-green", "--yes")
    assert repo.read("a.txt") == b"one\n"


def test_a_plan_says_what_is_not_taken_back(chrono: Program, repo: RepoBuilder) -> None:
    chrono.create("one")
    repo.engine().record_effects(["pushes main to origin"], "git push origin main")
    repo.write("a.txt", "two\n")
    plan = chrono.good("checkpoint", "restore", "one", "--plan")
    assert "not taken back" in plan.out
    assert "pushes main to origin" in plan.out
    found = chrono.good("checkpoint", "restore", "one", "--plan", "--json").json["effects"]
    assert [(one["effects"], one["operation"]) for one in found] == [
        (["pushes main to origin"], "git push origin main")
    ]
    assert "pushes main to origin, by git push origin main" in chrono.good("log").out
    chrono.good("checkpoint", "restore", "one", "--yes")
    repo.engine().record_effects(["sends mail"], "mail x")
    undo = chrono.good("undo", "--plan", "--json").json["effects"]
    assert [one["effects"] for one in undo] == [["sends mail"]]
