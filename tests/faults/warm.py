"""Many `chrono` commands for the price of one start: a process that has imported everything forks for each of them.

Only the checks after a fault run this way (a start costs 0.25 s of processor time, a fork 0.03 s). The command under
the fault is always a process of its own, `python -m chronos.cli`.
"""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import LifoQueue
from typing import Any

PACKAGE = "chronos"
MODULE = "chronos.cli"


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
    """Runs `chrono`; any number of threads may ask at once, each gets a serving process of its own."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = dict(environment)
        self._idle: LifoQueue[subprocess.Popen[str]] = LifoQueue()

    def run(self, root: Path, arguments: Sequence[str]) -> Answer:
        """Run `chrono` with `arguments` in the folder `root`, to its end."""
        server = self._start() if self._idle.empty() else self._idle.get()
        with tempfile.TemporaryDirectory(prefix="warm-") as folder:
            outputs = [os.path.join(folder, name) for name in ("stdout", "stderr")]
            assert server.stdin and server.stdout
            server.stdin.write(json.dumps([str(root), list(arguments), *outputs]) + "\n")
            server.stdin.flush()
            exit_code = int(server.stdout.readline())
            texts = [Path(path).read_bytes().decode("utf-8", "replace") for path in outputs]
        self._idle.put(server)
        return Answer(exit_code, *texts)

    def close(self) -> None:
        """End the serving processes."""
        while not self._idle.empty():
            self._idle.get().communicate()

    def _start(self) -> subprocess.Popen[str]:
        pipe = subprocess.PIPE
        return subprocess.Popen([sys.executable, __file__], env=self._environment, stdin=pipe, stdout=pipe, text=True)


def _import_everything() -> None:
    package = importlib.import_module(PACKAGE)
    for module in pkgutil.walk_packages(package.__path__, f"{PACKAGE}."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)


def _become(folder: str, arguments: list[str], stdout: str, stderr: str) -> None:
    """Turn this forked process into the program: it ends as the program ends, with SystemExit."""
    os.chdir(folder)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, path in ((1, stdout), (2, stderr)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), number)
    sys.argv[1:] = arguments
    runpy.run_module(MODULE, run_name="__main__", alter_sys=True)


def serve() -> None:
    """Answer each request line with an exit code line, until the input ends."""
    _import_everything()
    for line in iter(sys.stdin.readline, ""):
        child = os.fork()
        if child == 0:
            _become(*json.loads(line))
            return
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    serve()
