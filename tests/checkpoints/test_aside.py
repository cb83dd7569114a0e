"""Memory stores that are set aside: no reason for a checkpoint, and as they are after a restore."""

from __future__ import annotations

import pytest

from chronos import ChronosEngine
from chronos.checkpoints import Trigger
from tests.support import RepoBuilder
from tests.support.databases import add_notes, make_notes, read_notes

ASIDE = "data/memory/state.db"


@pytest.fixture
def engine(repo: RepoBuilder) -> ChronosEngine:
    repo.write("a.txt", "first\n")
    repo.commit()
    make_notes(repo.root / ASIDE, 2)
    make_notes(repo.root / "data/memory/other.db", 2)
    return repo.engine()


def take(engine: ChronosEngine, *aside: str, trigger: Trigger = Trigger.AUTOMATIC) -> tuple[str, bool]:
    created = engine.take_checkpoint("auto", trigger=trigger, aside=aside)
    return created.checkpoint_id, created.created


def test_its_changes_alone_are_no_reason_for_an_automatic_checkpoint(repo: RepoBuilder, engine: ChronosEngine) -> None:
    first, _ = take(engine, ASIDE)
    add_notes(repo.root / ASIDE, "more")
    assert take(engine, ASIDE) == (first, False)
    assert take(engine, str(repo.root / ASIDE)) == (first, False)
    assert take(engine)[1], "to everybody else it is a change like any other"
    repo.remove(ASIDE)
    assert not take(engine, ASIDE)[1]
    assert take(engine, ASIDE, trigger=Trigger.MANUAL)[1]


def test_every_other_change_is_one(repo: RepoBuilder, engine: ChronosEngine) -> None:
    first, _ = take(engine, ASIDE)
    for change in (
        lambda: repo.write("a.txt", "second\n"),
        lambda: add_notes(repo.root / "data/memory/other.db", "more"),
        lambda: repo.git("add", "a.txt"),
        lambda: repo.remove("a.txt"),
    ):
        add_notes(repo.root / ASIDE, "more")
        change()
        found, created = take(engine, ASIDE)
        assert created
        assert found != first
        assert engine.show_checkpoint(found).memory[-1].path == ASIDE, "what is taken has all stores"


def test_a_restore_leaves_it_as_it_is(repo: RepoBuilder, engine: ChronosEngine) -> None:
    first, _ = take(engine)
    for name in (ASIDE, "data/memory/other.db"):
        add_notes(repo.root / name, "more")
    repo.write("a.txt", "second\n")
    plan = engine.plan_restore(first, aside=[ASIDE])
    assert [change.path for change in plan.change_set.stores] == ["data/memory/other.db"]
    engine.restore_checkpoint(first, aside=[ASIDE], plan_id=plan.plan_id)
    assert (len(read_notes(repo.root / ASIDE)), len(read_notes(repo.root / "data/memory/other.db"))) == (3, 2)
    assert repo.read("a.txt") == b"first\n"
    engine.undo()
    assert (len(read_notes(repo.root / ASIDE)), len(read_notes(repo.root / "data/memory/other.db"))) == (3, 3)


def test_a_store_that_came_later_is_not_removed_when_it_is_aside(repo: RepoBuilder, engine: ChronosEngine) -> None:
    first, _ = take(engine)
    make_notes(repo.root / "data/memory/new.db", 1)
    engine.restore_checkpoint(first, aside=["data/memory/new.db"])
    assert read_notes(repo.root / "data/memory/new.db") == ["note 0"]
