"""The only place that starts programs: a closed environment, absolute binaries, and which peers are installed."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
STATUS_FLAGS = (  # the same as a capture's own status
    "status",
    "--porcelain=v2",
    "-z",
    "--branch",
    "--untracked-files=all",
    "--ignored=matching",
    "--no-renames",
    "--ignore-submodules=dirty",
)


class ProgramError(Exception):
    """A program that a measurement needs ended with an error."""


@dataclass(frozen=True)
class Sealed:
    """The environment of every program of a run: own home, no user or system configuration, own peers' caches."""

    home: Path

    @property
    def environment(self) -> Mapping[str, str]:
        """The variables, all of them."""
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self.home),
            "TMPDIR": str(self.home),
            "LC_ALL": "C.UTF-8",
            "TZ": "UTC",
            "GIT_CONFIG_NOSYSTEM": "1",
            "BORG_BASE_DIR": str(self.home / "borg"),
            "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK": "yes",
            "RESTIC_PASSWORD_FILE": str(self.home / "password"),
            "RESTIC_CACHE_DIR": str(self.home / "restic"),
        }


def seal(home: Path) -> Sealed:
    """Make the home folder of a run and return its environment."""
    home.mkdir()
    (home / "borg").mkdir()
    (home / "password").write_text("benchmark\n")
    return Sealed(home)


def run(argv: Sequence[str], sealed: Sealed) -> str:
    """Run `argv` to its end and return its output. Raises ProgramError with what it said."""
    try:
        done = subprocess.run(argv, env=sealed.environment, cwd=REPOSITORY, capture_output=True, check=False)
    except OSError as cause:
        raise ProgramError(f"{Path(argv[0]).name}: {cause.strerror}") from cause
    _check(argv, done.returncode, done.stderr, sealed)
    return done.stdout.decode(errors="replace")


def feed(argv: Sequence[str], pieces: Iterable[bytes], sealed: Sealed) -> None:
    """Run `argv` with `pieces` as its input."""
    process = subprocess.Popen(argv, env=sealed.environment, stdin=subprocess.PIPE)
    assert process.stdin is not None
    with process.stdin as pipe:
        pipe.writelines(pieces)
    _check(argv, process.wait(), b"", sealed)


def run_module(name: str, arguments: Sequence[str], sealed: Sealed) -> str:
    """Run module `name` with this interpreter (never a wrapper of it) and return its output."""
    return run([sys.executable, "-m", name, *arguments], sealed)


def _check(argv: Sequence[str], returncode: int, stderr: bytes, sealed: Sealed) -> None:
    """Raise for a program that failed, with its last line; the report must not name places of this machine."""
    if returncode == 0:
        return
    said = stderr.decode(errors="replace").strip().splitlines()
    reason = said[-1] if said else "no message"
    for place, shown in ((sealed.home.parent, "WORK"), (REPOSITORY, "."), (Path(sys.executable).parent, "BIN")):
        reason = reason.replace(str(place), shown)
    raise ProgramError(f"{Path(argv[0]).name} ended with {returncode}: {reason}")


def find_program(name: str) -> str | None:
    """Return the absolute path of peer `name`, or None when it is not installed."""
    return shutil.which(name)


def find_chrono() -> str | None:
    """Return the `chrono` that belongs to this interpreter, or None."""
    script = Path(sys.executable).with_name("chrono")
    return str(script) if script.exists() else None


def describe_programs(sealed: Sealed) -> dict[str, str]:
    """Return the version of everything that was measured, "not installed" where it is missing."""
    versions = {name: _program_version(name, sealed) for name in ("git", "borg", "restic", "hyperfine")}
    for name in ("chronomancer", "stepback"):
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "not installed"
    return {"Python": platform.python_version(), **versions}


def _program_version(name: str, sealed: Sealed) -> str:
    binary = find_program(name)
    if binary is None:
        return "not installed"
    words = run([binary, "version" if name == "restic" else "--version"], sealed).split()
    return next((word for word in words if word[0].isdigit()), "unknown")
