"""What belongs to others is left alone: repositories, branches, links, folders; and nothing half-done stays."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import msgspec
import pytest

from chronos import ChronosEngine
from chronos.checkpoints import Applier
from chronos.config import Surroundings
from chronos.errors import (
    ChangedMeanwhileError,
    ForeignTimelineError,
    NothingToUndoError,
    RefusedError,
    StateError,
    TimelineExistsError,
)
from chronos.merging import Choice, Conflict, Resolution
from chronos.operations import Operation, OperationKind, TreeMove
from chronos.pool import add_check
from tests.support import RepoBuilder, tree_digest
from tests.support.databases import make_notes
from tests.timelines.conftest import tree_at


@pytest.fixture
def branched(engine: ChronosEngine, worked: RepoBuilder) -> RepoBuilder:
    """A timeline with a change that can be merged."""
    engine.branch_timeline("side")
    there = tree_at(engine, "side", worked.environment)
    there.write("sub/b.txt", "theirs\n")
    there.write("theirs.txt", "theirs\n")
    return there


def copy_of(worked: RepoBuilder, place: Path) -> RepoBuilder:
    shutil.copytree(worked.root, place, symlinks=True)
    return RepoBuilder(place, worked.environment)


@pytest.mark.parametrize("is_killed", [False, True])
def test_a_merge_that_meets_an_edit_is_taken_back_as_a_whole(
    engine: ChronosEngine, worked: RepoBuilder, branched: RepoBuilder, monkeypatch: pytest.MonkeyPatch, is_killed: bool
) -> None:
    before = worked.state()
    apply = Applier.apply

    class KilledError(BaseException):
        pass

    def edited_meanwhile(self: Applier, *arguments: object, **named: object) -> object:
        worked.write("sub/b.txt", "edited meanwhile\n")
        if is_killed:
            raise KilledError
        return apply(self, *arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(Applier, "apply", edited_meanwhile)
    with pytest.raises(KilledError if is_killed else ChangedMeanwhileError):
        engine.merge_timeline("side")
    monkeypatch.undo()
    if is_killed:
        assert any("took back" in line for line in engine.recover())
    assert worked.read("sub/b.txt") == b"edited meanwhile\n"
    assert not worked.exists("theirs.txt")
    worked.write("sub/b.txt", "b\n")
    assert worked.state() == before
    assert engine.merge_timeline("side").is_done
    assert worked.read("sub/b.txt") == b"theirs\n"


def test_a_branch_that_another_tree_has_checked_out_stays(
    engine: ChronosEngine, worked: RepoBuilder, branched: RepoBuilder
) -> None:
    branched.git("stash", "-q", "-u")
    branched.git("checkout", "-q", "-b", "feature")
    worked.git("stash", "-q", "-u")
    worked.git("checkout", "-q", "chronos/side")
    head = worked.head()
    engine.delete_timeline("side")
    assert (worked.head(), worked.git("branch", "--show-current")) == (head, "chronos/side")
    assert worked.git("status", "--porcelain") == ""


def test_a_prune_looks_again_before_it_takes_a_tree(engine: ChronosEngine, branched: RepoBuilder) -> None:
    with engine.open_timeline("side") as there:
        there.create_checkpoint("held")
    plan = engine.plan_prune_timelines(0)
    assert [one.goes for one in plan.timelines] == [True]
    branched.write("new.txt", "written while somebody thought about it\n")
    assert engine.prune_timelines(plan, 0) == []
    assert branched.exists("new.txt")
    assert any("stays" in notice for notice in engine.notices)


def test_a_locked_worktree_is_neither_pruned_nor_deleted(
    engine: ChronosEngine, worked: RepoBuilder, branched: RepoBuilder
) -> None:
    with engine.open_timeline("side") as there:
        there.create_checkpoint("held")
    worked.git("worktree", "lock", str(branched.root))
    assert [one.goes for one in engine.plan_prune_timelines(0).timelines] == [False]
    with pytest.raises(RefusedError, match="locked"):
        engine.delete_timeline("side")


def test_a_worktree_of_the_user_that_was_only_moved_keeps_what_git_knows_of_it(
    engine: ChronosEngine, worked: RepoBuilder, tmp_path: Path
) -> None:
    worked.git("worktree", "add", "-q", "--detach", str(tmp_path / "own"))
    own = RepoBuilder(tmp_path / "own", worked.environment)
    own.engine().create_checkpoint("in their own")
    own.close()
    own.write("staged.txt", "staged\n")
    own.git("add", "staged.txt")
    shutil.move(own.root, tmp_path / "moved")
    engine.prune_timelines(engine.plan_prune_timelines(0), 0)
    worked.git("worktree", "repair", str(tmp_path / "moved"))
    assert "staged.txt" in RepoBuilder(tmp_path / "moved", worked.environment).git("diff", "--cached", "--name-only")


def test_a_link_to_a_tree_that_is_gone_comes_back_with_an_undo(
    engine: ChronosEngine, worked: RepoBuilder, branched: RepoBuilder, tmp_path: Path
) -> None:
    shutil.move(branched.root, tmp_path / "elsewhere")
    engine.prune_timelines(engine.plan_prune_timelines(0), 0)
    assert str(branched.root) not in worked.git("worktree", "list", "--porcelain")
    engine.undo()
    shutil.move(tmp_path / "elsewhere", branched.root)
    assert branched.git("branch", "--show-current") == "chronos/side"
    assert branched.exists("theirs.txt")


def test_a_copy_of_a_project_works_on_its_own_trees(
    engine: ChronosEngine, worked: RepoBuilder, branched: RepoBuilder, tmp_path: Path
) -> None:
    original, listed = tree_digest(branched.root), worked.git("worktree", "list", "--porcelain")
    copy = copy_of(worked, tmp_path / "copy")
    other = copy.engine()
    other.doctor()
    tree = other.timeline_path("side")
    assert tree == copy.root / "data/timelines/side/.worktree"
    RepoBuilder(tree, worked.environment).write("theirs.txt", "of the copy\n")
    assert other.merge_timeline("side").is_done
    assert copy.read("theirs.txt") == b"of the copy\n"
    other.delete_timeline("side")
    copy.close()
    assert tree_digest(branched.root) == original
    assert worked.git("worktree", "list", "--porcelain") == listed
    assert branched.git("branch", "--show-current") == "chronos/side"


def test_a_copy_of_a_project_never_takes_the_trees_of_the_original(worked: RepoBuilder, tmp_path: Path) -> None:
    variables = {"CHRONOS_WORKTREES_DIR": str(tmp_path / "trees")}
    tree = worked.engine(**variables).branch_timeline("side").path
    copy = copy_of(worked, tmp_path / "copy").engine(**variables)
    with pytest.raises(ForeignTimelineError):
        copy.delete_timeline("side")
    with pytest.raises(ForeignTimelineError):
        copy.merge_timeline("side")
    copy.close()
    assert tree.is_dir()
    assert RepoBuilder(tree, worked.environment).git("status", "--porcelain") == worked.git("status", "--porcelain")


def test_a_note_that_names_a_folder_of_somebody_else_is_not_believed(
    engine: ChronosEngine, worked: RepoBuilder, tmp_path: Path
) -> None:
    engine.create_checkpoint("one")
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file.txt").write_text("precious")
    move = TreeMove("side", True, str(precious), "chronos/side", worked.head())
    note = Operation("0123456789ab", OperationKind.BRANCH, "main", "2026-01-01T00:00:00Z", "branch side", tree=move)
    place = worked.store / ".store/journal" / f"{note.operation}.tree"
    place.parent.mkdir(exist_ok=True)
    place.write_bytes(add_check(msgspec.json.encode(note)))
    assert any("left alone" in line for line in engine.recover())
    assert (precious / "file.txt").read_text() == "precious"


def test_a_place_that_somebody_takes_meanwhile_is_not_removed(
    engine: ChronosEngine, worked: RepoBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = worked.store / "side/.worktree"

    def taken_meanwhile(*_: object) -> None:
        place.mkdir(parents=True)
        (place / "theirs.txt").write_text("theirs")

    monkeypatch.setattr("chronos.timelines.branching._hold_source", _before(taken_meanwhile))
    with pytest.raises(TimelineExistsError):
        engine.branch_timeline("side")
    assert (place / "theirs.txt").read_text() == "theirs"


def _before(work: object) -> object:
    from chronos.timelines import branching

    hold = branching._hold_source

    def held(*arguments: object) -> object:
        assert callable(work)
        work()
        return hold(*arguments)  # type: ignore[arg-type]

    return held


def test_a_nested_repository_is_brought_through_no_link(repo: RepoBuilder, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    repo.link("lib", str(outside))
    repo.commit()
    repo.remove("lib")
    inner = RepoBuilder(repo.root / "lib/inner", repo.environment)
    inner.write("own.txt", "own\n")
    inner.commit()
    branched = repo.engine().branch_timeline("side")
    assert list(outside.iterdir()) == []
    assert (branched.path / "lib/inner/own.txt").read_text() == "own\n"


def test_undo_in_a_name_that_was_taken_again_stops_at_its_beginning(
    engine: ChronosEngine, branched: RepoBuilder, worked: RepoBuilder
) -> None:
    with engine.open_timeline("side") as there:
        checkpoint = there.create_checkpoint("old")
        branched.write("theirs.txt", "later\n")
        there.restore_checkpoint(checkpoint)
    engine.delete_timeline("side")
    engine.branch_timeline("side")
    with engine.open_timeline("side") as there, pytest.raises(NothingToUndoError):
        there.undo()
    assert not (branched.root / "theirs.txt").exists()


def test_a_revert_over_a_deleted_checkpoint_is_refused(engine: ChronosEngine, worked: RepoBuilder) -> None:
    engine.create_checkpoint("one")
    worked.write("two.txt", "two\n")
    gone = engine.create_checkpoint("two")
    worked.write("three.txt", "three\n")
    third = engine.create_checkpoint("three")
    engine.delete_checkpoint(gone)
    with pytest.raises(StateError, match="gone"):
        engine.revert_checkpoint(third)
    assert worked.exists("two.txt")
    engine.undo()
    engine.revert_checkpoint(third)
    assert (worked.exists("two.txt"), worked.exists("three.txt")) == (True, False)


def test_whoever_is_asked_about_a_conflict_holds_no_lock(
    engine: ChronosEngine, worked: RepoBuilder, branched: RepoBuilder
) -> None:
    worked.write("sub/b.txt", "ours\n")
    assert engine.merge_timeline("side").conflicts

    def ask(_: Conflict) -> Resolution:
        worked.write("meanwhile.txt", "meanwhile\n")
        other = worked.engine(CHRONOS_LOCK_TIMEOUT="0.1")
        other.create_checkpoint("while somebody thinks")
        other.close()
        return Resolution(Choice.THEIRS)

    assert engine.resolve_conflict("sub/b.txt", ask).open == []
    assert engine.merge_timeline("side").is_done
    assert worked.read("sub/b.txt") == b"theirs\n"


def test_what_the_other_side_left_out_is_said(
    engine: ChronosEngine, worked: RepoBuilder, branched: RepoBuilder
) -> None:
    branched.write("id_rsa", "key\n")
    outcome = engine.merge_timeline("side")
    assert any("id_rsa" in note for note in outcome.notes)
    assert not worked.exists("id_rsa")


@pytest.mark.parametrize("path", ["large.bin", "id_rsa"])
def test_what_the_other_side_left_out_is_said_though_nothing_else_changed_there(worked: RepoBuilder, path: str) -> None:
    with worked.engine(CHRONOS_MAX_FILE_BYTES="100000") as engine:
        tree = RepoBuilder(engine.branch_timeline("side").path, worked.environment)
        tree.write(path, "x" * 200_000)
        assert any(path in note for note in engine.plan_merge_timeline("side").notes)
        assert any(path in note for note in engine.merge_timeline("side").notes)
        tree.remove(path)
        assert not any(path in note for note in engine.merge_timeline("side").notes), "it is there no more"


def test_a_store_outside_is_not_declared_in_a_timeline_that_has_copies(
    engine: ChronosEngine, branched: RepoBuilder, tmp_path: Path
) -> None:
    outside = make_notes(tmp_path / "agent/brain.db", 2)
    with engine.open_timeline("side") as there, pytest.raises(RefusedError, match="copies"):
        there.add_memory(outside)


def test_another_directory_of_trees_is_shared_by_projects(worked: RepoBuilder, tmp_path: Path) -> None:
    variables = {"CHRONOS_WORKTREES_DIR": str(tmp_path / "trees")}
    other = RepoBuilder(tmp_path / "other", worked.environment)
    other.write("a.txt", "of the other\n")
    other.commit()
    tree = other.engine(**variables).branch_timeline("side").path
    with pytest.raises(TimelineExistsError):
        worked.engine(**variables).branch_timeline("side")
    assert os.listdir(tree)
    other.close()


def test_the_surroundings_of_an_engine_go_with_it_into_a_timeline(worked: RepoBuilder) -> None:
    surroundings = Surroundings({**worked.environment, "CHRONOS_LOCK_TIMEOUT": "3"}, worked.root)
    with ChronosEngine(worked.root, surroundings=surroundings) as engine:
        engine.branch_timeline("side")
        with engine.open_timeline("side") as there:
            assert there.config.lock_timeout_s == 3
