"""A real working tree to play with: files, git, and engines that are closed at the end of the test."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from chronos import ChronosEngine
from chronos.config import Surroundings
from tests.support.digests import Digest, index_digest, tree_digest

State = tuple[Digest, tuple[bytes, bytes, bytes]]


class RepoBuilder:
    """A folder, by default made a git repository, with the environment that git and chrono see in it."""

    def __init__(self, root: Path, environment: Mapping[str, str], *, git: bool = True) -> None:
        self.root = root
        self.environment = dict(environment)
        self.is_repository = git
        self._engines: list[ChronosEngine] = []
        root.mkdir(parents=True, exist_ok=True)
        if git and not (root / ".git").exists():
            self.git("init", "-q")

    # files

    def path(self, path: str | bytes) -> Path:
        return self.root / os.fsdecode(path)

    def write(self, path: str | bytes, content: str | bytes = "", *, executable: bool = False) -> Path:
        """Write a file at `path`, whatever stands there or above it now."""
        target = self.path(path)
        self._make_way(target)
        data = content if isinstance(content, bytes) else content.encode("utf-8", "surrogateescape")
        target.write_bytes(data)
        target.chmod(0o755 if executable else 0o644)
        return target

    def link(self, path: str | bytes, target: str | bytes) -> Path:
        place = self.path(path)
        self._make_way(place)
        os.symlink(target, os.fsencode(place) if isinstance(target, bytes) else place)
        return place

    def read(self, path: str | bytes) -> bytes:
        return self.path(path).read_bytes()

    def exists(self, path: str | bytes) -> bool:
        return os.path.lexists(self.path(path))

    def remove(self, *paths: str | bytes) -> None:
        for path in paths:
            place = self.path(path)
            if place.is_dir() and not place.is_symlink():
                shutil.rmtree(place)
            else:
                place.unlink()

    def paths(self) -> set[str]:
        """Return every path of the tree that is no folder, outside `.git` and the store."""
        return {os.fsdecode(path) for path in tree_digest(self.root)}

    # git

    def git(self, *arguments: str | bytes, ok: tuple[int, ...] = (0,), input: bytes | None = None) -> str:
        return self.git_bytes(*arguments, ok=ok, input=input).decode("utf-8", "surrogateescape").strip()

    def git_bytes(
        self, *arguments: str | bytes, ok: tuple[int, ...] = (0,), input: bytes | None = None, locks: bool = True
    ) -> bytes:  # fmt: skip
        environment = self.environment if locks else {**self.environment, "GIT_OPTIONAL_LOCKS": "0"}
        done = subprocess.run(
            ["git", *arguments], cwd=self.root, env=environment, input=input, capture_output=True, check=False,
            stdin=subprocess.DEVNULL if input is None else None,
        )  # fmt: skip
        assert done.returncode in ok, f"git {arguments}: {done.returncode} {done.stderr.decode(errors='replace')}"
        return done.stdout

    def commit(self, message: str = "a commit", *, everything: bool = True) -> str:
        """Commit (with everything that is there added first) and return the commit's id."""
        if everything:
            self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.head()

    def head(self) -> str:
        return self.git("rev-parse", "HEAD")

    def set_global(self, key: str, value: str) -> None:
        """Change the global configuration, as a user would have it."""
        self.git("config", "--global", key, value)

    def status(self) -> bytes:
        """Return git's status, without letting git refresh the index."""
        arguments = ("status", "--porcelain=v2", "-z", "--branch", "--untracked-files=all", "--no-renames")
        return self.git_bytes(*arguments, locks=False)

    def state(self) -> State:
        """Return everything that a restore has to bring back: tree, index with flags, status."""
        index = index_digest(self) if self.is_repository else (b"", b"", b"")
        return tree_digest(self.root), index

    # chrono

    def engine(self, root: Path | None = None, **variables: str) -> ChronosEngine:
        """Return a new engine for this tree; `variables` are added to its environment."""
        surroundings = Surroundings({**self.environment, **variables}, root or self.root)
        engine = ChronosEngine(root=root or self.root, surroundings=surroundings)
        self._engines.append(engine)
        return engine

    @property
    def store(self) -> Path:
        return self.root / "data/timelines"

    @property
    def is_changing(self) -> bool:
        """Whether an operation has begun to change the tree, or was cut short then: it has a journal."""
        return any((self.store / ".store/journal").glob("*.json"))

    def close(self) -> None:
        for engine in self._engines:
            engine.close()

    def _make_way(self, target: Path) -> None:
        if target.is_symlink() or target.is_file():
            target.unlink()
        elif target.is_dir():
            shutil.rmtree(target)
        for parent in reversed(target.relative_to(self.root).parents):
            folder = self.root / parent
            if folder.is_symlink() or folder.is_file():
                folder.unlink()
        target.parent.mkdir(parents=True, exist_ok=True)
