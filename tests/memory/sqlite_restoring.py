"""A restore of a prepared folder, run as a program so that it can be killed; see `test_sqlite_killpoints`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec

from chronos.memory import ReplaceWork, StoreState
from chronos.memory.sqlite import SqliteKind
from chronos.pool import Content


def main(folder: Path) -> None:
    """Put `state` of the folder at `place/memory.db`."""
    state = msgspec.json.decode((folder / "state.json").read_bytes(), type=StoreState)
    expected = msgspec.json.decode((folder / "expected.json").read_bytes(), type=tuple[object, ...])

    def pieces(content: Content) -> Iterator[bytes]:
        yield (folder / content.id.hex()).read_bytes()

    SqliteKind().replace(folder / "place" / "memory.db", state, ReplaceWork(pieces, folder / "trash", expected, 1.0))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
