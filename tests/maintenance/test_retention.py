"""Retention: what goes by itself, what stays, and that no clock can make it take the newest."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from chronos.catalog import CheckpointRow
from chronos.checkpoints import Trigger
from chronos.config import Config
from chronos.maintenance import is_due
from chronos.maintenance.retention import Rules, Ties, find_forks, find_joins, judge
from tests.maintenance.conftest import NO_LIMITS, STRICT, Shift, names, take
from tests.support import RepoBuilder

NOW = datetime(2026, 3, 15, 12, tzinfo=UTC)
MONTH = timedelta(days=31)


def rows(count: int, *, step: timedelta = timedelta(minutes=1), start: datetime = NOW) -> list[CheckpointRow]:
    """Automatic checkpoints, the newest first: number `count` at `start`, each older one `step` before."""
    return [
        CheckpointRow(
            f"{number:016x}", "main", number, f"c{number}", "", None, (start - step * (count - number)).isoformat(),
            "automatic", (), 0, "complete", "",
        )
        for number in range(count, 0, -1)
    ]  # fmt: skip


def stays(found: list[CheckpointRow], ties: Ties | None = None, *, named: bool = False, **settings: int) -> list[int]:
    """Return the sequence numbers that stay, by rules of which only `settings` hold."""
    nothing = Config(
        keep_last=0, keep_hourly=0, keep_daily=0, keep_weekly=0, retention_days=0, max_checkpoints_per_timeline=0
    )  # fmt: skip
    rules = Rules(msgspec.structs.replace(nothing, **settings), NOW, named)
    return sorted(verdict.row.sequence for verdict in judge(found, ties or Ties(), rules) if not verdict.goes)


def test_the_count_takes_the_oldest_automatic_checkpoints() -> None:
    assert stays(rows(8), max_checkpoints_per_timeline=3) == [6, 7, 8]


def test_age_takes_what_is_older_and_leaves_the_newest_of_the_timeline() -> None:
    assert stays(rows(5, step=timedelta(days=10)), retention_days=25) == [3, 4, 5]
    assert stays(rows(3, start=NOW - timedelta(days=99)), retention_days=25) == [3]


def test_without_limits_everything_stays() -> None:
    assert len(stays(rows(500, step=timedelta(days=3)))) == 500


def test_keep_rules_leave_the_newest_of_each_hour_day_and_week() -> None:
    found = rows(200, step=timedelta(hours=6))
    assert stays(found, max_checkpoints_per_timeline=1, keep_daily=3) == [193, 197, 200]
    assert len(stays(found, max_checkpoints_per_timeline=1, keep_hourly=5)) == 5
    assert len(stays(found, max_checkpoints_per_timeline=1, keep_weekly=4)) == 4
    assert stays(found, max_checkpoints_per_timeline=1, keep_last=7) == [194, 195, 196, 197, 198, 199, 200]


@pytest.mark.parametrize("years", [-30, 30])
@pytest.mark.parametrize("step", [timedelta(0), timedelta(days=400), timedelta(days=-400)])
def test_no_clock_makes_retention_take_the_newest(years: int, step: timedelta) -> None:
    """Created years before or after now, at one time, or in the reverse order: the sequence counts."""
    found = rows(20, step=step, start=NOW + timedelta(days=365 * years))
    left = stays(found, max_checkpoints_per_timeline=3, retention_days=1, keep_last=5)
    assert left[-5:] == [16, 17, 18, 19, 20]


def test_pinned_tagged_forked_and_tied_checkpoints_stay() -> None:
    found = rows(9)
    found[8] = msgspec.structs.replace(found[8], pinned=True)
    found[7] = msgspec.structs.replace(found[7], tags=("release",))
    states, forks, joins = (frozenset({found[place].checkpoint_id}) for place in (6, 5, 4))
    ties = Ties(states, frozenset(), forks, joins)
    assert stays(found, ties, max_checkpoints_per_timeline=1) == [1, 2, 3, 4, 5, 9]


def test_what_ties_two_timelines_together_stays() -> None:
    repo_rows = rows(4)
    repo_rows[1] = msgspec.structs.replace(repo_rows[1], other_parents=("f" * 16,))
    elsewhere = msgspec.structs.replace(
        repo_rows[0], checkpoint_id="e" * 16, timeline="side", parent=repo_rows[3].checkpoint_id
    )
    found = [*repo_rows, elsewhere]
    assert find_joins(found) == {repo_rows[1].checkpoint_id, elsewhere.checkpoint_id}
    assert find_forks(found) == {repo_rows[3].checkpoint_id}


def test_named_checkpoints_count_only_where_that_is_asked_for() -> None:
    found = [msgspec.structs.replace(row, trigger="manual") for row in rows(6)]
    assert len(stays(found, max_checkpoints_per_timeline=2)) == 6
    assert stays(found, named=True, max_checkpoints_per_timeline=2) == [5, 6]


def test_automatic_checkpoints_over_the_limit_go_after_the_create_that_exceeds_it(work: RepoBuilder) -> None:
    engine = work.engine(**STRICT, CHRONOS_MAX_CHECKPOINTS_PER_TIMELINE="3")
    take(work, engine, "named", automatic=False)
    take(work, engine, *"abcdef")
    assert names(engine) == ["named", "d", "e", "f"]
    assert not list(work.store.glob("main/.gone-*")), "nothing half-way is left"
    assert engine.verify() == []


def test_checkpoints_that_have_to_stay_do_not_make_every_create_look_again(work: RepoBuilder) -> None:
    engine = work.engine(**STRICT, CHRONOS_MAX_CHECKPOINTS_PER_TIMELINE="2")
    for name in ("k1", "k2", "k3", "k4", "k5"):
        take(work, engine, name)
        engine.pin_checkpoint(name)
    take(work, engine, "x")
    store = engine._here.get_store()
    take(work, engine, "y")
    assert not is_due(store, "main", Trigger.AUTOMATIC)
    take(work, engine, *"zw")
    assert names(engine)[:5] == ["k1", "k2", "k3", "k4", "k5"]
    assert len(names(engine)) <= 7


def test_the_names_of_the_guide_set_the_limits(work: RepoBuilder) -> None:
    config = work.engine(CHRONOS_MAX_CHECKPOINTS_PER_TIMELINE="7", CHRONOS_CHECKPOINT_RETENTION_DAYS="9").config
    assert (config.max_checkpoints_per_timeline, config.retention_days) == (7, 9)
    assert (Config().max_checkpoints_per_timeline, Config().retention_days) == (50, 30)


def test_old_automatic_checkpoints_go_a_month_later_and_named_ones_stay(work: RepoBuilder, shift: Shift) -> None:
    engine = work.engine(**STRICT)
    take(work, engine, "named", automatic=False)
    take(work, engine, *"abc")
    shift(MONTH)
    take(work, engine, "much later", automatic=False)
    assert names(engine) == ["named", "much later"]


def test_a_setting_lets_retention_take_named_checkpoints_and_undo_ends_cleanly(work: RepoBuilder) -> None:
    engine = work.engine(
        **STRICT, CHRONOS_MAX_CHECKPOINTS_PER_TIMELINE="2", CHRONOS_RETENTION_INCLUDES_NAMED="true"
    )  # fmt: skip
    take(work, engine, *"abcd", automatic=False)
    assert names(engine) == ["c", "d"]
    assert [operation.kind.value for operation in engine.list_operations()].count("gc") == 2
    engine.undo()
    engine.undo()
    with pytest.raises(Exception, match="past its grace"):
        engine.undo()
    assert engine.verify() == []


def test_without_auto_gc_nothing_goes_by_itself(work: RepoBuilder, shift: Shift) -> None:
    engine = work.engine(**STRICT, **NO_LIMITS, CHRONOS_MAX_CHECKPOINTS_PER_TIMELINE="1")
    take(work, engine, *"abcd")
    shift(MONTH)
    take(work, engine, "e")
    assert names(engine) == [*"abcde"]


def test_a_safety_checkpoint_stays_for_a_month_and_the_last_operations(
    work: RepoBuilder, shift: Shift, short_grace: int
) -> None:
    engine = work.engine(**STRICT)
    take(work, engine, "first", automatic=False)
    work.write("data.bin", "unsaved work")
    engine.restore_checkpoint("first")
    shift(MONTH)
    take(work, engine, "second", automatic=False)
    engine.gc()
    assert "before restore of first" in names(engine), "its operation is one of the last"
    for number in range(3):
        engine.create_checkpoint(f"filler {number}")
    engine.gc()
    assert "before restore of first" in names(engine), "it is the last of them"
    engine.create_checkpoint("one more")
    engine.gc()
    assert "before restore of first" not in names(engine)
    assert not list((work.store / ".store/changes").iterdir()), "what it changed is forgotten as well"
    assert engine.verify() == []


def test_undo_stops_with_a_clear_message_where_the_grace_ends(
    work: RepoBuilder, shift: Shift, short_grace: int
) -> None:
    engine = work.engine(**STRICT)
    for number in range(short_grace + 5):
        engine.create_checkpoint(f"c{number}")
    shift(MONTH)
    engine.gc()
    operations = engine.list_operations()
    assert operations[0].kind.value == "gc"
    assert "5 operations past undo" in operations[0].summary
    for _ in range(short_grace):
        engine.undo()
    with pytest.raises(Exception, match="what came before is past its grace"):
        engine.undo()
    engine.redo()


def test_what_redo_leads_to_stays(work: RepoBuilder) -> None:
    engine = work.engine(**STRICT, CHRONOS_MAX_CHECKPOINTS_PER_TIMELINE="1")
    take(work, engine, "target")
    wanted = work.read("data.bin")
    work.write("data.bin", "now")
    engine.restore_checkpoint("target")
    engine.undo()
    take(work, engine, *"abc")
    engine.gc()
    work.write("data.bin", "now")
    engine.redo(overwrite=True)
    assert work.read("data.bin") == wanted


def test_deciding_that_nothing_is_due_takes_no_time(work: RepoBuilder) -> None:
    """A look at one fact, or at an index that holds only live automatic checkpoints."""
    engine = work.engine()
    take(work, engine, *"ab")
    store = engine._here.get_store()
    seen: list[str] = []
    store.catalog._connection.set_trace_callback(seen.append)
    assert not is_due(store, "main", Trigger.AUTOMATIC)
    store.catalog._connection.set_trace_callback(None)
    plans = [store.catalog._connection.execute(f"EXPLAIN QUERY PLAN {statement}").fetchall() for statement in seen]
    steps = [row[3] for plan in plans for row in plan]
    assert seen
    assert not [step for step in steps if step.startswith("SCAN")], steps
    assert any("automatic_checkpoints" in step for step in steps)
