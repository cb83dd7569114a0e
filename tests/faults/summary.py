"""The last word of a test run: what was injected where, and how many fault tests could not run.

The hook is imported by conftest modules; with pytest-xdist only one that the controlling process loads is heard.
"""

from __future__ import annotations

import pytest

POINTS = "fault points"  # the property of a test report that says what was injected
_SAID = pytest.StashKey[bool]()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print each test's points and a count of the skipped fault tests; once, however often it is imported."""
    if config.stash.get(_SAID, False):
        return
    config.stash[_SAID] = True
    stats = terminalreporter.stats
    reports = [report for kind in ("passed", "failed") for report in stats.get(kind, ())]
    lines = [str(value) for report in reports for key, value in getattr(report, "user_properties", ()) if key == POINTS]
    skipped = [report for report in stats.get("skipped", ()) if "/faults/" in report.nodeid]
    if lines or skipped:
        terminalreporter.section(POINTS)
    for line in lines:
        terminalreporter.write_line(line)
    if skipped:
        reasons = {report.longrepr[2] if isinstance(report.longrepr, tuple) else "" for report in skipped}
        terminalreporter.write_line(f"{len(skipped)} FAULT TESTS SKIPPED: {'; '.join(sorted(reasons))}", red=True)
