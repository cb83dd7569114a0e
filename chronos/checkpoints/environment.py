"""`env_config.json`: interpreter, platform, tool versions, lock files by hash and allowed variables. Never a secret."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from chronos.checkpoints.secrets import find_secret
from chronos.files import read_limited, to_text
from chronos.pool import digest

_LOCK_FILES = (
    "uv.lock", "poetry.lock", "pdm.lock", "Pipfile.lock", "requirements.txt", "pylock.toml", "package-lock.json",
    "yarn.lock", "pnpm-lock.yaml", "bun.lock", "Cargo.lock", "go.sum", "Gemfile.lock", "composer.lock", "mix.lock",
    "flake.lock", "packages.lock.json", "gradle.lockfile",
)  # fmt: skip
_LARGEST_LOCK_FILE_BYTES = 64 * 1024 * 1024
_SECRET_NAME = re.compile(r"(?i)secret|token|passw|passphrase|credential|api_?key|private|auth")
_USER_AND_PASSWORD = re.compile(r"://[^/\s:@]+:[^/\s@]+@")


def describe_environment(
    root: Path, environment: Mapping[str, str], allowed: Sequence[str], versions: Mapping[str, str]
) -> bytes:
    """Return the environment of a checkpoint as JSON; `versions` are tool versions that the caller knows."""
    document = {
        "python": {"version": sys.version.partition(" ")[0], "executable": sys.executable},
        "platform": {"system": os.uname().sysname, "release": os.uname().release, "machine": os.uname().machine},
        "tools": dict(versions),
        "lock_files": _lock_files(root),
        "variables": {name: environment[name] for name in allowed if _is_safe(name, environment.get(name))},
    }
    return msgspec.json.encode(document, order="sorted") + b"\n"


def _is_safe(name: str, value: str | None) -> bool:
    if value is None or _SECRET_NAME.search(name) or _USER_AND_PASSWORD.search(value):
        return False
    return find_secret(os.fsencode(value)) is None


def _lock_files(root: Path) -> dict[str, str]:
    present = [name for name in _LOCK_FILES if (root / name).is_file()]
    sizes = {name: (root / name).stat().st_size for name in present}
    return {
        to_text(os.fsencode(name)): digest(read_limited(root / name, _LARGEST_LOCK_FILE_BYTES)).hex()
        for name in present
        if sizes[name] <= _LARGEST_LOCK_FILE_BYTES
    }
