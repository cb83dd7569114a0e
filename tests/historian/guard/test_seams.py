"""The guard with the real judge, the real lessons and the real engine: what they hand to each other."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from historian import HistorianAgent
from historian.risk import Operation, RiskLevel
from tests.cli.conftest import Program
from tests.support import RepoBuilder
from tests.support.databases import make_notes

WORD = "hunter2" + "xyzzy"


@pytest.fixture
def chrono(tree: RepoBuilder) -> Program:
    """The program as users have it, in `tree`."""
    return Program(tree.root, tree.environment)


@pytest.fixture
def historian(tree: RepoBuilder) -> Iterator[HistorianAgent]:
    """A historian with nothing put in its place."""
    with HistorianAgent(engine=tree.engine()) as found:
        yield found


def rows(path: Path) -> list[tuple[object, ...]]:
    """Return the table of a database."""
    with closing(sqlite3.connect(path)) as database:
        return database.execute("SELECT * FROM t").fetchall()


def test_what_a_command_removes_though_git_ignores_it_comes_back(chrono: Program, tree: RepoBuilder) -> None:
    tree.write("build/x.o", "object\n")
    tree.write(".env", "A=1\n")
    with closing(sqlite3.connect(tree.root / "app.db")) as database, database:
        database.execute("CREATE TABLE t(a)")
        database.execute("INSERT INTO t VALUES(1)")
    done = chrono.run("run", "--json", "--", "rm", "-rf", "build", "app.db", ".env").json
    assert done["level"] == "high"
    assert done["warnings"] == ["no checkpoint holds .env (secret)"]
    assert not (tree.root / "build").exists()
    assert chrono.run("checkpoint", "restore", done["checkpoint_id"], "--yes").code == 0
    assert (tree.root / "build/x.o").read_text() == "object\n"
    assert rows(tree.root / "app.db") == [(1,)]


@pytest.mark.parametrize("script", ["rm build/x.o", "echo broken >build/x.o", "rm build/x.o; mkdir build/x.o"])
def test_an_ignored_file_that_is_held_and_changed_alone_is_a_change(
    chrono: Program, tree: RepoBuilder, script: str
) -> None:
    tree.write("build/x.o", "object\n")
    tree.write("build/y.o", "object\n")
    done = chrono.run("run", "--json", "--", "sh", "-c", f"{script}; exit 3").json
    assert [one["path"] for one in done["differences"]] == ["build/x.o"]
    if tree.exists("build/x.o"):
        tree.remove("build/x.o")
    tree.write("build/x.o", "object\n")
    done = chrono.run("run", "--json", "--restore-on-failure", "--", "sh", "-c", f"{script}; exit 3").json
    assert done["restored"] is not None
    if "mkdir" in script:
        assert done["restored"]["kept"]  # a folder is in the way
        return
    assert tree.read("build/x.o") == b"object\n"
    chrono.good("undo", "--yes")
    assert tree.exists("build/x.o") == script.startswith("echo")


def test_what_is_ignored_anywhere_comes_back_when_all_of_the_tree_is_hit(chrono: Program, tree: RepoBuilder) -> None:
    tree.write("build/x.o", "object\n")
    with closing(sqlite3.connect(tree.root / "app.db")) as database, database:
        database.execute("CREATE TABLE t(a)")
    chrono.run("run", "--", "false")  # so that there are lessons, which no checkpoint holds
    done = chrono.run("run", "--json", "--", "find", ".", "-name", "*.[do]*", "-delete").json
    assert not (tree.root / "app.db").exists()
    assert chrono.run("checkpoint", "restore", done["checkpoint_id"], "--yes").code == 0
    assert (tree.root / "build/x.o").read_text() == "object\n"
    assert rows(tree.root / "app.db") == []
    shown = chrono.run("checkpoint", "show", done["checkpoint_id"], "--json").json
    assert "lessons" not in json.dumps(shown["memory"])


def test_a_push_is_recorded_and_told_before_a_restore(chrono: Program, tree: RepoBuilder, tmp_path: Path) -> None:
    tree.git("init", "-q", "--bare", str(tmp_path / "far.git"))
    tree.git("remote", "add", "origin", str(tmp_path / "far.git"))
    done = chrono.run("run", "--json", "--", "git", "push", "-q", "origin", "HEAD").json
    assert done["exit_code"] == 0
    tree.write("a.txt", "changed\n")
    plan = chrono.run("checkpoint", "restore", done["checkpoint_id"], "--plan", "--json").json
    assert [one["operation"] for one in plan["effects"]] == ["git push -q origin HEAD"]
    assert "push to" in chrono.run("log").out


def test_a_failure_of_a_command_raises_the_next_assessment_of_it(chrono: Program) -> None:
    command = ("sh", "-c", "echo bad > a.txt; echo 'ValueError: kaputt' >&2; exit 3")
    first = chrono.run("run", "--json", "--", *command).json
    second = chrono.run("run", "--json", "--", *command).json
    assert (first["level"], first["exit_code"]) == ("medium", 3)
    assert second["score"] > first["score"]
    assert "resembles a past failure" in second["reasons"][0]
    assert "ValueError: kaputt" in second["reasons"][0]
    assert second["lesson_id"] == first["lesson_id"]


def test_an_error_without_a_form_is_learned_as_it_was_said(chrono: Program) -> None:
    chrono.run("run", "--", "sh", "-c", "touch q; echo 'no such table: t' >&2; exit 1")
    (lesson,) = chrono.run("lessons", "list", "--json").json["lessons"]
    assert lesson["result"] == "FAILURE: no such table: t"


@pytest.mark.parametrize(
    "command",
    [
        ("sh", "-c", f"PGPASSWORD={WORD} false"), ("env", f"API_KEY={WORD}", "false"),
        ("sh", "-c", f"echo 'cannot log in: password={WORD}' >&2; rm a.txt; false"),
        ("git", "push", "-q", f"http://bob:{WORD}@127.0.0.1:1/x"),
        ("curl", "-s", "-H", f"Authorization: Bearer {WORD}", "-X", "POST", "http://127.0.0.1:1/"),
    ],
)  # fmt: skip
def test_a_secret_of_a_command_is_kept_nowhere(chrono: Program, tree: RepoBuilder, command: tuple[str, ...]) -> None:
    chrono.run("run", "--", *command)
    assert chrono.run("lessons", "list", "--json").json["lessons"]
    files = [path for path in (tree.root / "data").rglob("*") if path.is_file()]
    assert [str(path) for path in files if WORD.encode() in path.read_bytes()] == []


def test_a_historian_that_first_works_in_another_thread_works_in_its_own_after(tree: RepoBuilder) -> None:
    found: list[object] = []
    with HistorianAgent(root=tree.root) as historian:

        def work() -> None:
            with historian.guard("Perform database schema migration") as passage:
                found.append(passage.checkpoint_id)
            historian.record_failure("migrate", "ValueError: no", None)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert found
        assert [row.checkpoint_id for row in historian.get_checkpoint_history()] == found
        assert [one.situation for one in historian.lessons.list_lessons(5)] == ["migrate"]
        assert historian.assess(Operation(argv=("rm", "a.txt"))).level is RiskLevel.HIGH


def test_a_change_of_a_file_is_named_from_the_root(historian: HistorianAgent, tree: RepoBuilder) -> None:
    tree.write("config.json", json.dumps({"a": 1}))
    assert historian.update_file("config.json", yaml_keys={"a": 2}).checkpoint_id
    assert historian.get_checkpoint_history()[0].name == "before update config.json"


def test_a_lesson_that_cannot_be_kept_is_said(chrono: Program, tree: RepoBuilder) -> None:
    tree.write("data/lessons", "in the way\n")
    done = chrono.run("run", "--json", "--", "sh", "-c", "exit 1")
    assert done.code == 1
    assert any("lesson" in warning for warning in done.json["warnings"])


def test_what_no_restore_brings_back_is_not_promised(chrono: Program, tree: RepoBuilder, tmp_path: Path) -> None:
    tree.write("chronos-risk.yaml", 'paths:\n  database: ["*/elsewhere/*"]\n')
    place = tmp_path / "elsewhere/app.db"
    script = f"rm {place}; exit 3"
    make_notes(place)
    done = chrono.run("run", "--", "sh", "-c", script)
    assert (done.code, "D memory store app.db" in done.err) == (3, True)
    assert "chrono checkpoint restore" not in done.err
    assert "`chrono memory extract`" in done.err
    make_notes(place)
    done = chrono.on_terminal("run", "--", "sh", "-c", script)
    assert (done.code, "Restore it?" in done.out) == (3, False)
    make_notes(place)
    done = chrono.run("run", "--", "sh", "-c", f"rm a.txt; {script}")
    assert "`chrono memory extract`" in done.err
    assert "brings the rest back" in done.err


def test_a_secret_that_is_changed_is_not_said_to_be_held(chrono: Program, tree: RepoBuilder) -> None:
    tree.write(".env", "NAME=value\n")
    tree.write("prod.env", "NAME=value\n")
    for name in (".env", "prod.env"):
        done = chrono.good("update", name, "--with", "a.txt")
        assert f"{name} (secret)" in done.err
        assert "the state before" not in done.out
    assert "the state before" in chrono.good("update", "b.txt", "--with", "a.txt").out
