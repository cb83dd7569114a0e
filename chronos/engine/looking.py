"""The verbs that only look, for whoever judges what is about to be done: coverage, what is not committed, names of git.

They set nothing up and write nothing, and each ends after `timeout_s` seconds with OutsideError.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from chronos import operations
from chronos.engine.place import EnginePlace
from chronos.operations import Coverage


class LookingVerbs(EnginePlace):
    """Questions about the working tree as it is now."""

    def coverage(self, paths: Sequence[Path], *, timeout_s: float | None = None) -> list[Coverage]:
        """Return for each absolute path where a checkpoint that is taken now would have it."""
        return operations.find_coverage(self._here.place, paths, timeout_s)

    def list_unsaved(self, *, timeout_s: float | None = None) -> tuple[list[str], list[str], list[str]]:
        """Return the paths that differ from the last commit, that git does not know, and that it ignores."""
        return operations.list_unsaved(self._here.place, timeout_s)

    def git_settings(self, prefix: str, *, timeout_s: float | None = None) -> dict[str, str]:
        """Return git's settings whose names begin with `prefix`, by the rest of the name."""
        return operations.find_git_settings(self._here.place, prefix, timeout_s)

    def is_ref(self, name: str, *, timeout_s: float | None = None) -> bool:
        """Tell whether git finds a commit under a name."""
        return operations.is_ref(self._here.place, name, timeout_s)
