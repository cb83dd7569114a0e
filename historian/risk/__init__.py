"""Risk: how dangerous an operation is, why, what it would hit, and what no checkpoint would cover."""

from typing import TYPE_CHECKING

from chronos.lazy import loader

if TYPE_CHECKING:
    from historian.risk.operations import Operation, OperationKind
    from historian.risk.verdicts import Precedent, RiskAssessment, RiskLevel, Signal, Target

__all__ = ["Operation", "OperationKind", "Precedent", "RiskAssessment", "RiskLevel", "Signal", "Target"]

_HOMES = {
    "Operation": "operations", "OperationKind": "operations",
    "Precedent": "verdicts", "RiskAssessment": "verdicts", "RiskLevel": "verdicts", "Signal": "verdicts",
    "Target": "verdicts",
}  # fmt: skip

__getattr__ = loader(__name__, _HOMES)
