"""Effects that no restore takes back: kept in the log, and listed by the plans of what goes back behind them."""

from __future__ import annotations

import pytest

from chronos.errors import UnknownTimelineError, UsageError
from tests.support import RepoBuilder


@pytest.fixture
def work(repo: RepoBuilder) -> RepoBuilder:
    """One checkpoint, a push after it, and another checkpoint."""
    repo.write("a.txt", "a\n")
    repo.commit()
    engine = repo.engine()
    engine.create_checkpoint("one")
    engine.record_effects(["pushes main to origin"], "git push origin main")
    repo.write("a.txt", "two\n")
    engine.create_checkpoint("two")
    return repo


def shown(found: list) -> list[str]:  # type: ignore[type-arg]
    return [effect for one in found for effect in one.effects]


def test_a_plan_lists_what_came_after_the_checkpoint(work: RepoBuilder) -> None:
    engine = work.engine()
    assert shown(engine.plan_restore("one").effects) == ["pushes main to origin"]
    assert shown(engine.plan_restore("two").effects) == []
    engine.record_effects(["sends mail"], "mail x", checkpoint="two")
    assert shown(engine.plan_restore("two").effects) == ["sends mail"]
    assert shown(engine.plan_restore("one").effects) == ["sends mail", "pushes main to origin"]
    assert engine.plan_restore("one").effects[1].command == "git push origin main"


def test_effects_do_not_change_the_plan_id(work: RepoBuilder) -> None:
    engine = work.engine()
    before = engine.plan_restore("one").plan_id
    engine.record_effects(["sends mail"], "mail x")
    assert engine.plan_restore("one").plan_id == before
    assert shown(engine.restore_checkpoint("one", plan_id=before).plan.effects) == [
        "sends mail",
        "pushes main to origin",
    ]


def test_the_plan_of_an_undo_lists_what_came_after_the_operation(work: RepoBuilder) -> None:
    engine = work.engine()
    engine.restore_checkpoint("one")
    assert shown(engine.plan_undo()[1].effects) == []
    engine.record_effects(["publishes 1.0"], "twine upload")
    assert shown(engine.plan_undo()[1].effects) == ["publishes 1.0"]
    assert shown(engine.undo().plan.effects) == ["publishes 1.0"]


def test_effects_belong_to_a_timeline(work: RepoBuilder) -> None:
    engine = work.engine()
    engine.branch_timeline("feature", "one")
    with engine.open_timeline("feature") as there:
        there.record_effects(["drops a table"], "psql")
        assert shown(there.plan_restore("feature@").effects) == ["drops a table"]
        assert shown(there.plan_restore("main@~1").effects) == ["drops a table"]
    assert shown(engine.plan_restore("one").effects) == ["pushes main to origin"]
    assert shown(engine.list_annotations("feature")) == ["drops a table"]
    engine.record_effects(["from afar"], "x", timeline="feature")
    assert shown(engine.list_annotations("feature")) == ["from afar", "drops a table"]
    with pytest.raises(UnknownTimelineError):
        engine.record_effects(["x"], "y", timeline="nowhere")


def test_effects_are_no_operations_and_survive_the_loss_of_the_catalog(work: RepoBuilder) -> None:
    engine = work.engine()
    assert [one.summary for one in engine.list_operations()] == ["create two", "create one"]
    engine.close()
    for path in (work.store / ".store").glob("catalog.sqlite*"):
        path.unlink()
    assert shown(work.engine().list_annotations()) == ["pushes main to origin"]
    assert work.engine().verify() == []


def test_effects_are_recorded_before_there_is_a_checkpoint(repo: RepoBuilder) -> None:
    engine = repo.engine()
    engine.record_effects(["pushes"], "git push")
    engine.create_checkpoint("one")
    assert shown(engine.list_annotations()) == ["pushes"]
    assert shown(engine.plan_restore("one").effects) == []


def test_no_effects_are_refused_and_very_many_are_counted(work: RepoBuilder) -> None:
    engine = work.engine()
    for none in ([], ["", " "]):
        with pytest.raises(UsageError):
            engine.record_effects(none, "git push")
    engine.record_effects([f"effect {number}" for number in range(500)], "x" * 10_000)
    found = engine.list_annotations()[0]
    assert (len(found.effects), found.effects[-1]) == (100, "and 401 more")
    assert len(found.command) < 3000
