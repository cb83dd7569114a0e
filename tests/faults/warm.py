"""Many runs of a Python module for the price of one start: a process that has imported everything forks for each.

A start of `chrono` costs 0.08 s of processor time more than a fork. What is forked runs `python -m MODULE` from its
first line on, traced if asked for; that its calls are those of a program started by itself is a test.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import pkgutil
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from queue import LifoQueue
from typing import Any

from tests.faults.harness import COUNT, Killpoint, Outcome

PACKAGE = "chronos"
MODULE = "chronos.cli"
_WITHIN_FUNCTIONS = ("psutil", "encodings.ascii", "resource")  # what commands import when they come to it
_UNTRACED = 4  # words in a request


@dataclass(frozen=True)
class Answer:
    """What `chrono` left behind."""

    exit_code: int
    stdout: str
    stderr: str

    def document(self) -> Any:
        """Return the JSON document on standard output."""
        return json.loads(self.stdout)

    def __str__(self) -> str:
        return f"exit {self.exit_code}: {(self.stderr or self.stdout).strip()[:600]}"


class WarmProgram:
    """Runs a module; any number of threads may ask at once, each gets a serving process of its own."""

    def __init__(self, environment: Mapping[str, str], module: str = MODULE) -> None:
        self._environment = dict(environment)
        self._module = module
        self._idle: LifoQueue[subprocess.Popen[str]] = LifoQueue()

    def run(self, root: Path, arguments: Sequence[str]) -> Answer:
        """Run it with `arguments` in the folder `root`, to its end."""
        with self._asked(root, arguments) as (server, read):
            return Answer(_read_number(server), *read())

    def trace(
        self, root: Path, arguments: Sequence[str], tracer: Killpoint, *, point: int = 0, action: str = COUNT
    ) -> Outcome:
        """Run it under `tracer`, from its first step on."""
        with tempfile.TemporaryDirectory(prefix="gate-") as folder:
            gate = Path(folder, "gate")
            os.mkfifo(gate)
            with self._asked(root, arguments, str(tracer.library), str(gate)) as (server, read):
                outcome = tracer.attach(_read_number(server), gate, point=point, action=action)
                _read_number(server)
                stdout, stderr = read()
        return replace(outcome, stdout=stdout, stderr=stderr)

    def close(self) -> None:
        """End the serving processes."""
        while not self._idle.empty():
            self._idle.get().communicate()

    @contextmanager
    def _asked(
        self, root: Path, arguments: Sequence[str], *tracing: str
    ) -> Iterator[tuple[subprocess.Popen[str], Callable[[], tuple[str, str]]]]:
        """Send one request; yield the server, and what reads both outputs. They are in memory, so no call counts."""
        server = self._start() if self._idle.empty() else self._idle.get()
        outputs = [os.memfd_create(name) for name in ("stdout", "stderr")]
        try:
            assert server.stdin
            paths = [f"/proc/{os.getpid()}/fd/{output}" for output in outputs]
            server.stdin.write(json.dumps([str(root), list(arguments), *paths, *tracing]) + "\n")
            server.stdin.flush()
            yield server, lambda: (_read_all(outputs[0]), _read_all(outputs[1]))
        except BaseException:
            server.kill()
            server.communicate()
            raise
        else:
            self._idle.put(server)
        finally:
            for output in outputs:
                os.close(output)

    def _start(self) -> subprocess.Popen[str]:
        pipe, command = subprocess.PIPE, [sys.executable, "-m", __name__, self._module]
        return subprocess.Popen(command, env=self._environment, stdin=pipe, stdout=pipe, text=True)


def _read_number(server: subprocess.Popen[str]) -> int:
    assert server.stdout
    return int(server.stdout.readline())


def _read_all(descriptor: int) -> str:
    return os.pread(descriptor, os.fstat(descriptor).st_size, 0).decode("utf-8", "replace")


def _import_everything() -> None:
    package = importlib.import_module(PACKAGE)
    for module in pkgutil.walk_packages(package.__path__, f"{PACKAGE}."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    for name in _WITHIN_FUNCTIONS:
        importlib.import_module(name)
    gc.freeze()  # no collection in a fork writes to what it shares with the others


def _become(
    module: str, folder: str, arguments: list[str], stdout: str, stderr: str, library: str = "", gate: str = ""
) -> None:
    """Turn this forked process into the program."""
    os.chdir(folder)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, path in ((1, stdout), (2, stderr)):
        os.dup2(os.open(path, os.O_WRONLY), number)
    sys.argv[1:] = arguments
    if gate:
        ctypes.CDLL(library).be_traced(os.fsencode(gate))
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def serve(module: str) -> None:
    """Answer each request line with an exit code line, until the input ends; before it the id of a traced process."""
    _import_everything()
    for line in iter(sys.stdin.readline, ""):
        request = json.loads(line)
        child = os.fork()
        if child == 0:
            _become(module, *request)
            return
        if len(request) > _UNTRACED:
            print(child, flush=True)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    serve(sys.argv[1])
