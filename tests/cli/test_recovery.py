"""After a kill in the middle of a restore: who says what, and what `recover` does."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.cli.conftest import COMMAND, Program
from tests.support import RepoBuilder

# The last step of applying changes: everything is in place, and the operation is not logged yet.
KILLED = """
import os, signal
import chronos.checkpoints.apply
chronos.checkpoints.apply.sync_file_system = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def interrupted(chrono: Program, repo: RepoBuilder, tmp_path: Path) -> Program:
    """A restore of `one` that was killed."""
    chrono.create("one")
    repo.write("a.txt", "damaged\n")
    (tmp_path / "sitecustomize.py").write_text(KILLED)
    path = f"{tmp_path}:{chrono.environment['PYTHONPATH']}"
    done = subprocess.run(
        [*COMMAND, "checkpoint", "restore", "one", "--yes"], cwd=repo.root,
        env={**chrono.environment, "PYTHONPATH": path}, check=False,
    )  # fmt: skip
    assert done.returncode == -9
    return chrono


def test_status_and_doctor_say_that_something_was_interrupted(interrupted: Program) -> None:
    assert interrupted.good("status", "--json").json["interrupted"] == 1
    assert "chrono recover" in interrupted.good("status").err
    result = interrupted.run("doctor", "--json")
    assert result.code == 1
    assert any(row["remedy"] == "chrono recover" for row in result.json["findings"])


def test_recover_finishes_and_says_so(interrupted: Program, repo: RepoBuilder) -> None:
    assert "restore one" in interrupted.good("recover").out
    assert repo.read("a.txt") == b"one\n"
    assert interrupted.good("recover").out == "nothing to recover\n"
    interrupted.good("undo", "--yes")
    assert repo.read("a.txt") == b"damaged\n"


def test_recover_abort_takes_it_back(interrupted: Program, repo: RepoBuilder) -> None:
    assert interrupted.good("recover", "--abort", "--json").json["done"]
    assert repo.read("a.txt") == b"damaged\n"


def test_the_next_command_finishes_it_and_gives_notice(interrupted: Program, repo: RepoBuilder) -> None:
    result = interrupted.good("checkpoint", "create", "two")
    assert "restore one" in result.err
    assert "restore one" not in result.out
    assert repo.read("a.txt") == b"one\n"


def test_the_notice_is_in_the_json_document(interrupted: Program) -> None:
    result = interrupted.good("checkpoint", "create", "two", "--json")
    assert "restore one" in result.json["notices"][0]
    assert result.err == ""
