"""Completion: the candidates, and the scripts in the real shells that are installed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import PROJECT, Program

BASH_PROBE = """
eval "$(chrono completion bash)"
COMP_LINE="$1"; COMP_POINT=${#COMP_LINE}; read -ra COMP_WORDS <<<"$1"; COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_chrono_complete
printf '%s\\n' "${COMPREPLY[@]}"
complete -p chrono
"""


@pytest.fixture
def shell_path(chrono: Program, tmp_path: Path) -> str:
    """A PATH on which `chrono` is this program."""
    folder = tmp_path / "bin"
    folder.mkdir()
    script = folder / "chrono"
    script.write_text(f'#!/bin/sh\nPYTHONPATH={PROJECT} exec {sys.executable} -m chronos.cli "$@"\n')
    script.chmod(0o755)
    return f"{folder}:{chrono.environment['PATH']}"


def offered(chrono: Program, *words: str) -> list[str]:
    """Return what is offered for the last word."""
    lines = chrono.good("_complete", "zsh", "--", *words).out.splitlines()
    return [line.partition("\t")[0] for line in lines]


def offered_in_bash(chrono: Program, line: str) -> list[str]:
    return chrono.good("_complete", "bash", "--", line).out.splitlines()


def test_commands_are_completed(chrono: Program) -> None:
    assert offered(chrono, "un") == ["undo"]
    assert {"checkpoint", "init", "log"} <= set(offered(chrono, ""))
    assert "_complete" not in offered(chrono, "")
    assert offered(chrono, "checkpoint", "re") == ["restore"]
    assert offered(chrono, "completion", "") == ["bash", "zsh", "fish"]


def test_options_are_completed(chrono: Program) -> None:
    assert offered(chrono, "checkpoint", "restore", "--pl") == ["--plan", "--plan-id"]
    assert "--root" in offered(chrono, "-")
    assert offered(chrono, "agent", "install", "--h") == ["--hooks", "--help"]
    assert {"--check", "--no-check"} <= set(offered(chrono, "update", "--"))


def test_ids_and_names_are_completed_where_a_checkpoint_is_meant(chrono: Program) -> None:
    checkpoint_id = chrono.create("before_migration")
    chrono.create("other")
    for words in (("show",), ("restore", "--yes"), ("diff", "@"), ("delete", "--yes")):
        assert offered(chrono, "checkpoint", *words, "bef") == ["before_migration"], words
    assert offered(chrono, "checkpoint", "restore", "--path", "x", checkpoint_id[:12]) == [checkpoint_id]
    assert offered(chrono, "checkpoint", "create", "bef") == []
    assert offered(chrono, "checkpoint", "show", "@", "bef") == []
    assert offered(chrono, "checkpoint", "restore", "--path", "bef") == []
    assert offered(chrono, "checkpoint", "list", "--timeline", "") == ["main"]


def test_last_green_is_completed_once_there_is_one(chrono: Program) -> None:
    chrono.create("one")
    assert offered(chrono, "restore", "last") == []
    chrono.good("checkpoint", "verdict", "one", "passed")
    for words in (
        ("restore",),
        ("checkpoint", "diff"),
        ("bisect", "run", "--from"),
        ("lessons", "analyze", "--checkpoint"),
    ):
        assert offered(chrono, *words, "last") == ["last-green"]


def test_timelines_are_completed_where_one_is_meant(chrono: Program) -> None:
    chrono.good("timeline", "branch", "experimental")
    for words in (("path",), ("show",), ("run",), ("delete", "--yes"), ("diff", "main"), ("merge", "--plan"),
                  ("merge", "main", "--into")):  # fmt: skip
        assert offered(chrono, "timeline", *words, "exp") == ["experimental"], words
    assert offered(chrono, "timeline", "diff", "") == ["main", "experimental"]
    assert offered(chrono, "timeline", "branch", "exp") == [], "a new name is asked for"
    checkpoint_id = chrono.create("before_migration")
    for option in ("branch", "--from"), ("merge", "experimental", "--base"):
        assert offered(chrono, "timeline", *option, "bef") == ["before_migration"]
        assert offered(chrono, "timeline", *option, checkpoint_id[:12]) == [checkpoint_id]
    assert offered(chrono, "timeline", "merge", "--strategy", "") == ["conflict", "ours", "theirs", "union"]


def test_what_waits_to_be_decided_is_completed(chrono: Program) -> None:
    (chrono.folder / "a file.txt").write_text("base\n")
    assert offered(chrono, "resolve", "") == []
    tree = Path(chrono.good("timeline", "branch", "other", "--json").json["path"])
    for root in (tree, chrono.folder):
        (root / "a file.txt").write_text(f"in {root.name}\n")
    assert chrono.run("timeline", "merge", "other", "--yes").code == 1
    assert offered(chrono, "resolve", "") == ["a file.txt"]
    assert offered(chrono, "resolve", "b") == []
    assert offered_in_bash(chrono, "chrono resolve a") == ["a\\ file.txt"]
    chrono.good("resolve", "a file.txt", "--theirs")
    assert offered(chrono, "resolve", "") == [], "all is decided"


def test_the_root_option_is_followed(chrono: Program, tmp_path: Path) -> None:
    chrono.create("before_migration")
    words = ("_complete", "zsh", "--", "--root", str(chrono.folder), "checkpoint", "show", "bef")
    assert chrono.run(*words, folder=tmp_path).out.startswith("before_migration\t")


def test_completing_where_nothing_can_be_found_is_silent_and_writes_nothing(chrono: Program, tmp_path: Path) -> None:
    for words in (("checkpoint", "show", ""), ("nope", "nope", ""), ("--root", "/nowhere", "checkpoint", "show", "")):
        result = chrono.good("_complete", "zsh", "--", *words)
        assert (result.out, result.err) == ("", "")
    assert not (chrono.folder / "data").exists()


def test_bash_gets_quoted_words_from_its_last_break_on(chrono: Program) -> None:
    chrono.create("two words")
    chrono.create("stage:one")
    chrono.create("plain")
    assert offered_in_bash(chrono, "chrono checkpoint show tw") == ["two\\ words"]
    assert offered_in_bash(chrono, "chrono checkpoint show two\\ w") == ["two\\ words"]
    assert offered_in_bash(chrono, "chrono checkpoint show stage:o") == ["one"]
    assert offered_in_bash(chrono, "chrono checkpoint show pl") == ["plain"]
    assert offered_in_bash(chrono, "chrono che") == ["checkpoint"]
    assert offered_in_bash(chrono, 'chrono checkpoint create "open quote') == []


def test_the_bash_script_completes_in_bash(chrono: Program, shell_path: str) -> None:
    checkpoint_id = chrono.create("before_migration")
    for line, wanted in (
        ("chrono checkpoint restore bef", ["before_migration"]),
        (f"chrono checkpoint show {checkpoint_id[:12]}", [checkpoint_id]),
        ("chrono check", ["checkpoint"]),
        ("chrono checkpoint diff before_migration --st", ["--stat"]),
    ):
        done = subprocess.run(
            ["bash", "--norc", "-c", BASH_PROBE, "bash", line], cwd=chrono.folder,
            env={**chrono.environment, "PATH": shell_path}, capture_output=True, text=True, check=True,
        )  # fmt: skip
        *found, registered = done.stdout.splitlines()
        assert found == wanted
        assert registered == "complete -o default -F _chrono_complete chrono"
        assert done.stderr == ""


@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not installed")
def test_the_fish_script_completes_in_fish(chrono: Program, shell_path: str) -> None:
    chrono.create("before_migration")
    script = 'chrono completion fish | source; complete -C "chrono checkpoint restore bef"; complete -C "chrono und"'
    done = subprocess.run(
        ["fish", "--no-config", "-c", script], cwd=chrono.folder, env={**chrono.environment, "PATH": shell_path},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert [line.partition("\t")[0] for line in done.stdout.splitlines()] == ["before_migration", "undo"]


@pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not installed")
def test_the_zsh_script_loads_in_zsh(chrono: Program, shell_path: str, tmp_path: Path) -> None:
    script = (
        f'autoload -U compinit; compinit -u -d {tmp_path}/dump; eval "$(chrono completion zsh)"; print $_comps[chrono]'
    )
    done = subprocess.run(
        ["zsh", "-f", "-c", script], cwd=chrono.folder, env={**chrono.environment, "PATH": shell_path},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("_chrono\n", "")
