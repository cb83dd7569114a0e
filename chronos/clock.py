"""The only reader of the wall clock. Times are aware and UTC.

Order comes from sequence numbers and the log; from here only for an operation whose line was lost.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime

from chronos.errors import BadNameError

_FORMAT = "%Y-%m-%dT%H:%M:%S.%fZ"


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
    return moment.astimezone(UTC).strftime(_FORMAT)


def from_text(text: str) -> datetime:
    """Read a moment as `to_text` writes it. Raises BadNameError for anything else."""
    try:
        moment = datetime.strptime(text, _FORMAT)
    except ValueError as cause:
        raise BadNameError(f"'{text[:40]!r}' is no time") from cause
    return moment.replace(tzinfo=UTC)
