"""One place of work: a root, its repository, its timeline, and the store that serves it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from chronos.checkpoints import CapturePolicy, Request, Store, Trigger, describe_environment
from chronos.config import Config
from chronos.files import PathKind, SafeRoot, TreePath, replace_durably, sweep_drafts, translate_os_errors
from chronos.git import GitCommand, Repository
from chronos.layout import StoreLayout

# A plain folder has no .gitignore of its own to keep what tools can make again out of every checkpoint.
PLAIN_FOLDER_EXCLUDES = (
    "node_modules/", ".venv/", "venv/", "__pycache__/", "*.pyc", ".mypy_cache/", ".pytest_cache/", ".ruff_cache/",
    ".tox/", ".nox/", "target/debug/", "target/release/", ".gradle/", ".cache/", ".DS_Store",
)  # fmt: skip
_MARK = "# chronomancer keeps its checkpoints here"


class Workspace(msgspec.Struct):
    """Everything an operation needs to know about where it works. `notices` are for the front door to show."""

    root: Path
    repository: Repository
    timeline: str
    store: Store
    config: Config
    git: GitCommand
    environment: Mapping[str, str]
    notices: list[str] = msgspec.field(default_factory=list)
    progress: Callable[[int, int], None] | None = None

    def policy(self, forced: frozenset[TreePath] = frozenset()) -> CapturePolicy:
        """Return the capture rules that hold now."""
        return CapturePolicy.load(self.root, self.config, tuple(forced))

    def request(self, name: str, trigger: Trigger, description: str = "", tags: tuple[str, ...] = ()) -> Request:
        """Return a request for a checkpoint of this workspace."""
        versions = {"git": self._git_version()}
        environment = describe_environment(self.root, self.environment, self.config.environment_variables, versions)
        return Request(name, description, self.timeline, trigger, environment, tags)

    def expand(self, paths: tuple[TreePath, ...]) -> frozenset[TreePath]:
        """Return the files at and below `paths`, for taking ignored ones in by force."""
        found: set[TreePath] = set()
        with SafeRoot(self.root) as tree:
            for path in paths:
                found |= set(_files_below(tree, path))
        return frozenset(found)

    def hide_beside_store(self) -> None:
        """Hide the store beside itself where a `.gitignore` rule un-ignores it, and say so."""
        inside = _inside_worktree(self.root, self.repository, self.store.layout)
        if inside is None:
            return
        if inside.parent == Path() and not self.repository.is_plain:
            self.notices.append("a .gitignore rule un-ignores the store; add it to that file yourself")
        elif _ignore_beside_store(self.store.layout):
            path = inside.parent / ".gitignore"
            self.notices.append(f"a .gitignore rule un-ignores the store, so {path} now hides it")

    def _git_version(self) -> str:
        """Remember git's version for as long as the binary is the same file."""
        found = os.stat(self.git.binary)
        key = f"git:{self.git.binary}:{found.st_mtime_ns}:{found.st_size}"
        known = self.store.catalog.find_fact(key)
        if known is None:
            known = self.git.check_version().encode("ascii", "replace")
            self.store.catalog.set_fact(key, known)
        return known.decode("ascii")


def hide_store(root: Path, repository: Repository, layout: StoreLayout) -> None:
    """Keep the store out of git's sight by one line in `info/exclude`; for a repository, before the store is there.

    A plain folder also gets a `.gitignore` beside the store, should it become a repository one day.
    """
    inside = _inside_worktree(root, repository, layout)
    if inside is None:
        return
    lines = [_MARK, f"/{_as_pattern(inside.as_posix())}/"]
    if repository.is_plain:
        lines += PLAIN_FOLDER_EXCLUDES
        _ignore_beside_store(layout)
    _add_lines(repository.common_dir / "info" / "exclude", lines)


def sweep_hiding_drafts(repository: Repository, layout: StoreLayout) -> int:
    """Remove what killed processes left of hiding the store; return how many files. There need not be a store yet."""
    return sweep_drafts(repository.common_dir / "info", "exclude") + sweep_drafts(layout.root.parent, ".gitignore")


def _inside_worktree(root: Path, repository: Repository, layout: StoreLayout) -> Path | None:
    """The store's place in the worktree that holds it: this one, or the first one for a linked worktree."""
    for top in (root, repository.common_dir.parent):
        if layout.root.is_relative_to(top):
            return layout.root.relative_to(top)
    return None


def _ignore_beside_store(layout: StoreLayout) -> bool:
    lines = [_MARK, f"/{_as_pattern(layout.root.name)}/", "/lessons/", "/.gitignore"]
    return _add_lines(layout.root.parent / ".gitignore", lines)


def _files_below(tree: SafeRoot, path: TreePath) -> list[TreePath]:
    stat = tree.find_stat(path)
    if stat is None:
        return []
    if stat.kind is not PathKind.FOLDER:
        return [path]
    return [file for child in tree.list_folder(path) for file in _files_below(tree, child)]


def _as_pattern(path: str) -> str:
    """Escape a path for a line of gitignore(5)."""
    escaped = re.sub(r"([\\*?\[])", r"\\\1", path)
    return re.sub(r" $", r"\\ ", escaped)


def _add_lines(path: Path, lines: list[str]) -> bool:
    """Append the lines that `path` does not have yet; tell whether there were any."""
    with translate_os_errors(f"cannot write {path}"):
        old = path.read_bytes() if path.exists() else b""
        have = set(old.splitlines())
        missing = [line.encode() for line in lines if line.encode() not in have]
        if not missing or missing == [_MARK.encode()]:
            return False
        path.parent.mkdir(parents=True, exist_ok=True)
        text = old + (b"" if not old or old.endswith(b"\n") else b"\n") + b"\n".join(missing) + b"\n"
        mode = path.stat().st_mode & 0o777 if path.exists() else 0o644
        replace_durably(path, text)
        path.chmod(mode)
    return True
