"""Texts in stores, merged line by line by git, outside of any repository."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from chronos.memory.store_merge import MergedText, MergeText
from chronos.merging import Strategy

if TYPE_CHECKING:
    from chronos.git import GitCommand

_NAMES = ("ours", "base", "theirs")
# The exit code of `git merge-file` is the number of conflicts, at most this.
_MOST_CONFLICTS = 127


def merge_lines(git: GitCommand, strategy: Strategy) -> MergeText:
    """Return what merges texts with `git merge-file`; with UNION, lines of both sides that conflict are both kept."""
    union = ["--union"] if strategy is Strategy.UNION else []

    def merge(_path: bytes, base: bytes, ours: bytes, theirs: bytes) -> MergedText:
        with tempfile.TemporaryDirectory(prefix="chronos-text-") as folder:
            for name, text in zip(_NAMES, (ours, base, theirs), strict=True):
                (Path(folder) / name).write_bytes(text)
            labels = [word for name in _NAMES for word in ("-L", name)]
            done = git.at(Path(folder)).run(
                "merge-file", "-p", *union, *labels, *_NAMES, ok=range(_MOST_CONFLICTS + 1), quiet=False
            )
        return MergedText(done.stdout, done.returncode == 0)

    return merge
