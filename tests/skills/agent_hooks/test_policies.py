"""What each policy makes each agent do with a risky call, in the agent's own form, and what it says to its user."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.skills.agent_hooks.conftest import Hook, read_payload
from tests.support import RepoBuilder

# A risky call of each agent, and whether the agent can ask its user there.
RISKY = {
    "claude/PreToolUse.Bash.risky": True,
    "claude/PreSkillShellCommand": False,
    "codex/PreToolUse.Bash.risky": False,
    "gemini/BeforeTool.run_shell_command.risky": True,
    "cursor/beforeShellExecution.risky": True,
    "cursor/beforeMCPExecution": True,
    "copilot/preToolUse.bash.risky": True,
    "copilot/PreToolUse.Bash.risky": True,
    "copilot/PreToolUse.vscode.risky": True,
}
EDITS = {
    "claude/PreToolUse.Edit": True,
    "codex/PreToolUse.apply_patch": False,
    "gemini/BeforeTool.replace": True,
    "cursor/preToolUse.Write": False,
    "copilot/preToolUse.edit": True,
}


def decision_of(document: Any) -> str:
    """Return what a document decides, wherever its agent looks for that."""
    inner = document.get("hookSpecificOutput", {})
    found = {
        document.get("permission"), document.get("permissionDecision"), document.get("decision"),
        inner.get("permissionDecision"),
    } - {None}  # fmt: skip
    assert len(found) <= 1
    return found.pop() if found else ""


@pytest.mark.parametrize("name", RISKY)
def test_auto_takes_a_checkpoint_and_decides_nothing(hook: Hook, name: str) -> None:
    document = hook.answer(name)
    assert document is None or decision_of(document) == ""
    (taken,) = hook.names()
    assert taken.startswith("before ")


@pytest.mark.parametrize("name", RISKY)
def test_block_refuses_with_the_reasons_and_takes_no_checkpoint(hook: Hook, name: str) -> None:
    document = hook.answer(name, CHRONOS_GUARD="block")
    assert decision_of(document) == "deny"
    assert "refused by policy block" in str(document)
    assert hook.names() == []


@pytest.mark.parametrize(("name", "can_ask"), {**RISKY, **EDITS}.items())
def test_confirm_asks_where_the_agent_can_and_refuses_where_not(hook: Hook, name: str, can_ask: bool) -> None:
    document = hook.answer(name, CHRONOS_GUARD="confirm")
    assert decision_of(document) == ("ask" if can_ask else "deny")
    # The checkpoint is taken before its user answers.
    assert len(hook.names()) == can_ask


@pytest.mark.parametrize("name", RISKY)
def test_advise_is_said_to_the_user_or_on_standard_error(hook: Hook, name: str) -> None:
    said = hook.send(name, CHRONOS_GUARD="advise")
    assert "risk" in said.errors
    is_silent = name.startswith("cursor/") or name == "copilot/preToolUse.bash.risky"
    assert ("risk" in said.output) is not is_silent
    assert hook.names() == []


@pytest.mark.parametrize("name", RISKY)
def test_off_does_nothing(hook: Hook, name: str) -> None:
    assert hook.send(name, CHRONOS_GUARD="off") == ("", "")
    assert hook.names() == []


def test_the_documents_have_the_shape_that_each_agent_reads(hook: Hook) -> None:
    claude = hook.answer("claude/PreToolUse.Bash.risky", CHRONOS_GUARD="block")["hookSpecificOutput"]
    assert claude.keys() == {"hookEventName", "permissionDecision", "permissionDecisionReason"}
    assert claude["hookEventName"] == "PreToolUse"
    skill = hook.answer("claude/PreSkillShellCommand", CHRONOS_GUARD="block")["hookSpecificOutput"]
    assert skill["hookEventName"] == "PreSkillShellCommand"
    codex = hook.answer("codex/PreToolUse.Bash.risky", CHRONOS_GUARD="block")
    assert codex.keys() == {"hookSpecificOutput"}  # it refuses a document with keys that it does not know
    gemini = hook.answer("gemini/BeforeTool.run_shell_command.risky", CHRONOS_GUARD="confirm")
    assert gemini.keys() == {"decision", "reason", "systemMessage"}
    cursor = hook.answer("cursor/beforeShellExecution.risky", CHRONOS_GUARD="confirm")
    assert cursor.keys() == {"permission", "user_message", "agent_message"}
    own = hook.answer("copilot/preToolUse.bash.risky", CHRONOS_GUARD="block")
    assert own.keys() == {"permissionDecision", "permissionDecisionReason"}
    shared = hook.answer("copilot/PreToolUse.Bash.risky", CHRONOS_GUARD="block")
    assert shared.keys() == {"permissionDecision", "permissionDecisionReason", "hookSpecificOutput"}


def test_a_question_names_the_checkpoint_that_has_the_state_before(hook: Hook) -> None:
    document = hook.answer("claude/PreToolUse.Bash.risky", CHRONOS_GUARD="confirm")
    with hook.tree.engine() as engine:
        (row,) = engine.list_checkpoints()
    assert row.checkpoint_id in document["hookSpecificOutput"]["permissionDecisionReason"]


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("gemini/BeforeTool.run_shell_command.risky", "systemMessage"),
        ("cursor/beforeShellExecution.risky", "user_message"),
    ],
)  # fmt: skip
def test_who_is_asked_is_told_what_no_checkpoint_holds(hook: Hook, name: str, field: str) -> None:
    data = json.loads(read_payload(name, hook.tree.root))
    inner = data.get("tool_input", data)
    inner["command"] = "rm -rf /"
    said = hook.say(name.partition("/")[0], json.dumps(data).encode(), CHRONOS_GUARD="confirm")
    assert "no checkpoint holds" in json.loads(said.output)[field]


@pytest.mark.parametrize("policy", ["advise", "confirm", "block"])
@pytest.mark.parametrize("name", [name for name in RISKY if ".risky" in name])
def test_no_answer_repeats_a_secret_of_the_command(hook: Hook, name: str, policy: str) -> None:
    password = "hunter2" + "hunter2"
    data = json.loads(read_payload(name, hook.tree.root))
    inner = data.get("tool_input", data.get("toolArgs", data))
    command = (
        f"curl -X DELETE https://me:{password}@host.example/x; git push https://me:{password}@host.example/y --force"
    )
    if isinstance(inner, str):
        data["toolArgs"] = json.dumps({"command": command})
    else:
        inner["command"] = command
    said = hook.say(name.partition("/")[0], json.dumps(data).encode(), CHRONOS_GUARD=policy)
    assert "host.example" in said.output + said.errors
    assert password not in said.output + said.errors


def test_a_levels_own_policy_holds(hook: Hook) -> None:
    policy = "high=block,medium=off"
    assert hook.answer("claude/PreToolUse.Edit", CHRONOS_GUARD=policy) is None
    assert decision_of(hook.answer("claude/PreToolUse.Bash.risky", CHRONOS_GUARD=policy)) == "deny"
    assert hook.names() == []


def test_the_projects_settings_hold_also_in_a_folder_below(hook: Hook, tree: RepoBuilder) -> None:
    tree.write("chronos.toml", 'guard = "block"\n')
    tree.write("deep/down/x.txt", "x\n")
    data = b'{"hook_event_name": "PreToolUse", "tool_name": "Edit", "tool_input": {"file_path": "x.txt"}, "cwd": "%s"}'
    said = hook.say("claude", data % bytes(tree.root / "deep/down"))
    assert '"deny"' in said.output


@pytest.mark.parametrize("name", ["claude/PreToolUse.Edit", "claude/UserPromptSubmit", "claude/Stop"])
def test_nothing_is_taken_where_checkpoints_are_switched_off(hook: Hook, name: str) -> None:
    assert hook.send(name, ENABLE_CHRONOS="false") == ("", "")
    assert not hook.tree.store.exists()


def test_automatic_checkpoints_that_are_switched_off_leave_advice(hook: Hook) -> None:
    assert hook.send("claude/UserPromptSubmit", CHRONOS_AUTO_CHECKPOINT="false") == ("", "")
    assert "high risk" in hook.send("claude/PreToolUse.Bash.risky", CHRONOS_AUTO_CHECKPOINT="false").output
    assert hook.names() == []


def test_block_holds_also_where_checkpoints_are_switched_off(hook: Hook) -> None:
    document = hook.answer("claude/PreToolUse.Bash.risky", CHRONOS_GUARD="high=block", ENABLE_CHRONOS="false")
    assert decision_of(document) == "deny"


@pytest.mark.parametrize("name", ["claude/PreToolUse.Bash.risky", "gemini/BeforeTool.run_shell_command.risky"])
def test_what_cannot_be_held_is_refused_when_it_is_of_high_risk(hook: Hook, name: str) -> None:
    document = hook.answer(name, CHRONOS_MIN_FREE_BYTES=str(10**18))
    assert decision_of(document) == "deny"
    assert "no checkpoint could be taken" in str(document)


def test_what_cannot_be_held_goes_on_with_a_warning_when_it_is_of_medium_risk(hook: Hook) -> None:
    said = hook.send("claude/PreToolUse.Edit", CHRONOS_MIN_FREE_BYTES=str(10**18))
    assert "goes on without one" in said.output
    assert "permissionDecision" not in said.output


def test_an_edit_of_what_no_checkpoint_has_takes_it_along(hook: Hook, tree: RepoBuilder) -> None:
    data = b'{"hook_event_name": "PreToolUse", "tool_name": "Edit", "tool_input": {"file_path": "%s"}, "cwd": "%s"}'
    hook.say("claude", data % (bytes(tree.path("build/out.o")), bytes(tree.root)))
    tree.remove("build/out.o")
    with tree.engine() as engine:
        (row,) = engine.list_checkpoints()
        engine.restore_checkpoint(row.checkpoint_id)
    assert tree.read("build/out.o") == b"made\n"
