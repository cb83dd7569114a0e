"""A merge of three SQLite databases: `python -m benchmarks.merging make FOLDER ROWS CHANGED`, `… merge FOLDER`.

`make` fills a table with ROWS rows, and two copies of it in which CHANGED other rows each have a new text. `merge`
merges them as a merge of timelines would, checks the result, and prints its seconds and the peak memory of this process
and of those that it starts, in bytes. Their peaks are added up, which is no less than what they had at one time.
"""

from __future__ import annotations

import json
import random
import resource
import shutil
import sqlite3
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from benchmarks.programs import Sealed, run_module
from benchmarks.results import Outcome, Samples
from benchmarks.scale import Scale

ROWS_MERGED, ROWS_CHANGED_ON_EACH_SIDE = 1_000_000, 1_000
_SIDES = ("base", "ours", "theirs")
_NAME = "database.sqlite"


def make(folder: Path, rows: int, changed: int) -> None:
    """Make the three databases; the same numbers give the same ones."""
    chance = random.Random(rows)
    for side in _SIDES:
        (folder / side).mkdir(parents=True)
    base = folder / "base" / _NAME
    with closing(sqlite3.connect(base)) as database, database:
        database.execute("CREATE TABLE notes (id INTEGER PRIMARY KEY, at REAL NOT NULL, body TEXT, done INT)")
        bodies = ((chance.random(), f"note {number}: " + "what was learned today " * 5, 0) for number in range(rows))
        database.executemany("INSERT INTO notes (at, body, done) VALUES (?, ?, ?)", bodies)
        database.execute("CREATE INDEX notes_at ON notes (at)")
    ids = chance.sample(range(1, rows + 1), 2 * changed)
    for side, mine in (("ours", ids[:changed]), ("theirs", ids[changed:])):
        place = folder / side / _NAME
        shutil.copy(base, place)
        with closing(sqlite3.connect(place)) as database, database:
            text = f"revised by {side}"
            database.executemany(
                "UPDATE notes SET body = ?, done = 1 WHERE id = ?", [(text, number) for number in mine]
            )


def merge(folder: Path) -> dict[str, float]:
    """Merge them once, and return seconds and bytes."""
    from chronos.memory import MergeWork, get_kind
    from chronos.merging import Strategy

    scratch = folder / "scratch"
    shutil.rmtree(scratch, ignore_errors=True)
    (scratch / "out").mkdir(parents=True)
    ours = scratch / _NAME  # a merge uses it up
    shutil.copy(folder / "ours" / _NAME, ours)
    work = MergeWork(scratch / "out", b"notes.db", "notes", lambda conflict: None, Strategy.CONFLICT)
    start = time.perf_counter()
    result = get_kind("sqlite").merge(folder / "base" / _NAME, ours, folder / "theirs" / _NAME, work)
    seconds = time.perf_counter() - start
    peaks = [resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    with closing(sqlite3.connect(result.place)) as database:
        counts = dict(database.execute("SELECT body, count(*) FROM notes WHERE done GROUP BY body"))
    if result.conflicts or len(set(counts.values())) != 1 or len(counts) != 2:
        raise SystemExit(f"the merge is not what it should be: {counts}, {len(result.conflicts)} conflicts")
    return {"seconds": seconds, "peak": sum(peaks) * (1 if sys.platform == "darwin" else 1024)}


def measure_merge(folder: Path, sealed: Sealed, scale: Scale, say: Callable[[str], None]) -> dict[str, Outcome]:
    """Time merges of databases, and weigh the memory of all processes that take part."""
    place = folder / "merging"
    say(f"making three databases of {ROWS_MERGED:,} rows")
    run_module("benchmarks.merging", ["make", str(place), str(ROWS_MERGED), str(ROWS_CHANGED_ON_EACH_SIDE)], sealed)
    reports = [json.loads(run_module("benchmarks.merging", ["merge", str(place)], sealed)) for _ in range(scale.rounds)]
    shutil.rmtree(place)
    return {
        "rows": Samples(tuple(report["seconds"] for report in reports), "s"),
        "peak": Samples(tuple(report["peak"] / 1e6 for report in reports), "MB"),
    }


if __name__ == "__main__":
    if sys.argv[1] == "make":
        make(Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
    else:
        print(json.dumps(merge(Path(sys.argv[2]))))
