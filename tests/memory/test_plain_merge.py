"""Three-way merges of plain files and folders."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from chronos.git import GitCommand
from chronos.memory import MergeWork, StoreMerge, TableMerge, merge_lines
from chronos.memory.plain import FilesKind
from chronos.merging import Choice, Conflict, ConflictKind, Resolution, Resolver, Strategy

OURS, THEIRS = Resolution(Choice.OURS), Resolution(Choice.THEIRS)
Tree = Mapping[str, bytes | str] | bytes
LINES = b"one\ntwo\nthree\nfour\nfive\n"


def make(place: Path, tree: Tree) -> Path:
    place.mkdir(parents=True)
    if isinstance(tree, bytes):
        (place / "state.json").write_bytes(tree)
        return place / "state.json"
    for name, content in tree.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            (place / name).symlink_to(content)
        else:
            (place / name).write_bytes(content.removeprefix(b"+x"))
            (place / name).chmod(0o755 if content.startswith(b"+x") else 0o644)
    return place


def read(place: Path) -> Tree:
    if place.is_file():
        return place.read_bytes()
    return {
        path.relative_to(place).as_posix(): os.readlink(path)
        if path.is_symlink()
        else b"+x" * os.access(path, os.X_OK) + path.read_bytes()
        for path in sorted(place.rglob("*"))
        if path.is_symlink() or path.is_file()
    }


@pytest.fixture
def merged(tmp_path: Path) -> Callable[..., tuple[Tree, StoreMerge]]:
    numbers = iter(range(100))

    def merged(
        base: Tree | None,
        ours: Tree,
        theirs: Tree,
        resolution: Resolution | Resolver | None = None,
        strategy: Strategy = Strategy.CONFLICT,
        *,
        by_lines: bool = True,
    ) -> tuple[Tree, StoreMerge]:
        folder = tmp_path / str(next(numbers))
        places = [make(folder / name, tree) for name, tree in (("ours", ours), ("theirs", theirs))]
        (folder / "out").mkdir()
        lines = merge_lines(GitCommand.find({}), strategy) if by_lines else None
        resolve = resolution if callable(resolution) else lambda _: resolution
        work = MergeWork(folder / "out", b"data/notes", "notes", resolve, strategy, merge_text=lines)
        former = make(folder / "base", base) if base is not None else None
        result = FilesKind().merge(former, places[0], places[1], work)
        assert result.place == (folder / "out" if result.place.is_dir() else folder / "out" / "state.json")
        return read(result.place), result

    return merged


Merging = Callable[..., tuple[Tree, StoreMerge]]


def kinds(result: StoreMerge) -> list[tuple[ConflictKind, bytes]]:
    return [(conflict.kind, conflict.path) for conflict in result.conflicts]


def test_what_one_side_changed_is_taken(merged: Merging) -> None:
    base = {"a": b"1", "b": b"2", "deep/c": b"3", "l": "a", "x": b"x", "gone/too": b"4"}
    ours = {**base, "a": b"A", "new/o": b"o"}
    theirs = {**base, "b": b"B", "l": "b", "x": b"+xx", "new/t": b"t"}
    del theirs["deep/c"], ours["gone/too"]
    tree, result = merged(base, ours, theirs)
    assert tree == {"a": b"A", "b": b"B", "l": "b", "x": b"+xx", "new/o": b"o", "new/t": b"t"}
    assert result.conflicts == []
    assert not (result.place / "deep").exists()
    rows = [("b", 0, 1, 0), ("deep/c", 0, 0, 1), ("l", 0, 1, 0), ("new/t", 1, 0, 0), ("x", 0, 1, 0)]
    assert result.tables == [TableMerge(*row) for row in rows]


def test_texts_are_merged_by_lines(merged: Merging) -> None:
    ours, theirs = LINES.replace(b"one", b"ONE"), LINES.replace(b"five", b"FIVE")
    tree, result = merged({"t": LINES}, {"t": b"+x" + ours}, {"t": theirs})
    assert tree == {"t": b"+xONE\ntwo\nthree\nfour\nFIVE\n"} and result.conflicts == []
    single, _ = merged(LINES, ours, theirs)
    assert single == b"ONE\ntwo\nthree\nfour\nFIVE\n"


def test_lines_that_both_changed_are_a_conflict_with_all_sides(merged: Merging) -> None:
    sides = LINES, LINES.replace(b"two", b"o"), LINES.replace(b"two", b"t")
    tree, result = merged(*sides)
    (conflict,) = result.conflicts
    assert (conflict.kind, conflict.path, conflict.store) == (ConflictKind.CONTENT, b"data/notes", "notes")
    assert (conflict.base, conflict.ours, conflict.theirs) == sides
    assert conflict.merged is not None and b"<<<<<<< ours\no\n" in conflict.merged
    assert tree == sides[1]
    assert merged(*sides, THEIRS)[0] == sides[2]
    assert merged(*sides, Resolution(Choice.CONTENT, b"mine"))[0] == b"mine"
    assert merged(*sides, strategy=Strategy.THEIRS)[0] == sides[2]
    assert merged(*sides, strategy=Strategy.UNION)[0] == b"one\no\nt\nthree\nfour\nfive\n"


def test_without_a_merger_of_texts_both_changed_is_a_conflict(merged: Merging) -> None:
    tree, result = merged(LINES, LINES + b"o\n", b"t\n" + LINES, by_lines=False)
    assert (tree, kinds(result)) == (LINES + b"o\n", [(ConflictKind.CONTENT, b"data/notes")])


@pytest.mark.parametrize(("base", "ours", "theirs", "kind"), [
    ({"f": b"\0a"}, {"f": b"\0b"}, {"f": b"\0c"}, ConflictKind.BINARY),
    ({}, {"f": b"1\n"}, {"f": b"2\n"}, ConflictKind.ADDED),
    ({"f": b"1"}, {}, {"f": b"2"}, ConflictKind.DELETED),
    ({"f": b"1"}, {"f": b"2"}, {}, ConflictKind.DELETED),
    ({"f": "a"}, {"f": "b"}, {"f": "c"}, ConflictKind.CONTENT),
    ({"f": b"1"}, {"f": b"2"}, {"f": "c"}, ConflictKind.MODE),
    ({}, {"f": b"1"}, {"f": b"+x1"}, ConflictKind.MODE),
])  # fmt: skip
def test_what_cannot_be_merged_is_a_conflict(
    merged: Merging, base: Tree, ours: Tree, theirs: Tree, kind: ConflictKind
) -> None:
    tree, result = merged(base, ours, theirs)
    assert (tree, kinds(result)) == (ours, [(kind, b"data/notes/f")])
    assert merged(base, ours, theirs, OURS)[0] == ours
    assert merged(base, ours, theirs, THEIRS)[0] == theirs
    assert merged(base, ours, theirs, Resolution(Choice.CONTENT, b"written"))[0]["f"] in (b"written", b"+xwritten")


def test_large_files_are_shown_as_hashes(merged: Merging) -> None:
    sides = [b"%d" % number * 2_000_000 for number in range(3)]
    tree, result = merged(*sides)
    (conflict,) = result.conflicts
    assert conflict.is_large and conflict.kind is ConflictKind.BINARY
    assert {len(side or b"") for side in (conflict.base, conflict.ours, conflict.theirs)} == {64}
    assert tree == sides[1]


def test_a_file_here_and_a_folder_there_is_a_conflict(merged: Merging) -> None:
    tree, result = merged({"a": b"1"}, {"a": b"2"}, {"a/b": b"t"})
    assert kinds(result) == [(ConflictKind.DELETED, b"data/notes/a"), (ConflictKind.PLACE, b"data/notes/a/b")]
    assert tree == {"a": b"2"}
    assert merged({"a": b"1"}, {"a": b"2"}, {"a/b": b"t"}, THEIRS)[0] == {"a/b": b"t"}
    assert merged({"a": b"1"}, {"a": b"1"}, {"a/b": b"t"})[0] == {"a/b": b"t"}
    assert kinds(merged({}, {"a/b": b"o"}, {"a": b"t"})[1]) == [(ConflictKind.PLACE, b"data/notes/a")]
    assert merged({}, {"a/b": b"o"}, {"a": b"t"}, THEIRS)[0] == {"a": b"t"}


def test_a_file_that_was_to_stay_does_not_go_with_its_folder(merged: Merging) -> None:
    def resolve(conflict: Conflict) -> Resolution:
        return THEIRS if conflict.kind is ConflictKind.PLACE else OURS

    ours = {"dir/f": b"edited\n"}
    found, result = merged({"dir/f": b"f\n"}, ours, {"dir": b"file\n"}, resolve)
    assert found == ours
    assert {one.kind for one in result.conflicts} == {ConflictKind.PLACE, ConflictKind.DELETED}


def test_a_link_of_ours_is_never_written_through(merged: Merging, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    _, result = merged({}, {"d": str(tmp_path / "elsewhere")}, {"d/x": b"evil"})
    assert kinds(result) == [(ConflictKind.PLACE, b"data/notes/d/x")]
    assert list((tmp_path / "elsewhere").iterdir()) == []
    merged({}, {"d": str(tmp_path / "elsewhere")}, {"d/x": b"evil"}, THEIRS)
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_store_that_became_a_folder_is_had_whole(merged: Merging) -> None:
    assert merged(b"1", b"1", {"a": b"t"})[0] == {"a": b"t"}
    assert merged(b"1", {"a": b"o"}, b"1")[0] == {"a": b"o"}
    tree, result = merged(b"1", b"2", {"a": b"t"})
    assert (tree, kinds(result)) == (b"2", [(ConflictKind.STORE, b"data/notes")])
    assert merged(b"1", b"2", {"a": b"t"}, THEIRS)[0] == {"a": b"t"}


def test_without_a_base_equal_files_are_no_conflict(merged: Merging) -> None:
    tree, result = merged(None, {"a": b"1", "b": b"o"}, {"a": b"1", "c": b"t"})
    assert (tree, result.conflicts) == ({"a": b"1", "b": b"o", "c": b"t"}, [])
