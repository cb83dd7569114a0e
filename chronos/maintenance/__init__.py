"""Looking after a store: verify, recover, status, doctor, retention, gc and what it takes on disk."""

from typing import TYPE_CHECKING

from chronos.lazy import loader

if TYPE_CHECKING:
    from chronos.maintenance.chunk_repair import RepairStep
    from chronos.maintenance.doctor import examine
    from chronos.maintenance.due import is_due
    from chronos.maintenance.findings import Finding, Severity
    from chronos.maintenance.gc import GcOutcome, GcPlan, plan_gc, run_gc
    from chronos.maintenance.recovery import recover
    from chronos.maintenance.repairing import RepairOutcome, RepairPlan, plan_repair, repair
    from chronos.maintenance.status import StatusReport, report_status
    from chronos.maintenance.upkeep import look_after, make_room
    from chronos.maintenance.usage import Share, Usage, measure_usage
    from chronos.maintenance.verification import verify

__all__ = [
    "Finding",
    "GcOutcome",
    "GcPlan",
    "RepairOutcome",
    "RepairPlan",
    "RepairStep",
    "Severity",
    "Share",
    "StatusReport",
    "Usage",
    "examine",
    "is_due",
    "look_after",
    "make_room",
    "measure_usage",
    "plan_gc",
    "plan_repair",
    "recover",
    "repair",
    "report_status",
    "run_gc",
    "verify",
]

_HOMES = {
    "Finding": "findings",
    "GcOutcome": "gc",
    "GcPlan": "gc",
    "RepairOutcome": "repairing",
    "RepairPlan": "repairing",
    "RepairStep": "chunk_repair",
    "Severity": "findings",
    "Share": "usage",
    "StatusReport": "status",
    "Usage": "usage",
    "examine": "doctor",
    "is_due": "due",
    "look_after": "upkeep",
    "make_room": "upkeep",
    "measure_usage": "usage",
    "plan_gc": "gc",
    "plan_repair": "repairing",
    "recover": "recovery",
    "repair": "repairing",
    "report_status": "status",
    "run_gc": "gc",
    "verify": "verification",
}
__getattr__ = loader(__name__, _HOMES)
