"""Rows of any store as JSON objects, exact: what a conflict shows, and what somebody writes to resolve one.

A number, a text and a null are themselves. What JSON has no word for is an object of one name: `{"blob": hex}`,
`{"real": "inf"}`, `{"text": hex}` for a text that is no UTF-8, and `{"blake3": hex, "bytes": n}` for a cell that is too
large to be shown. Needs the standard library only: the program that reads databases starts with it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

# What a cell may be: a text that is no UTF-8 stays apart from a blob.
Cell: TypeAlias = "int | float | str | bytes | RawText | None"
LARGE_BYTES = 1024 * 1024
_LEAST, _MOST = -(2**63), 2**63 - 1


class RawText(bytes):
    """The bytes of a text that is no UTF-8."""


def as_text(raw: bytes) -> str | RawText:
    """Return the text that these bytes are."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return RawText(raw)


def to_json(row: Mapping[str, Any]) -> bytes:
    """Return a row whose cells went through `encode`, or hold nothing but JSON."""
    return json.dumps(row, ensure_ascii=False).encode("utf-8", "surrogatepass")


def encode(cell: Cell) -> Any:
    """Return one cell as JSON has it."""
    if isinstance(cell, RawText):
        return {"text": cell.hex()}
    if isinstance(cell, bytes):
        return {"blob": cell.hex()}
    if isinstance(cell, float) and not math.isfinite(cell):
        return {"real": str(cell)}
    return cell


def decode(value: Any) -> Cell:
    """Return what `encode` was given. Raises ValueError for what is no cell."""
    if isinstance(value, Mapping) and len(value) == 1:
        ((name, inner),) = value.items()
        if isinstance(inner, str) and name in ("blob", "text"):
            return bytes.fromhex(inner) if name == "blob" else RawText(bytes.fromhex(inner))
        if name == "real":
            return float(inner)
    if isinstance(value, bool) or not isinstance(value, int | float | str | None):
        raise ValueError(f"{json.dumps(value)[:80]} is no value of a cell")
    if isinstance(value, int) and not _LEAST <= value <= _MOST:
        raise ValueError(f"{value} has more than 64 bits")
    return value


def parse_row(
    content: bytes,
    columns: Iterable[str],
    keys: Iterable[Mapping[str, Any]],
    check: Callable[[Any], object] = decode,
) -> dict[str, Any]:
    """Return the row that somebody wrote as a JSON object: all columns, with one of the `keys`, each cell checked.

    Raises ValueError, with a sentence for people.
    """
    try:
        row = json.loads(content)
    except ValueError as cause:
        raise ValueError(f"it is no JSON: {cause}") from cause
    if not isinstance(row, dict):
        raise ValueError("it is no JSON object of columns and values")
    known = set(columns)
    if unknown := sorted(row.keys() - known):
        raise ValueError(f"there is no column {unknown[0]!r}")
    if missing := sorted(known - row.keys()):
        raise ValueError(f"the column {missing[0]!r} is missing: the whole row is needed")
    for value in row.values():
        check(value)
    possible = [json.dumps(key, sort_keys=True) for key in keys]
    if possible and json.dumps({name: row[name] for name in json.loads(possible[0])}, sort_keys=True) not in possible:
        raise ValueError(f"the key of the row is another one than {possible[0]}")
    return row
