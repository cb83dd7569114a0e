"""How each whole-process peer is set up on a corpus and what is measured of it.

The archivers leave `.git` and our store out: they back up the same working tree that a checkpoint covers, and what
other peers write into `.git` between two runs is not charged to them. Both work with a warm cache and a finished
first backup, as they do in daily use.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.corpus import Corpus
from benchmarks.programs import Sealed, find_chrono, find_program, run


@dataclass(frozen=True)
class Peer:
    """A command to measure; `setup` runs once before, untimed; a slow one gets fewer runs."""

    name: str
    command: Sequence[str]
    setup: Sequence[Sequence[str]] = ()
    is_slow: bool = False

    def set_up(self, sealed: Sealed) -> None:
        """Bring the peer to where its second backup would start."""
        for argv in self.setup:
            run(argv, sealed)


def find_peer(name: str, corpus: Corpus, folder: Path) -> Peer | None:
    """Return peer `name` for `corpus`, keeping its data in `folder`, or None when it is not installed."""
    binary = find_chrono() if name == "chrono" else find_program(name.split()[0])
    return None if binary is None else _PEERS[name](binary, corpus, folder)


def _chrono(binary: str, corpus: Corpus, _folder: Path) -> Peer:
    return Peer("chrono", [binary, "--root", str(corpus.root), "checkpoint", "create", "benchmark"])


def _git_stash(binary: str, corpus: Corpus, _folder: Path) -> Peer:
    return Peer("git stash", [binary, "-C", str(corpus.root), "stash", "create"])


def _borg(binary: str, corpus: Corpus, folder: Path) -> Peer:
    repository = str(folder / f"borg-{corpus.files}")
    excluded = [option for path in _left_out(corpus) for option in ("--exclude", path)]
    create = [binary, "create", *excluded, f"{repository}::{{uuid4}}", str(corpus.root)]
    return Peer("borg", create, [[binary, "init", "--encryption=none", repository], create], is_slow=True)


def _restic(binary: str, corpus: Corpus, folder: Path) -> Peer:
    base = [binary, "--repo", str(folder / f"restic-{corpus.files}")]
    excluded = [option for path in _left_out(corpus) for option in ("--exclude", path)]
    backup = [*base, "backup", "--quiet", "--host=benchmark", *excluded, str(corpus.root)]
    return Peer("restic", backup, [[*base, "init"], backup], is_slow=True)


def _left_out(corpus: Corpus) -> list[str]:
    return [str(corpus.store), str(corpus.root / ".git")]


_PEERS: dict[str, Callable[[str, Corpus, Path], Peer]] = {
    "chrono": _chrono,
    "git stash": _git_stash,
    "borg": _borg,
    "restic": _restic,
}
