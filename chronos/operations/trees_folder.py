"""The folder that the settings give for trees of timelines: inside the project it is a folder of ours, as the store is.

git does not see it, `git clean` spares it, and captures take nothing in it.
"""

from __future__ import annotations

import os
from pathlib import Path

from chronos.config import expand_home
from chronos.errors import BadConfigError, UnsupportedError
from chronos.files import display, translate_os_errors
from chronos.git import common_dir_of, is_inner_repository, is_tracked, make_inner_repository, open_repository
from chronos.locate import refuse_links
from chronos.operations.hiding import TREES_MARK, hide_beside, hide_folder
from chronos.operations.trees import ASIDE
from chronos.operations.workspace import Workspace

_INNER, _DRAFT = ".git", ".git.draft"


def find_trees_folder(workspace: Workspace) -> Path | None:
    """Return where the settings put the trees of timelines, or None: into the store.

    Raises UnsupportedError, BadConfigError for one that is reached through a link of the project.
    """
    folder = workspace.config.worktrees_dir
    if not folder:
        return None
    if workspace.repository.is_plain or workspace.repository.common_dir.name != ".git":
        raise UnsupportedError(
            "outside git, and beside a bare repository, the working trees of timelines lie in the store",
            hint="unset CHRONOS_WORKTREES_DIR (worktrees_dir)",
        )
    path = Path(os.path.normpath(workspace.home / expand_home(folder, workspace.environment)))
    refuse_links(path, workspace.home, "worktrees_dir", folder)
    return Path(os.path.realpath(path))


def claim_trees_folder(workspace: Workspace, folder: Path) -> None:
    """Make `folder`, where it lies in the project, one of ours before the first tree comes. No lock must be held.

    Raises BadConfigError for one that holds anything else: it would be hidden from git and from every checkpoint.
    """
    home, repository = workspace.home, workspace.repository
    if not folder.is_relative_to(home):
        return
    if not is_inner_repository(folder / _INNER):
        with workspace.store.exclusively():
            _refuse_others(workspace, folder)
            with translate_os_errors(f"cannot make {folder}"):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not is_inner_repository(folder / _INNER):
                make_inner_repository(folder / _INNER, folder / _DRAFT, workspace.git)
    hide_folder(home, repository, folder, TREES_MARK)
    if not _is_ignored(workspace, folder):
        workspace.notices += hide_beside(home, repository, folder, "the working trees of timelines")


def _is_ignored(workspace: Workspace, folder: Path) -> bool:
    first = workspace.repository if workspace.root == workspace.home else open_repository(workspace.home, workspace.git)
    return first.is_ignored(os.fsencode(folder.relative_to(workspace.home).as_posix()) + b"/")


def _refuse_others(workspace: Workspace, folder: Path) -> None:
    hint = "give worktrees_dir (CHRONOS_WORKTREES_DIR) a folder of its own that is new or empty"
    if any(map(folder.is_relative_to, (workspace.store.layout.root, workspace.home / ".git"))):
        raise BadConfigError(f"{display(str(folder))} lies in the store or in git's own folder", hint=hint)
    with translate_os_errors(f"cannot look into {folder}"):
        names = os.listdir(folder) if os.path.lexists(folder) else []
    others = [name for name in sorted(names) if not _is_ours(workspace, folder / name)]
    if others:
        raise BadConfigError(f"{display(str(folder))} holds {display(others[0])}, which is no tree", hint=hint)
    if is_tracked(folder, workspace.git):
        raise BadConfigError(f"files in {display(str(folder))} are tracked by git", hint=hint)


def _is_ours(workspace: Workspace, place: Path) -> bool:
    """Tell whether a place is a worktree of this repository, one that was moved aside, or what a kill left."""
    if place.name in (_INNER, _DRAFT):
        return place.name == _DRAFT or is_inner_repository(place)
    is_aside = place.name.startswith(".") and ASIDE in place.name
    return is_aside or common_dir_of(place) == workspace.repository.common_dir
