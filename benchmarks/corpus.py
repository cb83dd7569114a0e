"""Generated git repositories of source-like text, and the same changes to them in the same order every time.

Nothing here depends on the clock or on chance: the n-th file has the same bytes in every run. The first line of a
file carries a revision number; an edit raises it, so that repeated edits never return to an earlier state and never
make a file longer.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.programs import Sealed, feed, run

FILES_PER_FOLDER = 50
FOLDERS_PER_PACKAGE = 50
MODIFIED, UNTRACKED, DELETED = 20, 10, 5
STORE = Path("data", "timelines")

_NAMES = ("index", "record", "buffer", "cursor", "parent", "weight", "target", "source", "window", "branch", "packet")
_SHAPES = (
    "    {a}_{b} = self.{c}.read({d}, limit={n})\n",
    "    if {a} is None or {b}.{c} > {n}:\n",
    "        raise ValueError(f'{a} of {b} is not a {c}: {{{d}}}')\n",
    "def compute_{a}_{b}({c}: int, {d}: str) -> bytes:\n",
    "        {a}.append(({b}, {c}, {n}))  # the {d} comes last\n",
    "    return {a}.{b}({c}={n}, {d}=None)\n",
)


@dataclass(frozen=True)
class Corpus:
    """A repository with `files` committed files, and the paths whose working-tree state differs from the commit."""

    root: Path
    files: int

    @property
    def store(self) -> Path:
        """The folder in which chrono keeps this repository's checkpoints."""
        return self.root / STORE

    @property
    def modified(self) -> list[Path]:
        """Tracked files with one changed line, spread over the tree."""
        return [self.root / file_name(index * self.files // MODIFIED) for index in range(MODIFIED)]

    @property
    def deleted(self) -> list[Path]:
        """Tracked files that are gone from the tree."""
        return [self.root / file_name(index * self.files // DELETED + 7) for index in range(DELETED)]

    @property
    def untracked(self) -> list[Path]:
        """New files that git does not know."""
        numbers = [index * self.files // UNTRACKED + 3 for index in range(UNTRACKED)]
        return [self.root / Path(file_name(number)).with_name(f"draft_{number:06d}.py") for number in numbers]


def file_name(number: int) -> str:
    """Return the path of the `number`-th file, relative to the root."""
    folder = number // FILES_PER_FOLDER
    package, area = divmod(folder, FOLDERS_PER_PACKAGE)
    return f"package_{package:03d}/area_{area:02d}/module_{number:06d}.py"


def make_text(number: int) -> bytes:
    """Return the 2 to 4 KB of the `number`-th file."""
    chance = random.Random(number)
    lines = chance.choices(_LINES, k=chance.randint(45, 80))
    return f"# module {number:06d}, revision 00000000\n".encode() + b"".join(lines)


def _make_lines(count: int) -> list[bytes]:
    chance = random.Random("lines")
    made = []
    for _ in range(count):
        a, b, c, d = chance.choices(_NAMES, k=4)
        made.append(chance.choice(_SHAPES).format(a=a, b=b, c=c, d=d, n=chance.randint(0, 9999)).encode())
    return made


_LINES = _make_lines(4_000)


def build_corpus(root: Path, files: int, sealed: Sealed, *, is_clean: bool = False) -> Corpus:
    """Make a repository of `files` committed, packed files at `root`, and change 35 paths of it unless `is_clean`.

    fast-import writes no deltas here: it would make chains of 50 unrelated files, which gc keeps and which make every
    `git diff` five times as slow (measured: 25 ms instead of 5 ms) as in a repository that was built by commits.
    """
    root.mkdir(parents=True)
    git = ["git", "-C", str(root), "-c", "gc.auto=0", "-c", "maintenance.auto=false"]
    run(["git", "init", "--quiet", "--initial-branch=main", str(root)], sealed)
    for key, value in (("user.name", "Bench"), ("user.email", "bench@example.org"), ("gc.auto", "0")):
        run([*git, "config", key, value], sealed)
    feed([*git, "-c", "pack.compression=1", "fast-import", "--quiet", "--depth=0"], _import_stream(files), sealed)
    run([*git, "reset", "--hard", "--quiet", "main"], sealed)
    run([*git, "gc", "--quiet"], sealed)
    corpus = Corpus(root, files)
    _settle(git, sealed)
    if not is_clean:
        _change(corpus)
    return corpus


def _settle(git: list[str], sealed: Sealed) -> None:
    """Leave no racily clean entry in the index: git would read those files again in every status."""
    time.sleep(1.1)
    run([*git, "status", "--short"], sealed)


def _import_stream(files: int) -> Iterator[bytes]:
    yield b"commit refs/heads/main\ncommitter Bench <bench@example.org> 1700000000 +0000\ndata 6\ncorpus\n"
    for number in range(files):
        text = make_text(number)
        yield f"M 100644 inline {file_name(number)}\ndata {len(text)}\n".encode() + text + b"\n"


def _change(corpus: Corpus) -> None:
    for path in corpus.modified:
        edit_line(path)
    for path in corpus.deleted:
        path.unlink()
    for index, path in enumerate(corpus.untracked):
        path.write_bytes(make_text(corpus.files + index))


def edit_line(path: Path) -> None:
    """Change one line of `path`: raise the revision number in the first one."""
    head, rest = path.read_bytes().split(b"\n", 1)
    words, _, revision = head.rpartition(b" ")
    path.write_bytes(b"%s %08d\n%s" % (words, int(revision) + 1, rest))


def prepare_run(corpus: Corpus) -> None:
    """Bring the tree into a state that no earlier run has seen; the same step before every measured run.

    What the run before left in the page cache is flushed first: the next program to call fsync would pay for it.
    """
    os.sync()
    edit_line(corpus.modified[0])


def damage(corpus: Corpus) -> None:
    """Flush, then change exactly the 35 differing paths once more: edit the 20, delete the 10, bring the 5 back."""
    os.sync()
    for path in corpus.modified:
        edit_line(path)
    for path in corpus.untracked:
        path.unlink()
    for index, path in enumerate(corpus.deleted):
        path.write_bytes(make_text(2 * corpus.files + index))


def read_state(corpus: Corpus) -> dict[Path, bytes | None]:
    """Return the bytes of the 35 paths, None where there is no file: what a restore must bring back."""
    paths = [*corpus.modified, *corpus.untracked, *corpus.deleted]
    return {path: path.read_bytes() if path.exists() else None for path in paths}
