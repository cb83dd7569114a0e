"""Sets of words and late patterns, as modules of this room write them down."""

from __future__ import annotations

import re
from typing import Any, cast


def listed(text: str) -> frozenset[str]:
    """Return the words of a text."""
    return frozenset(text.split())


def late(text: str, flags: int = 0) -> re.Pattern[str]:
    """Return a pattern that is compiled at first use: those of one judge may take 4 ms, and few operations need it.

    Only its methods are there; the functions of `re` do not take it.
    """
    return cast("re.Pattern[str]", _Late(text, flags))


class _Late:
    def __init__(self, text: str, flags: int) -> None:
        self._given = (text, flags)

    def __getattr__(self, name: str) -> Any:
        found = self.__dict__[name] = getattr(re.compile(*self._given), name)
        return found
