"""Merges that wait for decisions: their conflicts, and what was decided, kept beside the store's journals.

A decision belongs to a conflict by its id, which names all three sides. So a merge is made anew each time from what is
there, takes the decisions that still fit, and is never half done.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from chronos import memory
from chronos.checkpoints import Store
from chronos.errors import DamagedJournalError, UnknownConflictError, UsageError
from chronos.files import display, read_limited, replace_durably, sync_folder, to_text, translate_os_errors
from chronos.layout import FORMAT_VERSION
from chronos.merging import Choice, Conflict, ConflictKind, Resolution
from chronos.pool import add_check, strip_check

_MOST_NAMES = 5
_HAD_WHOLE = (ConflictKind.SCHEMA, ConflictKind.STORE)
_LARGEST_RECORD_BYTES = 1024 * 1024 * 1024


class PendingMerge(msgspec.Struct, omit_defaults=True, forbid_unknown_fields=True):
    """A merge or revert that is not made yet. `command` is what makes it once everything is decided."""

    format: int
    summary: str
    command: str
    base: str
    theirs: str
    conflicts: list[Conflict] = msgspec.field(default_factory=list)
    resolutions: dict[str, Resolution] = msgspec.field(default_factory=dict)

    @property
    def open(self) -> list[Conflict]:
        """The conflicts that nobody has decided."""
        return [conflict for conflict in self.conflicts if conflict.conflict_id not in self.resolutions]

    def find(self, subject: str, table: str | None = None, key: str | None = None) -> list[Conflict]:
        """Return the conflicts at a path, or with an id, or of a store (by its name), of a table, and of a row's key.

        Keys are compared by what they say. Those that are decided are meant only where no open one is.

        Raises UnknownConflictError.
        """
        found = [
            conflict for conflict in self.conflicts
            if subject in (to_text(conflict.path), conflict.store or None)
            or (len(subject) >= 4 and conflict.conflict_id.startswith(subject))
        ]  # fmt: skip
        if not found:
            raise UnknownConflictError(f"no conflict is about {display(subject[:80])}")
        of_table = [one for one in found if table in (None, one.table)]
        if not of_table:
            raise _none_such(subject, "table", table, [one.table for one in found])
        of_key = [one for one in of_table if key is None or _value_of(key) == _value_of(one.key)]
        if not of_key:
            raise _none_such(subject, "key", key, [one.key for one in of_table])
        return [one for one in of_key if one.conflict_id not in self.resolutions] or of_key


def _value_of(key: str) -> object:
    """Return what a key says, however it is written: 1 is not 1.0, and the order of columns does not count."""
    import json  # 2 ms, and a merge without conflicts compares no keys

    try:
        return json.dumps(json.loads(key), sort_keys=True)
    except (ValueError, RecursionError):
        return key


def _none_such(subject: str, what: str, asked: str | None, known: list[str]) -> UnknownConflictError:
    names = [display(name) for name in dict.fromkeys(known) if name]
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return UnknownConflictError(
        f"no conflict about {display(subject[:80])} has the {what} {display((asked or '')[:80])}",
        hint=f"there is {', '.join(names[:_MOST_NAMES])}{more}" if names else f"leave the {what} out",
    )


def new_pending(summary: str, command: str, base: str, theirs: str, known: PendingMerge | None) -> PendingMerge:
    """Return a record for a merge that is tried now, with the decisions of an earlier try."""
    return PendingMerge(FORMAT_VERSION, summary, command, base, theirs, [], dict(known.resolutions) if known else {})


def read_pending(store: Store, timeline: str) -> PendingMerge | None:
    """Return what waits for decisions on a timeline, or None. Raises DamagedJournalError, StorageError."""
    path = _path(store, timeline)
    if not path.is_file():
        return None
    data = read_limited(path, _LARGEST_RECORD_BYTES, too_large=DamagedJournalError)
    try:
        return msgspec.json.decode(strip_check(data), type=PendingMerge)
    except (msgspec.MsgspecError, ValueError, RecursionError) as cause:
        raise DamagedJournalError(
            f"the record of what is to be decided, {path}, is damaged: {cause}",
            hint="remove the file and merge again; no file of yours depends on it",
        ) from cause


def write_pending(store: Store, timeline: str, pending: PendingMerge) -> None:
    """Keep what waits for decisions. The timeline's lock must be held."""
    path = _path(store, timeline)
    with translate_os_errors(f"cannot write in {path.parent}"):
        path.parent.mkdir(mode=0o700, exist_ok=True)
    replace_durably(path, add_check(msgspec.json.encode(pending)))


def drop_pending(store: Store, timeline: str) -> None:
    """Forget what waited: it was made, or is not wanted any more."""
    path = _path(store, timeline)
    if path.is_file():
        with translate_os_errors(f"cannot remove {path}"):
            path.unlink(missing_ok=True)
        sync_folder(path.parent)


def check_answer(found: object) -> Resolution | None:
    """Return what a resolver answers with, when it is an answer. Raises UsageError."""
    if found is not None and not isinstance(found, Resolution):
        raise UsageError(f"the resolver answers with a {type(found).__name__}, not with a Resolution or None")
    return found


def check_resolution(conflict: Conflict, resolution: Resolution) -> Resolution:
    """Return `resolution` when it can be one of `conflict`, as far as that shows before the merge.

    Raises UnknownConflictError for what cannot be written, UsageError for what is not the row.
    """
    kind = conflict.kind
    if kind is ConflictKind.HELD and resolution.choice is not Choice.OURS:
        raise UnknownConflictError(
            f"what stands at {display(conflict.path)} is never overwritten or deleted by a merge",
            hint="move it away and merge again, or resolve it with --ours",
        )
    if resolution.choice is not Choice.CONTENT:
        return resolution
    if kind in _HAD_WHOLE or (kind is ConflictKind.PLACE and conflict.store):
        raise UnknownConflictError(
            f"{display(conflict.table or conflict.path)} can only be had whole, from one of the two sides",
            hint="resolve it with --ours or --theirs",
        )
    if conflict.is_large:
        raise UnknownConflictError(
            f"{display(conflict.path)} is too large to be written here", hint="resolve it with --ours or --theirs"
        )
    if conflict.key:  # its columns and its key; what may be in a cell, the kind of the store says later
        memory.row_of(conflict, resolution.content, check=lambda cell: cell)
    return resolution


def _path(store: Store, timeline: str) -> Path:
    return store.layout.merges / f"{timeline}.json"
