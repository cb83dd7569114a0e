"""A checkpoint that comes into sight or goes out of it, as journals and the operation log say it."""

from __future__ import annotations

import msgspec


class CheckpointMove(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A checkpoint that an operation brought in (`live`) or deleted."""

    checkpoint_id: str
    live: bool
