"""Whole-process timings through hyperfine, in rounds: every program has a turn before any has its second.

On a machine that other work disturbs, programs measured one after the other meet different weather; alternating
rounds and one median over all of them do not.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.programs import ProgramError, Sealed, find_program, run
from benchmarks.results import Missing, Outcome, Samples


@dataclass(frozen=True)
class Command:
    """A program to time, and how often in each round.

    A run before the timed ones takes the blame for what the program before left behind (`git stash create` rewrites
    the index of the user, so that private copies of it are stale); a slow program is warm from its set-up.
    """

    argv: Sequence[str]
    runs: int
    warmup: int = 1


def measure_rounds(
    commands: Mapping[str, Command], prepare: Sequence[str] | None, rounds: int, sealed: Sealed
) -> dict[str, Outcome]:
    """Time every command in `rounds` alternating rounds; one that fails is reported, not dropped."""
    times: dict[str, list[float]] = {name: [] for name in commands}
    failures: dict[str, Missing] = {}
    for _ in range(rounds):
        for name, command in commands.items():
            if name in failures:
                continue
            try:
                times[name] += _time_runs(command, prepare, sealed)
            except ProgramError as failure:
                failures[name] = Missing(f"failed: {_explain(command.argv, failure, sealed)}")
    return {name: failures.get(name) or Samples(tuple(values), "s") for name, values in times.items()}


def _time_runs(command: Command, prepare: Sequence[str] | None, sealed: Sealed) -> list[float]:
    binary = find_program("hyperfine")
    if binary is None:
        raise ProgramError("hyperfine is not installed")
    export = Path(sealed.home, "hyperfine.json")
    options = ["-N", "--style=none", f"--runs={command.runs}", f"--warmup={command.warmup}", f"--export-json={export}"]
    if prepare is not None:
        options.append(f"--prepare={shlex.join(prepare)}")
    run([binary, *options, shlex.join(command.argv)], sealed)
    return [float(value) for value in json.loads(export.read_bytes())["results"][0]["times"]]


def _explain(argv: Sequence[str], failure: ProgramError, sealed: Sealed) -> ProgramError:
    """Return what the program itself says: hyperfine reports only that it failed."""
    try:
        run(argv, sealed)
    except ProgramError as reason:
        return reason
    return failure
