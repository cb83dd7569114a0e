"""Hiding what is ours from git: a line in `info/exclude`, and a `.gitignore` beside it where a rule beats that line.

`info/exclude` does not travel with a clone, so its line also tells whether a store was made, or accepted, here.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from chronos.files import replace_durably, sweep_drafts, translate_os_errors
from chronos.git import Repository
from chronos.layout import StoreLayout

# A plain folder has no .gitignore of its own to keep what tools can make again out of every checkpoint.
PLAIN_FOLDER_EXCLUDES = (
    "node_modules/", ".venv/", "venv/", "__pycache__/", "*.pyc", ".mypy_cache/", ".pytest_cache/", ".ruff_cache/",
    ".tox/", ".nox/", "target/debug/", "target/release/", ".gradle/", ".cache/", ".DS_Store",
)  # fmt: skip
_MARK = "# chronomancer keeps its checkpoints here"
LESSONS_MARK = "# chronomancer keeps its lessons here"
TREES_MARK = "# chronomancer keeps the working trees of timelines here"


def hide_store(home: Path, repository: Repository, layout: StoreLayout) -> None:
    """Keep the store out of git's sight by one line in `info/exclude`; for a repository, before the store is there.

    `home` is the working tree that has the store, if it lies in one. A plain folder also gets a `.gitignore` beside
    the store, should it become a repository one day.
    """
    if not layout.root.is_relative_to(home):
        return
    lines = [_MARK, _line(home, layout)]
    if repository.is_plain:
        lines += PLAIN_FOLDER_EXCLUDES
        _ignore_beside(layout.root)
    _add_lines(_exclude_file(repository), lines)


def hide_folder(home: Path, repository: Repository, folder: Path, mark: str) -> None:
    """Keep another folder of ours out of git's sight by a line in `info/exclude`, where it lies in a repository.

    One that was taken away meanwhile gets none: a `.git` with nothing else in it would be no repository, and no folder.
    """
    if folder.is_relative_to(home) and not repository.is_plain and repository.common_dir.is_dir():
        _add_lines(_exclude_file(repository), [mark, _folder_line(home, folder)])


def are_lessons_hidden(home: Path, repository: Repository, folder: Path) -> bool:
    """Tell whether `info/exclude` hides the folder of the lessons already, so that they were learned here."""
    return folder.is_relative_to(home) and _has_line(_exclude_file(repository), _folder_line(home, folder))


def is_hidden(home: Path, repository: Repository, layout: StoreLayout) -> bool:
    """Tell whether `info/exclude` hides the store already."""
    return _has_line(_exclude_file(repository), _line(home, layout))


def hide_beside(home: Path, repository: Repository, folder: Path, what: str = "the store") -> list[str]:
    """Hide a folder of ours beside itself where a `.gitignore` rule un-ignores it; return what to tell the user."""
    if not folder.is_relative_to(home):
        return []
    path = (folder.parent / ".gitignore").relative_to(home)
    if path.parent == Path() and not repository.is_plain:
        return [f"a .gitignore rule un-ignores {what}; add /{folder.name}/ to that file yourself"]
    if (home / path).is_symlink():
        return [f"a .gitignore rule un-ignores {what}; {path} is a link and is left alone, hide it yourself"]
    hidden = _ignore_beside(folder)
    return [f"a .gitignore rule un-ignores {what}, so {path} now hides it"] if hidden else []


def sweep_hiding_drafts(repository: Repository, layout: StoreLayout) -> int:
    """Remove what killed processes left of hiding the store; return how many files. There need not be a store yet."""
    exclude = _exclude_file(repository)
    return sweep_drafts(exclude.parent, exclude.name) + sweep_drafts(layout.root.parent, ".gitignore")


def _exclude_file(repository: Repository) -> Path:
    """The file itself: people who keep their configuration elsewhere have a link at its place."""
    return Path(os.path.realpath(repository.common_dir / "info" / "exclude"))


def _line(home: Path, layout: StoreLayout) -> str:
    return _folder_line(home, layout.root)


def _folder_line(home: Path, folder: Path) -> str:
    return f"/{_as_pattern(folder.relative_to(home).as_posix())}/"


def _has_line(path: Path, line: str) -> bool:
    with translate_os_errors(f"cannot read {path}"):
        return path.exists() and os.fsencode(line) in path.read_bytes().splitlines()


def _ignore_beside(folder: Path) -> bool:
    path = folder.parent / ".gitignore"
    if path.is_symlink():  # it may lead anywhere, and git reads no linked one
        return False
    return _add_lines(path, [_MARK, f"/{_as_pattern(folder.name)}/", "/.gitignore"])


def _as_pattern(path: str) -> str:
    """Escape a path for a line of gitignore(5)."""
    escaped = re.sub(r"([\\*?\[])", r"\\\1", path)
    return re.sub(r" $", r"\\ ", escaped)


def _add_lines(path: Path, lines: list[str]) -> bool:
    """Append the lines that `path` does not have yet; tell whether there were any."""
    with translate_os_errors(f"cannot write {path}"):
        old = path.read_bytes() if path.exists() else b""
        have = set(old.splitlines())
        missing = [os.fsencode(line) for line in lines if os.fsencode(line) not in have]
        if not missing or missing in ([mark.encode()] for mark in (_MARK, LESSONS_MARK, TREES_MARK)):
            return False
        path.parent.mkdir(parents=True, exist_ok=True)
        text = old + (b"" if not old or old.endswith(b"\n") else b"\n") + b"\n".join(missing) + b"\n"
        mode = path.stat().st_mode & 0o777 if path.exists() else 0o644
        replace_durably(path, text)
        path.chmod(mode)
    return True
