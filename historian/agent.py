"""HistorianAgent: the verbs of judgement and guarded change, each a short call downward.

It never prints or prompts, and reads no environment: what it has to know of the surroundings comes with the engine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from chronos.config import Surroundings
from historian import bisecting

if TYPE_CHECKING:
    from chronos.engine import ChronosEngine
    from historian.bisecting import Bisection, Request, Try


class HistorianAgent:
    """The historian of one working tree. Close it, or use it in a `with` block, to let go of its files.

    `kernel` is a Semantic Kernel for those who have one: the historian needs none, and keeps it at hand. With no
    `engine` it opens its own for the tree that holds `root`, when something needs one, and closes that again.
    """

    def __init__(
        self, kernel: object | None = None, *, root: Path | str | None = None, engine: ChronosEngine | None = None
    ) -> None:
        self.kernel = kernel
        self._root = Path(root) if root is not None else None
        self._given = engine
        self._own: ChronosEngine | None = None

    @property
    def engine(self) -> ChronosEngine:
        """The engine that takes the checkpoints."""
        if self._given is not None:
            return self._given
        if self._own is None:
            from chronos.engine import ChronosEngine

            self._own = ChronosEngine(self._root, surroundings=Surroundings.current())
        return self._own

    def bisect(self, command: Sequence[str] | Request, on_try: Callable[[Try], None] | None = None) -> Bisection:
        """Find the first checkpoint at which a command fails, each tried in a throw-away tree with its own memory.

        See `historian.bisecting.Request` for what can be asked, and `run_bisection` for the errors.
        """
        request = command if isinstance(command, bisecting.Request) else bisecting.Request(tuple(command))
        return bisecting.run_bisection(self.engine, request, on_try)

    def close(self) -> None:
        """Let go of what was opened here. It can be called twice."""
        if self._own is not None:
            self._own.close()
            self._own = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
