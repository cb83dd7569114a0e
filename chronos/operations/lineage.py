"""From which checkpoints each one comes, over all timelines, also where some between them are gone.

A parent that was deleted is stepped over to the one before it as long as the shelf has it; what it had merged is merged
no more, or an undone merge could not be made again. For one that is gone for good
the checkpoint before on the timeline stands in, since a timeline is a line; not so on timelines of imports.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from chronos import checkpoints

if TYPE_CHECKING:
    from chronos.catalog import CheckpointRow
    from chronos.checkpoints import Store


class Link(NamedTuple):
    """A live checkpoint that another one comes from. `is_bridged` when some that were between them are gone."""

    row: CheckpointRow
    is_bridged: bool


class _Step(NamedTuple):
    """A parent that a manifest names, by its id."""

    child: CheckpointRow
    parent: str
    is_first: bool


class History:
    """All live checkpoints and where they come from. Everything is computed once, in time linear in their number.

    `live` are the live ones, `shelved` those on the shelf, and `unordered` names the timelines that are no lines.
    `rows` has the live ones, each before its parents and otherwise the newest first.
    """

    def __init__(
        self, live: Sequence[CheckpointRow], shelved: Sequence[CheckpointRow] = (), unordered: Collection[str] = ()
    ) -> None:
        self._live = {row.checkpoint_id: row for row in live}
        self._shelved = {row.checkpoint_id: row for row in shelved if row.checkpoint_id not in self._live}
        self._lines: dict[str, list[CheckpointRow]] = {}
        for row in sorted((*self._live.values(), *self._shelved.values()), key=lambda row: row.sequence):
            if row.timeline not in unordered:
                self._lines.setdefault(row.timeline, []).append(row)
        self._cut: set[str] = set()
        self._parents = {row.checkpoint_id: self._find_parents(row) for row in self._live.values()}
        self.rows = tuple(self._put_in_order())

    def parents(self, checkpoint_id: str) -> tuple[Link, ...]:
        """Return what a live checkpoint comes from, its own line first. Raises KeyError for one that is not live."""
        return self._parents[checkpoint_id]

    def is_cut(self, checkpoint_id: str) -> bool:
        """Tell whether a parent of a live checkpoint is gone and nothing stands in for it."""
        return checkpoint_id in self._cut

    def heads(self) -> dict[str, CheckpointRow]:
        """Return the live checkpoint with the highest sequence number of each timeline, by timeline, `main` first."""
        found: dict[str, CheckpointRow] = {}
        for row in self.rows:
            if row.timeline not in found or row.sequence > found[row.timeline].sequence:
                found[row.timeline] = row
        return {name: found[name] for name in sorted(found, key=lambda name: (name != "main", name))}

    def ancestors(self, checkpoint_id: str) -> set[str]:
        """Return the ids of all that a live checkpoint comes from, and its own. Raises KeyError."""
        found, pending = {checkpoint_id}, [checkpoint_id]
        while pending:
            for link in self._parents[pending.pop()]:
                if link.row.checkpoint_id not in found:
                    found.add(link.row.checkpoint_id)
                    pending.append(link.row.checkpoint_id)
        return found

    def common_ancestors(self, first: str, second: str) -> list[CheckpointRow]:
        """Return those common ancestors of two live checkpoints that no other one comes from, the newest first.

        A checkpoint is its own ancestor. Several are found after merges in both directions, none where two timelines
        have nothing in common. Raises KeyError.
        """
        shared = self.ancestors(first) & self.ancestors(second)
        covered = {link.row.checkpoint_id for checkpoint_id in shared for link in self._parents[checkpoint_id]}
        best = shared - covered
        return [row for row in self.rows if row.checkpoint_id in best] if best else []

    def _find_parents(self, row: CheckpointRow) -> tuple[Link, ...]:
        found: dict[str, Link] = {}
        seen: set[str] = set()
        pending = list(_steps_up(row))
        while pending:
            step = pending.pop()
            parent = self._live.get(step.parent) or self._shelved.get(step.parent)
            is_named = parent is not None
            parent = parent or (self._find_before(step.child) if step.is_first else None)
            if parent is None:
                self._cut.add(row.checkpoint_id)
            elif parent.checkpoint_id in self._live:
                link = Link(parent, not is_named or step.child is not row)
                if not link.is_bridged or parent.checkpoint_id not in found:
                    found[parent.checkpoint_id] = link
            elif parent.checkpoint_id not in seen:
                seen.add(parent.checkpoint_id)
                pending += (step for step in _steps_up(parent) if step.is_first)
        return tuple(found.values())

    def _find_before(self, row: CheckpointRow) -> CheckpointRow | None:
        """Return the one with the next lower sequence number on the timeline of `row`."""
        line = self._lines.get(row.timeline, [])
        place = bisect_left(line, row.sequence, key=lambda row: row.sequence)
        return line[place - 1] if place else None

    def _put_in_order(self) -> Iterator[CheckpointRow]:
        """Yield the rows. A stand-in that comes from whom it stands in for (numbers are given out again) goes."""
        ranked = sorted(self._live.values(), key=lambda r: (r.created_at, r.sequence, r.checkpoint_id), reverse=True)
        ranks = {row.checkpoint_id: rank for rank, row in enumerate(ranked)}
        children = Counter(link.row.checkpoint_id for links in self._parents.values() for link in links)
        free = [ranks[row.checkpoint_id] for row in ranked if not children[row.checkpoint_id]]
        done: set[str] = set()
        for _ in ranked:
            if not free:
                free = [next(rank for rank, row in enumerate(ranked) if row.checkpoint_id not in done)]
            row = ranked[heapq.heappop(free)]
            done.add(row.checkpoint_id)
            links = self._parents[row.checkpoint_id]
            kept = tuple(link for link in links if link.row.checkpoint_id not in done)
            if len(kept) < len(links):
                self._parents[row.checkpoint_id] = kept
                self._cut.add(row.checkpoint_id)
            for link in kept:
                children[link.row.checkpoint_id] -= 1
                if not children[link.row.checkpoint_id]:
                    heapq.heappush(free, ranks[link.row.checkpoint_id])
            yield row


def read_history(store: Store) -> History:
    """Return the history of all timelines of a store, from its catalog. Takes no lock."""
    live, shelved = store.catalog.list_checkpoints(), store.catalog.list_checkpoints(deleted=True)
    names = {row.timeline for row in (*live, *shelved)}
    return History(live, shelved, {name for name in names if checkpoints.is_for_imports(store.layout, name)})


def _steps_up(row: CheckpointRow) -> Iterator[_Step]:
    """Yield the parents of a row for a stack: the first one last."""
    for parent in reversed(row.other_parents):
        yield _Step(row, parent, False)
    if row.parent is not None:
        yield _Step(row, row.parent, True)
