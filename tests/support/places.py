"""Where tests keep their files: in memory where that has room, since a disk costs them half of their time.

What is killed or refused here is a process, never the power, so a file that is in memory is as good as a synced one.
`TMPDIR=/var/tmp make unit` runs everything on a disk.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

_IN_MEMORY = Path("/dev/shm")
_ROOM_BYTES = 4 << 30  # one test writes 1 GiB; the folder of each that passes goes at once
_ASKED_FOR = ("TMPDIR", "PYTEST_DEBUG_TEMPROOT")


def settle_in_memory() -> None:
    """Let pytest make its temporary folders in memory, unless the environment names a place (as `--basetemp` may)."""
    if any(os.environ.get(name) for name in _ASKED_FOR) or not os.access(_IN_MEMORY, os.W_OK):
        return
    found = os.statvfs(_IN_MEMORY)
    may_execute = not found.f_flag & getattr(os, "ST_NOEXEC", 0)
    if may_execute and found.f_bavail * found.f_frsize >= _ROOM_BYTES:
        os.environ["PYTEST_DEBUG_TEMPROOT"] = str(_IN_MEMORY)


def find_other_file_system(place: Path) -> Path | None:
    """Return a folder for temporary files that is on another file system than `place`, or None."""
    candidates = (_IN_MEMORY, Path(tempfile.gettempdir()), Path("/var/tmp"))
    others = (path for path in candidates if os.access(path, os.W_OK) and path.stat().st_dev != place.stat().st_dev)
    return next(others, None)
