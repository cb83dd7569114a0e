"""Lessons by the hundred thousand: `python -m benchmarks.lessons [COUNT]` prints what learning and finding cost.

The lessons are sentences of invented operations over a vocabulary in which words are as unevenly frequent as in a
language (Zipf); a third of them are failures. Opening and searching happen in a process that has loaded nothing else.
"""

from __future__ import annotations

import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.machine import describe_load, describe_machine, read_load
from historian.lessons import LessonsStore
from historian.risk import Operation

_VERBS = (
    "migrate", "delete", "refactor", "deploy", "restore", "rename", "merge", "rebuild", "upgrade", "truncate", "patch",
    "rotate",
)  # fmt: skip
_THINGS = (
    "database", "schema", "table", "cache", "queue", "index", "module", "service", "pipeline", "certificate", "bucket",
    "cluster",
)  # fmt: skip
_QUERIES = 200


def make_lines(count: int) -> Iterator[bytes]:
    """Yield `count` lessons as lines of an export."""
    chance = random.Random(7)
    words = [f"{chance.choice(_THINGS)}{number}" for number in range(8000)]
    weights = [1 / (rank + 1) for rank in range(len(words))]
    for number in range(count):
        some = chance.choices(words, weights, k=24)
        verb, thing = chance.choice(_VERBS), chance.choice(_THINGS)
        yield (
            json.dumps(
                {
                    "situation": f"{verb} the {thing} {some[0]} in {some[1]}",
                    "action": f"{verb}_{thing} number {number:x} with {' '.join(some[2:8])}",
                    "result": f"FAILURE: Error{number % 50}: {some[8]} is gone" if number % 3 == 0 else "SUCCESS",
                    "feedback": " ".join(some[9:]),
                    "tags": [verb, thing],
                }
            ).encode()
            + b"\n"
        )


def look(folder: Path) -> dict[str, Any]:
    """Open the lessons in `folder` and use them as an agent does."""
    chance = random.Random(11)
    report: dict[str, Any] = {}
    with LessonsStore(folder) as store:
        operation = Operation(text="Perform database schema migration")
        report["first precedents, ms"] = _once(lambda: store.precedents(operation))
        report["precedents, ms"] = _median(lambda _: store.precedents(operation))
        report["loads lancedb for that"] = "lancedb" in sys.modules
        report["first search, with loading LanceDB, s"] = _once(lambda: store.search("migrate schema")) / 1000
        queries = [f"{chance.choice(_VERBS)} {chance.choice(_THINGS)} {number}" for number in range(_QUERIES)]
        report["search, ms (median, 95 of 100, longest)"] = _spread(lambda number: store.search(queries[number]))
        report["search of failures with a tag, ms"] = _median(
            lambda number: store.search(queries[number], tags=["deploy"], result="failure")
        )
        report["add, ms"] = _median(lambda number: store.add_lesson(f"new {number}", "tried it", "SUCCESS"), 30)
        report["add and find, ms"] = _median(lambda number: _add_and_find(store, number), 30)
    return report


def main() -> None:
    """Print a report as JSON."""
    if sys.argv[1:2] == ["look"]:
        print(json.dumps(look(Path(sys.argv[2]))))
        return
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with tempfile.TemporaryDirectory() as place:
        before, folder = read_load(), Path(place, "lessons")
        report: dict[str, Any] = {"lessons": count, **describe_machine(Path(place))}
        with LessonsStore(folder) as store:
            report["import, s"] = _once(lambda: store.import_lines(make_lines(count))) / 1000
            report["making the search index, s"] = _once(lambda: store.search("migrate schema")) / 1000
        command = [sys.executable, "-m", "benchmarks.lessons", "look", str(folder)]
        report |= json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        report["MB on disk"] = round(sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6, 1)
        report["load"] = describe_load(before, read_load())
    print(json.dumps(report, indent=1))


def _add_and_find(store: LessonsStore, number: int) -> None:
    store.add_lesson(f"quagga{number} was seen", "looked", "SUCCESS")
    assert store.search(f"quagga{number}")


def _once(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return round((time.perf_counter() - start) * 1000, 3)


def _times(work: Callable[[int], object], times: int = _QUERIES) -> list[float]:
    return sorted(_once(partial(work, number)) for number in range(times))


def _median(work: Callable[[int], object], times: int = _QUERIES) -> float:
    return round(statistics.median(_times(work, times)), 3)


def _spread(work: Callable[[int], object]) -> list[float]:
    spent = _times(work)
    return [round(statistics.median(spent), 2), round(spent[int(_QUERIES * 0.95)], 2), round(spent[-1], 2)]


if __name__ == "__main__":
    main()
