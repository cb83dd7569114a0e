"""How much one run measures: the full scale that the bars are written for, and a quick one for daily work."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """The sizes and repetitions of one run."""

    name: str
    corpora: tuple[int, ...]
    rounds: int
    runs_per_round: int
    slow_runs_per_round: int
    engine_runs: int
    stepback_runs: int
    restore_runs: int
    timeline_runs: int
    start_runs_per_round: int
    series: int
    listed: int
    large_file_bytes: int
    gc_checkpoints: int
    gc_bytes: int
    slow_rounds: int
    database_bytes: int
    vectors: int


SMALL, MEDIUM, LARGE = 1_000, 20_000, 100_000

FULL = Scale(
    name="full",
    corpora=(SMALL, MEDIUM, LARGE),
    rounds=5,
    runs_per_round=3,
    slow_runs_per_round=1,
    engine_runs=15,
    stepback_runs=5,
    restore_runs=11,
    timeline_runs=9,
    start_runs_per_round=6,
    series=1_000,
    listed=10_000,
    large_file_bytes=2_000_000_000,
    gc_checkpoints=1_000,
    gc_bytes=10_000_000_000,
    slow_rounds=3,
    database_bytes=2_000_000_000,
    vectors=200_000,
)
QUICK = Scale(
    name="quick",
    corpora=(SMALL, MEDIUM),
    rounds=2,
    runs_per_round=2,
    slow_runs_per_round=1,
    engine_runs=7,
    stepback_runs=3,
    restore_runs=5,
    timeline_runs=3,
    start_runs_per_round=5,
    series=100,
    listed=500,
    large_file_bytes=300_000_000,
    gc_checkpoints=60,
    gc_bytes=600_000_000,
    slow_rounds=1,
    database_bytes=200_000_000,
    vectors=20_000,
)
