"""`python -m benchmarks.hooks`: what `chrono-hook` costs an agent at each kind of event, as a whole process.

The tree has 1,000 files, 35 of them uncommitted, and before each run one line of one file is changed, so that every
event that asks for a checkpoint takes one.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.bars import Bar, Verdict, judge
from benchmarks.corpus import Corpus, build_corpus
from benchmarks.hyperfine import Command, measure_rounds
from benchmarks.machine import describe_load, read_load
from benchmarks.programs import REPOSITORY, Sealed, find_chrono, seal
from benchmarks.report import table
from benchmarks.results import Missing, Outcome, Samples, show
from benchmarks.scale import SMALL
from benchmarks.sections import write_section

REPORT = REPOSITORY / "docs" / "benchmarks.md"
_READS, _HOLDS = 0.045, 0.110
# For each event what it is, its fields, and the bar of the whole process.
_EVENTS: Mapping[str, tuple[str, Mapping[str, Any], float]] = {
    "reads": ("a tool that only reads", {"tool_name": "Read", "tool_input": {"file_path": "a.txt"}}, _READS),
    "git status": ("`git status`, known to only read", {"command": "git status"}, _READS),
    "judged": ("`git reflog`, judged to only read", {"command": "git reflog"}, _READS),
    "prompt": ("a prompt, with a checkpoint", {"hook_event_name": "UserPromptSubmit", "prompt": "Go on"}, _HOLDS),
    "edit": ("an edit, with a checkpoint", {"tool_name": "Edit", "tool_input": {"file_path": "new.txt"}}, _HOLDS),
    "command": ("`npm test`, judged, with a checkpoint", {"command": "npm test"}, _HOLDS),
    "risky": ("`rm -rf build`, judged, with a checkpoint", {"command": "rm -rf build"}, _HOLDS),
}
_INTRODUCTION = f"""\
## Hooks

Written by `python -m benchmarks.hooks --write`: `chrono-hook claude` as a whole process, timed by hyperfine and started
by `sh` as agents do, on a tree of {SMALL:,} files with 35 uncommitted ones, one line of which is changed before each
run. Events take turns. A command that is not seen at a glance to only read is judged by the rules.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a report, and with --write keep it; 0 when every bar is met."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hooks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="rounds of 4 runs each (default: 5)")
    parser.add_argument("--write", action="store_true", help="write the section in docs/benchmarks.md")
    options = parser.parse_args(arguments)
    before = read_load()
    with tempfile.TemporaryDirectory(prefix="chrono-bench-") as name:
        folder = Path(name).resolve()
        sealed = seal(folder / "home")
        outcomes = measure_events(build_corpus(folder / "tree", SMALL, sealed), sealed, folder, options.rounds)
    bars = [Bar(what, key, limit) for key, (what, _, limit) in _EVENTS.items()]
    rows = [judge(bar, outcomes) for bar in bars]
    spreads = [_spread(outcomes[bar.subject]) for bar in bars]
    judged = table(
        ["event", "median", "fastest, slowest", "bar", "result"],
        [[row.work, row.ours, spread, row.bar, row.verdict.value] for row, spread in zip(rows, spreads, strict=True)],
    )
    load = describe_load(before, read_load())
    body = f"{_INTRODUCTION}\n{judged}\nPython {platform.python_version()}, {os.cpu_count()} cores, load {load}."
    print(body)
    if options.write:
        write_section(REPORT, "hooks", body)
    return 0 if all(row.verdict is Verdict.MET for row in rows) else 1


def measure_events(corpus: Corpus, sealed: Sealed, folder: Path, rounds: int) -> dict[str, Outcome]:
    """Return the times of each event, in alternating rounds."""
    script = Path(sys.executable).with_name("chrono-hook")
    if find_chrono() is None or not script.exists():
        return dict.fromkeys(_EVENTS, Missing("chrono-hook not installed"))
    commands = {}
    for number, (key, (_, fields, _)) in enumerate(_EVENTS.items()):
        file = folder / f"{number}.json"
        file.write_text(json.dumps(_payload(fields, corpus.root)), "utf-8")
        commands[key] = Command(["/bin/sh", "-c", f"exec {script} claude < {file}"], 4)
    prepare = [sys.executable, "-m", "benchmarks.edit", str(corpus.root), str(corpus.files)]
    return measure_rounds(commands, prepare, rounds, sealed)


def _payload(fields: Mapping[str, Any], root: Path) -> dict[str, Any]:
    payload = {
        "session_id": "benchmark", "transcript_path": "", "cwd": str(root), "hook_event_name": "PreToolUse",
        "tool_name": "Bash", "tool_input": {"command": fields.get("command", "")}, "tool_use_id": "1",
    }  # fmt: skip
    return payload | {key: value for key, value in fields.items() if key != "command"}


def _spread(outcome: Outcome) -> str:
    if isinstance(outcome, Missing):
        return ""
    assert isinstance(outcome, Samples)
    return f"{show(min(outcome.values), outcome.unit)}, {show(max(outcome.values), outcome.unit)}"


if __name__ == "__main__":
    sys.exit(main())
