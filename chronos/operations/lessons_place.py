"""The folder of the lessons: which it is, whether it may be used, and hiding it from git before the first one."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from chronos.errors import BadConfigError, UntrustedStoreError
from chronos.files import is_our_own, translate_os_errors
from chronos.git import GitCommand, is_tracked
from chronos.locate import Place, find_lessons
from chronos.operations.hiding import LESSONS_MARK, are_lessons_hidden, hide_folder

_HINT = "give lessons_dir (CHRONOS_LESSONS_DIR) a folder of its own, such as data/lessons"


def claim_lessons(place: Place, git: GitCommand, environment: Mapping[str, str], *, hide: bool = False) -> Path:
    """Return the folder of the lessons, which may not exist; with `hide` git sees nothing of it from now on.

    Raises BadConfigError for a place where lessons would do harm or be rewound, and UntrustedStoreError for lessons
    that came with a clone or belong to another user: agents act on what they say.
    """
    folder = find_lessons(place, environment)
    _refuse_harmful(place, folder)
    if os.path.isdir(folder):
        if not is_our_own(folder):
            raise UntrustedStoreError(f"{folder} belongs to another user", hint=_HINT)
        _refuse_tracked(place, folder, git)
        _refuse_links(folder)
    if hide:
        hide_folder(place.home, place.repository, folder, LESSONS_MARK)
    return folder


def _refuse_harmful(place: Place, folder: Path) -> None:
    text, taken = place.config.lessons_dir, (place.layout.root, place.home / "data" / "memory")
    if any(other.is_relative_to(folder) for other in (place.home, place.root, *taken)):
        raise BadConfigError(f"lessons_dir = {text!r} is or holds the project, checkpoints or memory", hint=_HINT)
    if any(map(folder.is_relative_to, (*taken, place.home / ".git"))):
        raise BadConfigError(f"lessons_dir = {text!r} lies in checkpoints, memory or git's own folder", hint=_HINT)
    for part in (folder, *folder.parents):
        if part != place.home and part.is_relative_to(place.home) and os.path.islink(part):
            raise BadConfigError(
                f"lessons_dir = {text!r} leads through the link {part}",
                hint="a link in a project may lead anywhere; set CHRONOS_LESSONS_DIR to the folder behind it",
            )


def _refuse_links(folder: Path) -> None:
    """Nothing that we make in it is a link: one would lead what is written somewhere else."""
    with translate_os_errors(f"cannot read {folder}"), os.scandir(folder) as found:
        links = [item.path for item in found if item.is_symlink()]
    if links:
        raise UntrustedStoreError(f"{links[0]} is a link, which lessons have none of", hint="move it away")


def _refuse_tracked(place: Place, folder: Path, git: GitCommand) -> None:
    if place.repository.is_plain or not folder.is_relative_to(place.home):
        return
    if not are_lessons_hidden(place.home, place.repository, folder) and is_tracked(folder, git):
        raise UntrustedStoreError(
            f"{folder} is tracked by git, so somebody else may have written the lessons",
            hint=f"run git rm -r --cached {folder}; take over what you trust with `chrono lessons import`",
        )
