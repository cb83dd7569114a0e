"""Two timelines of one project that begin with the same files: `here` is the first working tree, `there` a branch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from chronos import ChronosEngine
from tests.support import RepoBuilder
from tests.support.digests import Digest, tree_digest


class Executable(NamedTuple):
    """A file that can be run."""

    text: str


class Link(NamedTuple):
    """A symbolic link."""

    target: str


Node = str | bytes | Executable | Link | None  # None: nothing stands there any more
Files = Mapping[str, Node]
LINES = [f"line {number}\n" for number in range(1, 21)]


def text(**changes: str) -> str:
    """Return twenty lines, with those that are named (`l3="three"`) changed."""
    return "".join(f"{changes[f'l{n}']}\n" if f"l{n}" in changes else line for n, line in enumerate(LINES, start=1))


def write(tree: RepoBuilder, files: Files) -> None:
    """Let a tree have what `files` says; what goes goes first, as when a file becomes a folder."""
    for path in (path for path, node in files.items() if node is None):
        tree.remove(path)
    for path, node in files.items():
        if isinstance(node, Link):
            tree.link(path, node.target)
        elif isinstance(node, Executable):
            tree.write(path, node.text, executable=True)
        elif node is not None:
            tree.write(path, node)


def has(tree: RepoBuilder, files: Files) -> None:
    """Check that a tree has what `files` says."""
    for path, node in files.items():
        place = tree.path(path)
        if node is None:
            assert not tree.exists(path), path
        elif isinstance(node, Link):
            assert place.is_symlink(), path
            assert str(place.readlink()) == node.target
        else:
            is_executable = isinstance(node, Executable)
            content = node.text if isinstance(node, Executable) else node
            assert tree.read(path) == (content if isinstance(content, bytes) else content.encode()), path
            assert bool(place.stat().st_mode & 0o111) == is_executable, path


class Pair:
    """The two trees, and an engine in the first."""

    def __init__(self, here: RepoBuilder, name: str = "exp") -> None:
        self.here = here
        self.engine: ChronosEngine = here.engine()
        self.there = self.branch(name)

    def branch(self, name: str) -> RepoBuilder:
        """Branch one more timeline from the first tree."""
        place = Path(self.engine.create_timeline(name))
        return RepoBuilder(place, self.here.environment, git=self.here.is_repository)

    def files(self) -> tuple[Digest, Digest]:
        """Return what both trees have."""
        return tree_digest(self.here.root), tree_digest(self.there.root)


def untouched(tree: RepoBuilder) -> object:
    """Return what a merge never moves: HEAD, its branch, and everything that the index says."""
    head = tree.git("rev-parse", "--verify", "-q", "HEAD", ok=(0, 1))
    return head, tree.git("symbolic-ref", "-q", "HEAD", ok=(0, 1)), tree.git("ls-files", "-s", "-v", "-z")
