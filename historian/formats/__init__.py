"""Formats of files: how their text is written, how a change is applied to it, and whether the result can be read."""

from typing import TYPE_CHECKING

from chronos.lazy import loader

if TYPE_CHECKING:
    from historian.formats.changes import Change, change_content
    from historian.formats.checks import find_fault

__all__ = ["Change", "change_content", "find_fault"]

_HOMES = {"Change": "changes", "change_content": "changes", "find_fault": "checks"}

__getattr__ = loader(__name__, _HOMES)
