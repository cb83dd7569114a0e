"""HistorianAgent: the verbs of judgement and guarded change, each a short call downward.

It never prints or prompts, and reads no environment: what it has to know of the surroundings comes with the engine.
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from chronos.config import Surroundings

if TYPE_CHECKING:
    from chronos.engine import ChronosEngine
    from historian.risk import Assessor, Operation, RiskAssessment


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
        self._assessors: dict[bool, Assessor] = {}

    @property
    def engine(self) -> ChronosEngine:
        """The engine that takes the checkpoints."""
        if self._given is not None:
            return self._given
        if self._own is None:
            from chronos.engine import ChronosEngine

            self._own = ChronosEngine(self._root, surroundings=Surroundings.current())
        return self._own

    def assess(self, operation: str | Operation, *, probe: bool = True) -> RiskAssessment:
        """Return how dangerous an operation is, why, what it would hit, and what no checkpoint would cover.

        With `probe` it is looked what is there: read-only, at most 50 ms. Raises UsageError when nothing is given, and
        BadConfigError for wrong rules of the project.
        """
        from historian.risk import Assessor, load_rules

        if probe not in self._assessors:
            root = self.engine.root if probe else self._root
            self._assessors[probe] = Assessor(load_rules(root), engine=self.engine if probe else None)
        return self._assessors[probe].assess(operation)

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
