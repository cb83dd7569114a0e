"""Finding a repository and what is true of it: its folders, object format, configuration and filter drivers."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from chronos.errors import GitFailedError, UnsupportedRepositoryError
from chronos.files import TreePath, read_limited
from chronos.git.command import GitCommand
from chronos.layout import TIMELINE_NAME

if TYPE_CHECKING:
    from chronos.git.objects import TreeEntry

TIMELINE_MARK = "chronos-timeline"
_LARGEST_MARK_BYTES = 4096
_TRUSTED_SCOPES = (b"system", b"global")
_IN_PROGRESS = (
    ("merge", "MERGE_HEAD"),
    ("cherry-pick", "CHERRY_PICK_HEAD"),
    ("revert", "REVERT_HEAD"),
    ("rebase", "rebase-merge"),
    ("rebase", "rebase-apply"),
    ("bisect", "BISECT_LOG"),
)


class Repository(msgspec.Struct, frozen=True, dict=True):
    """One git repository with a working tree at `root`.

    `git_dir` is this working tree's own folder, `common_dir` the one that holds refs and objects. `is_plain` marks a
    plain folder served by the store's inner repository, which has no commit and must not be written.
    """

    root: Path
    git_dir: Path
    common_dir: Path
    base_command: GitCommand
    is_plain: bool = False

    @cached_property
    def configuration(self) -> list[tuple[bytes, bytes, bytes]]:
        """Every setting as (scope, key, value), in git's order of precedence (the last wins)."""
        fields = self._plain_command.output("config", "--list", "-z", "--show-scope").split(b"\0")
        rows = zip(fields[0::2], fields[1::2], strict=False)
        return [(scope, *_split_setting(setting)) for scope, setting in rows]

    def setting(self, key: bytes) -> bytes | None:
        """Return the value of the setting `key` (lower case), or None."""
        return next((value for _, name, value in reversed(self.configuration) if name == key), None)

    @cached_property
    def command(self) -> GitCommand:
        """Git in this repository with every filter driver switched off: bytes on disk are what a capture stores."""
        return self._plain_command.with_settings(_without(self._filter_drivers(trusted_too=True)))

    @cached_property
    def checkout_command(self) -> GitCommand:
        """Git in this repository with the filters that the user's own global configuration defines."""
        return self._plain_command.with_settings(_without(self._filter_drivers(trusted_too=False)))

    @cached_property
    def known_sizes(self) -> dict[str, int]:
        """The sizes in bytes of blobs that were asked for: a blob never changes."""
        return {}

    @cached_property
    def known_entries(self) -> dict[str, dict[TreePath, TreeEntry]]:
        """What a commit has at some of its paths, of which git has spoken: a commit never changes."""
        return {}

    def learn(self, commit: str, entries: Mapping[TreePath, TreeEntry]) -> None:
        """Take down what a commit has at some paths; what was known of others goes."""
        known = self.known_entries
        if commit not in known:
            known.clear()
        known.setdefault(commit, {}).update(entries)

    def share_knowledge(self, other: Repository) -> None:
        """Know from now on what another worktree of the same repository knows of objects, and it what this one does."""
        vars(self).update(known_sizes=other.known_sizes, known_entries=other.known_entries)

    @property
    def index(self) -> Path:
        """The user's index."""
        return self.git_dir / "index"

    @property
    def timeline_mark(self) -> str | None:
        """The timeline that this worktree was made for, which its own git folder says; see `mark_worktree`."""
        return mark_of(self.git_dir)

    def absorbs(self, git_dir: Path) -> bool:
        """Tell whether `git_dir` is the git folder of one of this repository's submodules, kept in its own."""
        return self.common_dir / "modules" in git_dir.parents

    def in_progress(self) -> tuple[str, ...]:
        """Return which of merge, cherry-pick, revert, rebase and bisect are under way."""
        return tuple(dict.fromkeys(kind for kind, name in _IN_PROGRESS if (self.git_dir / name).exists()))

    def is_ignored(self, path: TreePath) -> bool:
        """Tell whether git ignores `path`."""
        return bool(list_ignored(self, self.root, [path]))

    @cached_property
    def _plain_command(self) -> GitCommand:
        folder = self.root if self.root.is_dir() else self.git_dir
        return self.base_command.at(folder, git_dir=self.git_dir, work_tree=self.root)

    def _filter_drivers(self, *, trusted_too: bool) -> list[bytes]:
        names: dict[bytes, bool] = {}
        for scope, key, _ in self.configuration:
            if key.startswith(b"filter.") and key.count(b".") >= 2:
                names[key[len(b"filter.") :].rpartition(b".")[0]] = scope in _TRUSTED_SCOPES
        return [name for name, trusted in names.items() if trusted_too or not trusted]


def mark_of(git_dir: Path) -> str | None:
    """Return the timeline that git's own folder of a worktree is marked with, or None."""
    path = git_dir / TIMELINE_MARK
    if not os.path.lexists(path):
        return None
    name = read_limited(path, _LARGEST_MARK_BYTES, too_large=GitFailedError).decode("ascii", "replace").strip()
    return name if re.fullmatch(TIMELINE_NAME, name) else None


def open_repository(root: Path, command: GitCommand) -> Repository:
    """Return the repository whose working tree's top is exactly `root`. Raises GitFailedError.

    git walks up past a `.git` that is none; then `root` has a prefix in the repository that it finds.
    """
    output = command.at(root).output("rev-parse", "--absolute-git-dir", "--show-prefix")
    folder, _, prefix = output[:-1].rpartition(b"\n")
    if prefix:
        raise GitFailedError(f"{root / '.git'} is no git repository", hint="remove it, or repair it")
    git_dir = Path(os.fsdecode(folder))
    return Repository(root, git_dir, _common_dir(git_dir), command)


def find_work_tree(folder: Path) -> Path | None:
    """Return the top of the working tree that `folder` lies in, or None when it is in no repository.

    Raises UnsupportedRepositoryError inside a bare repository or a git folder.
    """
    for candidate in (folder, *folder.parents):
        if (candidate / ".git").exists():
            return candidate
        if (candidate / "HEAD").is_file() and (candidate / "objects").is_dir() and (candidate / "refs").is_dir():
            raise UnsupportedRepositoryError(
                f"{candidate} is a bare repository or a git folder; it has no files to capture"
            )
    return None


def is_tracked(path: Path, command: GitCommand) -> bool:
    """Tell whether the repository around `path`, which may be gone, has it or anything in it among its files."""
    above = next(folder for folder in path.parents if folder.is_dir())
    return bool(command.at(above).output("ls-files", "-z", "--", os.fsencode(path.relative_to(above))))


def plain_folder(root: Path, inner_repository: Path, command: GitCommand) -> Repository:
    """Return `root`, a folder that is no repository, seen through the store's inner repository."""
    return Repository(root, inner_repository, inner_repository, command, is_plain=True)


def common_dir_of(folder: Path) -> Path | None:
    """Return the common git folder of the repository whose top is `folder`, from its files alone, or None."""
    git_dir = folder / ".git"
    if git_dir.is_dir():
        return git_dir.resolve()
    try:
        first = git_dir.read_bytes()[:4200]
        if not first.startswith(b"gitdir: "):
            return None
        git_dir = folder / os.fsdecode(first[len(b"gitdir: ") :].rstrip(b"\r\n"))
        return _common_dir(git_dir) if git_dir.is_dir() else None
    except OSError:
        return None


def _common_dir(git_dir: Path) -> Path:
    """Return the folder with refs and objects: a linked worktree's git folder names it in `commondir`."""
    link = git_dir / "commondir"
    if link.is_file():
        return (git_dir / os.fsdecode(link.read_bytes().rstrip(b"\r\n"))).resolve()
    return git_dir.resolve()


def _split_setting(setting: bytes) -> tuple[bytes, bytes]:
    key, _, value = setting.partition(b"\n")
    return key, value


def _without(drivers: list[bytes]) -> list[tuple[str, str]]:
    off = (("clean", ""), ("smudge", ""), ("process", ""), ("required", "false"))
    return [(f"filter.{os.fsdecode(driver)}.{key}", value) for driver in drivers for key, value in off]


def list_ignored(repository: Repository, work_tree: Path, paths: list[TreePath]) -> set[TreePath]:
    """Return those of `paths` that the ignore files under `work_tree`, and the user's own excludes, ignore."""
    command = repository.command.at(work_tree, git_dir=repository.git_dir, work_tree=work_tree).with_pathspecs()
    question = b"".join(b"./" + path + b"\0" for path in paths)
    done = command.run("check-ignore", "--no-index", "-z", "--stdin", input_bytes=question, ok=(0, 1))
    return {path[len(b"./") :] for path in done.stdout.split(b"\0") if path}
