"""Risk: how dangerous an operation is, why, what it would hit, and what no checkpoint would cover."""

from typing import TYPE_CHECKING

from chronos.lazy import loader

if TYPE_CHECKING:
    from historian.risk.assessing import Assessor, load_rules
    from historian.risk.known_reads import is_known_read
    from historian.risk.operations import Operation, OperationKind
    from historian.risk.probing import Surveyor
    from historian.risk.rules import Rules
    from historian.risk.verdicts import NOT_HELD, Precedent, RiskAssessment, RiskLevel, Signal, Target

__all__ = [
    "NOT_HELD",
    "Assessor",
    "Operation",
    "OperationKind",
    "Precedent",
    "RiskAssessment",
    "RiskLevel",
    "Rules",
    "Signal",
    "Surveyor",
    "Target",
    "is_known_read",
    "load_rules",
]

_HOMES = {
    "NOT_HELD": "verdicts",
    "Assessor": "assessing", "load_rules": "assessing", "Surveyor": "probing", "Rules": "rules",
    "is_known_read": "known_reads",
    "Operation": "operations", "OperationKind": "operations",
    "Precedent": "verdicts", "RiskAssessment": "verdicts", "RiskLevel": "verdicts", "Signal": "verdicts",
    "Target": "verdicts",
}  # fmt: skip

__getattr__ = loader(__name__, _HOMES)
