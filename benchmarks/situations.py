"""The situations that are measured, each under one name; every one of them yields `situation/program` outcomes."""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.corpus import Corpus, build_corpus
from benchmarks.driver import SPREAD, find_young
from benchmarks.hyperfine import Command, measure_rounds
from benchmarks.memory_stores import measure_lancedb, measure_sqlite
from benchmarks.merging import measure_merge
from benchmarks.peers import find_peer
from benchmarks.programs import ProgramError, Sealed, find_chrono, run, run_module
from benchmarks.results import Missing, Outcome, Samples
from benchmarks.scale import FULL, LARGE, MEDIUM, SMALL, Scale
from benchmarks.store_size import StoreSize, measure_store

Outcomes = dict[str, Outcome]
NO_CHRONO = Missing("chrono not installed")
TINY = 100


@dataclass
class Bench:
    """One run: where it works, how much it measures, and the corpora that it has built so far."""

    folder: Path
    sealed: Sealed
    scale: Scale
    say: Callable[[str], None]
    corpora: dict[int, Corpus] = field(default_factory=dict)

    def find_corpus(self, files: int) -> Corpus:
        """Return the shared corpus of `files` files, built when first asked for."""
        if files not in self.corpora:
            self.corpora[files] = self.build_corpus(f"corpus-{files}", files)
        return self.corpora[files]

    def build_corpus(self, name: str, files: int, *, is_clean: bool = False) -> Corpus:
        """Build a corpus that no other situation works on."""
        self.say(f"building {name}")
        return build_corpus(self.folder / name, files, self.sealed, is_clean=is_clean)


def measure_processes(bench: Bench, situation: str, files: int) -> Outcomes:
    """Time a whole-process checkpoint and the peers' counterpart; restic sits out the largest corpus (no bar)."""
    corpus = bench.find_corpus(files)
    names = ["chrono", "git stash", "borg", *(["restic"] if files < LARGE else [])]
    outcomes: Outcomes = {}
    commands: dict[str, Command] = {}
    scale = bench.scale
    for name in names:
        peer = find_peer(name, corpus, bench.folder)
        outcomes[name] = Missing(f"{name} not installed")
        if peer is not None:
            bench.say(f"setting up {name}")
            peer.set_up(bench.sealed)
            runs = scale.slow_runs_per_round if peer.is_slow else scale.runs_per_round
            commands[name] = Command(peer.command, runs, warmup=0 if peer.is_slow else 1)
    rounds = scale.rounds if files != MEDIUM else 2  # it has no bars
    prepare = [sys.executable, "-m", "benchmarks.edit", str(corpus.root), str(files)]
    outcomes |= measure_rounds(commands, prepare, rounds, bench.sealed)
    return _named(situation, outcomes)


def measure_engine(bench: Bench, situation: str, files: int) -> Outcomes:
    """Time a checkpoint in process against `git status` and stepback."""
    counts = (bench.scale.engine_runs, bench.scale.stepback_runs)
    return _drive_turns(bench, situation, "create", bench.find_corpus(files), *counts)


def measure_restore(bench: Bench, situation: str, files: int) -> Outcomes:
    """Time a restore in process against `git status`."""
    return _drive_turns(bench, situation, "restore", bench.find_corpus(files), bench.scale.restore_runs)


def measure_series(bench: Bench, situation: str, files: int) -> Outcomes:
    """Time the early and the late checkpoints of a long series, and weigh what one of them costs on disk.

    The store is weighed after the program that wrote it has ended, as its owner finds it. A checkpoint holds what
    differs from the base: the bar is for a tree in which nothing but the edited line does, and the weight with all
    differing paths of the corpus is shown beside it.
    """
    corpus, count = bench.build_corpus("series", files), bench.scale.series
    bench.build_corpus(find_young(corpus).root.name, files)
    timed = _drive_turns(bench, situation, "series", corpus, count)
    weights = _weigh(StoreSize(0, 0, 0), measure_store(corpus.store), count + SPREAD)
    outcomes = {f"{name}, 35 other paths differ": weight for name, weight in weights.items()}
    clean = bench.build_corpus("series-clean", files, is_clean=True)
    _drive("fill", clean, bench.sealed, SPREAD)
    before = measure_store(clean.store)
    _drive("fill", clean, bench.sealed, count)
    outcomes |= _weigh(before, measure_store(clean.store), count)
    return timed | _named(situation, outcomes)


def _weigh(before: StoreSize, after: StoreSize, expected: int) -> Outcomes:
    """Return what each checkpoint between two weighings costs; a retention would make that figure look better."""
    made = after.checkpoints - before.checkpoints
    if made != expected:
        raise ProgramError(f"{expected} checkpoints were made, {made} are in the store")
    return {
        "allocated": Samples(((after.allocated_bytes - before.allocated_bytes) / made / 1024,), "KiB"),
        "sizes": Samples(((after.file_bytes - before.file_bytes) / made / 1024,), "KiB"),
    }


def measure_start(bench: Bench, situation: str, files: int) -> Outcomes:
    """Time the list of a long history, and the start of the program."""
    chrono = find_chrono()
    if chrono is None:
        return _named(situation, dict.fromkeys(("list", "version"), NO_CHRONO))
    corpus = bench.build_corpus("history", files, is_clean=True)
    bench.say(f"making {bench.scale.listed:,} checkpoints")
    _drive("fill", corpus, bench.sealed, bench.scale.listed)
    _weigh(StoreSize(0, 0, 0), measure_store(corpus.store), bench.scale.listed)
    runs = bench.scale.start_runs_per_round
    commands = {
        "list": Command([chrono, "--root", str(corpus.root), "checkpoint", "list"], runs),
        "version": Command([chrono, "--version"], runs),
    }
    return _named(situation, measure_rounds(commands, None, bench.scale.rounds, bench.sealed))


def measure_memory(bench: Bench, situation: str, files: int) -> Outcomes:
    """Measure the peak memory of a checkpoint that has to hold one large, incompressible, ignored file."""
    chrono = find_chrono()
    if chrono is None:
        return _named(situation, {"peak": NO_CHRONO})
    corpus = bench.build_corpus("large", files)
    large = corpus.root / "weights.bin"
    (corpus.root / ".gitignore").write_text("*.bin\n")
    (corpus.root / ".chronoinclude").write_text(f"/{large.name}\n")
    _write_noise(large, bench.scale.large_file_bytes)
    bench.say("capturing the large file")
    command = [chrono, "--root", str(corpus.root), "checkpoint", "create", "large"]
    peak = int(run_module("benchmarks.peak", command, bench.sealed))
    held = measure_store(corpus.store).allocated_bytes
    if held < large.stat().st_size:
        return _named(situation, {"peak": Missing(f"the large file was not captured ({held:,} bytes stored)")})
    return _named(situation, {"peak": Samples((peak / 1e6,), "MB")})


def measure_gc(bench: Bench, situation: str, files: int) -> Outcomes:
    """Time one gc of a store whose every pack is half dead, and watch the space and the memory that it takes."""
    chrono = find_chrono()
    if chrono is None:
        return _named(situation, dict.fromkeys(("chrono", "extra", "peak"), NO_CHRONO))
    corpus, scale = bench.build_corpus("garbage", files, is_clean=True), bench.scale
    bench.say(f"making {scale.gc_checkpoints:,} pairs of checkpoints")
    counts = (str(scale.gc_checkpoints), str(scale.gc_bytes))
    run_module("benchmarks.garbage", ["fill", str(corpus.root), *counts], bench.sealed)
    report = json.loads(run_module("benchmarks.garbage", ["watch", str(corpus.root), chrono], bench.sealed))
    if report["gone"] < scale.gc_checkpoints - 1 or report["after"] > 0.52 * report["before"]:
        raise ProgramError(f"gc left {report['after']:,} of {report['before']:,} bytes")
    run([chrono, "--root", str(corpus.root), "verify"], bench.sealed)
    return _named(
        situation,
        {
            "chrono": Samples((report["seconds"],), "s"),
            "extra": Samples((report["extra"] / 1e6,), "MB"),
            "peak": Samples((report["peak"] / 1e6,), "MB"),
        },
    )


def measure_database(bench: Bench, situation: str, files: int) -> Outcomes:
    """Back a large database up and give it back, against restic and borg."""
    corpus = bench.build_corpus("database", files, is_clean=True)
    return _named(situation, measure_sqlite(corpus, bench.folder, bench.sealed, bench.scale, bench.say))


def measure_vectors(bench: Bench, situation: str, files: int) -> Outcomes:
    """Back a table of vectors up after an append, against restic and borg."""
    corpus = bench.build_corpus("vectors", files, is_clean=True)
    return _named(situation, measure_lancedb(corpus, bench.folder, bench.sealed, bench.scale, bench.say))


def measure_merged_rows(bench: Bench, situation: str, files: int) -> Outcomes:
    """Merge databases that both sides changed in other rows; no repository takes part."""
    return _named(situation, measure_merge(bench.folder, bench.sealed, bench.scale, bench.say))


def _write_noise(path: Path, size_bytes: int) -> None:
    chance = random.Random(size_bytes)
    with path.open("wb") as file:
        for start in range(0, size_bytes, 1 << 20):
            file.write(chance.randbytes(min(1 << 20, size_bytes - start)))


def _drive(work: str, corpus: Corpus, sealed: Sealed, *counts: int) -> dict[str, Any]:
    arguments = [work, str(corpus.root), str(corpus.files), *map(str, counts)]
    report: dict[str, Any] = json.loads(run_module("benchmarks.driver", arguments, sealed))
    return report


def _drive_turns(bench: Bench, situation: str, work: str, corpus: Corpus, *counts: int) -> Outcomes:
    report = _drive(work, corpus, bench.sealed, *counts)
    outcomes: Outcomes = {name: Missing(reason) for name, reason in report["missing"].items()}
    outcomes |= {name: Samples(tuple(values), "s") for name, values in report["seconds"].items()}
    return _named(situation, outcomes)


def _named(situation: str, outcomes: Outcomes) -> Outcomes:
    return {f"{situation}/{program}": outcome for program, outcome in outcomes.items()}


@dataclass(frozen=True)
class Situation:
    """A named thing to measure, on a corpus of `files` files."""

    name: str
    files: int
    measure: Callable[[Bench, str, int], Outcomes]

    def run(self, bench: Bench) -> Outcomes:
        """Measure it. Raises ProgramError."""
        return self.measure(bench, self.name, self.files)


def list_situations() -> list[Situation]:
    """Return every situation, in the order of a run."""
    by_size = [
        Situation(f"{name}-{files}", files, measure)
        for files in FULL.corpora
        for name, measure in (
            ("process", measure_processes),
            ("restore", measure_restore),
            ("engine", measure_engine),
        )
    ]
    return [
        *by_size,
        Situation("series", SMALL, measure_series),
        Situation("start", TINY, measure_start),
        Situation("memory", TINY, measure_memory),
        Situation("gc", TINY, measure_gc),
        Situation("sqlite", TINY, measure_database),
        Situation("lancedb", TINY, measure_vectors),
        Situation("merge", TINY, measure_merged_rows),
    ]
