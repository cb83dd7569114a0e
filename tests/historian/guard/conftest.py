"""A repository with a historian that judges by words, and `chrono` with the same judge."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Program
from tests.historian.guard.judging import JudgedHistorian
from tests.support import RepoBuilder


class JudgedProgram(Program):
    """`chrono` whose judge goes by words."""

    command = (sys.executable, str(Path(__file__).with_name("judging.py")))


@pytest.fixture
def tree(repo: RepoBuilder) -> RepoBuilder:
    """A repository with one commit, in which `build/` and databases are ignored."""
    repo.write("a.txt", "one\n")
    repo.write("b.txt", "two\n")
    repo.write(".gitignore", "build/\n*.db\n.env\n")
    repo.commit()
    return repo


@pytest.fixture
def historian(tree: RepoBuilder) -> Iterator[JudgedHistorian]:
    """A historian of `tree`."""
    with JudgedHistorian(engine=tree.engine()) as found:
        yield found


@pytest.fixture
def chrono(tree: RepoBuilder) -> JudgedProgram:
    """The program in `tree`."""
    return JudgedProgram(tree.root, tree.environment)
