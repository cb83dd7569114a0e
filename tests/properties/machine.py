"""The world of the state machine: a repository, engines on it, and looks at both to compare with the model."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from hypothesis import strategies as st

from chronos import ChronosEngine
from chronos.config import Surroundings
from tests.properties.model import IGNORED, Model, Tree, is_ignored
from tests.properties.scenes import Stages, apply_to_tree
from tests.properties.staging import StageOther, Unstage, write_blob
from tests.properties.trees import Chmod, Delete, File, Link, Node, Put
from tests.support import RepoBuilder

GITIGNORE = b".gitignore"
_NAMES = (b"a", b"b c", b"-d", b"\xff\n\\", "ü".encode())
_CONTENTS = (b"one\n", b"two\n", b"six\n", b"", b"\0\1\2", b"no newline", b"r\r\n")

contents = st.sampled_from(_CONTENTS)
nodes = st.one_of(
    st.builds(File, contents, st.booleans()),
    st.builds(File, contents, st.booleans(), st.sampled_from((1,) * 9 + (400_000,))),
    st.builds(Link, st.sampled_from((b"a", b"nowhere", b"..", b"b c/a"))),
)
paths = st.lists(st.sampled_from(_NAMES), min_size=1, max_size=2).map(b"/".join)
ignored_paths = st.lists(st.sampled_from(_NAMES), max_size=1).map(lambda above: b"/".join([*above, b"x" + IGNORED]))


@dataclass(frozen=True)
class StageNth:
    """What is on disk is staged at one of the paths that there are; a deletion too."""

    number: int


@dataclass(frozen=True)
class DeleteNth:
    """One of the files goes."""

    number: int


@dataclass(frozen=True)
class TurnNth:
    """The executable bit of one of the files is turned."""

    number: int


@dataclass(frozen=True)
class Reset:
    """`git reset`."""


Work: TypeAlias = Put | DeleteNth | TurnNth | StageNth | StageOther | Unstage | Reset
works = st.lists(
    st.one_of(
        st.builds(Put, paths, nodes),
        st.builds(Put, paths, nodes),
        st.builds(Put, ignored_paths, st.builds(File, contents)),
        st.builds(DeleteNth, st.integers(0, 20)),
        st.builds(TurnNth, st.integers(0, 20)),
        st.builds(StageNth, st.integers(0, 20)),
        st.builds(StageNth, st.integers(0, 20)),
        st.builds(StageOther, paths, nodes),
        st.builds(Unstage, paths),
        st.just(Reset()),
    ),
    min_size=1,
    max_size=4,
)


class Fuse:
    """Counts what a restore writes, and presses Ctrl-C at one of the writes."""

    def __init__(self, repo: RepoBuilder) -> None:
        self.left: int | None = None
        self._repo = repo

    def __call__(self, done: int, total: int) -> None:
        if self.left is None or not self._repo.is_changing:
            return
        self.left -= 1
        if self.left < 0:
            self.left = None
            raise KeyboardInterrupt


class World:
    """A repository with one commit, and two engines that take turns on it."""

    def __init__(self, stages: Stages) -> None:
        self.repo: RepoBuilder = stages.open()
        self.folder = self.repo.root.parent
        self.fuse = Fuse(self.repo)
        self.repo.write(GITIGNORE, b"*" + IGNORED + b"\n")
        commit = self.repo.commit("first")
        start: Tree = {GITIGNORE: File(b"*" + IGNORED + b"\n")}
        self.model = Model(commit, dict(start), dict(start), dict(start))
        self._engines = [self._open(), self._open()]

    @property
    def engine(self) -> ChronosEngine:
        return self._engines[0]

    def swap(self) -> None:
        """Let the other engine work."""
        self._engines.reverse()

    def reopen(self) -> None:
        """Close the engine at work and open a new one."""
        self.engine.close()
        self._engines[0] = self._open()

    def close(self) -> None:
        for engine in self._engines:
            engine.close()
        shutil.rmtree(self.repo.root, ignore_errors=True)

    def do(self, works: list[Work]) -> None:
        """Do a few things, on disk and in the model."""
        for work in works:
            if isinstance(work, Put):
                apply_to_tree(self.repo, [work])
                self.model.put(work.path, _whole(work.node))
            elif isinstance(work, DeleteNth | TurnNth):
                self._change_nth(work)
            elif isinstance(work, StageNth):
                paths = sorted(path for path in {*self.model.tree, *self.model.index} if not is_ignored(path))
                path = paths[work.number % len(paths)]
                self._stage(path, self.model.tree.get(path))
            elif isinstance(work, Reset):
                self.repo.git("reset", "-q")
                self.model.index = dict(self.model.head_tree)
            else:
                self._stage(work.path, work.node if isinstance(work, StageOther) else None)

    def _change_nth(self, work: DeleteNth | TurnNth) -> None:
        paths = sorted(path for path in self.model.tree if path != GITIGNORE)
        if not paths:
            return
        path = paths[work.number % len(paths)]
        node = self.model.tree[path]
        if isinstance(work, DeleteNth):
            apply_to_tree(self.repo, [Delete(path)])
            self.model.delete(path)
        elif isinstance(node, File):
            apply_to_tree(self.repo, [Chmod(path)])
            self.model.put(path, File(node.data, not node.executable))

    def _stage(self, path: bytes, node: Node | None) -> None:
        row = b"0 %s\t%s\0" % (b"0" * 40, path)
        if node is not None:
            row += b"%s\t%s\0" % (self._entry(node), path)
        self.repo.git("update-index", "-z", "--index-info", input=row)
        self.model.stage(path, node and _whole(node))

    def commit(self, *, everything: bool) -> None:
        if everything:
            self.model.stage_everything()
        self.model.commit_index(self.repo.commit("work", everything=everything))

    def tree(self) -> Tree:
        """Return what is on disk."""
        return read_tree(self.repo.root, (b".git", b"data"))

    def index(self) -> list[tuple[bytes, bytes]]:
        """Return path and `mode oid stage` of every index entry."""
        rows = self.repo.git_bytes("ls-files", "-s", "-z").split(b"\0")[:-1]
        return sorted((path, entry) for entry, _, path in (row.partition(b"\t") for row in rows))

    def modelled_index(self) -> list[tuple[bytes, bytes]]:
        return sorted((path, self._entry(node)) for path, node in self.model.index.items())

    def _entry(self, node: Node) -> bytes:
        mode = b"120000" if isinstance(node, Link) else b"100755" if node.executable else b"100644"
        return b"%s %s 0" % (mode, write_blob(self.repo, node))

    def extract(self, checkpoint: str) -> Tree:
        """Write a checkpoint out into a folder and return what came."""
        folder = self.folder / "extracted"
        shutil.rmtree(folder, ignore_errors=True)
        self.engine.restore_into(checkpoint, folder)
        return read_tree(folder, ())

    def left_over(self) -> list[str]:
        """Return what lies in the store's scratch folder and its journal folder."""
        folders = [self.repo.store / ".store" / name for name in ("tmp", "journal")]
        return [path.name for folder in folders if folder.exists() for path in folder.iterdir()]

    def remove_catalog(self) -> None:
        """Delete the catalog, as a user who cleans up does, whoever has it open."""
        for path in (self.repo.store / ".store").glob("catalog.sqlite*"):
            path.unlink()

    def recover(self) -> None:
        """Recover when nothing happened."""
        assert self.engine.recover() == []

    def _open(self) -> ChronosEngine:
        surroundings = Surroundings(self.repo.environment, self.repo.root)
        return ChronosEngine(self.repo.root, surroundings=surroundings, progress=self.fuse)


Event: TypeAlias = Callable[[World], None]


def _whole(node: Node) -> Node:
    """Return a file with its whole content as its data, as one is read from disk."""
    return File(node.content, node.executable) if isinstance(node, File) else node


def read_tree(root: Path, without: tuple[bytes, ...]) -> Tree:
    """Return every path under `root` that is no folder, but for some names at its top."""
    found: Tree = {}
    top = os.fsencode(root)
    pending = [name for name in os.listdir(top) if name not in without]
    while pending:
        path = pending.pop()
        place = os.path.join(top, path)
        if os.path.islink(place):
            found[path] = Link(os.readlink(place))
        elif os.path.isdir(place):
            pending += [path + b"/" + name for name in os.listdir(place)]
        else:
            with open(place, "rb") as stream:
                found[path] = File(stream.read(), os.access(place, os.X_OK))
    return found
