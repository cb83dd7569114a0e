"""One place of work: a root, its repository, its timeline, and the store that serves it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from chronos.checkpoints import CapturePolicy, Request, Store, Trigger, describe_environment
from chronos.config import Config
from chronos.files import PathKind, SafeRoot, TreePath
from chronos.git import GitCommand, Repository


class Workspace(msgspec.Struct):
    """Everything an operation needs to know about where it works.

    `home` is the working tree that has the store (the first one of a repository); `notices` are for the front door.
    """

    root: Path
    home: Path
    repository: Repository
    timeline: str
    store: Store
    config: Config
    git: GitCommand
    git_version: str
    environment: Mapping[str, str]
    notices: list[str] = msgspec.field(default_factory=list)
    progress: Callable[[int, int], None] | None = None

    def policy(self, forced: frozenset[TreePath] = frozenset()) -> CapturePolicy:
        """Return the capture rules that hold now."""
        return CapturePolicy.load(self.root, self.config, tuple(forced))

    def request(self, name: str, trigger: Trigger, description: str = "", tags: tuple[str, ...] = ()) -> Request:
        """Return a request for a checkpoint of this workspace."""
        versions = {"git": self.git_version}
        environment = describe_environment(self.root, self.environment, self.config.environment_variables, versions)
        return Request(name, description, self.timeline, trigger, environment, tags)

    def expand(self, paths: tuple[TreePath, ...]) -> frozenset[TreePath]:
        """Return the files at and below `paths`, but for git's own, for taking ignored ones in by force."""
        found: set[TreePath] = set()
        with SafeRoot(self.root) as tree:
            for path in paths:
                found |= set(_files_below(tree, path))
        return frozenset(found)


def _files_below(tree: SafeRoot, path: TreePath) -> list[TreePath]:
    stat = tree.find_stat(path)
    if stat is None:
        return []
    if stat.kind is not PathKind.FOLDER:
        return [path]
    inside = (child for child in tree.list_folder(path) if child.rpartition(b"/")[2] != b".git")
    return [file for child in inside for file in _files_below(tree, child)]
