"""Which paths a checkpoint would hold if it were taken now. Read-only: nothing is set up, captured or remembered."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from enum import Enum
from pathlib import Path

from chronos.checkpoints import CapturePolicy
from chronos.files import is_inside
from chronos.locate import Place
from chronos.memory import list_places

_MOST_SIZED = 1000


class Coverage(str, Enum):
    """Where a checkpoint has a path: among the code or memory stores, or why nowhere."""

    CODE = "code"
    MEMORY = "memory"
    IGNORED = "ignored"
    SECRET = "secret"
    TOO_LARGE = "too-large"
    OUTSIDE = "outside"
    HISTORY = "history"
    STORE = "store"
    ABSENT = "absent"


class _Forgetful:
    """Facts that nobody remembers: the folders of memory stores are looked at anew."""

    def find_fact(self, key: str) -> bytes | None:
        return None

    def set_fact(self, key: str, value: bytes) -> None:
        return


def find_coverage(place: Place, paths: Sequence[Path], timeout_s: float | None = None) -> list[Coverage]:
    """Return for each absolute path where a checkpoint would have it.

    A folder with ignored things in it counts as ignored. Raises OutsideError when git takes longer than `timeout_s`,
    GitFailedError, BadConfigError.
    """
    stores = list_places(
        place.root, place.layout, place.config.memory, _Forgetful(), place.layout.timeline_memory(place.timeline)
    )
    policy = CapturePolicy.load(place.root, place.config, places=stores)
    found = [_by_place(place, policy, path) for path in paths]
    inside = [path for path, where in zip(paths, found, strict=True) if where is Coverage.CODE]
    ignored = _ignored(place, policy, inside, timeout_s) if inside else set()
    return [
        _by_content(place, policy, path, ignored) if where is Coverage.CODE else where
        for path, where in zip(paths, found, strict=True)
    ]


def _by_place(place: Place, policy: CapturePolicy, path: Path) -> Coverage:
    real = Path(os.path.realpath(path.parent)) / path.name
    if any(real.is_relative_to(store.place) for store in policy.places if not store.refusal):
        name = os.fsencode(os.path.relpath(real, place.root))
        is_secret = os.path.isfile(real) and policy.refusal(name, 0, included=True) is not None
        return Coverage.SECRET if is_secret else Coverage.MEMORY
    if real.is_relative_to(place.layout.root) and not place.root.is_relative_to(place.layout.root):
        return Coverage.STORE
    if not os.path.lexists(real):
        return Coverage.ABSENT
    if place.layout.root.is_relative_to(real) and real != place.root:
        return Coverage.STORE
    if not real.is_relative_to(place.root):
        return Coverage.OUTSIDE
    return Coverage.HISTORY if ".git" in real.relative_to(place.root).parts else Coverage.CODE


def _ignored(place: Place, policy: CapturePolicy, paths: Sequence[Path], timeout_s: float | None) -> set[bytes]:
    """Return what git ignores at or below the paths, folders collapsed, without what an include rule names."""
    if place.repository.is_plain and not place.repository.git_dir.is_dir():
        return set()
    names = [os.fsencode(os.path.relpath(path, place.root)) for path in paths]
    command = place.repository.command
    rows = command.run(
        "ls-files", "-z", "--others", "--ignored", "--exclude-standard", "--directory", "--", *names,
        timeout_s=timeout_s,
    ).stdout.split(b"\0")  # fmt: skip
    found = {row.rstrip(b"/") for row in rows if row}
    if found and policy.patterns:
        included = policy.included(place.repository, place.repository.index, b"")
        found = {row for row in found if not any(is_inside(name.rstrip(b"/"), row) for name in included)}
    store = os.fsencode(os.path.relpath(place.layout.root, place.root))
    return {row for row in found if not is_inside(row, store)}


def _by_content(place: Place, policy: CapturePolicy, path: Path, ignored: set[bytes]) -> Coverage:
    name = os.fsencode(os.path.relpath(path, place.root))
    if any(name == b"." or is_inside(name, row) or is_inside(row, name) for row in ignored):
        return Coverage.IGNORED
    try:
        size = path.lstat().st_size if path.is_file() else 0
    except OSError:
        size = 0
    refusal = policy.refusal(name, size, included=False)
    return Coverage.CODE if refusal is None else Coverage(refusal.value.replace("_", "-"))


def list_unsaved(place: Place, timeout_s: float | None = None) -> tuple[list[str], list[str], list[str]]:
    """Return the paths that differ from HEAD, those that git does not know, and those that it ignores."""
    rows = place.repository.command.run(
        "status", "--porcelain=v1", "-z", "--untracked-files=all", "--ignored=matching", "--no-renames",
        "--ignore-submodules=dirty", timeout_s=timeout_s, quiet=False,
    ).stdout.split(b"\0")  # fmt: skip
    found: dict[str, list[str]] = {"changed": [], "??": [], "!!": []}
    for row in rows:
        if len(row) > 3:
            found.get(row[:2].decode("ascii", "replace"), found["changed"]).append(os.fsdecode(row[3:]))
    return found["changed"], found["??"], found["!!"]


def find_git_settings(place: Place, prefix: str, timeout_s: float | None = None) -> dict[str, str]:
    """Return the settings of git that begin with `prefix`, by the rest of their names."""
    output = place.repository.command.run(
        "config", "-z", "--get-regexp", f"^{re.escape(prefix)}", ok=(0, 1), timeout_s=timeout_s
    ).stdout
    pairs = (row.decode("utf-8", "replace").partition("\n") for row in output.split(b"\0") if row)
    return {key.removeprefix(prefix): value for key, _, value in pairs}


def is_ref(place: Place, name: str, timeout_s: float | None = None) -> bool:
    """Tell whether git finds a commit under `name`."""
    question = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    return place.repository.command.run(*question, ok=(0, 1, 128), quiet=False, timeout_s=timeout_s).returncode == 0
