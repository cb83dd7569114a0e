"""The verdict: judges by kind, the heaviest finding, past failures that resemble it, and what is covered."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from chronos.errors import UsageError
from historian.risk.case import Case, Finding
from historian.risk.coverage import advise, resolve_targets
from historian.risk.operations import Operation, OperationKind, kind_of
from historian.risk.rule_files import look_of_project_rules, read_project_rules
from historian.risk.rules import Rules, package_rules
from historian.risk.verdicts import NOT_HELD, Precedent, RiskAssessment, RiskLevel, Signal, Target

if TYPE_CHECKING:
    from historian.risk.probing import Surveyor

_MOST_REASONS = 8
_PRECEDENT_SHARE = 0.4
_HARMLESS = 0.25
_CUT = frozenset(("probe.cut", "bounds", "shell.unparsed", "sql.unparsed"))
_PLAIN = frozenset(("reads", "rehearses"))


class Assessor:
    """Assesses operations by `rules`. Not shared between threads.

    `engine` answers what is there and what a checkpoint has of it (see `Surveyor`); it may be a callable that opens
    one, called when something is first to be looked at. `precedents` finds past failures that resemble an operation.
    """

    def __init__(
        self,
        rules: Rules | None = None,
        *,
        engine: Surveyor | Callable[[], Surveyor] | None = None,
        precedents: Callable[[Operation], Sequence[Precedent]] | None = None,
    ) -> None:
        self.rules = rules or package_rules()
        self._engine = engine
        self._precedents = precedents

    def assess(self, operation: str | Operation) -> RiskAssessment:
        """Return the verdict on an operation. Nothing is changed; looking takes at most 50 ms.

        Raises UsageError for an operation that says nothing at all.
        """
        if isinstance(operation, str):
            operation = Operation(text=operation)
        kind = kind_of(operation)
        if kind is not None:
            kinds: tuple[OperationKind, ...] = (kind,)
        else:
            text, kinds = _detect(self.rules, operation.text)
            operation = msgspec.structs.replace(operation, text=text)
        if not (operation.text.strip() or operation.argv or operation.path or operation.tool):
            raise UsageError("there is nothing to assess", hint="describe the operation, or give a command")
        best: RiskAssessment | None = None
        for kind in kinds:
            found = self._assess(operation, kind)
            fits = best is None or [signal.rule for signal in found.signals] != ["words.unknown"]
            if best is None or (fits and found.score > best.score):
                best = found
        assert best is not None
        return best

    def _assess(self, operation: Operation, kind: OperationKind) -> RiskAssessment:
        case = Case(self.rules)
        if self._engine is not None and kind is not OperationKind.WORDS:
            from historian.risk.probing import Probe

            case.probe = Probe(self._open())
            case.home = case.probe.root
        elif operation.cwd.startswith("/"):
            case.home = operation.cwd
        judge(case, operation, kind)
        precedents = self._precedents(operation) if self._precedents is not None else ()
        targets, covered = resolve_targets(case) if case.hits else ((), None)
        if case.probe is not None and case.probe.was_cut:
            case.add("reads", "probe.cut", "probe cut short: what is there was not looked at in full", weight=0.0)
        return self._verdict(case, kind, targets, covered, precedents)

    def _open(self) -> Surveyor:
        if callable(self._engine):
            self._engine = self._engine()
        assert self._engine is not None
        return self._engine

    def _verdict(
        self,
        case: Case,
        kind: OperationKind,
        targets: tuple[Target, ...],
        covered: bool | None,
        precedents: Sequence[Precedent],
    ) -> RiskAssessment:
        findings = case.findings
        if len(findings) > 1:
            findings = sorted(findings, key=lambda finding: -finding.weight)
        score = findings[0].weight if findings else self.rules.weight("reads")
        signals = [Signal(finding.rule, finding.reason, finding.weight) for finding in findings]
        reasons = _reasons(findings, _named(precedents) if precedents else [])
        highest = self.rules.table.thresholds["medium"] if self._level(score) is RiskLevel.LOW else 1.0
        for precedent in precedents:  # what only reads stays low, whatever failed that it speaks of
            share = _PRECEDENT_SHARE * min(max(precedent.similarity, 0.0), 1.0) * (highest - score)
            score += share
            signals.append(Signal(f"lesson.{precedent.lesson_id}", f"resembles: {precedent.what_failed}", share))
        level = self._level(score)
        if covered is False and level is not RiskLevel.LOW:
            missed = [target.what for target in targets if not target.is_covered and target.coverage != "unknown"]
            reasons.append(f"{NOT_HELD} {', '.join(missed[:3])}")
        effects = tuple(case.effects) if level is not RiskLevel.LOW else ()
        return RiskAssessment(
            level=level, score=round(score, 3), kind=kind, reasons=tuple(reasons[: _MOST_REASONS + 4]), targets=targets,
            covered=covered, advice=advise(level, targets, effects, probed=case.probe is not None), effects=effects,
            signals=tuple(signals),
        )  # fmt: skip

    def _level(self, score: float) -> RiskLevel:
        thresholds = self.rules.table.thresholds
        if score >= thresholds["high"]:
            return RiskLevel.HIGH
        return RiskLevel.MEDIUM if score >= thresholds["medium"] else RiskLevel.LOW


def _reasons(findings: Sequence[Finding], named: list[str]) -> list[str]:
    """Return why, the heaviest first: what is harmless is left out beside what is not."""
    if len(findings) == 1:
        return [*named, findings[0].reason]
    worst = findings[0].weight if findings else 0.0
    keeps = [finding.reason for finding in findings if finding.action not in _PLAIN or worst < _HARMLESS]
    cut = [finding.reason for finding in findings if finding.rule in _CUT]
    return list(dict.fromkeys([*named, *keeps[: _MOST_REASONS - len(cut)], *cut]))


def _named(precedents: Sequence[Precedent]) -> list[str]:
    return [f"resembles a past failure (lesson {item.lesson_id}): {item.what_failed}" for item in precedents]


def load_rules(root: Path | None) -> Rules:
    """Return the rules that hold in the project at `root`. Raises BadConfigError with file, line and what is wrong."""
    return package_rules() if root is None else _rules_in(root, look_of_project_rules(root))


@lru_cache(maxsize=8)
def _rules_in(root: Path, _look: tuple[object, ...]) -> Rules:
    """Return the rules of a project whose files look so: reading them takes longer than judging a sentence."""
    table = read_project_rules(root, package_rules().table)
    return package_rules() if table is None else Rules(table)


def judge(case: Case, operation: Operation, kind: OperationKind) -> None:
    """Let the judge of a kind add what it finds. A judge loads when it is first needed."""
    if kind is OperationKind.WORDS:
        from historian.risk.words import judge_words

        judge_words(case, operation.text, _judge_spoken)
    elif kind is OperationKind.SQL:
        from historian.risk.sql import judge_sql

        judge_sql(case, operation.text, operation.dialect)
    elif kind is OperationKind.FILE:
        from historian.risk.paths import judge_file

        judge_file(case, operation)
    elif kind is OperationKind.TOOL:
        from historian.risk.tools import judge_tool

        judge_tool(case, operation, lambda own, inner: judge(own, inner, inner.kind or OperationKind.WORDS))
    elif operation.argv:
        from historian.risk.shell import judge_arguments

        judge_arguments(case, operation.argv, operation.cwd)
    else:
        from historian.risk.shell import judge_shell

        judge_shell(case, operation.text, operation.cwd)


def _detect(rules: Rules, text: str) -> tuple[str, tuple[OperationKind, ...]]:
    """Return the text without the prompt of a shell before it, and what it may be."""
    # 10 ms, and who knows the kind needs none of it
    from historian.risk.detecting import detect_kinds, without_prompt, without_remarks

    text = without_prompt(text)
    kinds = detect_kinds(rules, text)
    if kinds[0] is not OperationKind.WORDS:  # the first line of words may be their heading, and counts
        text = without_remarks(text) or text
    return text, kinds


def _judge_spoken(case: Case, text: str) -> None:
    """Judge a command that stands in a sentence, where it is one."""
    from historian.risk.shell import judge_shell

    first = text.split(maxsplit=1)[0] if text.strip() else ""
    if first.rsplit("/", 1)[-1] in case.rules.commands and len(text.split()) > 1:
        judge_shell(case, text)
