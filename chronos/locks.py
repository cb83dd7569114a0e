"""Kernel locks between processes: a holder that dies lets go by itself, so no lock is ever stale.

Two levels guard a store: most work holds the store lock shared and one timeline's lock exclusive; what removes
packs or folders holds the store lock exclusive. The file's text names the holder and is for the message only.
"""

from __future__ import annotations

import fcntl
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from chronos.errors import LockedError, StorageError

_FIRST_PAUSE_S = 0.002
_LONGEST_PAUSE_S = 0.05
_LONGEST_COURTESY_S = 1.0


@contextmanager
def hold(path: Path, *, shared: bool = False, timeout_s: float) -> Iterator[None]:
    """Hold the lock at `path` for the length of the block. Raises LockedError after `timeout_s` seconds."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as cause:
        raise StorageError(f"cannot open the lock {path}: {cause.strerror}") from cause
    try:
        _acquire(descriptor, path, fcntl.LOCK_SH if shared else fcntl.LOCK_EX, timeout_s)
        if not shared:
            _sign(descriptor)
        yield
    finally:
        os.close(descriptor)


def is_unwritten(descriptor: int) -> bool:
    """Tell whether no process has this file open, or mapped, for writing; False also where that cannot be told.

    Linux grants a read lease only then (fcntl(2), F_SETLEASE), at once, where a look at all processes takes 17 ms.
    Whoever opens the file in that very moment waits until the lease is given back.
    """
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)  # nobody minds it, and SIGIO would end the process
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except (OSError, AttributeError):
        return False
    return True


@contextmanager
def hold_in_turn(path: Path, *, shared: bool = False, timeout_s: float) -> Iterator[None]:
    """`hold` a lock that somebody shares nearly always: whoever wants it alone shuts a gate, and newcomers wait there.

    Not for long, for who shares the lock already may ask for it once more before letting go.
    """
    gate = path.with_name(f"{path.name}-gate")
    with ExitStack() as stack:
        if shared:
            with suppress(LockedError), hold(gate, shared=True, timeout_s=min(timeout_s, _LONGEST_COURTESY_S)):
                pass
            stack.enter_context(hold(path, shared=True, timeout_s=timeout_s))
        else:
            with hold(gate, timeout_s=timeout_s):
                stack.enter_context(hold(path, timeout_s=timeout_s))
        yield


def _acquire(descriptor: int, path: Path, kind: int, timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    pause_s = _FIRST_PAUSE_S
    while True:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= deadline:
                holder = os.pread(descriptor, 200, 0).decode("utf-8", "replace").strip() or "another process"
                raise LockedError(f"{path.name} is held by {holder}; gave up after {timeout_s:g} s") from None
        except OSError as cause:
            raise StorageError(f"cannot lock {path}: {cause.strerror}") from cause
        time.sleep(pause_s)
        pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)


def _sign(descriptor: int) -> None:
    command = os.path.basename(sys.argv[0]) if sys.argv else "python"
    text = f"process {os.getpid()} ({command})\n".encode()
    with suppress(OSError):  # a full disk must not take the lock away: the text is for a message only
        if os.pread(descriptor, len(text) + 1, 0) != text:  # or it waits for a disk that is writing the same anew
            os.pwrite(descriptor, text, 0)
            os.ftruncate(descriptor, len(text))


def take_range(descriptor: int, start: int, length: int, deadline: float) -> bool:
    """Lock some bytes of an open file for this process alone (fcntl(2)); tell whether that came off by `deadline`.

    `deadline` is a time of `time.monotonic`. Closing any descriptor of the file lets go. Raises OSError where the file
    system knows no such locks.
    """
    pause_s = _FIRST_PAUSE_S
    while True:
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, length, start)
            return True
        except (BlockingIOError, PermissionError):  # EACCES on some systems
            if time.monotonic() >= deadline:
                return False
        time.sleep(pause_s)
        pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)


def take_folder(path: Path) -> int | None:
    """Lock the folder `path` itself and return the descriptor that holds the lock, or None when it is taken or gone.

    Raises OSError when the file system or the limits of the process allow no lock.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if path.exists():
            return descriptor
    except BlockingIOError:
        pass
    except OSError:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None
