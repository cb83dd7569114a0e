"""A sealed place to run `chrono` in (own home, own git configuration, UTC, nothing inherited), and its repositories."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.faults.harness import Killpoint, Outcome
from tests.faults.tree import git
from tests.faults.warm import TracedProgram
from tests.support.warm import MODULE, PACKAGES, Answer

PROJECT = Path(__file__).parents[2]
_GIT_CONFIG = """[user]
\tname = Fault Tester
\temail = faults@example.invalid
[init]
\tdefaultBranch = main
"""


class World:
    """The environment of every program that the fault tests start."""

    def __init__(self, folder: Path) -> None:
        home = folder / "home"
        home.mkdir()
        (home / ".gitconfig").write_text(_GIT_CONFIG)
        programs = [str(Path(shutil.which("git") or "/usr/bin/git").parent), "/usr/bin", "/bin"]
        self.environment = {
            "PATH": os.pathsep.join(programs),
            "HOME": str(home),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": str(home / ".gitconfig"),
            "TZ": "UTC",
            "PYTHONPATH": str(PROJECT),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        # Compiled once here, since a traced command must not be seen writing bytecode.
        subprocess.run(
            [sys.executable, "-m", "compileall", "-q", *(str(PROJECT / name) for name in PACKAGES)], check=True
        )
        self._program = TracedProgram(self.environment)

    def argv(self, root: Path, arguments: Sequence[str]) -> list[str]:
        """Return the command line of `chrono` with `arguments` on `root`."""
        return [sys.executable, "-m", MODULE, "--root", str(root), *arguments]

    def chrono(self, root: Path, *arguments: str) -> Answer:
        """Run `chrono` without any fault."""
        return self._program.run(root, ["--root", str(root), *arguments])

    def trace(self, root: Path, arguments: Sequence[str], tracer: Killpoint, point: int, action: str) -> Outcome:
        """Run it with `action` at its call number `point`."""
        return self._program.trace(root, ["--root", str(root), *arguments], tracer, point=point, action=action)

    def close(self) -> None:
        """End what still runs."""
        self._program.close()

    def must(self, root: Path, *arguments: str) -> Any:
        """Run `chrono`, expect exit code 0, and return its JSON document."""
        answer = self.chrono(root, *arguments, "--json")
        assert answer.exit_code == 0, f"chrono {' '.join(arguments)}: {answer}"
        return answer.document()

    def git(self, root: Path, *arguments: str) -> str:
        """Run git in `root`."""
        return git(root, self.environment, *arguments)


def make_repository(world: World, root: Path) -> None:
    """Make a repository with one commit: files, an executable, a link, an ignored file, a second branch."""
    root.mkdir(parents=True)
    world.git(root, "init", "-q", "--template=")
    _write(root, "src/app.py", "print('one')\n" * 20)
    _write(root, "src/lib.py", "def lib():\n    return 1\n")
    _write(root, "docs/guide.txt", "guide\n")
    _write(root, "run.sh", "#!/bin/sh\necho run\n", mode=0o755)
    _write(root, "gone.txt", "will go\n")
    _write(root, "same.txt", "never changes\n")
    _write(root, ".gitignore", "ignored/\n*.log\n")
    (root / "link").symlink_to("src/app.py")
    (root / "picture.bin").write_bytes(bytes(range(256)) * 300)
    world.git(root, "add", "-A")
    world.git(root, "commit", "-q", "-m", "first")
    world.git(root, "branch", "feature")
    _write(root, "ignored/local.txt", "only here\n")
    _write(root, "trace.log", "only here too\n")


def copy_repository(source: Path, target: Path) -> None:
    """Copy a repository, with the worktrees inside it; those of the copy belong to the copy."""
    shutil.copytree(source, target, symlinks=True)
    for admin in (target / ".git/worktrees").glob("*"):
        link = admin / "gitdir"
        tree = target / Path(link.read_text().strip()).relative_to(source)
        link.write_text(f"{tree}\n")
        tree.write_text(f"gitdir: {admin}\n")


def edit_once(world: World, root: Path) -> None:
    """Leave every kind of change: modified, staged, both, untracked, deleted, a new target, an exec bit."""
    _write(root, "src/app.py", "print('two')\n" * 20)
    _write(root, "src/lib.py", "def lib():\n    return 2\n")
    world.git(root, "add", "src/lib.py")
    _write(root, "src/lib.py", "def lib():\n    return 3\n")
    _write(root, "notes.txt", "untracked\n")
    _write(root, "new/deep/file.txt", "untracked and deep\n")
    (root / "docs/guide.txt").chmod(0o755)
    (root / "gone.txt").unlink()
    (root / "link").unlink()
    (root / "link").symlink_to("run.sh")


def edit_twice(world: World, root: Path) -> None:
    """Change the kinds of things: a link becomes a file, a file a folder; stage a new file and a deletion."""
    _write(root, "src/app.py", "print('three')\n" * 25)
    (root / "link").unlink()
    _write(root, "link", "now a file\n")
    (root / "notes.txt").unlink()
    _write(root, "notes.txt/inside", "now a folder\n")
    _write(root, "gone.txt", "back again, changed\n")
    (root / "run.sh").chmod(0o644)
    _write(root, "staged.txt", "staged and new\n")
    world.git(root, "add", "staged.txt")
    world.git(root, "rm", "-q", "--cached", "docs/guide.txt")


def edit_again(world: World, root: Path) -> None:
    """Leave work that no checkpoint holds yet."""
    _write(root, "src/app.py", "print('four')\n")
    _write(root, "fresh.txt", "not captured yet\n")
    _write(root, "src/lib.py", "def lib():\n    return 4\n")
    world.git(root, "add", "src/lib.py")
    (root / "picture.bin").write_bytes(bytes(reversed(range(256))) * 310)


def _write(root: Path, name: str, text: str, mode: int = 0o644) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
