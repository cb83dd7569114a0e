"""`python -m benchmarks.langgraph`: ChronoSaver beside LangGraph's own SqliteSaver, on the same states in one run.

Each step of a graph is put into both savers in turns, first the one and then the other; reading takes turns as well.
Both write durably (WAL, `synchronous=FULL`, one transaction for each call) into files in one folder. It ends with 1
when ChronoSaver takes more than three times as long anywhere, or anything could not be measured.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks.bars import Bar, Verdict, judge
from benchmarks.machine import describe_load, describe_machine, read_load
from benchmarks.programs import REPOSITORY
from benchmarks.report import table
from benchmarks.results import Missing, Outcome, Samples

REPORT = REPOSITORY / "docs" / "benchmarks.md"
_LIMIT = 3.0
_READINGS = 40
_MESSAGE_WORDS, _LARGE_BYTES = 150, 200_000
# What the states are, in the order of the report; a function from the number of a step to the channels that it writes.
_Make = Callable[[int], dict[str, Any]]
_INTRODUCTION = """\
## LangGraph

Written by `python -m benchmarks.langgraph --write`: ChronoSaver and the SqliteSaver of langgraph-checkpoint-sqlite
{peer}, {steps} steps of three graphs, each step (`put`, then `put_writes`) in turns. *small*: three channels of a few
bytes. *messages*: a list that gets 1 kB at each step. *large*: a value of 200 kB that stays, and a counter. ChronoSaver
keeps equal values once, and of large ones the pieces that are new; what it reads it puts together and checks by its
hash, which takes 0.1 ms for 200 kB. Ratios are ours divided by the peer's; the bar is 3.
"""
_CALLS = {
    "put": "`put`", "put_writes": "`put_writes`", "newest": "`get_tuple`, the newest", "one": "`get_tuple` by id",
    "list 10": "`list`, the newest 10", "list": "`list`, all",
}  # fmt: skip


def graphs() -> dict[str, _Make]:
    """Return the states that are measured."""
    said = random.Random(1)
    messages: list[str] = []

    def grow(number: int) -> dict[str, Any]:
        messages.append(" ".join(f"{said.randrange(10**6)}" for _ in range(_MESSAGE_WORDS)))
        return {"messages": list(messages)}

    large = said.randbytes(_LARGE_BYTES)
    return {
        "small": lambda number: {"number": number, "name": f"step {number}", "done": number % 2 == 0},
        "messages": grow,
        "large": lambda number: {"value": large, "number": number} if number == 0 else {"number": number},
    }


class Side:
    """One saver, and its way through the steps of a graph."""

    def __init__(self, saver: Any) -> None:
        self.saver = saver
        self.configs: list[Any] = []
        self.values: dict[str, Any] = {}
        self.versions: dict[str, Any] = {}

    def step(self, thread: str, number: int, written: dict[str, Any]) -> tuple[float, float]:
        """Put what a step wrote, and then its writes; return the seconds of both."""
        from langgraph.checkpoint.base import empty_checkpoint
        from langgraph.checkpoint.base.id import uuid6

        self.values |= written
        new = {name: self.saver.get_next_version(self.versions.get(name), None) for name in written}
        self.versions |= new
        checkpoint = {
            **empty_checkpoint(), "id": str(uuid6(clock_seq=number)), "channel_values": dict(self.values),
            "channel_versions": dict(self.versions),
        }  # fmt: skip
        config = self.configs[-1] if self.configs else {"configurable": {"thread_id": thread, "checkpoint_ns": ""}}
        start = time.perf_counter()
        put = self.saver.put(config, checkpoint, {"source": "loop", "step": number}, new)
        middle = time.perf_counter()
        self.saver.put_writes(put, list(written.items()), "task")
        self.configs.append(put)
        return middle - start, time.perf_counter() - middle

    def read(self, call: str, number: int) -> float:
        """Read in one way; return the seconds."""
        place = {"configurable": {"thread_id": self.configs[0]["configurable"]["thread_id"], "checkpoint_ns": ""}}
        one = self.configs[number * 7919 % len(self.configs)]
        start = time.perf_counter()
        if call in ("newest", "one"):
            found = [self.saver.get_tuple(place if call == "newest" else one)]
        else:
            found = list(self.saver.list(place, limit=10 if call == "list 10" else None))
        spent = time.perf_counter() - start
        assert found[0] is not None and len(found) == {"list 10": 10, "list": len(self.configs)}.get(call, 1)
        return spent


def measure_graph(name: str, make: _Make, steps: int, sides: Mapping[str, Side]) -> dict[str, Outcome]:
    """Return what each call takes on each side."""
    spent: dict[str, list[float]] = {}

    def note(call: str, side: str, seconds: float) -> None:
        spent.setdefault(f"{name} {call}/{side}", []).append(seconds)

    for number in range(steps):
        written = make(number)
        for side in sorted(sides, reverse=bool(number % 2)):
            put, writes = sides[side].step("1", number, written)
            note("put", side, put)
            note("put_writes", side, writes)
    for call in ("newest", "one", "list 10", "list"):
        for number in range(_READINGS if call != "list" else 5):
            for side in sorted(sides, reverse=bool(number % 2)):
                note(call, side, sides[side].read(call, number))
    return {key: Samples(tuple(values), "s") for key, values in spent.items()}


def measure(folder: Path, steps: int) -> dict[str, Outcome]:
    """Return all measurements; those of a peer that is not installed are missing."""
    try:
        from langgraph.checkpoint.sqlite import SqliteSaver

        from skills.langgraph import ChronoSaver
    except ImportError as cause:
        reason = Missing(f"not installed: {cause.name}")
        return {key: reason for bar in list_bars() for key in (bar.subject, bar.reference) if key}
    outcomes: dict[str, Outcome] = {}
    for name, make in graphs().items():
        root = folder / name
        root.mkdir()
        (root / "a.txt").write_text("a project\n")
        with ChronoSaver(root) as ours, closing(sqlite3.connect(root / "peer.db", check_same_thread=False)) as peer:
            sides = {"ours": Side(ours), "SqliteSaver": Side(SqliteSaver(peer))}
            outcomes |= measure_graph(name, make, steps, sides)
            sizes = {"ours": _size_of(ours.path), "SqliteSaver": _size_of(root / "peer.db")}
        for side, size in sizes.items():
            outcomes[f"{name} disk/{side}"] = Samples((size / 1024 / steps,), "KiB")
    return outcomes


def list_bars() -> Iterator[Bar]:
    """Yield what is judged: each call and the disk of each graph."""
    for graph in graphs():
        for call, what in _CALLS.items():
            yield Bar(f"{graph}: {what}", f"{graph} {call}/ours", _LIMIT, f"{graph} {call}/SqliteSaver")
        disk = f"{graph} disk"
        yield Bar(f"{graph}: disk for each step", f"{disk}/ours", _LIMIT, f"{disk}/SqliteSaver", "KiB")


def main(arguments: list[str] | None = None) -> int:
    """Print a report, and with --write keep it; 0 when every bar is met."""
    from benchmarks.sections import write_section

    parser = argparse.ArgumentParser(prog="python -m benchmarks.langgraph", description=__doc__)
    parser.add_argument("--steps", type=int, default=200, metavar="N", help="steps of each graph (default: 200)")
    parser.add_argument("--write", action="store_true", help="write the section in docs/benchmarks.md")
    options = parser.parse_args(arguments)
    before = read_load()
    with tempfile.TemporaryDirectory(prefix="chrono-bench-") as name:
        folder = Path(name).resolve()
        machine = describe_machine(folder)
        outcomes = measure(folder, max(10, options.steps))
    rows = [judge(bar, outcomes) for bar in list_bars()]
    judged = table(
        ["what, medians", "ChronoSaver", "SqliteSaver", "ratio", "result"],
        [[row.work, row.ours, row.reference.partition(": ")[2], row.ratio, row.verdict.value] for row in rows],
    )
    head = _INTRODUCTION.format(peer=_version("langgraph-checkpoint-sqlite"), steps=options.steps)
    conditions = f"{machine['cores']} cores, one fsync of 4 KiB in {machine['one fsync of 4 KiB']}"
    load = describe_load(before, read_load())
    body = f"{head}\n{judged}\nPython {platform.python_version()}, {conditions}, load {load}."
    print(body)
    if options.write:
        write_section(REPORT, "langgraph", body)
    return 0 if all(row.verdict is Verdict.MET for row in rows) else 1


def _size_of(path: Path) -> int:
    """Return what a database takes, once its log is folded in."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return os.path.getsize(path)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "(not installed)"


if __name__ == "__main__":
    sys.exit(main())
