"""Whatever it is given, the hook ends well, keeps standard output to what the agent expects, and says what is wrong."""

from __future__ import annotations

import io
import json
import os
import subprocess
from pathlib import Path

import pytest

from skills.agent_hooks import AGENTS
from skills.agent_hooks.front import main
from tests.skills.agent_hooks.conftest import COMMAND, PROJECT, Hook, read_payload
from tests.support import RepoBuilder

CALL = {"hook_event_name": "PreToolUse", "tool_name": "Bash", "tool_input": {"command": "git reset --hard"}}


@pytest.mark.parametrize(
    "data",
    [
        b"", b"{", b"null", b"[]", b'"PreToolUse"', b"{}", b"\xff\xfe\x00", b'{"hook_event_name": 7}', b"[" * 200_000,
        b'{"hook_event_name": "Unheard"}', b'{"a": ' * 100_000, b'{"hook_event_name": "\\ud800"}',
        b'{"hook_event_name": "PreToolUse", "tool_name": "' + b"x" * (33 * 1024 * 1024) + b'"}',
    ],
    ids=range(13),
)  # fmt: skip
@pytest.mark.parametrize("agent", AGENTS)
def test_what_is_no_event_is_a_warning(hook: Hook, agent: str, data: bytes) -> None:
    said = hook.say(agent, data)
    assert said.output == ""
    assert said.errors.startswith("chrono-hook: ")
    assert len(said.errors) < 1000
    assert said.errors.count("\n") == 1
    assert not hook.tree.store.exists()


@pytest.mark.parametrize(
    "wrong",
    [
        {"cwd": 5}, {"cwd": "relative"}, {"cwd": "/no/such/folder/anywhere"}, {"cwd": ""}, {"cwd": "/tmp/a\0b"},
        {"cwd": "/\ud800"},
        {"session_id": []}, {"tool_input": "no json"}, {"tool_input": 5}, {"tool_input": None},
        {"tool_input": {"command": ["git", "status"]}}, {"tool_input": {"command": "echo \x00 \ud800"}},
        {"tool_name": 5}, {"tool_name": None, "tool_input": {}}, {"tool_name": "Edit", "tool_input": {"file_path": {}}},
        {"tool_name": "Edit", "tool_input": {"file_path": "a\0b"}}, {"tool_name": "Write", "tool_input": {"path": ""}},
        {"tool_name": "x" * 100_000}, {"session_id": "s" * 100_000, "turn_id": "t\n\x1b[31m"},
        {"tool_input": {"command": "(" * 50_000}}, {"tool_input": {"command": ""}}, {"workspace_roots": [5]},
    ],
)  # fmt: skip
def test_fields_of_wrong_types_break_nothing(hook: Hook, wrong: dict[str, object]) -> None:
    data = json.dumps({**CALL, "cwd": str(hook.tree.root), **wrong}).encode()
    said = hook.say("claude", data)
    assert "unexpected" not in said.errors
    assert "Error" not in said.errors
    if said.output:
        json.loads(said.output)


@pytest.mark.parametrize(
    "prompt", ["", " \n ", "\x00\x1b[2J", "日本語のプロンプト", "@~2", "last-green", "..", "../../x", "-" * 9000]
)
def test_any_prompt_makes_a_name_and_a_description(hook: Hook, prompt: str) -> None:
    data = {"hook_event_name": "UserPromptSubmit", "prompt": prompt, "cwd": str(hook.tree.root)}
    assert hook.say("claude", json.dumps(data).encode()) == ("", "")
    (name,) = hook.names()
    assert name.startswith("prompt:")


@pytest.mark.parametrize("words", [[], ["emacs"], ["claude", "codex"], ["--event"], ["--what", "claude"], ["\ud800"]])
def test_an_unknown_agent_is_a_warning(words: list[str]) -> None:
    said = main(words, None, os.environ, lambda: False)
    assert said.output == ""
    assert "which agent?" in said.errors


def test_an_events_name_can_be_given(hook: Hook) -> None:
    data = json.dumps({"sessionId": "s", "cwd": str(hook.tree.root), "prompt": "go on"}).encode()
    assert hook.say("copilot", data, "--event", "userPromptSubmitted") == ("", "")
    assert hook.names() == ["prompt: go on"]


def test_help_and_version_are_shown() -> None:
    assert main(["--version"], None, {}, lambda: False).output.startswith("chrono-hook ")
    assert "AGENT" in main(["--help"], None, {}, lambda: False).output


@pytest.mark.parametrize("name", ["claude/UserPromptSubmit", "claude/PreToolUse.Edit"])
def test_a_home_folder_is_not_held_and_the_agent_goes_on(hook: Hook, name: str) -> None:
    data = read_payload(name, Path(os.environ["HOME"]))
    said = hook.say("claude", data)
    assert "home folder" in said.errors
    assert "deny" not in said.output


def test_a_plain_folder_is_held_as_well(folder: RepoBuilder) -> None:
    folder.write("a.txt", "one\n")
    hook = Hook(folder)
    assert hook.send("claude/UserPromptSubmit") == ("", "")
    assert len(hook.names()) == 1


def test_a_folder_that_the_agent_went_to_is_not_taken_for_its_project(hook: Hook, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    hook.say("claude", read_payload("claude/UserPromptSubmit", elsewhere), CLAUDE_PROJECT_DIR=str(hook.tree.root))
    assert len(hook.names()) == 1
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize("text", ["guard = [", 'guard = "often"\n', "unheard = 1\n"])
def test_wrong_settings_are_said_and_the_agent_goes_on(hook: Hook, tree: RepoBuilder, text: str) -> None:
    tree.write("chronos.toml", text)
    for name in ("claude/UserPromptSubmit", "claude/PreToolUse.Bash.risky"):
        said = hook.send(name)
        assert "chronos.toml" in said.errors
        assert "deny" not in said.output


@pytest.mark.parametrize(
    ("agent", "data"),
    [
        ("claude", b'{"hook_event_name": "PreToolUse", "tool_name": "Bash", "tool_input": {"command": "rm -rf'),
        ("claude", b'{"hook_event_name": "PreToolUse", "tool_name": "' + b"x" * (33 * 1024 * 1024) + b'"}'),
        ("claude", b'{"hook_event_name": ["PreToolUse"], "tool_name": "Bash"}'),
        ("codex", b'{"hook_event_name": "PreToolUse", "tool_name": "\xff"}'),
        ("gemini", b'{"hook_event_name": "BeforeTool", "tool_input": ' + b"[" * 100_000),
        ("cursor", b'{"hook_event_name": "beforeShellExecution", "command": "rm'),
        ("copilot", b'{"toolName": "bash", "toolArgs": "'),
    ],
    ids=range(7),
)
def test_a_call_that_cannot_be_read_is_refused_where_the_policy_is_strict(hook: Hook, agent: str, data: bytes) -> None:
    said = hook.say(agent, data, CHRONOS_GUARD="high=block")
    assert '"deny"' in said.output
    assert "could not be judged" in str(json.loads(said.output))
    assert hook.say(agent, data).output == ""


# What a call would be whose event has a name that nobody knows yet, and the field that each agent reads a refusal from.
UNHEARD = {
    "claude": ({"hook_event_name": "PreEverything", "tool_name": "Bash"}, {"decision": "block"}),
    "codex": ({"hook_event_name": "PreEverything", "tool_name": "Bash"}, {"decision": "block"}),
    "gemini": ({"hook_event_name": "BeforeEverything", "tool_name": "run_shell_command"}, {"decision": "deny"}),
    "cursor": ({"hook_event_name": "beforeEverything", "command": "rm -rf build"}, {"permission": "deny"}),
    "copilot": ({"hook_event_name": "PreEverything", "tool_name": "bash"}, {"permissionDecision": "deny"}),
}


@pytest.mark.parametrize("end", [None, -1], ids=["unknown", "malformed"])
@pytest.mark.parametrize("agent", AGENTS)
def test_a_call_of_an_unknown_name_is_refused_where_the_policy_is_strict_and_only_there(
    hook: Hook, agent: str, end: int | None
) -> None:
    fields, refusal = UNHEARD[agent]
    call = {**fields, "tool_input": {"command": "rm -rf build"}, "cwd": str(hook.tree.root)}
    data = json.dumps(call).encode()[:end]
    output, errors = hook.run(agent, data, CHRONOS_GUARD="high=block")
    assert json.loads(output).items() >= refusal.items()
    assert "could not be judged" in output
    assert "hookSpecificOutput" not in output
    assert errors.startswith("chrono: ")
    output, errors = hook.run(agent, data)
    assert (output, errors[:13]) == ("", "chrono-hook: ")


@pytest.mark.parametrize("end", [None, -1], ids=["unknown", "malformed"])
@pytest.mark.parametrize(
    "fields",
    [
        {"hook_event_name": "TurnAlmostOver"}, {"hook_event_name": "BeforeThinking", "prompt": '"tool_name": "Bash"'},
        {"hook_event_name": "PostEverything", "tool_name": "Bash", "tool_input": {}},
        {"hook_event_name": "ToolDone", "tool_name": "Bash", "tool_input": {}, "tool_response": "done"},
        {"hook_event_name": "ToolFailed", "tool_name": "Bash", "tool_input": {}, "error": "exit code 1"},
    ],
)  # fmt: skip
@pytest.mark.parametrize("agent", AGENTS)
def test_an_unknown_event_that_is_no_call_to_come_is_refused_nowhere(
    hook: Hook, agent: str, fields: dict[str, object], end: int | None
) -> None:
    said = hook.say(agent, json.dumps(fields).encode()[:end], CHRONOS_GUARD="block")
    assert (said.output, said.errors[:13]) == ("", "chrono-hook: ")


def test_a_malformed_event_that_cannot_be_blocked_is_refused_nowhere(hook: Hook) -> None:
    for name in ("Stop", "UserPromptSubmit", "PostToolUse", "PermissionRequest"):
        data = b'{"hook_event_name": "%s", "tool_name": "Bash", "was": "PreToolUse", "tool_input": {' % name.encode()
        output, errors = hook.run("claude", data, CHRONOS_GUARD="block")
        assert (output, errors[:13]) == ("", "chrono-hook: ")


@pytest.mark.parametrize(
    "data",
    [
        b"{", b'{"hook_event_name": "UserPromptSubmit", "prompt": "about \\"PreToolUse\\"',
        b'{"hook_event_name": "Stop"', b'{"toolName": "bash", "toolResult": {',
    ],
)  # fmt: skip
@pytest.mark.parametrize("agent", AGENTS)
def test_what_is_no_call_is_refused_nowhere(hook: Hook, agent: str, data: bytes) -> None:
    said = hook.say(agent, data, CHRONOS_GUARD="block")
    assert (said.output, said.errors[:13]) == ("", "chrono-hook: ")


@pytest.mark.parametrize(
    "text", ["guard = [", "guard = 'block'\nunheard = 1\n", "keep_last = 'x'\n[guard]\nhigh = 'confirm'\n"]
)
def test_a_strict_policy_holds_also_where_the_settings_are_wrong(hook: Hook, tree: RepoBuilder, text: str) -> None:
    tree.write("chronos.toml", text)
    tree.write("below/x.txt", "x\n")
    strict = {"CHRONOS_GUARD": "block"} if "block" not in text and "confirm" not in text else {}
    data = read_payload("claude/PreToolUse.Bash.risky", tree.path("below"))
    said = hook.say("claude", data, **strict)
    assert '"deny"' in said.output
    assert "chronos.toml" in said.output
    assert "deny" not in hook.send("claude/UserPromptSubmit", **strict).output


def test_what_wrong_rules_cannot_judge_is_held_or_refused_where_the_policy_is_strict(
    hook: Hook, tree: RepoBuilder
) -> None:
    tree.write("chronos-risk.yaml", "words: [")
    said = hook.send("claude/PreToolUse.Bash.risky").output
    assert "chronos-risk.yaml, line 1" in said
    assert "deny" not in said
    assert hook.names() == ["before rm -rf build git reset --hard"]
    strict = hook.send("claude/PreToolUse.Bash.risky", CHRONOS_GUARD="high=block").output
    assert '"deny"' in strict
    assert "could not be judged" in strict


def test_settings_that_are_no_file_are_not_waited_for(hook: Hook, tree: RepoBuilder) -> None:
    os.mkfifo(tree.path("chronos.toml"))
    tree.path("pyproject.toml").mkdir()
    assert hook.send("claude/PreToolUse.Bash.reads") == ("", "")


def test_a_closed_input_and_output_break_nothing(hook: Hook) -> None:
    for redirect in ("<&-", ">&-", "2>&-", "<&- >&- 2>&-", ">/dev/full", "2>/dev/full"):
        command = f'exec "$0" "$@" {redirect}'
        done = subprocess.run(
            ["/bin/sh", "-c", command, *COMMAND, "claude"], cwd=hook.tree.root, check=False, capture_output=True,
            env={**hook.tree.environment, "PYTHONPATH": str(PROJECT), "CHRONOS_GUARD": "block"},
            input=read_payload("claude/PreToolUse.Bash.risky", hook.tree.root),
        )  # fmt: skip
        assert (done.returncode, b"Traceback" in done.stderr) == (0, False), redirect


def test_a_project_folder_that_is_gone_is_a_warning(hook: Hook, tmp_path: Path) -> None:
    said = hook.say("claude", read_payload("claude/UserPromptSubmit", tmp_path / "gone"))
    assert "cannot open" in said.errors


def test_a_present_folder_that_is_gone_lets_nothing_through_that_the_policy_refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    with monkeypatch.context() as patch:
        patch.chdir(gone)
        patch.setenv("PWD", str(gone))
        gone.rmdir()
        prompt = main(["claude"], io.BytesIO(b'{"hook_event_name": "UserPromptSubmit"}'), os.environ, lambda: False)
        assert str(gone) in prompt.errors
        patch.setenv("CHRONOS_GUARD", "block")
        for data in (json.dumps(CALL).encode(), json.dumps(CALL).encode()[:-1]):
            assert '"deny"' in main(["claude"], io.BytesIO(data), os.environ, lambda: False).output
