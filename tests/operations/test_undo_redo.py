"""Undo and redo, any number of steps, across create, delete and restore; nothing automatic gets in between."""

from __future__ import annotations

import time

import pytest

from chronos import ChronosEngine
from chronos.checkpoints import Trigger
from chronos.errors import NothingToUndoError
from chronos.operations import Operation, OperationKind, build_stack
from tests.support import RepoBuilder, kept_paths, tree_digest


@pytest.fixture
def work(repo: RepoBuilder) -> RepoBuilder:
    repo.write("a.txt", "zero\n")
    repo.write("b.txt", "b\n")
    repo.commit()
    return repo


def names(engine: ChronosEngine) -> list[str]:
    return [row.name for row in engine.list_checkpoints() if row.trigger == "manual"]


def test_undo_of_a_create_hides_the_checkpoint_and_redo_shows_it(work: RepoBuilder) -> None:
    engine = work.engine()
    engine.create_checkpoint("first")
    engine.create_checkpoint("second")
    before = work.state()
    engine.undo()
    assert names(engine) == ["first"]
    engine.undo()
    assert names(engine) == []
    engine.redo()
    engine.redo()
    assert names(engine) == ["second", "first"]
    assert work.state() == before, "undoing a create touches no file"
    assert engine.verify(deep=True) == []


def test_a_deleted_checkpoint_comes_back_whole(work: RepoBuilder) -> None:
    engine = work.engine()
    work.write("a.txt", "wanted\n")
    checkpoint = engine.create_checkpoint("wanted", "why", tags=["keep"])
    row = engine.find_checkpoint(checkpoint)
    engine.delete_checkpoint(checkpoint)
    assert names(engine) == []
    engine.undo()
    assert engine.find_checkpoint(checkpoint) == row
    work.write("a.txt", "wrecked\n")
    engine.restore_checkpoint(checkpoint)
    assert work.read("a.txt") == b"wanted\n"


def test_deleting_a_checkpoint_damages_no_other(work: RepoBuilder) -> None:
    engine = work.engine()
    work.write("shared.bin", b"shared" * 10_000)
    first = engine.create_checkpoint("first")
    work.write("a.txt", "second\n")
    second = engine.create_checkpoint("second")
    engine.delete_checkpoint(first)
    assert engine.verify(deep=True) == []
    work.remove("shared.bin")
    engine.restore_checkpoint(second)
    assert work.read("shared.bin") == b"shared" * 10_000


def test_a_walk_back_and_forth_over_every_kind_of_operation(work: RepoBuilder) -> None:
    engine = work.engine()
    states: list[tuple[object, object]] = []

    def note() -> None:
        states.append((work.state(), names(engine)))

    work.write("a.txt", "one\n")
    one = engine.create_checkpoint("one")
    work.write("a.txt", "two\n")
    work.write("new.txt", "new\n")
    note()
    engine.create_checkpoint("two")
    note()
    engine.restore_checkpoint(one)
    note()
    engine.delete_checkpoint("two")
    note()
    engine.restore_checkpoint(one, paths=["a.txt"])  # nothing to do, no operation
    engine.delete_checkpoint(one)
    note()
    for _ in range(2):
        for state in reversed(states[:-1]):
            engine.undo()
            assert (work.state(), names(engine)) == state
        for state in states[1:]:
            engine.redo()
            assert (work.state(), names(engine)) == state
    assert [finding for finding in engine.verify(deep=True) if finding.severity] == []


def test_many_restores_are_undone_one_by_one(work: RepoBuilder) -> None:
    # pains.md row 8 (claude-code#16023, zed#28676): no redo after a restore.
    engine = work.engine()
    ids = []
    for number in range(4):
        work.write("a.txt", f"state {number}\n")
        ids.append(engine.create_checkpoint(f"state {number}"))
    seen = [work.read("a.txt")]
    for number in (0, 2, 1, 3, 0):
        engine.restore_checkpoint(ids[number])
        seen.append(work.read("a.txt"))
    for wanted in reversed(seen[:-1]):
        engine.undo()
        assert work.read("a.txt") == wanted
    for wanted in seen[1:]:
        engine.redo()
        assert work.read("a.txt") == wanted


def test_undo_works_in_a_new_process_as_well(work: RepoBuilder) -> None:
    engine = work.engine()
    checkpoint = engine.create_checkpoint("wanted")
    work.write("a.txt", "edited\n")
    engine.restore_checkpoint(checkpoint)
    engine.close()
    second = work.engine()
    second.undo()
    second.close()
    assert work.read("a.txt") == b"edited\n"
    work.engine().redo()
    assert work.read("a.txt") == b"zero\n"


def test_with_nothing_to_undo_or_redo_it_says_so(work: RepoBuilder) -> None:
    engine = work.engine()
    with pytest.raises(NothingToUndoError):
        engine.undo()
    engine.create_checkpoint("one")
    with pytest.raises(NothingToUndoError):
        engine.redo()
    engine.undo()
    with pytest.raises(NothingToUndoError):
        engine.undo()


def test_a_new_operation_clears_redo_and_automatic_checkpoints_do_not(work: RepoBuilder) -> None:
    engine = work.engine()
    checkpoint = engine.create_checkpoint("wanted")
    work.write("a.txt", "edited\n")
    engine.restore_checkpoint(checkpoint)
    engine.undo()
    work.write("c.txt", "c\n")
    created = engine.take_checkpoint("by itself", trigger=Trigger.AUTOMATIC)
    engine.take_checkpoint("safety", trigger=Trigger.SAFETY)
    engine.plan_restore(checkpoint)
    engine.status()
    assert created.created
    engine.redo()
    assert work.read("a.txt") == b"zero\n"
    engine.undo()
    engine.create_checkpoint("by hand")
    with pytest.raises(NothingToUndoError):
        engine.redo()


def test_edits_made_after_a_restore_are_kept_by_undo_and_listed(work: RepoBuilder) -> None:
    # pains.md row 11 (hermes PR #80751): keep hand edits by default.
    engine = work.engine()
    checkpoint = engine.create_checkpoint("wanted")
    work.write("a.txt", "before the restore\n")
    work.write("b.txt", "before the restore\n")
    work.write("c.txt", "before the restore\n")
    engine.restore_checkpoint(checkpoint)
    work.write("a.txt", "edited by hand since\n")
    work.write("c.txt", "made by hand since\n")
    outcome = engine.undo()
    assert kept_paths(outcome.kept) == {"a.txt", "c.txt"}
    assert work.read("a.txt") == b"edited by hand since\n"
    assert work.read("b.txt") == b"before the restore\n"
    assert work.read("c.txt") == b"made by hand since\n"


def test_edits_made_after_a_restore_are_overwritten_by_request_and_held(work: RepoBuilder) -> None:
    engine = work.engine()
    checkpoint = engine.create_checkpoint("wanted")
    work.write("a.txt", "before the restore\n")
    engine.restore_checkpoint(checkpoint)
    work.write("a.txt", "edited by hand since\n")
    outcome = engine.undo(overwrite=True)
    assert outcome.kept == ()
    assert work.read("a.txt") == b"before the restore\n"
    engine.redo()
    assert work.read("a.txt") == b"edited by hand since\n", "a redo takes the undo back, to where it began"


def test_what_was_staged_after_a_restore_is_kept_by_undo(work: RepoBuilder) -> None:
    # pains.md row 6 (codex#8214): undo overwrote the staged index.
    engine = work.engine()
    work.write("a.txt", "staged at the checkpoint\n")
    work.git("add", "a.txt")
    checkpoint = engine.create_checkpoint("wanted")
    work.git("reset", "-q", "--hard")
    engine.restore_checkpoint(checkpoint)
    work.write("b.txt", "staged since\n")
    work.git("add", "b.txt")
    outcome = engine.undo()
    assert work.git("show", ":b.txt") == "staged since"
    assert any("index" in warning for warning in outcome.warnings)


def test_plans_of_undo_and_redo_show_what_they_do_and_change_nothing(work: RepoBuilder) -> None:
    engine = work.engine()
    checkpoint = engine.create_checkpoint("wanted")
    work.write("a.txt", "edited\n")
    work.write("new.txt", "new\n")
    engine.restore_checkpoint(checkpoint)
    before = work.state()
    operation, plan = engine.plan_undo()
    assert operation.kind.value == "restore"
    assert {change.path for change in plan.writes} == {b"a.txt", b"new.txt"}
    assert plan.deletes == []
    assert work.state() == before
    engine.undo(plan_id=plan.plan_id)
    operation, plan = engine.plan_redo()
    assert operation.kind.value == "undo"
    assert {change.path for change in plan.writes} == {b"a.txt"}
    assert {change.path for change in plan.deletes} == {b"new.txt"}
    engine.redo(plan_id=plan.plan_id)
    assert work.state() == before


def test_undo_on_one_timeline_leaves_the_others_alone(work: RepoBuilder) -> None:
    work.git("worktree", "add", "-q", "-b", "topic", str(work.root.parent / "topic"))
    other = RepoBuilder(work.root.parent / "topic", work.environment)
    one, two = work.engine(), other.engine()
    first = one.create_checkpoint("in main")
    second = two.create_checkpoint("in topic")
    other.write("a.txt", "edited in topic\n")
    two.restore_checkpoint(second)
    before = tree_digest(other.root)
    one.undo()
    assert [row.checkpoint_id for row in one.list_checkpoints()] == []
    assert second in [row.checkpoint_id for row in two.list_checkpoints()]
    assert tree_digest(other.root) == before
    two.undo()
    assert other.read("a.txt") == b"edited in topic\n"
    one.redo()
    assert [row.checkpoint_id for row in one.list_checkpoints()] == [first]
    other.close()


def test_an_operation_whose_line_was_lost_can_still_be_undone(work: RepoBuilder) -> None:
    engine = work.engine()
    engine.create_checkpoint("one")
    engine.create_checkpoint("two")
    log = work.store / ".store/operations.jsonl"
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(lines[:-1]))
    assert [operation.kind.value for operation in engine.list_operations()] == ["create", "create"]
    engine.undo()
    assert names(engine) == ["one"]
    engine.redo()
    assert names(engine) == ["two", "one"]


def test_undo_brings_back_what_was_deleted_here_whichever_timeline_it_was_on(work: RepoBuilder) -> None:
    work.git("worktree", "add", "-q", "-b", "topic", str(work.root.parent / "topic"))
    other = RepoBuilder(work.root.parent / "topic", work.environment)
    one, two = work.engine(), other.engine()
    first = one.create_checkpoint("in main")
    two.create_checkpoint("in topic")
    two.delete_checkpoint("main@")
    assert [row.checkpoint_id for row in one.list_checkpoints()] == []
    assert one.status().can_undo == "create in main"
    assert two.status().can_undo == "delete in main of timeline main"
    two.undo()
    assert [row.checkpoint_id for row in one.list_checkpoints()] == [first]
    assert [row.name for row in two.list_checkpoints()] == ["in topic"]
    other.close()


def test_thousands_of_steps_are_replayed_in_no_time() -> None:
    steps = [Operation(f"{n}", OperationKind.CREATE, "main", "", "") for n in range(20_000)]
    undos = [Operation(f"u{n}", OperationKind.UNDO, "main", "", "", undoes=f"{n}") for n in reversed(range(20_000))]
    start = time.monotonic()
    stack = build_stack(steps + undos)
    assert (len(stack.done), len(stack.undone)) == (0, 20_000)
    assert time.monotonic() - start < 1.0


def test_a_restore_whose_line_was_cut_off_the_log_can_be_undone(repo: RepoBuilder) -> None:
    """What it changed is kept for undo; the log's end was lost, as by a copy that was cut short."""
    repo.write("a.txt", "a\n")
    repo.commit()
    engine = repo.engine()
    checkpoint = engine.create_checkpoint("wanted")
    repo.write("a.txt", "edited\n")
    engine.restore_checkpoint(checkpoint)
    log = repo.store / ".store/operations.jsonl"
    log.write_bytes(log.read_bytes().splitlines(keepends=True)[0])
    assert [operation.summary for operation in repo.engine().list_operations()] == ["restore wanted", "create wanted"]
    engine.undo()
    assert repo.read("a.txt") == b"edited\n"
