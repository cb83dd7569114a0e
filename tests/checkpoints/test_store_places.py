"""Where a store may be: never over the user's files, never where only a repository says so, never in a store."""

from __future__ import annotations

from pathlib import Path

import pytest

from chronos.errors import BadConfigError, DangerousRootError
from tests.support import RepoBuilder, refuses


@pytest.fixture
def work(repo: RepoBuilder) -> RepoBuilder:
    repo.write("src/a.txt", "a\n")
    repo.commit()
    repo.write("src/a.txt", "edited\n")
    repo.write("src/new.txt", "new\n")
    return repo


@pytest.mark.parametrize("place", [".", "..", "../..", "src/..", ".git", ".git/store", "x/.GIT/y", "/"])
def test_a_store_where_something_else_is_is_refused(work: RepoBuilder, place: str) -> None:
    refuses(work, BadConfigError, CHRONOS_TIMELINES_DIR=place)


def test_a_tilde_is_the_home_folder_of_the_given_environment(work: RepoBuilder) -> None:
    home = Path(work.environment["HOME"])
    engine = work.engine(CHRONOS_TIMELINES_DIR="~/stores/one")
    engine.create_checkpoint("wanted")
    assert engine.store_path == home / "stores/one"
    assert not work.exists("~")


@pytest.mark.parametrize("link", ["data", "data/timelines"])
@pytest.mark.parametrize("is_committed", [True, False])
def test_a_store_behind_a_link_in_the_project_is_refused(work: RepoBuilder, link: str, is_committed: bool) -> None:
    elsewhere = work.root.parent / "elsewhere"
    elsewhere.mkdir()
    work.link(link, str(elsewhere))
    if is_committed:
        work.commit()
    refuses(work, BadConfigError)
    work.engine(CHRONOS_TIMELINES_DIR=str(elsewhere)).create_checkpoint("wanted")


@pytest.mark.parametrize("inside", ["data/timelines", "data/timelines/main", "data/timelines/.store/locks"])
def test_inside_its_own_store_chrono_refuses_to_work(work: RepoBuilder, inside: str) -> None:
    work.engine().create_checkpoint("wanted")
    before = set(work.store.rglob("*"))
    with pytest.raises(DangerousRootError, match="store of checkpoints"):
        work.engine(work.root / inside)
    assert set(work.store.rglob("*")) == before


def test_inside_the_store_of_a_plain_folder_chrono_refuses_to_work(folder: RepoBuilder) -> None:
    folder.write("a.txt", "a\n")
    folder.engine().create_checkpoint("wanted")
    with pytest.raises(DangerousRootError, match="store of checkpoints"):
        folder.engine(folder.store / "main")


def test_a_subfolder_of_a_plain_folder_finds_the_store_that_its_settings_name(folder: RepoBuilder) -> None:
    folder.write("chronos.toml", 'timelines_dir = ".chrono"\n')
    folder.write("sub/deep/a.txt", "a\n")
    folder.engine().create_checkpoint("wanted")
    engine = folder.engine(folder.root / "sub/deep")
    assert engine.root == folder.root
    assert [row.name for row in engine.list_checkpoints()] == ["wanted"]
    assert not folder.exists("data")


def test_an_exclude_file_that_is_a_link_stays_one(work: RepoBuilder) -> None:
    real = work.root.parent / "dotfiles/exclude"
    real.parent.mkdir()
    real.write_text("*.swp\n")
    exclude = work.root / ".git/info/exclude"
    exclude.parent.mkdir(exist_ok=True)
    exclude.unlink(missing_ok=True)
    exclude.symlink_to(real)
    before = work.status()
    work.engine().create_checkpoint("wanted")
    assert exclude.is_symlink()
    assert real.read_text().startswith("*.swp\n")
    assert "/data/timelines/" in real.read_text()
    assert work.status() == before


def test_a_link_beside_the_store_is_not_written_through(work: RepoBuilder) -> None:
    work.write(".gitignore", "!data/\n!data/**\n")
    work.write("rules", "*.log\n")
    work.link("data/.gitignore", "../rules")
    engine = work.engine()
    engine.create_checkpoint("wanted")
    assert work.path("data/.gitignore").is_symlink()
    assert work.read("rules") == b"*.log\n"
    assert any("is a link" in notice for notice in engine.notices)
