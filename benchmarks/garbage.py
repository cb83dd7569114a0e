"""A store with much that nobody needs, and a gc over it: `python -m benchmarks.garbage WORK TREE COUNT BYTES`.

`fill` takes COUNT pairs of checkpoints. The first of each pair, an automatic one, brings in BYTES / COUNT new bytes,
half of them in a file that is overwritten before the second, a named one. With the automatic ones gone, every pack is
half dead: the hardest case, since none can be dropped whole. `watch` runs `chrono gc` and prints its seconds, its
peak memory, and by how many bytes packs and scratch folders grew meanwhile.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chronos import ChronosEngine
from chronos.checkpoints import Trigger
from chronos.config import Config

_PAUSE_S = 0.02
# Nothing but what the named checkpoints need is to stay.
_STRICT = {
    "CHRONOS_MAX_CHECKPOINTS_PER_TIMELINE": "1",
    **{f"CHRONOS_KEEP_{rule}": "0" for rule in ("LAST", "HOURLY", "DAILY", "WEEKLY")},
}


def fill(tree: Path, count: int, size_bytes: int) -> Mapping[str, Any]:
    """Fill the store of `tree`."""
    chance, half = random.Random(count), size_bytes // count // 2
    with ChronosEngine(root=tree, config=Config(auto_gc=False, max_patch_bytes=1, quota_bytes=0)) as engine:
        for number in range(count):
            (tree / "lasting.bin").write_bytes(chance.randbytes(half))
            (tree / "passing.bin").write_bytes(chance.randbytes(half))
            engine.take_checkpoint(f"automatic {number}", trigger=Trigger.AUTOMATIC)
            (tree / "passing.bin").write_bytes(b"nothing")
            engine.create_checkpoint(f"named {number}")
    return {"bytes": _stored(tree)}


def watch(tree: Path, command: str) -> Mapping[str, Any]:
    """Run a gc and look at the store meanwhile."""
    before = peak = _stored(tree)
    is_over = threading.Event()

    def look() -> None:
        nonlocal peak
        while not is_over.wait(_PAUSE_S):
            peak = max(peak, _stored(tree))

    watcher = threading.Thread(target=look)
    watcher.start()
    start = time.perf_counter()
    with tempfile.TemporaryFile() as answer:
        started = subprocess.Popen(
            [command, "--root", str(tree), "gc", "--yes", "--json"], env={**os.environ, **_STRICT}, stdout=answer
        )
        _pid, status, usage = os.wait4(started.pid, 0)
        started.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - start
        is_over.set()
        watcher.join()
        answer.seek(0)
        gone = sum(row["goes"] for row in json.load(answer)["checkpoints"])
    return {
        "seconds": seconds, "before": before, "extra": peak - before, "after": _stored(tree), "gone": gone,
        "processor": usage.ru_utime + usage.ru_stime, "peak": usage.ru_maxrss * 1024,
    }  # fmt: skip


def _stored(tree: Path) -> int:
    """Return the bytes of packs, finished or not."""
    total = 0
    for folder in (tree / "data/timelines/main/packs", *(tree / "data/timelines/.store/tmp").glob("*")):
        for path in folder.glob("*.pack"):
            try:
                total += path.stat().st_size
            except FileNotFoundError:
                continue
    return total


if __name__ == "__main__":
    work, tree, *rest = sys.argv[1:]
    report = fill(Path(tree), *map(int, rest)) if work == "fill" else watch(Path(tree), *rest)
    print(json.dumps(report))
