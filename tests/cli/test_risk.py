"""`chrono risk assess`: what it prints, its document, and bad input."""

from __future__ import annotations

import json
import subprocess

import pytest

from tests.cli.conftest import Program
from tests.support import RepoBuilder


def test_the_document_has_what_others_rely_on(chrono: Program) -> None:
    found = chrono.good("risk", "assess", "rm -rf src", "--json").json
    assert found.keys() >= {"level", "score", "kind", "reasons", "targets", "covered", "advice", "effects"}
    assert (found["level"], found["kind"]) == ("high", "shell")
    assert "signals" not in found
    explained = chrono.good("risk", "assess", "rm -rf src", "--explain", "--json").json
    assert explained["signals"][0]["rule"] == "path.delete"


def test_it_is_said_in_words(chrono: Program) -> None:
    text = chrono.good("risk", "assess", "Perform database schema migration", "--explain").out
    assert "high" in text
    assert "words.migrates" in text


@pytest.mark.parametrize(
    ("words", "level"),
    [(("delete the logs", "--kind", "shell"), "high"), ((".git/config", "--kind", "file"), "high"), (("ls",), "low")],
)
def test_the_kind_can_be_said(chrono: Program, words: tuple[str, ...], level: str) -> None:
    assert chrono.good("risk", "assess", *words, "--json", "--no-probe").json["level"] == level


@pytest.mark.parametrize("words", [("rm build/x.o",), ("build/x.o", "--kind", "file")])
def test_what_is_hit_is_seen_from_the_working_folder(
    chrono: Program, repo: RepoBuilder, words: tuple[str, ...]
) -> None:
    repo.write(".gitignore", "build/\n")
    repo.write("below/build/x.o", "x")
    found = chrono.run("risk", "assess", *words, "--json", folder=repo.path("below")).json
    assert [target["what"] for target in found["targets"]] == [str(repo.path("below/build/x.o"))]
    assert found["covered"] is False
    found = chrono.run("--root", str(repo.root), "risk", "assess", *words, "--json", folder=repo.path("below")).json
    assert found["covered"] is not False


def test_standard_input_that_is_no_text_or_closed_is_no_bug(chrono: Program) -> None:
    ask = [*chrono.command, "risk", "assess", "-", "--json"]
    done = subprocess.run(
        ask, input=b"rm \xff\xfe", cwd=chrono.folder, env=chrono.environment, capture_output=True, check=False
    )
    assert (done.returncode, json.loads(done.stdout)["level"]) == (0, "high")
    done = subprocess.run(
        ["sh", "-c", '"$@" <&-', "sh", *ask],
        cwd=chrono.folder,
        env=chrono.environment,
        capture_output=True,
        check=False,
    )
    assert (done.returncode, json.loads(done.stderr)["error"]["message"]) == (5, "standard input is closed")


def test_bad_input_is_an_error_with_a_hint(chrono: Program) -> None:
    assert chrono.run("risk", "assess", "x", "--kind", "y", "--json").error["code"] == "usage"
    assert chrono.run("risk", "assess", " ", "--json").error["code"] == "usage"
    (chrono.folder / "chronos-risk.yaml").write_text("words:\n  destroys: [a\n")
    error = chrono.run("risk", "assess", "x", "--json").error
    assert error["code"] == "bad_config"
    assert "chronos-risk.yaml, line" in error["message"]
