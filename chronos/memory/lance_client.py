"""Asking LanceDB about tables: in a process of its own, which costs a second and 150 MB and may crash on bad data."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import msgspec

from chronos.errors import OutsideError, UnreadableStoreError
from chronos.memory.kinds import TableDifference, TableSummary
from chronos.process import run

# Reading every row of a table takes some seconds a gigabyte; what takes this long hangs.
_PATIENCE_S = 900.0
_MODULE = "chronos.memory.lance_child"


class Question(msgspec.Struct, frozen=True):
    """What the child is asked: tables by name, as (name, folder of the older state, folder); a folder may be empty."""

    action: Literal["scan", "summarise", "compare"]
    tables: list[tuple[str, bytes, bytes]]
    limit_s: float = 0.0


def summarise_tables(place: Path, tables: Mapping[str, bytes]) -> list[TableSummary]:
    """Return rows, columns and version of tables, by name, in folders of `place`. Raises UnreadableStoreError."""
    return _ask_about(place, "summarise", tables)


def scan_tables(place: Path, tables: Mapping[str, bytes]) -> list[TableSummary]:
    """Return the same, and read every row. Raises UnreadableStoreError when one cannot be read."""
    return _ask_about(place, "scan", tables)


def compare_tables(old: Path, new: Path, tables: Mapping[str, bytes], limit_s: float) -> list[TableDifference]:
    """Return how tables, by name, in folders of `new` differ from those of `old`. Raises UnreadableStoreError."""
    rows = [(name, _existing(old, folder), _existing(new, folder)) for name, folder in tables.items()]
    return msgspec.msgpack.decode(_ask(new, Question("compare", rows, limit_s)), type=list[TableDifference])


def program_of(module: str) -> tuple[list[str | bytes], dict[str, str]]:
    """Return command and environment of a child: it imports what this process would, none of the working folder."""
    folders = os.pathsep.join(path for path in sys.path if os.path.isabs(path))
    return [sys.executable, "-P", "-m", module], {"PYTHONPATH": folders, "LC_ALL": "C.UTF-8"}


def _ask_about(place: Path, action: Literal["scan", "summarise"], tables: Mapping[str, bytes]) -> list[TableSummary]:
    question = Question(action, [(name, b"", _existing(place, folder)) for name, folder in tables.items()])
    return msgspec.msgpack.decode(_ask(place, question), type=list[TableSummary])


def _existing(place: Path, table: bytes) -> bytes:
    folder = os.path.join(os.path.abspath(os.fsencode(place)), table)
    return folder if os.path.isdir(os.path.join(folder, b"_versions")) else b""


def _ask(place: Path, question: Question) -> bytes:
    if not question.tables:
        return msgspec.msgpack.encode([])
    argv, environment = program_of(_MODULE)
    asked, timeout_s = msgspec.msgpack.encode(question), _PATIENCE_S + question.limit_s
    try:
        done = run(argv, environment=environment, input_bytes=asked, timeout_s=timeout_s)
    except OutsideError as cause:
        raise UnreadableStoreError(f"LanceDB cannot be asked about {place}: {cause.message}") from cause
    if done.returncode != 0:
        reason = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
        raise UnreadableStoreError(f"LanceDB cannot read {place}: {reason[0][:500]}")
    return done.stdout
