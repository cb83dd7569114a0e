"""`chrono agent`: what it prints, its documents, its questions, and bad input."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Program

INSTALLED = "import sys; sys.executable = {place!r}; from chronos.cli.main import run; run()"
PLAN = """\
create ROOT/.claude/settings.local.json
--- ROOT/.claude/settings.local.json
+++ ROOT/.claude/settings.local.json
"""


@pytest.fixture
def installed(chrono: Program, tmp_path: Path) -> Program:
    """The program as an installation of its own has it: an interpreter with our two scripts beside it."""
    folder = tmp_path / "venv/bin"
    folder.mkdir(parents=True)
    for name in ("chrono", "chrono-hook"):
        (folder / name).write_text("#!/bin/sh\nexit 0\n")
        (folder / name).chmod(0o755)
    program = Program(chrono.folder, chrono.environment)
    program.command = (sys.executable, "-c", INSTALLED.format(place=str(folder / "python")))
    return program


def test_installing_looking_and_uninstalling(installed: Program) -> None:
    root = str(installed.folder)
    plan = installed.good("agent", "install", "claude", "--plan", "--no-mcp").out
    assert plan.replace(root, "ROOT").startswith(PLAN)
    assert not (installed.folder / ".claude").exists()
    done = installed.good("agent", "install", "claude")
    assert done.out.replace(root, "ROOT").splitlines() == [
        "created ROOT/.claude/settings.local.json",
        "created ROOT/.mcp.json",
        "next: sessions of claude that are running take up hooks when they are started again",
        "next: start claude here and approve the MCP server chronomancer",
        "next: the paths are those of this machine: keep .mcp.json out of commits, or use --user",
    ]
    assert installed.good("agent", "install", "claude").out == "nothing to do\n"
    table = installed.good("agent", "status").out.replace(root, "ROOT").splitlines()
    assert table == [
        "AGENT   SCOPE    PART   STATE      FILE",
        "claude  project  hooks  installed  ROOT/.claude/settings.local.json",
        "claude  project  mcp    installed  ROOT/.mcp.json",
    ]
    gone = installed.good("agent", "uninstall", "claude", "--yes").out
    assert [line.split()[0] for line in gone.splitlines()] == ["removed", "removed"]
    assert "no agent is set up" in installed.good("agent", "status").out


def test_what_is_there_is_overwritten_only_after_a_yes(installed: Program) -> None:
    place = installed.folder / ".mcp.json"
    place.write_text('{"mine": 1}')
    refused = installed.run("agent", "install", "claude", "--json")
    assert (refused.code, refused.error["code"]) == (7, "confirmation_needed")
    assert place.read_text() == '{"mine": 1}'
    shown = installed.on_terminal("agent", "install", "claude", answers=[("[y/N]", "n\n")])
    assert shown.code == 7
    assert "nothing was changed" in shown.out
    assert "chronomancer" in shown.out
    assert place.read_text() == '{"mine": 1}'
    assert installed.on_terminal("agent", "install", "claude", answers=[("Set up Claude Code?", "y\n")]).code == 0
    assert "chronomancer" in place.read_text()


def test_documents_have_what_others_rely_on(installed: Program) -> None:
    plan = installed.good("agent", "install", "gemini", "--user", "--plan", "--json").json
    assert plan.keys() >= {"agent", "scope", "files", "warnings", "steps", "written", "notices"}
    (file,) = plan["files"]
    assert (file["change"], file["parts"], plan["scope"], plan["written"]) == (
        "create",
        ["hooks", "mcp"],
        "user",
        False,
    )
    assert "BeforeTool" in file["diff"]
    done = installed.good("agent", "install", "gemini", "--user", "--json").json
    assert (done["written"], done["files"][0]["backup"]) == (True, None)
    Path(file["path"]).write_text(json.dumps({**json.loads(Path(file["path"]).read_text()), "mine": 1}))
    done = installed.good("agent", "uninstall", "gemini", "--user", "--yes", "--json").json
    assert json.loads(Path(done["files"][0]["backup"]).read_text())["mine"] == 1
    parts = installed.good("agent", "status", "--json").json["parts"]
    assert len(parts) == 20
    assert {part["state"] for part in parts} == {"absent"}
    assert parts[0].keys() == {"agent", "scope", "part", "state", "path", "programs", "problem", "obstacles"}


def test_a_status_with_something_to_do_ends_with_1(installed: Program) -> None:
    installed.good("agent", "install", "codex", "--no-mcp")
    (installed.folder.parent / "venv/bin/chrono-hook").unlink()
    found = installed.run("agent", "status", "codex")
    assert found.code == 1
    assert "! codex hooks: " in found.out
    assert "chrono-hook is not there" in found.out


def test_status_looks_at_the_user_s_settings_where_there_is_no_project(installed: Program) -> None:
    home = Path(installed.environment["HOME"])
    found = installed.run("agent", "status", "--json", folder=home)
    assert {part["scope"] for part in found.json["parts"]} == {"user"}
    assert found.json["notices"]
    assert installed.run("agent", "install", "claude", "--json", folder=home).error["code"] == "dangerous_root"


def test_the_plugin_is_copied_out(installed: Program, tmp_path: Path) -> None:
    out = installed.good("agent", "plugin", str(tmp_path / "plugin")).out
    assert out.count("created ") == 5
    assert "claude --plugin-dir" in out
    assert (tmp_path / "plugin/.claude-plugin/plugin.json").is_file()


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("install", "emacs"), "usage"), (("status", "emacs"), "usage"),
        (("install", "claude", "--no-hooks", "--no-mcp"), "usage"),
        (("uninstall",), "usage"),
    ],
)  # fmt: skip
def test_bad_input_is_an_error_with_a_hint(installed: Program, words: tuple[str, ...], code: str) -> None:
    error = installed.run("agent", *words, "--json").error
    assert error["code"] == code
    assert error["hint"]


def test_broken_settings_are_said_with_their_place(installed: Program) -> None:
    (installed.folder / ".mcp.json").write_text('{\n  "a": 1\n  "b": 2\n}')
    error = installed.run("agent", "install", "claude", "--yes", "--json").error
    assert error["code"] == "bad_config"
    assert ".mcp.json, line 3, column 3: a comma or } is missing" in error["message"]
    assert "nothing was changed" in error["hint"]
    assert not (installed.folder / ".claude").exists()
