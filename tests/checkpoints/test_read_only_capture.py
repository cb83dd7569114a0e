"""A capture reads: apart from one base ref and one exclude line, nothing of the user's repository changes."""

from __future__ import annotations

import os
import shutil

import pytest

from tests.support import RepoBuilder, git_folder_digest, receipt_of, tree_digest


@pytest.fixture
def busy(repo: RepoBuilder) -> RepoBuilder:
    """A repository with a bit of everything in its git folder."""
    repo.write("a.txt", "a\n")
    repo.write("b.txt", "b\n")
    repo.commit()
    repo.git("branch", "side")
    repo.git("tag", "v1")
    repo.write("a.txt", "stashed\n")
    repo.git("stash", "-q")
    repo.git("config", "user.signingkey", "nobody")
    repo.write("b.txt", "staged\n")
    repo.git("add", "b.txt")
    repo.write("a.txt", "edited\n")
    repo.write("new.txt", "untracked\n")
    return repo


def changed(before: dict[bytes, str], after: dict[bytes, str]) -> set[str]:
    return {os.fsdecode(path) for path in {*before, *after} if before.get(path) != after.get(path)}


def test_a_create_adds_one_base_ref_and_one_exclude_line(busy: RepoBuilder) -> None:
    # pains.md rows 4 (claude-code#68315), 6 (codex#8214), 14 (codex#29388), 19 (cline#2868): stashing, staging,
    # piling up objects and renaming the user's git folder.
    before, tree = git_folder_digest(busy.root / ".git"), tree_digest(busy.root)
    engine = busy.engine()
    engine.create_checkpoint("first")
    after = git_folder_digest(busy.root / ".git")
    (ref,) = (path for path in changed(before, after) if path != "info/exclude")
    assert ref.startswith("refs/chronos/base/")
    assert ref.endswith(busy.head())
    added = after.keys() - before.keys()
    assert added <= {os.fsencode(ref), b"info/exclude"}
    assert "/data/timelines/" in (busy.root / ".git/info/exclude").read_text()
    assert tree_digest(busy.root) == tree


def test_later_creates_on_the_same_commit_change_nothing_in_the_git_folder(busy: RepoBuilder) -> None:
    engine = busy.engine()
    engine.create_checkpoint("first")
    before = git_folder_digest(busy.root / ".git")
    index_times = os.stat(busy.root / ".git/index")
    for number in range(5):
        busy.write("a.txt", f"edit {number}\n")
        engine.create_checkpoint(f"more {number}")
    engine.status()
    engine.diff("@")
    engine.plan_restore("first")
    engine.verify(deep=True)
    engine.doctor()
    assert git_folder_digest(busy.root / ".git") == before
    now = os.stat(busy.root / ".git/index")
    assert (now.st_mtime_ns, now.st_ino) == (index_times.st_mtime_ns, index_times.st_ino)


def test_captures_put_no_objects_into_the_users_repository(busy: RepoBuilder) -> None:
    # pains.md row 14: 102 GB of snapshots in the user's .git.
    before = busy.git("count-objects", "-v")
    engine = busy.engine()
    for number in range(3):
        busy.write("blob.bin", bytes([number]) * 100_000)
        engine.create_checkpoint(f"number {number}")
    assert busy.git("count-objects", "-v") == before


def test_the_exclude_line_is_written_once_and_keeps_what_was_there(repo: RepoBuilder) -> None:
    exclude = repo.root / ".git/info/exclude"
    exclude.parent.mkdir(exist_ok=True)
    exclude.write_text("*.mine")  # no newline at its end
    repo.write("a.txt", "a\n")
    repo.commit()
    for number in range(3):
        repo.engine().create_checkpoint(f"number {number}")
    lines = exclude.read_text().splitlines()
    assert lines[0] == "*.mine"
    assert lines.count("/data/timelines/") == 1


def test_the_store_is_invisible_to_git_and_other_ignored_data_stays_visible(repo: RepoBuilder) -> None:
    repo.write("a.txt", "a\n")
    repo.commit()
    repo.write("data/set.csv", "1\n")
    before = repo.status()
    repo.engine().create_checkpoint("wanted")
    assert repo.status() == before
    repo.git("add", "-A")
    assert repo.git("diff", "--cached", "--name-only") == "data/set.csv"


def test_git_clean_spares_the_store(repo: RepoBuilder) -> None:
    # Measured trap: `git clean -fdx` removes ignored folders, but not a repository.
    repo.write(".gitignore", "*.log\n")
    repo.write("a.txt", "a\n")
    repo.commit()
    repo.write("new.txt", "untracked\n")
    engine = repo.engine()
    checkpoint = engine.create_checkpoint("wanted")
    engine.close()
    repo.write("build.log", "log\n")
    repo.git("clean", "-fdx", "-q")
    assert not repo.exists("new.txt")
    assert not repo.exists("build.log")
    engine.restore_checkpoint(checkpoint)
    assert repo.read("new.txt") == b"untracked\n"


@pytest.mark.parametrize(
    "rules", ["*\n!*.py\n!data/\n!data/**\n", "*\n!*/\n!**\n", "!data/timelines/\n!data/timelines/**\n"]
)
def test_under_a_whitelist_ignore_file_the_store_stays_hidden(repo: RepoBuilder, rules: str) -> None:
    # Measured trap: `!data/` in a .gitignore beats info/exclude.
    repo.write(".gitignore", rules)
    repo.write("code.py", "code\n")
    repo.git("add", "-f", ".gitignore", "code.py")
    repo.git("commit", "-q", "-m", "first")
    engine = repo.engine()
    before = repo.status()
    checkpoint = engine.create_checkpoint("wanted")
    assert repo.status() == before, "git sees the store"
    assert any("data/.gitignore" in notice for notice in engine.notices)
    engine.create_checkpoint("again")
    assert engine.show_checkpoint("again").manifest.files_changed == 0
    assert all(b"timelines" not in row.path for row in engine.show_checkpoint(checkpoint).receipt)
    repo.git("add", "-A")
    assert repo.git("diff", "--cached", "--name-only") == ""
    repo.write("code.py", "wrecked\n")
    engine.restore_checkpoint(checkpoint)
    assert repo.read("code.py") == b"code\n"
    assert {"wanted", "again"} <= {row.name for row in engine.list_checkpoints()}


def test_a_store_moved_out_of_the_tree_leaves_no_trace_in_it(repo: RepoBuilder) -> None:
    repo.write("a.txt", "a\n")
    repo.commit()
    exclude = (repo.root / ".git/info/exclude").read_bytes() if repo.exists(".git/info/exclude") else b""
    store = repo.root.parent / "store elsewhere"
    engine = repo.engine(CHRONOS_TIMELINES_DIR=str(store))
    checkpoint = engine.create_checkpoint("wanted")
    assert store.is_dir()
    assert not repo.exists("data")
    assert (repo.root / ".git/info/exclude").read_bytes() == exclude
    repo.write("a.txt", "wrecked\n")
    engine.restore_checkpoint(checkpoint)
    assert repo.read("a.txt") == b"a\n"


def test_the_store_is_private_to_its_owner(repo: RepoBuilder) -> None:
    # pains.md row 25: the store holds what the tree holds.
    repo.write("a.txt", "a\n")
    repo.engine().create_checkpoint("wanted")
    assert repo.store.stat().st_mode & 0o077 == 0
    for path in (*repo.store.rglob("checkpoint.json"), *repo.store.rglob("*.pack"), *repo.store.rglob("*.zst")):
        assert path.stat().st_mode & 0o077 == 0, path


def test_lessons_and_the_store_are_never_captured(repo: RepoBuilder) -> None:
    repo.write("a.txt", "a\n")
    repo.commit()
    repo.write("data/lessons/lesson.txt", "learned\n")
    engine = repo.engine()
    checkpoint = engine.create_checkpoint("wanted")
    assert engine.show_checkpoint(checkpoint).manifest.files_changed == 0
    repo.write("data/lessons/lesson.txt", "learned more\n")
    repo.write("data/lessons/second.txt", "second\n")
    engine.restore_checkpoint(checkpoint)
    assert repo.read("data/lessons/lesson.txt") == b"learned more\n"
    assert repo.read("data/lessons/second.txt") == b"second\n"
    shutil.rmtree(repo.root / "data/lessons")
    engine.restore_checkpoint(checkpoint)
    assert not repo.exists("data/lessons")


def test_lessons_are_in_the_receipt_and_git_still_sees_them(repo: RepoBuilder) -> None:
    repo.write("a.txt", "a\n")
    repo.commit()
    repo.write("data/lessons/one.md", "the user's own\n")
    before = repo.status()
    engine = repo.engine()
    checkpoint = engine.create_checkpoint("wanted")
    assert receipt_of(engine, checkpoint) == {"data/lessons/": "ignored"}
    (row,) = engine.show_checkpoint(checkpoint).receipt
    assert "lessons" in row.detail
    assert engine.notices == []
    assert not repo.exists("data/.gitignore")
    assert repo.status() == before
    repo.git("add", "data/lessons/one.md")


def test_lessons_of_a_plain_folder_are_in_the_receipt(folder: RepoBuilder) -> None:
    folder.write("data/lessons/one.md", "the user's own\n")
    engine = folder.engine()
    assert receipt_of(engine, engine.create_checkpoint("wanted")) == {"data/lessons/": "ignored"}
