"""Linked worktrees: made by git itself, marked with the timeline that they are, and moved aside and back as a whole.

A killed `git worktree add` leaves a half-made worktree that no second one can be made over; what is here can be found
by its place and taken away again. The formats are those of gitrepository-layout(5) and git-worktree(1).
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path

from chronos.errors import GitFailedError
from chronos.files import sync_folder, to_text, translate_os_errors, write_new
from chronos.git.refs import OWN_REFS, find_ref, is_packed, read_packed_refs
from chronos.git.repository import TIMELINE_MARK, Repository


def add_worktree(repository: Repository, place: Path, branch: str, commit: str | None) -> None:
    """Make a worktree at `place` on the new branch `branch` (a short name) at `commit`; None is an unborn branch.

    Filters run as in any checkout of the user's, hooks do not. Raises GitFailedError.
    """
    if commit is None:
        _add_unborn(repository, place, branch)
        return
    command = repository.checkout_command
    command.run("worktree", "add", "--quiet", "-b", branch, "--end-of-options", os.fspath(place), commit)


def add_detached_worktree(repository: Repository, place: Path, commit: str) -> None:
    """Make a worktree at `place`, which may be an empty folder, with HEAD at `commit`. Raises GitFailedError.

    One that git knows of there, half-made ones included, is gone and is forgotten: `--force` twice.
    """
    command, force = repository.checkout_command, ("--force", "--force")
    command.run("worktree", "add", "--quiet", *force, "--detach", "--end-of-options", os.fspath(place), commit)


def _add_unborn(repository: Repository, place: Path, branch: str) -> None:
    """What `git worktree add --orphan` of git 2.42 writes; older ones cannot."""
    folder = repository.common_dir / "worktrees"
    with translate_os_errors(f"cannot make a worktree at {place}"):
        folder.mkdir(exist_ok=True)
        admin = next(path for path in _names(folder, branch.rpartition("/")[2]) if _make(path))
        place.mkdir(parents=True, exist_ok=True)
        (admin / "HEAD").write_bytes(b"ref: refs/heads/" + os.fsencode(branch) + b"\n")
        (admin / "commondir").write_bytes(b"../..\n")
        link_worktree(place, admin)


def link_worktree(place: Path, admin: Path, *, until_moved: Path | None = None) -> None:
    """Lead git from the tree at `place` to its own folder `admin` of it, and back. Raises OSError.

    `until_moved` is where that folder is as yet; a tree that is not there gets no link.
    """
    ((until_moved or admin) / "gitdir").write_bytes(os.fsencode(place / ".git") + b"\n")
    if place.is_dir():
        (place / ".git").write_bytes(b"gitdir: " + os.fsencode(admin) + b"\n")


def _names(folder: Path, name: str) -> list[Path]:
    return [folder / name, *(folder / f"{name}{number}" for number in range(1, 10_000))]


def _make(path: Path) -> bool:
    try:
        path.mkdir()
    except FileExistsError:
        return False
    return True


def mark_worktree(place: Path, timeline: str) -> None:
    """Note in the worktree's own git folder which timeline it is; git moves and removes the note with it."""
    admin = linked_folder(place)
    if admin is None:
        raise GitFailedError(f"{place} is no worktree")
    write_new(admin / TIMELINE_MARK, f"{timeline}\n".encode("ascii"))
    sync_folder(admin)


def is_checked_out(repository: Repository, branch: str, *, beside: Path | None) -> bool:
    """Tell whether HEAD of any working tree but that of git's folder `beside` names the branch (a short name)."""
    wanted = b"ref: refs/heads/" + os.fsencode(branch)
    linked = repository.common_dir / "worktrees"
    folders = [repository.common_dir, *(linked.iterdir() if linked.is_dir() else ())]
    for folder in (folder for folder in folders if folder != beside):
        with suppress(OSError):
            if (folder / "HEAD").read_bytes().strip() == wanted:
                return True
    return False


def find_worktree_folder(repository: Repository, place: Path) -> Path | None:
    """Return git's own folder of the worktree at `place`, finished or not, or None when git knows of none there."""
    wanted = os.path.realpath(place)
    return next((admin for admin, tree in iter_worktrees(repository) if os.path.realpath(tree) == wanted), None)


def iter_worktrees(repository: Repository) -> Iterator[tuple[Path, Path]]:
    """Yield git's own folder of each linked worktree, and where git has its tree, which may be gone."""
    folder = repository.common_dir / "worktrees"
    for admin in sorted(folder.iterdir()) if folder.is_dir() else ():
        with suppress(OSError):
            yield admin, _follow(admin, (admin / "gitdir").read_bytes().rstrip(b"\n")).parent


def linked_folder(place: Path) -> Path | None:
    """Return the git folder that the `.git` file of a worktree names, there or not; None where that is no such file."""
    try:
        first = (place / ".git").read_bytes()[:4200]
    except OSError:
        return None
    return _follow(place, first[len(b"gitdir: ") :].rstrip(b"\r\n")) if first.startswith(b"gitdir: ") else None


def _follow(folder: Path, link: bytes) -> Path:
    """Return what a link in `folder` names; git 2.48 may name it from there (`worktree.useRelativePaths`)."""
    path = os.fsdecode(link)
    return Path(path if os.path.isabs(path) else os.path.realpath(os.path.join(folder, path)))


def find_branch(repository: Repository, branch: str) -> str | None:
    """Return the commit of the branch with this short name, or None."""
    return find_ref(repository, f"refs/heads/{branch}")


def find_branch_in_the_way(repository: Repository, branch: str) -> str | None:
    """Return a branch beside which none can be called `branch`: that one, one above it, or one below it; or None."""
    parts = branch.split("/")
    above = ["/".join(parts[:number]) for number in range(1, len(parts))]
    taken = next((name for name in above if find_branch(repository, name) is not None), None)
    if taken is not None:
        return taken
    arguments = ("--count=1", "--format=%(refname:lstrip=2)", f"refs/heads/{branch}")
    return to_text(repository.command.output("for-each-ref", *arguments).rstrip(b"\n")) or None


def is_branch_name(repository: Repository, branch: str) -> bool:
    """Tell whether git takes `branch` for the short name of one."""
    return repository.command.run("check-ref-format", f"refs/heads/{branch}", ok=(0, 1)).returncode == 0


def bring_branch(repository: Repository, branch: str, commit: str) -> None:
    """Make a branch of ours that is not there. See `remove_branch` for the lock. Raises GitFailedError."""
    _loose(repository, branch)[1].unlink(missing_ok=True)
    repository.command.output("update-ref", f"refs/heads/{branch}", commit, "0" * len(commit))


def remove_branch(repository: Repository, branch: str, commit: str | None) -> None:
    """Remove a branch of ours, if it is at `commit`, with what a kill left of one: its lock, its log.

    One process at a time: whose lock it would be is gone, and so is whoever worked on the branch. Not left to git where
    the ref is a file of its own, see `delete_base_refs`. Raises GitFailedError.
    """
    file, lock, log = _loose(repository, branch)
    lock.unlink(missing_ok=True)
    found = find_branch(repository, branch)
    if found not in (None, commit):
        return
    if found is not None and (not file.is_file() or is_packed(read_packed_refs(repository), f"refs/heads/{branch}")):
        repository.command.output("update-ref", "-d", f"refs/heads/{branch}", found)
    else:
        for path in (log, file):
            if not path.is_dir():  # one of branches below it, so that there is none of this name
                path.unlink(missing_ok=True)
        if file.parent.is_dir():
            sync_folder(file.parent)


def _loose(repository: Repository, branch: str) -> tuple[Path, Path, Path]:
    """Return the file of a branch that is not packed, its lock, and its log."""
    name = f"refs/heads/{branch}"
    file = repository.common_dir / name
    return file, file.with_name(f"{file.name}.lock"), repository.common_dir / "logs" / name


def find_lost_commit(repository: Repository, tree: Path) -> str | None:
    """Return the commit at HEAD of a worktree whose tree is gone, where that is all that leads to it, else None."""
    admin = find_worktree_folder(repository, tree)
    commit = find_ref(repository, f"worktrees/{admin.name}/HEAD") if admin is not None else None
    return None if commit is None or is_reachable(repository, commit) else commit


def is_reachable(repository: Repository, commit: str, *, beside: Collection[str] = ()) -> bool:
    """Tell whether a ref of the user's leads to `commit` but for the branches `beside`, which can go without loss then.

    Refs of our own do not count: gc drops each with the last checkpoint that needs it.
    """
    output = repository.command.output("for-each-ref", "--format=%(refname)", f"--contains={commit}")
    names = {name for name in output.splitlines() if not name.startswith(OWN_REFS.encode())}
    return bool(names - {f"refs/heads/{branch}".encode() for branch in beside})
