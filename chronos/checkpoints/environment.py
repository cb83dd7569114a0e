"""`env_config.json`: interpreter, platform, tool versions, lock files by hash and allowed variables. Never a secret."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import msgspec

from chronos.errors import StorageError
from chronos.files import read_limited, to_text
from chronos.pool import digest
from chronos.secrets import is_secret_text

_LOCK_FILES = (
    "uv.lock", "poetry.lock", "pdm.lock", "Pipfile.lock", "requirements.txt", "pylock.toml", "package-lock.json",
    "yarn.lock", "pnpm-lock.yaml", "bun.lock", "Cargo.lock", "go.sum", "Gemfile.lock", "composer.lock", "mix.lock",
    "flake.lock", "packages.lock.json", "gradle.lockfile",
)  # fmt: skip
_LARGEST_LOCK_FILE_BYTES = 64 * 1024 * 1024
_SECRET_WORDS = ("secret", "token", "passw", "passphrase", "credential", "api_key", "apikey", "private", "auth")
_USER_IN_URL = r"://[^/\s@]+@"


def describe_environment(
    root: Path, environment: Mapping[str, str], allowed: Sequence[str], versions: Mapping[str, str]
) -> bytes:
    """Return the environment of a checkpoint as JSON; `versions` are tool versions that the caller knows.

    Lock files that cannot be read are named and stop nothing.
    """
    lock_files, unreadable = _lock_files(root)
    document = {
        "python": {"version": sys.version.partition(" ")[0], "executable": _text(sys.executable)},
        "platform": {"system": os.uname().sysname, "release": os.uname().release, "machine": os.uname().machine},
        "tools": dict(versions),
        "lock_files": lock_files,
        **({"unreadable_lock_files": unreadable} if unreadable else {}),
        "variables": {name: _text(environment[name]) for name in allowed if _is_safe(name, environment.get(name))},
    }
    return msgspec.json.encode(document, order="sorted") + b"\n"


@lru_cache
def _is_safe(name: str, value: str | None) -> bool:
    if value is None or any(word in name.lower() for word in _SECRET_WORDS):
        return False
    if "://" in value and re.search(_USER_IN_URL, value):
        return False
    return not is_secret_text(os.fsencode(value))


def _text(value: str) -> str:
    """Write a value of the operating system's as text that UTF-8 can hold."""
    return to_text(os.fsencode(value))


def _lock_files(root: Path) -> tuple[dict[str, str], list[str]]:
    """Return the hashes of the lock files, and the names of those that cannot be read."""
    hashes, unreadable = {}, []
    for name in _LOCK_FILES:
        path = os.path.join(root, name)
        if os.path.isfile(path) and os.stat(path).st_size <= _LARGEST_LOCK_FILE_BYTES:
            try:
                hashes[name] = digest(read_limited(Path(path), _LARGEST_LOCK_FILE_BYTES)).hex()
            except StorageError:
                unreadable.append(name)
    return hashes, unreadable
