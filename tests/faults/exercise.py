"""A program that changes files in every way it can, for the tracer's self-test; run as a script in a prepared folder.

Each step works on files that are there before, so that every step that is let through leaves a mark. A step that
the system refuses is passed over: under a tracer that refuses everything, nothing at all may change.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import platform
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

VICTIMS = 40
_FICLONE = 0x40049409
_SPLICE_BYTES = 4
_AT_FDCWD = -100


def prepare(folder: Path) -> None:
    """Put the files there that the steps work on."""
    for number in range(VICTIMS):
        (folder / f"victim{number}").write_bytes(b"before\n" * 10)
    (folder / "empty").mkdir()
    (folder / "sub").mkdir()
    (folder / "sub" / "inner").write_bytes(b"inner\n")


def _opened(number: int, work: Callable[[int], object], flags: int = os.O_RDWR) -> None:
    descriptor = os.open(f"victim{number}", flags)
    try:
        work(descriptor)
    finally:
        os.close(descriptor)


def _content_steps() -> list[Callable[[], object]]:
    source = os.open("sub/inner", os.O_RDONLY)
    reading, writing = os.pipe()
    os.write(writing, b"pipe" * _SPLICE_BYTES)
    return [
        lambda: _opened(0, lambda fd: os.write(fd, b"x")),
        lambda: _opened(1, lambda fd: os.pwrite(fd, b"x", 3)),
        lambda: _opened(2, lambda fd: os.writev(fd, [b"x", b"y"])),
        lambda: _opened(3, lambda fd: os.pwritev(fd, [b"x", b"y"], 1)),
        lambda: _opened(4, lambda fd: os.pwritev(fd, [b"x"], 1, os.RWF_DSYNC)),
        lambda: _opened(5, lambda fd: os.sendfile(fd, source, 0, 6)),
        lambda: _opened(6, lambda fd: os.copy_file_range(source, fd, 3, 0)),
        lambda: _opened(7, lambda fd: os.splice(reading, fd, _SPLICE_BYTES)),
        lambda: _opened(8, lambda fd: os.ftruncate(fd, 5)),
        lambda: os.truncate("victim9", 5),
        lambda: _opened(10, lambda fd: os.posix_fallocate(fd, 0, 4096)),
        lambda: _opened(11, lambda fd: fcntl.ioctl(fd, _FICLONE, source)),
        lambda: _opened(12, lambda fd: None, os.O_WRONLY | os.O_TRUNC),
        lambda: _opened(13, lambda fd: os.write(fd, b"x"), os.O_WRONLY | os.O_APPEND),
        lambda: _opened(14, os.fsync),
        lambda: _opened(14, os.fdatasync),
    ]


def _name_steps() -> list[Callable[[], object]]:
    folder = os.open("sub", os.O_RDONLY | os.O_DIRECTORY)
    return [
        lambda: os.rename("victim15", "renamed"),
        lambda: os.rename("victim16", "moved", dst_dir_fd=folder),
        lambda: os.link("victim17", "linked"),
        lambda: os.link("victim18", "linked", dst_dir_fd=folder),
        lambda: os.symlink("victim19", "pointer"),
        lambda: os.symlink("victim19", "pointer", dir_fd=folder),
        lambda: os.unlink("victim20"),
        lambda: os.unlink("inner", dir_fd=folder),
        lambda: os.rmdir("empty"),
        lambda: os.mkdir("made"),
        lambda: os.mkdir("made", dir_fd=folder),
        lambda: os.mkfifo("fifo"),
        lambda: os.close(os.open("created", os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)),
        lambda: os.close(os.open(".", os.O_TMPFILE | os.O_RDWR)),
        lambda: os.fsync(folder),
    ]


def _attribute_steps() -> list[Callable[[], object]]:
    library = ctypes.CDLL(None)
    return [
        lambda: os.chmod("victim21", 0o600),
        lambda: _opened(22, lambda fd: os.fchmod(fd, 0o600)),
        lambda: os.utime("victim23", (1, 1)),
        lambda: _opened(24, lambda fd: os.utime(fd, (1, 1))),
        lambda: os.chown("victim25", os.getuid(), os.getgid()),
        lambda: os.setxattr("victim26", "user.fault", b"x"),
        lambda: _opened(27, lambda fd: os.setxattr(fd, "user.fault", b"x")),
        lambda: os.removexattr("victim26", "user.fault"),
        lambda: _opened(28, library.syncfs),
    ]


def _folder_steps() -> list[Callable[[], object]]:
    folder = os.open(".", os.O_RDONLY | os.O_DIRECTORY)
    user, group = os.getuid(), os.getgid()
    return [
        lambda: os.chmod("victim33", 0o600, dir_fd=folder),
        lambda: _opened(34, lambda fd: os.chown(fd, user, group)),
        lambda: os.chown("victim35", user, group, dir_fd=folder),
        lambda: os.lchown("victim35", user, group),
        lambda: os.setxattr("victim36", "user.fault", b"x", follow_symlinks=False),
        lambda: os.removexattr("victim36", "user.fault", follow_symlinks=False),
        lambda: _opened(27, lambda fd: os.removexattr(fd, "user.fault")),
    ]


def _rare_steps() -> list[Callable[[], object]]:
    """Calls that neither Python nor today's C library makes by itself, by their x86_64 numbers."""
    call = ctypes.CDLL(None).syscall
    here, zero, all_bits = _AT_FDCWD, ctypes.c_long(0), ctypes.c_ulong(0o600)
    how = (ctypes.c_uint64 * 3)(os.O_CREAT | os.O_WRONLY, 0o600, 0)
    vector = (ctypes.c_uint64 * 2)(ctypes.addressof(all_bits), 1)
    return [
        lambda: _opened(37, lambda fd: call(296, fd, vector, 1, zero, zero)),
        lambda: _opened(37, lambda fd: call(277, fd, zero, zero, 0)),
        lambda: call(437, here, b"by-openat2", how, ctypes.c_long(ctypes.sizeof(how))),
        lambda: call(2, b"by-open", os.O_CREAT | os.O_WRONLY, all_bits),
        lambda: call(85, b"by-creat", all_bits),
        lambda: call(133, b"by-mknod", stat.S_IFIFO | 0o600, zero),
        lambda: call(132, b"victim38", None),
        lambda: call(235, b"victim38", None),
        lambda: call(261, here, b"victim39", None),
    ]


def _process_steps() -> list[Callable[[], object]]:
    git = ["git", "-c", "user.name=f", "-c", "user.email=f@f", "-C", "sub"]
    return [
        lambda: _in_thread(lambda: Path("victim29").write_bytes(b"thread")),
        lambda: subprocess.run([sys.executable, "-c", "open('victim30', 'w').write('child')"], check=False),
        lambda: subprocess.run("echo shell >victim31; mv victim32 shell", shell=True, check=False),
        lambda: subprocess.run([*git, "init", "-q"], check=False),
        lambda: subprocess.run([*git, "add", "-A"], check=False),
        lambda: subprocess.run([*git, "commit", "-q", "-m", "all"], check=False),
        lambda: subprocess.run([*git, "update-ref", "refs/chronos/base/x", "HEAD"], check=False),
    ]


def _in_thread(work: Callable[[], object]) -> None:
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def main() -> None:
    """Do every step; an OSError passes."""
    steps = _content_steps() + _name_steps() + _attribute_steps() + _folder_steps() + _process_steps()
    if platform.machine() == "x86_64":
        steps += _rare_steps()
    for step in steps:
        try:
            step()
        except OSError:
            continue


if __name__ == "__main__":
    main()
