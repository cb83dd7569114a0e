"""Notes of trees that come or go, written before the first step: what is in progress, or was cut short."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import msgspec

from chronos.checkpoints import Store
from chronos.errors import ChronosError
from chronos.files import (
    read_limited,
    replace_durably,
    sync_folder,
    translate_os_errors,
)
from chronos.operations.journals import NOTE, list_unfinished
from chronos.operations.log import (
    Operation,
)
from chronos.pool import add_check, strip_check

_LARGEST_NOTE_BYTES = 16 * 1024 * 1024


def write_note(store: Store, operation: Operation) -> None:
    """Write down what is about to be done. Its timeline's lock, or the exclusive one, must be held until it is done."""
    replace_durably(_note(store, operation), add_check(msgspec.json.encode(operation)))


def drop_note(store: Store, operation: Operation) -> None:
    """Remove the note of an operation that is logged, or taken back."""
    with translate_os_errors(f"cannot remove the note of {operation.operation}"):
        _note(store, operation).unlink(missing_ok=True)
    sync_folder(store.layout.journals)


def _note(store: Store, operation: Operation) -> Path:
    return store.layout.journals / f"{operation.operation}{NOTE}"


def list_notes(store: Store) -> list[Operation]:
    """Return the moves of trees that are in progress, or were cut short. What cannot be read is left alone."""
    found = []
    for path in (path for path in list_unfinished(store) if path.suffix == NOTE):
        with suppress(ChronosError, msgspec.MsgspecError, ValueError):
            operation = msgspec.json.decode(strip_check(read_limited(path, _LARGEST_NOTE_BYTES)), type=Operation)
            is_own = path.name == f"{operation.operation}{NOTE}"
            if is_own and operation.tree is not None and _is_plain_name(operation.tree.timeline):
                found.append(operation)
    return found


def _is_plain_name(timeline: str) -> bool:
    return bool(timeline) and "/" not in timeline and not timeline.startswith(".")
