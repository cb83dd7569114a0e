"""A hook that is killed, that waits for a lock, or that meets another one: nothing is lost and the next one is fine."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import time
from pathlib import Path

import pytest

from chronos.forking import split_off
from tests.skills.agent_hooks.conftest import Hook, read_payload
from tests.support import RepoBuilder

_TIME_LIMIT_S = 30


def assert_sound(hook: Hook) -> None:
    with hook.tree.engine() as engine:
        assert [finding for finding in engine.verify() if finding.severity == "error"] == []


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_one_that_is_killed_by_its_time_out_leaves_nothing_broken(hook: Hook, tree: RepoBuilder, how: int) -> None:
    for number in range(300):
        tree.write(f"many/{number}.txt", f"{number}\n" * 50)
    data = read_payload("claude/UserPromptSubmit", tree.root)
    for delay in (0.03, 0.06, 0.09, 0.12, 0.15, 0.2):
        tree.write("a.txt", f"{delay}\n")
        with hook.start("claude") as process:
            assert process.stdin is not None
            process.stdin.write(data)
            process.stdin.close()
            time.sleep(delay)
            process.send_signal(how)
    assert hook.run("claude", data) == ("", "")
    assert hook.names()[0].startswith("prompt:")
    assert_sound(hook)


def test_agents_in_one_folder_lose_nothing(hook: Hook, tree: RepoBuilder) -> None:
    sent = {
        "claude": "claude/UserPromptSubmit", "codex": "codex/UserPromptSubmit", "gemini": "gemini/BeforeTool.replace",
        "cursor": "cursor/beforeSubmitPrompt", "copilot": "copilot/agentStop",
    }  # fmt: skip
    running = {agent: hook.start(agent) for agent in sent}
    for agent, process in running.items():
        output, errors = process.communicate(read_payload(sent[agent], tree.root), timeout=60)
        assert (process.returncode, output, errors) == (0, b"", b"")
    with tree.engine() as engine:
        found = "\n".join(row.description for row in engine.list_checkpoints())
        first = engine.list_checkpoints()[-1]
        assert engine.diff(first.checkpoint_id) == []
    # All saw one state; each prompt is linked to whichever checkpoint has it.
    assert {line for line in found.splitlines() if line.startswith("prompt: ")} == {
        "prompt: Remove the dead code in b.txt", "prompt: Migrate the table", "prompt: Tidy up",
    }  # fmt: skip
    assert_sound(hook)


def test_a_held_lock_is_waited_for_and_then_said(hook: Hook, tree: RepoBuilder) -> None:
    hook.send("claude/UserPromptSubmit")
    tree.write("a.txt", "more\n")
    with open(tree.store / ".store/locks/store", "rb+") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        prompt = hook.send("claude/UserPromptSubmit", CHRONOS_LOCK_TIMEOUT="0.1")
        edit = hook.send("claude/PreToolUse.Edit", CHRONOS_LOCK_TIMEOUT="0.1")
        risky = hook.send("claude/PreToolUse.Bash.risky", CHRONOS_LOCK_TIMEOUT="0.1")
    assert prompt.errors
    assert "deny" not in prompt.output + edit.output
    assert "goes on without one" in edit.output
    assert '"deny"' in risky.output
    assert hook.send("claude/UserPromptSubmit") == ("", "")
    assert len(hook.names()) == 2


def test_a_damaged_store_is_said_and_only_what_is_of_high_risk_is_refused(hook: Hook, tree: RepoBuilder) -> None:
    hook.send("claude/UserPromptSubmit")
    tree.write("a.txt", "more\n")
    (tree.store / ".store/format").write_text("something else\n")
    prompt, edit = hook.send("claude/UserPromptSubmit"), hook.send("claude/PreToolUse.Edit")
    assert prompt.errors and edit.errors
    assert "deny" not in prompt.output + edit.output
    assert '"deny"' in hook.send("claude/PreToolUse.Bash.risky").output


def test_nobody_waits_for_what_is_done_after_a_turn(hook: Hook, tree: RepoBuilder) -> None:
    with hook.start("claude") as first:
        first.communicate(read_payload("claude/UserPromptSubmit", tree.root))
    tree.write("a.txt", "after the turn\n")
    with open(tree.store / ".store/locks/store", "rb+") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        # It ends, and closes its output, while the checkpoint cannot be taken yet.
        assert hook.run("claude", read_payload("claude/Stop", tree.root)) == ("", "")
        assert len(hook.names()) == 1
    wait_for(lambda: len(hook.names()) == 2)
    assert hook.names()[0] == "after claude Stop"


def test_what_goes_on_alone_has_a_session_and_no_output_of_ours(tmp_path: Path) -> None:
    report = tmp_path / "report"
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(writer, 1)
        os.close(writer)
        if not split_off():
            files = [os.readlink(f"/proc/self/fd/{number}") for number in range(3)]
            report.with_suffix(".part").write_text(json.dumps([os.getsid(0) == os.getpid(), files]))
            report.with_suffix(".part").rename(report)
        os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    assert os.read(reader, 1) == b""  # the end: nobody holds the pipe any more
    os.close(reader)
    wait_for(report.exists)
    assert json.loads(report.read_text()) == [True, ["/dev/null"] * 3]


def wait_for(condition: object) -> None:
    end = time.monotonic() + _TIME_LIMIT_S
    assert callable(condition)
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)
