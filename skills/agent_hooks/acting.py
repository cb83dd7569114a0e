"""What is done at an event: a checkpoint at a prompt and after a turn, the guard's policy before a tool call.

A call that failed is a lesson of the historian, as one is that the guard has seen fail.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from chronos import clock
from chronos.config import Config, GuardPolicy, GuardRules, Surroundings, load, read_guard
from chronos.errors import ChronosError, RefusedError
from chronos.lazy import load_engine_libraries
from skills.agent_hooks.agents import Decision, Moment, can_ask
from skills.agent_hooks.events import Event
from skills.agent_hooks.reading import command_of, edited_path, path_of

if TYPE_CHECKING:
    from chronos.engine import ChronosEngine
    from historian import HistorianAgent
    from historian.risk import Operation, RiskAssessment

_LONGEST_PATH = 200
_SHOWN_REASONS = 3
_LOOKED_AT = 20  # more than are taken while one call runs
# What records its failures itself, and tools of ours, whose errors are answers.
_RECORDS = r"\bchrono(?:\s+-\S+)*(?:\s+--root\s+\S+)?\s+run\b"
_OURS = "chronomancer"
_HELD = ("code", "memory", "absent")
_HINTS = {
    "blocked": "the guard's policy here forbids it: leave it to your user",
    "not_confirmed": "ask your user, who can run it with `chrono run`, or change the guard's policy",
    "unprotected": "tell your user: without a checkpoint it could not be undone",
}


class Outcome(msgspec.Struct, frozen=True):
    """What came of an event: what is decided about a tool call, why, and what has to be said besides."""

    decision: Decision = Decision.NONE
    reason: str = ""
    warnings: tuple[str, ...] = ()


class Work:
    """The work on one event in `folder`."""

    def __init__(self, event: Event, folder: Path, environment: Mapping[str, str]) -> None:
        self._event = event
        self._folder = folder
        self._surroundings = Surroundings(environment, folder)

    def do(self, detach: Callable[[], bool]) -> Outcome:
        """Do what this event asks for. `detach` goes on without whoever waits, and is true in the one that ends.

        Raises ChronosError and OSError when a checkpoint could not be taken; a tool call has been decided on then.
        """
        if self._event.moment is Moment.TOOL:
            return self._guard()
        arrived = clock.now()
        if self._event.moment in (Moment.STOP, Moment.RESULT) and detach():
            return Outcome()
        return self._learn(arrived) if self._event.moment is Moment.RESULT else self._hold()

    def turn_away(self, problem: str) -> Outcome:
        """Say what keeps an event from being acted on; a tool call is refused where the policy is a strict one."""
        if self._event.moment is Moment.TOOL and self._is_strict:
            return Outcome(Decision.DENY, f"this call could not be judged: {problem}", (problem,))
        return Outcome(warnings=(problem,))

    @property
    def _is_strict(self) -> bool:
        """Whether nothing may go on that could not be judged; what is wrong in other settings does not change it."""
        rules = read_guard(_find_project(self._folder), self._surroundings.environment)
        return not {rules.medium, rules.high}.isdisjoint((GuardPolicy.CONFIRM, GuardPolicy.BLOCK))

    def _hold(self) -> Outcome:
        """Take a checkpoint, unless the newest one has this state: then that one is linked to the prompt."""
        load_engine_libraries()
        from chronos.app import open_engine

        is_prompt = self._event.moment is Moment.PROMPT
        with open_engine(self._folder, surroundings=self._surroundings) as engine:
            from chronos.checkpoints import Trigger
            from skills.agent_hooks.links import name_for

            if engine.config.enabled and engine.config.auto_checkpoint:
                engine.take_checkpoint(
                    name_for(self._event), self._lines(), trigger=Trigger.AUTOMATIC, is_prompt=is_prompt
                )
            return Outcome(warnings=tuple(engine.notices))

    def _learn(self, ended: datetime) -> Outcome:
        """Learn from a call that failed, when it is one that the guard's policy is not `off` for."""
        if _is_learned_elsewhere(self._event):
            return Outcome()
        load_engine_libraries()
        from chronos.app import open_historian
        from historian.failures import Report
        from historian.guard import find_rules, policy_for, public_words_of

        operation = _operation_of(self._event, self._folder)
        with open_historian(self._folder) as historian:
            rules = _without_checkpoints(find_rules(historian.config), historian.config)
            level = historian.assess(operation, probe=False).level
            if policy_for(rules, level) is GuardPolicy.OFF:
                return Outcome()
            found = historian.analyze_failure(
                public_words_of(operation), self._event.error, self._find_before(historian.engine, ended),
                report=Report(self._event.agent, self._lines(), is_unique=bool(self._event.call)),
            )  # fmt: skip
            return Outcome(warnings=() if found.lesson is not None else found.notes)

    def _find_before(self, engine: ChronosEngine, ended: datetime) -> str | None:
        """Return the newest checkpoint that there was when a call began: the guard's, or the one it relied on."""
        began = clock.to_text(ended - timedelta(milliseconds=self._event.took_ms))
        rows = engine.list_checkpoints(limit=_LOOKED_AT, safety=True)
        return next((row.checkpoint_id for row in rows if row.created_at <= began), None)

    def _guard(self) -> Outcome:
        """Let the guard's policy decide on a tool call; the checkpoint that it wants is taken before this returns."""
        from historian.guard import find_rules

        operation = _operation_of(self._event, self._folder)
        rules, environment = None, self._surroundings.environment
        top = None if environment.get("CHRONOS_TIMELINE") else _find_top(self._folder)
        if top is not None:
            config = load(top, environment)
            rules = _without_checkpoints(find_rules(config), config)
            is_edit = bool(edited_path(self._event))  # never without danger
            if not is_edit and _needs_nothing(operation, rules, top):
                return Outcome()
        return self._pass_gate(operation, rules)

    def _pass_gate(self, operation: Operation, rules: GuardRules | None) -> Outcome:
        """Do as the guard does; `rules` None: those of the settings that the engine finds."""
        load_engine_libraries()
        from chronos.app import open_historian
        from chronos.secrets import mask
        from historian.guard import find_rules

        warnings: list[str] = []
        asker = _agree if can_ask(self._event.agent, self._event.name) else None
        notify = partial(_note, warnings)
        with open_historian(self._folder, asker=asker, notify=notify, origin=self._lines) as historian:
            rules = rules or _without_checkpoints(find_rules(historian.config), historian.config)
            if rules.medium is rules.high is GuardPolicy.AUTO and self._hold_file(historian):
                return Outcome()
            try:
                passage = historian.let_through(operation, policy=rules)
            except RefusedError as refusal:
                return Outcome(
                    Decision.DENY, f"{refusal.message}; {_HINTS.get(refusal.code, refusal.hint)}", (*warnings,)
                )
            except ChronosError as problem:  # such as wrong rules of the project
                if self._is_strict or GuardPolicy.AUTO not in (rules.medium, rules.high):
                    raise
                self._take_before(historian.engine)
                return Outcome(warnings=(*warnings, f"{problem.message}; a checkpoint was taken all the same"))
        if passage.policy is not GuardPolicy.CONFIRM or passage.assessment is None:
            return Outcome(warnings=(*warnings,))
        reasons = "; ".join(map(mask, passage.assessment.reasons[:_SHOWN_REASONS]))
        held = (
            f"checkpoint {passage.checkpoint_id} has the state before it" if passage.checkpoint_id else "no checkpoint"
        )
        return Outcome(Decision.ASK, f"{passage.assessment.level.value} risk: {reasons} ({held})", (*warnings,))

    def _hold_file(self, historian: HistorianAgent) -> bool:
        """Take the checkpoint before a change of one file that it holds: the guard would, after 40 ms of judging.

        False where there is something to judge: another call, a file that no checkpoint has by itself, a failure.
        """
        path = edited_path(self._event)
        if not path:
            return False
        with suppress(ChronosError, OSError):  # which way to go without a checkpoint is for the guard to say
            place = Path(os.path.join(self._event.folder or self._folder, path))
            if historian.engine.coverage([place])[0].value in _HELD:
                self._take_before(historian.engine)
                return True
        return False

    def _take_before(self, engine: ChronosEngine) -> None:
        from chronos.checkpoints import Trigger
        from skills.agent_hooks.links import name_before

        name = name_before(command_of(self._event) or _words_for(self._event, self._folder))
        engine.take_checkpoint(name, self._lines(), trigger=Trigger.AUTOMATIC)

    def _lines(self) -> str:
        from skills.agent_hooks.links import lines_for  # only a checkpoint that is taken needs them

        return lines_for(self._event)


def _without_checkpoints(rules: GuardRules, config: Config) -> GuardRules:
    """Return the rules without the checkpoints that nobody can take where checkpoints are switched off."""
    if config.enabled:
        return rules
    named = {level: getattr(rules, level) for level in rules.__struct_fields__}
    return rules.changed({level: "off" for level, policy in named.items() if policy is GuardPolicy.AUTO})


def _note(warnings: list[str], message: str) -> None:
    import logging

    warnings.append(message)
    logging.getLogger("historian").addHandler(logging.NullHandler())  # the guard logs it as well, for others


def _agree(_: Operation, __: RiskAssessment) -> bool:
    """Let the checkpoint be taken: whether the call goes on is then asked by the agent itself."""
    return True


def _needs_nothing(operation: Operation, rules: GuardRules, top: Path | None) -> bool:
    """Tell without looking at the tree whether the guard would do nothing.

    By the rules of the package what is low is so as well when what is there has been looked at: only what writes or
    runs something becomes more dangerous by that.
    """
    if {rules.low, rules.medium, rules.high} == {GuardPolicy.OFF}:
        return True
    if rules.low is not GuardPolicy.OFF or top is None:
        return False
    from historian.risk import Assessor, RiskLevel, load_rules

    with suppress(ChronosError):  # wrong rules: the guard says so
        known = load_rules(top)
        return known is load_rules(None) and Assessor(known).assess(operation).level is RiskLevel.LOW
    return False


def _is_learned_elsewhere(event: Event) -> bool:
    """Tell whether a failure is no lesson here: an edit that failed changed nothing, and what records its own."""
    return bool(edited_path(event) or _OURS in event.tool or re.search(_RECORDS, command_of(event)))


def _operation_of(event: Event, folder: Path) -> Operation:
    """Return a call as it is judged; its text is what the checkpoint and a lesson call it."""
    from historian.risk import Operation, OperationKind

    where = event.folder or str(folder)
    if command := command_of(event):
        return Operation(text=command, kind=OperationKind.SHELL, cwd=where)
    return Operation(
        text=_words_for(event, folder), tool=event.tool or event.name, arguments=event.arguments,
        kind=OperationKind.TOOL, cwd=where,
    )  # fmt: skip


def _words_for(event: Event, folder: Path) -> str:
    path = path_of(event).removeprefix(f"{folder}{os.sep}")[-_LONGEST_PATH:]
    return f"{event.tool or event.name} {path}".rstrip()


def _find_project(folder: Path) -> Path:
    """Return the top of the working tree or worktree that holds `folder`, `folder` itself where there is none."""
    folder = Path(os.path.realpath(folder))
    return next((place for place in (folder, *folder.parents) if os.path.exists(place / ".git")), folder)


def _find_top(folder: Path) -> Path | None:
    """Return the top of the working tree from its files alone, None where only git can tell."""
    folder = Path(os.path.realpath(folder))
    for place in (folder, *folder.parents):
        git = place / ".git"
        if git.is_dir():
            try:
                return None if b"worktree" in (git / "config").read_bytes().lower() else place
            except OSError:
                return None
        if git.exists():
            return None
    return None
