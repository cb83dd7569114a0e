"""`chrono lessons`: learning, finding, forgetting with a yes, exchange, and analysing what failed."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.cli.conftest import COMMAND, Program
from tests.support import RepoBuilder

FAILED = ("database migration", "ran it", "FAILURE: OperationalError: no such column")


@pytest.fixture
def chrono(chrono: Program) -> Program:
    """The program, which has imported LanceDB."""
    chrono.loaded = ("lancedb",)
    return chrono


def test_a_lesson_is_learned_found_and_shown(chrono: Program) -> None:
    learned = chrono.good("lessons", "add", *FAILED, "--feedback", "add it first", "--tag", "db", "--json").json
    assert (learned["outcome"], learned["count"], learned["tags"]) == ("failure", 1, ["db"])
    assert "learned 2 times" in chrono.good("lessons", "add", *FAILED).out
    assert "no such column" in chrono.good("lessons", "search", "migrations").out
    (found,) = chrono.good("lessons", "search", "column", "--tag", "db", "--result", "failure", "--json").json[
        "lessons"
    ]
    assert found["lesson_id"] == learned["lesson_id"] and found["score"] > 0
    shown = chrono.good("lessons", "show", learned["lesson_id"][:6]).out
    assert "add it first" in shown and "2 times" in shown
    assert chrono.good("lessons", "promote", learned["lesson_id"], "--json").json["standing"] == 1
    assert chrono.good("lessons", "list", "--result", "success").out == "no lessons\n"
    assert chrono.run("lessons", "list", "--result", "nice", "--json").error["code"] == "bad_lesson"
    assert chrono.run("lessons", "show", "ffff", "--json").error["code"] == "unknown_lesson"
    assert chrono.run("lessons", "search", " ").code == 2
    for words in (("list",), ("search", "column")):
        found = chrono.good("lessons", *words, "--limit", str(2**31 - 1), "--json").json
        assert (len(found["lessons"]), found["notices"]) == (1, [])
        assert chrono.run("lessons", *words, "--limit", "9" * 30).code == 2


def test_forgetting_needs_a_yes_and_can_be_undone_until_a_purge(chrono: Program) -> None:
    lesson = chrono.good("lessons", "add", *FAILED, "--json").json["lesson_id"]
    assert chrono.run("lessons", "forget", lesson).code == 7
    assert chrono.good("lessons", "forget", lesson, "--plan", "--json").json["done"] is False
    assert len(chrono.good("lessons", "list", "--json").json["lessons"]) == 1
    assert "1 lesson forgotten" in chrono.good("lessons", "forget", lesson, lesson[:8], "--yes").out
    assert chrono.good("lessons", "list", "--json").json["lessons"] == []
    assert len(chrono.good("lessons", "list", "--forgotten", "--json").json["lessons"]) == 1
    chrono.good("lessons", "forget", lesson, "--undo")
    assert "forgotten" in chrono.on_terminal("lessons", "forget", lesson, answers=[("[y/N]", "y\n")]).out
    assert chrono.run("lessons", "forget", "--purge").code == 7
    assert chrono.run("lessons", "forget").code == chrono.run("lessons", "forget", lesson, "--purge").code == 2
    chrono.good("lessons", "forget", "--purge", "--yes")
    assert chrono.run("lessons", "show", lesson).code == 2


def test_lessons_go_into_a_file_and_come_back(chrono: Program, repo: RepoBuilder) -> None:
    chrono.good("lessons", "add", *FAILED)
    chrono.good("lessons", "export", "out.jsonl")
    assert chrono.run("lessons", "export", "out.jsonl").code == 7
    assert chrono.good("lessons", "export", "-").out.encode() == repo.read("out.jsonl")
    assert chrono.good("lessons", "import", "out.jsonl", "--json").json["unchanged"] == 1
    elsewhere = {"CHRONOS_LESSONS_DIR": "other/lessons"}
    assert chrono.good("lessons", "import", "out.jsonl", "--json", **elsewhere).json["added"] == 1
    repo.write("bad.jsonl", '{"situation": "a"}\n')
    assert "line 1" in chrono.run("lessons", "import", "bad.jsonl", "--json").error["message"]


def test_an_analysis_reads_a_file_or_standard_input(chrono: Program, repo: RepoBuilder) -> None:
    before = chrono.create("before")
    repo.write("a.txt", "changed\n")
    repo.write("log", "a.txt:1: error: it broke\n")
    found = chrono.good("lessons", "analyze", "build it", "log", "--checkpoint", "before", "--json").json
    assert found["error"]["kind"] == "error" and found["suspects"][0]["path"] == "a.txt"
    assert found["restore"] == f"chrono checkpoint restore {before}" and found["lesson"]["checkpoint_before"] == before
    done = subprocess.run(
        [*COMMAND, "lessons", "analyze", "build it"], cwd=chrono.folder, env=chrono.environment,
        input=b"a.txt:1: error: it broke\n", capture_output=True, check=True,
    )  # fmt: skip
    assert b"suspects" in done.stdout and b"learned 2 times" in done.stdout and before.encode() in done.stdout
    assert chrono.run("lessons", "analyze", "build it").code == 2
    assert chrono.run("lessons", "analyze", "build it", "log", "--checkpoint", "nosuch").code == 2
    assert chrono.run("lessons", "analyze", "build it", "nosuch").code == 5


@pytest.mark.parametrize("place", ["/", ".", "data/memory/x", "data/timelines/x", ".git/x"])
def test_lessons_are_not_put_where_they_do_harm(chrono: Program, place: str) -> None:
    assert chrono.run("lessons", "add", *FAILED, "--json", CHRONOS_LESSONS_DIR=place).error["code"] == "bad_config"


def test_lessons_that_came_with_a_clone_are_not_believed(chrono: Program, repo: RepoBuilder) -> None:
    repo.write("data/lessons/lessons.jsonl", '{"event":"begun","format":1,"log":"x","at":"y"}\n')
    repo.git("add", "-f", "data/lessons/lessons.jsonl")
    repo.git("commit", "-q", "-m", "lessons")
    assert chrono.run("lessons", "list", "--json").error["code"] == "untrusted_store"
    repo.write("chronos.toml", 'lessons_embedding = "openai"\n')
    assert chrono.run("lessons", "list", "--json").error["code"] == "bad_config"
    repo.remove("chronos.toml")
    repo.link("link", "/tmp")
    assert "link" in chrono.run("lessons", "list", "--json", CHRONOS_LESSONS_DIR="link/x").error["message"]


@pytest.mark.parametrize("name", ["lessons.jsonl", "lock", "register.sqlite", "index", "set-aside", ".git"])
def test_links_among_the_lessons_are_not_followed(
    chrono: Program, repo: RepoBuilder, tmp_path: Path, name: str
) -> None:
    (tmp_path / "elsewhere").mkdir()
    repo.path("data/lessons").mkdir(parents=True)
    repo.link(f"data/lessons/{name}", str(tmp_path / "elsewhere"))
    for words in (("add", *FAILED), ("list",), ("search", "x")):
        assert chrono.run("lessons", *words, "--json").error["code"] == "untrusted_store"
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_folder_that_waits_for_lessons_becomes_private(chrono: Program, repo: RepoBuilder) -> None:
    repo.path("data/lessons").mkdir(parents=True, mode=0o755)
    chrono.good("lessons", "add", *FAILED)
    assert repo.path("data/lessons").stat().st_mode & 0o777 == 0o700


def test_the_language_of_the_terminal_does_nothing_and_neither_does_that_of_the_search(chrono: Program) -> None:
    evil = "\x1b[2J esc \x07"
    lesson = chrono.good("lessons", "add", evil, evil, f"FAILURE: {evil}", "--feedback", evil, "--tag", evil, "--json")
    shown = chrono.good("lessons", "show", lesson.json["lesson_id"])
    for said in (shown, chrono.good("lessons", "list"), chrono.good("lessons", "search", "esc")):
        assert "\x1b" not in said.out and "\\x1b" in said.out
    for query in ('"unbalanced', "a AND", "NOT", "(", "text:esc", "es*", "esc OR b)", "^", "\\", "'; DROP", evil):
        assert chrono.good("lessons", "search", query, "--json").json["notices"] == []
