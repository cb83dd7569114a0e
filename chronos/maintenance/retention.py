"""Which checkpoints go and which stay, with the reasons: rules over rows of the catalog. Nothing here touches a file.

Count and age speak of automatic checkpoints, and of named ones where that is asked for; the keep rules make exceptions.
Order is that of the sequence numbers, never of a clock: one that is years off costs at most the rules by time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from chronos import clock
from chronos.catalog import CheckpointRow
from chronos.checkpoints import Trigger, VerdictResult
from chronos.config import Config
from chronos.operations import GRACE_DAYS, is_young

# A bucket of each keep rule by time, as a format: one checkpoint stays in each (ISO weeks begin on Monday).
_BUCKETS = {"hour": "%Y-%m-%d %H", "day": "%Y-%m-%d", "week": "%G-%V"}


class Verdict(msgspec.Struct, frozen=True):
    """Whether a checkpoint goes, and why, or why it stays."""

    row: CheckpointRow
    goes: bool
    reasons: tuple[str, ...]


class Rules(msgspec.Struct, frozen=True):
    """What the rules go by: the settings, the moment, and whether named checkpoints count and the shelf is emptied."""

    config: Config
    now: datetime
    includes_named: bool = False
    empties_shelf: bool = False


class Ties(msgspec.Struct, frozen=True):
    """What holds checkpoints from outside their timeline, by id.

    `states` are those that undo and redo lead to, `moves` those that an operation within its grace created or deleted,
    `forks` those that a checkpoint of another timeline has for a parent, and `joins` those that have such a parent.
    """

    states: frozenset[str] = frozenset()
    moves: frozenset[str] = frozenset()
    forks: frozenset[str] = frozenset()
    joins: frozenset[str] = frozenset()


def find_forks(rows: Sequence[CheckpointRow]) -> frozenset[str]:
    """Return the ids of checkpoints from which another timeline goes on."""
    homes = {row.checkpoint_id: row.timeline for row in rows}
    parents = ((row, parent) for row in rows for parent in (row.parent, *row.other_parents) if parent is not None)
    return frozenset(parent for row, parent in parents if homes.get(parent, row.timeline) != row.timeline)


def find_joins(rows: Sequence[CheckpointRow]) -> frozenset[str]:
    """Return the ids of checkpoints with which a timeline begins in another one, or merges one."""
    homes = {row.checkpoint_id: row.timeline for row in rows}
    joins = (row for row in rows if row.other_parents or homes.get(row.parent or "", row.timeline) != row.timeline)
    return frozenset(row.checkpoint_id for row in joins)


def judge(rows: Sequence[CheckpointRow], ties: Ties, rules: Rules) -> list[Verdict]:
    """Judge the live checkpoints of one timeline, in the order of their sequence, the newest first."""
    ordered = sorted(rows, key=lambda row: (-row.sequence, row.checkpoint_id))
    counted = [row for row in ordered if _is_counted(row, rules)]
    by_rule = _keep_by_rule(counted, rules.config)
    places = {row.checkpoint_id: place for place, row in enumerate(counted)}
    newest = ordered[0].checkpoint_id if ordered else ""
    green = next((row.checkpoint_id for row in ordered if row.verdict == VerdictResult.PASSED.value), "")
    found = []
    for row in ordered:
        against = _reasons_to_go(row, places.get(row.checkpoint_id), rules)
        kept = _ties(row, ties, newest, green) + by_rule.get(row.checkpoint_id, ())
        if against and not kept:
            found.append(Verdict(row, True, against))
        else:
            found.append(Verdict(row, False, kept or (_plain_reason(row, rules),)))
    return found


def judge_shelf(rows: Sequence[CheckpointRow], ties: Ties, rules: Rules) -> list[Verdict]:
    """Judge deleted checkpoints: they stay as long as an undo can bring them back, or lead to their state."""
    found = []
    for row in rows:
        if row.checkpoint_id in ties.states:
            found.append(Verdict(row, False, ("deleted, and undo or redo leads to its state",)))
        elif row.checkpoint_id in ties.moves and not rules.empties_shelf:
            found.append(Verdict(row, False, ("deleted, and undo can bring it back",)))
        else:
            found.append(Verdict(row, True, ("deleted",)))
    return found


def _is_counted(row: CheckpointRow, rules: Rules) -> bool:
    return row.trigger == Trigger.AUTOMATIC.value or (row.trigger == Trigger.MANUAL.value and rules.includes_named)


def _reasons_to_go(row: CheckpointRow, place: int | None, rules: Rules) -> tuple[str, ...]:
    config, reasons = rules.config, []
    if row.trigger == Trigger.SAFETY.value:
        return () if is_young(row.created_at, rules.now) else ("its operation can be undone no more",)
    if place is None:
        return ()
    if config.max_checkpoints_per_timeline and place >= config.max_checkpoints_per_timeline:
        reasons.append(f"{config.max_checkpoints_per_timeline} are newer")
    if config.retention_days and _is_older(row, rules.now, config.retention_days):
        reasons.append(f"older than {config.retention_days} days")
    return tuple(reasons)


def _is_older(row: CheckpointRow, now: datetime, days: int) -> bool:
    moment = _moment(row)
    return moment is not None and (now - moment) / timedelta(days=1) > days


def _moment(row: CheckpointRow) -> datetime | None:
    try:
        return clock.from_text(row.created_at)
    except ValueError:
        return None


def _keep_by_rule(counted: Sequence[CheckpointRow], config: Config) -> Mapping[str, tuple[str, ...]]:
    """Return why the rules keep checkpoints: the newest ones, and the newest of each hour, day and week."""
    kept: dict[str, tuple[str, ...]] = {}
    for row in counted[: config.keep_last]:
        kept[row.checkpoint_id] = (f"one of the newest {config.keep_last}",)
    for (span, bucket), most in zip(
        _BUCKETS.items(), (config.keep_hourly, config.keep_daily, config.keep_weekly), strict=True
    ):
        seen: set[str] = set()
        for row in counted:
            moment = _moment(row)
            name = moment.strftime(bucket) if moment is not None else ""
            if moment is not None and name not in seen and len(seen) < most:
                seen.add(name)
                kept[row.checkpoint_id] = (*kept.get(row.checkpoint_id, ()), f"newest of its {span}")
    return kept


def _ties(row: CheckpointRow, ties: Ties, newest: str, green: str) -> tuple[str, ...]:
    reasons = {
        "newest of its timeline": row.checkpoint_id == newest,
        "the newest that passed": row.checkpoint_id == green,
        "pinned": row.pinned,
        "tagged": bool(row.tags),
        "another timeline goes on from it": row.checkpoint_id in ties.forks,
        "it ties two timelines": row.checkpoint_id in ties.joins,
        "undo or redo leads to its state": row.checkpoint_id in ties.states,
    }
    return tuple(reason for reason, holds in reasons.items() if holds)


def _plain_reason(row: CheckpointRow, rules: Rules) -> str:
    if row.trigger == Trigger.SAFETY.value:
        return f"taken before a restore, and not {GRACE_DAYS} days old"
    return "within the limits" if _is_counted(row, rules) else "named"
