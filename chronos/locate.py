"""Finding where chrono works: the root, its repository, the store that serves it, and the timeline's name."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import msgspec

from chronos.config import ENVIRONMENT_NAMES, Config, Surroundings, expand_home, load
from chronos.errors import (
    BadConfigError,
    BadPathError,
    ChronosError,
    DangerousRootError,
    GitFailedError,
    OutsideError,
)
from chronos.files import check_tree_path, to_text
from chronos.git import (
    GitCommand,
    Repository,
    common_dir_of,
    find_work_tree,
    is_inner_repository,
    mark_of,
    open_repository,
    plain_folder,
)
from chronos.layout import IMPORT_TIMELINE, MAIN_TIMELINE, WORKTREE, StoreLayout

_SYSTEM_FOLDERS = (
    "/", "/bin", "/boot", "/dev", "/etc", "/home", "/lib", "/lib64", "/media", "/mnt", "/opt", "/proc", "/root", "/run",
    "/sbin", "/srv", "/sys", "/tmp", "/usr", "/usr/local", "/var", "/var/tmp", "/Users", "/Volumes", "/System",
    "/Library",
)  # fmt: skip


class Place(msgspec.Struct, frozen=True):
    """Where an engine works. `home` is the working tree that has the store, unless the settings put it elsewhere.

    `repository` of a plain folder is the store's inner one, which may not exist yet.
    """

    root: Path
    home: Path
    repository: Repository
    layout: StoreLayout
    timeline: str
    config: Config


def find_place(folder: Path, surroundings: Surroundings, git: GitCommand, config: Config | None = None) -> Place:
    """Return where work in `folder` happens.

    Raises DangerousRootError for a home or system folder and inside a store or another folder of ours,
    UnsupportedRepositoryError in a bare repository, BadConfigError, GitFailedError when git refuses the repository.
    """
    folder = _existing(folder)
    top = find_work_tree(folder)
    plain = _plain_worktree(folder, top)
    if plain is not None:
        layout = StoreLayout(plain.parent.parent)
        config = config or load(plain, surroundings.environment)
        home = _plain_root(layout.root.parent, surroundings, None)
        repository = plain_folder(plain, layout.inner_repository, git)
        return Place(plain, home, repository, layout, plain.parent.name, config)
    if top is None:
        root = _plain_root(folder, surroundings, config)
        _refuse_dangerous(root, surroundings)
        config = config or load(root, surroundings.environment)
        layout = _find_layout(root, root, config, surroundings)
        return Place(root, root, plain_folder(root, layout.inner_repository, git), layout, MAIN_TIMELINE, config)
    if StoreLayout(top).is_set_up:
        raise DangerousRootError(f"{top} is a store of checkpoints, not a project")
    if is_inner_repository(top / ".git"):
        raise DangerousRootError(f"{top} is a folder of chrono's own, not a project")
    try:
        repository = open_repository(top, git)
    except GitFailedError as cause:
        if not _is_worktree_place(top) or common_dir_of(top) is not None:
            raise
        above = find_work_tree(top.parent.parent.parent)
        hint = f"the project was moved: run `chrono doctor` in {above}"
        raise GitFailedError(f"git has lost the working tree {top}", hint=hint) from cause
    while repository.common_dir.name != ".git" and ".git/modules" in repository.common_dir.as_posix():
        above = find_work_tree(repository.root.parent)
        if above is None:
            break
        repository = open_repository(above, git)
    _refuse_dangerous(repository.root, surroundings)
    config = config or load(repository.root, surroundings.environment)
    if _is_worktree_place(repository.root):
        layout = StoreLayout(repository.root.parent.parent)
        home = find_work_tree(layout.root.parent) or _store_home(repository)
        return Place(repository.root, home, repository, layout, repository.root.parent.name, config)
    home = _store_home(repository)
    layout = _find_layout(home, repository.root, config, surroundings)
    return Place(repository.root, home, repository, layout, _timeline_of(repository, layout), config)


def find_lessons(place: Place, environment: Mapping[str, str]) -> Path:
    """Return the folder of the lessons, which all working trees of a store share. It may not exist."""
    return Path(os.path.normpath(place.home / expand_home(place.config.lessons_dir, environment)))


def _is_worktree_place(root: Path) -> bool:
    """Tell whether `root` is where the working tree of a branched timeline lies in its store."""
    return root.name == WORKTREE and StoreLayout(root.parent.parent).is_set_up


def _plain_worktree(folder: Path, top: Path | None) -> Path | None:
    """Return the tree of a branched timeline outside git that `folder` lies in; the store has the first `.git`."""
    trees = (path for path in (folder, *folder.parents) if path.parent.parent == top)
    return next((path for path in trees if _is_worktree_place(path)), None)


def _store_home(repository: Repository) -> Path:
    """The first worktree keeps the store of all worktrees; a bare main repository has none, so each keeps its own."""
    if repository.git_dir != repository.common_dir and repository.common_dir.name == ".git":
        first = repository.common_dir.parent
        if first.is_dir():
            return first
    return repository.root


def _timeline_of(repository: Repository, layout: StoreLayout) -> str:
    if repository.git_dir == repository.common_dir or repository.git_dir.parent.name != "worktrees":
        return MAIN_TIMELINE
    return timeline_of_worktree(repository.git_dir, layout)


def timeline_of_worktree(git_dir: Path, layout: StoreLayout) -> str:
    """Return which timeline the worktree is of which git's own folder is `git_dir`. Raises GitFailedError.

    A branched timeline's worktree is marked; one that the user made has the name by which git knows it. git keeps those
    unique; none may stand for the first worktree, for imports, or for a branched timeline.
    """
    mark = mark_of(git_dir)
    if mark is not None:
        return mark
    name = to_text(os.fsencode(git_dir.name))
    is_taken = re.fullmatch(rf"({MAIN_TIMELINE}|{IMPORT_TIMELINE})(-worktree)*", name)
    return f"{name}-worktree" if is_taken or layout.timeline_memory(name).is_dir() else name


def _existing(folder: Path) -> Path:
    try:
        return folder.resolve(strict=True)
    except OSError as cause:
        raise OutsideError(
            f"cannot open {folder}: {cause.strerror}", hint="name an existing folder with --root"
        ) from cause


def _plain_root(folder: Path, surroundings: Surroundings, config: Config | None) -> Path:
    """A plain folder is the root itself, unless a folder above it has a store in it already."""
    for candidate in (folder, *folder.parents):
        with suppress(ChronosError):  # the settings of a folder above, which may be no project at all
            settings = config or load(candidate, surroundings.environment)
            is_outside = os.path.isabs(expand_home(settings.timelines_dir, surroundings.environment))
            if not is_outside and _find_layout(candidate, candidate, settings, surroundings).is_set_up:
                return candidate
    return folder


def _find_layout(home: Path, root: Path, config: Config, surroundings: Surroundings) -> StoreLayout:
    """Return the layout of the store. Raises BadConfigError for a place where a store would do harm."""
    text = config.timelines_dir
    path = Path(os.path.normpath(home / expand_home(text, surroundings.environment)))
    hint = "give timelines_dir (CHRONOS_TIMELINES_DIR) a folder of its own, such as data/timelines"
    if home.is_relative_to(path) or root.is_relative_to(path):
        raise BadConfigError(f"timelines_dir = {text!r} is or holds the project's own folder", hint=hint)
    is_inside = path.is_relative_to(home)
    try:
        check_tree_path(os.fsencode(path.relative_to(home if is_inside else path.anchor)))
    except BadPathError as cause:
        raise BadConfigError(f"timelines_dir = {text!r}: {cause.message}", hint=hint) from cause
    refuse_links(path, home, "timelines_dir", text)
    real = Path(os.path.realpath(path))
    if home.is_relative_to(real) or root.is_relative_to(real):
        raise BadConfigError(f"timelines_dir = {text!r} is or holds the project's own folder", hint=hint)
    return StoreLayout(real)


def refuse_links(path: Path, home: Path, setting: str, text: str) -> None:
    """Raise BadConfigError when a setting leads through a link that lies in the project: a clone brings links along."""
    for part in (path, *path.parents):
        if part != home and part.is_relative_to(home) and os.path.islink(part):
            raise BadConfigError(
                f"{setting} = {text!r} leads through the link {part}",
                hint=f"a link in a project may lead anywhere; set {ENVIRONMENT_NAMES[setting]} to the folder behind it",
            )


def _refuse_dangerous(root: Path, surroundings: Surroundings) -> None:
    home = surroundings.environment.get("HOME")
    if str(root) in _SYSTEM_FOLDERS:
        raise DangerousRootError(f"{root} is a system folder, not a project")
    if home and (Path(home).resolve() == root or root in Path(home).resolve().parents):
        raise DangerousRootError(f"{root} is or holds your home folder, not a project")
