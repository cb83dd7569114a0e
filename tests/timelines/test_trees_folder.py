"""A folder of the project that has the trees of timelines is hidden from git, spared by it, and never captured."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from chronos import ChronosEngine
from chronos.errors import BadConfigError, DangerousRootError, TimelineExistsError
from tests.support import RepoBuilder
from tests.support.roundtrip import receipt_of
from tests.timelines.conftest import tree_at


@pytest.fixture
def setting(worked: RepoBuilder) -> RepoBuilder:
    """The project's own file puts the trees into the project."""
    worked.write("chronos.toml", 'worktrees_dir = "wt"\n')
    worked.commit("the setting")
    return worked


@pytest.fixture
def inside(setting: RepoBuilder) -> Iterator[ChronosEngine]:
    with setting.engine() as engine:
        yield engine


def test_git_neither_sees_nor_cleans_trees_in_the_project(inside: ChronosEngine, setting: RepoBuilder) -> None:
    before, index = setting.git("status", "--porcelain"), (setting.root / ".git/index").read_bytes()
    tree = inside.branch_timeline("side").path
    inside.branch_timeline("gone")
    inside.delete_timeline("gone")
    (aside,) = (setting.root / "wt").glob(".gone.removed-*")
    assert tree == setting.root / "wt/side"
    assert setting.git("status", "--porcelain") == before
    assert (setting.root / ".git/index").read_bytes() == index
    for flags in ("-fdq", "-fdxq"):
        setting.git("clean", flags, "-e", "data")
        assert tree.is_dir()
        assert aside.is_dir()
    setting.git("add", "-A")
    assert setting.git("ls-files", "wt") == ""


def test_no_checkpoint_takes_anything_of_the_trees(inside: ChronosEngine, setting: RepoBuilder) -> None:
    """Whatever is to be included, and whatever git is told to ignore later."""
    inside.branch_timeline("side")
    tree_at(inside, "side", setting.environment).write("theirs.log", "theirs\n")
    inside.branch_timeline("gone")
    inside.delete_timeline("gone")
    for path, rules in ((".chronoinclude", "*.log\nwt/\n*.txt\n"), (".git/info/exclude", "data/timelines/\n")):
        setting.write(path, rules)
        found = inside.create_checkpoint("now")
        assert not [one for one in inside.diff("main@~1", found) if one.path.startswith(b"wt")]
        assert [part.path for part in inside.show_checkpoint(found).manifest.code] == [""]
        assert receipt_of(inside, found)["wt/"] == "other worktree"


def test_a_tree_that_was_moved_aside_comes_back_there(inside: ChronosEngine, setting: RepoBuilder) -> None:
    tree = inside.branch_timeline("side").path
    inside.delete_timeline("side")
    inside.undo()
    assert tree.is_dir()
    inside.gc(deleted=True)
    assert inside.verify() == []


@pytest.mark.parametrize("folder", [".", "sub", "mixed", "data/timelines/trees", ".git/trees", "data"])
def test_a_folder_with_anything_else_is_refused_and_left_as_it_is(worked: RepoBuilder, folder: str) -> None:
    worked.engine().create_checkpoint("so that there is a store")
    worked.write("mixed/notes.txt", "mine\n")
    with worked.engine(CHRONOS_WORKTREES_DIR=folder) as engine, pytest.raises(BadConfigError):
        engine.branch_timeline("side")
    assert "trees of timelines" not in worked.read(".git/info/exclude").decode()
    assert not (worked.root / "mixed/.git").exists()
    assert worked.git("branch", "--list", "chronos/*") == ""


@pytest.mark.parametrize("folder", ["wt", "wt/trees", "sub/../wt"])
def test_a_link_in_the_project_does_not_lead_trees_out_of_it(worked: RepoBuilder, tmp_path: Path, folder: str) -> None:
    """A clone brings the setting along, and the link."""
    (tmp_path / "elsewhere").mkdir()
    worked.link("wt", str(tmp_path / "elsewhere"))
    worked.write("chronos.toml", f'worktrees_dir = "{folder}"\n')
    with worked.engine() as engine, pytest.raises(BadConfigError, match="through the link") as refused:
        engine.branch_timeline("side")
    assert "CHRONOS_WORKTREES_DIR" in refused.value.hint
    assert not any((tmp_path / "elsewhere").iterdir())
    with worked.engine(CHRONOS_WORKTREES_DIR=str(tmp_path / "elsewhere")) as engine:
        assert engine.branch_timeline("side").path == tmp_path / "elsewhere/side"


def test_a_folder_that_has_trees_already_is_hidden_with_the_next_one(worked: RepoBuilder) -> None:
    """Of an older release, and of the user."""
    worked.git("worktree", "add", "-q", "--detach", str(worked.root / "wt/own"))
    (worked.root / "wt/.old.removed-0123/tree").mkdir(parents=True)
    with worked.engine(CHRONOS_WORKTREES_DIR="wt") as engine:
        engine.branch_timeline("side")
        with pytest.raises(TimelineExistsError):
            engine.branch_timeline("own")
    assert "wt" not in worked.git("status", "--porcelain")


def test_the_folder_itself_is_no_project(inside: ChronosEngine, setting: RepoBuilder) -> None:
    tree = inside.branch_timeline("side").path
    with pytest.raises(DangerousRootError, match="own"):
        RepoBuilder(tree.parent, setting.environment, git=False).engine()
    with RepoBuilder(tree, setting.environment, git=False).engine() as there:
        assert (there.timeline, there.store_path) == ("side", setting.store)


def test_what_a_kill_left_of_the_folder_is_no_obstacle(inside: ChronosEngine, setting: RepoBuilder) -> None:
    setting.write("wt/.git.draft/config.lock", "")
    assert inside.branch_timeline("side").path.is_dir()
    assert not (setting.root / "wt/.git.draft").exists()


def test_a_rule_that_un_ignores_the_trees_is_said(setting: RepoBuilder) -> None:
    setting.write(".gitignore", "!/wt/\n!/deep/wt/\n")
    with setting.engine() as engine:
        engine.branch_timeline("side")
        assert any("add /wt/" in notice for notice in engine.notices)
    with setting.engine(CHRONOS_WORKTREES_DIR="deep/wt") as engine:
        engine.branch_timeline("deep")
        assert any("deep/.gitignore now hides it" in notice for notice in engine.notices)
    assert "deep" not in setting.git("status", "--porcelain")


def test_a_folder_outside_of_the_project_is_left_as_it_is(worked: RepoBuilder, tmp_path: Path) -> None:
    (tmp_path / "trees").mkdir()
    (tmp_path / "trees/other").write_text("other")
    with worked.engine(CHRONOS_WORKTREES_DIR=str(tmp_path / "trees")) as engine:
        engine.branch_timeline("side")
    assert sorted(path.name for path in (tmp_path / "trees").iterdir()) == ["other", "side"]
