"""Reading objects: blobs through one running `git cat-file`, trees and their differences as plain rows."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any, BinaryIO

import msgspec

from chronos.errors import GitFailedError
from chronos.files import TreePath
from chronos.git.command import GitCommand
from chronos.git.repository import Repository

GITLINK_MODE = 0o160000
LINK_MODE = 0o120000
EXECUTABLE_MODE = 0o100755
_FILE_MODE = 0o100644
# The id of the empty blob in SHA-1 and in SHA-256 repositories.
EMPTY_BLOBS = (
    "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391",
    "473a0f4c3be8a93681a267e3b1e9a7dcda1185436fe141f7749120a303721813",
)
_SHA1_HEX = 40
_PATHS_PER_CALL = 400
# Questions and answers of one turn fit the smallest pipe buffer (64 KiB on Linux), so neither side ever waits.
_QUESTIONS_PER_TURN = 400
_PIECE_BYTES = 1 << 20
_LITTLE_BYTES = 128 * 1024


def mode_of(*, is_link: bool, executable: bool) -> int:
    """Return git's mode of a file or symlink."""
    return LINK_MODE if is_link else EXECUTABLE_MODE if executable else _FILE_MODE


class TreeEntry(msgspec.Struct, frozen=True):
    """One path of a commit: git's mode and the id of its blob (or of the commit, for a gitlink)."""

    path: TreePath
    mode: int
    oid: str


class BlobReader:
    """A running `git cat-file --batch-command` (or, with `filters`, one that gives what a checkout would write)."""

    def __init__(self, command: GitCommand, *, filters: bool = False) -> None:
        self._filters = filters
        self._end = os.urandom(16).hex().encode("ascii")
        mode = ["--batch", "--filters"] if filters else ["--batch-command"]
        self._talk = command.converse("cat-file", *mode, "-z")

    def __enter__(self) -> BlobReader:
        return self

    def __exit__(self, *_: object) -> None:
        self._talk.close()

    def read(self, oid: str, path: TreePath = b"") -> bytes:
        """Return the bytes of blob `oid`; with filters, as checked out at `path`. Raises GitFailedError."""
        data = self._ask_filtered(oid, path) if self._filters else self._ask(oid)
        if data is None:
            raise GitFailedError(f"object {oid} is missing from the repository")
        return data

    def find_sizes(self, oids: Iterable[str]) -> dict[str, int]:
        """Return the sizes in bytes of those blobs that the repository has, without filters. Raises GitFailedError."""
        wanted = list(dict.fromkeys(oids))
        found = {}
        for start in range(0, len(wanted), _QUESTIONS_PER_TURN):
            some = wanted[start : start + _QUESTIONS_PER_TURN]
            self._send(b"".join(b"info %s\0" % oid.encode("ascii") for oid in some))
            for oid in some:
                size = self._read_size(oid)
                if size is not None:
                    found[oid] = size
        return found

    def _ask(self, oid: str) -> bytes | None:
        self._send(b"contents %s\0" % oid.encode("ascii"))
        size = self._read_size(oid)
        if size is None:
            return None
        data = self._talk.output.read(size + 1)
        if len(data) != size + 1:
            raise GitFailedError(f"git cat-file stopped inside {oid}")
        return data[:-1]

    def _read_size(self, oid: str) -> int | None:
        header = self._talk.output.readline()
        if not header.endswith(b"\n"):
            raise GitFailedError(f"git cat-file stopped at {oid}")
        fields = header.split()
        return int(fields[2]) if len(fields) == 3 and fields[2].isdigit() else None

    def _ask_filtered(self, oid: str, path: TreePath) -> bytes | None:
        """Ask for a blob and then for a name that cannot exist: git states the size *before* filtering (2.39)."""
        self._send(oid.encode("ascii") + b" " + path + b"\0" + self._end + b"\0")
        end = self._end + b" missing\n"
        answer = bytearray()
        while not answer.endswith(end):
            piece = self._talk.output.read1(_PIECE_BYTES)
            if not piece:
                raise GitFailedError(f"git cat-file stopped at {oid}")
            answer += piece
        header, _, data = bytes(answer[: -len(end)]).partition(b"\n")
        return None if header.endswith(b" missing") else data[:-1]

    def _send(self, question: bytes) -> None:
        try:
            self._talk.input.write(question)
            self._talk.input.flush()
        except BrokenPipeError as cause:
            raise GitFailedError("git cat-file stopped by itself") from cause


def list_blobs(repository: Repository) -> Iterator[tuple[str, int]]:
    """Yield the id and the size in bytes of every blob that the repository has, reachable or not."""
    what = "--batch-check=%(objecttype) %(objectname) %(objectsize)"
    for row in repository.command.output("cat-file", "--batch-all-objects", "--unordered", what).splitlines():
        kind, oid, size = row.split(b" ")
        if kind == b"blob":
            yield oid.decode("ascii"), int(size)


def list_tree(repository: Repository, commit: str) -> Iterator[TreeEntry]:
    """Yield every path of `commit`."""
    output = repository.command.output("ls-tree", "-r", "-z", "--full-tree", commit)
    yield from _tree_rows(output)


def find_tree_entries(
    repository: Repository, commit: str | None, paths: Sequence[TreePath]
) -> dict[TreePath, TreeEntry]:
    """Return what `commit` holds at `paths`; a path that it does not have is missing from the answer."""
    if commit is None or not paths:
        return {}
    known = repository.known_entries.get(commit, {})
    found = {path: known[path] for path in paths if path in known}
    missing = [path for path in paths if path not in known] if found else paths
    return found | _ask_tree(repository, commit, missing) if missing else found


def _ask_tree(repository: Repository, commit: str, paths: Sequence[TreePath]) -> dict[TreePath, TreeEntry]:
    if len(paths) > _PATHS_PER_CALL:  # git compares every path of a folder with every path asked for
        wanted = set(paths)
        return {entry.path: entry for entry in list_tree(repository, commit) if entry.path in wanted}
    output = repository.command.output("ls-tree", "-z", "--full-tree", commit, "--", *paths)
    return {entry.path: entry for entry in _tree_rows(output)}


def has_tree_path(repository: Repository, commit: str, path: TreePath) -> bool:
    """Tell whether `commit` has a file or a folder at `path`."""
    return bool(repository.command.output("ls-tree", "-z", "--full-tree", commit, "--", path))


def diff_trees(repository: Repository, old: str | None, new: str | None) -> list[TreePath]:
    """Return the paths that differ between two commits, in order; None stands for an empty tree."""
    if old == new:
        return []
    if old is None or new is None:
        return [entry.path for entry in list_tree(repository, old or new or "")]
    output = repository.command.output("diff-tree", "-r", "-z", "--no-renames", "--name-only", old, new)
    return [path for path in output.split(b"\0") if path]


def hash_blob(object_format: str, pieces: Sequence[bytes]) -> str:
    """Return the id that git gives a blob of these bytes in a repository of that object format."""
    return _hash(object_format, sum(map(len, pieces)), pieces)


def object_format_of(oid: str) -> str:
    """Return the object format whose ids are as long as `oid`."""
    return "sha1" if len(oid) == _SHA1_HEX else "sha256"


def matches_blob(oid: str, stream: BinaryIO) -> bool:
    """Tell whether a seekable stream holds the bytes of the blob `oid`, reading it piece by piece. Raises OSError."""
    size = stream.seek(0, os.SEEK_END)
    stream.seek(0)
    return _hash(object_format_of(oid), size, iter(lambda: stream.read(_PIECE_BYTES), b"")) == oid


def write_blob(repository: Repository, data: bytes) -> str:
    """Write `data` into the repository as a blob, without filters, and return its id."""
    output = repository.command.output("hash-object", "-w", "--no-filters", "--stdin", input_bytes=data)
    return output.decode("ascii").strip()


def _hash(object_format: str, size: int, pieces: Iterable[bytes]) -> str:
    hasher = new_hasher(object_format, size)
    hasher.update(b"blob %d\0" % size)
    for piece in pieces:
        hasher.update(piece)
    identity: str = hasher.hexdigest()
    return identity


def new_hasher(object_format: str, size: int) -> Any:
    """Return a hasher for `size` bytes: OpenSSL takes 4 ms to load and 0.5 for a MB, Python's own SHA-1 nothing and 4.

    Its module is private; the standard library's `random` takes such a one in the same way.
    """
    if object_format == "sha1" and size <= _LITTLE_BYTES:
        with suppress(ImportError):
            from _sha1 import sha1  # type: ignore[import-not-found]

            return sha1(usedforsecurity=False)
    import hashlib

    return hashlib.new(object_format, usedforsecurity=False)


def _tree_rows(output: bytes) -> Iterator[TreeEntry]:
    for row in output.split(b"\0"):
        if row:
            head, _, path = row.partition(b"\t")
            mode, kind, oid = head.split(b" ")
            if kind != b"tree":
                yield TreeEntry(path, int(mode, 8), oid.decode("ascii"))
