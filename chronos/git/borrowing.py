"""A throw-away repository that borrows the objects of another one: whatever a program does in it, the user's stays.

It is no linked worktree: nothing of it is written into the user's git folder, so nothing is left there when it goes,
however it goes. Branches and tags are copied as they are, settings are included as they are; objects come through
`objects/info/alternates` (gitrepository-layout(5)), and new ones stay here.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from chronos.errors import GitFailedError
from chronos.files import remove_tree, translate_os_errors, unescape
from chronos.git.objects import object_format_of
from chronos.git.repository import Repository

_COPIED = ("shallow", "info/attributes", "info/exclude")
_NOT_COPIED = (b"refs/chronos/", b"refs/stash")


def borrow_repository(source: Repository, place: Path) -> Repository:
    """Give the folder `place` a git folder of its own that has all that `source` has; one that is there goes.

    Only its index stays, which knows the files beside it. HEAD is at no commit: see `stand_at`. Raises GitFailedError,
    StorageError.
    """
    git_dir = place / ".git"
    with translate_os_errors(f"cannot make a repository at {place}"):
        _clear(git_dir)
        for folder in ("objects/info", "refs/heads", "info"):
            (git_dir / folder).mkdir(parents=True)
        (git_dir / "HEAD").write_bytes(b"ref: refs/heads/main\n")
        (git_dir / "objects/info/alternates").write_bytes(os.fsencode(source.common_dir / "objects") + b"\n")
        refs = _list_refs(source)
        (git_dir / "packed-refs").write_bytes(b"".join(line + b"\n" for line in refs))
        (git_dir / "config").write_bytes(_settings(source, place, refs))
        for name in _COPIED:
            if (source.common_dir / name).is_file():
                shutil.copyfile(source.common_dir / name, git_dir / name)
    return Repository(place, git_dir, git_dir, source.base_command)


def stand_at(repository: Repository, branch: str | None, commit: str | None) -> None:
    """Make HEAD, the index and the tracked files of a borrowed repository those of a commit, whatever stands there.

    `branch` (a short name as `to_text` writes it) is moved there where git lets it be; without a commit HEAD is unborn
    and the index empty, and no file is touched. Raises GitFailedError.
    """
    if commit is None:
        repository.command.output("read-tree", "--empty")
        with translate_os_errors(f"cannot write in {repository.git_dir}"):
            short = unescape(branch) if branch else b"main"
            (repository.git_dir / "HEAD").write_bytes(b"ref: refs/heads/" + short + b"\n")
        return
    checkout = repository.checkout_command
    words = ("checkout", "--quiet", "--force", "--no-guess", "--no-track")
    try:
        if branch is None:
            raise GitFailedError("no branch")
        checkout.run(*words, "-B", unescape(branch), commit, quiet=False)
    except GitFailedError:  # such as a branch `a` where there is one called `a/b` now
        checkout.run(*words[:-1], "--detach", commit, quiet=False)


def _clear(git_dir: Path) -> None:
    if git_dir.is_symlink() or git_dir.is_file():
        git_dir.unlink()
    if not git_dir.exists():
        return
    git_dir.chmod(0o700)
    for path in git_dir.iterdir():
        if path.is_symlink() or not path.is_dir():
            if path.name != "index" or not path.is_file() or path.is_symlink():
                path.unlink()
        else:
            remove_tree(path)


def _list_refs(source: Repository) -> list[bytes]:
    done = source.command.run("for-each-ref", "--format=%(objectname) %(refname)", quiet=False)
    return [line for line in done.stdout.splitlines() if not line.partition(b" ")[2].startswith(_NOT_COPIED)]


def _settings(source: Repository, place: Path, refs: list[bytes]) -> bytes:
    """Return a config file that includes the source's, with what must be otherwise here after it."""
    names = [source.common_dir / "config", source.git_dir / "config.worktree"]
    oid = refs[0].partition(b" ")[0].decode("ascii") if refs else ""
    is_sha256 = (source.setting(b"extensions.objectformat") or b"").lower() == b"sha256"
    lines = [b"[core]", b"\trepositoryformatversion = " + (b"1" if is_sha256 else b"0")]
    if is_sha256 or (oid and object_format_of(oid) == "sha256"):
        lines = [b"[core]", b"\trepositoryformatversion = 1", b"[extensions]", b"\tobjectformat = sha256"]
    lines += [b"[include]", *(b"\tpath = " + _quoted(name) for name in names if name.is_file())]
    lines += [b"[core]", b"\tbare = false", b"\tworktree = " + _quoted(place), b"\tsparseCheckout = false"]
    return b"\n".join(lines) + b"\n"


def _quoted(path: Path) -> bytes:
    return b'"' + os.fsencode(path).replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
