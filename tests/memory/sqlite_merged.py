"""Merges of databases that statements make."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from chronos.memory import MergeWork, StoreMerge
from chronos.merging import Choice, Conflict, Resolution, Strategy
from tests.memory.sqlite_world import KIND

OURS, THEIRS = Resolution(Choice.OURS), Resolution(Choice.THEIRS)


def run(place: Path, statements: Sequence[str]) -> None:
    with closing(sqlite3.connect(place, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


class Merged:
    """A merge of what statements make: `base` made first, then copied for both sides."""

    def __init__(
        self,
        folder: Path,
        base: Sequence[str] | None,
        ours: Sequence[str],
        theirs: Sequence[str],
        resolve: Callable[[Conflict], Resolution | None] = lambda conflict: None,
        strategy: Strategy = Strategy.CONFLICT,
        most: int = 100,
    ) -> None:
        places = {name: folder / name / "database.sqlite" for name in ("base", "ours", "theirs")}
        for name, place in places.items():
            place.parent.mkdir(parents=True)
            if name == "base" or base is None:
                sqlite3.connect(place).close()
            else:
                shutil.copy(places["base"], place)
            run(place, {"base": base or [], "ours": ours, "theirs": theirs}[name])
        (folder / "out").mkdir()
        work = MergeWork(folder / "out", b"data/m.db", "m", resolve, strategy, most)
        former = None if base is None else places["base"]
        self.result: StoreMerge = KIND.merge(former, places["ours"], places["theirs"], work)
        self.place = self.result.place
        assert self.place == folder / "out" / "database.sqlite"
        assert [path.name for path in self.place.parent.iterdir()] == ["database.sqlite"]

    def rows(self, sql: str) -> list[Any]:
        with closing(sqlite3.connect(self.place)) as connection:
            return connection.execute(sql).fetchall()

    def check(self) -> None:
        with closing(sqlite3.connect(self.place)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert connection.execute("PRAGMA foreign_key_check").fetchall() == []

    @property
    def conflicts(self) -> list[tuple[Any, ...]]:
        """The conflicts, with their sides as values."""
        return [(c.kind, c.table, c.key, value(c.base), value(c.ours), value(c.theirs)) for c in self.result.conflicts]


def value(side: bytes | None) -> Any:
    try:
        return None if side is None else json.loads(side)
    except ValueError:
        return side.decode("utf-8", "replace") if side else side


@pytest.fixture
def merged(tmp_path: Path) -> Callable[..., Merged]:
    numbers = iter(range(100))

    def merged(*arguments: Any, **named: Any) -> Merged:
        result = Merged(tmp_path / str(next(numbers)), *arguments, **named)
        if not named.get("damaged"):
            result.check()
        return result

    return merged


Merging = Callable[..., Merged]
