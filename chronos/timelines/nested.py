"""Repositories below the root in a new working tree: each gets a history of its own there, and none shares an index.

A submodule gets a worktree of its repository, as git would give it with a clone from afar; an embedded repository is
copied with its whole git folder, whose objects are shared by hard links where the file system has them.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from chronos.checkpoints import ComponentState, State, linked_repository
from chronos.errors import ChronosError
from chronos.files import SafeRoot, TreePath, display, translate_os_errors
from chronos.git import Repository, add_detached_worktree, common_dir_of, open_repository
from chronos.operations import Workspace


def bring_repositories(source: Workspace, new: Workspace, state: State) -> list[str]:
    """Give the new tree the repositories of `state` below its root, from the tree at hand; return what could not be."""
    notes = []
    for path, component in sorted(state.components.items()):
        if not path or os.path.lexists(new.root / os.fsdecode(path) / ".git"):
            continue
        try:
            note = _bring(source, new, component)
        except ChronosError as cause:
            note = cause.message
        if note:
            notes.append(f"{display(path)}: {note}; only its captured files come along")
    return notes


def _bring(source: Workspace, new: Workspace, component: ComponentState) -> str:
    """Bring one repository; return why it could not be, or nothing."""
    old, place = (one.root / os.fsdecode(component.path) for one in (source, new))
    if component.git_dir is not None:
        repository = linked_repository(source.repository, component.path, component.git_dir)
        if repository is None or component.head is None:
            return "the submodule's repository is not there"
        _make_folder(new.root, component.path)
        add_detached_worktree(repository, place, component.head)
        return ""
    if common_dir_of(old) is None:
        return "its repository is not there"
    repository = open_repository(old, source.git)
    if repository.git_dir != old / ".git" or repository.common_dir != repository.git_dir:
        return "its git folder lies elsewhere"
    if repository.setting(b"core.worktree") is not None:
        return "its settings name another working tree"
    _make_folder(new.root, component.path)
    _copy_git_folder(repository, place)
    return ""


def _make_folder(root: Path, path: TreePath) -> None:
    """Make a folder of the new tree, through no link: the commit may have one where the source has a folder."""
    with translate_os_errors(f"cannot make {display(path)}"), SafeRoot(root) as tree:
        tree.make_parents(path + b"/.git")


def _copy_git_folder(repository: Repository, place: Path) -> None:
    objects = repository.git_dir / "objects"

    def copy(name: str, target: str) -> str:
        if Path(name).is_relative_to(objects):  # never written again under the same name
            try:
                os.link(name, target)
                return target
            except OSError:
                pass
        return str(shutil.copy2(name, target))

    with translate_os_errors(f"cannot copy {repository.git_dir}"):
        ignored = shutil.ignore_patterns("*.lock", "fsmonitor--daemon*", "worktrees")
        shutil.copytree(repository.git_dir, place / ".git", symlinks=True, copy_function=copy, ignore=ignored)
