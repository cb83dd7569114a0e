"""Numbers, sizes and times in words for people."""

from __future__ import annotations

from datetime import datetime

_UNIT = 1024


def count(number: int, noun: str) -> str:
    """Return `1 file`, `2 files`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def size(number_bytes: int) -> str:
    """Return a size with a binary unit, such as `1.5 MiB`."""
    amount, unit = float(number_bytes), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if amount < _UNIT:
            break
        amount, unit = amount / _UNIT, larger
    return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"


def when(stamp: str) -> str:
    """Return a moment of the store (ISO 8601, UTC) in local time, to the second."""
    try:
        moment = datetime.fromisoformat(stamp)
    except ValueError:
        return stamp
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S")
