"""Exit codes and errors: stable for scripts, one line for people, never a traceback."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.cli.conftest import COMMAND, Program
from tests.support import RepoBuilder


def test_errors_are_one_message_and_one_hint(chrono: Program) -> None:
    chrono.create("one")
    result = chrono.run("checkpoint", "show", "nope")
    assert (result.code, result.out) == (2, "")
    message, hint = result.err.splitlines()
    assert message.startswith("chrono: ")
    assert "nope" in message
    assert "chrono checkpoint list" in hint


def test_errors_as_json_go_to_standard_error(chrono: Program) -> None:
    chrono.create("one")
    result = chrono.run("checkpoint", "show", "nope", "--json")
    assert (result.code, result.out) == (2, "")
    assert {"code", "message", "hint"} == result.error.keys()
    assert result.error["code"] == "unknown_checkpoint"


@pytest.mark.parametrize(
    "words",
    [("nope",), ("checkpoint", "nope"), ("checkpoint", "show"), ("checkpoint", "list", "--limit", "0"),
     ("checkpoint", "list", "--limit", "many"), ("status", "--nope"), ("checkpoint",), ("completion", "tcsh"),
     ("checkpoint", "list", "--all", "--timeline", "main"), ("log", "surplus")],
)  # fmt: skip
def test_wrong_command_lines_are_usage_errors(chrono: Program, words: tuple[str, ...]) -> None:
    result = chrono.run(*words)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("chrono: ")
    with_json = chrono.run(*words, "--json")
    assert (with_json.code, with_json.error["code"]) == (2, "usage")


def test_json_after_two_dashes_is_a_name_and_no_option(chrono: Program) -> None:
    result = chrono.run("checkpoint", "create", "--", "--json")
    assert result.code == 2
    assert result.err.startswith("chrono: ")


def test_version_and_help_are_fine(chrono: Program, tmp_path: Path) -> None:
    assert chrono.good("--version").out.startswith("chrono ")
    assert chrono.good("--root", str(tmp_path), "--version").out == chrono.good("--version").out
    for words in ((), ("--help",), ("-h",), ("checkpoint", "--help"), ("checkpoint", "restore", "-h")):
        assert "Usage: chrono" in chrono.good(*words).out
    assert "_complete" not in chrono.good().out


def test_version_and_help_have_json_and_so_has_every_command_behind_it(chrono: Program) -> None:
    version = chrono.good("--version").out.split()[1]
    for words in (("--version", "--json"), ("--json", "--version")):
        assert chrono.good(*words).json["version"] == version
    assert "Usage: chrono" in chrono.good("--json").json["help"]
    assert chrono.good("--json", "checkpoint", "list").json["checkpoints"] == []


def test_a_broken_pipe_inside_is_not_taken_for_a_reader_that_went_away(chrono: Program, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import chronos.engine\ndef status(*_, **__): raise BrokenPipeError(32, 'Broken pipe')\n"
        "chronos.engine.ChronosEngine.status = status\n"
    )
    result = chrono.run("status", PYTHONPATH=f"{tmp_path}:{chrono.environment['PYTHONPATH']}")
    assert result.code == 5
    assert "Broken pipe" in result.err


@pytest.mark.parametrize("words", [("--version",), ("--help",), ("checkpoint", "list"), ("status", "--json")])
def test_a_full_device_is_an_error_without_a_traceback(chrono: Program, words: tuple[str, ...]) -> None:
    chrono.create("one")
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [*COMMAND, *words],
            cwd=chrono.folder,
            env=chrono.environment,
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert done.returncode == 5
    assert b"No space left" in done.stderr
    assert b"Traceback" not in done.stderr
    assert b"Exception ignored" not in done.stderr


def test_a_reader_that_went_away_is_no_error(chrono: Program, repo: RepoBuilder) -> None:
    engine = repo.engine()
    engine.create_checkpoint("one")
    for number in range(2000):
        repo.write(f"many/file with a long name, number {number}", "x")
    done = subprocess.run(
        ["bash", "-c", 'set -o pipefail; "$@" | head -1', "bash", *COMMAND, "checkpoint", "diff", "one"],
        cwd=chrono.folder, env=chrono.environment, capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == b""
    assert done.stdout.count(b"\n") == 1


def test_findings_keep_their_exit_code_when_the_reader_went_away(chrono: Program, repo: RepoBuilder) -> None:
    repo.write("new.bin", bytes(range(256)) * 40)
    chrono.create("one")
    pack = next((repo.store / "main/packs").glob("*.pack"))
    pack.write_bytes(b"\xff" * pack.stat().st_size)
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "wb") as gone:
        done = subprocess.run(
            [*COMMAND, "verify"],
            cwd=chrono.folder,
            env=chrono.environment,
            stdout=gone,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert (done.returncode, done.stderr) == (1, b"")


def test_closed_standard_streams_do_no_harm(chrono: Program) -> None:
    done = subprocess.run(
        ["bash", "-c", '"$@" <&- >&- 2>&-', "bash", *COMMAND, "checkpoint", "create", "one"],
        cwd=chrono.folder, env=chrono.environment, check=False,
    )  # fmt: skip
    assert done.returncode == 0
    assert chrono.good("verify", "--deep").out == "nothing is wrong\n"
    assert chrono.good("checkpoint", "show", "one").code == 0


def test_ctrl_c_during_work_is_130_without_a_traceback(chrono: Program, repo: RepoBuilder, tmp_path: Path) -> None:
    marker = tmp_path / "git-is-running"
    slow = tmp_path / "bin" / "git"
    slow.parent.mkdir()
    slow.write_text(f'#!/bin/sh\ncase "$*" in *status*) touch {marker}; sleep 30;; esac\nexec /usr/bin/git "$@"\n')
    slow.chmod(0o755)
    environment = {**chrono.environment, "PATH": f"{slow.parent}:{chrono.environment['PATH']}"}
    process = subprocess.Popen(
        [*COMMAND, "checkpoint", "create", "one"], cwd=repo.root, env=environment, stderr=subprocess.PIPE,
        start_new_session=True,
    )  # fmt: skip
    while not marker.exists():
        assert process.poll() is None
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"interrupted" in errors
    assert b"Traceback" not in errors
    assert chrono.good("checkpoint", "list").out == "no checkpoints\n"
    chrono.create("two")


def test_a_bug_of_ours_is_70_in_one_line_and_debug_shows_where(chrono: Program, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "sitecustomize.py").write_text(
        "def status(*_, **__): raise ZeroDivisionError('two\\nlines')\n"
        "import chronos.engine\nchronos.engine.ChronosEngine.status = status\n"
    )
    path = f"{broken}:{chrono.environment['PYTHONPATH']}"
    result = chrono.run("status", PYTHONPATH=path)
    assert result.code == 70
    assert result.err.splitlines()[0] == "chrono: unexpected ZeroDivisionError: two lines"
    assert "set CHRONOS_DEBUG=1 for the traceback" in result.err
    assert chrono.run("status", "--json", PYTHONPATH=path).error["code"] == "internal"
    debug = subprocess.run(
        [*COMMAND, "status"], cwd=chrono.folder, env={**chrono.environment, "PYTHONPATH": path, "CHRONOS_DEBUG": "1"},
        capture_output=True, check=False,
    )  # fmt: skip
    assert b"Traceback" in debug.stderr
    assert debug.returncode == 70


def test_switched_off_is_the_wrong_moment(chrono: Program) -> None:
    result = chrono.run("checkpoint", "create", "one", "--json", ENABLE_CHRONOS="false")
    assert (result.code, result.error["code"]) == (3, "disabled")


def test_git_missing_is_an_outside_error(chrono: Program, tmp_path: Path) -> None:
    result = chrono.run("status", "--json", PATH=str(tmp_path))
    assert (result.code, result.error["code"]) == (5, "git_missing")
