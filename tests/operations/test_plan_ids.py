"""A plan that was shown is carried out as shown or not at all; two actors in one tree do not revert each other."""

from __future__ import annotations

import pytest

from chronos.errors import ChangedMeanwhileError
from tests.support import RepoBuilder


@pytest.fixture
def work(repo: RepoBuilder) -> RepoBuilder:
    repo.write("a.txt", "a\n")
    repo.write("b.txt", "b\n")
    repo.commit()
    return repo


def test_an_unchanged_tree_accepts_the_plan(work: RepoBuilder) -> None:
    engine = work.engine()
    checkpoint = engine.create_checkpoint("wanted")
    work.write("a.txt", "wrecked\n")
    plan = engine.plan_restore(checkpoint)
    outcome = engine.restore_checkpoint(checkpoint, plan_id=plan.plan_id)
    assert outcome.plan.plan_id == plan.plan_id
    assert work.read("a.txt") == b"a\n"


def test_a_plan_id_is_the_same_in_another_process_and_differs_with_the_plan(work: RepoBuilder) -> None:
    engine = work.engine()
    checkpoint = engine.create_checkpoint("wanted")
    work.write("a.txt", "wrecked\n")
    first = engine.plan_restore(checkpoint).plan_id
    assert work.engine().plan_restore(checkpoint).plan_id == first
    work.write("b.txt", "wrecked\n")
    assert engine.plan_restore(checkpoint).plan_id != first
    assert engine.plan_restore(checkpoint, paths=["a.txt"]).plan_id == first, "the same change is the same plan"


@pytest.mark.parametrize("change", ["edit", "add", "delete", "chmod", "stage", "commit"])
def test_a_tree_that_changed_since_the_plan_is_left_alone(work: RepoBuilder, change: str) -> None:
    # pains.md row 10 (kilocode#11060): rewinding one session reverted another one's newer work.
    engine = work.engine()
    work.write("a.txt", "staged\n")
    work.git("add", "a.txt")
    checkpoint = engine.create_checkpoint("wanted")
    work.write("a.txt", "wrecked\n")
    plan = engine.plan_restore(checkpoint, head=True)
    if change == "edit":
        work.write("a.txt", "edited by somebody\n")
    elif change == "add":
        work.write("new.txt", "new\n")
    elif change == "delete":
        work.remove("b.txt")
    elif change == "chmod":
        work.path("a.txt").chmod(0o755)
    elif change == "stage":
        work.git("add", "a.txt")
    else:
        work.git("commit", "-q", "-m", "somebody's commit")
    before = work.state()
    with pytest.raises(ChangedMeanwhileError):
        engine.restore_checkpoint(checkpoint, head=True, plan_id=plan.plan_id)
    assert work.state() == before


def test_an_undo_after_a_new_edit_needs_a_new_plan(work: RepoBuilder) -> None:
    engine = work.engine()
    checkpoint = engine.create_checkpoint("wanted")
    work.write("a.txt", "before\n")
    engine.restore_checkpoint(checkpoint)
    _, plan = engine.plan_undo()
    work.write("a.txt", "edited since\n")
    before = work.state()
    with pytest.raises(ChangedMeanwhileError):
        engine.undo(plan_id=plan.plan_id)
    assert work.state() == before


def test_a_plan_id_that_was_made_up_is_refused(work: RepoBuilder) -> None:
    engine = work.engine()
    checkpoint = engine.create_checkpoint("wanted")
    work.write("a.txt", "wrecked\n")
    with pytest.raises(ChangedMeanwhileError):
        engine.restore_checkpoint(checkpoint, plan_id="0" * 16)
    assert work.read("a.txt") == b"wrecked\n"


def test_a_restore_of_what_is_there_already_leaves_nothing_behind(work: RepoBuilder) -> None:
    # pains.md row 22 (opencode#32529): undoing a turn without changes altered the tree.
    engine = work.engine()
    work.write("a.txt", "edited\n")
    checkpoint = engine.create_checkpoint("wanted")
    work.write(".env", "TOKEN=1\n")
    before = work.state(), engine.list_checkpoints(safety=True), engine.list_operations()
    outcome = engine.restore_checkpoint(checkpoint)
    assert (outcome.operation, outcome.safety) == (None, None)
    assert (work.state(), engine.list_checkpoints(safety=True), engine.list_operations()) == before


def test_a_restore_that_stops_before_it_touches_anything_leaves_no_safety_checkpoint(work: RepoBuilder) -> None:
    engine = work.engine()
    checkpoint = engine.create_checkpoint("wanted")
    work.write("a.txt", "wrecked\n")
    before = engine.list_checkpoints(safety=True)
    with pytest.raises(ChangedMeanwhileError):
        engine.restore_checkpoint(checkpoint, plan_id="0" * 16)
    assert engine.list_checkpoints(safety=True) == before
