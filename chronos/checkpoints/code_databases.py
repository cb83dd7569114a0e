"""Databases that were files of the code: a committed one is in no entry while nothing in it has changed."""

from __future__ import annotations

import os
from pathlib import Path

from chronos.checkpoints.changes import Side, SideKind, StoreSide
from chronos.checkpoints.memory import keep_state
from chronos.checkpoints.sides import BlobSource
from chronos.errors import GitFailedError, IntegrityError, StorageError
from chronos.files import TreePath, to_text, write_all
from chronos.memory import CaptureWork, StorePlace, get_kind
from chronos.pool import ContentSink, PoolReader
from chronos.stat_cache import StatCache

_KIND = "sqlite"
_WAIT_S = 1.0  # for nobody: the copy is ours


def read_database(
    path: TreePath, side: Side, blobs: BlobSource, pool: PoolReader, folder: Path, sink: ContentSink
) -> StoreSide | None:
    """Return a file of the code as the memory store that it would be; None where it is no readable database.

    Its image goes into `sink`. `folder` is an empty one of ours. Raises StorageError.
    """
    if side.kind is not SideKind.FILE:
        return None
    copy = folder / os.fsdecode(path.rpartition(b"/")[2])
    descriptor = os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        if side.blob is not None:
            write_all(descriptor, blobs.read(path, side))
        elif side.content is not None:
            for piece in pool.iter_content(side.content):
                write_all(descriptor, piece)
    except (GitFailedError, IntegrityError, StorageError):
        return None
    finally:
        os.close(descriptor)
    kind = get_kind(_KIND)
    if not kind.detect(copy):
        return None
    work = CaptureWork(sink, StatCache({}), lambda _: (), lambda _path, _size: None, _WAIT_S)
    found = kind.capture(copy, work)
    if not found.facts.get("readable") or found.is_torn:
        return None
    place = StorePlace(copy.name, _KIND, copy, to_text(path), is_found=True)
    return StoreSide.of(keep_state(sink, place, found).record)
