"""Ctrl-C and kill -9 in the middle of a bisection: nothing of the user's is touched, and nothing is left."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.cli.conftest import COMMAND, Program
from tests.historian.bisecting.conftest import BAD_CODE, CODE, git_digest, scratch
from tests.support import RepoBuilder

pytestmark = pytest.mark.xdist_group("bisecting")  # one worker builds the history
# Says which process it is and waits in its tree.
WAITING = ("sh", "-c", 'echo $$ >> "$OLD/pids"; sleep 600')


def start(chrono: Program, folder: Path, *options: str) -> subprocess.Popen[bytes]:
    """Start a bisection whose command waits, and wait until it does."""
    words = [*COMMAND, "bisect", "run", "--from", "n0", "--to", "n63", *options, "--", *WAITING]
    running = subprocess.Popen(
        words, cwd=chrono.folder, env={**chrono.environment, "OLD": str(folder)}, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),  # `nohup` has it ignored
    )  # fmt: skip
    wanted = 2 if options else 1
    deadline = time.monotonic() + 60
    while len(waiting(folder)) < wanted:
        assert time.monotonic() < deadline
        assert running.poll() is None, running.communicate()
        time.sleep(0.02)
    return running


def waiting(folder: Path) -> list[int]:
    path = folder / "pids"
    return [int(line) for line in path.read_text().split()] if path.exists() else []


def is_alive(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


@pytest.mark.parametrize(
    ("options", "how", "code"),
    [((), signal.SIGINT, 130), (("--jobs", "2"), signal.SIGINT, 130), ((), signal.SIGTERM, 143),
     ((), signal.SIGHUP, 129)],
)  # fmt: skip
def test_ctrl_c_and_its_like_end_the_command_and_leave_nothing(
    chrono: Program, project: RepoBuilder, tmp_path: Path, options: tuple[str, ...], how: signal.Signals, code: int
) -> None:
    before, refs = project.state(), git_digest(project)
    running = start(chrono, tmp_path, *options)
    running.send_signal(how)
    running.communicate(timeout=60)
    assert running.returncode == code
    assert not any(map(is_alive, waiting(tmp_path)))
    assert (project.state(), git_digest(project), scratch(project)) == (before, refs, [])


@pytest.mark.parametrize("words", [("recover",), ("checkpoint", "create", "next")])
def test_after_a_kill_the_next_command_removes_what_is_left(
    chrono: Program, project: RepoBuilder, tmp_path: Path, words: tuple[str, ...]
) -> None:
    refs = git_digest(project)
    running = start(chrono, tmp_path)
    running.kill()
    running.communicate(timeout=60)
    for process_id in waiting(tmp_path):
        os.killpg(process_id, signal.SIGKILL)
    assert scratch(project) == ["trial-0"]
    assert git_digest(project) == refs
    assert chrono.good("timeline", "list", "--json").json["timelines"][0]["name"] == "main"
    chrono.good(*words)
    assert scratch(project) == []
    assert chrono.good("verify", "--json").json["findings"] == []


def test_the_program_says_what_it_tries_and_what_it_found(chrono: Program) -> None:
    result = chrono.run("bisect", "run", "--from", "n0", "--to", "@", "--", *CODE)
    assert result.code == 1
    assert f"n{BAD_CODE}, 6 runs over 64 checkpoints" in result.out
    assert "code.txt" in result.out
    assert result.err.count("exit code") == 6
    found = chrono.run("bisect", "run", "--from", "n0", "--to", "@", "--json", "--reuse", "--", *CODE)
    assert found.err == ""
    assert (found.code, found.json["first_bad"]["name"], found.json["runs"]) == (1, f"n{BAD_CODE}", 0)
    fine = chrono.good("bisect", "run", "--json", "true")
    assert (fine.json["first_bad"], fine.json["runs"]) == (None, 1)
    missing = chrono.run("bisect", "run", "--json", "--", "no-such-command")
    assert (missing.code, missing.error["code"]) == (5, "outside")
