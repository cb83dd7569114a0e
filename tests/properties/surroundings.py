"""What may be special about a repository: each is set up before the edits of a scene, which then also happen inside it.

The folders have names that no generated path has.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from enum import Enum
from pathlib import Path

from hypothesis import strategies as st

from tests.properties import staging
from tests.properties.scenes import Scene, apply_to_tree
from tests.properties.trees import Edit
from tests.support import RepoBuilder

SUBMODULE, EMBEDDED, WORKTREE = "~submodule", "~embedded", "~worktree"


class Special(Enum):
    """One thing that is special."""

    SUBMODULE = "a submodule"
    LOST_SUBMODULE = "a submodule whose folder the damage takes away"
    EMBEDDED = "a repository inside the tree"
    WORKTREE = "somebody's worktree inside the tree"
    LINKED = "the tree is a linked worktree itself"
    SPARSE = "a sparse checkout"
    DETACHED = "no branch is checked out"
    MERGE = "a merge is half done"
    AUTOCRLF = "core.autocrlf is set"
    FIFO = "a FIFO stands where the damage leaves it"


specials = st.lists(st.sampled_from(Special), min_size=1, max_size=3, unique=True)


def make_special(repo: RepoBuilder, special: Sequence[Special], scene: Scene, library: RepoBuilder) -> RepoBuilder:
    """Commit what the specials need, on top of what is committed; return the tree to go on with."""
    repo.write("~file", "kept by everybody\n")
    repo.commit("something for the specials to stand on")
    if Special.LINKED in special:
        repo.git("worktree", "add", "-q", "-b", "linked", os.fspath(repo.root.parent / f"{repo.root.name}-linked"))
        repo = RepoBuilder(repo.root.parent / f"{repo.root.name}-linked", repo.environment)
    if Special.AUTOCRLF in special:
        repo.git("config", "core.autocrlf", "true")
    if {Special.SUBMODULE, Special.LOST_SUBMODULE} & set(special):
        repo.git("-c", "protocol.file.allow=always", "submodule", "-q", "add", os.fspath(library.root), SUBMODULE)
        repo.commit("with a submodule")
    if Special.EMBEDDED in special:
        inside = RepoBuilder(repo.root / EMBEDDED, repo.environment)
        inside.write("file", "embedded\n")
        inside.commit("embedded")
    if Special.WORKTREE in special:
        repo.git("worktree", "add", "-q", "-b", "beside", WORKTREE)
        (repo.root / WORKTREE / "~file").write_text("somebody's edit\n")
    if Special.SPARSE in special:
        for name in ("~in/file", "~out/file"):
            repo.write(name, f"{name}\n")
        repo.git("add", "--sparse", "~in", "~out")
        repo.git("commit", "-q", "-m", "with folders to leave out")
        repo.git("sparse-checkout", "set", "~in")
    if Special.MERGE in special:
        _merge_half(repo)
    if Special.DETACHED in special:
        repo.git("checkout", "-q", "--detach") if Special.MERGE not in special else None
    for nested in nested_in(repo):
        apply_to_tree(nested, scene.edits)
        staging.apply_to_index(nested, [edit for edit in scene.staged if isinstance(edit, staging.Stage)])
    return repo


def damage_special(repo: RepoBuilder, special: Sequence[Special], damage: Sequence[Edit]) -> None:
    """Do the same damage inside the repositories of the tree; take a submodule's folder away; leave a FIFO."""
    for nested in nested_in(repo):
        apply_to_tree(nested, damage)
    if Special.LOST_SUBMODULE in special:
        shutil.rmtree(repo.root / SUBMODULE)
    if Special.FIFO in special:
        repo.remove("~file")
        os.mkfifo(repo.path("~file"))


def nested_in(repo: RepoBuilder) -> list[RepoBuilder]:
    """Return the repositories inside the tree that are captured with it."""
    found = [repo.root / name for name in (SUBMODULE, EMBEDDED)]
    return [RepoBuilder(root, repo.environment) for root in found if (root / ".git").exists()]


def make_library(folder: Path, repo: RepoBuilder) -> RepoBuilder:
    """Return the repository that submodules are cloned from."""
    library = RepoBuilder(folder, repo.environment)
    if not (folder / "lib.txt").exists():
        library.write("lib.txt", "lib\n")
        library.write("src/deep.txt", "deep\n")
        library.commit("library")
    return library


def _merge_half(repo: RepoBuilder) -> None:
    branch = repo.git("symbolic-ref", "--short", "HEAD")
    repo.write("~both", "base\n")
    repo.git("add", "~both")
    repo.git("commit", "-q", "-m", "base of a merge")
    repo.git("checkout", "-q", "-b", "theirs")
    repo.write("~both", "theirs\n")
    repo.git("commit", "-q", "-m", "theirs", "~both")
    repo.git("checkout", "-q", branch)
    repo.write("~both", "ours\n")
    repo.git("commit", "-q", "-m", "ours", "~both")
    repo.git("merge", "-q", "theirs", ok=(1,))
