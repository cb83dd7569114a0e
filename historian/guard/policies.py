"""Which policy holds for which level of danger, and which way a guard goes when no checkpoint can be taken."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import msgspec

from chronos.config import Config, GuardPolicy, GuardRules
from chronos.errors import BadConfigError, ChronosError, DisabledError
from historian.risk import RiskLevel

Wanted: TypeAlias = str | GuardPolicy | GuardRules | Mapping[str, str] | None


def find_rules(config: Config, wanted: Wanted = None) -> GuardRules:
    """Return the rules in force: the settings, and over them what was asked for. Raises BadConfigError.

    Where `auto_checkpoint` is switched off, `auto` only advises.
    """
    rules = config.guard
    if isinstance(wanted, GuardRules):
        rules = wanted
    elif isinstance(wanted, GuardPolicy):
        rules = rules.changed(wanted.value)
    elif isinstance(wanted, str | Mapping):
        rules = rules.changed(wanted)
    elif wanted is not None:
        raise BadConfigError(f"policy = {wanted!r} is neither a policy nor a table of them")
    if config.auto_checkpoint:
        return rules
    advising = {level: GuardPolicy.ADVISE for level, policy in _by_level(rules).items() if policy is GuardPolicy.AUTO}
    return msgspec.structs.replace(rules, **advising)


def policy_for(rules: GuardRules, level: RiskLevel) -> GuardPolicy:
    """Return the policy that holds for a level."""
    return _by_level(rules)[level.value]


def is_idle(rules: GuardRules) -> bool:
    """Tell whether nothing has to be assessed, since every policy is off."""
    return set(_by_level(rules).values()) == {GuardPolicy.OFF}


def goes_on_without(policy: GuardPolicy, level: RiskLevel, cause: ChronosError) -> bool:
    """Tell whether an operation may go on though `cause` kept its checkpoint from being taken.

    What was asked about, and what cannot be undone, may not; unless somebody switched checkpoints off.
    """
    if isinstance(cause, DisabledError):
        return True
    return policy is GuardPolicy.AUTO and level is not RiskLevel.HIGH


def _by_level(rules: GuardRules) -> dict[str, GuardPolicy]:
    return {"low": rules.low, "medium": rules.medium, "high": rules.high}
