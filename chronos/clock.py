"""The only reader of the wall clock. Times are aware and UTC.

Order comes from sequence numbers and the log; from here only for an operation whose line was lost.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime


def now() -> datetime:
    """Return the present moment in UTC."""
    return datetime.now(UTC)


def now_ns() -> int:
    """Return the present moment in nanoseconds since the epoch, comparable with a file's `st_mtime_ns`."""
    return time.time_ns()


def from_ns(moment_ns: int) -> datetime:
    """Return the moment that a file's `st_mtime_ns` says."""
    return datetime.fromtimestamp(moment_ns / 1e9, UTC)


def to_text(moment: datetime) -> str:
    """Render `moment` as ISO 8601 with microseconds and a final `Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def from_text(text: str) -> datetime:
    """Return the moment that `to_text` wrote; one without a zone is UTC. Raises ValueError."""
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
