"""What an action works with in one thread."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from chronos.app import open_historian

if TYPE_CHECKING:
    from chronos.engine import ChronosEngine
    from historian import HistorianAgent


class Access:
    """What an action works with: an engine, and a historian that is opened when it is asked for."""

    def __init__(self, engine: ChronosEngine) -> None:
        self.engine = engine
        self._historian: HistorianAgent | None = None

    @property
    def historian(self) -> HistorianAgent:
        """The historian of the engine's working tree."""
        if self._historian is None:
            self._historian = open_historian(engine=self.engine)
        return self._historian

    @contextmanager
    def tree_of(self, timeline: str | None) -> Iterator[ChronosEngine]:
        """Give an engine for the working tree of a timeline, this one by default. Raises UnknownTimelineError."""
        if timeline in (None, self.engine.timeline):
            yield self.engine
            return
        with self.engine.open_timeline(str(timeline)) as engine:
            yield engine
            self.engine.notices += engine.notices

    def close(self) -> None:
        """Let go of what was opened here; the engine is its giver's."""
        if self._historian is not None:
            self._historian.close()
            self._historian = None
