"""git missing, too old, locked or hostile: a clear error, or no matter at all; and git's own folders are left alone."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from chronos import ChronosEngine
from chronos.config import Surroundings
from chronos.errors import ChronosError, GitFailedError, GitMissingError, GitTooOldError
from tests.support import RepoBuilder, check_round_trip, git_folder_digest, wreck


@pytest.fixture
def work(repo: RepoBuilder) -> RepoBuilder:
    repo.write("a.txt", "a\n")
    repo.write("b.txt", "b\n")
    repo.commit()
    repo.write("a.txt", "edited\n")
    return repo


def fake_git(folder: Path, version: str) -> str:
    """Return a search path whose git claims to be `version`."""
    folder.mkdir()
    program = folder / "git"
    program.write_text(
        f'#!/bin/sh\ncase "$*" in *version*) echo "git version {version}";; *) exec {shutil.which("git")} "$@";; esac\n'
    )
    program.chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


def test_a_missing_git_is_said(work: RepoBuilder, tmp_path: Path) -> None:
    with pytest.raises(GitMissingError) as caught:
        work.engine(PATH=str(tmp_path))
    assert "2.38" in caught.value.hint


def test_a_git_in_a_relative_folder_of_the_path_is_not_run(work: RepoBuilder) -> None:
    work.write("git", "#!/bin/sh\ntouch ../it-ran\n", executable=True)
    with pytest.raises(GitMissingError):
        work.engine(PATH=".:")
    assert not (work.root.parent / "it-ran").exists()


@pytest.mark.parametrize("version", ["2.30.2", "2.37.9", "1.8.3", "nonsense"])
def test_an_old_git_is_refused_before_anything_is_written(work: RepoBuilder, tmp_path: Path, version: str) -> None:
    engine = work.engine(PATH=fake_git(tmp_path / "bin", version))
    with pytest.raises(GitTooOldError):
        engine.create_checkpoint("wanted")
    assert not work.exists("data")
    assert "data/timelines" not in (work.root / ".git/info/exclude").read_text()


@pytest.mark.parametrize("version", ["2.38.0", "2.39.5 (Apple Git-154)", "2.45.1.windows.1", "3.0.0-rc1"])
def test_a_newer_git_of_any_spelling_is_accepted(work: RepoBuilder, tmp_path: Path, version: str) -> None:
    work.engine(PATH=fake_git(tmp_path / "bin", version)).create_checkpoint("wanted")


def test_a_git_that_became_old_is_noticed(work: RepoBuilder, tmp_path: Path) -> None:
    work.engine().create_checkpoint("with a new git")
    with pytest.raises(GitTooOldError):
        work.engine(PATH=fake_git(tmp_path / "bin", "2.30.2")).create_checkpoint("with an old git")


VERBS: dict[str, Callable[[ChronosEngine], object]] = {
    "create": lambda engine: engine.create_checkpoint("more"),
    "diff": lambda engine: engine.diff("@"),
    "init": lambda engine: engine.set_up(),
    "plan": lambda engine: engine.plan_restore("@"),
    "restore": lambda engine: engine.restore_checkpoint("@"),
    "status": lambda engine: engine.status(),
    "verify": lambda engine: engine.verify(deep=True),
}


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_that_leans_on_git_refuses_one_that_is_too_old(work: RepoBuilder, tmp_path: Path, verb: str) -> None:
    work.engine().create_checkpoint("with a new git")
    engine = work.engine(PATH=fake_git(tmp_path / "bin", "2.30.2"))
    with pytest.raises(GitTooOldError):
        VERBS[verb](engine)
    assert [row.name for row in engine.list_checkpoints()] == ["with a new git"]


def test_git_variables_of_the_caller_lead_nowhere_else(work: RepoBuilder, tmp_path: Path) -> None:
    other = RepoBuilder(tmp_path / "other", work.environment)
    other.write("x.txt", "x\n")
    other.commit()
    before = git_folder_digest(other.root / ".git")
    engine = work.engine(
        GIT_DIR=str(other.root / ".git"),
        GIT_WORK_TREE=str(other.root),
        GIT_INDEX_FILE=str(other.root / ".git/index"),
        GIT_OBJECT_DIRECTORY=str(other.root / ".git/objects"),
        GIT_CONFIG_PARAMETERS="'core.bare'='true'",
        GIT_EXTERNAL_DIFF="/nowhere",
        GIT_SSH_COMMAND="/nowhere",
        GIT_TRACE=str(tmp_path / "trace"),
    )
    assert engine.root == work.root
    check_round_trip(work, wreck, engine)
    assert git_folder_digest(other.root / ".git") == before
    assert not (tmp_path / "trace").exists()


def test_a_stale_index_lock_stops_no_checkpoint(work: RepoBuilder) -> None:
    # pains.md row 4 and 21 (hermes#83036): a stale index.lock disabled checkpoints for weeks.
    (work.root / ".git/index.lock").write_bytes(b"")
    engine = work.engine()
    first = engine.create_checkpoint("first")
    work.write("a.txt", "wrecked\n")
    assert [difference.path for difference in engine.diff(first)] == [b"a.txt"]
    engine.restore_checkpoint(first)
    assert work.read("a.txt") == b"edited\n", "files can be restored while the index need not change"
    assert (work.root / ".git/index.lock").exists(), "the lock is not ours to remove"


def test_a_restore_that_cannot_have_the_index_says_so_and_stops_nothing_after_it(work: RepoBuilder) -> None:
    work.git("add", "a.txt")
    engine = work.engine()
    checkpoint = engine.create_checkpoint("staged")
    work.git("reset", "-q")
    work.write("a.txt", "wrecked\n")
    lock = work.root / ".git/index.lock"
    lock.write_bytes(b"")
    before = work.state()
    try:
        outcome = engine.restore_checkpoint(checkpoint)
    except ChronosError as error:
        assert "index.lock" in error.message
        assert error.exit_code == 3
        assert work.state() == before, "refused, so nothing may have changed"
    else:
        assert any("index" in warning for warning in outcome.warnings)
    engine.create_checkpoint("while it is locked")
    lock.unlink()
    engine.restore_checkpoint(checkpoint)
    assert work.read("a.txt") == b"edited\n"
    assert work.git("diff", "--cached", "--name-only") == "a.txt"


def test_checkpoints_beside_the_users_own_commits_hinder_neither(work: RepoBuilder) -> None:
    # pains.md row 4 (claude-code#68315): background checkpoints raced the user's own commit.
    failures: list[object] = []
    enough = threading.Event()

    def commit_on() -> None:
        number = 0
        while not enough.is_set():
            number += 1
            work.path("b.txt").write_text(f"commit {number}\n")
            for command in (["add", "b.txt"], ["commit", "-q", "-m", f"commit {number}"]):
                done = subprocess.run(["git", *command], cwd=work.root, env=work.environment, capture_output=True)
                if done.returncode and not enough.is_set():
                    failures.append((command, done.stderr))

    person = threading.Thread(target=commit_on)
    person.start()
    try:
        with work.engine() as engine:
            grades = {engine.take_checkpoint(f"number {number}").grade.value for number in range(8)}
    finally:
        enough.set()
        person.join()
    assert failures == []
    assert grades <= {"complete", "torn"}
    with work.engine() as engine:
        assert [finding for finding in engine.verify(deep=True) if finding.severity] == []
    assert work.git("fsck", "--no-dangling") == ""
    assert work.git("stash", "list") == ""


def test_git_folders_inside_the_tree_are_never_renamed_or_written(work: RepoBuilder) -> None:
    # pains.md row 19 (cline#2868): the user's .git was renamed to .git_disabled and left so.
    inner = RepoBuilder(work.root / "inner", work.environment)
    inner.write("x.txt", "x\n")
    inner.commit()
    inner.write("x.txt", "edited\n")
    engine = work.engine()
    checkpoint = engine.create_checkpoint("wanted")
    before = git_folder_digest(inner.root / ".git")
    inode = (work.root / ".git").stat().st_ino, (inner.root / ".git").stat().st_ino
    engine.create_checkpoint("again")
    assert git_folder_digest(inner.root / ".git") == before
    inner.path("x.txt").write_text("wrecked\n")
    engine.restore_checkpoint(checkpoint, paths=["inner/x.txt"])
    assert git_folder_digest(inner.root / ".git") == before
    assert ((work.root / ".git").stat().st_ino, (inner.root / ".git").stat().st_ino) == inode


def test_a_repository_of_another_user_is_refused_with_the_remedy(work: RepoBuilder) -> None:
    if os.getuid() != 0:
        pytest.skip("needs root to give the repository away")
    os.chown(work.root, 65534, 65534)
    os.chown(work.root / ".git", 65534, 65534)
    with pytest.raises(GitFailedError) as caught:
        work.engine().create_checkpoint("wanted")
    assert "safe.directory" in caught.value.hint


def test_a_damaged_repository_is_an_error_and_no_empty_checkpoint(work: RepoBuilder) -> None:
    # pains.md row 22 (Kilo#12817): silently none created.
    (work.root / ".git/index").write_bytes(b"DIRC garbage")
    engine = work.engine()
    with pytest.raises(GitFailedError):
        engine.create_checkpoint("wanted")
    assert engine.list_checkpoints() == []


def test_a_warning_of_git_about_files_it_cannot_see_is_never_ignored(work: RepoBuilder, tmp_path: Path) -> None:
    # faults.md: with few file descriptors `git status` exits 0 and misses files.
    folder = tmp_path / "warning"
    folder.mkdir()
    real = shutil.which("git")
    (folder / "git").write_text(
        f'#!/bin/sh\ncase "$*" in *porcelain*) echo "warning: something is amiss" >&2;; esac\nexec {real} "$@"\n'
    )
    (folder / "git").chmod(0o755)
    engine = work.engine(PATH=f"{folder}:{os.environ['PATH']}")
    with pytest.raises(GitFailedError, match="something is amiss"):
        engine.create_checkpoint("wanted")


def test_the_engine_reads_nothing_from_the_environment_of_the_process(
    work: RepoBuilder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CHRONOS_TIMELINES_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("ENABLE_CHRONOS", "false")
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    monkeypatch.chdir(tmp_path)
    engine = ChronosEngine(root=work.root, surroundings=Surroundings(work.environment, work.root))
    engine.create_checkpoint("wanted")
    engine.close()
    assert work.store.is_dir()
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("name", [".gitignore", ".gitattributes"])
@pytest.mark.parametrize("is_tracked", [True, False])
def test_a_rules_file_that_is_a_symlink_stops_no_checkpoint(work: RepoBuilder, name: str, is_tracked: bool) -> None:
    """git warns that it does without the file; it does so in every command, so both sides of a restore agree."""
    work.write("rules", "*.log\n" if name == ".gitignore" else "*.txt text\n")
    work.link(name, "rules")
    if is_tracked:
        work.commit()
    work.write("some.log", "a log\n")
    work.write("b.txt", "edited\r\n")
    check_round_trip(work)


GRUMBLES = {
    "a negative pattern": "!*.txt text\n*.txt eol=lf\n",
    "a bad attribute name": "*.txt @x=1\n*.txt eol=lf\n",
    "a macro below the top": "[attr]mine text\n",
    "a line too long": "x" * 3000 + " text\n",
}


@pytest.mark.parametrize("what", GRUMBLES)
def test_a_line_of_attributes_that_git_does_without_stops_nothing(work: RepoBuilder, what: str) -> None:
    engine = work.engine()
    before = engine.create_checkpoint("before")
    work.write(".gitattributes", GRUMBLES[what])
    work.write("sub/.gitattributes", GRUMBLES[what])
    work.write("sub/c.txt", "c\r\n")
    work.git("add", "-N", ".")
    engine.status()
    check_round_trip(work, wreck, engine)
    engine.restore_checkpoint(before)
    assert not work.exists(".gitattributes")
