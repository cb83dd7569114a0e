"""The only place that starts other programs: absolute binaries, closed environment, no shell, nothing inherited."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path
from typing import IO, Any, BinaryIO, NoReturn

import msgspec

from chronos.background import widen_pipe
from chronos.errors import OutsideError
from chronos.forking import Copy, may_copy
from chronos.lazy import load_expected

_OUTPUT, _ERRORS = 1, 2
_TAIL_BYTES = 64 * 1024
_SILENCE_S = 0.5


class Completed(msgspec.Struct, frozen=True):
    """What a finished program left behind."""

    returncode: int
    stdout: bytes
    stderr: bytes


def find_program(name: str, search_path: str) -> str | None:
    """Return the absolute path of program `name` on `search_path`, or None. Relative folders in it do not count."""
    places = (os.path.join(folder, name) for folder in search_path.split(os.pathsep) if os.path.isabs(folder))
    return next((place for place in places if os.access(place, os.X_OK) and not os.path.isdir(place)), None)


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
    with (
        _translate_start(argv),
        subprocess.Popen(
            list(argv),
            env=dict(environment),
            cwd=cwd,
            stdin=(input_file or subprocess.DEVNULL) if input_bytes is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as child,
    ):
        try:
            if input_bytes is None and timeout_s is None and threading.active_count() == 1:
                load_expected(lambda: _says_something(child))
            output, errors = child.communicate(input_bytes, timeout=timeout_s)
        except BaseException:  # as subprocess.run does
            child.kill()
            raise
    return Completed(child.returncode, output, errors)


def _says_something(child: subprocess.Popen[bytes]) -> bool:
    """Tell whether a program has written something or ended."""
    assert child.stdout is not None
    looking = select.poll()
    looking.register(child.stdout, select.POLLIN)
    return bool(looking.poll(0))


def begin(argv: Sequence[str | bytes], *, environment: Mapping[str, str], cwd: Path | None) -> Callable[[], Completed]:
    """Start `argv` with nothing on its input; the callable that comes back waits for its end, as often as it is called.

    It is killed when that wait is interrupted. What it says waits in a pipe of 1 MiB until then. Raises OutsideError
    when it cannot be started.
    """
    with _translate_start(argv):
        child = subprocess.Popen(
            list(argv), env=dict(environment), cwd=cwd,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
    assert child.stdout is not None
    widen_pipe(child.stdout.fileno())
    done: list[Completed] = []

    def finish() -> Completed:
        if not done:
            try:
                output, errors = child.communicate()
            except BaseException:
                child.kill()
                raise
            done.append(Completed(child.returncode, output, errors))
        return done[0]

    return finish


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
            if "/" not in program:
                import shutil  # 2 ms, and git is found without it

                # looked for where the program itself would look, not where we do
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


class Ended(msgspec.Struct, frozen=True):
    """How a program in the foreground ended: its exit code, or 128 and the number of the signal that ended it.

    `tail` is the last that it said on standard error, where that could be kept. `is_heard` is false when something that
    the program left behind still holds its output.
    """

    code: int
    tail: str = ""
    is_heard: bool = True


def run_in_foreground(
    argv: Sequence[str], *, environment: Mapping[str, str], cwd: Path, output_to_errors: bool = False
) -> Ended:
    r"""Run a program with our own input and output, as if we were not there. Raises OutsideError when it cannot start.

    Ctrl-C and Ctrl-\ go to the program and leave us alone; Ctrl-Z stops both. SIGTERM and SIGHUP, and SIGINT where no
    terminal sends it to both, are passed on. A standard error that is no terminal is copied on its way, and with it a
    standard output that is the same file, so that their order stays; a terminal is never read along, the program would
    not find one. With `output_to_errors` standard output goes there, too.
    """
    is_kept = not os.isatty(_ERRORS)
    are_same = output_to_errors or (is_kept and _file_of(_OUTPUT) == _file_of(_ERRORS))
    errors = subprocess.PIPE if is_kept else None
    output = (subprocess.STDOUT if is_kept else _ERRORS) if are_same else None
    if is_kept and are_same:
        output, errors = subprocess.PIPE, subprocess.STDOUT
    with _translate_start(argv), _Signals() as signals:
        child = subprocess.Popen(list(argv), env=dict(environment), cwd=cwd, stdout=output, stderr=errors)
        signals.pass_on_to(child)
        pipe = child.stdout or child.stderr
        copy = _Copy(pipe, _ERRORS) if pipe is not None else None
        code = child.wait()
        is_heard = copy.finish() if copy is not None else True
    return Ended(code if code >= 0 else 128 - code, copy.tail if copy is not None else "", is_heard)


class _Copy:
    """Copies a pipe to a descriptor in a thread, and keeps the last of it."""

    def __init__(self, pipe: IO[bytes], target: int) -> None:
        self._pipe = pipe
        self._target = target
        self._kept = bytearray()
        self._passed = 0
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    @property
    def tail(self) -> str:
        """The last that passed, from the beginning of a line where it was cut."""
        text = bytes(self._kept[-_TAIL_BYTES:]).decode("utf-8", "replace")
        return text.partition("\n")[2] if len(self._kept) > _TAIL_BYTES else text

    def finish(self) -> bool:
        """Wait for the end, once the program is gone; give up when something else holds the pipe and says nothing."""
        passed = -1
        while self._thread.is_alive() and passed != self._passed:
            passed = self._passed
            self._thread.join(_SILENCE_S)
        return not self._thread.is_alive()

    def _work(self) -> None:
        is_writable = True
        while data := os.read(self._pipe.fileno(), 65536):
            self._passed += len(data)
            self._kept += data
            if len(self._kept) > 4 * _TAIL_BYTES:
                del self._kept[: -2 * _TAIL_BYTES]
            view = memoryview(data)
            while view and is_writable:
                try:
                    view = view[os.write(self._target, view) :]
                except OSError:  # whoever read it is gone; the program goes on
                    is_writable = False


class _Signals:
    """What a process does about signals while a program has the foreground; in another than the main thread nothing."""

    def __init__(self) -> None:
        self._before: dict[int, Any] = {}
        self._child: subprocess.Popen[bytes] | None = None
        self._early: list[int] = []

    def pass_on_to(self, child: subprocess.Popen[bytes]) -> None:
        """Send on to `child` what comes for us, and what came since the block was entered."""
        self._child = child
        for number in self._early:
            self._pass_on(number, None)

    def __enter__(self) -> _Signals:
        if threading.current_thread() is threading.main_thread():
            has_terminal = _is_foreground()
            for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP):
                known = signal.getsignal(number)
                if known in (signal.SIG_IGN, None):  # started in the background or by nohup: the child inherits that
                    continue
                is_for_both = has_terminal and number in (signal.SIGINT, signal.SIGQUIT)
                self._before[number] = signal.signal(number, _ignore if is_for_both else self._pass_on)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _pass_on(self, number: int, _: object) -> None:
        if self._child is None:
            self._early.append(number)
        elif self._child.poll() is None:
            self._child.send_signal(number)


def _ignore(number: int, frame: object) -> None:
    """Do nothing. A handler, unlike SIG_IGN, is not inherited by the program (execve(2))."""


def _is_foreground() -> bool:
    """Tell whether a terminal sends its signals to us."""
    try:
        terminal = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)


def _file_of(descriptor: int) -> tuple[int, int] | None:
    try:
        about = os.fstat(descriptor)
    except OSError:
        return None
    return about.st_dev, about.st_ino


def become(argv: Sequence[str], *, environment: Mapping[str, str], cwd: Path) -> NoReturn:
    """Be the program `argv` from now on, in the folder `cwd`. Raises OutsideError when it cannot be started."""
    with _translate_start(argv):
        os.chdir(cwd)
        os.execvpe(argv[0], list(argv), dict(environment))


class Conversation:
    """A running program that is asked and answers over pipes, such as `git cat-file --batch`.

    With `keep_errors` the program may say a few lines on stderr, for `last_words`. `work` is what the program does, if
    it is one of ours: where this process may be copied, a copy does it, which saves the start of the program.
    """

    def __init__(
        self,
        argv: Sequence[str | bytes],
        *,
        environment: Mapping[str, str],
        cwd: Path | None,
        keep_errors: bool = False,
        work: Callable[[], object] | None = None,
    ) -> None:
        self._process: subprocess.Popen[bytes] | Copy
        if work is not None and may_copy():
            with suppress(OSError):  # the program needs less memory to start than a copy of us may be granted
                self._process = Copy(work)
                return
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
        except (subprocess.TimeoutExpired, TimeoutError):
            self._process.kill()
            self._process.wait()


@contextmanager
def _translate_start(argv: Sequence[str | bytes]) -> Iterator[None]:
    try:
        yield
    except OSError as cause:
        program = os.fsdecode(argv[0])
        raise OutsideError(f"cannot run {program}: {cause.strerror}") from cause
    except subprocess.TimeoutExpired as cause:
        raise OutsideError(f"{os.fsdecode(argv[0])} gave no answer in {cause.timeout:.0f} seconds") from cause
