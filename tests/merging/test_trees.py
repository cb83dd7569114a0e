"""What becomes of ours: changes, conflicts and their resolutions, and that nothing else is touched."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from chronos.errors import GitFailedError, MissingChunkError
from chronos.git import GITLINK_MODE, GitCommand, TreeFile, TreeSide, hash_blob, open_repository, plain_folder
from chronos.merging import (
    Choice,
    Conflict,
    ConflictKind,
    MergedTree,
    Origin,
    Resolution,
    Settled,
    Strategy,
    merge_trees,
)
from tests.merging.histories import EXECUTABLE, FILE, LINK, Tree, file_of, scratch_in, side_of
from tests.support import RepoBuilder, git_folder_digest, tree_digest

LINES = b"".join(b"line %d\n" % number for number in range(20))


def edited(number: int, word: bytes = b"edited") -> bytes:
    return LINES.replace(b"line %d\n" % number, word + b"\n")


class Merging:
    """Merges of three trees, of which the first is committed in a repository."""

    def __init__(self, repo: RepoBuilder) -> None:
        self.repo = repo
        self.options: dict[str, object] = {}

    def sides(self, base: Tree, ours: Tree, theirs: Tree) -> list[TreeSide]:
        for path, (mode, data) in base.items():
            if mode == LINK:
                self.repo.link(path, data)
            else:
                self.repo.write(path, data, executable=mode == EXECUTABLE)
        commit = self.repo.commit()
        return [TreeSide(commit), side_of(commit, base, ours), side_of(commit, base, theirs)]

    def __call__(self, base: Tree, ours: Tree, theirs: Tree, **options: object) -> Result:
        repository = open_repository(self.repo.root, GitCommand.find(self.repo.environment))
        sides = self.sides(base, ours, theirs)
        scratch = scratch_in(self.repo.root.parent)
        with merge_trees(repository, *sides, scratch, **options) as merged:  # type: ignore[arg-type]
            return Result(merged, ours)


class Result:
    """What a merge made of ours."""

    def __init__(self, merged: MergedTree, ours: Tree) -> None:
        self.merged = merged
        self.changes = merged.changes
        self.conflicts = {conflict.path: conflict for conflict in merged.conflicts}
        self.tree = dict(ours)
        for path, file in merged.changes.items():
            if file is None:
                del self.tree[path]
            else:
                self.tree[path] = file.mode, merged.read(path)

    @property
    def only(self) -> Conflict:
        assert len(self.conflicts) == 1, self.conflicts
        return next(iter(self.conflicts.values()))


@pytest.fixture
def merge(repo: RepoBuilder) -> Iterator[Merging]:
    yield Merging(repo)


def plain(**files: bytes) -> Tree:
    return {name.replace("__", "/").encode(): (FILE, data) for name, data in files.items()}


# what git decides


def test_edits_of_other_lines_of_one_file_come_together(merge: Merging) -> None:
    result = merge(plain(a=LINES), plain(a=edited(2)), plain(a=edited(17)))
    assert result.tree == plain(a=edited(2).replace(b"line 17\n", b"edited\n"))
    assert result.changes[b"a"].origin is None


def test_what_only_theirs_changed_is_told_to_be_theirs(merge: Merging) -> None:
    base, ours = plain(a=LINES, b=b"b\n"), plain(a=edited(1), b=b"b\n")
    result = merge(base, ours, plain(a=LINES, b=b"new\n", c=b"c\n"))
    assert result.changes.keys() == {b"b", b"c"}
    assert result.changes[b"b"].origin == Origin(Choice.THEIRS, b"b")
    assert result.changes[b"c"].origin == Origin(Choice.THEIRS, b"c")


def test_an_edit_follows_the_file_that_ours_renamed(merge: Merging) -> None:
    result = merge(plain(old=LINES), plain(new=LINES), plain(old=edited(3)))
    assert result.tree == plain(new=edited(3))
    assert result.changes[b"new"].origin == Origin(Choice.THEIRS, b"old")


def test_an_edit_of_ours_follows_the_file_that_theirs_renamed(merge: Merging) -> None:
    result = merge(plain(old=LINES), plain(old=edited(3)), plain(new=LINES))
    assert result.tree == plain(new=edited(3))
    assert result.changes[b"old"] is None
    assert result.changes[b"new"].origin == Origin(Choice.OURS, b"old")


def test_modes_links_and_contents_are_merged_each_for_itself(merge: Merging) -> None:
    base: Tree = {b"a": (FILE, LINES), b"l": (LINK, b"x"), b"f": (FILE, b"file\n")}
    ours: Tree = {b"a": (FILE, edited(1)), b"l": (LINK, b"x"), b"f": (FILE, b"file\n")}
    theirs: Tree = {b"a": (EXECUTABLE, LINES), b"l": (LINK, b"y"), b"f": (LINK, b"a")}
    result = merge(base, ours, theirs)
    assert result.tree == {b"a": (EXECUTABLE, edited(1)), b"l": (LINK, b"y"), b"f": (LINK, b"a")}


def test_a_file_becomes_a_folder_and_a_folder_a_file(merge: Merging) -> None:
    base = plain(f=b"f\n", d__x=b"x\n", d__y=b"y\n", other=LINES)
    result = merge(base, {**base, b"other": (FILE, edited(1))}, plain(f__in=b"f\n", d=b"d\n", other=LINES))
    assert result.tree == plain(f__in=b"f\n", d=b"d\n", other=edited(1))
    assert result.merged.conflicts == []


def test_names_of_any_bytes_come_through(merge: Merging) -> None:
    names = [b'"quoted"', b"new\nline", b" lead", b"trail ", b"\xff\xfe", b"back\\slash", b"tab\t", b"-dash", b"d/\n/x"]
    theirs: Tree = {name: (FILE, b"%d\n" % number) for number, name in enumerate(names)}
    result = merge(plain(gone=b"1\n"), plain(gone=b"1\n", mine=b"2\n"), theirs)
    assert result.tree == {**theirs, b"mine": (FILE, b"2\n")}
    back = merge({**theirs}, {**theirs}, {names[0]: (FILE, b"again\n")})
    assert back.tree == {names[0]: (FILE, b"again\n")}


def test_sides_without_a_common_file_come_together(merge: Merging) -> None:
    repository = open_repository(merge.repo.root, GitCommand.find(merge.repo.environment))
    ours, theirs = side_of(None, {}, plain(a=b"a\n")), side_of(None, {}, plain(b=b"b\n"))
    with merge_trees(repository, TreeSide(None), ours, theirs, scratch_in(merge.repo.root.parent)) as merged:
        assert {path: merged.read(path) for path in merged.changes} == {b"b": b"b\n"}


def test_sides_of_other_commits_than_the_base_are_merged(merge: Merging, repo: RepoBuilder) -> None:
    base, _, _ = merge.sides(plain(a=LINES, b=b"b\n"), {}, {})
    repo.write("a", edited(1))
    ours = repo.commit()
    repo.git("checkout", "-q", "-b", "other", str(base.base))
    repo.write("a", edited(18))
    theirs = repo.commit()
    repository = open_repository(repo.root, GitCommand.find(repo.environment))
    sides = TreeSide(ours), TreeSide(theirs, {b"b": None, b"c": file_of(b"c\n")})
    with merge_trees(repository, base, *sides, scratch_in(repo.root.parent)) as merged:
        assert merged.changes[b"b"] is None
        assert merged.read(b"a") == edited(1).replace(b"line 18\n", b"edited\n")
        assert merged.read(b"c") == b"c\n"


def test_a_submodule_moves_with_the_side_that_moved_it(merge: Merging, repo: RepoBuilder) -> None:
    base, _, _ = merge.sides(plain(a=b"a\n"), {}, {})
    first, second, third = (digit * 40 for digit in "123")
    at = {number: {b"sub": TreeFile(GITLINK_MODE, oid=number)} for number in (first, second, third)}
    repository = open_repository(repo.root, GitCommand.find(repo.environment))
    base = TreeSide(base.base, at[first])
    ours, moved = TreeSide(base.base, at[first]), TreeSide(base.base, at[second])
    with merge_trees(repository, base, ours, moved, scratch_in(repo.root.parent)) as merged:
        assert (merged.changes[b"sub"].mode, merged.changes[b"sub"].oid) == (GITLINK_MODE, second)
        assert merged.read(b"sub") == second.encode()
    other = TreeSide(base.base, at[third])
    with merge_trees(repository, base, other, moved, scratch_in(repo.root.parent)) as merged:
        assert [(one.kind, one.base, one.ours, one.theirs) for one in merged.conflicts] == [
            (ConflictKind.SUBMODULE, first.encode(), third.encode(), second.encode())
        ]


def test_a_plain_folder_and_a_sha256_repository_are_merged(repo: RepoBuilder, folder: RepoBuilder) -> None:
    inner = folder.root.parent / "inner"
    folder.git("init", "-q", "--bare", str(inner))
    command = GitCommand.find(repo.environment)
    sides = [side_of(None, {}, plain(a=data)) for data in (LINES, edited(1), edited(18))]
    with merge_trees(plain_folder(folder.root, inner, command), *sides, scratch_in(inner.parent)) as merged:
        assert merged.read(b"a") == edited(1).replace(b"line 18\n", b"edited\n")
    other = repo.root.parent / "sha256"
    repo.git("init", "-q", "--object-format=sha256", str(other))
    work = Merging(RepoBuilder(other, repo.environment))
    assert work(plain(a=LINES), plain(a=edited(1)), plain(a=LINES, b=b"b\n")).tree == plain(a=edited(1), b=b"b\n")


def test_nothing_is_written_but_the_scratch_folder(merge: Merging, repo: RepoBuilder) -> None:
    sides = merge.sides(plain(a=LINES, b=LINES), plain(a=edited(1), b=edited(2)), plain(a=edited(1, b"x"), b=edited(9)))
    before = git_folder_digest(repo.root / ".git"), tree_digest(repo.root)
    repository = open_repository(repo.root, GitCommand.find(repo.environment))
    scratch = scratch_in(repo.root.parent)
    with merge_trees(repository, *sides, scratch, strategy=Strategy.UNION) as merged:
        assert merged.changes.keys() == {b"a", b"b"}
        merged.read(b"b")
    assert (git_folder_digest(repo.root / ".git"), tree_digest(repo.root)) == before


# attributes, drivers, conversions


@pytest.mark.parametrize(
    ("attribute", "kind"),
    [(b"-merge", ConflictKind.BINARY), (b"merge=binary", ConflictKind.BINARY), (b"merge=union", None)],
)  # fmt: skip
def test_merge_attributes_of_the_working_tree_count(
    merge: Merging, attribute: bytes, kind: ConflictKind | None
) -> None:
    rules: Tree = {b".gitattributes": (FILE, b"*.txt " + attribute + b"\n")}
    sides: list[Tree] = [{**rules, b"a.txt": (FILE, data)} for data in (b"1\n", b"1\n2\n", b"1\n3\n")]
    result = merge(*sides)
    if kind is None:
        assert result.tree[b"a.txt"] == (FILE, b"1\n2\n3\n")
    else:
        assert result.only.kind is kind


def test_only_the_users_own_merge_drivers_run(merge: Merging, repo: RepoBuilder, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    repo.git("config", "merge.theirs.driver", f"touch {ran}; cp %B %A")
    repo.set_global("merge.mine.driver", "cp %B %A")
    rules: Tree = {b".gitattributes": (FILE, b"a merge=theirs\nb merge=mine\n")}
    sides: list[Tree] = [{**rules, b"a": (FILE, data), b"b": (FILE, data)} for data in (b"1\n", b"2\n", b"3\n")]
    result = merge(*sides)
    assert result.only.path == b"a"
    assert result.tree[b"b"] == (FILE, b"3\n")
    assert not ran.exists()


def test_bytes_on_disk_are_merged_with_what_git_converts(merge: Merging) -> None:
    rules: Tree = {b".gitattributes": (FILE, b"*.txt text eol=crlf\n")}
    crlf = [data.replace(b"\n", b"\r\n") for data in (edited(1), edited(18))]
    result = merge(
        {**rules, b"a.txt": (FILE, LINES), b"b.txt": (FILE, LINES)},
        {**rules, b"a.txt": (FILE, crlf[0]), b"b.txt": (FILE, crlf[0])},
        {**rules, b"a.txt": (FILE, crlf[1]), b"b.txt": (FILE, edited(1, b"other").replace(b"\n", b"\r\n"))},
        strategy=Strategy.THEIRS,
    )
    assert result.tree[b"a.txt"] == (FILE, crlf[0].replace(b"line 18\r\n", b"edited\r\n"))
    assert result.tree[b"b.txt"] == (FILE, edited(1, b"other").replace(b"\n", b"\r\n"))


# conflicts


def test_a_conflict_shows_its_sides_and_what_could_be_merged(merge: Merging) -> None:
    result = merge(plain(a=LINES), plain(a=edited(5, b"mine")), plain(a=edited(5, b"yours").replace(b"9\n", b"9!\n")))
    conflict = result.only
    assert (conflict.kind, conflict.reason) == (ConflictKind.CONTENT, "both changed the same lines")
    assert (conflict.base, conflict.ours) == (LINES, edited(5, b"mine"))
    marked = b"<<<<<<< ours\nmine\n=======\nyours\n>>>>>>> theirs\n"
    assert conflict.merged == LINES.replace(b"line 5\n", marked).replace(b"9\n", b"9!\n")
    assert result.tree == plain(a=edited(5, b"mine"))


def test_the_users_style_of_conflicts_does_not_count(merge: Merging, repo: RepoBuilder) -> None:
    repo.set_global("merge.conflictStyle", "zdiff3")
    assert b"|||||||" not in (merge(plain(a=b"1\n"), plain(a=b"2\n"), plain(a=b"3\n")).only.merged or b"|||||||")


def test_large_sides_are_told_by_hash_and_can_be_chosen(merge: Merging) -> None:
    base, ours, theirs = (word * (1 << 18) + b"\0" for word in (b"base\n", b"ours\n", b"more\n"))
    conflict = merge(plain(a=base), plain(a=ours), plain(a=theirs)).only
    assert conflict.is_large and conflict.merged is None
    assert conflict.theirs == hash_blob("sha1", [theirs]).encode()
    chosen = merge(plain(a=base), plain(a=ours), plain(a=theirs), resolve=lambda _: Resolution(Choice.THEIRS))
    assert chosen.tree == plain(a=theirs)


DEEP = plain(z=b"z\n", d__x=b"x\n")
CASES: dict[str, tuple[Tree, Tree, Tree, bytes, ConflictKind]] = {
    "content": (plain(a=b"1\n"), plain(a=b"2\n"), plain(a=b"3\n"), b"a", ConflictKind.CONTENT),
    "binary": (plain(a=b"\0"), plain(a=b"\0a"), plain(a=b"\0b"), b"a", ConflictKind.BINARY),
    "added": ({}, plain(a=b"2\n"), plain(a=b"3\n"), b"a", ConflictKind.ADDED),
    "deleted by theirs": (plain(a=LINES), plain(a=edited(1)), {}, b"a", ConflictKind.DELETED),
    "deleted by ours": (plain(a=LINES), {}, plain(a=edited(1)), b"a", ConflictKind.DELETED),
    "folder of theirs": (plain(z=b"z\n"), plain(z=b"z\n", d=b"f\n"), DEEP, b"d", ConflictKind.PLACE),
    "folder of ours": (plain(z=b"z\n"), DEEP, plain(z=b"z\n", d=b"f\n"), b"d", ConflictKind.PLACE),
    "link": ({}, {b"a": (FILE, b"2\n")}, {b"a": (LINK, b"x")}, b"a", ConflictKind.MODE),
    "executable": ({}, {b"a": (FILE, b"2\n")}, {b"a": (EXECUTABLE, b"2\n")}, b"a", ConflictKind.MODE),
    "links": ({b"a": (LINK, b"1")}, {b"a": (LINK, b"2")}, {b"a": (LINK, b"3")}, b"a", ConflictKind.BINARY),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_each_kind_of_conflict_keeps_ours_until_a_side_is_taken(merge: Merging, case: str) -> None:
    base, ours, theirs, path, kind = CASES[case]
    left = merge(base, ours, theirs)
    assert (left.only.path, left.only.kind) == (path, kind)
    assert left.tree == ours
    for choice, wanted in ((Choice.OURS, ours), (Choice.THEIRS, theirs)):
        by_strategy = merge(base, ours, theirs, strategy=Strategy(choice.value))
        by_resolver = merge(base, ours, theirs, resolve=lambda _, choice=choice: Resolution(choice))
        assert by_strategy.tree == by_resolver.tree == wanted
        assert by_strategy.merged.settled == {path: Settled.STRATEGY}
        assert by_resolver.merged.settled == {path: Settled.RESOLVER}


@pytest.mark.parametrize("case", CASES)
def test_content_that_somebody_wrote_takes_the_place(merge: Merging, case: str) -> None:
    base, ours, theirs, path, _ = CASES[case]
    result = merge(base, ours, theirs, resolve=lambda _: Resolution(Choice.CONTENT, b"written"))
    rest = {other: node for other, node in ours.items() if not other.startswith(b"d/") and other != path}
    mode = (ours.get(path) or theirs[path])[0]
    if not stat.S_ISREG(mode):  # where a link leads is for a side to say, not for whoever writes texts
        assert result.only.path == path
        assert result.tree == ours
        return
    assert result.tree == {**rest, path: (mode, b"written")}


def test_a_rename_to_two_places_is_decided_place_by_place(merge: Merging) -> None:
    base, ours, theirs = plain(a=LINES), plain(b=edited(1)), plain(c=edited(18))
    both = edited(1).replace(b"line 18\n", b"edited\n")
    left = merge(base, ours, theirs)
    assert {path: one.kind for path, one in left.conflicts.items()} == dict.fromkeys([b"b", b"c"], ConflictKind.RENAMED)
    assert left.conflicts[b"c"].reason == "a became b in ours and c in theirs"
    assert left.tree == ours
    taken = merge(base, ours, theirs, resolve=lambda one: Resolution(Choice.THEIRS))
    assert taken.tree == plain(c=both)
    assert merge(base, ours, theirs, strategy=Strategy.UNION).tree.keys() == {b"b", b"c"}


def test_ours_of_a_place_gives_back_what_theirs_moved_into_the_folder(merge: Merging) -> None:
    base, ours = plain(q=LINES), plain(q=edited(1), p=b"a file\n")
    result = merge(base, ours, plain(p__q=edited(18)), strategy=Strategy.OURS)
    assert result.tree == ours


def test_a_side_taken_where_theirs_renamed_is_put_at_the_new_name(merge: Merging) -> None:
    base, ours, theirs = plain(a=LINES), plain(a=edited(5, b"mine")), plain(b=edited(5, b"yours"))
    left = merge(base, ours, theirs)
    assert (left.only.path, left.only.ours) == (b"b", edited(5, b"mine"))
    for choice, wanted in ((Choice.OURS, ours[b"a"]), (Choice.THEIRS, theirs[b"b"])):
        assert merge(base, ours, theirs, resolve=lambda _, c=choice: Resolution(c)).tree == {b"b": wanted}


@pytest.mark.parametrize("choice", [Choice.OURS, Choice.THEIRS])
def test_a_file_added_to_a_folder_that_the_other_side_renamed_is_lost_by_no_choice(
    merge: Merging, choice: Choice
) -> None:
    base, new = plain(d__a=LINES, d__b=edited(1)), plain(d__new=b"new\n")
    moved = plain(h__a=LINES, h__b=edited(1))
    for ours, theirs in (({**base, **new}, moved), (moved, {**base, **new})):
        left = merge(base, ours, theirs)
        assert (left.only.path, left.only.kind) == (b"h/new", ConflictKind.RENAMED)
        taken = merge(base, ours, theirs, resolve=lambda _: Resolution(choice))
        assert taken.tree == {**moved, b"h/new": (FILE, b"new\n")}


# strategies and resolvers


def test_a_strategy_decides_conflicted_lines_only(merge: Merging) -> None:
    sides = plain(a=LINES), plain(a=edited(5, b"mine")), plain(a=edited(5, b"yours").replace(b"line 15\n", b"more\n"))
    for strategy, word in ((Strategy.OURS, b"mine"), (Strategy.THEIRS, b"yours"), (Strategy.UNION, b"mine\nyours")):
        result = merge(*sides, strategy=strategy)
        assert result.tree == plain(a=edited(5, word).replace(b"line 15\n", b"more\n")), strategy


@pytest.mark.parametrize(
    ("case", "wanted"),
    [
        ("content", plain(a=b"2\n3\n")),
        ("added", plain(a=b"2\n3\n")),
        ("deleted by ours", plain(a=edited(1))),
        ("deleted by theirs", plain(a=edited(1))),
        ("binary", None),
        ("link", None),
        ("folder of ours", None),
    ],
)  # fmt: skip
def test_a_union_has_both_or_is_a_conflict(merge: Merging, case: str, wanted: Tree | None) -> None:
    base, ours, theirs, path, _ = CASES[case]
    result = merge(base, ours, theirs, strategy=Strategy.UNION)
    assert result.tree == (ours if wanted is None else wanted)
    assert list(result.conflicts) == ([path] if wanted is None else [])


def test_a_resolver_is_asked_once_about_each_conflict_that_is_left(merge: Merging) -> None:
    asked: list[Conflict] = []

    def resolve(conflict: Conflict) -> Resolution | None:
        asked.append(conflict)
        return Resolution(Choice.CONTENT, b"both\n") if conflict.path == b"a" else None

    sides = [plain(a=data, b=data, c=data) for data in (b"1\n", b"2\n", b"3\n")]
    result = merge(*sides, resolve=resolve)
    assert [one.path for one in asked] == [b"a", b"b", b"c"]
    assert result.tree == plain(a=b"both\n", b=b"2\n", c=b"2\n")
    assert list(result.conflicts) == [b"b", b"c"]
    again = merge(*sides)
    assert [one.conflict_id for one in again.merged.conflicts] == [one.conflict_id for one in asked]


def test_files_with_keys_are_merged_key_by_key_before_anybody_is_asked(merge: Merging) -> None:
    sides = [b'{\n  "a": 1\n}\n', b'{\n  "a": 1,\n  "b": 2\n}\n', b'{\n  "a": 1,\n  "c": 3\n}\n']
    trees: list[Tree] = [{b"x.json": (FILE, data)} for data in sides]
    for options in ({}, {"strategy": Strategy.OURS}, {"resolve": pytest.fail}):
        result = merge(*trees, **options)
        assert result.tree[b"x.json"] == (FILE, b'{\n  "a": 1,\n  "c": 3,\n  "b": 2\n}\n')
        assert result.merged.settled == {b"x.json": Settled.KEYS}


# what cannot be


def test_a_side_that_is_not_there_or_too_short_is_an_error(merge: Merging, repo: RepoBuilder) -> None:
    base, ours, _ = merge.sides(plain(a=LINES), plain(a=edited(1)), {})
    repository = open_repository(repo.root, GitCommand.find(repo.environment))

    def run(theirs: TreeSide) -> None:
        with merge_trees(repository, base, ours, theirs, scratch_in(repo.root.parent)):
            pytest.fail("it merged")

    broken: list[Callable[[], TreeSide]] = [
        lambda: TreeSide("1" * 40),
        lambda: TreeSide(base.base, {b"x": TreeFile(FILE, 5, lambda: [b"four"])}),
        lambda: TreeSide(base.base, {b"x": TreeFile(FILE, oid="2" * 40)}),
    ]
    for side in broken:
        with pytest.raises(GitFailedError) as caught:
            run(side())
        assert "crash report" not in caught.value.message


def test_a_file_that_cannot_be_read_to_its_end_stops_the_merge(merge: Merging, repo: RepoBuilder) -> None:
    base, ours, _ = merge.sides(plain(a=LINES), plain(a=edited(1)), {})

    def pieces() -> Iterator[bytes]:
        yield b"some"
        raise MissingChunkError("gone")

    theirs = TreeSide(base.base, {b"x": TreeFile(FILE, 9, pieces)})
    repository = open_repository(repo.root, GitCommand.find(repo.environment))
    with (
        pytest.raises(MissingChunkError),
        merge_trees(repository, base, ours, theirs, scratch_in(repo.root.parent)),
    ):
        pytest.fail("it merged")


def test_a_root_with_odd_bytes_in_its_name_is_merged(repo: RepoBuilder, tmp_path: Path) -> None:
    work = RepoBuilder(tmp_path / os.fsdecode(b'a:b "\xff;c'), repo.environment)
    assert Merging(work)(plain(a=LINES), plain(a=edited(1)), plain()).only.kind is ConflictKind.DELETED
