"""Anything in any order: after every step the disk, the index, HEAD and all checkpoints are what a model says."""

from __future__ import annotations

import os

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from chronos.checkpoints import Trigger
from chronos.errors import NothingToUndoError, StateError, UnknownCheckpointError
from chronos.operations import Outcome
from tests.properties import machine
from tests.properties.machine import Work, World
from tests.properties.model import Model, Step, difference
from tests.properties.profiles import examples
from tests.properties.scenes import Stages
from tests.properties.trees import Node, Put

picks = st.integers(0, 40)
LEAST_STEPS = 300


class Timetravel(RuleBasedStateMachine):
    """Random work of a user, an agent and chrono on one repository."""

    stages: Stages
    steps = 0

    @initialize(committed=machine.works, work=machine.works)
    def start(self, committed: list[Work], work: list[Work]) -> None:
        self.world = World(self.stages)
        self.world.do(committed)
        self.world.commit(everything=True)
        self.world.do(work)

    @property
    def model(self) -> Model:
        return self.world.model

    def teardown(self) -> None:
        if hasattr(self, "world"):
            for checkpoint in self.model.listed():
                self.check_content(checkpoint)
            self.world.close()

    # the user's hands

    @rule(work=machine.works)
    def create_edit_stage_and_delete_files(self, work: list[Work]) -> None:
        self.world.do(work)

    @rule(everything=st.booleans())
    def commit(self, everything: bool) -> None:
        self.world.commit(everything=everything)

    @rule(name=st.sampled_from(("main", "feature/ü", "other")))
    def switch_branch(self, name: str) -> None:
        self.world.repo.git("checkout", "-q", "-B", name)
        self.model.branch = name

    # checkpoints

    @rule(name=st.sampled_from(("before_migration", "other")))
    def create_checkpoint(self, name: str) -> None:
        created = self.world.engine.take_checkpoint(name)
        assert created.created
        self.model.add(created.checkpoint_id)
        self.model.record(Step(moves=((created.checkpoint_id, True),)))

    @rule()
    def create_automatic_checkpoint(self) -> None:
        newest = self.model.newest()
        created = self.world.engine.take_checkpoint("watch", trigger=Trigger.AUTOMATIC)
        if created.created:
            # A safety checkpoint may hold more than it has to, so an unchanged state after one is written once more.
            assert newest is None or newest in self.model.safety or self.model.saved[newest] != self.model.now()
            self.model.add(created.checkpoint_id)
        assert self.model.saved[created.checkpoint_id] == self.model.now()

    @precondition(lambda self: len(self.model.listed()) > 2)
    @rule(pick=picks)
    def delete_checkpoint(self, pick: int) -> None:
        checkpoint = self.pick(pick)
        self.world.engine.delete_checkpoint(checkpoint)
        self.model.live.remove(checkpoint)
        self.model.record(Step(moves=((checkpoint, False),)))
        with pytest.raises((StateError, UnknownCheckpointError)):
            self.world.engine.delete_checkpoint(checkpoint)

    @precondition(lambda self: self.model.listed())
    @rule(old=picks, new=st.one_of(st.none(), picks))
    def compare_and_extract_checkpoints(self, old: int, new: int | None) -> None:
        before = self.pick(old)
        after = None if new is None else self.pick(new)
        tree = self.model.now().tree if after is None else self.model.saved[after].tree
        expected = difference(self.model.saved[before].tree, tree)
        found = self.world.engine.diff(before, after)
        assert {row.path: (row.status != "A", row.status != "D") for row in found} == expected
        self.check_content(before)

    # restore, undo, redo

    @precondition(lambda self: self.model.live)
    @rule(pick=picks, work=machine.works)
    def work_and_restore(self, work: list[Work], pick: int) -> None:
        self.world.do(work)
        checkpoint = self.pick_other(pick)
        step = self.model.plan_restore(checkpoint)
        self.finish_restore(self.world.engine.restore_checkpoint(checkpoint), step)

    @precondition(lambda self: self.model.live)
    @rule(pick=picks, path_pick=picks, folder=st.booleans())
    def restore_some_paths(self, pick: int, path_pick: int, folder: bool) -> None:
        checkpoint = self.pick_other(pick)
        changed = [change.path for change in self.model.plan_restore(checkpoint).changes or ()]
        paths = changed or sorted(self.model.tree)
        path = paths[path_pick % len(paths)]
        path = path.partition(b"/")[0] if folder else path
        step = self.model.plan_restore(checkpoint, [path])
        self.finish_restore(self.world.engine.restore_checkpoint(checkpoint, paths=[os.fsdecode(path)]), step)

    @precondition(lambda self: self.model.live)
    @rule(pick=picks, writes=st.integers(0, 3), abort=st.booleans())
    def interrupt_a_restore_and_recover(self, pick: int, writes: int, abort: bool) -> None:
        checkpoint = self.pick_other(pick)
        step = self.model.plan_restore(checkpoint)
        self.world.fuse.left = writes
        try:
            outcome = self.world.engine.restore_checkpoint(checkpoint)
        except KeyboardInterrupt:
            self.model.add_safety(self.world.engine.list_checkpoints(safety=True, limit=1)[0].checkpoint_id)
            assert self.world.engine.recover(abort=abort) != []
            if not abort:
                self.model.carry_out(step)
                self.model.record(step)
        else:
            self.world.fuse.left = None
            self.finish_restore(outcome, step)

    @precondition(lambda self: self.model.done)
    @rule()
    def undo(self) -> None:
        step = self.model.plan_back(self.model.done.pop())
        self.finish_step(self.world.engine.undo(), step)
        self.model.undone.append(step)

    @precondition(lambda self: self.model.done and self.model.done[-1].changes)
    @rule(pick=picks, node=machine.nodes, work=machine.works)
    def edit_what_was_changed_and_undo(self, pick: int, node: Node, work: list[Work]) -> None:
        changes = self.model.done[-1].changes or ()
        self.world.do([Put(changes[pick % len(changes)].path, node), *work[1:]])
        self.undo()

    @precondition(lambda self: self.model.undone)
    @rule()
    def redo(self) -> None:
        step = self.model.plan_back(self.model.undone.pop())
        self.finish_step(self.world.engine.redo(), step)
        self.model.done.append(step)

    @precondition(lambda self: not (self.model.done and self.model.undone))
    @rule()
    def find_nothing_to_undo_or_redo(self) -> None:
        for steps, verb in ((self.model.done, "undo"), (self.model.undone, "redo")):
            if not steps:
                with pytest.raises(NothingToUndoError):
                    getattr(self.world.engine, verb)()

    # what happens around chrono

    @rule(event=st.sampled_from((World.reopen, World.swap, World.remove_catalog, World.recover)))
    def meet(self, event: machine.Event) -> None:
        event(self.world)

    # what always holds

    @invariant()
    def everything_is_as_the_model_says(self) -> None:
        if hasattr(self, "world"):
            Timetravel.steps += 1
            self.check_tree_and_index()
            self.check_head_and_branch()
            self.check_store()

    def check_tree_and_index(self) -> None:
        assert self.world.tree() == self.model.tree
        assert self.world.index() == self.world.modelled_index()

    def check_head_and_branch(self) -> None:
        git = self.world.repo.root / ".git"
        assert (git / "HEAD").read_text("utf-8") == f"ref: refs/heads/{self.model.branch}\n"
        assert (git / "refs/heads" / self.model.branch).read_text("utf-8").strip() == self.model.commit

    def check_store(self) -> None:
        engine = self.world.engine
        assert [row.checkpoint_id for row in engine.list_checkpoints()] == self.model.listed()
        assert [finding for finding in engine.verify(deep=True) if finding.severity] == []
        assert self.world.left_over() == []

    def check_content(self, checkpoint: str) -> None:
        assert self.world.extract(checkpoint) == dict(self.model.saved[checkpoint].tree)

    # shared by the rules

    def pick(self, number: int) -> str:
        """Choose one of the listed checkpoints."""
        listed = self.model.listed()
        return listed[number % len(listed)]

    def pick_other(self, number: int) -> str:
        """Choose a live checkpoint, those taken for safety included, of another tree than the present one."""
        live = [known for known in self.model.saved if known in self.model.live]
        others = [known for known in live if self.model.saved[known].tree != self.model.now().tree] or live
        return others[number % len(others)]

    def finish_restore(self, outcome: Outcome, step: Step) -> None:
        self.finish_step(outcome, step)
        assert (outcome.operation is None) == (not step.changes and step.after is None)
        if outcome.operation is not None:
            self.model.record(step)

    def finish_step(self, outcome: Outcome, step: Step) -> None:
        if outcome.safety is not None:
            self.model.add_safety(outcome.safety)
        if step.changes is not None:
            assert {c.path for c in outcome.plan.change_set.changes} == {c.path for c in step.changes}
        self.model.carry_out(step)


def test_any_order_of_work_keeps_every_promise(tmp_path_factory: pytest.TempPathFactory) -> None:
    Timetravel.stages = Stages(tmp_path_factory.mktemp("machine"))
    run_state_machine_as_test(Timetravel, settings=examples(20, steps=40))
    assert Timetravel.steps >= LEAST_STEPS, f"only {Timetravel.steps} steps were walked"
