"""Restoring a database at rest in place: which pieces differ, and the conversation with the child that writes them.

Decision 14 says when this is done and why it is safe; in all other cases `sqlite_replace` does it its own ways.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from chronos.errors import IntegrityError, StoreChangedError
from chronos.file_users import find_users
from chronos.files import display, kept_descriptors, temporary_name
from chronos.memory.kinds import Present, ReplaceWork, StoreState
from chronos.memory.sqlite_capture import looks_as_remembered, remember, stats_of
from chronos.memory.sqlite_files import INDEX, JOURNAL, WAL, is_same_place, numbers_at
from chronos.memory.sqlite_frames import ANSWER, END, PIECE_BYTES, send, send_change
from chronos.memory.sqlite_reader import Child, ask, hexed, open_child
from chronos.pool import Content
from chronos.stat_cache import StatCache

# So much may always differ, and more than that when it is a small part of the whole: the old pages are written twice.
_FEW_PIECES = 16
_LARGEST_PART = 4
# Up to here it takes less to read all once more than to wait (60 ms) until what was read counts as later than what was
# written.
_CHEAP_BYTES = 32 * 1024 * 1024


class Patched(NamedTuple):
    """The notes of a restore in place, or None when another way must be gone; somebody may hold a lock."""

    notes: list[str] | None
    is_locked: bool = False


NOT_IN_PLACE = Patched(None)


class _Images(NamedTuple):
    """What is at the place and what is to be there, both known by their pieces."""

    old: Content
    new: Content
    old_ids: Sequence[bytes]
    new_ids: Sequence[bytes]
    page_size: int

    def differing(self) -> list[int]:
        """Return the numbers of the pieces that differ, those that only one side has included."""
        both = zip(self.old_ids, self.new_ids, strict=False)
        found = [number for number, (old, new) in enumerate(both) if old != new]
        least, most = sorted((len(self.old_ids), len(self.new_ids)))
        return [*found, *range(least, most)]


def patch(place: Path, state: StoreState, work: ReplaceWork) -> Patched:
    """Write what differs between what is at the place and `state`, if that can be done in place.

    Raises StoreChangedError or IntegrityError, and then the place is as it was, and what the pool or the child raise.
    """
    present = work.present
    images = _compare(state, present) if present is not None and work.expected else None
    looks = _settle(place, work) if images is not None else ()
    if present is None or images is None or not looks or not _is_at_rest(place, images.old.size):
        return NOT_IN_PLACE
    numbers = images.differing()
    if len(numbers) > max(_FEW_PIECES, len(images.old_ids) // _LARGEST_PART):
        return NOT_IN_PLACE
    _read_back(images, numbers, present)
    request = {
        "work": "patch",
        "place": hexed(place),
        "draft": hexed(place.with_name(os.fsdecode(temporary_name(os.fsencode(place.name))))),
        "expected": looks,
        "timeout_s": work.timeout_s,
        "page_size": images.page_size,
        "size": images.new.size,
        "ids": {"content": images.new.id.hex(), "identity": state.identity},
        "is_sound": work.is_sound,
        "settles": images.new.size > _CHEAP_BYTES,
        "was_read": present.was_read and looks_as_remembered(place, work.stats, images.old),
    }
    with open_child(place, request) as child:
        with work.waiting():  # until it has the lock, or gives up
            tag, length = child.next_frame()
        told = child.read_document(length)
        answer = told if tag == ANSWER else _converse(place, child, images, numbers, present)
    return _judge(place, state, work, answer)


def _settle(place: Path, work: ReplaceWork) -> tuple[int, ...]:
    """Return how the place looks if it is as expected, or nothing; a transaction that a crash left is undone first."""
    looks = numbers_at(os.fsencode(place))
    if not is_same_place(looks, tuple(work.expected or ())):
        return ()
    if os.path.lexists(f"{place}{os.fsdecode(JOURNAL)}"):
        with work.waiting() as timeout_s:
            ask(place, {"work": "settle", "place": hexed(place), "timeout_s": timeout_s})
        return numbers_at(os.fsencode(place))
    return looks


def _compare(state: StoreState, present: Present) -> _Images | None:
    """Return both images, if both are readable databases with the same size of pages."""
    sides = (present.state, state)
    contents = [side.files[0].content for side in sides if len(side.files) == 1 and not side.files[0].path]
    old, new = contents if len(contents) == len(sides) else (None, None)
    sizes = {int(side.facts.get("page_size", 0)) if side.facts.get("readable") else 0 for side in sides}
    page_size = sizes.pop()
    if old is None or new is None or sizes or not page_size:
        return None
    images = _Images(old, new, present.chunk_ids(old), present.chunk_ids(new), page_size)
    for content, ids in ((old, images.old_ids), (new, images.new_ids)):
        if not content.size or content.size % page_size or len(ids) != -(-content.size // PIECE_BYTES):
            return None
    return images


def _is_at_rest(place: Path, size: int) -> bool:
    """Tell whether nothing but the main file makes the database, under this name only."""
    about = os.lstat(place)
    is_alone = not any(os.path.lexists(f"{place}{os.fsdecode(part)}") for part in (WAL, INDEX, JOURNAL))
    return is_alone and stat.S_ISREG(about.st_mode) and about.st_nlink == 1 and about.st_size == size


def _read_back(images: _Images, numbers: list[int], present: Present) -> None:
    """Read the pieces that will go and that the new state has as well, elsewhere: those were not proven held before."""
    going = {images.old_ids[number] for number in numbers if number < len(images.old_ids)}
    for _ in present.read(sorted(going.intersection(images.new_ids))):
        pass


def _converse(place: Path, child: Child, images: _Images, numbers: list[int], present: Present) -> dict[str, Any]:
    """Send the pieces to the child, which holds the lock, when nobody else has the database open."""
    users = find_users((place,), kept_descriptors())
    if any(user.process_id != child.process_id for user in users):
        return {"outcome": "used"}
    is_there = len(images.new_ids)
    data = present.read([images.new_ids[number] for number in numbers if number < is_there])
    with child.telling() as write:
        for number in numbers:
            old_id = images.old_ids[number] if number < len(images.old_ids) else b""
            is_new = number < is_there
            send_change(write, number, old_id, images.new_ids[number] if is_new else b"", next(data) if is_new else b"")
        send(write, END)
    return dict(child.read_document(child.next_frame()[1]))


def _judge(place: Path, state: StoreState, work: ReplaceWork, answer: dict[str, Any]) -> Patched:
    if answer["outcome"] == "changed":
        raise StoreChangedError(f"{display(str(place))} has changed since it was looked at")
    if answer["outcome"] == "wrong":
        raise IntegrityError(f"what was written for {display(str(place))} is not what was captured, and was taken back")
    if answer["outcome"] != "done":
        return Patched(None, is_locked=answer["outcome"] == "busy")
    stats = stats_of(place)
    if numbers_at(os.fsencode(place)) == tuple(answer["looks"]):  # nobody wrote since all of it was read
        remember(state, stats, StatCache({}, work.stats.fresh, started_ns=answer["began_ns"]))
    work.is_sound = not answer["problems"]
    if answer["problems"]:
        return Patched([f"the database is damaged, as it was when it was captured: {'; '.join(answer['problems'])}"])
    return Patched([])
