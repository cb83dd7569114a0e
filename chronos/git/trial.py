"""Trying a patch out on a scratch index, with new objects in a scratch folder: no repository and no tree is written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from chronos.errors import GitFailedError
from chronos.files import TreePath, translate_os_errors
from chronos.git.command import GitCommand
from chronos.git.objects import BlobReader, TreeEntry
from chronos.git.repository import Repository


class PatchedTree(msgspec.Struct, frozen=True):
    """What a patch made: each path with its mode and blob, and a reader for those blobs."""

    entries: dict[TreePath, TreeEntry]
    blobs: BlobReader


@contextmanager
def apply_patch(
    repository: Repository, others: Sequence[Repository], base: Sequence[TreeEntry], patch: bytes, scratch: Path
) -> Iterator[PatchedTree]:
    """Apply `patch` to an index of just the `base` entries and give what comes out.

    `others` are more repositories that have blobs of the base; `scratch` is an empty folder of ours. Raises
    GitFailedError when the patch does not apply.
    """
    objects = scratch / "objects"
    with translate_os_errors(f"cannot write in {scratch}"):
        objects.mkdir(mode=0o700)
    known = [one.common_dir / "objects" for one in (repository, *others)]
    command = repository.command.with_objects(objects, known).with_index(scratch / "index")
    lines = b"".join(b"%o %s\t%s\0" % (entry.mode, entry.oid.encode("ascii"), entry.path) for entry in base)
    command.output("update-index", "-z", "--index-info", input_bytes=lines)
    if patch:
        _apply(command, patch)
    with BlobReader(command) as blobs:
        yield PatchedTree(_list(command), blobs)


def _apply(command: GitCommand, patch: bytes) -> None:
    done = command.run("apply", "--cached", "--whitespace=nowarn", "-", input_bytes=patch, ok=range(256), quiet=False)
    if done.returncode != 0:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise GitFailedError(f"git apply: {lines[0] if lines else f'exit code {done.returncode}'}")


def _list(command: GitCommand) -> dict[TreePath, TreeEntry]:
    found = {}
    for row in command.output("ls-files", "-s", "-z").split(b"\0"):
        if row:
            head, _, path = row.partition(b"\t")
            mode, oid, _ = head.split(b" ")
            found[path] = TreeEntry(path, int(mode, 8), oid.decode("ascii"))
    return found
