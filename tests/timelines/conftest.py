"""A repository with every kind of change in it, and engines for the timelines that are branched from it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from chronos import ChronosEngine
from chronos.config import Surroundings
from tests.support import RepoBuilder
from tests.support.databases import make_notes


@pytest.fixture
def worked(repo: RepoBuilder) -> RepoBuilder:
    """A repository with committed, staged, edited, deleted, untracked and ignored files, and a memory store."""
    repo.write("a.txt", "a\n")
    repo.write("gone.txt", "gone\n")
    repo.write("sub/b.txt", "b\n")
    repo.write(".gitignore", "ignored*\n.env\n")
    repo.commit()
    repo.write("a.txt", "staged\n")
    repo.git("add", "a.txt")
    repo.write("a.txt", "edited\n")
    (repo.root / "gone.txt").unlink()
    repo.write("new.txt", "untracked\n")
    repo.write("ignored.txt", "ignored\n")
    make_notes(repo.root / "data/memory/notes.db", 3)
    return repo


@pytest.fixture
def engine(worked: RepoBuilder) -> Iterator[ChronosEngine]:
    """An engine in the first working tree."""
    with ChronosEngine(worked.root, surroundings=Surroundings(worked.environment, worked.root)) as engine:
        yield engine


def tree_at(engine: ChronosEngine, name: str, environment: dict[str, str]) -> RepoBuilder:
    """Return a builder for the working tree of a timeline."""
    return RepoBuilder(Path(engine.timeline_path(name)), environment)
