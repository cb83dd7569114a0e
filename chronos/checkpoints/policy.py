"""What a capture may take: secret names, size limits, and include rules that lift both and reach into ignored paths."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

import msgspec

from chronos.checkpoints.manifest import Reason
from chronos.config import Config
from chronos.errors import BadConfigError
from chronos.files import TreePath, read_limited
from chronos.git import Repository
from chronos.memory import StorePlace
from chronos.secrets import is_secret_name

INCLUDE_FILE = ".chronoinclude"
_LARGEST_RULES_BYTES = 1024 * 1024
_WILD = frozenset("*?[")


class CapturePolicy(msgspec.Struct, frozen=True):
    """The rules of one capture. `forced` paths (from the root) are taken whatever the other rules say.

    `places` are the memory stores that are known before the code is looked at; `lessons` is the historian's folder.
    `progress` is told (done, total) of the paths of each component that are read.
    """

    root: Path
    config: Config
    patterns: tuple[str, ...] = ()
    forced: frozenset[TreePath] = msgspec.field(default=frozenset())
    places: tuple[StorePlace, ...] = ()
    lessons: Path | None = None
    progress: Callable[[int, int], None] | None = None

    @classmethod
    def load(
        cls, root: Path, config: Config, forced: Sequence[TreePath] = (), places: Sequence[StorePlace] = (),
        lessons: Path | None = None, progress: Callable[[int, int], None] | None = None,
    ) -> CapturePolicy:  # fmt: skip
        """Read `.chronoinclude` and the configuration. Raises StorageError, or BadConfigError when it is too large."""
        path = root / INCLUDE_FILE
        lines: list[str] = []
        if path.is_file() and not path.is_symlink():
            data = read_limited(path, _LARGEST_RULES_BYTES, too_large=BadConfigError)
            lines = data.decode("utf-8", "surrogateescape").splitlines()
        rules = [line.rstrip() for line in (*lines, *config.include)]
        patterns = tuple(rule for rule in rules if rule and not rule.startswith("#"))
        return cls(root, config, patterns, frozenset(forced), tuple(places), lessons, progress)

    def included(self, repository: Repository, index: Path, component: TreePath) -> set[TreePath]:
        """Return every path of the repository at `component` that an include rule names, ignored or not.

        A repository inside it is one path, which ends with a slash.
        """
        patterns = _patterns_below(self.patterns, os.fsdecode(component))
        if not patterns:
            return set()
        rules = [part for pattern in patterns for part in ("-x", os.fsencode(pattern))]
        output = repository.command.with_index(index).output("ls-files", "-z", "-c", "-o", "-i", *rules)
        return {path for path in output.split(b"\0") if path}

    def refusal(self, path: TreePath, size: int, *, included: bool) -> Reason | None:
        """Return why the file `path` of `size` bytes must stay out, or None when it may come in."""
        if path in self.forced:
            return None
        if is_secret_name(path) and not self._names_exactly(path):
            return Reason.SECRET
        if size > self.config.max_file_bytes and not included:
            return Reason.TOO_LARGE
        return None

    def _names_exactly(self, path: TreePath) -> bool:
        """A secret is let in only by a rule without wildcards that is its name or its whole path."""
        names = {os.fsencode(p.lstrip("/")) for p in self.patterns if not _WILD & set(p)}
        return path in names or path.rpartition(b"/")[2] in names


def _patterns_below(patterns: Sequence[str], component: str) -> list[str]:
    """Rewrite rules that are relative to the root for the repository in the folder `component`."""
    if not component:
        return list(patterns)
    found = []
    for pattern in patterns:
        sign, body = ("!", pattern[1:]) if pattern.startswith("!") else ("", pattern)
        if "/" not in body.rstrip("/"):
            found.append(pattern)
            continue
        found += [f"{sign}/{rest}" for rest in _rest_after(body.strip("/").split("/"), component.split("/"))]
    return found


def _rest_after(pattern: list[str], folders: list[str]) -> Iterator[str]:
    """Yield what is left of an anchored rule once its first parts have matched `folders`."""
    if not folders:
        yield "/".join(pattern) or "**"
    elif not pattern:
        yield "**"
    elif pattern[0] == "**":
        yield from _rest_after(pattern, folders[1:])
        yield from _rest_after(pattern[1:], folders)
    elif fnmatchcase(folders[0], pattern[0]):
        yield from _rest_after(pattern[1:], folders[1:])
