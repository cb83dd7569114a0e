"""Merging mappings key by key, whatever format they are written in.

A document's data is made of dicts, of tuples for lists, and of leaves that are equal only when they are written the
same: a number is its text, so that no digit is lost and 1 is not 1.0. What theirs changed is found as edits of ours, so
that everything else of ours stays as it is written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

DEEPEST = 100


class DocumentError(Exception):
    """A document that is not valid, or that cannot be edited without loss. Never leaves this room."""


class Edit(msgspec.Struct, frozen=True):
    """A key that goes, or that gets what theirs has there; `keys` leads to it from the root."""

    keys: tuple[str, ...]
    is_removal: bool


class _Missing:
    """Stands for what a key has that is not there; equal to itself only."""


_MISSING = _Missing()


def find_edits(base: Any, ours: Any, theirs: Any, keys: tuple[str, ...] = ()) -> list[Edit]:
    """Return what theirs changed, as edits of ours. Raises DocumentError when both changed the same key.

    A list is one value: without a key there is no telling which of its items is which.
    """
    edits = []
    for key in dict.fromkeys((*theirs, *base)):
        was, is_ours, is_theirs = (data.get(key, _MISSING) for data in (base, ours, theirs))
        if is_theirs in (was, is_ours):
            continue
        both = isinstance(is_ours, dict) and isinstance(is_theirs, dict)
        if both and (isinstance(was, dict) or was is _MISSING):
            edits += find_edits(was if isinstance(was, dict) else {}, is_ours, is_theirs, (*keys, key))
        elif is_ours == was:
            edits.append(Edit((*keys, key), is_theirs is _MISSING))
        else:
            raise DocumentError(f"both changed {'.'.join((*keys, key))}")
    return edits


def apply_edits(data: Any, edits: Iterable[Edit], theirs: Any) -> Any:
    """Return `data` with the edits: what an edited document must say."""
    result = dict(data)
    for key, below in group_edits(edits).items():
        if isinstance(below, Edit):
            if below.is_removal:
                del result[key]
            else:
                result[key] = theirs[key]
        else:
            result[key] = apply_edits(data[key], below, theirs[key])
    return result


def group_edits(edits: Iterable[Edit]) -> dict[str, Edit | list[Edit]]:
    """Return by their first key the edits of that key itself, or those of what is in it, with that key taken off."""
    groups: dict[str, Edit | list[Edit]] = {}
    for edit in edits:
        first, rest = edit.keys[0], edit.keys[1:]
        if not rest:
            groups[first] = edit
            continue
        below = groups.setdefault(first, [])
        assert isinstance(below, list), "an edit inside of another"
        below.append(Edit(rest, edit.is_removal))
    return groups


def place_new(ours: Sequence[str], theirs: Mapping[str, Any], new: Iterable[str]) -> dict[str | None, list[str]]:
    """Return which new keys come after which key of ours, as they do in theirs (None: before all)."""
    wanted, known = set(new), set(ours)
    places: dict[str | None, list[str]] = {}
    last: str | None = None
    for key in theirs:
        if key in wanted:
            places.setdefault(last, []).append(key)
        elif key in known:
            last = key
    return places
