"""Every kind of path as values that print themselves: what a file or link is, what can happen to one, and names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from hypothesis import strategies as st

from chronos.secrets import is_secret_name

ATTRIBUTES = b".gitattributes"
_NAMES = (
    b"a", b"b", b"c.txt", b"sp ace", b" lead", b"trail ", b"-dash", b"--", b"-rf", b"new\nline", b"\n", b"\r",
    b"tab\tbed", b"\xff\xfe", b"\xc3", b"ok\xe9.txt", "ünï".encode(), "u\u0308".encode(), "日本.txt".encode(),
    b"back\\slash", b"\\", b"\\x41", b"\\\\", b'quo"te', b"'", b"\x01", b"\x7f", b"\x1b[31m", b"*", b"?", b"[a]",
    b":(top)a", b":!a", b"!bang", b"#hash", b"$HOME", b"%s%n", b"~", b"CON", b"a:b", b".hidden", b"...", b"..a", b"@",
    b"HEAD", b"index.lock", b"y" * 255, b".gitignore.txt", b".github", b"git", "\u202e.txt".encode(), b"{a,b}",
    b"a;b&c|d",
)  # fmt: skip
_CONTENTS = (
    b"", b"\n", b"one\n", b"two\n", b"six\n", b"no newline", b"a\r\nb\r\n", b"a\nb\r\n", b"\r", b"a\rb\n", b"\0",
    b"\0\n\xff", b"$Id$\n", b"$Id: 12 $\r\n", b"\xef\xbb\xbfbom\n", b"\xff\xfea\0\n\0",
    b"version https://git-lfs.github.com/spec/v1\n",
)  # fmt: skip
_RULES = (
    b"", b"* text=auto\n", b"* text\n", b"* text=auto eol=crlf\n", b"*.txt text eol=crlf\n", b"* text eol=lf\n",
    b"* ident\n", b"* -text\n", b"*.txt ident text=auto\n* eol=crlf\n", b"* filter=absent\n",
)  # fmt: skip


@dataclass(frozen=True)
class File:
    """A regular file that holds `data` so many `times`."""

    data: bytes
    executable: bool = False
    times: int = 1

    @property
    def content(self) -> bytes:
        return self.data * self.times


@dataclass(frozen=True)
class Link:
    """A symbolic link; what it leads to is data."""

    target: bytes


Node: TypeAlias = File | Link


@dataclass(frozen=True)
class Put:
    """Something takes the place of whatever is at `path` and above it."""

    path: bytes
    node: Node


@dataclass(frozen=True)
class Delete:
    """The file, link or whole folder goes."""

    path: bytes


@dataclass(frozen=True)
class Chmod:
    """The executable bit of a file is turned."""

    path: bytes


@dataclass(frozen=True)
class Rename:
    """A file, link or folder moves."""

    path: bytes
    to: bytes


Edit: TypeAlias = Put | Delete | Chmod | Rename


def names() -> st.SearchStrategy[bytes]:
    """Names of every kind that both git and Linux take, and none that is secret or git's own."""
    wild = st.binary(min_size=1, max_size=8).filter(_is_free)
    return st.one_of(st.sampled_from(_NAMES), st.sampled_from(_NAMES), wild)


def paths_from(some_names: list[bytes]) -> st.SearchStrategy[bytes]:
    """Paths of one to three of the names: few names, so that files and folders meet at the same path."""
    return st.lists(st.sampled_from(some_names), min_size=1, max_size=3).map(b"/".join)


def files() -> st.SearchStrategy[File]:
    """Files of every kind: text, binary, empty, executable, and now and then one of several chunks."""
    data = st.one_of(st.sampled_from(_CONTENTS), st.binary(max_size=24))
    times = st.sampled_from((1,) * 18 + (3000, 90_000))
    return st.builds(File, data, st.booleans(), times)


def links() -> st.SearchStrategy[Link]:
    """Links that lead to a file, a folder, nothing, themselves, or out of the tree."""
    wild = st.binary(min_size=1, max_size=12).filter(lambda target: b"\0" not in target)
    known = st.sampled_from((b"a", b"nowhere", b".", b"..", b"../..", b"/etc/passwd", b"/nowhere/at/all", b"x/" * 150))
    return st.builds(Link, st.one_of(known, st.sampled_from(_NAMES), wild))


def nodes() -> st.SearchStrategy[Node]:
    return st.one_of(files(), files(), links())


def edits(paths: st.SearchStrategy[bytes]) -> st.SearchStrategy[Edit]:
    """Anything that a user does to a tree with an editor and a shell."""
    return st.one_of(
        st.builds(Put, paths, nodes()),
        st.builds(Put, paths, nodes()),
        st.builds(Delete, paths),
        st.builds(Chmod, paths),
        st.builds(Rename, paths, paths),
    )


def attribute_edits() -> st.SearchStrategy[Edit]:
    """A `.gitattributes` that converts files, one that does not, or none any more."""
    rules = st.sampled_from(_RULES).map(lambda rule: Put(ATTRIBUTES, File(rule)))
    return st.one_of(rules, rules, st.just(Delete(ATTRIBUTES)))


def _is_free(name: bytes) -> bool:
    if b"\0" in name or b"/" in name or name in (b".", b"..") or is_secret_name(name):
        return False
    return name[:1] not in (b".", b"\xe2", b"\xef") and not name.lower().startswith((b"git~", b"chronos"))
