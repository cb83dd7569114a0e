"""What a person would call the state of a repository, as plain data that can be compared.

Outside `.git` and `data/timelines`: every file and link with content, kind and mode. Beside it git's own view (status,
which covers the index), and the parts of `.git` that belong to the user alone. Looking changes nothing, not even the
index's stat cache.
"""

from __future__ import annotations

import hashlib
import os
import stat
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

STORE = Path("data", "timelines")
_OWN_REFS = "refs/chronos/"


@dataclass(frozen=True)
class TreeState:
    """The working tree: one line of facts for each path, and what `git status` says."""

    files: Mapping[str, str]
    status: str

    def difference(self, other: TreeState) -> str:
        """Name what is different in `other`; empty when the two are equal."""
        lines = [
            f"{path}: {self.files.get(path, 'absent')} -> {other.files.get(path, 'absent')}"
            for path in sorted(self.files.keys() | other.files.keys())
            if self.files.get(path) != other.files.get(path)
        ]
        mine, theirs = set(self.status.splitlines()), set(other.status.splitlines())
        lines += [f"git status without {line!r}" for line in sorted(mine - theirs)]
        lines += [f"git status with {line!r}" for line in sorted(theirs - mine)]
        return "; ".join(lines)


@dataclass(frozen=True)
class UserGit:
    """What is the user's alone: HEAD, refs, configuration, the index; `locks` are lock files left lying."""

    head: bytes
    config: bytes
    index: bytes
    refs: str
    locks: tuple[str, ...]


def look_at_tree(root: Path, environment: Mapping[str, str]) -> TreeState:
    """Read the state of the working tree at `root`."""
    files = {path.relative_to(root).as_posix(): _describe(path) for path in _iter_files(root)}
    status = git(root, environment, "status", "--porcelain=v2", "--untracked-files=all", "-z")
    return TreeState(files, status.replace("\0", "\n"))


def look_at_git(root: Path, environment: Mapping[str, str]) -> UserGit:
    """Read the user's part of `.git`."""
    folder = root / ".git"
    refs = git(root, environment, "for-each-ref", "--format=%(objectname) %(refname)").splitlines()
    locks = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.lock"))
    return UserGit(
        head=(folder / "HEAD").read_bytes(),
        config=(folder / "config").read_bytes(),
        index=hashlib.sha256((folder / "index").read_bytes()).digest(),
        refs="\n".join(line for line in refs if f" {_OWN_REFS}" not in line),
        locks=tuple(locks),
    )


def git(root: Path, environment: Mapping[str, str], *arguments: str) -> str:
    """Run git in `root` without optional writes and return its output."""
    command = ["git", "--no-optional-locks", "-C", str(root), *arguments]
    return subprocess.run(command, env=dict(environment), capture_output=True, check=True).stdout.decode()


def _iter_files(root: Path) -> Iterator[Path]:
    hidden = {root / ".git", root / STORE}
    for folder, subfolders, names in os.walk(root):
        here = Path(folder)
        links = [name for name in subfolders if (here / name).is_symlink()]
        subfolders[:] = [name for name in subfolders if here / name not in hidden and name not in links]
        for name in [*names, *links]:
            yield here / name


def _describe(path: Path) -> str:
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        return f"link to {path.readlink()}"
    if stat.S_ISREG(mode):
        content = path.read_bytes()
        return f"{stat.filemode(mode)} {len(content)} bytes {hashlib.sha256(content).hexdigest()[:12]}"
    return stat.filemode(mode)
