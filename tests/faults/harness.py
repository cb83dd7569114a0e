"""Runs a command under the tracer `killpoint.c` and tells what happened, call by call.

It knows nothing of chronos. Calls are numbered in one order over the command and everything that it starts, so a
point is a number; numbers are stable as far as the command itself is deterministic.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).with_name("killpoint.c")
COUNT, KILL, KILL_AFTER = "count", "kill", "killafter"
_TIMEOUT_S = 120.0


class TracerError(Exception):
    """The tracer itself failed, or the command never ended: no statement about the command is possible."""


class TracingForbiddenError(TracerError):
    """This machine does not let one process trace another."""


@dataclass(frozen=True)
class Call:
    """One counted system call; `target` is the path that it changes.

    `changes` is false where a kill finds the same disk before and behind the call: it failed, opened a file that was
    there already, or only synced. It is known where calls are just counted, and true elsewhere.
    """

    number: int
    pid: int
    name: str
    target: str
    changes: bool = True

    def __str__(self) -> str:
        return f"call {self.number}: {self.name} {self.target}"


@dataclass(frozen=True)
class Outcome:
    """How a traced command ended: its exit code, or minus the signal; `hits` is how often the fault struck."""

    exit_code: int
    hits: int
    calls: tuple[Call, ...]
    stdout: str
    stderr: str

    def call_at(self, number: int) -> str:
        """Describe call `number`, for messages."""
        return str(self.calls[number - 1]) if 0 < number <= len(self.calls) else f"call {number}: not reached"


def fail_once(error: int) -> str:
    """Return the action that lets one call fail with `error`."""
    return f"err:{error}"


def fail_from_then_on(error: int) -> str:
    """Return the action that lets one call and every later one fail with `error`."""
    return f"err+:{error}"


class Killpoint:
    """The compiled tracer; `library` is what a process loads that wants to be traced from some point on."""

    def __init__(self, program: Path, library: Path) -> None:
        self._program = program
        self.library = library

    def run(
        self,
        argv: Sequence[str],
        *,
        cwd: Path,
        environment: Mapping[str, str],
        point: int = 0,
        action: str = COUNT,
    ) -> Outcome:
        """Run `argv` to its end, with `action` at its call number `point` (0: just count)."""
        return self._trace(list(argv), cwd=cwd, environment=environment, point=point, action=action)

    def attach(self, pid: int, gate: Path, *, point: int = 0, action: str = COUNT) -> Outcome:
        """Follow a process that waits at `gate` (it has called `be_traced` of `library`) to its end."""
        return self._trace(
            ["--attach", str(pid), str(gate)], cwd=gate.parent, environment={}, point=point, action=action
        )

    def _trace(
        self, command: list[str], *, cwd: Path, environment: Mapping[str, str], point: int, action: str
    ) -> Outcome:
        with tempfile.TemporaryDirectory(prefix="killpoint-") as folder:
            report = Path(folder, "report")
            traced = [str(self._program), str(report), str(point), action, *command]
            try:
                done = subprocess.run(
                    traced,
                    cwd=cwd,
                    env=dict(environment),
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    timeout=_TIMEOUT_S,
                    check=False,
                )
            except subprocess.TimeoutExpired as cause:
                raise TracerError(f"{action} at {point}: {command} did not end in {_TIMEOUT_S:g} s") from cause
            stdout, stderr = (text.decode("utf-8", "replace") for text in (done.stdout, done.stderr))
            if done.returncode != 0:
                forbidden = stderr.startswith(("killpoint: ptrace:", "killpoint: seccomp:"))
                kind = TracingForbiddenError if forbidden else TracerError
                raise kind(f"killpoint ended with {done.returncode}: {stderr}")
            return _read_report(report, stdout, stderr)

    def names(self) -> frozenset[str]:
        """Return the names of the system calls that are counted."""
        done = subprocess.run([self._program, "--table"], capture_output=True, check=True, text=True)
        return frozenset(done.stdout.split())


def _read_report(report: Path, stdout: str, stderr: str) -> Outcome:
    *lines, end = report.read_text("utf-8", "replace").splitlines()
    calls = []
    for line in lines:
        number, pid, name, changes, target = line.split(" ", 4)
        calls.append(Call(int(number), int(pid), name, target, changes == "1"))
    _, counted, hits, status = end.split()
    if int(counted) != len(calls):
        raise TracerError(f"{len(calls)} calls written down, {counted} counted")
    return Outcome(int(status), int(hits), tuple(calls), stdout, stderr)


def find_obstacle() -> str | None:
    """Return why no tracer can be built here, or None."""
    if sys.platform != "linux":
        return "the tracer needs Linux"
    if shutil.which("gcc") is None:
        return "the tracer needs gcc"
    return None


def compile_killpoint(folder: Path) -> Killpoint:
    """Compile the tracer into `folder` and try it. Raises TracingForbiddenError where that is not allowed."""
    program, library = folder / "killpoint", folder / "killpoint.so"
    for made, kind in ((program, []), (library, ["-shared", "-fPIC"])):
        options = ["-O2", "-Wall", "-Wextra", "-Werror", *kind, "-o", str(made)]
        done = subprocess.run(["gcc", *options, str(SOURCE)], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise TracerError(f"gcc: {done.stderr}")
    tracer = Killpoint(program, library)
    made = folder / "trial"
    outcome = tracer.run(["/bin/mkdir", str(made)], cwd=folder, environment={})
    if [call.target for call in outcome.calls] != [str(made)]:
        raise TracerError(f"a trial mkdir was not seen: {outcome}")
    return tracer
