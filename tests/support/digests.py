"""Digests of a tree, an index, a git folder and a store, as plain dictionaries: a failing comparison names the path."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.support.repository import RepoBuilder

Digest = dict[bytes, str]
STORE = b"data/timelines"


def tree_digest(root: Path, *, without: tuple[bytes, ...] = (STORE,)) -> Digest:
    """Return type, executable bit and content hash of every path that is no folder, outside `.git` and `without`."""
    top = os.fsencode(root)
    return {path: _describe(os.path.join(top, path)) for path in _walk(top, b"", (b".git",), without)}


def index_digest(repo: RepoBuilder) -> tuple[bytes, bytes, bytes]:
    """Return everything the index says: entries with stages, their flags, and what status says of added intents."""
    entries = repo.git_bytes("ls-files", "-s", "-z")
    flags = repo.git_bytes("ls-files", "-v", "-z")
    return entries, flags, repo.status()


def git_folder_digest(git_dir: Path) -> Digest:
    """Return the content hash of every file in a git folder, the index's own bytes included."""
    top = os.fsencode(git_dir)
    return {path: _describe(os.path.join(top, path)) for path in _walk(top, b"", (), ())}


def store_digest(store: Path) -> Digest:
    """Return the content hash of every sealed file of a store: packs and checkpoint folders, no caches or logs."""
    top = os.fsencode(store)
    return {path: _describe(os.path.join(top, path)) for path in _walk(top, b"", (b".git", b".store"), ())}


def _walk(top: bytes, folder: bytes, names: tuple[bytes, ...], without: tuple[bytes, ...]) -> Iterator[bytes]:
    with os.scandir(os.path.join(top, folder) if folder else top) as items:
        for item in sorted(items, key=lambda item: item.name):
            path = folder + b"/" + item.name if folder else item.name
            if item.name in names or path in without:
                continue
            if item.is_dir(follow_symlinks=False):
                yield from _walk(top, path, names, without)
            else:
                yield path


def _describe(path: bytes) -> str:
    found = os.lstat(path)
    if stat.S_ISLNK(found.st_mode):
        return f"link {os.readlink(path)!r}"
    if not stat.S_ISREG(found.st_mode):
        return f"special {stat.S_IFMT(found.st_mode):o}"
    with open(path, "rb") as stream:
        content = hashlib.blake2b(stream.read(), digest_size=16).hexdigest()
    return f"{'executable' if found.st_mode & stat.S_IXUSR else 'file'} {found.st_size} {content}"
