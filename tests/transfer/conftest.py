"""Two clones of one project: one with work in it, the other as it was."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support import RepoBuilder

MakeClone = Callable[..., RepoBuilder]
# One repeats itself, the other is of several chunks that are all different.
_LARGE = bytes(range(256)) * 9000 + b"end"
_NOISE = b"".join(number.to_bytes(4, "big") for number in range(300_000))


@pytest.fixture
def make(tmp_path: Path, sealed: dict[str, str]) -> Iterator[MakeClone]:
    """Make a working tree beside the others: a clone of `source`, or an empty one."""
    made: list[RepoBuilder] = []

    def make(name: str, source: RepoBuilder | None = None, *, git: bool = True) -> RepoBuilder:
        if source is not None:
            source.git("clone", "-q", str(source.root), str(tmp_path / name))
        made.append(RepoBuilder(tmp_path / name, sealed, git=git))
        if source is not None:
            made[-1].git("remote", "remove", "origin")
        return made[-1]

    yield make
    for builder in made:
        builder.close()


@pytest.fixture
def work(repo: RepoBuilder) -> RepoBuilder:
    """A repository with every kind of change, staged ones too, and a file of several chunks."""
    for name in ("kept.txt", "changed.txt", "gone.txt", "docs/guide.txt"):
        repo.write(name, f"{name}\n")
    repo.commit()
    repo.write("changed.txt", "staged\n")
    repo.git("add", "changed.txt")
    repo.write("changed.txt", "and changed again\n")
    repo.remove("gone.txt")
    repo.write("new/deep.txt", "new\n", executable=True)
    repo.link("link", "new/deep.txt")
    repo.write("large.bin", _LARGE)
    repo.write("noise.bin", _NOISE)
    return repo


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where an export goes."""
    return tmp_path / "one.chrono"
