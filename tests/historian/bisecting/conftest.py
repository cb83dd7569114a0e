"""A project of 64 checkpoints in which number 41 breaks the code and number 22 the memory, made once and copied."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from chronos import ChronosEngine
from tests.cli.conftest import Program
from tests.support import RepoBuilder, make_home, sealed_environment
from tests.support.databases import add_notes, make_notes

COUNT = 64
BAD_CODE = 41
BAD_MEMORY = 22
# What the tests try: whether the code, or the notes that the variable leads to, are whole.
CODE = ("sh", "-c", "! grep -q broken code.txt")
MEMORY = (
    sys.executable,
    "-c",
    "import os, sqlite3, sys; notes = sqlite3.connect(os.environ['CHRONOS_MEMORY_NOTES_DB']);"
    "sys.exit(notes.execute('SELECT count(*) FROM notes WHERE body = ?', ['broken']).fetchone()[0])",
)


@pytest.fixture(scope="session")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project, which no test changes."""
    folder = tmp_path_factory.mktemp("history")
    repo = RepoBuilder(folder / "repo", sealed_environment(make_home(folder / "home")))
    repo.write("code.txt", "whole\n")
    repo.write(".gitignore", "ignored*\nbuild/\n")
    repo.commit()
    notes = make_notes(repo.root / "data/memory/notes.db", 3)
    engine = repo.engine()
    for number in range(COUNT):
        repo.write("number.txt", f"{number}\n")
        if number == BAD_CODE:
            repo.write("code.txt", "broken\n")
        add_notes(notes, "broken" if number == BAD_MEMORY else str(number))
        if number == 30:  # another base from here on
            repo.commit("half way")
        engine.create_checkpoint(f"n{number}")
    repo.close()
    return repo.root


@pytest.fixture
def project(history: Path, tmp_path: Path, sealed: dict[str, str]) -> Iterator[RepoBuilder]:
    """A copy of the project."""
    subprocess.run(["cp", "-a", history, tmp_path / "repo"], check=True)
    builder = RepoBuilder(tmp_path / "repo", sealed)
    yield builder
    builder.close()


@pytest.fixture
def engine(project: RepoBuilder) -> ChronosEngine:
    """An engine for the copy."""
    return project.engine()


@pytest.fixture
def chrono(project: RepoBuilder) -> Program:
    """The program in the copy."""
    return Program(project.root, project.environment)


def git_digest(repo: RepoBuilder) -> dict[str, bytes]:
    """Return every file of the user's git folder."""
    return {str(path): path.read_bytes() for path in (repo.root / ".git").rglob("*") if path.is_file()}


def scratch(repo: RepoBuilder) -> list[str]:
    """Return what is in the store's scratch folder."""
    return sorted(path.name for path in (repo.store / ".store/tmp").iterdir())
