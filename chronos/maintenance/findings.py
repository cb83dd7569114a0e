"""What a check found: how bad, what it is about, what is wrong, and what to do."""

from __future__ import annotations

from enum import IntEnum

import msgspec


class Severity(IntEnum):
    """How bad a finding is."""

    NOTE = 0
    WARNING = 1
    ERROR = 2


class Finding(msgspec.Struct, frozen=True):
    """One thing that a check found."""

    severity: Severity
    subject: str
    problem: str
    remedy: str
