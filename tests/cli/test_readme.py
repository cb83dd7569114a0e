"""The README's examples run as they stand, and what documents name exists."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

from chronos.config import ENVIRONMENT_NAMES, Config
from historian import HistorianAgent
from tests.cli.conftest import Program
from tests.support import RepoBuilder
from tests.support.databases import make_notes, read_notes, run_sql

PROJECT = Path(__file__).resolve().parents[2]
README = (PROJECT / "README.md").read_text("utf-8")


# What stands for an agent: it writes a file as it is told, and remembers it.
AGENT = f"""#!{sys.executable}
import pathlib, sqlite3, sys
pathlib.Path("parser.py").write_text(f"# {{sys.argv[1]}}\\n")
with sqlite3.connect("data/memory/notes.db") as notes:
    notes.execute("INSERT INTO notes (body) VALUES (?)", (sys.argv[1],))
    notes.execute("UPDATE totals SET notes = notes + 1")
"""


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_commands_of_the_readme_do_the_main_job(chrono: Program, repo: RepoBuilder) -> None:
    repo.write("a.txt", "first\n")
    repo.commit()
    repo.write("a.txt", "work\n")
    for number, line in enumerate(re.findall(r"^\$ chrono (.*)$", blocks("console")[0], re.MULTILINE)):
        if number == 1:
            repo.write("a.txt", "broken\n")
        chrono.good(*shlex.split(line))
    assert repo.read("a.txt") == b"work\n"


def test_the_python_example_of_the_readme_runs(repo: RepoBuilder, monkeypatch: pytest.MonkeyPatch) -> None:
    repo.write("a.txt", "first\n")
    repo.commit()
    repo.write("a.txt", "work\n")
    monkeypatch.chdir(repo.root)
    code = blocks("python")[0].replace("# ... an agent works ...", "open('a.txt', 'w').write('broken')")
    exec(compile(code, "README.md", "exec"), {})
    assert repo.read("a.txt") == b"broken", "the example ends with an undo"


# A migration that fails half-way, and has thrown away rows by then.
MIGRATION = """
import sqlite3
from contextlib import closing

def migrate():
    with closing(sqlite3.connect("data/memory/app.db", isolation_level=None)) as database:
        database.execute("ALTER TABLE users ADD COLUMN email TEXT")
        database.execute("DELETE FROM users WHERE id > 1")
        database.execute("UPDATE users SET mail = name")
"""


def test_the_failing_migration_of_the_readme_is_taken_back_and_learned_from(
    repo: RepoBuilder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    repo.write("migrations.py", MIGRATION)
    repo.commit()
    database = repo.root / "data/memory/app.db"
    database.parent.mkdir(parents=True)
    run_sql(
        database,
        "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT)",
        "INSERT INTO users VALUES (1, 'a'), (2, 'b')",
    )
    monkeypatch.chdir(repo.root)
    monkeypatch.syspath_prepend(str(repo.root))
    code = next(block for block in blocks("python") if "HistorianAgent" in block)
    try:
        exec(compile(code, "README.md", "exec"), {})
    finally:
        sys.modules.pop("migrations", None)
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("SELECT * FROM users").fetchall() == [(1, "a"), (2, "b")]
    said = capsys.readouterr().out
    assert "no such column: mail" in said and "migrations.py" in said and "app.db" in said
    with HistorianAgent(root=repo.root) as historian:
        (lesson,) = historian.lessons.search("migration")
        assert lesson.situation == "database_migration_v1" and "no such column" in lesson.result
        (reason, *_) = historian.assess("Perform database schema migration").reasons
        assert lesson.lesson_id in reason
        answer = asyncio.run(historian.process("Perform database schema migration"))
        assert "high" in answer and "checkpoint" in answer and lesson.lesson_id in answer


def commands_with(words: str) -> list[list[str]]:
    """Return the commands of the first console block that has `words` in it, without the comments behind them."""
    block = next(block for block in blocks("console") if words in block)
    return [shlex.split(line, comments=True) for line in re.findall(r"^\$ chrono (.*)$", block, re.MULTILINE)]


def test_two_timelines_of_the_readme_are_compared_and_the_better_one_is_merged(
    chrono: Program, repo: RepoBuilder
) -> None:
    repo.write("parser.py", "# by hand\n")
    repo.commit()
    repo.write("agent", AGENT)
    (repo.root / "agent").chmod(0o755)
    notes = make_notes(repo.root / "data/memory/notes.db", 1)
    head, said, seen = repo.head(), {}, {}
    for words in commands_with("timeline run"):
        said[" ".join(words)] = chrono.good(*words).out
        seen[" ".join(words)] = (repo.read("parser.py"), len(read_notes(notes)))
    assert "+# parse with a table" in said["timeline diff regex table --patch"]
    before, after = (b"# by hand\n", 1), (b"# parse with a table\n", 2)
    assert seen["timeline run table -- ./agent parse with a table"] == before, "a timeline is isolated"
    assert seen["timeline merge table --plan"] == before
    assert seen["timeline merge table --yes"] == after
    assert seen["undo --yes"] == before
    assert seen["timeline delete regex --yes"] == seen["redo --yes"] == after
    assert "regex" not in chrono.good("timeline", "list").out
    assert (repo.head(), repo.git("branch", "--show-current")) == (head, "main")


def test_the_conflict_of_the_readme_is_decided_before_anything_changes(chrono: Program, repo: RepoBuilder) -> None:
    repo.write("parser.py", "# by hand\n")
    repo.commit()
    there = Path(chrono.good("timeline", "branch", "table", "--json").json["path"])
    (there / "parser.py").write_text("# with a table\n")
    repo.write("parser.py", "# by another hand\n")
    assert chrono.run("timeline", "merge", "table", "--yes").code == 1
    *others, last = commands_with("chrono resolve")
    for words in others:
        assert chrono.run(*words).code in (0, 1)
        assert repo.read("parser.py") == b"# by another hand\n"
    chrono.good(*last)
    assert repo.read("parser.py") == b"# with a table\n"


def test_the_timeline_example_of_the_readme_runs(repo: RepoBuilder, monkeypatch: pytest.MonkeyPatch) -> None:
    repo.write("a.txt", "first\n")
    repo.commit()
    monkeypatch.chdir(repo.root)
    code = blocks("python")[1].replace(
        "...  # an agent works in there.root", "(there.root / 'a.txt').write_text('done')"
    )
    exec(compile(code, "README.md", "exec"), {})
    assert repo.read("a.txt") == b"done"
    assert not (repo.store / "experiment/.worktree").exists()


def test_the_settings_of_the_readme_are_all_there_are() -> None:
    rows = re.findall(r"^\| `(\w+)` \| `(\w+)` \|", README, re.MULTILINE)
    assert dict(rows) == ENVIRONMENT_NAMES
    assert [name for name, _ in rows] == [name for name in Config.__struct_fields__ if name != "memory"]


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\((docs/[^)#]+)\)", README))))
def test_the_readme_links_to_what_exists(link: str) -> None:
    assert (PROJECT / link).exists(), link


def test_an_agent_is_set_up_as_the_readme_says(chrono: Program, repo: RepoBuilder) -> None:
    install, status, serve = commands_with("agent install")
    chrono.good(*install)
    for name in (".claude/settings.local.json", ".mcp.json"):
        assert json.loads(repo.read(name))
    assert "installed" in chrono.good(*status).out
    assert (
        serve == ["mcp"] and Path(json.loads(repo.read(".mcp.json"))["mcpServers"]["chronomancer"]["command"]).exists()
    )
