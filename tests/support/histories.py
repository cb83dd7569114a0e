"""Rows of checkpoints as the catalog has them, for what is computed from rows alone."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TypeAlias

from hypothesis import strategies as st

from chronos.catalog import CheckpointRow

# For each checkpoint its timeline, places of more parents, the trigger, and 0 where it is gone, 1 on the shelf.
Shape: TypeAlias = Sequence[tuple[int, Sequence[int], str, int]]
SHAPES: st.SearchStrategy[Shape] = st.lists(
    st.tuples(
        st.integers(0, 3), st.lists(st.integers(0, 30), max_size=3),
        st.sampled_from(("manual", "manual", "automatic", "safety")), st.integers(0, 6),
    ),
    max_size=30,
)  # fmt: skip


def row(name: str, *parents: str, at: int = 0, trigger: str = "manual", deleted: bool = False) -> CheckpointRow:
    """Return checkpoint `name`: the timeline, then the sequence number, which is the second of the day unless `at`."""
    timeline, sequence = name.rstrip("0123456789"), int(name.lstrip("abcdefghijklmnopqrstuvwxyz"))
    minutes, seconds = divmod(at or sequence, 60)
    return CheckpointRow(
        name, timeline, sequence, f"the {name}", "", parents[0] if parents else None,
        f"2026-03-01T00:{minutes:02}:{seconds:02}.000000Z", trigger, (), 0, "complete", "", deleted, parents[1:],
    )  # fmt: skip


def line(timeline: str, count: int, *, root: str | None = None) -> list[CheckpointRow]:
    """Return a line of `count` checkpoints, the first one from `root`."""
    names = [f"{timeline}{number}" for number in range(1, count + 1)]
    first = [row(names[0], *([root] if root else []))]
    return first + [row(child, parent) for parent, child in pairwise(names)]


def grow(shape: Shape) -> tuple[list[CheckpointRow], list[CheckpointRow]]:
    """Return all checkpoints that ever were in a history of this shape, and those of them that are gone for good."""
    rows: list[CheckpointRow] = []
    for number, (timeline, others, trigger, _) in enumerate(shape, 1):
        own = [found.checkpoint_id for found in rows if found.timeline == "abcd"[timeline]][-1:]
        picked = [rows[other].checkpoint_id for other in others if other < len(rows)]
        parents = dict.fromkeys(own + picked)
        rows.append(row(f"{'abcd'[timeline]}{number}", *parents, trigger=trigger, deleted=shape[number - 1][3] == 1))
    return rows, [found for found, (*_, fate) in zip(rows, shape, strict=True) if not fate]
