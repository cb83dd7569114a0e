"""A store with one of everything, built once and copied for each test."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support import RepoBuilder, make_home, sealed_environment

NAMES = ("first", "second", "wanted", "staged")
MEMORY = b"what the agent remembers\n" * 40
LARGE = b"".join(b"%08d large and cut into pieces\n" % number for number in range(70_000))


@dataclass
class Damaged:
    """A copy of the prepared repository, and what its checkpoints must give back: id → path → bytes."""

    repo: RepoBuilder
    wanted: dict[str, dict[str, bytes]]
    by_name: dict[str, str]

    @property
    def store(self) -> Path:
        return self.repo.store

    def folder(self, name: str) -> Path:
        return self.store / "main" / self.by_name[name]

    def packs(self, name: str) -> list[Path]:
        """The packs that a checkpoint added."""
        with self.repo.engine() as engine:
            manifest = engine.show_checkpoint(self.by_name[name]).manifest
        return [self.store / "main/packs" / f"{pack}.pack" for pack in manifest.packs]


def build(root: Path, environment: dict[str, str]) -> Damaged:
    """Four checkpoints with content of their own, one that has a memory store, and an operation that can be undone."""
    repo = RepoBuilder(root, environment)
    for name in ("a.txt", "gone.txt", "same.txt"):
        repo.write(name, f"{name} at the base\n")
    repo.write(".gitignore", "*.log\n")
    repo.commit()
    repo.write("ignored.log", "never captured\n")
    wanted: dict[str, dict[str, bytes]] = {}
    by_name: dict[str, str] = {}
    with repo.engine() as engine:
        for number, name in enumerate(NAMES):
            repo.write("a.txt", f"{name}\n" * 50)
            repo.write(f"only in {name}", f"{number} untracked\n" * 30)
            if name == "second":
                repo.write("large.bin", LARGE)
                repo.remove("gone.txt")
            if name == "staged":
                repo.write("a.txt", "only in the index\n" * 9)
                repo.git("add", "a.txt")
                repo.write("a.txt", "staged\n" * 50)
            by_name[name] = engine.create_checkpoint(name)
            wanted[by_name[name]] = {path: repo.read(path) for path in repo.paths() if path != "ignored.log"}
        engine.restore_checkpoint(by_name["first"])
        engine.undo()
        repo.write("data/memory/notes.bin", MEMORY)
        engine.add_memory(repo.path("data/memory/notes.bin"))
        by_name["memory"] = engine.create_checkpoint("memory")
        wanted[by_name["memory"]] = {path: repo.read(path) for path in repo.paths() if path != "ignored.log"}
        engine.pin_checkpoint(by_name["second"])
        assert engine.verify(deep=True) == []
    repo.close()
    return Damaged(repo, wanted, by_name)


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory, sealed_session: None) -> Damaged:
    folder = tmp_path_factory.mktemp("prepared")
    return build(folder / "repo", sealed_environment(make_home(folder / "home")))


@pytest.fixture
def copy_of(tmp_path: Path, sealed: dict[str, str], prepared: Damaged) -> Iterator[Callable[[], Damaged]]:
    """A function that gives one more copy of the prepared repository."""
    made: list[RepoBuilder] = []

    def copy() -> Damaged:
        root = tmp_path / f"copy{len(made)}"
        shutil.copytree(prepared.repo.root, root, symlinks=True)
        made.append(RepoBuilder(root, sealed))
        return Damaged(made[-1], prepared.wanted, prepared.by_name)

    yield copy
    for repo in made:
        repo.close()


@pytest.fixture
def work(copy_of: Callable[[], Damaged]) -> Damaged:
    return copy_of()
