"""Whatever both timelines did, committed or not, a merge ends as `git merge` of the same content committed would."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from chronos.files import is_inside
from chronos.git import hash_blob
from chronos.merging import Choice, ConflictKind, Resolution
from tests.merging.histories import EXECUTABLE, FILE, LINK, Edit, Tree, changed, commit_all, edits, scratch_in, trees
from tests.merging.test_like_git_merge import Merged
from tests.properties.profiles import examples
from tests.support import RepoBuilder, make_home, sealed_environment
from tests.timelines.pairs import Pair, untouched

# How far a side was committed: not at all, only staged, the first half of it, everything.
_COMMITTED = st.sampled_from(["loose", "staged", "half", "all"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("merges")


@pytest.fixture(scope="module")
def scratch(folder: Path) -> RepoBuilder:
    """The clone that `git merge` works in."""
    return RepoBuilder(folder / "scratch", sealed_environment(make_home(folder / "home")))


@examples(25)
@given(base=trees(), ours=edits(), theirs=edits(), how=st.tuples(_COMMITTED, _COMMITTED, st.booleans()))
def test_a_merge_of_timelines_ends_as_git_merge_would(
    scratch: RepoBuilder, base: Tree, ours: list[Edit], theirs: list[Edit], how: tuple[str, str, bool]
) -> None:
    states = [base, changed(base, ours), changed(base, theirs)]
    commit_all(scratch, *states)
    by_git = Merged(scratch, states)
    place = scratch_in(scratch.root.parent)
    repo = RepoBuilder(place, scratch.environment)
    try:
        put(repo, base)
        if how[2]:
            repo.commit("base")
        pair = Pair(repo)
        do(pair.here, base, ours, how[0])
        do(pair.there, base, theirs, how[1])
        assert (read(pair.here.root), read(pair.there.root)) == (states[1], states[2])
        check(pair, by_git, states)
    finally:
        repo.close()
        shutil.rmtree(place)


def check(pair: Pair, by_git: Merged, states: list[Tree]) -> None:
    """Merge with what is not decided left, then with ours for it; and back again."""
    kept = untouched(pair.here)
    done = pair.engine.merge_timeline("exp")
    assert sorted(one.path for one in done.conflicts) == sorted(by_git.homes())
    event("conflicts" if done.conflicts else "no conflict")
    if done.conflicts:
        assert read(pair.here.root) == states[1], "something was half merged"
        waiting = [one.path for one in done.conflicts if one.kind is ConflictKind.PLACE]
        undecided = {one.path for one in done.conflicts}
        again = pair.engine.merge_timeline("exp", resolver=lambda _: Resolution(Choice.OURS))
        assert again.is_done
    else:
        waiting, undecided = [], set()

    def is_decided(path: bytes) -> bool:
        return path not in undecided and not any(is_inside(path, folder) for folder in waiting)

    result = hashes(read(pair.here.root))
    # What theirs moved to a place that it does not get stays where ours has it.
    stays = {path for path, what in hashes(states[1]).items() if undecided and result.get(path) == what}
    expected = {path: what for path, what in by_git.decided.items() if is_decided(path)}
    assert {path: what for path, what in result.items() if is_decided(path) and path not in stays - set(expected)} == (
        expected
    )
    assert untouched(pair.here) == kept
    assert read(pair.there.root) == states[2]
    if read(pair.here.root) != states[1]:
        pair.engine.undo()
        assert read(pair.here.root) == states[1]


def hashes(tree: Tree) -> dict[bytes, tuple[int, str]]:
    return {path: (mode, hash_blob("sha1", [data])) for path, (mode, data) in tree.items()}


def do(tree: RepoBuilder, base: Tree, made: list[Edit], committed: str) -> None:
    """Do what a side does, committed as far as it was."""
    if committed == "half":
        put(tree, changed(base, made[: len(made) // 2]))
        tree.commit("half of it")
    put(tree, changed(base, made))
    if committed == "all":
        tree.commit("all of it")
    elif committed == "staged":
        tree.git("add", "-A")


def put(tree: RepoBuilder, wanted: Tree) -> None:
    """Let a tree have exactly these files."""
    for name in os.listdir(tree.root):
        if name not in (".git", "data"):
            tree.remove(name)
    for path, (mode, data) in wanted.items():
        if mode == LINK:
            tree.link(path, data)
        else:
            tree.write(path, data, executable=mode == EXECUTABLE)


def read(root: Path) -> Tree:
    """Return what a tree has."""
    return dict(_read(os.fsencode(root), b""))


def _read(top: bytes, folder: bytes) -> Iterator[tuple[bytes, tuple[int, bytes]]]:
    for name in os.listdir(os.path.join(top, folder)):
        path = folder + b"/" + name if folder else name
        place = os.path.join(top, path)
        mode = os.lstat(place).st_mode
        if path in (b".git", b"data"):
            continue
        if stat.S_ISDIR(mode):
            yield from _read(top, path)
        elif stat.S_ISLNK(mode):
            yield path, (LINK, os.readlink(place))
        else:
            yield path, (EXECUTABLE if mode & 0o111 else FILE, Path(os.fsdecode(place)).read_bytes())
