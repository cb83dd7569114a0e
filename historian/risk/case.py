"""One assessment under way: the rules, what may be looked at, and what has been found so far. Findings are bounded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from historian.risk.rules import Rules

if TYPE_CHECKING:
    from historian.risk.probing import Probe

DEEPEST = 8
_MOST_FINDINGS = 200
_MOST_HITS = 200
_MOST_STEPS = 5000


class Hit(msgspec.Struct, frozen=True):
    """Something that would be hit, as it was written: `kind` is path, database, table, branch, commits or remote.

    `folder` is where a relative path begins, "" where that is not known.
    """

    kind: str
    what: str
    folder: str = ""


class Finding(msgspec.Struct, frozen=True):
    """One thing that was found: the action, which rule, why, and its weight."""

    action: str
    rule: str
    reason: str
    weight: float


class Case:
    """What is known of one operation; judges add to it. `steps` bounds the work on texts that unfold.

    `home` is the folder in which it would run, as an absolute path, "" where that is not known.
    """

    def __init__(self, rules: Rules, probe: Probe | None = None, home: str = "") -> None:
        self.home = home
        self.rules = rules
        self.probe = probe
        self.findings: list[Finding] = []
        self.hits: dict[Hit, None] = {}
        self.effects: dict[str, None] = {}
        self.steps = _MOST_STEPS

    def add(self, action: str, rule: str, reason: str = "", *, weight: float | None = None) -> None:
        """Note that something does `action`; `weight` is said where it is not the action's.

        Of very many findings only heavier ones than all before are still noted.
        """
        counts = self.rules.weight(action) if weight is None else weight
        if len(self.findings) < _MOST_FINDINGS:
            self.findings.append(Finding(action, rule, reason or self.rules.says(action), counts))
        elif counts > self.worst:
            self.findings[-1] = Finding(action, rule, reason or self.rules.says(action), counts)

    def hit(self, kind: str, what: str, folder: str = "") -> None:
        """Note what would be hit."""
        if what and len(self.hits) < _MOST_HITS:
            self.hits.setdefault(Hit(kind, what[:500], folder))

    def effect(self, what: str) -> None:
        """Note what no restore takes back."""
        if len(self.effects) < _MOST_HITS:
            self.effects.setdefault(what)

    def step(self) -> bool:
        """Take one of the steps that are left; False when there is none."""
        self.steps -= 1
        if self.steps == 0:
            self.add("runs", "bounds", "goes on longer than anybody looked")
        return self.steps > 0

    @property
    def worst(self) -> float:
        """The weight of the heaviest finding so far."""
        return max((finding.weight for finding in self.findings), default=0.0)
