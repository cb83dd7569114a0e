"""Looking after a store: verify, recover, status and doctor."""

from chronos.maintenance.doctor import examine
from chronos.maintenance.findings import Finding, Severity
from chronos.maintenance.recovery import recover
from chronos.maintenance.status import StatusReport, report_status
from chronos.maintenance.verify import verify

__all__ = ["Finding", "Severity", "StatusReport", "examine", "recover", "report_status", "verify"]
