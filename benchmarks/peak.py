"""Peak memory of one program and its children: `python -m benchmarks.peak PROGRAM [ARGUMENT]...` prints the bytes.

A program of its own, because Linux carries the peak of the process that starts a program over into the figure of the
started one: this one stays small.
"""

from __future__ import annotations

import os
import subprocess
import sys

if __name__ == "__main__":
    started = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
    _pid, status, usage = os.wait4(started.pid, 0)
    started.returncode = os.waitstatus_to_exitcode(status)
    print(usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024))
    sys.exit(started.returncode)
