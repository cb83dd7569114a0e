"""What is told at a glance: tools and commands that only read, unless the project has rules of its own."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from skills.agent_hooks.events import Event, parse_event
from skills.agent_hooks.reading import edited_path, only_reads
from tests.skills.agent_hooks.conftest import Hook
from tests.support import RepoBuilder


def call(tool: str, agent: str = "claude", **arguments: object) -> Event:
    name = {"gemini": "BeforeTool", "cursor": "preToolUse"}.get(agent, "PreToolUse")
    data = {"hook_event_name": name, "tool_name": tool, "tool_input": arguments}
    return parse_event(agent, json.dumps(data).encode())


@pytest.mark.parametrize(
    ("agent", "tool"),
    [("claude", "Read"), ("claude", "Grep"), ("gemini", "read_file"), ("cursor", "Read"), ("copilot", "view"),
     ("codex", "update_plan")],
)  # fmt: skip
def test_an_agents_own_readers_only_read(tmp_path: Path, agent: str, tool: str) -> None:
    assert only_reads(call(tool, agent), str(tmp_path), {})


@pytest.mark.parametrize("tool", ["mcp__files__Read", "read", "Edit", "Write", "Bash", "Reads", ""])
def test_other_tools_are_not_known(tmp_path: Path, tool: str) -> None:
    assert not only_reads(call(tool), str(tmp_path), {})


def test_a_command_is_looked_at_only_in_a_call_of_the_shell(tmp_path: Path) -> None:
    assert only_reads(call("Bash", command="git status"), str(tmp_path), {})
    assert not only_reads(call("mcp__remote__run", command="git status"), str(tmp_path), {})


@pytest.mark.parametrize(
    ("file", "text", "is_known"),
    [
        ("chronos-risk.yaml", "words: {}\n", False), ("chronos.toml", "[risk.words]\n", False),
        ("chronos.toml", '[guard]\nlow = "auto"\n', False), ("chronos.toml", 'guard = "confirm"\n', True),
        ("pyproject.toml", "[tool.chronos.risk.commands]\n", False),
        ("pyproject.toml", '[tool.chronos.guard]\nlow = "auto"\n', False),
        ("pyproject.toml", '[tool.chronos]\nguard = "block"\n[tool.ruff]\nallow = 1\n', True),
        ("pyproject.toml", "[tool.other]\nrisk = 1\n", True),
    ],
)  # fmt: skip
def test_a_project_with_rules_of_its_own_is_asked(tree: RepoBuilder, file: str, text: str, is_known: bool) -> None:
    tree.write(file, text)
    tree.write("below/x.txt", "x\n")
    event = call("Bash", command="ls -la")
    assert only_reads(event, str(tree.root), {}) is is_known
    assert only_reads(event, str(tree.path("below")), {}) is is_known


def test_a_link_leads_to_the_rules_of_the_project_behind_it(tree: RepoBuilder, tmp_path: Path) -> None:
    tree.write("chronos-risk.yaml", "words: {}\n")
    tree.write("below/x.txt", "x\n")
    link = tmp_path / "link"
    link.symlink_to(tree.path("below"))
    assert not only_reads(call("Bash", command="ls"), str(link), {})


def test_a_policy_for_what_is_low_holds_for_commands(hook: Hook) -> None:
    said = hook.send("claude/PreToolUse.Bash.reads", CHRONOS_GUARD="low=block")
    assert '"deny"' in said.output
    assert hook.send("claude/PreToolUse.Bash.reads", CHRONOS_GUARD="block") == ("", "")


def test_a_projects_own_rule_makes_a_reader_risky(hook: Hook, tree: RepoBuilder) -> None:
    tree.write("chronos-risk.yaml", "commands:\n  destroys: [ls]\n")
    said = hook.send("claude/PreToolUse.Bash.reads", CHRONOS_GUARD="block")
    assert '"deny"' in said.output


def test_what_the_projects_rules_make_harmless_still_is_looked_at(hook: Hook, tree: RepoBuilder) -> None:
    tree.write("chronos-risk.yaml", "weights:\n  changes: 0.1\n  runs: 0.1\n  replaces: 0.1\n")
    data = {
        "hook_event_name": "PreToolUse", "tool_name": "Bash", "cwd": str(tree.root),
        "tool_input": {"command": "echo > build/out.o"},
    }  # fmt: skip
    said = hook.say("claude", json.dumps(data).encode(), CHRONOS_GUARD="high=block")
    assert '"deny"' in said.output  # it overwrites what no checkpoint holds


def test_an_edit_is_known_by_the_agents_own_tool() -> None:
    assert edited_path(call("Edit", file_path="/a.txt")) == "/a.txt"
    assert edited_path(call("replace", "gemini", file_path="a.txt")) == "a.txt"
    assert edited_path(call("mcp__files__Edit", file_path="/a.txt")) == ""


def test_the_environment_says_where_the_project_is(tmp_path: Path) -> None:
    from skills.agent_hooks.events import find_folder

    project, below, other = tmp_path / "project", tmp_path / "project/below", tmp_path / "other"
    for folder in (below, other):
        folder.mkdir(parents=True)
    named = {"CLAUDE_PROJECT_DIR": str(project)}
    for folder, wanted in ((below, below), (project, project), (other, project)):
        event = Event("claude", "Stop", None, str(folder))
        assert find_folder(event, named, os.curdir) == str(wanted)
    assert find_folder(Event("claude", "Stop", None, str(other)), {}, os.curdir) == str(other)
    assert find_folder(Event("claude", "Stop", None, str(other)), {"CLAUDE_PROJECT_DIR": "/"}, os.curdir) == str(other)
    assert find_folder(Event("claude", "Stop", None), {"CLAUDE_PROJECT_DIR": "/no/such"}, "/here") == "/here"
