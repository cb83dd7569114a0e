"""Start-up: a command imports what it uses and nothing else, since imports are most of its time."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.cli.conftest import Program
from tests.support import RepoBuilder

HEAVY = {"pygit2", "git", "rich", "lancedb", "filelock", "yaml", "psutil", "tomllib", "jsonpatch", "tomlkit", "asyncio"}
REPORT = """
import sys
before = set(sys.modules)  # an editable installation has imported things already
from chronos.cli.main import main
code = main(sys.argv[1:])
print("\\n" + " ".join(set(sys.modules) - before))
sys.exit(code)
"""


def imported(chrono: Program, *words: str) -> set[str]:
    """Run a command in a process of its own and return the modules that it had imported at the end."""
    done = subprocess.run(
        [sys.executable, "-c", REPORT, *words], cwd=chrono.folder, env=chrono.environment,
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return set(done.stdout.splitlines()[-1].split())


def test_version_imports_neither_typer_nor_the_engine(chrono: Program) -> None:
    modules = imported(chrono, "--version")
    assert not modules & {*HEAVY, "typer", "msgspec", "sqlite3", "subprocess", "chronos.engine", "pathlib"}


def test_help_imports_no_engine(chrono: Program) -> None:
    assert not imported(chrono, "checkpoint", "restore", "--help") & {*HEAVY, "sqlite3", "chronos.engine"}


@pytest.mark.parametrize(
    "words",
    [("checkpoint", "create", "two"), ("checkpoint", "list"), ("checkpoint", "show", "one"), ("status",), ("log",),
     ("checkpoint", "create", "three", "--json"), ("checkpoint", "diff", "one"), ("undo", "--yes")],
)  # fmt: skip
def test_everyday_commands_import_nothing_heavy(chrono: Program, repo: RepoBuilder, words: tuple[str, ...]) -> None:
    chrono.create("one")
    repo.write("a.txt", "changed\n")
    repo.write("new.txt", "new\n")
    assert not imported(chrono, *words) & HEAVY


def test_the_report_would_show_a_heavy_import(chrono: Program, repo: RepoBuilder) -> None:
    chrono.create("one")
    repo.write("a.txt", "changed\n")
    assert "pygit2" in imported(chrono, "checkpoint", "diff", "one", "--patch")
