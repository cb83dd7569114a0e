"""Paths inside a tree: bytes, POSIX separators, exactly as git names them.

A tree path is relative and keeps bytes that are no UTF-8. What may never be written (git's own folder under any
spelling, a way out of the tree) is refused here, before a file descriptor is opened.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import TypeAlias

from chronos.errors import BadPathError

TreePath: TypeAlias = bytes

_LONGEST_PATH_BYTES = 4096
_LONGEST_NAME_BYTES = 255
_KEPT_ANSWERS = 4096  # every path is asked about several times
_NO_NAMES = frozenset((b"", b".", b".."))
# Compiled when they are first used: few paths have a backslash, or `git` in a name.
_ESCAPED = rb"\\\\|\\x[0-9a-f]{2}"
# HFS+ ignores these code points in names, so `.g<U+200C>it` is `.git` there (CVE-2014-9390).
_HFS_IGNORED = "[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]"
# NTFS: trailing dots, spaces and streams do not count, and `git~1` is the short name of `.git`.
_NTFS_TAIL = r"(?s)(?:[ .]*)(?::.*)?$"


def check_tree_path(path: TreePath) -> TreePath:
    """Return `path` when it is safe to write under a root; raise BadPathError otherwise."""
    problem = _find_problem(path)
    if problem:
        raise BadPathError(f"unsafe path {display(path)!s}: {problem}")
    return path


def is_tree_path(path: TreePath) -> bool:
    """Tell whether `path` is safe to write under a root."""
    return not _find_problem(path)


def parse_tree_path(text: str) -> TreePath:
    """Turn what a person typed (`./src/`, `src`) into a tree path. Raises BadPathError."""
    path = text.encode("utf-8", "surrogateescape")
    while path.startswith(b"./"):
        path = path[2:].lstrip(b"/")
    return check_tree_path(path.rstrip(b"/") if path.strip(b"/") else path)


def to_text(path: TreePath) -> str:
    r"""Write a path as text that `from_text` reads back exactly: bytes that are no UTF-8 become `\xNN`."""
    return path.replace(b"\\", b"\\\\").decode("utf-8", "backslashreplace")


def from_text(text: str) -> TreePath:
    """Read a path written by `to_text`. Raises BadPathError."""
    path = unescape(text)
    return path if not path else check_tree_path(path)


def unescape(text: str) -> bytes:
    """Read back the bytes of any name written by `to_text`, wherever it may lead."""
    data = text.encode("utf-8", "surrogatepass")
    if b"\\" not in data:
        return data  # nearly every name
    return re.sub(_ESCAPED, lambda found: _escaped_byte(found.group()), data)


def with_siblings(path: TreePath, names: Iterable[bytes]) -> set[TreePath]:
    """Return a path, and those of other names in the same folder."""
    folder = path[: path.rfind(b"/") + 1]
    return {path, *(folder + name for name in names)}


def is_inside(path: TreePath, folder: TreePath) -> bool:
    """Tell whether `path` is `folder` itself or lies under it. The empty folder holds everything."""
    return not folder or path == folder or path.startswith(folder + b"/")


def display(path: TreePath | str) -> str:
    """Render a name for people: control characters and undecodable bytes become escapes that no terminal obeys."""
    text = path.decode("utf-8", "surrogateescape") if isinstance(path, bytes) else path
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else _escape(char) for char in text)


def _escape(char: str) -> str:
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    return char.encode("unicode_escape").decode("ascii")


def _escaped_byte(escape: bytes) -> bytes:
    return b"\\" if escape == b"\\\\" else bytes([int(escape[2:], 16)])


@lru_cache(maxsize=_KEPT_ANSWERS)
def _find_problem(path: TreePath) -> str | None:
    around = b"/%b/" % path
    if (
        len(path) <= _LONGEST_NAME_BYTES and path.isascii() and b"//" not in around and b"/." not in around
        and b"\0" not in path and b"git" not in path.lower()
    ):  # fmt: skip
        return None  # nearly every path
    if b"\0" in path:
        return "it has a NUL byte"
    if len(path) > _LONGEST_PATH_BYTES:
        return f"it is longer than {_LONGEST_PATH_BYTES} bytes"
    for name in path.split(b"/"):
        if name in _NO_NAMES:
            return "it is empty, absolute, or has an empty, `.` or `..` part"
        if len(name) > _LONGEST_NAME_BYTES:
            return f"a part is longer than {_LONGEST_NAME_BYTES} bytes"
        if (b"i" in name or b"I" in name or not name.isascii()) and _is_git_folder(name):
            return "it names git's own folder"
    return None


def _is_git_folder(name: bytes) -> bool:
    if name.isascii() and b"git" not in name.lower():
        return False
    import unicodedata  # few names get here

    text = re.sub(_HFS_IGNORED, "", name.decode("utf-8", "replace"))
    text = re.sub(_NTFS_TAIL, "", unicodedata.normalize("NFC", text).casefold())
    return text in (".git", "git~1")
