"""Whether a folder is a store at all, and one that this user made: else nothing in it is obeyed, or made up anew."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from chronos.errors import BadConfigError, DamagedStoreError, UntrustedStoreError
from tests.support import RepoBuilder, refuses


@pytest.fixture
def work(repo: RepoBuilder) -> RepoBuilder:
    repo.write("a.txt", "a\n")
    repo.commit()
    repo.write("a.txt", "edited\n")
    return repo


def test_a_folder_of_the_project_is_no_place_for_a_store(work: RepoBuilder) -> None:
    work.write("src/b.txt", "b\n")
    refuses(work, BadConfigError, CHRONOS_TIMELINES_DIR="src")


def test_the_default_place_that_holds_files_of_the_user_is_refused(work: RepoBuilder) -> None:
    work.write("data/timelines/my.csv", "mine\n")
    caught = refuses(work, BadConfigError)
    assert "CHRONOS_TIMELINES_DIR" in caught.hint


def test_a_folder_elsewhere_that_holds_files_is_refused(work: RepoBuilder) -> None:
    other = RepoBuilder(work.root.parent / "other", work.environment)
    other.write("a.txt", "somebody's\n")
    refuses(work, BadConfigError, CHRONOS_TIMELINES_DIR=str(other.root))
    refuses(work, BadConfigError, CHRONOS_TIMELINES_DIR=str(work.root.parent))


def test_an_empty_folder_is_taken_and_keeps_its_mode(work: RepoBuilder) -> None:
    place = work.root.parent / "given"
    place.mkdir()
    place.chmod(0o755)
    engine = work.engine(CHRONOS_TIMELINES_DIR=str(place))
    engine.create_checkpoint("wanted")
    assert place.stat().st_mode & 0o777 == 0o755
    assert any("chmod 700" in finding.remedy for finding in engine.doctor())
    for folder in (path for path in place.iterdir() if path.name != ".git"):
        assert folder.stat().st_mode & 0o077 == 0, folder


def test_a_lost_format_file_is_named_with_the_lines_to_write_again(work: RepoBuilder) -> None:
    with work.engine() as engine:
        engine.create_checkpoint("wanted")
    lost = work.store / ".store/format"
    content = lost.read_text()
    lost.unlink()
    for verb in ("list_checkpoints", "list_operations", "verify", "doctor", "status", "set_up"):
        with pytest.raises(DamagedStoreError, match=str(lost)) as caught:
            getattr(work.engine(), verb)()
    assert content.split()[2] in caught.value.hint
    lost.write_text(content)
    assert [row.name for row in work.engine().list_checkpoints()] == ["wanted"]
    assert work.engine().verify(deep=True) == []


def test_a_lost_format_file_of_a_store_without_records_is_named_too(work: RepoBuilder) -> None:
    with work.engine() as engine:
        engine.create_checkpoint("wanted")
    (work.store / ".store/format").unlink()
    (work.store / "main/timeline.json").unlink()
    with pytest.raises(DamagedStoreError) as caught:
        work.engine().create_checkpoint("again")
    assert "refs/chronos/base" in caught.value.hint


def clone_of(repo: RepoBuilder) -> RepoBuilder:
    repo.git("add", "-A", "-f")
    repo.git("commit", "-q", "-m", "with the store")
    subprocess.run(
        ["git", "clone", "-q", str(repo.root), "clone"], cwd=repo.root.parent, env=repo.environment, check=True
    )
    return RepoBuilder(repo.root.parent / "clone", repo.environment)


def test_a_store_that_comes_with_a_clone_is_not_obeyed(work: RepoBuilder) -> None:
    with work.engine() as engine:
        engine.create_checkpoint("wanted")
    (work.store / ".store/journal/aaaaaaaaaaaa.json").write_text("{}")
    shutil.rmtree(work.store / ".git")
    clone = clone_of(work)
    assert (clone.store / ".store/format").is_file()
    caught = refuses(clone, UntrustedStoreError)
    assert "git rm -r --cached" in caught.hint
    clone.git("rm", "-r", "-q", "--cached", "data/timelines")
    (clone.store / ".store/journal/aaaaaaaaaaaa.json").unlink()
    assert [row.name for row in clone.engine().list_checkpoints()] == ["wanted"]
    clone.close()


@pytest.mark.parametrize("ending", ["json", "tree"])
def test_a_journal_that_is_pulled_into_a_store_is_not_obeyed(work: RepoBuilder, ending: str) -> None:
    """One of a tree that comes or goes moves folders, wherever it says that they are."""
    with work.engine() as engine:
        engine.create_checkpoint("wanted")
    work.write(f"data/timelines/.store/journal/aaaaaaaaaaaa.{ending}", "{}")
    (work.store / ".git").rename(work.root / "aside")  # git adds nothing from inside another repository
    work.git("add", "-f", "data/timelines/.store/journal")
    (work.root / "aside").rename(work.store / ".git")
    refuses(work, UntrustedStoreError)


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to give a folder away")
def test_a_store_of_another_user_is_not_obeyed(work: RepoBuilder) -> None:
    with work.engine() as engine:
        engine.create_checkpoint("wanted")
    os.chown(work.store, 12345, -1)
    refuses(work, UntrustedStoreError)
