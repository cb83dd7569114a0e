"""A pool in memory, and for each kind of store how to make one, change it and read its rows."""

from __future__ import annotations

import importlib.util
import json
import os
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from chronos.memory import CaptureWork, MemoryKind, ReplaceWork, StoreState, get_kind
from chronos.memory.registry import _OWN
from chronos.pool import Content, HashingSink
from chronos.stat_cache import StatCache


def take_all(_path: bytes, _size: int) -> str | None:
    """The policy that leaves nothing out."""
    return None


class MemoryPool(HashingSink):
    """A sink that keeps every chunk in memory; `on_file` is called before each file comes in."""

    wants_bytes = True

    def __init__(self) -> None:
        self.chunks: dict[bytes, bytes] = {}
        self.files_read = 0
        self.on_file: Callable[[], None] = lambda: None

    def add_file(self, descriptor: int, size: int) -> Content:
        self.files_read += 1
        self.on_file()
        return super().add_file(descriptor, size)

    def pieces(self, content: Content) -> Iterator[bytes]:
        """Give the bytes of a content."""
        for chunk_id in self.chunk_ids(content):
            yield self.chunks[chunk_id]

    def chunk_ids(self, content: Content) -> list[bytes]:
        """List the pieces of a content."""
        if content.chunks is None:
            return [content.id] if content.size else []
        ids = self.chunks[content.chunks]
        return [ids[at : at + 32] for at in range(0, len(ids), 32)]

    def _keep(self, chunk_id: bytes, data: bytes) -> bool:
        is_new = chunk_id not in self.chunks
        self.chunks[chunk_id] = data
        return is_new

    def _check_kept(self, chunk_ids: Sequence[bytes]) -> None:
        assert set(chunk_ids) <= self.chunks.keys()


def capture(
    kind: MemoryKind,
    place: Path,
    pool: MemoryPool,
    *,
    stats: StatCache | None = None,
    may_take: Callable[[bytes, int], str | None] = take_all,
) -> StoreState:
    """Capture a store."""
    work = CaptureWork(pool, stats if stats is not None else StatCache({}), pool.chunk_ids, may_take, 10.0)
    return kind.capture(place, work)


def replace(
    kind: MemoryKind,
    place: Path,
    state: StoreState | None,
    pool: MemoryPool,
    trash: Path,
    *,
    expected: tuple[object, ...] | None = None,
    may_take: Callable[[bytes, int], str | None] = take_all,
) -> list[str]:
    """Put a state at a place."""
    trash.mkdir(exist_ok=True)
    return kind.replace(place, state, ReplaceWork(pool.pieces, trash, expected, 0.5, may_take))


def marks(folder: Path) -> Mapping[str, tuple[object, ...]]:
    """Return what anybody could change below `folder`, times included."""
    found = {}
    for path in [folder, *sorted(folder.rglob("*"))]:
        about = path.lstat()
        key = (about.st_mode, about.st_size, about.st_mtime_ns, about.st_ctime_ns, about.st_ino, about.st_nlink)
        found[str(path)] = key
    return found


class Adapter(ABC):
    """How the contract suite works with one kind. Rows are whatever compares equal for equal stores."""

    kind = ""

    @abstractmethod
    def make(self, folder: Path) -> Path:
        """Make a store in the empty folder `folder` and return its place."""

    @abstractmethod
    def change(self, place: Path) -> None:
        """Add, remove and change a row."""

    @abstractmethod
    def change_elsewhere(self, place: Path) -> None:
        """Change what `change` leaves alone."""

    @abstractmethod
    def change_one(self, place: Path, word: str) -> None:
        """Write `word` where `change` does not."""

    @abstractmethod
    def rows(self, place: Path) -> Any:
        """Read everything."""


class FolderAdapter(Adapter):
    kind = "files"

    def make(self, folder: Path) -> Path:
        place = folder / "notes"
        (place / "deep" / "er").mkdir(parents=True)
        (place / "one.json").write_text('{"a": 1}')
        (place / "deep" / "er" / "two.bin").write_bytes(bytes(range(256)) * 9000)
        (place / "empty").write_bytes(b"")
        (place / "tool.sh").write_text("#!/bin/sh\n")
        (place / "tool.sh").chmod(0o755)
        (place / "link").symlink_to("deep/er/two.bin")
        return place

    def change(self, place: Path) -> None:
        (place / "one.json").write_text('{"a": 2}')
        (place / "empty").unlink()
        (place / "new.txt").write_text("new")
        (place / "link").unlink()
        (place / "link").symlink_to("one.json")

    def change_elsewhere(self, place: Path) -> None:
        (place / "tool.sh").chmod(0o644)
        (place / "deep" / "er" / "three").write_text("3")

    def change_one(self, place: Path, word: str) -> None:
        (place / "tool.sh").write_text(word)

    def rows(self, place: Path) -> Any:
        found = {}
        for path in sorted(place.rglob("*")):
            name = path.relative_to(place).as_posix()
            if path.is_symlink():
                found[name] = os.readlink(path)
            elif path.is_file():
                found[name] = (path.read_bytes(), os.access(path, os.X_OK))
        return found


class FileAdapter(Adapter):
    kind = "files"

    def make(self, folder: Path) -> Path:
        place = folder / "state.json"
        place.write_text(json.dumps({"step": 1, "log": ["a", "b", "c", "d"]}, indent=1))
        return place

    def change(self, place: Path) -> None:
        place.write_text(place.read_text().replace('"step": 1', '"step": 2'))

    def change_elsewhere(self, place: Path) -> None:
        place.write_text(place.read_text().replace('"d"', '"e"'))

    def change_one(self, place: Path, word: str) -> None:
        place.write_text(place.read_text().replace('"b"', json.dumps(word)))

    def rows(self, place: Path) -> Any:
        return json.loads(place.read_text())


class LanceAdapter(Adapter):
    kind = "lancedb"

    def make(self, folder: Path) -> Path:
        import lancedb

        place = folder / "vectors.db"
        database = lancedb.connect(place)
        lessons = database.create_table("lessons", [_lesson(number) for number in range(20)])
        lessons.add([_lesson(number) for number in range(20, 30)])
        lessons.delete("id = 3")
        database.create_table("facts", [{"id": "a", "n": 1}, {"id": "b", "n": 2}])
        return place

    def change(self, place: Path) -> None:
        import lancedb

        lessons = lancedb.connect(place).open_table("lessons")
        lessons.add([_lesson(100)])
        lessons.delete("id = 5")
        lessons.update(where="id = 7", values={"text": "changed"})

    def change_elsewhere(self, place: Path) -> None:
        import lancedb

        database = lancedb.connect(place)
        database.open_table("lessons").add([_lesson(200)])
        database.open_table("lessons").delete("id = 11")
        database.open_table("facts").update(where="id = 'a'", values={"n": 5})

    def change_one(self, place: Path, word: str) -> None:
        import lancedb

        lancedb.connect(place).open_table("lessons").update(where="id = 13", values={"text": word})

    def rows(self, place: Path) -> Any:
        import lancedb

        database = lancedb.connect(place)
        tables = [path.name.removesuffix(".lance") for path in sorted(place.glob("*.lance"))]
        return {name: sorted(map(repr, database.open_table(name).to_arrow().to_pylist())) for name in tables}


class SqliteAdapter(Adapter):
    kind = "sqlite"

    def make(self, folder: Path) -> Path:
        place = folder / "memory.db"
        self._run(place, "CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT)")
        self._run(place, "INSERT INTO notes (text) VALUES ('one'), ('two'), ('three')")
        return place

    def change(self, place: Path) -> None:
        self._run(place, "INSERT INTO notes (text) VALUES ('four')")
        self._run(place, "DELETE FROM notes WHERE text = 'one'")
        self._run(place, "UPDATE notes SET text = 'zwei' WHERE text = 'two'")

    def change_elsewhere(self, place: Path) -> None:
        self._run(place, "INSERT INTO notes VALUES (50, 'fifty')")
        self._run(place, "UPDATE notes SET text = 'drei' WHERE text = 'three'")

    def change_one(self, place: Path, word: str) -> None:
        self._run(place, f"UPDATE notes SET text = '{word}' WHERE id = 3")

    def rows(self, place: Path) -> Any:
        connection = sqlite3.connect(place)
        try:
            return connection.execute("SELECT * FROM notes ORDER BY id").fetchall()
        finally:
            connection.close()

    def _run(self, place: Path, statement: str) -> None:
        connection = sqlite3.connect(place)
        with connection:
            connection.execute(statement)
        connection.close()


def _lesson(number: int) -> dict[str, Any]:
    return {"id": number, "text": f"lesson number {number}", "vector": [float(number), 0.5, -1.0, 2.0**-number]}


def own_kinds() -> list[str]:
    """Return the package's own kinds that are there."""
    return [name for name, (module, _) in _OWN.items() if importlib.util.find_spec(module) is not None]


ADAPTERS = [FolderAdapter(), FileAdapter(), LanceAdapter(), SqliteAdapter()]


def adapter_kind(adapter: Adapter) -> MemoryKind:
    """Return the kind that an adapter is for."""
    return get_kind(adapter.kind)
