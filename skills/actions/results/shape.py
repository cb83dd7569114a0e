"""What all results share: how long they get, and how they are written."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from chronos.files import to_text
from skills.actions.hints import in_words_for_agents

if TYPE_CHECKING:
    from chronos.checkpoints import Kept

MOST_LISTED = 100
MOST_TEXT_CHARS = 20_000


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What an action gives back."""


class KeptPath(Result, frozen=True, kw_only=True):
    """A path that is left as it is, and why."""

    path: str
    reason: str


def to_document(result: msgspec.Struct) -> dict[str, Any]:
    """Return a result as JSON objects, in which what we say names actions and no commands."""
    found: dict[str, Any] = in_words_for_agents(msgspec.json.decode(msgspec.json.encode(result)))
    return found


def cut(text: str, most: int = 2_000) -> str:
    """Return `text`, or its beginning with a note of how much is missing."""
    return text if len(text) <= most else f"{text[:most]}… ({len(text) - most} more characters)"


def list_paths(paths: Iterable[bytes]) -> tuple[str, ...]:
    """Return the first of `paths` as text."""
    return tuple(to_text(path) for path, _ in zip(paths, range(MOST_LISTED), strict=False))


def list_kept(rows: Sequence[Kept]) -> tuple[KeptPath, ...]:
    """Describe the first of what is left as it is."""
    return tuple(KeptPath(path=to_text(row.path), reason=row.reason) for row in rows[:MOST_LISTED])
