"""Taking a checkpoint: lock, capture, seal."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from chronos.catalog import CheckpointRow
from chronos.checkpoints.allowance import Allowance
from chronos.checkpoints.asking import AskedStatus
from chronos.checkpoints.capture import Capture, capture_state
from chronos.checkpoints.manifest import Grade, ReceiptRow, Trigger, Unscanned
from chronos.checkpoints.opening import Request
from chronos.checkpoints.policy import CapturePolicy
from chronos.checkpoints.seal import Members, seal
from chronos.checkpoints.secrets import Findings, FoundSecret, open_scanner, settle
from chronos.checkpoints.states import State
from chronos.checkpoints.store import Store
from chronos.errors import BadNameError, ChronosError
from chronos.files import display
from chronos.git import Repository
from chronos.pool import ContentSink, HashingSink, PoolWriter
from chronos.secrets import SecretScanner

if TYPE_CHECKING:
    from chronos.checkpoints.held_patches import HeldPatches

_LONGEST_NAME = 120
LONGEST_DESCRIPTION = 10_000
_NAME = re.compile(r"[^\W_][\w .:@/+#,()\-]*|_[\w .:@/+#,()\-]*")


class Created(msgspec.Struct, frozen=True):
    """What came of a request: the checkpoint that has the state, and whether it is a new one.

    `not_included` says what was asked for by path and is not in it.
    """

    checkpoint_id: str
    name: str
    timeline: str
    created: bool
    created_at: str
    grade: Grade
    receipt: tuple[ReceiptRow, ...]
    warnings: tuple[str, ...]
    files_changed: int
    secrets: tuple[FoundSecret, ...]
    unscanned: dict[str, Unscanned]
    store_is_visible: bool = False
    not_included: tuple[ReceiptRow, ...] = ()


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
    if len(text) > LONGEST_DESCRIPTION or "\0" in text:
        raise BadNameError(f"a description has at most {LONGEST_DESCRIPTION} characters and no NUL")
    return text.encode("utf-8", "replace").decode("utf-8")


class PendingCheckpoint:
    """A state that has been captured and not sealed: until `seal`, nothing of it is visible.

    What goes into `sink` until then is kept in the checkpoint's packs.
    """

    def __init__(
        self, store: Store, request: Request, newest: CheckpointRow | None, scratch: Path, writer: PoolWriter,
        capture: Capture, scanner: SecretScanner | None, held: HeldPatches | None,
    ) -> None:  # fmt: skip
        self.capture = capture
        self.sink: ContentSink = writer
        self._store = store
        self._request = request
        self._newest = newest
        self._scratch = scratch
        self._writer = writer
        self._scanner = scanner
        self._held = held
        self._members: Members | None = None

    def begin(self) -> None:
        """Start what takes long in the background, when it is certain that `seal` will be called."""
        self._members = Members(self._store, self.capture, self._request, self._newest, self._scratch, self._held)

    def abandon(self) -> None:
        """Wait for what was begun: it works in a folder that goes."""
        if self._members is not None:
            self._members.wait()

    def seal(self) -> Created:
        """Make the checkpoint visible and durable.

        An automatic or safety one is not written when the newest has the same state and leaves out the same, and the
        pool has all its bytes.

        Raises StorageError or GitFailedError, and then nothing has become visible.
        """
        newest, request, capture, scanner = self._newest, self._request, self.capture, self._scanner
        self._writer.settle()
        findings = settle(self._store, request.timeline, capture.state, scanner, newest) if scanner else Findings()
        is_needless = request.trigger is not Trigger.MANUAL and not request.parents and not request.is_needed
        if is_needless and newest is not None and self._is_held_by(newest):
            return _outcome(newest.checkpoint_id, newest.name, newest.created_at, False, request, capture, findings)
        if self._members is None:
            self.begin()
        assert self._members is not None
        checkpoint_id, manifest = seal(
            self._store, capture, self._writer, request, newest, self._members, self._scratch, findings
        )
        return _outcome(checkpoint_id, manifest.name, manifest.created_at, True, request, capture, findings)

    def _is_held_by(self, newest: CheckpointRow) -> bool:
        """Tell whether the newest checkpoint has this state, and says of the same paths that they are left out."""
        if Grade.TORN in (newest.grade, self.capture.state.grade):
            return False
        try:
            return self._has_state(newest) and self._leaves_out_the_same(newest)
        except ChronosError:  # what cannot be read holds nothing
            return False

    def _has_state(self, newest: CheckpointRow) -> bool:
        aside, state = self._request.aside, self.capture.state
        if not self._writer.has_fresh_chunks and newest.state == state.identity():
            return True
        if not aside:
            return False
        before = self._store.read_checkpoint(newest)
        is_same = before.identity(aside=aside) == state.identity(aside=aside)
        return is_same and not self._store.catalog.find_missing(content.key for content in before.code_contents())

    def _leaves_out_the_same(self, newest: CheckpointRow) -> bool:
        """Sizes and details do not count: what grows outside of all checkpoints is no reason for one."""
        state = self.capture.state
        if newest.grade == state.grade == Grade.COMPLETE:  # neither leaves anything out
            return True
        before = State({}, receipt=self._store.read_receipt(newest))
        return {(row.path, row.reason) for row in before.uncaptured()} == {
            (row.path, row.reason) for row in state.uncaptured()
        }


@contextmanager
def capturing(
    store: Store, asked: AskedStatus, policy: CapturePolicy, request: Request, scanner: SecretScanner | None
) -> Iterator[PendingCheckpoint]:
    """See `open_checkpoint`, which has begun the status of the tree."""
    with store.temporary_folder() as scratch:
        newest = next(iter(store.catalog.list_checkpoints(request.timeline, limit=1)), None)
        scanner = scanner or open_scanner(store.config)
        spend = Allowance(store.catalog, store.layout, store.config).spend
        writer = PoolWriter(
            scratch, store.catalog.has_chunk, find_missing=store.catalog.find_missing, compress=store.config.compress,
            inspector=scanner, spend=spend,
        )  # fmt: skip
        pending = None
        try:
            held = _read_held(store, request, newest)  # while git looks at the tree
            capture = capture_state(store, asked.repository, policy, writer, asked)
            pending = PendingCheckpoint(store, request, newest, scratch, writer, capture, scanner, held)
            yield pending
        finally:
            if pending is not None:
                pending.abandon()
            writer.abandon()


def _read_held(store: Store, request: Request, newest: CheckpointRow | None) -> HeldPatches | None:
    """Return the patches of both sides of a merge: its own has hardly anything else in it."""
    if not request.parents:
        return None
    from chronos.checkpoints.held_patches import HeldPatches  # most checkpoints are no merges

    sides = [newest, *map(store.catalog.find_checkpoint, request.parents)]
    return HeldPatches(store, [row for row in sides if row is not None and not row.deleted])


def capture_in_memory(
    store: Store, repository: Repository, policy: CapturePolicy, sink: ContentSink | None = None
) -> Capture:
    """Capture the state without keeping any of it, but for what `sink` keeps."""
    return capture_state(store, repository, policy, sink or HashingSink())


def _outcome(
    checkpoint_id: str, name: str, created_at: str, created: bool, request: Request, capture: Capture,
    findings: Findings,
) -> Created:  # fmt: skip
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
        findings.found,
        findings.unscanned,
        capture.store_is_visible,
    )
