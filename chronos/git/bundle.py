"""Commits on their way between repositories, as git bundles: made of a base ref, checked apart, then taken in.

A bundle that came from outside is unpacked in a scratch repository first, with git's own strict checks (`index-pack
--strict`: fsck of every object, no missing link), because `git bundle unbundle` makes none (git 2.39). Only then do its
objects come into the user's repository. No ref comes with it, no hook runs.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from chronos.errors import DamagedParcelError, GitFailedError, IncompleteBaseError
from chronos.files import translate_os_errors
from chronos.git.objects import object_format_of
from chronos.git.refs import base_ref, find_ref
from chronos.git.repository import Repository

_LARGEST_HEAD_BYTES = 64 * 1024
_HEAD = re.compile(rb"# v[23] git bundle\n(?:@object-format=sha(?:1|256)\n)*([0-9a-f]{40,64}) [^\n]+\n\n")


def create_bundle(repository: Repository, store_id: str, commit: str, target: Path) -> None:
    """Write a bundle of `commit`, which its base ref pins, and of its whole history to the new file `target`.

    Raises IncompleteBaseError in a shallow or partial clone, GitFailedError.
    """
    shallow = repository.common_dir / "shallow"
    if shallow.is_file() and shallow.stat().st_size:
        raise IncompleteBaseError(f"{repository.root} is a shallow clone: the history of {commit[:12]} is not all here")
    try:
        repository.command.output("bundle", "create", "-q", os.fspath(target), base_ref(store_id, commit))
    except GitFailedError as cause:
        if _is_partial(repository):
            raise IncompleteBaseError(
                f"{repository.root} is a partial clone: not every object of {commit[:12]} is here",
                hint="run `git fetch --refetch --filter=blob:limit=1t`, or export without --base",
            ) from cause
        raise


def check_bundle(repository: Repository, bundle: Path, commit: str, scratch: Path) -> None:
    """Unpack a bundle in the new folder `scratch` and check all of it. Raises DamagedParcelError when git objects."""
    object_format = object_format_of(commit)
    repository.base_command.at(scratch.parent).output(
        "init", "-q", "--bare", "--template=", f"--object-format={object_format}", os.fspath(scratch)
    )
    command = repository.base_command.at(scratch, git_dir=scratch)
    try:
        with _open_pack(bundle, commit) as pack:
            command.run("index-pack", "--strict", "--stdin", input_file=pack, quiet=False)
        command.output("rev-list", "--quiet", "--objects", commit, "--")
    except GitFailedError as cause:
        raise DamagedParcelError(f"the history of base commit {commit[:12]} is refused: {cause.message}") from cause


def take_bundle(repository: Repository, bundle: Path, commit: str) -> None:
    """Write the objects of a checked bundle into the repository; git syncs the pack. Pin the commit afterwards.

    Raises GitFailedError.
    """
    with _open_pack(bundle, commit) as pack:
        repository.command.run("index-pack", "--strict", "--stdin", input_file=pack, quiet=False)
    if not has_commit(repository, commit):
        raise GitFailedError(f"the base commit {commit} did not come with its bundle")


def has_commit(repository: Repository, commit: str) -> bool:
    """Tell whether the repository has the commit and its tree."""
    return find_ref(repository, f"{commit}^{{tree}}") is not None


@contextmanager
def _open_pack(bundle: Path, commit: str) -> Iterator[BinaryIO]:
    """Open a bundle behind its head, which must name exactly `commit` and need nothing (gitformat-bundle(5))."""
    with translate_os_errors("cannot read a bundle"), open(bundle, "rb", buffering=0) as stream:
        head = stream.read(_LARGEST_HEAD_BYTES) or b""
        found = _HEAD.match(head)
        if found is None or found[1] != commit.encode("ascii"):
            raise DamagedParcelError(f"the bundle of base commit {commit[:12]} is none, or has another commit")
        stream.seek(found.end())
        yield stream


def _is_partial(repository: Repository) -> bool:
    return any(
        key == b"extensions.partialclone" or (key.startswith(b"remote.") and key.endswith(b".promisor"))
        for _, key, _ in repository.configuration
    )
