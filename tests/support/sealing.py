"""The sealed environment of every test, and tripwires that show when something reaches out of it.

The tripwires are audit hooks (PEP 578): they see every file that this process opens for writing and every
connection, whatever library asks for it, and cannot be patched away by accident.
"""

from __future__ import annotations

import ipaddress
import os
import pwd
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

PROJECT = Path(__file__).parents[2]
REAL_HOME = Path(pwd.getpwuid(os.getuid()).pw_dir)

_KEPT = ("PATH", "LANG", "TMPDIR", "VIRTUAL_ENV", "SYSTEMROOT")
_GIT_CONFIG = """[user]
\tname = Test Person
\temail = test@example.invalid
[init]
\tdefaultBranch = main
[protocol "file"]
\tallow = always
[gc]
\tauto = 0
[core]
\tfsync = none
"""
# What git and chrono could write into a home, had they found the real one.
_WATCHED = (
    ".gitconfig",
    ".config/git",
    ".config/chrono*",
    ".chrono*",
    ".local/share/chrono*",
    ".cache/chrono*",
    "data",
)
_CHANGING = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.symlink", "os.link", "os.truncate", "os.chmod"}


class TripwireError(AssertionError):
    """Something reached out of the sealed environment."""


def sealed_environment(home: Path, outside: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the whole environment of a test whose home is `home`."""
    source = os.environ if outside is None else outside
    kept = {name: source[name] for name in _KEPT if name in source}
    return {
        **kept,
        "HOME": str(home),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": str(home / "gitconfig"),
        "TZ": "UTC",
        "LC_ALL": "C.UTF-8",
    }


def make_home(home: Path) -> Path:
    """Create a home folder with a fixed identity in its git configuration."""
    home.mkdir(parents=True)
    (home / "gitconfig").write_text(_GIT_CONFIG, "utf-8")
    return home


def seal_process(home: Path) -> None:
    """Make the sealed environment that of this process, keeping what pytest itself needs."""
    pytest_own = {name: value for name, value in os.environ.items() if name.startswith(("PYTEST", "PYTHON", "COV"))}
    sealed = {**pytest_own, **sealed_environment(home)}
    for name in [name for name in os.environ if name not in sealed]:
        del os.environ[name]
    os.environ.update(sealed)


def watched_in_home() -> dict[str, int]:
    """Return the change times of everything in the real home that a leak would write."""
    found = [path for pattern in _WATCHED for path in REAL_HOME.glob(pattern)]
    return {str(path): path.lstat().st_mtime_ns for path in found}


def set_tripwires() -> None:
    """Raise TripwireError on a connection beyond loopback and on a write into the real home."""
    exempt = tuple(str(Path(path).resolve()) for path in (PROJECT, sys.prefix, tempfile.gettempdir()))
    home = str(REAL_HOME.resolve()).rstrip("/") + "/"

    def is_in_home(path: object) -> bool:
        if not isinstance(path, str | bytes | os.PathLike):
            return False
        text = os.path.abspath(os.fsdecode(path))
        return text.startswith(home) and not text.startswith(exempt)

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        if event == "socket.connect":
            _check_address(arguments[1])
        elif event == "open" and _is_writing(arguments) and is_in_home(arguments[0]):
            raise TripwireError(f"the real home is written: {arguments[0]!r}")
        elif event in _CHANGING and is_in_home(arguments[0]):
            raise TripwireError(f"the real home is changed: {event} {arguments[0]!r}")

    sys.addaudithook(watch)


def _is_writing(arguments: tuple[object, ...]) -> bool:
    flags = arguments[2]
    return isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))


def _check_address(address: object) -> None:
    if not isinstance(address, tuple):
        return  # a path: AF_UNIX
    host = str(address[0])
    try:
        is_local = ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_local = host == "localhost"
    if not is_local:
        raise TripwireError(f"a connection to {host} left the machine")
