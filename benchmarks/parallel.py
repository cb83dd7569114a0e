"""Many timelines worked in at once: `python -m benchmarks.parallel measure DIR [--timelines 16] [--edits 20]`.

One process for each timeline branches it and works in it: edits of code and of a database, a checkpoint after each.
Then every checkpoint is restored in its own tree, all trees at once, and compared by hash. Meanwhile another process
verifies and collects garbage without a pause, and at the end the store is verified to the last byte. It ends with 1
when there was any error.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.corpus import build_corpus
from benchmarks.programs import REPOSITORY, seal
from chronos import ChronosEngine
from chronos.errors import LockedError

FILES = 500
DATABASE = "data/memory/notes.db"
_MODULE = "benchmarks.parallel"
_PATIENCE = {"CHRONOS_LOCK_TIMEOUT": "300"}
_PAUSE_S = 0.02


@dataclass
class Report:
    """What came of it. `errors` says all that went wrong; `rounds` is how often verify and gc ran meanwhile."""

    errors: list[str] = field(default_factory=list)
    checkpoints: int = 0
    rounds: int = 0
    work_s: float = 0.0
    restore_s: float = 0.0


def measure(root: Path, environment: Mapping[str, str], timelines: int, edits: int) -> Report:
    """Work in `timelines` timelines branched from the tree at `root`, which holds DATABASE, and check all of it."""
    report = Report()
    before = fingerprint(root)
    names = [f"agent-{number}" for number in range(timelines)]
    over = root.with_name(f"{root.name}.over")
    start = time.monotonic()
    tending = _start(environment, "tend", root, over)
    answers = _finish([_start(environment, "work", root, name, edits) for name in names], report)
    report.work_s = time.monotonic() - start
    start = time.monotonic()
    pairs = zip(names, answers, strict=True)
    _finish([_start(environment, "restore", root, name, lines=lines) for name, lines in pairs], report)
    report.restore_s = time.monotonic() - start
    over.touch()
    report.rounds = len(_finish([tending], report)[0])
    over.unlink()
    with ChronosEngine(root=root) as engine:
        report.errors += [f"verify: {finding}" for finding in engine.verify(deep=True)]
    report.checkpoints = sum(map(len, answers))
    if report.checkpoints != timelines * edits:
        report.errors.append(f"{report.checkpoints} checkpoints instead of {timelines * edits}")
    if fingerprint(root) != before:
        report.errors.append("the tree that was branched from changed")
    return report


def fingerprint(root: Path) -> str:
    """Return a hash of all files of a tree but git's and the store's, and of the rows of its database."""
    total = hashlib.sha256()
    for path in _files(root):
        if path != root / DATABASE:
            total.update(os.fsencode(path.relative_to(root)) + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    with closing(sqlite3.connect(root / DATABASE)) as connection:
        total.update(repr(connection.execute("SELECT * FROM notes ORDER BY id").fetchall()).encode())
    return total.hexdigest()


def _files(root: Path) -> Iterator[Path]:
    for folder, subfolders, names in os.walk(root):
        subfolders[:] = sorted(name for name in subfolders if Path(folder, name) != root / "data/timelines")
        if ".git" in subfolders:
            subfolders.remove(".git")
        yield from (Path(folder, name) for name in sorted(names) if name != ".git")


def _start(environment: Mapping[str, str], *words: object, lines: Sequence[str] = ()) -> subprocess.Popen[str]:
    """Start one of the processes, with `lines` as its input."""
    argv, pipe = [sys.executable, "-m", _MODULE, *map(str, words)], subprocess.PIPE
    sealed = {**environment, "PYTHONPATH": str(REPOSITORY), **_PATIENCE}
    process = subprocess.Popen(argv, env=sealed, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
    assert process.stdin
    with process.stdin as stream:
        stream.writelines(lines)
    process.stdin = None
    return process


def _finish(processes: Sequence[subprocess.Popen[str]], report: Report) -> list[list[str]]:
    """Wait for all, take down what went wrong, and return the lines that each printed."""
    answers = [process.communicate() for process in processes]
    for process, (_, trouble) in zip(processes, answers, strict=True):
        if process.returncode != 0 or trouble:
            report.errors.append(f"{process.args!r} ended with {process.returncode}: {trouble[-2000:]}")
    return [output.splitlines(keepends=True) for output, _ in answers]


# what the processes do


def work(root: Path, name: str, edits: int) -> None:
    """Branch a timeline and work in it; print each checkpoint with the hash of the tree that it holds."""
    chance = random.Random(name)
    with ChronosEngine(root=root) as first:
        first.branch_timeline(name)
        with first.open_timeline(name) as engine:
            for number in range(edits):
                edit(engine.root, chance, f"{name} {number}")
                print(engine.create_checkpoint(f"edit {number}"), fingerprint(engine.root), flush=True)


def edit(tree: Path, chance: random.Random, text: str) -> None:
    """Change a few files, remove one, add one, and add and change rows."""
    found = [path for path in _files(tree) if path.suffix != ".db"]
    for path in chance.sample(found, 4):
        path.write_text(f"{path.read_text()}{text}\n")
    chance.choice(found).unlink()
    (tree / f"{text}.txt").write_text(text * chance.randrange(1, 2000))
    with closing(sqlite3.connect(tree / DATABASE)) as connection, connection:
        connection.execute("INSERT INTO notes (body) VALUES (?)", [text])
        connection.execute("UPDATE notes SET body = ? WHERE id = ?", [f"changed by {text}", chance.randrange(1, 10)])


def tend(root: Path, over: Path) -> None:
    """Verify and collect garbage until the file `over` is there; print a line for each round."""
    with ChronosEngine(root=root) as engine:
        engine.set_up()
        while not over.exists():
            for finding in engine.verify():
                print(finding, file=sys.stderr)
            try:
                engine.gc()
                print("gc")
            except LockedError:
                print("no gc: somebody is at work")
            time.sleep(_PAUSE_S)


def restore(root: Path, name: str, lines: Sequence[str]) -> None:
    """Restore each checkpoint of a timeline in its own tree, the newest first, and compare it."""
    with ChronosEngine(root=root) as first, first.open_timeline(name) as engine:
        for line in reversed(lines):
            checkpoint, expected = line.split()
            engine.restore_checkpoint(checkpoint)
            if fingerprint(engine.root) != expected:
                print(f"{name}: checkpoint {checkpoint} restores something else", file=sys.stderr)


def make_database(root: Path) -> None:
    """Make the database that all timelines begin with."""
    place = root / DATABASE
    place.parent.mkdir(parents=True)
    with closing(sqlite3.connect(place)) as connection, connection:
        connection.execute("CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT)")
        connection.executemany("INSERT INTO notes (body) VALUES (?)", [(f"note {number}",) for number in range(50)])


def main(arguments: Sequence[str]) -> int:
    """Do what the first argument says; `measure` is the one for people."""
    verb, *rest = arguments
    if verb == "work":
        work(Path(rest[0]), rest[1], int(rest[2]))
    elif verb == "tend":
        tend(Path(rest[0]), Path(rest[1]))
    elif verb == "restore":
        restore(Path(rest[0]), rest[1], sys.stdin.readlines())
    else:
        return _measure(arguments)
    return 0


def _measure(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.parallel", description=__doc__)
    parser.add_argument("verb", choices=["measure"])
    parser.add_argument("folder", type=Path, help="where to build the repository; it must not be there")
    parser.add_argument("--timelines", type=int, default=16)
    parser.add_argument("--edits", type=int, default=20)
    options = parser.parse_args(arguments)
    folder = options.folder.resolve()
    folder.mkdir()
    try:
        sealed = seal(folder / "home")
        os.environ.clear()
        os.environ.update(sealed.environment)
        corpus = build_corpus(folder / "work", FILES, sealed)
        make_database(corpus.root)
        report = measure(corpus.root, sealed.environment, options.timelines, options.edits)
    finally:
        shutil.rmtree(folder)
    print(json.dumps(vars(report), indent=1))
    return 1 if report.errors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
