"""The only place that starts other programs: absolute binaries, closed environment, no shell, nothing inherited."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path
from typing import IO, BinaryIO, NoReturn

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
    input_file: BinaryIO | None = None,
    timeout_s: float | None = None,
) -> Completed:
    """Run `argv` to its end and return exit code and output. An unbuffered `input_file` is read by the program itself.

    Raises OutsideError when it cannot be started, or has been killed because it took longer than `timeout_s` seconds.
    """
    with _translate_start(argv):
        done = subprocess.run(
            list(argv),
            env=dict(environment),
            cwd=cwd,
            input=input_bytes,
            stdin=(input_file or subprocess.DEVNULL) if input_bytes is None else None,
            capture_output=True,
            check=False,
            timeout=timeout_s,
        )
    return Completed(done.returncode, done.stdout, done.stderr)


def run_attached(argv: Sequence[str], *, environment: Mapping[str, str], cwd: Path) -> int:
    """Run a program on this terminal, in the folder `cwd`; return its exit code. Raises OutsideError."""
    with _translate_start(argv):
        return subprocess.run(list(argv), env=dict(environment), cwd=cwd, check=False).returncode


class Logged:
    """A program that runs by itself, with nothing on its input, and writes all it says into a file.

    It leads a group of its own with all that it starts, so that `stop` and the end of `wait` reach whatever it started.
    """

    def __init__(self, argv: Sequence[str], *, environment: Mapping[str, str], cwd: Path, log: BinaryIO) -> None:
        with _translate_start(argv):
            program = argv[0]
            if "/" not in program:  # looked for where the program itself would look, not where we do
                program = shutil.which(program, path=environment.get("PATH", os.defpath)) or program
            self._process = subprocess.Popen(
                [program, *argv[1:]],
                env=dict(environment),
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait(self) -> int:
        """Wait for its end and return the exit code, negative for a signal; what it left running is killed then."""
        code = self._process.wait()
        self.stop(signal.SIGKILL)
        return code

    def stop(self, how: signal.Signals) -> None:
        """Send a signal to the program and all that it started. Can be called at any time, from any thread."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, how)


def become(argv: Sequence[str], *, environment: Mapping[str, str], cwd: Path) -> NoReturn:
    """Be the program `argv` from now on, in the folder `cwd`. Raises OutsideError when it cannot be started."""
    with _translate_start(argv):
        os.chdir(cwd)
        os.execvpe(argv[0], list(argv), dict(environment))


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

    @property
    def process_id(self) -> int:
        """The number of the program's process."""
        return self._process.pid

    def last_words(self) -> str:
        """Return the last line that a program which ended by itself wrote to stderr, or how it ended."""
        return self.words()[-1]

    def words(self) -> list[str]:
        """Return the lines that a program which ended by itself wrote to stderr, or how it ended."""
        code = self._process.wait()
        lines = self._process.stderr.read().decode("utf-8", "replace").split("\n") if self._process.stderr else []
        return [line.strip() for line in lines if line.strip()] or [f"exit code {code}"]

    def finish(self) -> int:
        """Say that no more comes, and return the exit code once the program has ended; its output was read before."""
        self.input.close()
        return self._process.wait()

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


class FileUser(msgspec.Struct, frozen=True):
    """A process that has the file `path` open; `is_self` is this very process."""

    process_id: int
    name: str
    path: Path
    is_writing: bool
    is_self: bool


def find_users(paths: Iterable[Path], ours: Collection[int] = ()) -> list[FileUser]:
    """Return who has any of the files `paths` open, told by device and inode, so by any name.

    Descriptors of this process that are in `ours` do not count. Processes of other users, of which the system says
    nothing, are not seen; neither is a file that is only mapped.
    """
    import psutil  # only a restore asks

    wanted = {key: path for path in paths if (key := _file_key(path)) is not None}
    found = []
    for process in psutil.process_iter() if wanted else ():
        try:
            name, opened = process.name(), process.open_files()
        except (psutil.Error, OSError):
            continue
        for file in opened:
            path = wanted.get(_file_key(Path(file.path)) or (-1, -1))
            is_self = process.pid == os.getpid()
            if path is not None and not (is_self and file.fd in ours):
                is_writing = getattr(file, "mode", "r") != "r"
                found.append(FileUser(process.pid, name, path, is_writing, is_self))
    return found


def _file_key(path: Path) -> tuple[int, int] | None:
    try:
        about = os.stat(path)
    except OSError:
        return None
    return about.st_dev, about.st_ino


@contextmanager
def _translate_start(argv: Sequence[str | bytes]) -> Iterator[None]:
    try:
        yield
    except OSError as cause:
        program = os.fsdecode(argv[0])
        raise OutsideError(f"cannot run {program}: {cause.strerror}") from cause
    except subprocess.TimeoutExpired as cause:
        raise OutsideError(f"{os.fsdecode(argv[0])} gave no answer in {cause.timeout:.0f} seconds") from cause
