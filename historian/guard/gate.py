"""The gate that every guarded operation passes: assess, refuse or ask as the policy says, take a checkpoint, let go on.

What a gate cannot do it never keeps to itself: it refuses, or it says so in the passage, in the log of `logging` and in
the engine's notices.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from chronos.config import GuardPolicy, GuardRules
from chronos.errors import ChronosError
from chronos.files import display
from chronos.secrets import mask
from historian.errors import BlockedError, NotConfirmedError, UnprotectedError
from historian.guard.naming import checkpoint_name, public_words_of
from historian.guard.policies import goes_on_without, is_idle, policy_for
from historian.risk import NOT_HELD, RiskLevel

if TYPE_CHECKING:
    from chronos.checkpoints import Created
    from chronos.engine import ChronosEngine
    from historian.failures import FailureAnalysis
    from historian.risk import Operation, RiskAssessment

_SHOWN_REASONS = 3
# Targets of these kinds are files that a checkpoint can be made to hold, or that nobody had the time to look at; the
# others are git's own, or far away.
_EXTENDABLE = ("ignored", "outside", "unknown")
_WHERE = {"history": "git's own history", "store": "the checkpoints themselves", "remote": "somewhere else"}
# Drafts of files of the store are named after the process, so its threads take turns.
_TAKING = threading.Lock()
# The passages that this task, or this thread, is inside of, with who entered them; the innermost comes last.
_OPEN: ContextVar[tuple[tuple[object, Passage], ...]] = ContextVar("historian_passages", default=())


class Passage(msgspec.Struct, kw_only=True):
    """One operation that was let through.

    `checkpoint_id` is what to restore when it fails, None where the policy wanted no checkpoint or none could be taken.
    `was_taken` says that it was taken for this, and was not the newest one or an outer guard's already. `warnings` are
    what has to be said, such as what the checkpoint does not hold; `missed` has the paths of that. `assessment` is
    None where all policies are off.
    """

    operation: Operation
    policy: GuardPolicy
    assessment: RiskAssessment | None = None
    checkpoint_id: str | None = None
    was_taken: bool = False
    warnings: list[str] = msgspec.field(default_factory=list)
    included: frozenset[str] = frozenset()
    missed: frozenset[str] = frozenset()
    root: Path | None = None
    is_open: bool = True


class Gate(msgspec.Struct, kw_only=True):
    """What a guard needs of its surroundings, as callables, so that it knows no front door.

    `open_engine` gives an engine to this thread for the length of a block. `asker` says whether an operation may go
    on, None where there is nobody. `notify` takes what a front door should show. `record_failure` is told of an
    operation that failed: what it was, the error's text, and the checkpoint before it. `origin` gives what a
    checkpoint's description says besides the reasons, such as for whom it was taken.
    """

    assess: Callable[[Operation], RiskAssessment]
    open_engine: Callable[[], AbstractContextManager[ChronosEngine]]
    notify: Callable[[str], None]
    asker: Callable[[Operation, RiskAssessment], bool] | None = None
    record_failure: Callable[[str, str, str | None], FailureAnalysis] | None = None
    lock: threading.Lock = msgspec.field(default_factory=threading.Lock)
    origin: Callable[[], str] | None = None

    def let_through(self, operation: Operation, rules: GuardRules, *, always: bool = False) -> Passage:
        """Return when the operation may go on; a checkpoint is durable then. With `always` one is taken at any level.

        Raises BlockedError, NotConfirmedError or UnprotectedError, and then nothing has happened but perhaps a
        checkpoint.
        """
        if is_idle(rules) and not always:
            return Passage(operation=operation, policy=GuardPolicy.OFF)
        assessment = self.assess(operation)
        policy = policy_for(rules, assessment.level)
        passage = Passage(operation=operation, policy=policy, assessment=assessment)
        if policy is GuardPolicy.BLOCK:
            raise BlockedError(f"{_judged(operation, assessment)}: refused by policy block")
        if policy is GuardPolicy.CONFIRM:
            self._confirm(operation, assessment)
        if always or policy in (GuardPolicy.AUTO, GuardPolicy.CONFIRM):
            self._protect(passage, assessment, is_wanted=always)
        elif policy is GuardPolicy.ADVISE:
            advice = mask(assessment.advice) or "no checkpoint was taken"
            self._warn(passage, f"{_judged(operation, assessment)}; {advice}")
        self._record_effects(passage, assessment)
        return passage

    def report_failure(self, passage: Passage | None, error: str) -> FailureAnalysis | None:
        """Record that the operation failed; return what came of it. Never raises: the failure itself counts."""
        if self.record_failure is None or passage is None:
            return None
        try:
            found = self.record_failure(public_words_of(passage.operation), error, passage.checkpoint_id)
            if found.lesson is None:
                self._warn(passage, "; ".join(found.notes))
            return found
        except BaseException as problem:  # noqa: BLE001 - the operation's own error wins
            self._warn(passage, f"the failure could not be recorded: {problem or type(problem).__name__}")
            return None

    @contextmanager
    def surviving(self, passage: Passage, what: str) -> Iterator[None]:
        """Say `what` where the block fails, and go on: what became of the operation itself counts."""
        try:
            yield
        except (ChronosError, OSError) as cause:
            self._warn(passage, f"{what}: {cause}")

    def _confirm(self, operation: Operation, assessment: RiskAssessment) -> None:
        if self.asker is None:
            raise NotConfirmedError(f"{_judged(operation, assessment)}, and there is nobody to ask")
        with self.lock:  # two threads must not talk into each other's question
            is_agreed = self.asker(operation, assessment)
        if not is_agreed:
            raise NotConfirmedError(f"{_judged(operation, assessment)}: not confirmed", hint="nothing was done")

    def _protect(self, passage: Passage, assessment: RiskAssessment, *, is_wanted: bool) -> None:
        has_files = any(os.path.isabs(target.what) for target in assessment.targets)
        open_targets = [target for target in assessment.targets if not target.is_covered]
        wanted = [
            target.what for target in open_targets if target.coverage in _EXTENDABLE and os.path.isabs(target.what)
        ]
        for target in open_targets:
            if target.coverage == "unknown" and target.what not in wanted:
                if not has_files:  # else it is a table of a database that is one of them
                    self._warn(passage, f"it is not known whether a checkpoint holds {display(target.what)}")
            elif target.what not in wanted:
                where = _WHERE.get(target.coverage, target.coverage)
                self._warn(passage, f"no checkpoint holds {display(mask(target.what))} ({where})")
                passage.missed |= {target.what}
        try:
            with _TAKING, self.open_engine() as engine:
                passage.root = engine.root
                outer = _find_outer(engine.root, frozenset(wanted))
                if outer is not None:
                    passage.checkpoint_id, passage.included = outer.checkpoint_id, outer.included
                    passage.missed |= outer.missed
                    return
                created = self._take(engine, passage.operation, assessment, wanted)
                passage.missed |= {str(engine.root / os.fsdecode(row.path)) for row in created.not_included}
        except (ChronosError, OSError) as cause:
            self._miss(passage, assessment, cause, is_wanted=is_wanted)
            return
        passage.checkpoint_id, passage.was_taken = created.checkpoint_id, created.created
        passage.included = frozenset(wanted)
        for warning in _shortcomings(created):
            self._warn(passage, warning)

    def _take(
        self, engine: ChronosEngine, operation: Operation, assessment: RiskAssessment, include: Sequence[str]
    ) -> Created:
        """Take the checkpoint, unless the newest one has this state already."""
        from chronos.checkpoints import Trigger  # the engine has it; most passages ask for none

        origin = self.origin() if self.origin is not None else ""
        reasons = (display(mask(reason)) for reason in _reasons_of(assessment, include))
        about = "\n".join((f"risk {assessment.level.value} {assessment.score:.2f}", *reasons, origin)).rstrip()
        name = checkpoint_name(operation)
        return engine.take_checkpoint(name, about, trigger=Trigger.AUTOMATIC, include=include)

    def _miss(self, passage: Passage, assessment: RiskAssessment, cause: Exception, *, is_wanted: bool) -> None:
        error = cause if isinstance(cause, ChronosError) else ChronosError(str(cause), hint="")
        message = f"no checkpoint could be taken before {public_words_of(passage.operation)!r}: {error.message}"
        if is_wanted or not goes_on_without(passage.policy, assessment.level, error):
            hint = f"{error.hint}; or --policy advise, to go on without a checkpoint".lstrip("; ")
            raise UnprotectedError(message, hint=hint) from cause
        self._warn(passage, f"{message}; it goes on without one")

    def _record_effects(self, passage: Passage, assessment: RiskAssessment) -> None:
        """Note what no restore takes back before it happens: what is killed half-way may have sent its e-mail."""
        if not assessment.effects:
            return
        effects = tuple(map(mask, assessment.effects))
        try:
            with _TAKING, self.open_engine() as engine:
                engine.record_effects(effects, public_words_of(passage.operation))
        except (ChronosError, OSError) as cause:
            self._warn(passage, f"what cannot be taken back was not recorded: {cause}")
        for effect in effects:
            self._warn(passage, f"no restore takes this back: {display(effect)}")

    def _warn(self, passage: Passage, message: str) -> None:
        import logging  # 3 ms, and most passages have nothing to say

        passage.warnings.append(message)
        self.notify(message)
        logging.getLogger("historian.guard").warning("%s", message)


def enter(passage: Passage, owner: object) -> None:
    """Make guards from here on rely on this passage's checkpoint, until `owner` leaves."""
    _OPEN.set((*_OPEN.get(), (owner, passage)))


def leave(owner: object) -> Passage | None:
    """End the innermost passage that `owner` entered here; return it. Work that outlives it relies on it no more."""
    entered = _OPEN.get()
    own = next((one for one in reversed(entered) if one[0] is owner), None)
    if own is None:
        return None
    own[1].is_open = False
    _OPEN.set(tuple(one for one in entered if one is not own))
    return own[1]


@contextmanager
def inside(passage: Passage) -> Iterator[None]:
    """Be in a passage for the length of the block."""
    enter(passage, passage)
    try:
        yield
    finally:
        leave(passage)


def _find_outer(root: Path, wanted: frozenset[str]) -> Passage | None:
    for _, passage in reversed(_OPEN.get()):
        if passage.is_open and passage.root == root and passage.checkpoint_id and wanted <= passage.included:
            return passage
    return None


def _reasons_of(assessment: RiskAssessment, include: Sequence[str]) -> Iterator[str]:
    """Yield the reasons as its own checkpoint tells them: what it was asked to hold besides, and what none can."""
    yield from [reason for reason in assessment.reasons if not reason.startswith(NOT_HELD)][:_SHOWN_REASONS]
    if include:
        yield f"asked to hold {', '.join(map(display, include[:_SHOWN_REASONS]))}"
    missed = [
        target.what for target in assessment.targets if not target.is_covered and target.coverage not in _EXTENDABLE
    ]
    if missed:
        yield f"no checkpoint holds {', '.join(map(display, missed[:_SHOWN_REASONS]))}"


def _judged(operation: Operation, assessment: RiskAssessment) -> str:
    reasons = "; ".join(assessment.reasons[:_SHOWN_REASONS]) or "no reason given"
    danger = {RiskLevel.LOW: "low", RiskLevel.MEDIUM: "medium", RiskLevel.HIGH: "high"}[assessment.level]
    return f"{public_words_of(operation)!r} is of {danger} risk ({display(mask(reasons))})"


def _shortcomings(created: Created) -> Iterator[str]:
    for row in created.not_included:
        detail = f": {row.detail}" if row.detail else ""
        yield f"no checkpoint holds {display(row.path)} ({row.reason.value}{detail})"
    yield from created.warnings
