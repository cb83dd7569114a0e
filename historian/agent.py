"""HistorianAgent: the verbs of judgement and guarded change, each a short call downward.

It never prints or prompts, and reads no environment: what it has to know of the surroundings comes with the engine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from chronos.config import Surroundings
from chronos.errors import ChronosError
from historian import bisecting

if TYPE_CHECKING:
    from chronos.catalog import CheckpointRow
    from chronos.engine import ChronosEngine
    from historian.answering import Answer
    from historian.bisecting import Bisection, Request, Try
    from historian.failures import FailureAnalysis
    from historian.lessons import LessonsStore
    from historian.risk import Operation, Precedent


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
        self._lessons: LessonsStore | None = None

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

    @property
    def lessons(self) -> LessonsStore:
        """The lessons of this project, which all its timelines share. Raises BadConfigError, UntrustedStoreError."""
        if self._lessons is None:
            from historian.lessons import LessonsStore

            engine = self.engine
            self._lessons = LessonsStore(
                engine.claim_lessons(),
                embedding=engine.config.lessons_embedding,
                lock_timeout_s=engine.config.lock_timeout_s,
                notices=engine.notices,
                prepare=lambda: engine.claim_lessons(hide=True),
            )
        return self._lessons

    def find_precedents(self, operation: Operation) -> Sequence[Precedent]:
        """Return past failures that `operation` resembles; lessons that cannot be read are a notice, and no failure."""
        try:
            return self.lessons.precedents(operation)
        except ChronosError as error:
            if error.message not in self.engine.notices:
                self.engine.notices.append(error.message)
            return ()

    def analyze_failure(
        self,
        operation: str | Operation,
        error: str | BaseException,
        checkpoint_before: str | None = None,
        *,
        tags: Sequence[str] = (),
    ) -> FailureAnalysis:
        """Find out what made an operation fail, learn the lesson, and say what to restore.

        Compares with `checkpoint_before`, or the newest checkpoint. What comes back can be used as it is, and awaited.
        It does not fail when something cannot be compared or kept: the result's `notes` say so.
        """
        from historian.failures import analyze

        return analyze(self.engine, lambda: self.lessons, operation, error, checkpoint_before, tags)

    def get_checkpoint_history(self, limit: int = 10) -> list[CheckpointRow]:
        """Return the newest checkpoints of this timeline, the newest first, each with what it holds in figures."""
        return self.engine.list_checkpoints(limit=limit)

    async def process(self, text: str) -> Answer:
        """Answer in words: assess what `text` says is to be done, show the history, or lessons about something.

        The answer is a string, with the assessment, lessons or checkpoints that it speaks of.
        """
        from historian.answering import Sources, answer

        historian: Any = self
        return answer(
            text,
            Sources(
                assess=historian.assess,
                find_lessons=lambda about: self.lessons.search(about, 5),
                list_lessons=lambda: self.lessons.list_lessons(20),
                list_history=self.get_checkpoint_history,
            ),
        )

    def close(self) -> None:
        """Let go of what was opened here. It can be called twice."""
        if self._lessons is not None:
            self._lessons.close()
            self._lessons = None
        if self._own is not None:
            self._own.close()
            self._own = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
