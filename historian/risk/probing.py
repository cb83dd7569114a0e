"""Looking at what is there: read-only, and within a time for one assessment. What was not looked at is not known."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import msgspec

from chronos.errors import ChronosError, OutsideError
from historian.risk.listing import late

if TYPE_CHECKING:
    from chronos.operations import Coverage

_Answer = TypeVar("_Answer")

BUDGET_S = 0.05
_LARGEST_SCRIPT = 64 * 1024
_MOST_GLOBBED = 200
_BRACES = late(r"\{([^{}]*,[^{}]*)\}")


def spread_braces(text: str) -> list[str]:
    """Return the words that `{a,b}` in a word stands for, at most as many as are looked at; else the word itself."""
    found = [text]
    while (match := _BRACES.search(found[0])) and len(found) * match[1].count(",") < _MOST_GLOBBED:
        found = [
            f"{one[: at.start()]}{part}{one[at.end() :]}"
            for one in found
            if (at := _BRACES.search(one))
            for part in at[1].split(",")
        ]
    return found


class Unsaved(msgspec.Struct, frozen=True):
    """What is not committed in a repository: paths from its `root`. `prefix` is the folder that was asked from."""

    root: str
    changed: tuple[str, ...] = ()
    untracked: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    prefix: str = ""


class Surveyor(Protocol):
    """What an engine answers about its working tree; each within `timeout_s`, else OutsideError."""

    @property
    def root(self) -> Path: ...  # noqa: D102

    def coverage(self, paths: Sequence[Path], *, timeout_s: float | None = None) -> Sequence[Coverage]: ...  # noqa: D102

    def list_unsaved(self, *, timeout_s: float | None = None) -> tuple[list[str], list[str], list[str]]: ...  # noqa: D102

    def git_settings(self, prefix: str, *, timeout_s: float | None = None) -> Mapping[str, str]: ...  # noqa: D102

    def is_ref(self, name: str, *, timeout_s: float | None = None) -> bool: ...  # noqa: D102


class Probe:
    """What one assessment may look at, from `root`. `was_cut` says that the time was over before all was looked at."""

    def __init__(self, engine: Surveyor, budget_s: float = BUDGET_S) -> None:
        self._engine = engine
        self._left_s = budget_s
        self.root = str(engine.root)
        self.was_cut = False
        self._unsaved: Unsaved | None = None

    def _left(self) -> float | None:
        """The seconds that are left, None when there are none."""
        if self._left_s <= 0:
            self.was_cut = True
            return None
        return self._left_s

    def _ask(self, question: Callable[..., _Answer], *given: Any) -> _Answer | None:
        """Ask the engine within the time that is left; None where there is none, or it cannot tell."""
        left = self._left()
        if left is None:
            return None
        start = time.monotonic()
        try:
            return question(*given, timeout_s=left)
        except OutsideError:
            self.was_cut = True
            return None
        except (ChronosError, OSError, ValueError):
            return None
        finally:
            self._left_s -= time.monotonic() - start

    def place(self, path: str, folder: str = "") -> Path:
        """Return where a path leads that was written in `folder`."""
        text = os.path.expanduser(path) if path.startswith("~") else path
        return Path(os.path.normpath(os.path.join(self.root, folder, text)))

    def exists(self, path: str, folder: str = "") -> bool:
        """Tell whether something stands at a path."""
        if self._left() is None or "\0" in path:
            return False
        try:
            return os.path.lexists(self.place(path, folder))
        except (OSError, ValueError):
            return False

    def read_text(self, path: str, folder: str = "") -> str | None:
        """Return the text of a small regular file of the tree, or None."""
        if self._left() is None or not path or "\0" in path:
            return None
        place = self.place(path, folder)
        try:
            if not place.resolve().is_relative_to(Path(self.root).resolve()):
                return None
            found = place.stat()
            if not stat.S_ISREG(found.st_mode) or found.st_size > _LARGEST_SCRIPT:
                return None
            data = place.read_bytes()
        except (OSError, ValueError, RuntimeError):
            return None
        return None if b"\0" in data else data.decode("utf-8", "replace")

    def expand(self, path: str, folder: str = "") -> list[Path]:
        """Return the paths that a pattern of a shell stands for now; one that fits nothing stands for itself."""
        found: list[Path] = []
        for one in [path] if "{" not in path or self.exists(path, folder) else spread_braces(path):
            place = self.place(one, folder)
            fitting: list[Path] = []
            for name in _fitting(str(place)) if any(letter in one for letter in "*?[") else ():
                if self._left() is None or len(found) + len(fitting) >= _MOST_GLOBBED:
                    self.was_cut = True
                    break
                fitting.append(Path(name))
            found += sorted(fitting) or [place]
        return found

    def unsaved(self, folder: str = "") -> Unsaved | None:
        """Return what is not committed in the tree, None where it cannot be told: another repository, or no time."""
        place = self.place("", folder)
        if not place.is_relative_to(self.root) or self._is_of_another(place):
            return None
        if self._unsaved is None:
            found = self._ask(self._engine.list_unsaved)
            if found is None:
                return None
            changed, untracked, ignored = found
            self._unsaved = Unsaved(self.root, tuple(changed), tuple(untracked), tuple(ignored))
        prefix = os.path.relpath(place, self.root)
        return msgspec.structs.replace(self._unsaved, prefix="" if prefix == "." else prefix)

    def _is_of_another(self, place: Path) -> bool:
        """Tell whether a folder of the tree belongs to a repository inside of it."""
        depth = len(place.relative_to(self.root).parts)
        try:
            return any(os.path.lexists(folder / ".git") for folder in (place, *place.parents)[:depth])
        except (OSError, ValueError):
            return True

    def git_aliases(self) -> Mapping[str, str]:
        """Return the aliases of git that hold here."""
        return self._ask(self._engine.git_settings, "alias.") or {}

    def is_ref(self, name: str) -> bool:
        """Tell whether a name is a branch, tag or commit; True where it cannot be told."""
        return self._ask(self._engine.is_ref, name) is not False

    def coverage(self, paths: Sequence[Path]) -> Sequence[Coverage] | None:
        """Return where a checkpoint has each path, None where it cannot be told."""
        return self._ask(self._engine.coverage, paths)


def _fitting(pattern: str) -> Iterator[str]:
    from glob import iglob  # few words are patterns

    return iglob(pattern)
