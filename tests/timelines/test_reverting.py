"""Reverting: what one checkpoint changed is taken back, code and rows, and what came later stays."""

from __future__ import annotations

import pytest

from chronos.errors import ChangedMeanwhileError, UnknownCheckpointError, UsageError
from chronos.merging import Choice, ConflictKind, Resolution
from tests.support import RepoBuilder
from tests.timelines.facts import BOTH, DB, make_facts, read_facts, set_fact
from tests.timelines.pairs import Executable, has, text, untouched, write


class Worked:
    """A tree with three checkpoints: `first`, `bad`, and `later` with work that stays."""

    def __init__(self, tree: RepoBuilder) -> None:
        self.tree, self.engine = tree, tree.engine()
        write(tree, {"a.txt": text(), "b.txt": text(l1="b"), "gone.txt": "gone\n", "run.sh": "run\n"})
        write(tree, {".gitignore": "data/\n"})
        if tree.is_repository:
            tree.commit()
        make_facts(tree.path(DB), BOTH)
        self.first = self.engine.create_checkpoint("first")
        write(tree, {"a.txt": text(l2="bad"), "new.txt": "bad\n", "gone.txt": None, "run.sh": Executable("run\n")})
        set_fact(tree.path(DB), 1, "bad")
        set_fact(tree.path(DB), 5, "bad, too")
        self.bad = self.engine.create_checkpoint("bad")
        write(tree, {"a.txt": text(l2="bad", l19="later"), "later.txt": "later\n"})
        set_fact(tree.path(DB), 2, "later")
        self.later = self.engine.create_checkpoint("later")


TAKEN_BACK = {
    "a.txt": text(l19="later"), "later.txt": "later\n", "new.txt": None, "gone.txt": "gone\n", "run.sh": "run\n",
}  # fmt: skip


@pytest.fixture(params=["repository", "plain folder"])
def worked(request: pytest.FixtureRequest) -> Worked:
    return Worked(request.getfixturevalue("repo" if request.param == "repository" else "folder"))


def test_what_a_checkpoint_changed_is_taken_back_and_what_came_later_stays(worked: Worked) -> None:
    before = worked.tree.state()
    plan = worked.engine.revert_checkpoint("bad", plan_only=True)
    assert not plan.is_done
    assert worked.tree.state() == before
    done = worked.engine.revert_checkpoint(worked.bad, plan_id=plan.plan.plan_id)
    assert done.is_done
    has(worked.tree, TAKEN_BACK)
    assert read_facts(worked.tree.path(DB)) == {**BOTH, 2: "later"}
    after = worked.tree.state()
    worked.engine.undo()
    assert worked.tree.state() == before
    assert read_facts(worked.tree.path(DB)) == {**BOTH, 1: "bad", 2: "later", 5: "bad, too"}
    worked.engine.redo()
    assert worked.tree.state() == after
    assert worked.engine.verify() == []


def test_work_that_no_checkpoint_has_yet_stays_too(worked: Worked) -> None:
    write(worked.tree, {"b.txt": text(l1="b", l5="loose"), "loose.txt": "loose\n"})
    set_fact(worked.tree.path(DB), 3, "loose")
    assert worked.engine.revert_checkpoint("bad").is_done
    has(worked.tree, {**TAKEN_BACK, "b.txt": text(l1="b", l5="loose"), "loose.txt": "loose\n"})
    assert read_facts(worked.tree.path(DB)) == {**BOTH, 2: "later", 3: "loose"}


def test_the_newest_checkpoint_is_reverted_as_any_other(worked: Worked) -> None:
    assert worked.engine.revert_checkpoint("later").is_done
    has(worked.tree, {"a.txt": text(l2="bad"), "later.txt": None, "new.txt": "bad\n"})
    assert read_facts(worked.tree.path(DB)) == {**BOTH, 1: "bad", 5: "bad, too"}


def test_a_revert_of_what_was_changed_again_is_a_conflict(worked: Worked) -> None:
    write(worked.tree, {"a.txt": text(l2="changed again", l19="later"), "new.txt": "changed again\n"})
    set_fact(worked.tree.path(DB), 1, "changed again")
    before = worked.tree.state()
    done = worked.engine.revert_checkpoint("bad")
    assert {one.path: one.kind for one in done.conflicts} == {
        b"a.txt": ConflictKind.CONTENT, b"new.txt": ConflictKind.DELETED, DB.encode(): ConflictKind.ROW,
    }  # fmt: skip
    assert worked.tree.state() == before
    waiting = worked.engine.list_conflicts()
    assert waiting is not None
    assert waiting.command == f"chrono revert {worked.bad}"
    content = Resolution(Choice.CONTENT, text(l19="later").encode())
    for subject, decided in (("a.txt", content), ("new.txt", Choice.OURS), ("facts.db", Choice.THEIRS)):
        worked.engine.resolve_conflict(subject, decided if isinstance(decided, Resolution) else Resolution(decided))
    assert worked.engine.revert_checkpoint("bad").is_done
    has(worked.tree, {**TAKEN_BACK, "new.txt": "changed again\n"})
    assert read_facts(worked.tree.path(DB)) == {**BOTH, 2: "later"}
    assert worked.engine.list_conflicts() is None


def test_a_strategy_decides_a_revert(worked: Worked) -> None:
    write(worked.tree, {"a.txt": text(l2="changed again", l19="later")})
    assert worked.engine.revert_checkpoint("bad", strategy="ours").is_done
    has(worked.tree, {**TAKEN_BACK, "a.txt": text(l2="changed again", l19="later")})


def test_only_a_part_is_reverted_when_that_is_asked_for(worked: Worked) -> None:
    assert worked.engine.revert_checkpoint("bad", paths=["a.txt"]).is_done
    has(worked.tree, {"a.txt": text(l19="later"), "new.txt": "bad\n", "gone.txt": None})
    assert read_facts(worked.tree.path(DB))[1] == "bad"
    assert worked.engine.revert_checkpoint("bad", paths=[DB]).is_done
    assert read_facts(worked.tree.path(DB)) == {**BOTH, 2: "later"}


def test_the_first_checkpoint_and_unknown_ones_are_refused(worked: Worked) -> None:
    with pytest.raises(UsageError, match="before"):
        worked.engine.revert_checkpoint("first")
    with pytest.raises(UnknownCheckpointError):
        worked.engine.revert_checkpoint("nothing")


def test_a_tree_that_changed_since_the_plan_is_not_touched(worked: Worked) -> None:
    plan = worked.engine.revert_checkpoint("bad", plan_only=True)
    write(worked.tree, {"a.txt": text(l2="bad", l19="later", l10="meanwhile")})
    before = worked.tree.state()
    with pytest.raises(ChangedMeanwhileError):
        worked.engine.revert_checkpoint("bad", plan_id=plan.plan.plan_id)
    assert worked.tree.state() == before


def test_what_is_taken_back_already_changes_nothing(worked: Worked) -> None:
    worked.engine.revert_checkpoint("bad")
    before = worked.tree.state()
    again = worked.engine.revert_checkpoint("bad")
    assert (again.is_done, again.outcome, again.conflicts) == (True, None, ())
    assert worked.tree.state() == before


def test_a_revert_can_itself_be_reverted(worked: Worked) -> None:
    before = worked.tree.state()
    worked.engine.revert_checkpoint("bad")
    reverted = worked.engine.create_checkpoint("reverted")
    write(worked.tree, {"after.txt": "after\n"})
    assert worked.engine.revert_checkpoint(reverted).is_done
    worked.tree.remove("after.txt")
    assert worked.tree.state() == before


def test_commits_since_move_nothing_and_count_as_content(repo: RepoBuilder) -> None:
    worked = Worked(repo)
    repo.commit("all of it")
    write(repo, {"b.txt": text(l1="b", l5="loose")})
    repo.git("add", "b.txt")
    kept = untouched(repo)
    assert worked.engine.revert_checkpoint("bad").is_done
    has(repo, {**TAKEN_BACK, "b.txt": text(l1="b", l5="loose")})
    assert untouched(repo) == kept


def test_a_merge_is_reverted_against_the_line_it_was_made_in(repo: RepoBuilder) -> None:
    worked = Worked(repo)
    there = RepoBuilder(worked.engine.create_timeline("exp"), repo.environment)
    write(there, {"b.txt": text(l1="b", l5="theirs")})
    merged = worked.engine.merge_timeline("exp").checkpoint
    assert merged is not None
    write(repo, {"loose.txt": "loose\n"})
    assert worked.engine.revert_checkpoint(merged).is_done
    has(repo, {"b.txt": text(l1="b"), "a.txt": text(l2="bad", l19="later"), "loose.txt": "loose\n"})
