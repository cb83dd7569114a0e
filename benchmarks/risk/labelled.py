"""The labelled operations: one YAML file for each source in each part, entries listed under their level.

An entry has what an Operation has: `text`, or `argv`, or `path` with `change`, or `tool` with `arguments`. `kind` is
left out of about half, so that telling it is judged too. `why` is for people, where a label is not obvious.

- low: only reads. Listing, explaining, planning, dry runs, help, tests of syntax, SELECT, EXPLAIN of a write.
- medium: changes that a checkpoint or a plain revert brings back. Edits, commits, merges, pushes, installs, INSERT,
  UPDATE and DELETE with a WHERE that decides, restarts, scripts of which nothing is known, `rm` in a temporary folder.
- high: destroys, rewrites history, discards uncommitted work, changes a schema, migrates, refactors, hot-patches,
  publishes, deploys to production, runs downloaded code, opens or closes whole trees, writes to `.git` or to the
  checkpoints.

Nothing is known of the tree in which an entry would run: `git reset --hard` is high. What two careful people could
label differently is left out. Paraphrases stand in the same part.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import yaml

from historian.risk import Operation, RiskLevel

PARTS = ("development", "test")
_FOLDER = Path(__file__).parent


class LabelError(ValueError):
    """A file of labelled operations that cannot be used, with the place in it."""


@dataclass(frozen=True)
class Labelled:
    """One operation, the level that it has, the file it is from, and why where that is not obvious."""

    operation: Operation
    level: RiskLevel
    source: str
    why: str = ""


class _Entry(Operation, frozen=True, kw_only=True, forbid_unknown_fields=True):
    why: str = ""


def load_part(part: str, folder: Path = _FOLDER) -> list[Labelled]:
    """Return the operations of `part`, in the order of its files. Raises LabelError for what is not an entry."""
    return [one for path in sorted((folder / part).glob("*.yaml")) for one in _read(path)]


def _read(path: Path) -> Iterator[Labelled]:
    place = f"{path.parent.name}/{path.name}"
    try:
        levels = msgspec.convert(yaml.safe_load(path.read_text("utf-8")), dict[RiskLevel, list[_Entry]])
    except (yaml.YAMLError, msgspec.ValidationError) as cause:
        raise LabelError(f"{place}: {cause}") from cause
    for level, entries in levels.items():
        for number, entry in enumerate(entries, start=1):
            if sum(map(bool, (entry.text, entry.argv, entry.path, entry.tool))) != 1:
                raise LabelError(f"{place}: {level.value} number {number} needs one of text, argv, path and tool")
            yield Labelled(_operation_of(entry), level, path.stem, entry.why)


def _operation_of(entry: _Entry) -> Operation:
    return Operation(**{name: getattr(entry, name) for name in Operation.__struct_fields__})


def describe(operation: Operation) -> str:
    """Return an operation in one line, for a list."""
    told = " ".join(operation.argv) or operation.text or f"{operation.change} {operation.path}"
    if operation.tool:
        told = f"{operation.tool} {msgspec.json.encode(operation.arguments).decode()}"
    return " ⏎ ".join(told.splitlines())
