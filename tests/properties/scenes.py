"""A whole situation as one value: what was committed, what was done since, and the damage after the checkpoint."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hypothesis import strategies as st

from tests.properties import staging, trees
from tests.properties.staging import IndexEdit
from tests.properties.trees import Chmod, Delete, Edit, File, Link, Put, Rename
from tests.support import RepoBuilder, make_home, sealed_environment


@dataclass(frozen=True)
class Scene:
    """One example of the round trip. Nothing is committed where `committed` is empty: HEAD is unborn then."""

    committed: tuple[Edit, ...]
    edits: tuple[Edit, ...]
    staged: tuple[IndexEdit, ...]
    late_edits: tuple[Edit, ...]
    damage: tuple[Edit, ...]
    damaged_index: tuple[IndexEdit, ...]
    commits: bool = False


@st.composite
def scenes(draw: st.DrawFn, *, git: bool = True) -> Scene:
    """Draw a situation over a few names, so that later edits meet what earlier ones made."""
    some_names = draw(st.lists(trees.names(), min_size=2, max_size=5, unique=True))
    paths = trees.paths_from(some_names)
    puts = st.lists(st.builds(Put, paths, trees.nodes()), max_size=8)
    edits = st.lists(trees.edits(paths), max_size=6)
    late_edits = st.lists(trees.edits(paths), max_size=3)
    rules = st.lists(trees.attribute_edits(), max_size=1) if git and draw(st.booleans()) else st.just([])
    indexed = st.lists(staging.index_edits(paths), max_size=6) if git else st.just([])
    habits = st.lists(staging.porcelain_edits(), max_size=1) if git else st.just([])
    return Scene(
        tuple(draw(rules) + draw(puts)),
        tuple(draw(rules) + draw(edits)),
        tuple(draw(habits) + draw(indexed)),
        tuple(draw(late_edits)),
        tuple(draw(rules) + draw(edits)),
        tuple(draw(habits) + draw(indexed)),
        git and draw(st.sampled_from((False, False, False, True))),
    )


class Stages:
    """Fresh working trees, one for each example, from one `git init` and one home."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {
            **sealed_environment(make_home(folder / "home")),
            **dict.fromkeys(("GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE"), "2024-01-02T03:04:05Z"),
        }
        self._template = RepoBuilder(folder / "template", self.environment).root / ".git"
        shutil.rmtree(self._template / "hooks", ignore_errors=True)
        self._count = 0

    def open(self, *, git: bool = True) -> RepoBuilder:
        """Return an empty repository, or an empty plain folder; the one before is removed."""
        shutil.rmtree(self.folder / f"tree-{self._count}", ignore_errors=True)
        self._count += 1
        root = self.folder / f"tree-{self._count}"
        root.mkdir()
        if git:
            shutil.copytree(self._template, root / ".git")
        return RepoBuilder(root, self.environment, git=git)


def set_up(repo: RepoBuilder, scene: Scene) -> None:
    """Commit, edit and stage what the scene says."""
    apply_to_tree(repo, scene.committed)
    if repo.is_repository and scene.committed and repo.paths():
        repo.commit("base")
    apply_to_tree(repo, scene.edits)
    staging.apply_to_index(repo, scene.staged)
    apply_to_tree(repo, scene.late_edits)


def do_damage(repo: RepoBuilder, scene: Scene) -> bool:
    """Do the damage of the scene; tell whether HEAD moved."""
    before = _tip(repo)
    apply_to_tree(repo, scene.damage)
    resettable = [edit for edit in scene.damaged_index if before or edit != staging.Porcelain(("reset", "-q"))]
    staging.apply_to_index(repo, resettable)
    if scene.commits:
        staging.apply_to_index(repo, [staging.Porcelain(("add", "-A"))])
        repo.git("commit", "-q", "--allow-empty", "-m", "while nobody looked")
    return _tip(repo) != before


def apply_to_tree(repo: RepoBuilder, edits: Sequence[Edit]) -> None:
    """Carry the edits out; one that has nothing to work on does nothing."""
    for edit in edits:
        if isinstance(edit, Put):
            _put(repo, edit)
        elif isinstance(edit, Delete) and _is_there(repo, edit.path):
            repo.remove(edit.path)
        elif isinstance(edit, Chmod) and _is_there(repo, edit.path):
            _turn_executable(repo.path(edit.path))
        elif isinstance(edit, Rename) and _is_there(repo, edit.path):
            _rename(repo, edit)


def _put(repo: RepoBuilder, edit: Put) -> None:
    """Write into the file that is there, as editors and agents do; anything else is replaced."""
    _clear_above(repo, edit.path)
    place = repo.path(edit.path)
    if isinstance(edit.node, Link):
        repo.link(edit.path, edit.node.target)
    elif not place.is_symlink() and place.is_file():
        place.write_bytes(edit.node.content)
        place.chmod(0o755 if edit.node.executable else 0o644)
    else:
        repo.write(edit.path, edit.node.content, executable=edit.node.executable)


def _turn_executable(place: Path) -> None:
    if not place.is_symlink() and place.is_file():
        place.chmod(0o644 if os.access(place, os.X_OK) else 0o755)


def _rename(repo: RepoBuilder, edit: Rename) -> None:
    """Move through a name outside, so that a file can become a folder's child under its own old name."""
    aside = repo.root.parent / "aside"
    os.rename(repo.path(edit.path), aside)
    _put(repo, Put(edit.to, File(b"")))
    repo.remove(edit.to)
    os.rename(aside, repo.path(edit.to))


def _clear_above(repo: RepoBuilder, path: bytes) -> None:
    """Remove files and links that stand where a folder above the path must be."""
    parts = path.split(b"/")
    for count in range(1, len(parts)):
        above = repo.path(b"/".join(parts[:count]))
        if above.is_symlink() or above.is_file():
            above.unlink()
            return


def _is_there(repo: RepoBuilder, path: bytes) -> bool:
    """Whether the path itself is there, not one that a link on the way leads to."""
    parts = path.split(b"/")
    above = [repo.path(b"/".join(parts[:count])) for count in range(1, len(parts))]
    return repo.exists(path) and not any(place.is_symlink() for place in above)


def _tip(repo: RepoBuilder) -> bytes:
    reference = repo.root / ".git/refs/heads/main"
    return reference.read_bytes() if reference.exists() else b""
