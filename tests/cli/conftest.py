"""`Program` runs the real `chrono` in a process, `Terminal` runs it on a pseudo-terminal with somebody to answer."""

from __future__ import annotations

import atexit
import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.support import RepoBuilder
from tests.support.warm import WarmProgram

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell's job in the background; programs inherit that
    signal.signal(signal.SIGINT, signal.default_int_handler)

PROJECT = Path(__file__).resolve().parents[2]
COMMAND = (sys.executable, "-m", "chronos.cli")
_TIME_LIMIT_S = 120


@dataclass(frozen=True)
class Result:
    """What one run gave back."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def error(self) -> Any:
        return json.loads(self.err)["error"]


class Program:
    """`chrono` in a folder, with a sealed environment."""

    command: Sequence[str] = COMMAND
    loaded: Sequence[str] = ()
    """What a warm program has imported besides everything of ours."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self.environment = {**environment, "PYTHONPATH": str(PROJECT)}

    def run(self, *words: str | bytes, folder: Path | None = None, **variables: str) -> Result:
        """Run to the end, with nothing on standard input; warm where no variable is one that Python may have read."""
        if self.command is COMMAND and sys.platform == "linux" and all(map(_is_read_late, variables)):
            environment = {**self.environment, **variables}
            answer = _warm(tuple(self.loaded)).run(
                folder or self.folder, [os.fsdecode(word) for word in words], environment
            )
            assert "Traceback" not in answer.stderr
            return Result(answer.exit_code, answer.stdout, answer.stderr)
        done = subprocess.run(
            [*self.command, *words], cwd=folder or self.folder, env={**self.environment, **variables},
            stdin=subprocess.DEVNULL, capture_output=True, timeout=_TIME_LIMIT_S, check=False,
        )  # fmt: skip
        out, err = done.stdout.decode("utf-8", "surrogateescape"), done.stderr.decode("utf-8", "surrogateescape")
        assert "Traceback" not in err
        return Result(done.returncode, out, err)

    def good(self, *words: str | bytes, **variables: str) -> Result:
        """Run, and expect that it is fine."""
        result = self.run(*words, **variables)
        assert result.code == 0, result.err
        return result

    def create(self, name: str, *words: str) -> str:
        """Take a checkpoint and return its id."""
        found: str = self.good("checkpoint", "create", name, *words, "--json").json["checkpoint_id"]
        return found

    def on_terminal(self, *words: str, answers: Sequence[tuple[str, str]] = (), **variables: str) -> Result:
        """Run on a pseudo-terminal; type each answer when its prompt has appeared. Both outputs come back as `out`."""
        return self._on_terminal([*self.command, *words], answers, variables)

    def python_on_terminal(self, source: str) -> Result:
        """Run a piece of Python on a pseudo-terminal."""
        return self._on_terminal([sys.executable, "-c", source], (), {})

    def _on_terminal(
        self, command: Sequence[str], answers: Sequence[tuple[str, str]], variables: dict[str, str]
    ) -> Result:
        main, terminal = pty.openpty()
        environment = {**self.environment, "TERM": "xterm-256color", "COLUMNS": "100", **variables}
        process = subprocess.Popen(
            command, cwd=self.folder, env=environment, stdin=terminal, stdout=terminal, stderr=terminal,
            start_new_session=True, preexec_fn=_take_terminal,
        )  # fmt: skip
        os.close(terminal)
        try:
            text = _converse(main, list(answers))
            return Result(process.wait(_TIME_LIMIT_S), text, "")
        finally:
            process.kill()
            os.close(main)


@cache
def _warm(loaded: tuple[str, ...]) -> WarmProgram:
    """Return the warm program of this test process."""
    program = WarmProgram({**os.environ, "PYTHONPATH": str(PROJECT)}, loaded=loaded)
    atexit.register(program.close)
    return program


def _is_read_late(variable: str) -> bool:
    return variable.startswith("CHRONOS_")


def _take_terminal() -> None:
    """Make the terminal the controlling one, so that Ctrl-C typed into it is a signal."""
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def _converse(main: int, answers: list[tuple[str, str]]) -> str:
    text, seen, end = "", 0, time.monotonic() + _TIME_LIMIT_S
    while time.monotonic() < end:
        if not select.select([main], [], [], 1.0)[0]:
            continue
        try:
            piece = os.read(main, 65536)
        except OSError:  # the other end is closed
            break
        if not piece:
            break
        text += piece.decode("utf-8", "replace")
        if answers and answers[0][0] in text[seen:]:
            seen = len(text)
            os.write(main, answers.pop(0)[1].encode())
    assert not answers, f"never asked {answers} in {text!r}"
    return text.replace("\r\n", "\n")


@pytest.fixture
def chrono(repo: RepoBuilder) -> Program:
    """The program in a repository with one commit of `a.txt` and `b.txt`."""
    repo.write("a.txt", "one\n")
    repo.write("b.txt", "two\n")
    repo.commit()
    return Program(repo.root, repo.environment)
