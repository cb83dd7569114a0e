"""What a person would call the state of a repository, as plain data that can be compared.

Outside `.git` and `data/timelines`: every file and link with content, kind and mode. Beside it git's own view (status,
which covers the index), and the parts of `.git` that belong to the user alone. The same of the trees of timelines, with
what git knows of them. Looking changes nothing, not even the index's stat cache.
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
_OWN_REFS = ("refs/chronos/", "refs/heads/chronos/")
_OWN_BRANCHES = Path(".git/refs/heads/chronos")
_OTHER_TIMELINES = ("main", "imported")


@dataclass(frozen=True)
class TreeState:
    """The working tree: one line of facts for each path, and what `git status` says.

    `timelines` are such facts about the others: which there are, their trees, worktrees as git lists them, branches.
    """

    files: Mapping[str, str]
    status: str
    timelines: Mapping[str, str]

    def difference(self, other: TreeState) -> str:
        """Name what is different in `other`; empty when the two are equal."""
        lines = [
            f"{path}: {one.get(path, 'absent')} -> {another.get(path, 'absent')}"
            for one, another in ((self.files, other.files), (self.timelines, other.timelines))
            for path in sorted(one.keys() | another.keys())
            if one.get(path) != another.get(path)
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
    return TreeState(_files(root), _status(root, environment), dict(_look_at_timelines(root, environment)))


def _look_at_timelines(root: Path, environment: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Give the facts about the timelines beside the first: whatever of one is there, whole or not, is in them."""
    for manifest in (root / STORE).glob("[!.]*/[!.]*/checkpoint.json"):
        timeline = manifest.parent.parent.name
        if timeline not in _OTHER_TIMELINES:
            yield f"timeline {timeline}", "listed"
    for branch in (root / _OWN_BRANCHES).rglob("*"):
        if branch.is_file():
            yield f"branch {branch.name}", branch.read_text().strip()
    if (root / ".git/worktrees").is_dir():
        listed = git(root, environment, "worktree", "list", "--porcelain").replace(str(root), "ROOT").split("\n\n")
        yield from (tuple(block.split("\n", 1)) for block in listed[1:] if block)  # type: ignore[misc]
    for tree in (root / STORE).glob("[!.]*/.worktree"):
        name = tree.relative_to(root).as_posix()
        is_whole = (tree / ".git").is_file()
        yield f"status of {name}", _status(tree, environment) if is_whole else "no worktree"
        yield from ((f"{name}/{path}", facts) for path, facts in _files(tree).items())


def _files(root: Path) -> dict[str, str]:
    return {path.relative_to(root).as_posix(): _describe(path) for path in _iter_files(root)}


def _status(root: Path, environment: Mapping[str, str]) -> str:
    status = git(root, environment, "status", "--porcelain=v2", "--branch", "--untracked-files=all", "-z")
    return status.replace("\0", "\n")


def look_at_git(root: Path, environment: Mapping[str, str]) -> UserGit:
    """Read the user's part of `.git`."""
    folder = root / ".git"
    refs = git(root, environment, "for-each-ref", "--format=%(objectname) %(refname)").splitlines()
    locks = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.lock"))
    return UserGit(
        head=(folder / "HEAD").read_bytes(),
        config=(folder / "config").read_bytes(),
        index=hashlib.sha256((folder / "index").read_bytes()).digest(),
        refs="\n".join(line for line in refs if not line.partition(" ")[2].startswith(_OWN_REFS)),
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
        yield from (here / name for name in [*names, *links] if here / name not in hidden)


def _describe(path: Path) -> str:
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        return f"link to {path.readlink()}"
    if stat.S_ISREG(mode):
        content = path.read_bytes()
        return f"{stat.filemode(mode)} {len(content)} bytes {hashlib.sha256(content).hexdigest()[:12]}"
    return stat.filemode(mode)
