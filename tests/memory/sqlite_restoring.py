"""A restore of a prepared folder, run as a program so that it can be killed; see `test_sqlite_killpoints`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from chronos.memory import Present, ReplaceWork, StoreState
from chronos.memory.sqlite import SqliteKind
from chronos.pool import Content

_Kind = TypeVar("_Kind")


def main(folder: Path) -> None:
    """Put `state` of the folder at `place/memory.db`, where `present` stands if there is one."""
    state = _read(folder / "state.json", StoreState)
    expected = _read(folder / "expected.json", tuple[object, ...])

    def chunk_ids(content: Content) -> list[bytes]:
        ids = (folder / content.chunks.hex()).read_bytes() if content.chunks is not None else content.id
        return [ids[start : start + 32] for start in range(0, len(ids), 32)]

    def read(ids: Sequence[bytes]) -> Iterator[bytes]:
        return ((folder / chunk_id.hex()).read_bytes() for chunk_id in ids)

    work = ReplaceWork(lambda content: read(chunk_ids(content)), folder / "trash", expected, 1.0)
    if (folder / "present.json").exists():
        work.present = Present(_read(folder / "present.json", StoreState), chunk_ids, read)
    SqliteKind().replace(folder / "place" / "memory.db", state, work)


def save(folder: Path, name: str, state: StoreState, read: Callable[[bytes], bytes]) -> None:
    """Put a state into the folder under `name`, with all of its chunks."""
    state.looks = ()
    (folder / f"{name}.json").write_bytes(msgspec.json.encode(state))
    for content in (file.content for file in state.files if file.content is not None):
        whole = read(content.key) if content.size else b""
        ids = {content.key} | ({whole[at : at + 32] for at in range(0, len(whole), 32)} if content.chunks else set())
        for chunk_id in ids if content.size else ():
            (folder / chunk_id.hex()).write_bytes(read(chunk_id))


def _read(path: Path, kind: type[_Kind]) -> _Kind:
    return msgspec.json.decode(path.read_bytes(), type=kind)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
