"""The bars: what must be at most how much of what. Written once here, judged against the measured medians.

A measurement is named `situation/program`, such as `process-1000/borg`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from benchmarks.memory_stores import ROWS_APPENDED, ROWS_CHANGED
from benchmarks.merging import ROWS_CHANGED_ON_EACH_SIDE, ROWS_MERGED
from benchmarks.results import Missing, Outcome, Samples, Unit, show
from benchmarks.scale import LARGE, SMALL, Scale

_PACK_MB = 256 * 1024 * 1024 / 1e6


class Verdict(Enum):
    """How a bar was judged."""

    MET = "met"
    MISSED = "**MISSED**"
    UNKNOWN = "**NOT MEASURED**"
    LEFT_OUT = "left out"


@dataclass(frozen=True)
class Bar:
    """`subject` must be at most `limit`: times `reference`, or in `unit` when there is no reference."""

    work: str
    subject: str
    limit: float
    reference: str | None = None
    unit: Unit = "s"


@dataclass(frozen=True)
class Row:
    """One judged bar, ready to be shown."""

    work: str
    ours: str
    reference: str
    ratio: str
    bar: str
    verdict: Verdict


def list_bars(scale: Scale) -> list[Bar]:
    """Return every bar, with the sizes that `scale` really measures in its words."""
    last, half_dead = scale.series, f"{scale.gc_bytes / 1e9:g} GB of chunks, half of them dead"
    return [
        *_create_bars("`chrono checkpoint create`, whole process", "process", SMALL, {"borg": 0.45, "restic": 0.15}),
        *_create_bars("`chrono checkpoint create`, whole process", "process", LARGE, {"git stash": 1.8, "borg": 0.12}),
        Bar(f"`engine.create_checkpoint`, {SMALL:,} files", f"engine-{SMALL}/chrono", 0.025),
        *_create_bars("`engine.create_checkpoint`", "engine", SMALL, {"stepback": 0.6}),
        *_create_bars("`engine.create_checkpoint`", "engine", LARGE, {"git status": 1.4, "stepback": 0.2}),
        *_create_bars("`engine.restore_checkpoint` of 35 paths", "restore", LARGE, {"git status": 3.5}),
        Bar(f"checkpoint number {last:,} against number 10", "series/last", 1.15, "series/early"),
        Bar(f"`chrono checkpoint list`, {scale.listed:,} checkpoints", "start/list", 0.120),
        Bar("`chrono --version`", "start/version", 0.070),
        Bar("disk per checkpoint of a one-line edit, allocated", "series/allocated", 36, unit="KiB"),
        Bar("disk per checkpoint of a one-line edit, sum of file sizes", "series/sizes", 6, unit="KiB"),
        Bar(f"`chrono gc`, {scale.gc_checkpoints:,} checkpoints, {half_dead}", "gc/chrono", 60),
        Bar(f"extra space of it, {half_dead}", "gc/extra", _PACK_MB, unit="MB"),
        Bar(f"peak memory of it, {half_dead}", "gc/peak", 300, unit="MB"),
        Bar(f"peak memory, capturing {scale.large_file_bytes / 1e9:g} GB in one file", "memory/peak", 250, unit="MB"),
        *_merge_bars(f"merge of SQLite, {ROWS_MERGED:,} rows, {ROWS_CHANGED_ON_EACH_SIDE:,} changed on each side"),
        *_memory_bars(f"{scale.database_bytes / 1e9:g} GB SQLite database", f"{scale.vectors:,} vectors"),
    ]


def _memory_bars(database: str, table: str) -> list[Bar]:
    changed, first = f"checkpoint of a {database}, {ROWS_CHANGED} rows changed", f"first checkpoint of a {database}"
    grown = f"LanceDB, {table}, {ROWS_APPENDED:,} appended: stored against the new files"
    return [
        Bar(changed, "sqlite/changed, chrono", 0.30, "sqlite/changed, restic"),
        Bar(changed, "sqlite/changed, chrono", 0.25, "sqlite/changed, borg"),
        Bar(f"{changed}: new data stored", "sqlite/stored", 64, unit="MB"),
        Bar("the same without a change, more than without memory", "sqlite/unchanged", 0.015),
        Bar(first, "sqlite/first, chrono", 0.6, "sqlite/first, restic"),
        Bar(f"restore of a {database}", "sqlite/restored, chrono", 0.8, "sqlite/restored, restic"),
        Bar(grown, "lancedb/stored", 1.15, "lancedb/new files"),
        Bar("peak memory of any of these", "sqlite/peak", 300, unit="MB"),
        Bar(f"peak memory, LanceDB, {table}", "lancedb/peak", 300, unit="MB"),
    ]


def _merge_bars(rows: str) -> list[Bar]:
    return [Bar(rows, "merge/rows", 5), Bar(f"peak memory of all processes, {rows}", "merge/peak", 300, unit="MB")]


def _create_bars(work: str, situation: str, files: int, limits: Mapping[str, float]) -> list[Bar]:
    return [
        Bar(f"{work}, {files:,} files", f"{situation}-{files}/chrono", limit, f"{situation}-{files}/{peer}")
        for peer, limit in limits.items()
    ]


def judge(bar: Bar, outcomes: Mapping[str, Outcome]) -> Row:
    """Compare the medians that `bar` names; a missing one is shown with its reason."""
    ours = outcomes.get(bar.subject, Missing("not in this run"))
    if bar.reference is None:
        if not isinstance(ours, Samples):
            return _row(bar, ours, None, None)
        return _row(bar, ours, None, ours.median)
    theirs = outcomes.get(bar.reference, Missing("not in this run"))
    if isinstance(ours, Samples) and isinstance(theirs, Samples):
        return _row(bar, ours, theirs, ours.median / theirs.median)
    return _row(bar, ours, theirs, None)


def _row(bar: Bar, ours: Outcome, theirs: Outcome | None, compared: float | None) -> Row:
    if compared is None:
        gaps = [one for one in (ours, theirs) if isinstance(one, Missing)]
        verdict = Verdict.LEFT_OUT if all(gap.is_planned for gap in gaps) else Verdict.UNKNOWN
    else:
        verdict = Verdict.MET if compared <= bar.limit else Verdict.MISSED
    peer = "" if bar.reference is None else bar.reference.partition("/")[2]
    return Row(
        work=bar.work,
        ours=_figure(ours),
        reference="" if theirs is None else f"{peer}: {_figure(theirs)}",
        ratio="" if theirs is None or compared is None else f"{compared:.2f}",
        bar=f"≤ {_limit(bar)}" if bar.reference is None else f"≤ {bar.limit:g} x {peer}",
        verdict=verdict,
    )


def _figure(outcome: Outcome) -> str:
    return show(outcome.median, outcome.unit) if isinstance(outcome, Samples) else f"**{outcome.reason}**"


def _limit(bar: Bar) -> str:
    if bar.unit == "s" and bar.limit < 1:
        return f"{bar.limit * 1000:g} ms"
    return f"{bar.limit:g} {bar.unit}"
