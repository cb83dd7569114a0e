"""Finding where chrono works: the root, its repository, the store that serves it, and the timeline's name."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from chronos.config import Config, Surroundings, load
from chronos.errors import DangerousRootError, OutsideError
from chronos.git import GitCommand, Repository, find_work_tree, open_repository, plain_folder
from chronos.layout import MAIN_TIMELINE, StoreLayout

_SYSTEM_FOLDERS = (
    "/", "/bin", "/boot", "/dev", "/etc", "/home", "/lib", "/lib64", "/media", "/mnt", "/opt", "/proc", "/root", "/run",
    "/sbin", "/srv", "/sys", "/tmp", "/usr", "/usr/local", "/var", "/var/tmp", "/Users", "/Volumes", "/System",
    "/Library",
)  # fmt: skip


class Place(msgspec.Struct, frozen=True):
    """Where an engine works. `repository` of a plain folder is the store's inner one, which may not exist yet."""

    root: Path
    repository: Repository
    layout: StoreLayout
    timeline: str
    config: Config


def find_place(folder: Path, surroundings: Surroundings, git: GitCommand, config: Config | None = None) -> Place:
    """Return where work in `folder` happens.

    Raises DangerousRootError for a home or system folder, UnsupportedRepositoryError in a bare repository,
    GitFailedError when git refuses the repository.
    """
    folder = _existing(folder)
    top = find_work_tree(folder)
    if top is None:
        root = _plain_root(folder, surroundings)
        _refuse_dangerous(root, surroundings)
        config = config or load(root, surroundings.environment)
        layout = StoreLayout(_absolute(root, config.timelines_dir))
        return Place(root, plain_folder(root, layout.inner_repository, git), layout, MAIN_TIMELINE, config)
    repository = open_repository(top, git)
    while repository.common_dir.name != ".git" and ".git/modules" in repository.common_dir.as_posix():
        above = find_work_tree(repository.root.parent)
        if above is None:
            break
        repository = open_repository(above, git)
    _refuse_dangerous(repository.root, surroundings)
    config = config or load(repository.root, surroundings.environment)
    home = _store_home(repository)
    is_linked = repository.git_dir != repository.common_dir and repository.git_dir.parent.name == "worktrees"
    timeline = repository.git_dir.name if is_linked else MAIN_TIMELINE
    if is_linked and timeline == MAIN_TIMELINE:
        timeline = f"{MAIN_TIMELINE}-worktree"  # a worktree in a folder called main is not the first one
    return Place(repository.root, repository, StoreLayout(_absolute(home, config.timelines_dir)), timeline, config)


def _store_home(repository: Repository) -> Path:
    """The first worktree keeps the store of all worktrees; a bare main repository has none, so each keeps its own."""
    if repository.git_dir != repository.common_dir and repository.common_dir.name == ".git":
        first = repository.common_dir.parent
        if first.is_dir():
            return first
    return repository.root


def _existing(folder: Path) -> Path:
    try:
        return folder.resolve(strict=True)
    except OSError as cause:
        raise OutsideError(
            f"cannot open {folder}: {cause.strerror}", hint="name an existing folder with --root"
        ) from cause


def _plain_root(folder: Path, surroundings: Surroundings) -> Path:
    """A plain folder is the root itself, unless a folder above it has a store already."""
    name = surroundings.environment.get("CHRONOS_TIMELINES_DIR") or Config().timelines_dir
    for candidate in (folder, *folder.parents):
        if not os.path.isabs(name) and StoreLayout(candidate / name).format_file.is_file():
            return candidate
    return folder


def _absolute(root: Path, folder: str) -> Path:
    return Path(os.path.normpath(root / folder))


def _refuse_dangerous(root: Path, surroundings: Surroundings) -> None:
    home = surroundings.environment.get("HOME")
    if str(root) in _SYSTEM_FOLDERS:
        raise DangerousRootError(f"{root} is a system folder, not a project")
    if home and (Path(home).resolve() == root or root in Path(home).resolve().parents):
        raise DangerousRootError(f"{root} is or holds your home folder, not a project")
