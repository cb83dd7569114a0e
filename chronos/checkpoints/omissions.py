"""What an export left out of a checkpoint: `left_out.json` beside an imported manifest, and what it means for a state.

A manifest is sealed, so it goes on naming contents that did not come along. They are unknown then, exactly like what a
capture left out: restores keep what stands at such paths and say why. Once the pool has the bytes after all, from
another import or a later checkpoint, the declaration has no effect.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import msgspec

from chronos.checkpoints.manifest import STAGED, Grade, Reason, ReceiptRow, check_format
from chronos.checkpoints.states import State
from chronos.errors import DamagedManifestError
from chronos.files import read_limited, unescape
from chronos.layout import FORMAT_VERSION, OMISSIONS
from chronos.pool import Content, add_check, strip_check

_LARGEST_BYTES = 16 * 1024 * 1024
_LONGEST_REASON = 200
_KEY = re.compile(r"[0-9a-f]{64}")


class Omissions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """`contents` gives the reason for each content key (see `Content.key`, as hex), `members` for each member."""

    format: int = FORMAT_VERSION
    contents: dict[str, str] = {}
    members: dict[str, str] = {}

    def __bool__(self) -> bool:
        return bool(self.contents or self.members)


def encode_omissions(omissions: Omissions) -> bytes:
    """Return the bytes of `left_out.json`. Raises DamagedManifestError when there is too much to write down."""
    data = add_check(msgspec.json.encode({"format": omissions.format, **msgspec.structs.asdict(omissions)}))
    if len(data) > _LARGEST_BYTES:
        raise DamagedManifestError("more is left out than can be written down")
    return data


def decode_omissions(data: bytes, what: str) -> Omissions:
    """Read what was left out. Raises DamagedManifestError or NewerFormatError."""
    try:
        check_format(data, what)
        found = msgspec.json.decode(strip_check(data), type=Omissions)
    except (msgspec.MsgspecError, ValueError, RecursionError) as cause:
        raise DamagedManifestError(f"{what} is not valid: {cause}") from cause
    if not all(map(_KEY.fullmatch, found.contents)):
        raise DamagedManifestError(f"{what} names something that is no content")
    if any(len(reason) > _LONGEST_REASON for reason in (*found.contents.values(), *found.members.values())):
        raise DamagedManifestError(f"{what} gives a reason that is too long")
    return found


def read_omissions(folder: Path) -> Omissions:
    """Return what an export left out of the checkpoint in `folder`. Raises DamagedManifestError or StorageError."""
    path = folder / OMISSIONS
    if not path.exists():
        return Omissions()
    return decode_omissions(read_limited(path, _LARGEST_BYTES, too_large=DamagedManifestError), f"{OMISSIONS} there")


def is_omitted(content: Content, omissions: Omissions, has_chunk: Callable[[bytes], bool]) -> bool:
    """Tell whether a content did not come along, and the pool has not got it since."""
    return bool(content.size) and content.key.hex() in omissions.contents and not has_chunk(content.key)


def drop_omitted(state: State, omissions: Omissions, has_chunk: Callable[[bytes], bool]) -> None:
    """Take what was left out, and the pool does not have, from the state; a receipt row says so for each path.

    A staged row keeps its blob id, for git may have it. A memory store goes as a whole.
    """

    def reason_for(content: Content | None) -> str | None:
        if content is None or not is_omitted(content, omissions, has_chunk):
            return None
        return omissions.contents[content.key.hex()]

    rows = []
    for part in state.components.values():
        for path, entry in list(part.entries.items()):
            if entry.content is not None and (reason := reason_for(entry.content)) is not None:
                del part.entries[path]
                rows.append(ReceiptRow(part.from_root(path), Reason.EXPORT, entry.content.size, reason))
        for number, staged in enumerate(part.staged):
            if staged.content is not None and reason_for(staged.content) is not None:
                part.staged[number] = msgspec.structs.replace(staged, content=None)
                rows.append(ReceiptRow(part.from_root(staged.path), Reason.EXPORT, staged.content.size, STAGED))
    for name, store in list(state.memory.items()):
        reason = next((why for file in store.files if (why := reason_for(file.content)) is not None), None)
        if reason is None:
            continue
        del state.memory[name]
        rows.append(ReceiptRow(unescape(store.record.path), Reason.EXPORT, store.record.bytes, reason))
    if rows:
        state.add_rows(rows)
        state.grade = Grade.PARTIAL if state.grade is Grade.COMPLETE else state.grade
