"""Asking the process that started this one about conflicts of a merge.

One question, one answer, over the pipes of the child program. A side is a row (column to cell, or to what JSON has), a
text (the SQL of a table), or None.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, BinaryIO, NamedTuple, TypeAlias

from chronos.memory.rows import LARGE_BYTES, Cell, RawText, encode, to_json
from chronos.memory.sqlite_frames import CONFLICT, read_frame, read_json, send_json

# A cell of more bytes is shown as its hash, in a row that is too large to be shown.
_LARGE_CELL_BYTES = 4096
Row: TypeAlias = dict[str, Cell]
Side: TypeAlias = "Row | str | None"
_UNDECIDED = "undecided"


class Verdict(NamedTuple):
    """`ours`, `theirs`, `content` with the row as JSON, or undecided, which is ours for now."""

    choice: str = _UNDECIDED
    row: Mapping[str, Any] | None = None

    @property
    def is_theirs(self) -> bool:
        """Tell whether their side was chosen."""
        return self.choice == "theirs"


class Sides(NamedTuple):
    """The three sides of a conflict."""

    base: Side = None
    ours: Side = None
    theirs: Side = None


class Judge:
    """Whoever decides, at the other end of the pipes."""

    def __init__(self, requests: BinaryIO, answers: BinaryIO) -> None:
        self._requests = requests
        self._answers = answers

    def ask(self, kind: str, reason: str, sides: Sides, table: str = "", key: Row | None = None) -> Verdict:
        """Ask for a decision. `kind` is a value of ConflictKind."""
        return Verdict(*self._tell("ask", kind, reason, sides, table, key))

    def leave(self, kind: str, reason: str, sides: Sides, table: str = "", key: Row | None = None) -> None:
        """List a conflict whose decision could not be carried out."""
        self._tell("leave", kind, reason, sides, table, key)

    def forget(self, table: str) -> None:
        """Take back the conflicts of a table."""
        self._tell("forget", "", "", Sides(), table, None)

    def _tell(self, what: str, kind: str, reason: str, sides: Sides, table: str, key: Row | None) -> Any:
        shown = [_shown(side) for side in sides]
        document = {
            "what": what,
            "kind": kind,
            "reason": reason,
            "table": table,
            "key": "" if key is None else to_json({name: encode(cell) for name, cell in key.items()}).decode(),
            "sides": dict(zip(Sides._fields, (text for text, _ in shown), strict=True)),
            "is_large": any(is_large for _, is_large in shown),
        }
        send_json(self._answers.write, CONFLICT, document)
        self._answers.flush()
        return read_json(read_frame(self._requests)[1])


def _shown(side: Side) -> tuple[str | None, bool]:
    """Return a side as text, and whether it is too large for that."""
    if side is None or isinstance(side, str):
        return side, False
    if sum(_size(cell) for cell in side.values()) <= LARGE_BYTES:
        return to_json({name: encode(cell) for name, cell in side.items()}).decode(), False
    cells = {name: _hashed(cell) if _size(cell) > _LARGE_CELL_BYTES else encode(cell) for name, cell in side.items()}
    return to_json(cells).decode(), True


def _size(cell: Cell) -> int:
    return len(cell) if isinstance(cell, str | bytes) else 8


def _hashed(cell: Cell) -> dict[str, Any]:
    from blake3 import blake3

    data = cell if isinstance(cell, bytes) else str(cell).encode()
    kind = "text" if isinstance(cell, str | RawText) else "blob"
    return {"blake3": blake3(data).hexdigest(), "bytes": len(data), "of": kind}
