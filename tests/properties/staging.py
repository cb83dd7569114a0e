"""What can be done to an index, applied with as few git processes as there are kinds of edits."""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from hypothesis import strategies as st

from tests.properties.trees import File, Link, Node, nodes
from tests.support import RepoBuilder, tree_digest

_ZERO = b"0" * 40


@dataclass(frozen=True)
class Stage:
    """What is on disk is staged, as `git add` without conversions; a path that is gone leaves the index."""

    path: bytes


@dataclass(frozen=True)
class StageOther:
    """Something else than what is on disk is staged."""

    path: bytes
    node: Node


@dataclass(frozen=True)
class Unstage:
    """`git rm --cached`."""

    path: bytes


@dataclass(frozen=True)
class Conflict:
    """A merge left these sides of a path: base, ours, theirs; None where a side has none."""

    path: bytes
    sides: tuple[Node | None, Node | None, Node | None]


@dataclass(frozen=True)
class IntendNth:
    """`git add --intent-to-add` for one of the paths that are on disk and not in the index.

    `afterwards` is what becomes of the file: "kept", "gone", "program" or "link".
    """

    number: int
    afterwards: str = "kept"


@dataclass(frozen=True)
class FlagNth:
    """`git update-index --assume-unchanged` or `--skip-worktree` for one of the paths in the index."""

    number: int
    option: str


@dataclass(frozen=True)
class Porcelain:
    """A whole git command that moves the index."""

    arguments: tuple[str, ...]


IndexEdit: TypeAlias = Stage | StageOther | Unstage | Conflict | IntendNth | FlagNth | Porcelain


def index_edits(paths: st.SearchStrategy[bytes]) -> st.SearchStrategy[IndexEdit]:
    """Anything that can be staged, path by path."""
    side = st.one_of(st.none(), nodes())
    conflicts = st.tuples(side, side, side).filter(any)
    return st.one_of(
        st.builds(Stage, paths),
        st.builds(Stage, paths),
        st.builds(StageOther, paths, nodes()),
        st.builds(Unstage, paths),
        st.builds(IntendNth, st.integers(0, 9), st.sampled_from(("kept", "gone", "program", "link"))),
        st.builds(Conflict, paths, conflicts),
        st.builds(FlagNth, st.integers(0, 9), st.sampled_from(("--assume-unchanged", "--skip-worktree"))),
    )


def porcelain_edits() -> st.SearchStrategy[IndexEdit]:
    """The commands that agents run by habit."""
    return st.sampled_from((Porcelain(("add", "-A")), Porcelain(("reset", "-q")), Porcelain(("add", "-u"))))


def apply_to_index(repo: RepoBuilder, edits: Sequence[IndexEdit]) -> None:
    """Apply edits in order of kind: commands, entries, intents, flags."""
    for edit in edits:
        if isinstance(edit, Porcelain):
            repo.git(*edit.arguments)
    rows = [row for edit in edits for row in _rows(repo, edit)]
    if rows:
        repo.git("update-index", "-z", "--index-info", input=b"".join(row + b"\0" for row in rows))
    intended = [edit for edit in edits if isinstance(edit, IntendNth)]
    if intended:
        _intend(repo, intended)
    flagged = [edit for edit in edits if isinstance(edit, FlagNth)]
    if flagged:
        _flag(repo, flagged)


def write_blob(repo: RepoBuilder, node: Node) -> bytes:
    """Write a loose object as git does, without a process, and return its id."""
    data = node.target if isinstance(node, Link) else node.content
    whole = b"blob %d\0%s" % (len(data), data)
    oid = hashlib.sha1(whole, usedforsecurity=False).hexdigest()
    git_dir = repo.root / ".git"
    common = git_dir if git_dir.is_dir() else repo.root / repo.git("rev-parse", "--git-common-dir")
    path = common / "objects" / oid[:2] / oid[2:]
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(zlib.compress(whole, 1))
    return oid.encode()


def _rows(repo: RepoBuilder, edit: IndexEdit) -> list[bytes]:
    if isinstance(edit, Stage):
        node = _on_disk(repo, edit.path)
        return [_removal(edit.path)] + ([_row(repo, edit.path, node, 0)] if node else [])
    if isinstance(edit, StageOther):
        return [_removal(edit.path), _row(repo, edit.path, edit.node, 0)]
    if isinstance(edit, Unstage):
        return [_removal(edit.path)]
    if isinstance(edit, Conflict):
        sides = [_row(repo, edit.path, node, number) for number, node in enumerate(edit.sides, 1) if node]
        return [_removal(edit.path), *sides]
    return []


def _row(repo: RepoBuilder, path: bytes, node: Node, stage: int) -> bytes:
    mode = b"120000" if isinstance(node, Link) else b"100755" if node.executable else b"100644"
    return b"%s %s %d\t%s" % (mode, write_blob(repo, node), stage, path)


def _removal(path: bytes) -> bytes:
    return b"0 %s\t%s" % (_ZERO, path)


def _on_disk(repo: RepoBuilder, path: bytes) -> Node | None:
    place = repo.path(path)
    if _has_link_above(repo, path) or not os.path.lexists(place):
        return None
    if place.is_symlink():
        return Link(os.readlink(os.fsencode(place)))
    return File(place.read_bytes(), os.access(place, os.X_OK)) if place.is_file() else None


def _intend(repo: RepoBuilder, edits: list[IntendNth]) -> None:
    listed = set(_listed(repo))
    found = [path for path in sorted(tree_digest(repo.root)) if path not in listed]
    chosen = {found[edit.number % len(found)]: edit.afterwards for edit in edits} if found else {}
    if chosen:
        repo.git("--literal-pathspecs", "add", "--intent-to-add", "--", *sorted(chosen))
    for path, afterwards in chosen.items():
        if afterwards == "gone":
            repo.remove(path)
        elif afterwards == "program":
            repo.write(path, "#!/bin/sh\n", executable=True)
        elif afterwards == "link":
            repo.link(path, "intended")


def _flag(repo: RepoBuilder, edits: list[FlagNth]) -> None:
    listed = _listed(repo, without_conflicts=True)
    for option in sorted({edit.option for edit in edits}) if listed else ():
        paths = sorted({listed[edit.number % len(listed)] for edit in edits if edit.option == option})
        repo.git("update-index", option, "-z", "--stdin", input=b"".join(path + b"\0" for path in paths))


def _listed(repo: RepoBuilder, *, without_conflicts: bool = False) -> list[bytes]:
    """Return the paths in the index."""
    rows = (row.partition(b"\t") for row in repo.git_bytes("ls-files", "-s", "-z").split(b"\0") if row)
    return sorted({path for head, _, path in rows if head.endswith(b" 0") or not without_conflicts})


def _has_link_above(repo: RepoBuilder, path: bytes) -> bool:
    parts = path.split(b"/")
    return any(repo.path(b"/".join(parts[:count])).is_symlink() for count in range(1, len(parts)))
