"""A call that an agent says has failed is a lesson: once, without secrets, linked to session and checkpoint."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from historian import HistorianAgent
from historian.lessons import Lesson
from historian.risk import Operation, RiskLevel
from skills.agent_hooks.failing import error_of
from tests.skills.agent_hooks.conftest import Hook, read_payload
from tests.skills.agent_hooks.test_startup import NEVER, QUICK, imported, imported_for, ours
from tests.support import RepoBuilder

# A failed call of each agent, as far as its payloads tell that it failed.
FAILED = {
    "claude/PostToolUseFailure.Bash": "npm test",
    "claude/PostToolUseFailure.mcp": "mcp__postgres__execute",
    "codex/PostToolUse.mcp.failed": "mcp__postgres__execute",
    "gemini/AfterTool.run_shell_command.failed": "npm test",
    "cursor/postToolUseFailure": "npm test",
    "copilot/postToolUseFailure": "npm test",
    "copilot/PostToolUseFailure": "npm test",
    "copilot/postToolUse.bash.failed": "npm test",
    "copilot/PostToolUse.Bash.failed": "npm test",
}
_TIME_LIMIT_S = 30


def lessons(hook: Hook) -> list[Lesson]:
    with hook.tree.engine() as engine, HistorianAgent(engine=engine) as historian:
        return historian.lessons.list_lessons()


def failure(hook: Hook, command: str = "python migrate.py", **fields: Any) -> bytes:
    call = {
        "hook_event_name": "PostToolUseFailure", "tool_name": "Bash", "tool_input": {"command": command},
        "error": "Exit code 1\nOperationalError: database is locked", "session_id": "s-1", "prompt_id": "p-1",
        "cwd": str(hook.tree.root),
    }  # fmt: skip
    return json.dumps({**call, **fields}).encode()


@pytest.mark.parametrize(("name", "words"), FAILED.items())
def test_a_failed_call_of_each_agent_is_a_lesson(hook: Hook, name: str, words: str) -> None:
    assert hook.send(name) == ("", "")
    (lesson,) = lessons(hook)
    assert lesson.situation == words
    assert lesson.result.startswith(("FAILURE: TypeError: total is", "FAILURE: OperationalError: database is locked"))
    assert {"reported", name.partition("/")[0]} <= set(lesson.tags)
    assert "\nsession: " in lesson.feedback


@pytest.mark.parametrize("name", ["claude/PostToolUse", "codex/PostToolUse", "gemini/AfterTool", "copilot/postToolUse"])
def test_a_call_that_went_well_is_none(hook: Hook, name: str) -> None:
    assert hook.send(name) == ("", "")
    assert lessons(hook) == []
    assert not hook.tree.store.exists()


def test_it_is_done_in_the_background_by_the_real_process(hook: Hook) -> None:
    data = read_payload("claude/PostToolUseFailure.Bash", hook.tree.root)
    assert hook.run("claude", data) == ("", "")
    end = time.monotonic() + _TIME_LIMIT_S
    while not (found := lessons(hook)):
        assert time.monotonic() < end
        time.sleep(0.02)
    assert [one.count for one in found] == [1]


def test_it_is_linked_to_the_checkpoint_from_before_the_call_and_says_what_changed(
    hook: Hook, tree: RepoBuilder
) -> None:
    call = {"tool_name": "Bash", "tool_input": {"command": "python migrate.py"}, "session_id": "s-1"}
    before = {**call, "hook_event_name": "PreToolUse", "cwd": str(tree.root)}
    hook.say("claude", json.dumps(before).encode())
    (name,) = hook.names()
    began = time.monotonic()
    time.sleep(0.2)  # longer than from here to the hook's own start
    tree.write("b.txt", "half migrated\n")
    with tree.engine() as engine:
        engine.take_checkpoint("of somebody else, meanwhile")
        first = engine.list_checkpoints()[-1]
    took_ms = (time.monotonic() - began) * 1000
    hook.say("claude", failure(hook, duration_ms=took_ms))
    (lesson,) = lessons(hook)
    assert (first.name, lesson.checkpoint_before) == (name, first.checkpoint_id)
    assert "1 changed thing" in lesson.feedback
    assert lesson.feedback.splitlines()[1:] == ["agent: claude", "session: s-1", "turn: p-1"]
    assert "changed" in lesson.tags


def test_the_same_failure_reported_twice_is_learned_once_also_at_one_time(hook: Hook) -> None:
    data = failure(hook, tool_use_id="toolu_7")
    with ThreadPoolExecutor(3) as pool:
        assert set(pool.map(lambda _: hook.run("claude", data), range(3))) == {("", "")}
    hook.say("claude", data)
    hook.say("claude", failure(hook, "npm run deploy"))  # the last, so that those in the background are done
    end = time.monotonic() + _TIME_LIMIT_S
    while len(found := {one.situation: one for one in lessons(hook)}) < 2:
        assert time.monotonic() < end
        time.sleep(0.02)
    time.sleep(0.5)
    assert found["python migrate.py"].count == 1
    hook.say("claude", failure(hook, tool_use_id="toolu_8"))
    assert {one.situation: one.count for one in lessons(hook)}["python migrate.py"] == 2


def test_no_secret_of_the_call_or_its_error_is_kept(hook: Hook, tree: RepoBuilder) -> None:
    key, password = "AKIA" + "Q3EGRIB7QXZ5J2NA", "hunter2" + "hunter2"
    command = f"python deploy.py --password {password} --key {key}"
    hook.say("claude", failure(hook, command, error=f"Exit code 1\nValueError: {key} of {command}", tool_use_id=key))
    (lesson,) = lessons(hook)
    held = b"".join(path.read_bytes() for path in (tree.root / "data").rglob("*") if path.is_file())
    assert "deploy.py" in lesson.situation
    assert key.encode() not in held
    assert password.encode() not in held


@pytest.mark.parametrize(
    "fields",
    [
        {"is_interrupt": True}, {"error": "Exit code 130"}, {"error": "Exit code 143\nTerminated"}, {"error": ""},
        {"failure_type": "permission_denied"}, {"tool_name": "Read", "tool_input": {"file_path": "gone.txt"}},
        {"tool_input": {"command": "grep -rn nothing ."}}, {"tool_input": {"command": "false"}},
        {"tool_name": "Edit", "tool_input": {"file_path": "a.txt"}, "error": "String to replace not found in file."},
        {"tool_input": {"command": "cd x && chrono --json run -- ./migrate.sh"}},
        {"tool_name": "mcp__chronomancer__undo", "error": "plan_needed: undo replaces what is there"},
    ],
)  # fmt: skip
def test_what_is_no_failure_of_an_operation_is_not_learned(hook: Hook, fields: dict[str, Any]) -> None:
    assert hook.say("claude", failure(hook, **fields)) == ("", "")
    assert lessons(hook) == []


@pytest.mark.parametrize(
    ("variables", "count"),
    [
        ({"CHRONOS_GUARD": "off"}, 0), ({"CHRONOS_GUARD": "medium=off"}, 0), ({"ENABLE_CHRONOS": "false"}, 0),
        ({"CHRONOS_GUARD": "advise"}, 1), ({"CHRONOS_AUTO_CHECKPOINT": "false"}, 1), ({"CHRONOS_GUARD": "block"}, 1),
    ],
)  # fmt: skip
def test_the_guards_policy_says_whether_it_is_wanted(hook: Hook, variables: dict[str, str], count: int) -> None:
    assert hook.say("claude", failure(hook, "npm test"), **variables) == ("", "")
    assert len(lessons(hook)) == count


def test_what_fails_again_and_again_and_changes_nothing_becomes_no_riskier(hook: Hook, tree: RepoBuilder) -> None:
    hook.send("claude/UserPromptSubmit")
    for number in range(3):
        hook.say("claude", failure(hook, "npm test", tool_use_id=f"toolu_{number}"))
    with tree.engine() as engine, HistorianAgent(engine=engine) as historian:
        assert historian.assess(Operation(text="npm test")).level is RiskLevel.MEDIUM
    tree.write("b.txt", "broken\n")
    hook.say("claude", failure(hook, "npm test", tool_use_id="toolu_4"))
    with tree.engine() as engine, HistorianAgent(engine=engine) as historian:
        found = historian.assess(Operation(text="npm test"))
    assert found.level is RiskLevel.HIGH
    assert "resembles a past failure" in found.reasons[0]


def test_a_failed_reading_loads_nothing_and_a_result_that_is_none_next_to_nothing(hook: Hook) -> None:
    read = failure(hook, tool_name="Read", tool_input={"file_path": "gone.txt"})
    well = [imported(hook, name) for name in ("claude/PostToolUse", "gemini/AfterTool")]
    for modules in (imported_for(hook, "claude", read), *well):
        assert ours(modules) - QUICK == {"skills.agent_hooks.failing"}
        assert not modules & {*NEVER, "msgspec", "subprocess", "sqlite3", "logging", "inspect", "dataclasses"}
    assert "skills.agent_hooks.failing" not in imported(hook, "claude/PreToolUse.Read")


def test_a_failure_that_is_learned_loads_nothing_heavy(hook: Hook) -> None:
    assert not imported(hook, "claude/PostToolUseFailure.Bash") & NEVER


@pytest.mark.parametrize(
    ("payload", "text"),
    [
        ({"error": {"name": "Error", "message": "no space", "stack": "Error: no space\n at x.js:1"}},
         "Error: no space\n at x.js:1"),
        ({"error": "Exit code 2"}, "exit code 2"),
        ({"error": None, "tool_response": None}, ""),
        ({"error": 5, "error_message": ["one", {"text": "two"}, 7]}, "one\ntwo"),
        ({"result_json": '{"isError": true, "content": [{"type": "text", "text": "no such table"}]}'}, "no such table"),
        ({"result_json": '{"isError": tru'}, ""),
        ({"tool_response": {"isError": False, "content": "fine"}}, ""),
        ({"tool_response": {"error": {"message": "spawn failed", "type": "shell_execute_error"}}}, "spawn failed"),
        ({"tool_result": {"result_type": "failure", "text_result_for_llm": "exit 1"}}, "exit 1"),
        ({"toolResult": {"resultType": "denied", "textResultForLlm": "no"}}, ""),
        ({"tool_response": {"llmContent": "Output: (empty)\nExit Code: 3"}}, "exit code 3"),
        ({"tool_response": {"llmContent": "Output: (empty)\nExit Code: 130"}}, ""),
        ({"toolResult": {"textResultForLlm": "bad\n<shellId: 0 completed with exit code 2>"}}, "bad"),
        ({"toolResult": {"resultType": "success", "textResultForLlm": "<exited with exit code 2>"}}, "exit code 2"),
        ({"toolResult": {"textResultForLlm": "ok\n<shellId: 0 completed with exit code 0>"}}, ""),
        ({"toolResult": {"resultType": "success", "textResultForLlm": "<exited with exit code 2>\nis in a log"}}, ""),
        ({"tool_response": {"llmContent": "Output: done\nExit Code: 1\nand then more\nProcess Group PGID: 7"}}, ""),
        ({"tool_response": "Exit Code: 1 is what it printed"}, ""),
    ],
)  # fmt: skip
def test_what_failed_is_read_in_every_shape_and_nothing_else_is_taken_for_a_failure(
    payload: dict[str, Any], text: str
) -> None:
    assert error_of(payload) == text
