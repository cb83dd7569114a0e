"""Taking a checkpoint: lock, capture, seal."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from chronos.catalog import CheckpointRow
from chronos.checkpoints.capture import Capture, capture_code
from chronos.checkpoints.manifest import Grade, ReceiptRow, Trigger
from chronos.checkpoints.policy import CapturePolicy
from chronos.checkpoints.seal import Request, seal
from chronos.checkpoints.secrets import find_secret
from chronos.checkpoints.store import Store
from chronos.errors import BadNameError
from chronos.files import display
from chronos.git import Repository
from chronos.pool import ContentSink, HashingSink, PoolWriter

_LONGEST_NAME = 120
_LONGEST_DESCRIPTION = 10_000
_NAME = re.compile(r"[^\W_][\w .:@/+#,()\-]*|_[\w .:@/+#,()\-]*")


class Created(msgspec.Struct, frozen=True):
    """What came of a request: the checkpoint that has the state, and whether it is a new one."""

    checkpoint_id: str
    name: str
    timeline: str
    created: bool
    created_at: str
    grade: Grade
    receipt: tuple[ReceiptRow, ...]
    warnings: tuple[str, ...]
    files_changed: int
    store_is_visible: bool = False


def check_name(name: str) -> str:
    """Return `name` when a checkpoint may have it. Raises BadNameError."""
    shown = display(name[:40])
    if not name.strip() or len(name) > _LONGEST_NAME:
        raise BadNameError(f"a checkpoint name has 1 to {_LONGEST_NAME} characters; this one has {len(name)}")
    if not _NAME.fullmatch(name) or ".." in name.split("/"):
        raise BadNameError(f"'{shown}' cannot be a checkpoint name")
    return name


def check_description(text: str) -> str:
    """Return `text` when it can be a description. Raises BadNameError."""
    if len(text) > _LONGEST_DESCRIPTION or "\0" in text:
        raise BadNameError(f"a description has at most {_LONGEST_DESCRIPTION} characters and no NUL")
    return text.encode("utf-8", "replace").decode("utf-8")


class PendingCheckpoint:
    """A state that has been captured and not sealed: until `seal`, nothing of it is visible.

    What goes into `sink` until then is kept in the checkpoint's packs.
    """

    def __init__(
        self, store: Store, request: Request, newest: CheckpointRow | None, scratch: Path, writer: PoolWriter,
        capture: Capture,
    ) -> None:  # fmt: skip
        self.capture = capture
        self.sink: ContentSink = writer
        self._store = store
        self._request = request
        self._newest = newest
        self._scratch = scratch
        self._writer = writer

    def seal(self) -> Created:
        """Make the checkpoint visible and durable.

        An automatic or safety one is not written when the newest has the same state and the pool has all its bytes.

        Raises StorageError or GitFailedError, and then nothing has become visible.
        """
        newest, request, capture = self._newest, self._request, self.capture
        is_held = not self._writer.has_fresh_chunks and newest is not None and _has_state(newest, capture)
        if request.trigger is not Trigger.MANUAL and newest is not None and is_held:
            return _outcome(newest.checkpoint_id, newest.name, newest.created_at, False, request, capture)
        capture.state.warnings += _warn_of_secrets(capture, self._writer)
        checkpoint_id, manifest = seal(self._store, capture, self._writer, request, newest, self._scratch)
        return _outcome(checkpoint_id, manifest.name, manifest.created_at, True, request, capture)


@contextmanager
def open_checkpoint(
    store: Store, repository: Repository, policy: CapturePolicy, request: Request
) -> Iterator[PendingCheckpoint]:
    """Capture the state, to be sealed inside the block or not at all. The locks of `Store.working_on` must be held."""
    newest = next(iter(store.catalog.list_checkpoints(request.timeline, limit=1)), None)
    with store.temporary_folder() as scratch:
        compress = store.config.compress
        writer = PoolWriter(scratch, store.catalog.has_chunk, compress=compress, inspect=find_secret)
        try:
            capture = capture_code(store, repository, policy, writer)
            yield PendingCheckpoint(store, request, newest, scratch, writer, capture)
        finally:
            writer.abandon()


def capture_in_memory(
    store: Store, repository: Repository, policy: CapturePolicy, sink: ContentSink | None = None
) -> Capture:
    """Capture the state without keeping any of it, but for what `sink` keeps."""
    return capture_code(store, repository, policy, sink or HashingSink())


def _warn_of_secrets(capture: Capture, writer: PoolWriter) -> list[str]:
    """Name the paths whose content is new to the store and looks like a secret: losing work would be worse."""
    found = {}
    for component in capture.state.components.values() if writer.remarks else ():
        contents = [(row.path, row.content) for row in component.entries.values()]
        contents += [(row.path, row.content) for row in component.staged]
        for path, content in contents:
            if content is not None and content.id in writer.remarks:
                found[component.from_root(path)] = writer.remarks[content.id]
    return [f"{display(path)} seems to hold a secret: {what}" for path, what in sorted(found.items())]


def _has_state(row: CheckpointRow, capture: Capture) -> bool:
    return row.state == capture.state.identity() and Grade.TORN not in (row.grade, capture.state.grade)


def _outcome(
    checkpoint_id: str, name: str, created_at: str, created: bool, request: Request, capture: Capture
) -> Created:
    state = capture.state
    return Created(
        checkpoint_id,
        name,
        request.timeline,
        created,
        created_at,
        state.grade,
        tuple(state.receipt),
        tuple(state.warnings),
        sum(len(component.entries) for component in state.components.values()),
        capture.store_is_visible,
    )
