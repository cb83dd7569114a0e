"""Inner repositories: empty bare ones in folders of ours, which `git clean -fdx` of the repository around spares.

git takes a folder with one for another repository, and goes into none.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from chronos.files import remove_tree, sync_folder, translate_os_errors
from chronos.git.command import GitCommand

_BRANCH = "main"
# What `git init` writes, with settings that depend on the file system and on git's defaults (git-config(1)). HEAD of a
# repository with reftables names `.invalid` (gitformat-reftable(5)).
_HEAD = re.compile(rb"ref: refs/heads/(?:main|\.invalid)\n")
_CONFIG = re.compile(
    rb"\[core\]\n(?:\t(?:repositoryformatversion = [01]|bare = true|"
    rb"(?:filemode|symlinks|ignorecase|precomposeunicode) = (?:true|false))\n)+"
    rb"(?:\[extensions\]\n(?:\t(?:objectformat = sha256|refstorage = reftable)\n)+)?"
)


def is_inner_repository(place: Path) -> bool:
    """Tell whether the repository at `place` says what `git init` wrote: git takes nothing else for a repository."""
    try:
        head, config = ((place / name).read_bytes() for name in ("HEAD", "config"))
    except OSError:
        return False
    is_folder = all((place / name).is_dir() for name in ("objects", "refs"))
    is_bare = b"\tbare = true\n" in config
    return is_folder and is_bare and _HEAD.fullmatch(head) is not None and _CONFIG.fullmatch(config) is not None


def make_inner_repository(place: Path, draft: Path, git: GitCommand) -> None:
    """Make it as `draft` and rename it: a killed `git init` leaves locks that stop the next one. One process at a time.

    What is at both places goes.
    """
    remove_tree(draft)
    remove_tree(place)
    git.at(place.parent).output("init", "-q", "--bare", "--template=", f"--initial-branch={_BRANCH}", str(draft))
    with translate_os_errors(f"cannot make {place}"):
        os.rename(draft, place)
    sync_folder(place.parent)
