"""Ways to damage a file, what verify has to call it, and the question whether everything else still restores."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from chronos import ChronosEngine
from chronos.errors import IntegrityError, StorageError, UnknownCheckpointError
from chronos.maintenance import Finding
from tests.verification.conftest import Damaged

# What is made again by itself: private indexes, locks, scratch, and the catalog, which has tests of its own.
_CACHES = ("index", "locks", "tmp", "catalog.sqlite", "catalog.sqlite-wal", "catalog.sqlite-shm")


def stored_files(store: Path) -> list[Path]:
    """Return every file of a store that is no cache, relative to it."""
    found = (path.relative_to(store) for path in store.rglob("*") if path.is_file())
    return sorted(path for path in found if path.parts[0] != ".store" or path.parts[1] not in _CACHES)


def kind_of(path: Path) -> str:
    """Return what kind of stored file it is."""
    if path.parts[0] in (".store", ".git"):
        return path.parts[1].removesuffix(".jsonl")
    return "pack" if path.suffix == ".pack" else path.name


def names_it(path: Path, findings: list[Finding]) -> bool:
    """Tell whether a finding names the damaged file, or the checkpoint or operation that it belongs to."""
    names = {
        "format": "format", "HEAD": "inner repository", "config": "inner repository", "operations": "operations.jsonl",
        "timeline.json": "timeline main", "changes": path.stem, "journal": path.name, "pack": path.name,
        "checkpoint.json": path.parent.name,
    }  # fmt: skip
    name = names.get(kind_of(path), path.name)
    return any(name in f"{finding.subject}: {finding.problem}" for finding in findings)


def flip(path: Path, place: float, bit: int = 2) -> None:
    """Flip one bit at the given part of the file, which may share its bytes with other checkpoints."""
    data = bytearray(path.read_bytes())
    data[min(len(data) - 1, int(len(data) * place))] ^= 1 << bit
    path.write_bytes(data)


WAYS: dict[str, Callable[[Path], object]] = {
    "flipped at the start": lambda path: flip(path, 0),
    "flipped in the middle": lambda path: flip(path, 0.5),
    "flipped near the end": lambda path: flip(path, 0.96),
    "flipped at the end": lambda path: flip(path, 1),
    "cut short": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "emptied": lambda path: path.write_bytes(b""),
    "zeroed": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "longer": lambda path: path.write_bytes(path.read_bytes() + b"\nmore\n"),
    "deleted": lambda path: path.unlink(),
}


def restorable(work: Damaged, engine: ChronosEngine) -> set[str]:
    """Return the checkpoints that give back exactly what they held; any other one must refuse."""
    found = set()
    for checkpoint, files in work.wanted.items():
        target = work.repo.root.parent / f"out of {checkpoint}"
        shutil.rmtree(target, ignore_errors=True)
        try:
            engine.restore_into(checkpoint, target)
        except (IntegrityError, StorageError, UnknownCheckpointError):  # damaged, gone, set aside
            continue
        given = {path.relative_to(target).as_posix(): path for path in target.rglob("*") if path.is_file()}
        assert {name: path.read_bytes() for name, path in given.items()} == files, checkpoint
        found.add(checkpoint)
    return found
