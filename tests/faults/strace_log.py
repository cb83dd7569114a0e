"""Reads what `strace -ff -y` saw of a command, as the second opinion on what the tracer counts."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

# Calls that cannot change a file system, whatever their arguments. A name that is neither here nor in the tracer's
# table fails the self-test: somebody has to decide.
_HARMLESS_NAMES = """
_exit accept4 access alarm arch_prctl bind brk capget capset chdir clock_getres clock_gettime clock_nanosleep clone
clone3 close close_range connect dup dup2 dup3 epoll_create1 epoll_ctl epoll_wait eventfd2 execve execveat exit
exit_group faccessat faccessat2 fadvise64 fchdir fcntl fgetxattr flistxattr flock fork fstat fstatfs futex getcwd
getdents64 getegid geteuid getgid getgroups getitimer getpeername getpgid getpgrp getpid getppid getpriority getrandom
getresgid getresuid getrlimit getrusage getsid getsockname getsockopt gettid gettimeofday getuid getxattr
inotify_add_watch inotify_init1 kill lgetxattr listen listxattr llistxattr lseek lstat madvise membarrier memfd_create
mincore mlock mmap mprotect mremap munlock munmap nanosleep newfstatat pause pidfd_open pidfd_send_signal pipe pipe2
poll ppoll prctl pread64 preadv preadv2 prlimit64 pselect6 read readahead readlink readlinkat readv recvfrom recvmsg
restart_syscall rseq rt_sigaction rt_sigpending rt_sigprocmask rt_sigreturn rt_sigsuspend rt_sigtimedwait
sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getparam sched_getscheduler sched_setaffinity
sched_yield select sendmsg sendto set_robust_list set_tid_address setitimer setpgid setpriority setresgid setresuid
setrlimit setsid setsockopt shutdown sigaltstack socket socketpair stat statfs statx sysinfo tgkill timer_create
timer_delete timer_settime tkill umask uname vfork wait4 waitid
"""
HARMLESS = frozenset(_HARMLESS_NAMES.split())
_LINE = re.compile(r"^(?P<name>[a-z_0-9]+)\((?P<arguments>.*?)(?:\)\s+= |<unfinished|\) = |$)")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_DESCRIPTOR = re.compile(r"(?<![\w.])\d+<([^>]*)>")
_RANDOM = re.compile(r"tmp_obj_\w{6}$|^t[A-Za-z0-9]{6}$")
_BY_PATH = re.compile(
    r"^(open|creat|mk|rename|link|symlink|unlink|rmdir|truncate|l?chmod|l?chown|fch(mod|own)at|l?(set|remove)xattr)"
    r"|utime"
)


@dataclass(frozen=True)
class Seen:
    """One system call as strace wrote it: its name and its arguments as text."""

    name: str
    arguments: str

    @property
    def target(self) -> str:
        """The last part of the path that the call works on, with random parts made equal."""
        paths: list[str] = []
        if _BY_PATH.search(self.name):
            paths = _QUOTED.findall(self.arguments)
            if "xattr" in self.name:
                paths = paths[:1]
        paths = paths or _DESCRIPTOR.findall(self.arguments)
        index = 1 if self.name in ("copy_file_range", "splice") else 0
        return mask(paths[-1 if _BY_PATH.search(self.name) else index]) if paths else ""


def mask(path: str) -> str:
    """Return the last part of `path`; git's random temporary names become one."""
    return _RANDOM.sub("random", path.rstrip("/").rsplit("/", 1)[-1])


def find_strace() -> str | None:
    """Return the path of strace, or None."""
    return shutil.which("strace")


def run(argv: Sequence[str], *, cwd: Path, environment: Mapping[str, str], folder: Path) -> list[Seen]:
    """Run `argv` under strace, with its logs in the new `folder`, and return every call that it made."""
    folder.mkdir()
    options = ["-ff", "-y", "-qq", "-s", "1", "-e", "signal=none", "-o", str(folder / "log")]
    command = [find_strace() or "strace", *options, *argv]
    subprocess.run(command, cwd=cwd, env=dict(environment), stdin=subprocess.DEVNULL, capture_output=True, check=True)
    return list(_read(folder))


def _read(folder: Path) -> Iterator[Seen]:
    for log in sorted(folder.iterdir()):
        for line in log.read_text("utf-8", "replace").splitlines():
            if found := _LINE.match(line):
                yield Seen(found["name"], found["arguments"])


def is_mutating(seen: Seen) -> bool:
    """Judge from strace's text alone whether the call could have changed a real file system."""
    if seen.name in HARMLESS:
        return False
    if seen.name == "ioctl":
        return any(request in seen.arguments for request in ("FICLONE", "FS_IOC_SETFLAGS"))
    if seen.name in ("open", "openat", "openat2"):
        return (
            any(flag in seen.arguments for flag in ("O_CREAT", "O_TRUNC", "O_TMPFILE"))
            and "/dev/null" not in seen.arguments
        )
    if _BY_PATH.search(seen.name) and _QUOTED.search(seen.arguments):
        return True
    if seen.name in ("sync", "msync"):
        return True
    paths = _DESCRIPTOR.findall(seen.arguments)
    index = 1 if seen.name in ("copy_file_range", "splice") else 0
    path = paths[index] if len(paths) > index else ""
    is_device = path.startswith("/dev/") and not path.startswith("/dev/shm/")
    return path.startswith("/") and not is_device and not path.startswith(("/proc/", "/memfd:"))
