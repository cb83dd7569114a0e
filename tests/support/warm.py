"""Runs `chrono` without starting an interpreter each time: a process that has imported everything forks for each.

A start of `chrono` costs 0.08 s of processor time more than a fork, one that imports LanceDB 1.8 s. What is forked runs
`python -m MODULE` from its first line on.
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
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from queue import LifoQueue
from typing import Any

PACKAGES = ("chronos", "historian")
MODULE = "chronos.cli"
_WITHIN_FUNCTIONS = ("psutil", "encodings.ascii", "resource")  # what commands import when they come to it

Asked = tuple["subprocess.Popen[str]", Callable[[], tuple[str, str]]]


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
    """Runs a module; any number of threads may ask at once, each gets a serving process of its own.

    Those have imported `loaded` as well. Bytes that are no text come as lone surrogates.
    """

    def __init__(self, environment: Mapping[str, str], module: str = MODULE, loaded: Sequence[str] = ()) -> None:
        self._environment = dict(environment)
        self._words = [module, *loaded]
        self._idle: LifoQueue[subprocess.Popen[str]] = LifoQueue()

    def run(
        self, root: str | os.PathLike[str], arguments: Sequence[str], environment: Mapping[str, str] | None = None
    ) -> Answer:
        """Run it with `arguments` in the folder `root`, to its end; by default in the environment of the servers."""
        with self.asked(root, arguments, environment=environment) as (server, read):
            return Answer(read_number(server), *read())

    def close(self) -> None:
        """End the serving processes."""
        while not self._idle.empty():
            self._idle.get().communicate()

    @contextmanager
    def asked(self, root: str | os.PathLike[str], arguments: Sequence[str], **further: Any) -> Iterator[Asked]:
        """Send one request; yield the server, and what reads both outputs. They are in memory, so no call counts."""
        server = self._start() if self._idle.empty() else self._idle.get()
        outputs = [os.memfd_create(name) for name in ("stdout", "stderr")]
        try:
            assert server.stdin
            stdout, stderr = (f"/proc/{os.getpid()}/fd/{output}" for output in outputs)
            request = {"folder": str(root), "arguments": list(arguments), "stdout": stdout, "stderr": stderr, **further}
            server.stdin.write(json.dumps(request) + "\n")
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
        pipe, command = subprocess.PIPE, [sys.executable, "-m", __name__, *self._words]
        return subprocess.Popen(command, env=self._environment, stdin=pipe, stdout=pipe, text=True)


def read_number(server: subprocess.Popen[str]) -> int:
    """Read one line of an answer."""
    assert server.stdout
    return int(server.stdout.readline())


def _read_all(descriptor: int) -> str:
    return os.pread(descriptor, os.fstat(descriptor).st_size, 0).decode("utf-8", "surrogateescape")


def load_everything(loaded: Sequence[str]) -> None:
    """Import all of ours, and what the modules `loaded` are."""
    for name in PACKAGES:
        for module in pkgutil.walk_packages(importlib.import_module(name).__path__, f"{name}."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)
    for name in (*_WITHIN_FUNCTIONS, *loaded):
        importlib.import_module(name)
    warnings.filterwarnings("ignore", "lancedb fork support")
    gc.freeze()  # no collection in a fork writes to what it shares with the others


def _become(
    module: str, folder: str, arguments: list[str], stdout: str, stderr: str,
    environment: Mapping[str, str] | None = None, library: str = "", gate: str = "",
) -> None:  # fmt: skip
    """Turn this forked process into the program."""
    os.chdir(folder)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, path in ((1, stdout), (2, stderr)):
        os.dup2(os.open(path, os.O_WRONLY), number)
    if environment is not None:
        os.environ.clear()
        os.environ.update(environment)
    sys.argv[1:] = arguments
    if gate:
        ctypes.CDLL(library).be_traced(os.fsencode(gate))
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def serve(module: str, *loaded: str) -> None:
    """Answer each request line with an exit code line, until the input ends; before it the id of a traced process."""
    load_everything(loaded)
    for line in iter(sys.stdin.readline, ""):
        request = json.loads(line)
        child = os.fork()
        if child == 0:
            _become(module, **request)
            return
        if "gate" in request:
            print(child, flush=True)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    serve(*sys.argv[1:])
