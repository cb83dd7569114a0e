"""The only place that starts other programs: absolute binaries, closed environment, no shell, nothing inherited."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import IO, TypeVar

import msgspec

from chronos.errors import OutsideError


class Completed(msgspec.Struct, frozen=True):
    """What a finished program left behind."""

    returncode: int
    stdout: bytes
    stderr: bytes


def find_program(name: str, search_path: str) -> str | None:
    """Return the absolute path of program `name` on `search_path`, or None. Relative folders in it do not count."""
    folders = [folder for folder in search_path.split(os.pathsep) if os.path.isabs(folder)]
    return shutil.which(name, path=os.pathsep.join(folders))


def run(
    argv: Sequence[str | bytes],
    *,
    environment: Mapping[str, str],
    cwd: Path | None = None,
    input_bytes: bytes | None = None,
) -> Completed:
    """Run `argv` to its end and return exit code and output. Raises OutsideError when it cannot be started."""
    with _translate_start(argv):
        done = subprocess.run(
            list(argv),
            env=dict(environment),
            cwd=cwd,
            input=input_bytes,
            stdin=subprocess.DEVNULL if input_bytes is None else None,
            capture_output=True,
            check=False,
        )
    return Completed(done.returncode, done.stdout, done.stderr)


_Result = TypeVar("_Result")


def in_background(function: Callable[[], _Result]) -> Callable[[], _Result]:
    """Start `function` in a thread; the callable that comes back waits for it and returns or raises what it did.

    Programs run while Python waits for disks, so a slow program and slow writes overlap.
    """
    done: list[_Result] = []
    failed: list[BaseException] = []

    def work() -> None:
        try:
            done.append(function())
        except BaseException as error:  # noqa: BLE001 - raised again by whoever asks for the result
            failed.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()

    def result() -> _Result:
        thread.join()
        if failed:
            raise failed[0]
        return done[0]

    return result


class Conversation:
    """A running program that is asked and answers over pipes, such as `git cat-file --batch`.

    With `keep_errors` the program may say a few lines on stderr, for `last_words`.
    """

    def __init__(
        self,
        argv: Sequence[str | bytes],
        *,
        environment: Mapping[str, str],
        cwd: Path | None,
        keep_errors: bool = False,
    ) -> None:
        with _translate_start(argv):
            self._process = subprocess.Popen(
                list(argv),
                env=dict(environment),
                cwd=cwd,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE if keep_errors else subprocess.DEVNULL,
            )

    @property
    def input(self) -> IO[bytes]:
        """The program's standard input."""
        assert self._process.stdin is not None
        return self._process.stdin

    @property
    def output(self) -> BufferedReader:
        """The program's standard output."""
        assert isinstance(self._process.stdout, BufferedReader)
        return self._process.stdout

    def last_words(self) -> str:
        """Return the last line that a program which ended by itself wrote to stderr, or how it ended."""
        code = self._process.wait()
        lines = self._process.stderr.read().decode("utf-8", "replace").split("\n") if self._process.stderr else []
        return next((line.strip() for line in reversed(lines) if line.strip()), f"exit code {code}")

    def close(self) -> None:
        """End the conversation: close its pipes, and kill it when it does not go by itself."""
        for pipe in (self.input, self.output, self._process.stderr):
            if pipe is None:
                continue
            try:
                pipe.close()
            except OSError:
                continue
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@contextmanager
def _translate_start(argv: Sequence[str | bytes]) -> Iterator[None]:
    try:
        yield
    except OSError as cause:
        program = os.fsdecode(argv[0])
        raise OutsideError(f"cannot run {program}: {cause.strerror}") from cause


class Running(msgspec.Struct, frozen=True):
    """A process, for a message."""

    process_id: int
    name: str


def find_users(paths: Iterable[Path]) -> list[Running]:
    """Return the processes that have one of these files open, this one included, as far as the system tells.

    Files are known by device and inode, so a link or another name of one counts. Processes of other users, and files
    that are only mapped, cannot be seen.
    """
    wanted = {identity for path in paths if (identity := _identity(path)) is not None}
    if not wanted:
        return []
    import psutil  # 7 ms, and only a restore asks

    users = []
    for process in psutil.process_iter(["pid", "name", "open_files"]):
        opened = process.info["open_files"] or ()
        if any(_identity(file.path) in wanted for file in opened):
            users.append(Running(process.info["pid"], process.info["name"] or "?"))
    return users


def _identity(path: str | Path) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino
