"""Two histories that begin at one tree, as values: what stands at each path, and what each side does to it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from hypothesis import strategies as st

from chronos.git import TreeFile, TreeSide
from tests.support import RepoBuilder

FILE, EXECUTABLE, LINK = 0o100644, 0o100755, 0o120000
Tree = dict[bytes, tuple[int, bytes]]

_PATHS = (b'quo"te', b"sp ace", b"new\nline", b"\xff\xfe", b"d/one", b"d/e/three", b"d/e/four", b"g/five", b"g/six")
_NEW = (b"d/new", b"d/e/new", b"h/new", b'quo"te/inside', b"d/one/inside", b"g", b"d/e", b"\ttab")
_WORDS = (b"red", b"green", b"blue", b"", b"a much longer line that says more", b"\xff", b"{", b"}", b"\r")


@dataclass(frozen=True)
class Edit:
    """Something a side does. What cannot be done to the tree as it is is not done."""

    what: str
    path: bytes
    to: bytes = b""
    line: int = 0
    word: bytes = b""


def trees() -> st.SearchStrategy[Tree]:
    """A tree to begin with: texts that differ enough to be told apart, some binary files and links."""
    return st.lists(st.sampled_from(_PATHS), min_size=4, max_size=8, unique=True).map(first_tree)


def edits() -> st.SearchStrategy[list[Edit]]:
    """What one side does."""
    paths, new = st.sampled_from(_PATHS), st.sampled_from((*_NEW, *_PATHS))
    lines, words = st.sampled_from([0, 1, 2, 12, 19, 20]), st.sampled_from(_WORDS)
    edit_line = st.builds(Edit, st.sampled_from(["change", "insert", "cut"]), paths, line=lines, word=words)
    others = st.one_of(
        st.builds(Edit, st.sampled_from(["delete", "chmod"]), paths),
        st.builds(Edit, st.just("rename"), paths, new),
        st.builds(Edit, st.just("rename"), paths, new),
        st.builds(Edit, st.sampled_from(["add", "add", "link", "binary"]), new, word=words),
        st.builds(Edit, st.just("move folder"), st.sampled_from([b"d", b"g", b"d/e"]), st.sampled_from([b"h", b"k/l"])),
    )
    return st.lists(st.one_of(edit_line, edit_line, others), min_size=1, max_size=9)


def changed(tree: Tree, made: list[Edit]) -> Tree:
    """Return the tree after the edits."""
    result = dict(tree)
    for edit in made:
        _apply(result, edit)
    return result


def commit_all(repo: RepoBuilder, base: Tree, ours: Tree, theirs: Tree) -> list[str]:
    """Commit three trees as branches `base`, `ours` and `theirs` of one history; return the commits."""
    stream = []
    for number, (name, tree) in enumerate(((b"base", base), (b"ours", ours), (b"theirs", theirs)), start=1):
        stream.append(b"commit refs/heads/%s\nmark :%d\ncommitter a <a> 0 +0000\ndata 0\n" % (name, number))
        stream.append(b"from :1\ndeleteall\n" if number > 1 else b"deleteall\n")
        for path, (mode, data) in tree.items():
            quoted = b"".join(b"\\%03o" % byte for byte in path)
            stream.append(b'M %o inline "%s"\ndata %d\n%s\n' % (mode, quoted, len(data), data))
        stream.append(b"\n")
    answer = b"".join((*stream, *(b"get-mark :%d\n" % number for number in (1, 2, 3)), b"done\n"))
    return repo.git("fast-import", "--quiet", "--force", "--done", input=answer).split()


def side_of(base: str | None, before: Tree, after: Tree) -> TreeSide:
    """Return the side that is `after`, told by what differs from `before`, which is the commit `base`."""
    changes: dict[bytes, TreeFile | None] = {path: None for path in before if path not in after}
    for path, (mode, data) in after.items():
        if before.get(path) != (mode, data):
            changes[path] = file_of(data, mode)
    return TreeSide(base, changes)


def file_of(data: bytes, mode: int = FILE) -> TreeFile:
    """Return a file with these bytes, given in two pieces."""
    return TreeFile(mode, len(data), lambda: [data[:3], data[3:]])


def scratch_in(folder: Path) -> Path:
    """Return a new empty folder."""
    path = folder / f"scratch-{os.urandom(6).hex()}"
    path.mkdir()
    return path


def first_tree(paths: list[bytes]) -> Tree:
    tree: Tree = {}
    for number, path in enumerate(paths):
        if path in (b"g/six",):
            tree[path] = (FILE, b"\0binary %d" % number + bytes(range(256)))
        elif path == b"sp ace":
            tree[path] = (LINK, b"somewhere")
        else:
            tree[path] = (FILE, b"".join(b"%s line %d\n" % (path.replace(b"\n", b""), line) for line in range(20)))
    return tree


def _apply(tree: Tree, edit: Edit) -> None:
    mode, data = tree.get(edit.path, (0, b""))
    if edit.what in ("add", "link", "binary"):
        new = {"add": (FILE, b"one\n" + edit.word + b"\nthree\n"), "link": (LINK, b"to" + edit.word.strip())}
        _put(tree, edit.path, new.get(edit.what, (FILE, b"\0" + edit.word)))
    elif edit.what == "move folder":
        for path in [path for path in tree if path.startswith(edit.path + b"/")]:
            _put(tree, edit.to + path[len(edit.path) :], tree.pop(path))
    elif not mode:
        return
    elif edit.what == "delete":
        del tree[edit.path]
    elif edit.what == "rename":
        _put(tree, edit.to, tree.pop(edit.path))
    elif edit.what == "chmod" and mode != LINK:
        tree[edit.path] = (mode ^ FILE ^ EXECUTABLE, data)
    elif mode != LINK:
        lines = data.split(b"\n")
        at = edit.line % len(lines)
        lines[at : at + (edit.what != "insert")] = [] if edit.what == "cut" else [edit.word]
        tree[edit.path] = (mode, b"\n".join(lines))


def _put(tree: Tree, path: bytes, node: tuple[int, bytes]) -> None:
    """Put something at a path, whatever stands there, above it or under it."""
    for other in list(tree):
        if other == path or other.startswith(path + b"/") or path.startswith(other + b"/"):
            del tree[other]
    tree[path] = node
