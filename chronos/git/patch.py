"""Patches for people and `git apply`: what git says of tracked paths, and new-file hunks made here.

pygit2 renders differences of two contents in memory; a capture does not need it and does not import it.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from pathlib import Path

import msgspec

from chronos.background import in_background
from chronos.files import TreePath
from chronos.git.objects import TreeEntry, hash_blob
from chronos.git.repository import Repository
from chronos.git.scratch_index import write_scratch_index

_MANY_ENTRIES = 256
_BINARY_PROBE_BYTES = 8000
_BASE85_LINE_BYTES = 52
_LENGTH_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_PLAIN = frozenset(range(0x20, 0x7F)) - {0x22, 0x5C}
_ESCAPES = {0x07: b"a", 0x08: b"b", 0x09: b"t", 0x0A: b"n", 0x0B: b"v", 0x0C: b"f", 0x0D: b"r", 0x22: b'"', 0x5C: b"\\"}


def diff_from_base(repository: Repository, base: Sequence[TreeEntry], scratch: Path, prefix: bytes) -> bytes:
    """Return git's binary-safe patch from the `base` entries to what is on disk; `prefix` goes before each name.

    `git diff-index COMMIT -- PATHS` is quadratic in the size of the index (10 s for one path of 100,000, git 2.39), so
    a scratch index of just these entries is compared with the disk. Of many a second git does the first half: each
    takes it 70 µs.
    """
    if len(base) >= _MANY_ENTRIES:
        rows = sorted(base, key=lambda entry: entry.path)
        middle, beside = len(rows) // 2, scratch.with_name(f"{scratch.name}-beside")
        first = in_background(lambda: _diff(repository, rows[:middle], beside, prefix))
        try:
            rest = _diff(repository, rows[middle:], scratch, prefix)
        finally:
            half = first()
        return half + rest
    return _diff(repository, base, scratch, prefix) if base else b""


def _diff(repository: Repository, base: Sequence[TreeEntry], scratch: Path, prefix: bytes) -> bytes:
    write_scratch_index(scratch, base)
    command = repository.command.with_index(scratch)
    lead = prefix.decode("utf-8", "surrogateescape")
    return command.output(
        "diff-files", "-p", "--binary", "--full-index", "--no-renames", "--no-ext-diff", "--no-textconv", "--no-color",
        "--ignore-submodules=all", f"--src-prefix=a/{lead}", f"--dst-prefix=b/{lead}",
    )  # fmt: skip


def new_file_patch(path: TreePath, mode: int, data: bytes, object_format: str) -> bytes:
    """Return a patch that creates `path` with git mode `mode` and content `data`, as git would print it."""
    oid = hash_blob(object_format, [data]).encode("ascii")
    head = b"%s\nnew file mode %o\nindex %s..%s\n" % (patch_head(path), mode, b"0" * len(oid), oid)
    if not data:
        return head
    if b"\0" in data[:_BINARY_PROBE_BYTES]:
        return head + b"GIT binary patch\n" + _binary_literal(data) + b"literal 0\nHcmV?d00001\n\n"
    return head + b"--- /dev/null\n+++ %s\n" % quote_path(b"b/" + path) + _added_lines(data)


def patch_head(path: TreePath) -> bytes:
    """Return the first line, without its end, of what a patch says of `path`."""
    return b"diff --git %s %s" % (quote_path(b"a/" + path), quote_path(b"b/" + path))


def split_patch(patch: bytes) -> dict[bytes, bytes]:
    """Return the pieces of a patch by their first lines; of a file that became a link, or was one, both are in one.

    Nothing else in a patch begins a line like that: lines of a hunk begin with a sign, and base 85 has no space.
    """
    pieces: dict[bytes, bytes] = {}
    for piece in re.split(rb"(?m)^(?=diff --git )", patch)[1:]:
        head = piece[: piece.index(b"\n")]
        pieces[head] = pieces.get(head, b"") + piece
    return pieces


def quote_path(path: bytes) -> bytes:
    """Quote a name as git does with core.quotePath (git-config(1)): C escapes inside double quotes when needed."""
    if path.isascii() and path.decode("ascii").isprintable() and b'"' not in path and b"\\" not in path:
        return path
    quoted = bytearray(b'"')
    for byte in path:
        if byte in _PLAIN:
            quoted.append(byte)
        else:
            quoted += b"\\" + (_ESCAPES.get(byte) or b"%03o" % byte)
    return bytes(quoted + b'"')


class TextPatch(msgspec.Struct, frozen=True):
    """A patch for people: its text, and how many lines it adds and removes (0 for a binary)."""

    path: TreePath
    text: str
    added: int
    removed: int
    is_binary: bool


def diff_contents(path: TreePath, old: bytes | None, new: bytes | None, old_mode: int, new_mode: int) -> TextPatch:
    """Return the patch between two contents of one path; None stands for an absent file."""
    import pygit2  # 33 ms, and only `diff` needs it

    name = path.decode("utf-8", "replace")
    patch = pygit2.Patch.create_from(old, new, old_as_path=name, new_as_path=name)
    text = (patch.data or b"").decode("utf-8", "replace")
    if old is not None and new is not None and old_mode != new_mode:
        head, _, rest = text.partition("\n")
        head = head or f"diff --git a/{name} b/{name}"
        text = f"{head}\nold mode {old_mode:o}\nnew mode {new_mode:o}\n{rest}"
    _, added, removed = patch.line_stats
    return TextPatch(path, text, added, removed, bool(patch.delta.is_binary))


def _added_lines(data: bytes) -> bytes:
    text = data.removesuffix(b"\n")
    count = text.count(b"\n") + 1  # a lone CR ends no line for git
    head = b"@@ -0,0 +1%s @@\n+" % (b",%d" % count if count != 1 else b"")
    end = b"\n" if len(text) < len(data) else b"\n\\ No newline at end of file\n"
    return head + text.replace(b"\n", b"\n+") + end


def _binary_literal(data: bytes) -> bytes:
    import base64  # 1 ms, and few new files are binary

    packed = zlib.compress(data)
    lines = [b"literal %d\n" % len(data)]
    for start in range(0, len(packed), _BASE85_LINE_BYTES):
        piece = packed[start : start + _BASE85_LINE_BYTES]
        lines.append(_LENGTH_LETTERS[len(piece) - 1].encode() + base64.b85encode(piece, pad=True) + b"\n")
    return b"".join(lines) + b"\n"
