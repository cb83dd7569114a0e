"""Looking after a store: verify, recover, status and doctor."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chronos.maintenance.chunk_repair import RepairStep
    from chronos.maintenance.doctor import examine
    from chronos.maintenance.findings import Finding, Severity
    from chronos.maintenance.recovery import recover
    from chronos.maintenance.repairing import RepairOutcome, RepairPlan, plan_repair, repair
    from chronos.maintenance.status import StatusReport, report_status
    from chronos.maintenance.verification import verify

__all__ = [
    "Finding",
    "RepairOutcome",
    "RepairPlan",
    "RepairStep",
    "Severity",
    "StatusReport",
    "examine",
    "plan_repair",
    "recover",
    "repair",
    "report_status",
    "verify",
]

_HOMES = {
    "Finding": "findings",
    "RepairOutcome": "repairing",
    "RepairPlan": "repairing",
    "RepairStep": "chunk_repair",
    "Severity": "findings",
    "StatusReport": "status",
    "examine": "doctor",
    "plan_repair": "repairing",
    "recover": "recovery",
    "repair": "repairing",
    "report_status": "status",
    "verify": "verification",
}


def __getattr__(name: str) -> object:
    """Load what is asked for when it is: the commands that people type all day need none of it (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(name)
    found: object = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = found
    return found
