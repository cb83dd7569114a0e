"""`chrono` with a judge of its own, so that tests of the guard say by their words how dangerous something is.

`low …`, `medium …` and `high …` are of that level, as is a command that has such a word in it; a file is of medium
risk, one whose name has `high` in it of high.
"""

from __future__ import annotations

from historian import HistorianAgent
from historian.risk import Operation, OperationKind, RiskAssessment, RiskLevel, Target


def judge(operation: Operation, targets: tuple[Target, ...] = (), effects: tuple[str, ...] = ()) -> RiskAssessment:
    """Return the level that the words say."""
    words = " ".join((operation.text, *operation.argv, operation.path))
    level = next((level for level in RiskLevel if level.value in words), RiskLevel.MEDIUM)
    score = {RiskLevel.LOW: 0.1, RiskLevel.MEDIUM: 0.5, RiskLevel.HIGH: 0.9}[level]
    return RiskAssessment(
        level=level, score=score, kind=operation.kind or OperationKind.WORDS, reasons=(f"the words say {level.value}",),
        targets=targets, covered=all(target.is_covered for target in targets), effects=effects,
    )  # fmt: skip


class JudgedHistorian(HistorianAgent):
    """A historian that finds `targets` and `effects` in everything; it remembers what it was asked about."""

    targets: tuple[Target, ...] = ()
    effects: tuple[str, ...] = ()

    def assess(self, operation: str | Operation, *, probe: bool = True) -> RiskAssessment:
        """Return what `judge` says."""
        found = operation if isinstance(operation, Operation) else Operation(text=operation)
        self.__dict__.setdefault("asked", []).append(found)
        return judge(found, self.targets, self.effects)


if __name__ == "__main__":
    from chronos.cli.main import run

    HistorianAgent.assess = JudgedHistorian.assess  # type: ignore[attr-defined,method-assign,unused-ignore]
    HistorianAgent.targets = HistorianAgent.effects = ()  # type: ignore[attr-defined]
    run()
