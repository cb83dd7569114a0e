"""Reading objects: blobs through one running `git cat-file`, trees and their differences as plain rows."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

import msgspec

from chronos.errors import GitFailedError
from chronos.files import TreePath
from chronos.git.command import GitCommand
from chronos.git.repository import Repository

GITLINK_MODE = 0o160000
LINK_MODE = 0o120000
EXECUTABLE_MODE = 0o100755
_PATHS_PER_CALL = 400


class TreeEntry(msgspec.Struct, frozen=True):
    """One path of a commit: git's mode and the id of its blob (or of the commit, for a gitlink)."""

    path: TreePath
    mode: int
    oid: str


class BlobReader:
    """A running `git cat-file --batch` (or, with `filters`, one that gives what a checkout would write)."""

    def __init__(self, command: GitCommand, *, filters: bool = False) -> None:
        self._filters = filters
        self._end = os.urandom(16).hex().encode("ascii")
        mode = ["--batch", "--filters"] if filters else ["--batch"]
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

    def has(self, oid: str) -> bool:
        """Tell whether the repository has the blob `oid`."""
        return self._ask(oid) is not None

    def _ask(self, oid: str) -> bytes | None:
        self._send(oid.encode("ascii") + b"\0")
        header = self._talk.output.readline()
        if not header.endswith(b"\n"):
            raise GitFailedError(f"git cat-file stopped at {oid}")
        fields = header.split()
        if len(fields) != 3 or not fields[2].isdigit():
            return None
        size = int(fields[2])
        data = self._talk.output.read(size + 1)
        if len(data) != size + 1:
            raise GitFailedError(f"git cat-file stopped inside {oid}")
        return data[:-1]

    def _ask_filtered(self, oid: str, path: TreePath) -> bytes | None:
        """Ask for a blob and then for a name that cannot exist: git states the size *before* filtering (2.39)."""
        self._send(oid.encode("ascii") + b" " + path + b"\0" + self._end + b"\0")
        end = self._end + b" missing\n"
        answer = bytearray()
        while not answer.endswith(end):
            piece = self._talk.output.read1(1 << 20)
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


def list_tree(repository: Repository, commit: str) -> Iterator[TreeEntry]:
    """Yield every path of `commit`."""
    output = repository.command.output("ls-tree", "-r", "-z", "--full-tree", commit)
    yield from _tree_rows(output)


def find_tree_entries(
    repository: Repository, commit: str | None, paths: Sequence[TreePath]
) -> dict[TreePath, TreeEntry]:
    """Return what `commit` holds at `paths`; a path that it does not have is missing from the answer."""
    found: dict[TreePath, TreeEntry] = {}
    if commit is None:
        return found
    for start in range(0, len(paths), _PATHS_PER_CALL):
        some = paths[start : start + _PATHS_PER_CALL]
        output = repository.command.output("ls-tree", "-z", "--full-tree", commit, "--", *some)
        found |= {entry.path: entry for entry in _tree_rows(output)}
    return found


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
    import hashlib  # OpenSSL takes 3 ms to load, and most captures hash no blob

    hasher = hashlib.new(object_format, usedforsecurity=False)
    hasher.update(b"blob %d\0" % sum(map(len, pieces)))
    for piece in pieces:
        hasher.update(piece)
    return hasher.hexdigest()


def write_blob(repository: Repository, data: bytes) -> str:
    """Write `data` into the repository as a blob, without filters, and return its id."""
    output = repository.command.output("hash-object", "-w", "--no-filters", "--stdin", input_bytes=data)
    return output.decode("ascii").strip()


def _tree_rows(output: bytes) -> Iterator[TreeEntry]:
    for row in output.split(b"\0"):
        if row:
            head, _, path = row.partition(b"\t")
            mode, kind, oid = head.split(b" ")
            if kind != b"tree":
                yield TreeEntry(path, int(mode, 8), oid.decode("ascii"))


# The id of the empty blob in SHA-1 and in SHA-256 repositories.
EMPTY_BLOBS = tuple(hash_blob(object_format, [b""]) for object_format in ("sha1", "sha256"))
