"""Memory stores against restic and borg: a large database that changes a little, and a table that grows a little.

Every run is a whole process, timed here because it takes seconds. Ours and the peers take turns at the same states. The
peers back the database file up as it lies: nobody writes to it meanwhile, so that it is whole.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmarks.corpus import Corpus
from benchmarks.hyperfine import Command, measure_rounds
from benchmarks.programs import Sealed, find_chrono, find_program, run, run_module
from benchmarks.results import Missing, Outcome, Samples
from benchmarks.scale import Scale

ROWS_CHANGED = 500
ROWS_APPENDED = 1_000
Outcomes = dict[str, Outcome]
Say = Callable[[str], None]


class Rivals:
    """The programs of one situation, on one place: how each backs it up, and gives it back."""

    def __init__(self, corpus: Corpus, place: Path, folder: Path, sealed: Sealed) -> None:
        self._corpus = corpus
        self._place = place
        self._folder = folder
        self._sealed = sealed
        found = {"chrono": find_chrono(), "restic": find_program("restic"), "borg": find_program("borg")}
        self.binaries = {name: binary for name, binary in found.items() if binary is not None}
        self.missing: Outcomes = {
            name: Missing(f"{name} not installed") for name in found.keys() - self.binaries.keys()
        }

    def set_up(self, name: str) -> None:
        """Bring a program to where its first backup would start; what it had is gone."""
        store = {"chrono": self._corpus.store}.get(name, self._repository(name))
        shutil.rmtree(store, ignore_errors=True)
        if name == "restic":
            run([*self._restic(), "init"], self._sealed)
        elif name == "borg":
            run([self.binaries[name], "init", "--encryption=none", str(store)], self._sealed)

    def backup(self, name: str) -> list[str]:
        """Return the command that backs the place up."""
        if name == "chrono":
            return [self.binaries[name], "--root", str(self._corpus.root), "checkpoint", "create", "benchmark"]
        if name == "restic":
            return [*self._restic(), "backup", "--quiet", "--host=benchmark", str(self._place)]
        return [self.binaries[name], "create", f"{self._repository(name)}::{{uuid4}}", str(self._place)]

    def restore(self, name: str) -> list[str]:
        """Return the command that gives the newest backup back: ours to its place, the peers' into a new folder."""
        if name == "chrono":
            words = ["checkpoint", "restore", "benchmark", "--memory", "--yes"]
            return [self.binaries[name], "--root", str(self._corpus.root), *words]
        target = self._folder / "restored"
        shutil.rmtree(target, ignore_errors=True)
        return [*self._restic(), "restore", "latest", "--quiet", "--target", str(target)]

    def read_place(self) -> None:
        """Read every file of the place once."""
        for path in self._place.rglob("*") if self._place.is_dir() else [self._place]:
            if path.is_file():
                with open(path, "rb", buffering=0) as file:
                    while file.read(1 << 20):
                        pass

    def _restic(self) -> list[str]:
        return [self.binaries["restic"], "--repo", str(self._repository("restic"))]

    def _repository(self, name: str) -> Path:
        return self._folder / f"{name}-{self._place.name}"


def measure_sqlite(corpus: Corpus, folder: Path, sealed: Sealed, scale: Scale, say: Say) -> Outcomes:
    """Time first, changed and unchanged backups of a database, and restores of it, changed or lost; weigh them."""
    place = corpus.root / "data/memory/notes.db"
    say(f"making a database of {scale.database_bytes / 1e9:g} GB")
    run_module("benchmarks.notes", ["make", str(place), str(scale.database_bytes)], sealed)
    rivals = Rivals(corpus, place, folder, sealed)
    if "chrono" not in rivals.binaries:
        return {"changed": Missing("chrono not installed")}

    def edit() -> None:
        run_module("benchmarks.notes", ["edit", str(place), str(ROWS_CHANGED)], sealed)

    def renew(name: str) -> None:
        """Back up a state that nothing was restored from yet, and leave it."""
        run(rivals.backup(name), sealed)
        edit()

    def lose(name: str) -> None:
        """Take the database away from the one that puts it back in its place."""
        if name == "chrono":
            place.unlink()

    found = _take_turns(
        rivals, ("chrono", "restic"), rivals.backup, _nothing, rivals.set_up, scale.slow_rounds, sealed, "first"
    )
    for name in rivals.binaries.keys() - {"chrono", "restic"}:
        rivals.set_up(name)
        run(rivals.backup(name), sealed)
    found |= _take_turns(rivals, tuple(rivals.binaries), rivals.backup, edit, _nothing, scale.rounds, sealed, "changed")
    run(rivals.backup("chrono"), sealed)
    before = _packed(corpus)
    edit()
    peaks = [_peak(rivals.backup("chrono"), sealed)]
    found["stored"] = Samples(((_packed(corpus) - before) / 1e6,), "MB")
    found |= _measure_unchanged(rivals, corpus, scale, sealed)
    found |= _take_turns(
        rivals, ("chrono", "restic"), rivals.restore, _nothing, renew, scale.slow_rounds, sealed, "restored"
    )
    edit()
    peaks.append(_peak(rivals.restore("chrono"), sealed))
    found |= _take_turns(
        rivals, ("chrono", "restic"), rivals.restore, _nothing, lose, scale.slow_rounds, sealed, "lost and restored"
    )
    rivals.set_up("chrono")
    peaks.append(_peak(rivals.backup("chrono"), sealed))
    found["peak"] = Samples((max(peaks) / 1e6,), "MB")
    return found | {f"changed, {name}": outcome for name, outcome in rivals.missing.items()}


def measure_lancedb(corpus: Corpus, folder: Path, sealed: Sealed, scale: Scale, say: Say) -> Outcomes:
    """Time the backup of a table after an append, and weigh it against the files that the append brought."""
    place = corpus.root / "data/memory/vectors"
    say(f"making a table of {scale.vectors:,} vectors")
    run_module("benchmarks.vectors", ["make", str(place), str(scale.vectors)], sealed)
    rivals = Rivals(corpus, place, folder, sealed)
    for name in rivals.binaries:
        rivals.set_up(name)
        run(rivals.backup(name), sealed)

    def append() -> None:
        run_module("benchmarks.vectors", ["append", str(place), str(ROWS_APPENDED)], sealed)

    found = _take_turns(rivals, tuple(rivals.binaries), rivals.backup, append, _nothing, scale.rounds, sealed, "grown")
    run(rivals.backup("chrono"), sealed)
    before, known = _packed(corpus), _sizes(place)
    append()
    peak = _peak(rivals.backup("chrono"), sealed)
    stored = _packed(corpus) - before
    brought = sum(size for path, size in _sizes(place).items() if path not in known)
    found["stored"] = Samples((stored / 1024,), "KiB")
    found["new files"] = Samples((brought / 1024,), "KiB")
    found["peak"] = Samples((peak / 1e6,), "MB")
    return found


def _take_turns(
    rivals: Rivals, names: Sequence[str], command: Callable[[str], list[str]], change: Callable[[], None],
    prepare: Callable[[str], None], rounds: int, sealed: Sealed, what: str,
) -> Outcomes:  # fmt: skip
    """Time a command of every program in alternating rounds, each after one `change` for all and `prepare` for one.

    The place is read and everything flushed before each: borg drops what it has read from the system's cache, which
    would be the loss of the program that comes next.
    """
    seconds: dict[str, list[float]] = {name: [] for name in names if name in rivals.binaries}
    for _ in range(rounds):
        change()
        for name, found in seconds.items():
            prepare(name)
            argv = command(name)
            rivals.read_place()
            os.sync()
            start = time.perf_counter()
            run(argv, sealed)
            found.append(time.perf_counter() - start)
    return {f"{what}, {name}": Samples(tuple(found), "s") for name, found in seconds.items()}


def _nothing(*_: object) -> None:
    """Do nothing before a turn."""


def _measure_unchanged(rivals: Rivals, corpus: Corpus, scale: Scale, sealed: Sealed) -> Outcomes:
    """Time checkpoints of the unchanged database, and of the same repository while its memory is elsewhere."""
    aside = corpus.root.parent / "memory-aside"
    memory = corpus.root / "data/memory"
    commands = {"chrono": Command(rivals.backup("chrono"), scale.runs_per_round)}
    values: Mapping[str, list[float]] = {"with": [], "without": []}
    for _ in range(scale.rounds):
        for name in values:
            if name == "without":
                os.rename(memory, aside)
            try:
                outcome = measure_rounds(commands, None, 1, sealed)["chrono"]
            finally:
                if name == "without":
                    os.rename(aside, memory)
            if isinstance(outcome, Missing):
                return {"unchanged": outcome}
            values[name].extend(outcome.values)
    found = {f"unchanged, {name} memory": Samples(tuple(seconds), "s") for name, seconds in values.items()}
    extra = found["unchanged, with memory"].median - found["unchanged, without memory"].median
    return {**found, "unchanged": Samples((extra,), "s")}


def _peak(argv: Sequence[str], sealed: Sealed) -> int:
    return int(run_module("benchmarks.peak", argv, sealed))


def _packed(corpus: Corpus) -> int:
    """Return the bytes of all packs: the catalog and its log are a cache."""
    return sum(path.stat().st_size for path in corpus.store.glob("*/packs/*.pack"))


def _sizes(place: Path) -> dict[Path, int]:
    return {path: path.stat().st_size for path in place.rglob("*") if path.is_file()}
