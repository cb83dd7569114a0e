"""The conditions of a run: figures of two machines are comparable only with these beside them."""

from __future__ import annotations

import os
import platform
import statistics
import time
from pathlib import Path

_BLOCK = b"x" * 4096


def describe_machine(folder: Path) -> dict[str, str]:
    """Return cores, system, and what one fsync in `folder` costs, without naming the machine."""
    release = platform.release().partition("-")[0]
    return {
        "cores": str(os.cpu_count()),
        "system": f"{platform.system()} {release}",
        "one fsync of 4 KiB": f"{_time_fsync(folder) * 1000:.2f} ms",
    }


def read_load() -> float:
    """Return the load average of the last minute: other work that the figures have to bear."""
    return os.getloadavg()[0]


def describe_load(before: float, after: float) -> str:
    """Return both loads, with a warning when other work held half of the cores before the run began."""
    is_busy = before > (os.cpu_count() or 1) / 2
    warning = " **(busy machine: times are too high, ratios less certain)**" if is_busy else ""
    return f"{before:.1f}, {after:.1f}{warning}"


def _time_fsync(folder: Path) -> float:
    spent = []
    for number in range(25):
        with Path(folder, f"fsync-{number}").open("wb", buffering=0) as file:
            start = time.perf_counter()
            file.write(_BLOCK)
            os.fsync(file.fileno())
            spent.append(time.perf_counter() - start)
    return statistics.median(spent)
