"""The step before every measured run, as a program that hyperfine calls: `python -m benchmarks.edit TREE FILES`."""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.corpus import Corpus, prepare_run

if __name__ == "__main__":
    prepare_run(Corpus(Path(sys.argv[1]), int(sys.argv[2])))
