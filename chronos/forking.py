"""Copies of this process: one that goes on behind whoever waits for us, and one that does a part of our work.

Loads next to nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from typing import NoReturn

_SHORTEST_S, _LONGEST_S = 0.0005, 0.05
_TASKS = "/proc/self/task"
_DESCRIPTORS = "/proc/self/fd"
_is_ours = False


def claim_process() -> None:
    """Say that this process is a program of ours from its start, small and with nobody else's code in it.

    For a front door to call: only such a process is copied, since of any other we know neither what it holds nor
    whether that bears a fork.
    """
    global _is_ours
    _is_ours = True


def may_copy() -> bool:
    """Tell whether a copy of this process can do a part of its work: it is ours and has one thread."""
    if not _is_ours:
        return False
    with suppress(OSError):
        return len(os.listdir(_TASKS)) == 1
    return False


class Copy:
    """A copy of this process that does `work` and ends, with pipes such as a `subprocess.Popen` has.

    It has none of our files open but those pipes, and takes nothing down that it has from us. Raises OSError.
    """

    def __init__(self, work: Callable[[], object]) -> None:
        import signal

        ours: list[int] = []
        theirs: list[int] = []
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
        try:
            for is_input in (True, False, False):
                reading, writing = os.pipe()
                ours.append(writing if is_input else reading)
                theirs.append(reading if is_input else writing)
            # Else a Ctrl-C could make the copy undo what we are in the middle of, before it has become one.
            signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
            self.pid = os.fork()
            if not self.pid:
                _be_copy(work, theirs, mask)
        except OSError:
            for descriptor in (*ours, *theirs):
                os.close(descriptor)
            raise
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for descriptor in theirs:
            os.close(descriptor)
        self.stdin = open(ours[0], "wb")  # noqa: SIM115 - closed by whoever talks to it
        self.stdout = open(ours[1], "rb")  # noqa: SIM115
        self.stderr = open(ours[2], "rb")  # noqa: SIM115
        self._code: int | None = None

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code when it has ended, negative for a signal. Raises TimeoutError after `timeout` s."""
        import time

        deadline, pause_s = None if timeout is None else time.monotonic() + timeout, _SHORTEST_S
        while self._code is None:
            try:
                found, status = os.waitpid(self.pid, 0 if deadline is None else os.WNOHANG)
            except ChildProcessError:  # whoever started us had SIGCHLD ignored: it is gone, and nobody knows how
                found, status = self.pid, 0
            if found:
                self._code = os.waitstatus_to_exitcode(status)
            elif deadline is not None and time.monotonic() > deadline:
                raise TimeoutError
            else:
                time.sleep(pause_s)
                pause_s = min(2 * pause_s, _LONGEST_S)
        return self._code

    def kill(self) -> None:
        """End it, whatever it is doing."""
        import signal

        if self._code is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)


def _be_copy(work: Callable[[], object], descriptors: Sequence[int], mask: Collection[int]) -> NoReturn:
    code = 1
    try:
        import fcntl
        import gc
        import signal

        gc.freeze()  # garbage of ours that a collection took down would close descriptors by their numbers
        signal.set_wakeup_fd(-1)
        high = [fcntl.fcntl(descriptor, fcntl.F_DUPFD, 3) for descriptor in descriptors]  # some may be 0 to 2
        for standard, descriptor in enumerate(high):
            os.dup2(descriptor, standard)
        for descriptor in map(int, os.listdir(_DESCRIPTORS)):
            if descriptor > 2:
                with suppress(OSError):  # that of the listing itself
                    os.close(descriptor)
        os.chdir("/")
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        work()
        code = 0
    except BaseException:  # noqa: BLE001 - whoever talks to it reads why it ended
        import traceback

        os.write(2, traceback.format_exc().encode("utf-8", "backslashreplace"))
    finally:
        os._exit(code)


def split_off() -> bool:
    """Go on in a process of its own; True in the one that whoever started us waits for, which should end now.

    The other one has a session of its own, no terminal, and no input or output: it outlives a signal to our group, and
    holds no pipe open. False where that cannot be had: then this process has to do the work. No thread may run.
    """
    if not hasattr(os, "fork"):
        return False
    try:
        child = os.fork()
    except OSError:
        return False
    if child:
        return True
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in range(3):
        os.dup2(nothing, descriptor)
    if nothing > 2:
        os.close(nothing)
    return False
