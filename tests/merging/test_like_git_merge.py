"""Whatever both sides did, a merge comes out as `git merge` of the same content does: same files, same conflicts."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import event, example, given
from hypothesis import strategies as st

from chronos.files import is_inside
from chronos.git import GitCommand, TreeSide, hash_blob, open_repository
from chronos.merging import Choice, Conflict, ConflictKind, MergedTree, Resolution, Strategy, merge_trees
from tests.merging.histories import LINK, Edit, Tree, changed, commit_all, edits, first_tree, scratch_in, side_of, trees
from tests.properties.profiles import examples
from tests.support import RepoBuilder, make_home, sealed_environment

Stages = dict[int, tuple[int, str]]
_LABELS = re.compile(rb"^((?:<{7,}|>{7,}) ).*$", re.MULTILINE)
_MADE_UP = re.compile(rb"~(?:HEAD|theirs)(?:_\d+)?$")
_MARKED = re.compile(rb"^<{7,} ", re.MULTILINE)


@pytest.fixture(scope="module")
def repo(tmp_path_factory: pytest.TempPathFactory) -> RepoBuilder:
    folder = tmp_path_factory.mktemp("merges")
    return RepoBuilder(folder / "repo", sealed_environment(make_home(folder / "home")))


class Merged:
    """What `git merge` made of it: the index with its stages, and the working tree."""

    def __init__(self, repo: RepoBuilder, states: list[Tree]) -> None:
        for setting in ("merge.renames=true", "merge.directoryRenames=false", "merge.renames=false"):
            for name in ("index", "index.lock", "MERGE_HEAD"):
                (repo.root / ".git" / name).unlink(missing_ok=True)
            repo.remove(*(path.name for path in repo.root.iterdir() if path.name != ".git"))
            repo.git("checkout", "-q", "-f", "ours")
            if merges(repo, setting):
                break
        self.repo = repo
        self.known = {hash_blob("sha1", [data]): data for state in states for _, data in state.values()}
        self.decided: dict[bytes, tuple[int, str]] = {}
        self.stages: dict[bytes, Stages] = {}
        for row in repo.git_bytes("ls-files", "-s", "-z").split(b"\0")[:-1]:
            head, _, path = row.partition(b"\t")
            mode, oid, stage = head.decode().split()
            if stage == "0":
                self.decided[path] = int(mode, 8), oid
            else:
                self.stages.setdefault(path, {})[int(stage)] = int(mode, 8), oid

    def homes(self) -> dict[bytes, Stages]:
        """Return the stages with those of made-up names at the path that was taken; what both took away is decided."""
        found: dict[bytes, Stages] = {}
        for path, stages in sorted(self.stages.items()):
            found.setdefault(_MADE_UP.sub(b"", path), {}).update(stages)
        return {path: stages for path, stages in found.items() if set(stages) != {1}}

    def blob(self, stage: tuple[int, str] | None) -> bytes | None:
        if stage is None:
            return None
        return self.known.get(stage[1]) or self.repo.git_bytes("cat-file", "blob", stage[1])

    def on_disk(self, path: bytes) -> bytes:
        place = os.fsencode(self.repo.path(path))
        return os.fsencode(os.readlink(place)) if os.path.islink(place) else Path(os.fsdecode(place)).read_bytes()


EVERYWHERE = ('quo"te', "sp ace", "new\nline", "d/one", "d/e/three", "d/e/four", "g/five")
BASE = first_tree([path.encode() for path in EVERYWHERE])


@examples(150)
@example(  # git makes an entry without an object, and stops
    base=BASE,
    ours=[Edit("move folder", b"g", b"h"), Edit("rename", b"d/e/four", b"\ttab"), Edit("add", b"d/e", word=b"{")],
    theirs=[
        Edit("delete", b"sp ace"),
        Edit("rename", b"d/one", b"h/new"),
        Edit("move folder", b"d/e", b"k/l"),
        Edit("move folder", b"g", b"h"),
        Edit("cut", b"d/e/four", line=12),
    ],
    told=(False, True),
)
@example(  # git makes a file in a file, and stops
    base=first_tree([b"d/one", b'quo"te', b"sp ace", b"new\nline"]),
    ours=[Edit("change", b'quo"te', line=0, word=b"red"), Edit("move folder", b"d", b"h")],
    theirs=[
        Edit("change", b'quo"te', line=0, word=b"red"),
        Edit("rename", b'quo"te', b"d/one/inside"),
        Edit("rename", b"sp ace", b"d/new"),
    ],
    told=(False, False),
)
@example(  # theirs renames a file, and ours added one of that name
    base=BASE,
    ours=[Edit("add", b"d/new", word=b"red"), Edit("change", b'quo"te', line=0, word=b"red")],
    theirs=[Edit("change", b'quo"te', line=0, word=b"green"), Edit("rename", b'quo"te', b"d/new")],
    told=(False, False),
)
@example(  # only the place of a file was changed on one side, and the other has no file there any more
    base=BASE,
    ours=[Edit("rename", b"sp ace", b"new\nline")],
    theirs=[Edit("rename", b"new\nline", b"d/new")],
    told=(True, True),
)
@given(base=trees(), ours=edits(), theirs=edits(), told=st.tuples(st.booleans(), st.booleans()))
def test_a_merge_has_the_files_and_conflicts_of_git_merge(
    repo: RepoBuilder, base: Tree, ours: list[Edit], theirs: list[Edit], told: tuple[bool, bool]
) -> None:
    states = [base, changed(base, ours), changed(base, theirs)]
    commits = commit_all(repo, *states)
    by_git = Merged(repo, states)
    sides = [
        side_of(commits[0], base, state) if as_changes else TreeSide(one)
        for one, state, as_changes in zip(commits[1:], states[1:], told, strict=True)
    ]
    repository = open_repository(repo.root, GitCommand.find(repo.environment))
    with merge_trees(repository, TreeSide(commits[0]), sides[0], sides[1], scratch_in(repo.root.parent)) as merged:
        check_conflicts(by_git, merged.conflicts, states)
        check_files(by_git, merged, states[1])
        conflicts = merged.conflicts
    for choice in (Choice.OURS, Choice.THEIRS):
        options = (
            {"strategy": Strategy(choice.value)}
            if told[0]
            else {"resolve": lambda _, choice=choice: Resolution(choice)}
        )
        with merge_trees(repository, TreeSide(commits[0]), *sides, scratch_in(repo.root.parent), **options) as merged:
            check_taken(merged, conflicts, states[1], choice)
            if choice is Choice.OURS:
                check_kept(merged, states)


def check_kept(merged: MergedTree, states: list[Tree]) -> None:
    """Where ours is taken, what only ours has is still there, or merged with something into what nobody had."""
    base, ours, theirs = ({data for _, data in state.values()} for state in states)
    changed = {merged.read(path) for path, file in merged.changes.items() if file is not None}
    result = changed | {data for path, (_, data) in states[1].items() if path not in merged.changes}
    lost = ours - base - theirs - result
    assert len(lost) <= len(result - base - ours), lost


def check_taken(merged: MergedTree, conflicts: list[Conflict], ours: Tree, choice: Choice) -> None:
    """A side that is taken everywhere leaves no conflict, no marker, and has what the conflicts showed of it."""
    assert merged.conflicts == []
    result = {path: data for path, (_, data) in ours.items()}
    for path in merged.changes:
        result.pop(path, None)
        if merged.changes[path] is not None:
            result[path] = merged.read(path)
            assert not _MARKED.search(result[path])
    for path in result:
        assert not any(path.startswith(other + b"/") for other in result)
    for conflict in conflicts:
        shown = conflict.ours if choice is Choice.OURS else conflict.theirs
        is_folder = any(path.startswith(conflict.path + b"/") for path in result)
        if (
            conflict.path in merged.settled
            and not is_folder
            and "renamed" not in conflict.reason
            and not conflict.merged
        ):
            assert result.get(conflict.path) == shown, conflict


def merges(repo: RepoBuilder, setting: str) -> bool:
    """Run `git merge`; return whether git got through it, with or without conflicts."""
    command = ["git", "-c", setting, "merge", "-q", "--no-commit", "--no-ff", "theirs"]
    done = subprocess.run(command, cwd=repo.root, env=repo.environment, capture_output=True, check=False)
    assert done.returncode in (0, 1, 128, -6), done
    return done.returncode in (0, 1)


def check_conflicts(by_git: Merged, conflicts: list[Conflict], states: list[Tree]) -> None:
    expected = by_git.homes()
    assert sorted(conflict.path for conflict in conflicts) == sorted(expected)
    for conflict in conflicts:
        event(conflict.kind.value)
        stages = expected[conflict.path]
        for number, shown in enumerate((conflict.base, conflict.ours, conflict.theirs), start=1):
            blob = by_git.blob(stages.get(number))
            if blob is not None and _MARKED.search(blob):
                blob = states[number - 1][conflict.path][1]
            assert shown == blob, (conflict, number)
        if conflict.merged is not None:
            assert _LABELS.sub(rb"\1", conflict.merged) == _LABELS.sub(rb"\1", by_git.on_disk(conflict.path))
        elif conflict.kind is ConflictKind.CONTENT and stages[2][0] != LINK:
            assert b"\0" in (conflict.ours or b"") + (conflict.theirs or b""), conflict


def check_files(by_git: Merged, merged: MergedTree, ours: Tree) -> None:
    result = {path: (mode, hash_blob("sha1", [data])) for path, (mode, data) in ours.items()}
    for path, file in merged.changes.items():
        if file is None:
            del result[path]
        else:
            result[path] = file.mode, file.oid
            assert hash_blob("sha1", [merged.read(path)]) == file.oid
    event("clean" if not merged.conflicts else "not clean")
    waiting = {one.path for one in merged.conflicts if one.kind is ConflictKind.PLACE}
    undecided = {one.path for one in merged.conflicts}

    def is_decided(path: bytes) -> bool:
        return path not in undecided and not any(is_inside(path, folder) for folder in waiting)

    assert {path: what for path, what in result.items() if is_decided(path)} == {
        path: what for path, what in by_git.decided.items() if is_decided(path)
    }
    for path in undecided:
        assert result.get(path) == ((ours[path][0], hash_blob("sha1", [ours[path][1]])) if path in ours else None)
