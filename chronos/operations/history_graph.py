"""The history as a drawing needs it: which checkpoints to show, and the lane in which each of them and each link goes.

A lane belongs to one link from the checkpoint where it starts to the parent where it ends, or to several that have the
same parent. Until then nothing else stands in it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import count
from typing import TYPE_CHECKING

import msgspec

from chronos.checkpoints import Trigger
from chronos.operations.lineage import History, Link

if TYPE_CHECKING:
    from chronos.catalog import CheckpointRow


class Edge(msgspec.Struct, frozen=True):
    """The way down to a parent: its id, the lane, and the timeline whose line it is. `is_bridged`: some are gone."""

    parent: str
    lane: int
    timeline: str
    is_bridged: bool


class Node(msgspec.Struct, frozen=True):
    """A checkpoint of a graph.

    `ends` are the other lanes that come down to it, `edges` lead on to its parents, the first in its own lane. `is_tip`
    when no later one of its timeline comes from it, `is_cut` when a parent is gone and nothing stands in for it.
    """

    row: CheckpointRow
    lane: int
    ends: tuple[int, ...]
    edges: tuple[Edge, ...]
    is_tip: bool
    is_cut: bool

    @property
    def is_by_itself(self) -> bool:
        """Whether nobody asked for it: an automatic or a safety checkpoint."""
        return _is_by_itself(self.row)

    @property
    def has_gaps(self) -> bool:
        """Whether some checkpoints between this one and its parents are gone."""
        return self.is_cut or any(edge.is_bridged for edge in self.edges)


class Graph(msgspec.Struct, frozen=True):
    """Checkpoints of all timelines, each before its parents. `heads` has the newest of each, shown or not.

    `total` is how many nodes there are without a limit.
    """

    nodes: tuple[Node, ...]
    heads: Mapping[str, CheckpointRow]
    total: int


def build_graph(history: History, *, everything: bool = False, limit: int | None = None) -> Graph:
    """Return the graph of the newest `limit` checkpoints.

    Without `everything` the automatic and safety ones that lie on a line are left out. They are shown where lines meet,
    and the newest one where a timeline has no others.
    """
    hidden = set() if everything else _find_hidden(history)
    links, cut = _link_shown(history, hidden)
    shown = [row for row in history.rows if row.checkpoint_id not in hidden]
    followed = {
        link.row.checkpoint_id
        for row in shown
        for link in links[row.checkpoint_id]
        if link.row.timeline == row.timeline
    }
    lanes = _Lanes()
    nodes = []
    for row in shown[:limit]:
        lane, ends = lanes.take(row)
        edges = lanes.lead_on(row, lane, links[row.checkpoint_id])
        is_tip, is_cut = row.checkpoint_id not in followed, row.checkpoint_id in cut
        nodes.append(Node(row, lane, ends, edges, is_tip, is_cut))
    return Graph(tuple(nodes), history.heads(), len(shown))


class _Lanes:
    """The lanes that are open, each with the edge that goes down in it."""

    def __init__(self) -> None:
        self._open: dict[int, Edge] = {}

    def take(self, row: CheckpointRow) -> tuple[int, tuple[int, ...]]:
        """End the lanes that lead to `row`; return the one that it stands in, its own line's if there is one."""
        ends = sorted(lane for lane, edge in self._open.items() if edge.parent == row.checkpoint_id)
        own = [lane for lane in ends if self._open[lane].timeline == row.timeline]
        for lane in ends:
            del self._open[lane]
        lane = (own or ends or [self._find_free()])[0]
        return lane, tuple(end for end in ends if end != lane)

    def lead_on(self, row: CheckpointRow, lane: int, links: Sequence[Link]) -> tuple[Edge, ...]:
        """Open a lane for each link, the first in `lane`; others join one that leads there already, if they can."""
        edges: list[Edge] = []
        for link in links:
            edge = Edge(link.row.checkpoint_id, lane, link.row.timeline if edges else row.timeline, link.is_bridged)
            if edges:
                edge = self._find_shared(edge) or msgspec.structs.replace(edge, lane=self._find_free())
            self._open[edge.lane] = edge
            edges.append(edge)
        return tuple(edges)

    def _find_shared(self, wanted: Edge) -> Edge | None:
        for edge in self._open.values():
            if (edge.parent, edge.is_bridged) == (wanted.parent, wanted.is_bridged):
                return edge
        return None

    def _find_free(self) -> int:
        return next(lane for lane in count() if lane not in self._open)


def _is_by_itself(row: CheckpointRow) -> bool:
    return row.trigger in (Trigger.AUTOMATIC.value, Trigger.SAFETY.value)


def _find_hidden(history: History) -> set[str]:
    """Return the ids of those that were taken by themselves and lie on a line, but for the newest of a timeline."""
    children = Counter(link.row.checkpoint_id for row in history.rows for link in history.parents(row.checkpoint_id))
    represented = {row.timeline for row in history.rows if not _is_by_itself(row)}
    hidden = set()
    for row in history.rows:
        lies_on_a_line = children[row.checkpoint_id] < 2 and len(history.parents(row.checkpoint_id)) < 2
        if _is_by_itself(row) and row.timeline in represented and lies_on_a_line:
            hidden.add(row.checkpoint_id)
        represented.add(row.timeline)
    return hidden


def _link_shown(history: History, hidden: set[str]) -> tuple[dict[str, Sequence[Link]], set[str]]:
    """Return the links of every row, past hidden ones to those that are shown, and the ids of those that are cut."""
    links: dict[str, Sequence[Link]] = {}
    cut = set()
    for row in reversed(history.rows):
        found: dict[str, Link] = {}
        is_cut = history.is_cut(row.checkpoint_id)
        for link in history.parents(row.checkpoint_id):
            is_hidden = link.row.checkpoint_id in hidden
            is_cut = is_cut or (is_hidden and link.row.checkpoint_id in cut)
            for step in links[link.row.checkpoint_id] if is_hidden else (Link(link.row, False),):
                known = found.get(step.row.checkpoint_id)
                if known is None or known.is_bridged:
                    found[step.row.checkpoint_id] = Link(step.row, step.is_bridged or link.is_bridged)
        links[row.checkpoint_id] = list(found.values())
        if is_cut:
            cut.add(row.checkpoint_id)
    return links, cut
