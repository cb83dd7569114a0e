"""Tables and patches: by rich and in colour on a terminal, plain aligned text everywhere else.

rich is imported only where it is used, since it costs 27 ms. Cells are text already made harmless; markup in them
means nothing.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from chronos.cli import output

if TYPE_CHECKING:
    from rich.console import Console

_GAP = "  "
_BRIEF_ROWS = 30
_LEAST_WRAPPED = 16
_LEFT_OUT = "…"
_PATCH_STYLES = {"+": "green", "-": "red", "@": "cyan"}
_PATCH_HEADS = ("diff --git", "index ", "--- ", "+++ ", "old mode", "new mode", "new file", "deleted file")


class Cell(NamedTuple):
    """Text with a rich style, which counts only on a terminal."""

    text: str
    style: str = ""


class Column(NamedTuple):
    """A column: its title, whether numbers stand in it, and whether its text may be broken over lines."""

    title: str
    is_number: bool = False
    may_wrap: bool = True


Row = Sequence[Cell | str]


def write_table(
    columns: Sequence[Column], rows: Iterable[Row], *, titles: bool = True, indent: str = "", is_brief: bool = False,
    always: int = 0, what: str = "more",
) -> None:  # fmt: skip
    """Write a table. In a pipe every row is one whole line; on a terminal a brief one shows its first rows only.

    The first `always` rows are shown in any case; `what` describes those that are not.
    """
    cells = [[cell if isinstance(cell, Cell) else Cell(cell) for cell in row] for row in rows]
    shown = max(_BRIEF_ROWS, always)
    hidden = len(cells) - shown if is_brief and output.is_terminal() else 0
    if hidden > 0:
        del cells[shown:]
    if output.is_colourful():
        _write_rich(columns, cells, titles, indent)
    else:
        _write_plain(columns, cells, titles, indent)
    if hidden > 0:
        output.write(f"{indent}and {hidden} {what}; a pipe shows all")


def write_pairs(pairs: Iterable[tuple[str, str]]) -> None:
    """Write names and values below each other."""
    columns = (Column("", may_wrap=False), Column(""))
    write_table(columns, [(Cell(name, "bold"), value) for name, value in pairs], titles=False)


def write_patch(text: str) -> None:
    """Write a patch, in colour on a terminal."""
    text = output.harmless(text)
    if not output.is_colourful():
        output.write(text, end="")
        return
    from rich.text import Text

    shown = Text(end="")
    for line in text.splitlines(keepends=True):
        shown.append(line, "bold" if line.startswith(_PATCH_HEADS) else _PATCH_STYLES.get(line[:1], ""))
    with output.translated():
        _console().print(shown, soft_wrap=True)


def write_lines(lines: Sequence[Sequence[Cell]]) -> None:
    """Write lines of cells that stand side by side, each cut to the width of the terminal; in a pipe they are whole."""
    width = output.find_width()
    cut = list(lines)
    if width is not None:
        cut = [_cut([Cell(output.encodable(cell.text), cell.style) for cell in line], width) for line in lines]
    if not output.is_colourful():
        for line in cut:
            output.write("".join(cell.text for cell in line).rstrip())
        return
    from rich.text import Text

    shown = [Text.assemble(*line) for line in cut]
    for text in shown:
        text.rstrip()
    with output.translated():
        _console().print(Text("\n").join(shown), soft_wrap=True)


def _cut(line: Sequence[Cell], width: int) -> Sequence[Cell]:
    """Return as much of a line as has room, with a mark where something is left out."""
    if _width("".join(cell.text for cell in line).rstrip()) <= width:
        return line
    mark = _LEFT_OUT if output.encodable(_LEFT_OUT) == _LEFT_OUT else "..."
    room = width - len(mark)
    kept: list[Cell] = []
    for cell in line:
        text = ""
        for char in cell.text:
            room -= _width(char)
            if room < 0:
                return [*kept, Cell(text, cell.style), Cell(mark)]
            text += char
        kept.append(cell)
    return kept


def _write_plain(columns: Sequence[Column], rows: Sequence[Sequence[Cell]], titles: bool, indent: str) -> None:
    heads = [[Cell(column.title.upper()) for column in columns]] if titles else []
    widths = [max((_width(row[place].text) for row in (*heads, *rows)), default=0) for place in range(len(columns))]
    for row in (*heads, *rows):
        padded = (_pad(cell.text, width, column) for cell, width, column in zip(row, widths, columns, strict=True))
        output.write(indent + _GAP.join(padded).rstrip())


def _write_rich(columns: Sequence[Column], rows: Sequence[Sequence[Cell]], titles: bool, indent: str) -> None:
    if not rows:
        return
    if not titles:  # rich gives an empty column one cell, which it takes from the others
        used = [place for place in range(len(columns)) if any(row[place].text for row in rows)]
        columns, rows = [columns[place] for place in used], [[row[place] for place in used] for row in rows]
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold", show_header=titles)
    for column in columns:
        table.add_column(
            column.title.upper(),
            justify="right" if column.is_number else "left",
            no_wrap=not column.may_wrap,
            overflow="fold",
        )
    for row in rows:
        table.add_row(*(Text(cell.text, cell.style) for cell in row))
    console = _console()
    # rich gives a column no room at all when the others need it; a line that is too long the terminal breaks itself.
    needed = sum(_least_width(columns, rows, place, titles) + len(_GAP) for place in range(len(columns)))
    console.width = max(console.width, needed + len(indent))
    with output.translated():
        console.print(Padding(table, (0, 0, 0, len(indent)), expand=False), crop=False)


def _least_width(columns: Sequence[Column], rows: Sequence[Sequence[Cell]], place: int, titles: bool) -> int:
    natural = max(_width(row[place].text) for row in rows)
    natural = max(natural, len(columns[place].title)) if titles else natural
    return min(natural, _LEAST_WRAPPED) if columns[place].may_wrap else natural


def _console() -> Console:
    from rich.console import Console

    return Console(highlight=False, markup=False, emoji=False)


def _pad(text: str, width: int, column: Column) -> str:
    space = " " * (width - _width(text))
    return space + text if column.is_number else text + space


def _width(text: str) -> int:
    """Return the number of terminal cells: wide East Asian characters take two, combining ones none."""
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(char) in "WF" for char in text)
    return len(text) + wide - sum(unicodedata.combining(char) != 0 for char in text)
