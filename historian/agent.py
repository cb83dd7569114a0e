"""HistorianAgent: the verbs of judgement and guarded change, each a short call downward.

It never prints or prompts, and reads no environment: what it has to know of the surroundings comes with the engine.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from chronos.config import Config, GuardRules, Surroundings, load
from chronos.errors import BadConfigError, ChronosError
from historian import bisecting

if TYPE_CHECKING:
    from chronos.catalog import CheckpointRow
    from chronos.engine import ChronosEngine
    from historian.answering import Answer
    from historian.bisecting import Bisection, Request, Try
    from historian.failures import FailureAnalysis, Report
    from historian.guard import CommandRun, FileChange, FileUpdate, Gate, Guard, Pace, Passage, Wanted, Watched
    from historian.lessons import LessonsStore
    from historian.risk import Operation, OperationKind, Precedent, RiskAssessment


class HistorianAgent:
    """The historian of one working tree. Close it, or use it in a `with` block, to let go of its files.

    `kernel` is a Semantic Kernel for those who have one: the historian needs none, and keeps it at hand. With no
    `engine` it opens its own for the tree that holds `root`, when something needs one, and closes that again. `asker`
    is asked by the policy `confirm`: it gets the operation and its assessment and says whether it may go on. `notify`
    is told at once what a guard has to say, which otherwise goes to the engine's notices. `origin` gives lines for the
    description of the checkpoints that guards take, such as for whom.

    Guards can be entered by any thread and task; everything else belongs to the thread that made the historian.
    """

    def __init__(
        self, kernel: object | None = None, *, root: Path | str | None = None, engine: ChronosEngine | None = None,
        asker: Callable[[Operation, RiskAssessment], bool] | None = None,
        notify: Callable[[str], None] | None = None, origin: Callable[[], str] | None = None,
    ) -> None:  # fmt: skip
        self.kernel = kernel
        self._root = Path(root) if root is not None else None
        self._given = engine
        self._own: ChronosEngine | None = None
        self._lessons: LessonsStore | None = None
        self._asker = asker
        self._told = notify
        self._origin = origin
        self._thread = threading.get_ident()
        self._asking = threading.Lock()

    @property
    def engine(self) -> ChronosEngine:
        """The engine that takes the checkpoints."""
        if self._given is not None:
            return self._given
        if self._own is None:
            from chronos.engine import ChronosEngine

            self._own = ChronosEngine(self._root, surroundings=Surroundings.current())
        return self._own

    @property
    def config(self) -> Config:
        """The settings, also where no engine can be had: what to do then is for them to say. Raises BadConfigError."""
        try:
            return self.engine.config
        except ChronosError:
            now = Surroundings.current()
            return load(self._root or now.start, now.environment)

    def assess(self, operation: str | Operation, *, probe: bool = True) -> RiskAssessment:
        """Return how dangerous an operation is, why, what it would hit, and what no checkpoint would cover.

        With `probe` it is looked what is there (read-only, at most 50 ms), and which past failures resemble it. Raises
        UsageError when nothing is given, and BadConfigError for wrong rules or settings of the project.
        """
        from historian.risk import Assessor, load_rules

        rules = load_rules(self._rules_root())
        if not probe:
            return Assessor(rules).assess(operation)
        with ExitStack() as stack:
            engine = None
            with suppress(ChronosError):  # where none can be had, as outside of a project, nothing is looked at
                engine = stack.enter_context(self._engine_here())
            precedents = partial(self._find_precedents, engine) if engine is not None else None
            return Assessor(rules, engine=engine, precedents=precedents).assess(operation)

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
            self._lessons = _open_lessons(self.engine)
        return self._lessons

    def find_precedents(self, operation: Operation) -> Sequence[Precedent]:
        """Return past failures that `operation` resembles; lessons that cannot be read are a notice, and no failure."""
        with self._engine_here() as engine:
            return self._find_precedents(engine, operation)

    def analyze_failure(
        self,
        operation: str | Operation,
        error: str | BaseException,
        checkpoint_before: str | None = None,
        *,
        tags: Sequence[str] = (),
        report: Report | None = None,
    ) -> FailureAnalysis:
        """Find out what made an operation fail, learn the lesson, and say what to restore.

        Compares with `checkpoint_before`, or the newest checkpoint. What comes back can be used as it is, and awaited.
        `report` says who told of it, where that is not who asks.
        It does not fail when something cannot be compared or kept: the result's `notes` say so.
        """
        from historian.failures import analyze

        with self._engine_here() as engine, ExitStack() as stack:
            find = partial(self._lessons_of, engine, stack)
            return analyze(engine, find, operation, error, checkpoint_before, tags, report)

    def record_failure(
        self, operation: str | Operation, error: str | BaseException, checkpoint_before: str | None
    ) -> FailureAnalysis:
        """Learn from a failure that the guard has seen; see `analyze_failure`."""
        return self.analyze_failure(operation, error, checkpoint_before, tags=("guard",))

    def get_checkpoint_history(self, limit: int = 10) -> list[CheckpointRow]:
        """Return the newest checkpoints of this timeline, the newest first, each with what it holds in figures."""
        return self.engine.list_checkpoints(limit=limit)

    async def process(self, text: str) -> Answer:
        """Answer in words: assess what `text` says is to be done, show the history, or lessons about something.

        The answer is a string, with the assessment, lessons or checkpoints that it speaks of.
        """
        from historian.answering import Sources, answer

        return answer(
            text,
            Sources(
                assess=self.assess,
                find_lessons=lambda about: self.lessons.search(about, 5),
                list_lessons=lambda: self.lessons.list_lessons(20),
                list_history=self.get_checkpoint_history,
            ),
        )

    # guard

    def guard(self, operation: str | Operation, *, policy: Wanted = None) -> Guard:
        """Return a guard for `operation`: a context manager and a decorator, for plain and for async code.

        `policy` is one of off, advise, auto, confirm and block, for medium and high risk, or says so by level
        (`high=block`, a mapping); by default the settings hold. Entering raises BlockedError, NotConfirmedError or
        UnprotectedError, all of them RefusedError, before anything has happened.
        """
        from historian.guard import Guard, as_operation

        return Guard(self._gate(), as_operation(operation), self._rules(policy))

    def let_through(self, operation: str | Operation, *, policy: Wanted = None) -> Passage:
        """Do what a guard does before an operation that somebody else carries out; see `guard` for the errors."""
        from historian.guard import as_operation

        return self._gate().let_through(as_operation(operation), self._rules(policy))

    def create_safety_checkpoint(
        self, name: str, description: str = "", *, include: Sequence[Path | str] = (), tags: Sequence[str] = ()
    ) -> str:
        """Take a checkpoint before something risky and return its id. It is an automatic one: retention may take it.

        What stands at the paths of `include` is taken in although it is ignored or lies outside of the root.
        """
        from chronos.checkpoints import Trigger

        with self._engine_here() as engine:
            created = engine.take_checkpoint(
                name, description, tags=tags, trigger=Trigger.AUTOMATIC, needed=True, include=include
            )
        return created.checkpoint_id

    def run_command(
        self, argv: Sequence[str], *, policy: Wanted = None, kind: OperationKind | None = None,
        restore_on_failure: bool = False, output_to_errors: bool = False,
    ) -> CommandRun:  # fmt: skip
        """Run a command under the guard, in the foreground and in the working folder; return how it ended."""
        from historian.guard import run_command

        now = Surroundings.current()
        return run_command(
            self._gate(), self._rules(policy), argv, environment=now.environment, cwd=now.folder, kind=kind,
            restore_on_failure=restore_on_failure, output_to_errors=output_to_errors,
        )  # fmt: skip

    def plan_update(
        self, path: Path | str, *, content: str | bytes | None = None, diff: str | bytes | None = None,
        json_patch: str | Sequence[Mapping[str, Any]] | None = None, yaml_keys: Mapping[str, Any] | None = None,
        check: bool = True,
    ) -> FileChange:  # fmt: skip
        """Return what `update_file` with the same arguments would write."""
        from historian.formats import Change
        from historian.guard import plan_update

        change = Change(content=content, diff=diff, json_patch=json_patch, keys=yaml_keys)
        with self._engine_here() as engine:
            return plan_update(engine, path, change, check=check)

    def update_file(
        self, path: Path | str, *, content: str | bytes | None = None, diff: str | bytes | None = None,
        json_patch: str | Sequence[Mapping[str, Any]] | None = None, yaml_keys: Mapping[str, Any] | None = None,
        policy: Wanted = None, check: bool = True,
    ) -> FileUpdate:  # fmt: skip
        """Change one file of the tree under the guard, in one step, or leave everything as it was.

        Say how in exactly one way: the whole content, a unified diff, a JSON Patch (RFC 6902), or values by keys such
        as `a.b` in YAML, JSON or TOML. The result must be valid in the file's format, unless `check` is off.
        """
        plan = self.plan_update(
            path, content=content, diff=diff, json_patch=json_patch, yaml_keys=yaml_keys, check=check
        )
        return self.apply_update(plan, policy=policy)

    def apply_update(self, change: FileChange, *, policy: Wanted = None) -> FileUpdate:
        """Carry out what `plan_update` returned, while the file still is as it was read."""
        from historian.guard import apply_update

        with self._engine_here() as engine:
            return apply_update(engine, self._gate(), self._rules(policy), change)

    def watch(self, pace: Pace | None = None, *, stop: threading.Event | None = None) -> Iterator[Watched]:
        """Take a checkpoint after each burst of changes, by whatever tool, until `stop` is set; yield what happens."""
        from historian.guard import Pace, watch

        yield from watch(self.engine, pace or Pace(), stop or threading.Event())

    def _gate(self) -> Gate:
        from historian.guard import Gate

        return Gate(
            assess=lambda operation: self.assess(operation), open_engine=self._engine_here, notify=self._notify,
            asker=self._asker, record_failure=self.record_failure, lock=self._asking,
            origin=self._origin,
        )  # fmt: skip

    def _rules(self, policy: Wanted) -> GuardRules:
        from historian.guard import find_rules

        return find_rules(self.config, policy)

    def _rules_root(self) -> Path:
        """Return where the rules of the project are, also where no engine can be had. Raises BadConfigError."""
        try:
            return self.engine.root
        except BadConfigError:
            raise
        except ChronosError:
            return self._root or Surroundings.current().start

    def _find_precedents(self, engine: ChronosEngine, operation: Operation) -> Sequence[Precedent]:
        try:
            if self._lessons is None and not engine.claim_lessons().exists():  # so as not to load them for nothing
                return ()
            with ExitStack() as stack:
                return self._lessons_of(engine, stack).precedents(operation)
        except ChronosError as error:
            if error.message not in engine.notices:
                engine.notices.append(error.message)
            return ()

    def _lessons_of(self, engine: ChronosEngine, stack: ExitStack) -> LessonsStore:
        """Return the lessons for the thread that has `engine`; the historian's own thread has one store for good."""
        if engine is self.engine:
            return self.lessons
        return stack.enter_context(_open_lessons(engine))

    @contextmanager
    def _engine_here(self) -> Iterator[ChronosEngine]:
        """Give an engine to this thread: the historian's own, or in another thread one more for the same tree."""
        if threading.get_ident() == self._thread:
            yield self.engine
            return
        ours = self.engine
        with ours.open_timeline(ours.timeline) as engine:
            yield engine
            ours.notices += engine.notices

    def _notify(self, message: str) -> None:
        if self._told is not None:
            self._told(message)
            return
        try:
            self.engine.notices.append(message)
        except ChronosError:
            return  # no engine can be had: the log of `logging` and the passage say it

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


def _open_lessons(engine: ChronosEngine) -> LessonsStore:
    from historian.lessons import LessonsStore

    return LessonsStore(
        engine.claim_lessons(),
        embedding=engine.config.lessons_embedding,
        lock_timeout_s=engine.config.lock_timeout_s,
        notices=engine.notices,
        prepare=lambda: engine.claim_lessons(hide=True),
    )
