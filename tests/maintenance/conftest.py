"""A working tree for retention and gc, a clock that can be set, and settings under which little stays."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from chronos import ChronosEngine, clock
from chronos.checkpoints import Trigger
from chronos.operations import grace
from tests.support import RepoBuilder

STRICT = {f"CHRONOS_KEEP_{rule}": "0" for rule in ("LAST", "HOURLY", "DAILY", "WEEKLY")}
NO_LIMITS = {"CHRONOS_AUTO_GC": "false"}
Shift = Callable[[timedelta], None]


@pytest.fixture
def work(repo: RepoBuilder) -> RepoBuilder:
    repo.write("a.txt", "a\n")
    repo.commit()
    return repo


@pytest.fixture
def shift(monkeypatch: pytest.MonkeyPatch) -> Shift:
    """A function that sets the clock so far from the real time."""

    def shift(by: timedelta) -> None:
        monkeypatch.setattr(clock, "now", lambda: datetime.now(UTC) + by)
        monkeypatch.setattr(clock, "now_ns", lambda: int((datetime.now(UTC) + by).timestamp() * 1e9))

    return shift


@pytest.fixture
def short_grace(monkeypatch: pytest.MonkeyPatch) -> int:
    """Let the last five operations of a timeline have their grace, and not a hundred, which take long to make."""
    assert grace.GRACE_OPERATIONS == 100
    monkeypatch.setattr(grace, "GRACE_OPERATIONS", 5)
    return 5


def take(
    repo: RepoBuilder, engine: ChronosEngine, *names: str, automatic: bool = True, size: int = 50_000
) -> list[str]:
    """Take checkpoints, each with a new file of its own in the place of the last one's; return their ids."""
    trigger = Trigger.AUTOMATIC if automatic else Trigger.MANUAL
    found = []
    for name in names:
        repo.write("data.bin", os.urandom(size))
        found.append(engine.take_checkpoint(name, trigger=trigger).checkpoint_id)
    return found


def names(engine: ChronosEngine) -> list[str]:
    """Return the names of the live checkpoints, safety checkpoints too, the oldest first."""
    return [row.name for row in engine.list_checkpoints(safety=True)][::-1]


def pack_bytes(repo: RepoBuilder) -> int:
    """Return what all packs of a store take."""
    return sum(path.stat().st_size for path in repo.store.glob("*/packs/*.pack"))
