"""Submodules and embedded repositories: each is a component of its own in one checkpoint, and comes back with it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support import RepoBuilder, assert_state, check_round_trip, receipt_of, tree_digest


@pytest.fixture
def library(repo: RepoBuilder, tmp_path: Path) -> RepoBuilder:
    """The repository that the submodule is cloned from."""
    other = RepoBuilder(tmp_path / "library", repo.environment)
    other.write("lib.txt", "lib one\n")
    other.write("src/deep.txt", "deep\n")
    other.commit("one")
    return other


@pytest.fixture
def parent(repo: RepoBuilder, library: RepoBuilder) -> RepoBuilder:
    """`repo` with `library` as its submodule `sub dir`."""
    repo.write("a.txt", "a\n")
    repo.git("submodule", "-q", "add", str(library.root), "sub dir")
    repo.commit("with a submodule")
    return repo


def inside(repo: RepoBuilder, folder: str) -> RepoBuilder:
    return RepoBuilder(repo.root / folder, repo.environment)


def test_content_of_a_submodule_comes_back(parent: RepoBuilder) -> None:
    sub = inside(parent, "sub dir")
    sub.write("lib.txt", "edited in the submodule\n")
    sub.write("new.txt", "untracked in the submodule\n")
    sub.write("src/deep.txt", "staged\n")
    sub.git("add", "src/deep.txt")
    wanted, wanted_inside = parent.state(), sub.state()
    engine = parent.engine()
    checkpoint = engine.create_checkpoint("wanted")
    sub.git("reset", "-q", "--hard")
    sub.git("clean", "-fdq")
    sub.write("later.txt", "came later\n")
    damaged, damaged_inside = parent.state(), sub.state()
    engine.restore_checkpoint(checkpoint)
    assert_state(sub, wanted_inside, "inside, after the restore")
    assert_state(parent, wanted, "after the restore")
    engine.undo()
    assert_state(sub, damaged_inside, "inside, after the undo")
    assert_state(parent, damaged, "after the undo")


def test_a_submodule_is_a_component_with_its_own_base(parent: RepoBuilder) -> None:
    engine = parent.engine()
    details = engine.show_checkpoint(engine.create_checkpoint("wanted"))
    components = {component.path: component for component in details.manifest.code}
    assert set(components) == {"", "sub dir"}
    assert components["sub dir"].base == inside(parent, "sub dir").head()
    assert components["sub dir"].kind.value == "submodule"


def test_a_removed_submodule_folder_comes_back_with_a_working_link(parent: RepoBuilder) -> None:
    sub = inside(parent, "sub dir")
    sub.write("lib.txt", "edited\n")
    sub.write("new.txt", "untracked\n")
    wanted, head = tree_digest(parent.root), sub.head()
    engine = parent.engine()
    checkpoint = engine.create_checkpoint("wanted")
    parent.remove("sub dir")
    engine.restore_checkpoint(checkpoint)
    assert tree_digest(parent.root) == wanted
    assert sub.head() == head
    assert sub.git("status", "--porcelain") == "M lib.txt\n?? new.txt"


def test_what_a_restore_wrote_into_a_submodule_is_captured_once_before_its_undo(parent: RepoBuilder) -> None:
    engine, sub = parent.engine(), inside(parent, "sub dir")
    sub.write("lib.txt", "edited\n")
    checkpoint = engine.create_checkpoint("edited")
    parent.remove("sub dir")
    engine.restore_checkpoint(checkpoint)
    engine.undo()
    before_undo = engine.list_checkpoints(limit=1)[0].checkpoint_id
    assert engine.diff(checkpoint, before_undo) == []
    assert [finding for finding in engine.verify(deep=True) if finding.severity] == []


def test_a_submodule_on_another_commit_gets_its_content_back_but_keeps_its_head(parent: RepoBuilder) -> None:
    sub = inside(parent, "sub dir")
    sub.write("new.txt", "untracked\n")
    engine = parent.engine()
    checkpoint = engine.create_checkpoint("wanted")
    sub.write("lib.txt", "lib two\n")
    sub.write("second.txt", "second\n")
    second = sub.commit("two")
    engine.restore_checkpoint(checkpoint)
    assert sub.read("lib.txt") == b"lib one\n"
    assert sub.read("new.txt") == b"untracked\n"
    assert not sub.exists("second.txt")
    assert sub.head() == second
    engine.undo()
    assert (sub.read("lib.txt"), sub.read("second.txt")) == (b"lib two\n", b"second\n")


def test_a_staged_submodule_commit_comes_back(parent: RepoBuilder) -> None:
    sub = inside(parent, "sub dir")
    sub.commit("an empty second commit")
    parent.git("add", "sub dir")
    wanted = parent.state()
    engine = parent.engine()
    checkpoint = engine.create_checkpoint("wanted")
    parent.git("reset", "-q")
    parent.write("a.txt", "wrecked\n")
    engine.restore_checkpoint(checkpoint)
    assert_state(parent, wanted, "after the restore")


def test_submodules_within_submodules_come_back(parent: RepoBuilder, library: RepoBuilder) -> None:
    sub = inside(parent, "sub dir")
    sub.git("submodule", "-q", "add", str(library.root), "nested")
    nested = inside(parent, "sub dir/nested")
    nested.write("lib.txt", "edited two levels down\n")
    wanted = tree_digest(parent.root)
    engine = parent.engine()
    checkpoint = engine.create_checkpoint("wanted")
    nested.write("lib.txt", "wrecked\n")
    nested.write("more.txt", "more\n")
    engine.restore_checkpoint(checkpoint)
    assert tree_digest(parent.root) == wanted


def test_a_submodule_that_was_never_initialised_is_no_loss(parent: RepoBuilder, tmp_path: Path) -> None:
    parent.git("clone", "-q", str(parent.root), str(tmp_path / "clone"))
    clone = RepoBuilder(tmp_path / "clone", parent.environment)
    clone.write("a.txt", "edited\n")
    engine = clone.engine()
    checkpoint = engine.create_checkpoint("wanted")
    clone.write("a.txt", "wrecked\n")
    outcome = engine.restore_checkpoint(checkpoint)
    assert clone.read("a.txt") == b"edited\n"
    assert (outcome.kept, outcome.warnings) == ((), ())
    clone.close()


def test_files_in_the_folder_of_a_submodule_that_was_never_initialised_are_not_overlooked(
    parent: RepoBuilder, tmp_path: Path
) -> None:
    # git shows nothing of them: status neither lists nor ignores what lies in the folder of a gitlink.
    parent.git("clone", "-q", str(parent.root), str(tmp_path / "clone"))
    clone = RepoBuilder(tmp_path / "clone", parent.environment)
    clone.write("sub dir/work.txt", "work\n")
    engine = clone.engine()
    checkpoint = engine.create_checkpoint("wanted")
    clone.remove("sub dir/work.txt")
    engine.restore_checkpoint(checkpoint)
    is_back = clone.exists("sub dir/work.txt")
    assert is_back or any(path.startswith("sub dir") for path in receipt_of(engine, checkpoint))
    clone.close()


def test_the_base_of_a_submodule_survives_a_rewrite_of_its_history(parent: RepoBuilder) -> None:
    sub = inside(parent, "sub dir")
    sub.write("lib.txt", "edited\n")
    engine = parent.engine()
    checkpoint = engine.create_checkpoint("wanted")
    sub.git("checkout", "-q", "--orphan", "fresh")
    sub.git("commit", "-q", "-a", "-m", "a new beginning")
    sub.git("branch", "-D", "main", ok=(0, 1))
    sub.git("remote", "remove", "origin")
    sub.git("reflog", "expire", "--expire=now", "--all")
    sub.git("gc", "-q", "--prune=now")
    sub.remove("src/deep.txt")
    sub.write("lib.txt", "wrecked\n")
    engine.restore_checkpoint(checkpoint)
    assert sub.read("lib.txt") == b"edited\n"
    assert sub.read("src/deep.txt") == b"deep\n"
    assert [finding for finding in engine.verify(deep=True) if finding.severity] == []


def test_a_submodule_whose_history_is_gone_gives_back_what_was_captured_and_says_so(parent: RepoBuilder) -> None:
    sub = inside(parent, "sub dir")
    sub.write("lib.txt", "edited\n")
    engine = parent.engine()
    checkpoint = engine.create_checkpoint("wanted")
    parent.remove("sub dir", ".git/modules")
    outcome = engine.restore_checkpoint(checkpoint)
    assert parent.read("sub dir/lib.txt") == b"edited\n"
    assert any("sub dir" in warning for warning in outcome.warnings)


def test_a_broken_submodule_is_kept_and_the_rest_comes_back(parent: RepoBuilder) -> None:
    engine = parent.engine()
    checkpoint = engine.create_checkpoint("wanted")
    index = parent.root / ".git/modules/sub dir/index"
    whole = index.read_bytes()
    index.write_text("garbage")
    parent.write("sub dir/lib.txt", "precious\n")
    parent.write("a.txt", "wrecked\n")
    outcome = engine.restore_checkpoint(checkpoint)
    assert (parent.read("a.txt"), parent.read("sub dir/lib.txt")) == (b"a\n", b"precious\n")
    assert [row.path for row in outcome.kept] == [b"sub dir/"]
    index.write_bytes(whole)
    engine.restore_checkpoint(checkpoint)
    assert parent.read("sub dir/lib.txt") == b"lib one\n"


def test_called_inside_a_submodule_the_root_is_the_outermost_repository(parent: RepoBuilder) -> None:
    assert parent.engine(parent.root / "sub dir").root == parent.root


@pytest.fixture
def embedded(repo: RepoBuilder) -> RepoBuilder:
    """A repository that somebody cloned into the tree without making it a submodule."""
    repo.write("a.txt", "a\n")
    repo.commit()
    inner = RepoBuilder(repo.root / "vendor/inner", repo.environment)
    inner.write("tracked.txt", "tracked\n")
    inner.write("run", "run\n", executable=True)
    inner.commit()
    inner.write("untracked.txt", "untracked\n")
    inner.write("tracked.txt", "edited\n")
    return inner


def test_an_embedded_repository_that_is_deleted_comes_back(repo: RepoBuilder, embedded: RepoBuilder) -> None:
    # Measured trap: status says only `? vendor/inner/`, and `rm -rf` takes its history along.
    wanted = tree_digest(repo.root)
    engine = repo.engine()
    checkpoint = engine.create_checkpoint("wanted")
    assert receipt_of(engine, checkpoint)["vendor/inner/.git/"] == "history of an embedded repository"
    repo.remove("vendor")
    damaged = tree_digest(repo.root)
    engine.restore_checkpoint(checkpoint)
    assert tree_digest(repo.root) == wanted
    engine.undo()
    assert tree_digest(repo.root) == damaged
    engine.redo()
    assert tree_digest(repo.root) == wanted


def test_edits_in_an_embedded_repository_come_back_and_its_git_folder_stays(
    repo: RepoBuilder, embedded: RepoBuilder
) -> None:
    # pains.md row 18 (opencode#30065): "undone" while the files of the child repository stayed.
    wanted, head = tree_digest(repo.root), embedded.head()
    engine = repo.engine()
    checkpoint = engine.create_checkpoint("wanted")
    embedded.write("tracked.txt", "wrecked\n")
    embedded.remove("untracked.txt", "run")
    embedded.write("later.txt", "later\n")
    engine.restore_checkpoint(checkpoint)
    assert tree_digest(repo.root) == wanted
    assert embedded.head() == head
    assert embedded.git("fsck") == ""


def test_commits_in_an_embedded_repository_do_not_hide_its_content(repo: RepoBuilder, embedded: RepoBuilder) -> None:
    wanted = tree_digest(repo.root)
    engine = repo.engine()
    checkpoint = engine.create_checkpoint("wanted")
    later = embedded.commit("everything committed")
    embedded.write("tracked.txt", "after the commit\n")
    engine.restore_checkpoint(checkpoint)
    assert tree_digest(repo.root) == wanted
    assert embedded.head() == later


def test_a_repository_that_came_after_the_checkpoint_is_kept(repo: RepoBuilder) -> None:
    repo.write("a.txt", "a\n")
    repo.commit()
    engine = repo.engine()
    checkpoint = engine.create_checkpoint("before")
    inner = RepoBuilder(repo.root / "inner", repo.environment)
    inner.write("work.txt", "work\n")
    inner.commit()
    repo.write("a.txt", "wrecked\n")
    outcome = engine.restore_checkpoint(checkpoint)
    assert repo.read("a.txt") == b"a\n"
    assert inner.read("work.txt") == b"work\n"
    assert [row.path for row in outcome.kept] == [b"inner/"]


def test_a_repository_without_commits_inside_the_tree_is_captured(repo: RepoBuilder) -> None:
    repo.write("a.txt", "a\n")
    repo.commit()
    inner = RepoBuilder(repo.root / "fresh", repo.environment)
    inner.write("one.txt", "one\n")
    inner.write("two.txt", "two\n")
    inner.git("add", "one.txt")
    wanted = tree_digest(repo.root)
    engine = repo.engine()
    checkpoint = engine.create_checkpoint("wanted")
    inner.write("one.txt", "wrecked\n")
    inner.remove("two.txt")
    engine.restore_checkpoint(checkpoint)
    assert tree_digest(repo.root) == wanted


@pytest.mark.parametrize("kind", ["file", "staged file"])
def test_a_file_in_the_place_of_a_submodule_is_captured(parent: RepoBuilder, kind: str) -> None:
    engine = parent.engine()
    with_submodule = engine.create_checkpoint("with the submodule")
    shutil.rmtree(parent.path("sub dir"))
    parent.write("sub dir", "my file\n")
    if kind == "staged file":
        parent.git("rm", "-q", "--cached", "sub dir")
        parent.git("add", "sub dir")
        parent.write("sub dir", "and edited again\n")
    check_round_trip(parent, lambda tree: tree.remove("sub dir"), engine)
    wanted = parent.state()
    engine.restore_checkpoint(with_submodule)
    assert parent.read("sub dir/lib.txt") == b"lib one\n"
    engine.undo()
    assert_state(parent, wanted, "after the undo")


def test_a_link_in_the_place_of_a_submodule_is_captured_and_never_walked_through(parent: RepoBuilder) -> None:
    """git's own status refuses such a tree unless it is told to leave submodules alone."""
    engine = parent.engine()
    with_submodule = engine.create_checkpoint("with the submodule")
    shutil.rmtree(parent.path("sub dir"))
    parent.path("other").mkdir()
    parent.link("sub dir", "other")
    with_link = engine.create_checkpoint("with a link")
    damaged = tree_digest(parent.root)
    assert [link.component for link in engine.plan_restore(with_submodule).change_set.links] == [b"sub dir"]
    engine.restore_checkpoint(with_submodule)
    assert parent.read("sub dir/lib.txt") == b"lib one\n"
    assert parent.path("sub dir/.git").is_file()
    assert list(parent.path("other").iterdir()) == []
    engine.undo()
    assert tree_digest(parent.root) == damaged
    engine.redo()
    assert parent.path("sub dir/.git").is_file()
    outcome = engine.restore_checkpoint(with_link)
    assert {row.path for row in outcome.kept} == {b"sub dir/", b"sub dir"}, "a repository is never taken away"


def test_undo_takes_the_link_of_a_submodule_away_again(parent: RepoBuilder) -> None:
    engine = parent.engine()
    checkpoint = engine.create_checkpoint("with the submodule")
    present = parent.state()
    shutil.rmtree(parent.path("sub dir"))
    lost = parent.state()
    engine.restore_checkpoint(checkpoint)
    assert_state(parent, present, "after the restore")
    engine.undo()
    assert_state(parent, lost, "after the undo")
    engine.redo()
    assert_state(parent, present, "after the redo")


@pytest.mark.parametrize("way", ["ref", "commit", "repository"])
def test_verify_names_a_lost_base_of_a_submodule(parent: RepoBuilder, way: str) -> None:
    base = inside(parent, "sub dir").head()
    with parent.engine() as engine:
        engine.create_checkpoint("one")
        assert engine.verify(deep=True) == []
    git_dir = parent.root / ".git/modules/sub dir"
    (ref,) = inside(parent, "sub dir").git("for-each-ref", "--format=%(refname)", "refs/chronos").split()
    inside(parent, "sub dir").git("update-ref", "-d", ref)
    if way == "commit":
        (git_dir / "objects" / base[:2] / base[2:]).unlink()
    elif way == "repository":
        shutil.rmtree(git_dir)
        shutil.rmtree(parent.root / "sub dir")
    findings = parent.engine().verify(deep=True)
    assert [finding.subject for finding in findings] == [f"base {base} of sub dir"]
