"""`chrono log --graph`: the checkpoints of all timelines as text, with a lane for each line that is open."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, TypeAlias

from chronos.cli import output
from chronos.cli.documents import Document, checkpoint
from chronos.cli.tables import Cell, write_lines
from chronos.cli.wording import when
from chronos.files import display

if TYPE_CHECKING:
    from chronos.operations import Edge, Graph, Node

Line: TypeAlias = list[Cell]

_UP, _DOWN, _LEFT, _RIGHT = 1, 2, 4, 8
# What stands where lines go in these directions.
_BENDS = {
    _UP | _DOWN: "│", _LEFT | _RIGHT: "─", _DOWN | _RIGHT: "┌", _DOWN | _LEFT: "┐", _UP | _RIGHT: "└",
    _UP | _LEFT: "┘", _UP | _DOWN | _RIGHT: "├", _UP | _DOWN | _LEFT: "┤", _DOWN | _LEFT | _RIGHT: "┬",
    _UP | _LEFT | _RIGHT: "┴", _UP | _DOWN | _LEFT | _RIGHT: "┼", 0: " ",
}  # fmt: skip
_NAMED, _BY_ITSELF, _GAP = "●", "○", "┊"
_IN_ASCII = str.maketrans(
    {"│": "|", "─": "-", _NAMED: "*", _BY_ITSELF: "o", _GAP: ":"} | dict.fromkeys("┌┐└┘├┤┬┴┼", "+")
)
_GONE = "some are gone"
_SHORTEST_ID = 8
_STYLES = ("green", "magenta", "cyan", "blue", "red", "yellow")
_SPACE = "  "


def document(found: Graph) -> Document:
    """Describe a graph. `parents` are the nearest that are shown; to those in `bridged` some between are gone."""
    return {
        "checkpoints": [
            {
                **checkpoint(node.row),
                "parents": [edge.parent for edge in node.edges],
                "bridged": [edge.parent for edge in node.edges if edge.is_bridged],
                "cut": node.is_cut,
                "lane": node.lane,
            }
            for node in found.nodes
        ],
        "timelines": [{"name": name, "head": head.checkpoint_id} for name, head in found.heads.items()],
        "total": found.total,
    }


def view(found: Graph) -> None:
    """Draw a graph."""
    if not found.nodes:
        output.write("no checkpoints")
        return
    lines = draw(found)
    strokes = "".join(_BENDS.values()) + _NAMED + _BY_ITSELF + _GAP
    if output.encodable(strokes) != strokes:
        lines = [[Cell(lanes.text.translate(_IN_ASCII), lanes.style) for lanes in line] for line in lines]
    write_lines(lines)
    if found.total > len(found.nodes) and output.is_terminal():
        output.write(f"{len(found.nodes)} of {found.total}; see more with --limit")


def draw(found: Graph) -> list[Line]:
    """Return the lines of a drawing: lanes at the left, all of one width, and what is said of a checkpoint."""
    drawing = _Drawing(found)
    lines = list(drawing.lines())
    width = max(len(lanes) for lanes, _ in lines)
    return [[*lanes, Cell(" " * (width - len(lanes)))] + (text and [Cell(_SPACE), *text]) for lanes, text in lines]


class _Drawing:
    """Goes down a graph with the lanes that are open."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._open: dict[int, Edge] = {}
        self._styles = {name: _STYLES[place % len(_STYLES)] for place, name in enumerate(graph.heads)}
        self._id_length = _find_id_length([node.row.checkpoint_id for node in graph.nodes])

    def lines(self) -> Iterator[tuple[Line, Line]]:
        """Yield the lanes and the text of each line."""
        ended: int | None = None
        for node in self._graph.nodes:
            if node.lane == ended and node.lane not in self._open:
                yield self._lanes(), []  # else it would look like a parent of the one above
            yield from self._node(node)
            ended = None if node.edges else node.lane
        if self._open:
            yield self._lanes(), []

    def _node(self, node: Node) -> Iterator[tuple[Line, Line]]:
        above = dict(self._open)
        for lane in node.ends:
            del self._open[lane]
        if node.ends:
            yield self._bend(node, node.ends, above, self._open), []
        self._open.pop(node.lane, None)
        mark = _BY_ITSELF if node.is_by_itself else _NAMED
        yield self._lanes({node.lane: Cell(mark, self._styles[node.row.timeline])}), self._text(node)
        above = dict(self._open)
        self._open |= {edge.lane: edge for edge in node.edges}
        others = tuple(edge.lane for edge in node.edges[1:])
        if others:
            yield self._bend(node, others, above | {node.lane: node.edges[0]}, self._open), []
        if node.has_gaps:
            gap = {} if node.edges else {node.lane: Cell(_GAP, self._styles[node.row.timeline])}
            yield self._lanes(gap), [Cell(_GONE, "dim")]

    def _text(self, node: Node) -> Line:
        row = node.row
        cells = [Cell(row.checkpoint_id[: self._id_length], "yellow"), Cell(f"{_SPACE}{when(row.created_at)}{_SPACE}")]
        if node.is_tip:
            cells.append(Cell(f"[{display(row.timeline)}] ", f"bold {self._styles[row.timeline]}"))
        cells.append(Cell(display(row.name)))
        return [*cells, Cell(f" ({row.trigger})", "dim")] if node.is_by_itself else cells

    def _lanes(self, marks: Mapping[int, Cell] | None = None) -> Line:
        """Return the open lanes going down, with `marks` in theirs."""
        marks = marks or {}
        found: Line = []
        for lane in range(max((*self._open, *marks), default=-1) + 1):
            edge = self._open.get(lane)
            going = Cell(" ") if edge is None else Cell(_GAP if edge.is_bridged else "│", self._styles[edge.timeline])
            found += [marks.get(lane, going), Cell(" ")]
        return found[:-1]

    def _bend(
        self, node: Node, others: tuple[int, ...], above: Mapping[int, Edge], below: Mapping[int, Edge]
    ) -> Line:  # fmt: skip
        """Return the line where the lanes `others` part from that of `node` or come to it. Lanes between go on."""
        met = {node.lane, *others}
        first, last = min(met), max(met)
        found: Line = []
        for lane in range(max((*above, *below)) + 1):
            edge = below.get(lane) or above.get(lane)
            ways = (_UP if lane in above else 0) | (_DOWN if lane in below else 0)
            if lane in met or (not ways and first < lane < last):
                ways |= (_LEFT if lane > first else 0) | (_RIGHT if lane < last else 0)
            is_gap = edge is not None and edge.is_bridged and ways == _UP | _DOWN
            style = self._styles[(edge.timeline if edge else node.row.timeline)]
            found.append(Cell(_GAP if is_gap else _BENDS[ways], style))
            found.append(Cell("─" if first <= lane < last else " ", self._styles[node.row.timeline]))
        return found[:-1]


def _find_id_length(ids: list[str]) -> int:
    length = _SHORTEST_ID
    while len({checkpoint_id[:length] for checkpoint_id in ids}) < len(set(ids)):
        length += 1
    return length
