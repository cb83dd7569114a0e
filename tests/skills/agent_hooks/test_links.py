"""A checkpoint is linked to the agent's session and prompt: found by them, without the secrets in them."""

from __future__ import annotations

import json
from pathlib import Path

from tests.skills.agent_hooks.conftest import Hook
from tests.support import RepoBuilder


def prompt(hook: Hook, text: str, session: str = "session-1", turn: str = "turn-1") -> None:
    data = {
        "hook_event_name": "UserPromptSubmit", "prompt": text, "session_id": session, "turn_id": turn,
        "cwd": str(hook.tree.root),
    }  # fmt: skip
    assert hook.say("codex", json.dumps(data).encode()) == ("", "")


def found(hook: Hook, text: str) -> list[str]:
    with hook.tree.engine() as engine:
        return [row.name for row in engine.search_checkpoints(text)]


def test_a_prompts_checkpoint_is_found_by_session_turn_and_words(hook: Hook) -> None:
    prompt(hook, "Rename the module\nand its tests", session="0199-abc", turn="t-17")
    for text in ("0199-abc", "session: 0199-abc", "turn: t-17", "agent: codex", "and its tests"):
        assert found(hook, text) == ["prompt: Rename the module and its tests"]
    assert found(hook, "session: other") == []


def test_a_prompt_at_a_state_that_has_a_checkpoint_is_linked_to_that_one(hook: Hook, tree: RepoBuilder) -> None:
    prompt(hook, "first")
    prompt(hook, "second", turn="turn-2")
    prompt(hook, "second", turn="turn-2")
    assert hook.names() == ["prompt: first"]
    with tree.engine() as engine:
        (row,) = engine.list_checkpoints()
        assert row.description.splitlines() == [
            "prompt: first", "agent: codex", "session: session-1", "turn: turn-1",
            "prompt: second", "agent: codex", "session: session-1", "turn: turn-2",
        ]  # fmt: skip
        assert (row.tags, row.pinned) == ((), False)
    assert found(hook, "turn-2") == ["prompt: first"]


def test_links_outlive_the_catalog(hook: Hook, tree: RepoBuilder) -> None:
    prompt(hook, "first")
    prompt(hook, "second")
    (tree.store / ".store/catalog.sqlite").unlink()
    assert found(hook, "prompt: second") == ["prompt: first"]


def test_an_agent_that_runs_in_a_timeline_works_on_it_wherever_it_went(hook: Hook, tmp_path: Path) -> None:
    elsewhere = RepoBuilder(tmp_path / "elsewhere", hook.tree.environment)
    elsewhere.commit()
    with hook.tree.engine() as engine:
        variables = engine.timeline_environment(engine.branch_timeline("exp").name)
        RepoBuilder(Path(variables["CHRONOS_ROOT"]), hook.tree.environment).write("work.txt", "work\n")
        data = {"hook_event_name": "UserPromptSubmit", "prompt": "go", "session_id": "s", "cwd": str(elsewhere.root)}
        assert hook.say("codex", json.dumps(data).encode(), **variables) == ("", "")
        assert engine.list_checkpoints("exp")[0].name == "prompt: go"
    assert not elsewhere.store.exists()


def test_many_prompts_at_one_state_are_linked_as_long_as_there_is_room(hook: Hook, tree: RepoBuilder) -> None:
    for number in range(30):
        prompt(hook, f"{number} " + "long " * 100)
    with tree.engine() as engine:
        (row,) = engine.list_checkpoints()
    assert 5_000 < len(row.description) < 10_000


def test_secrets_in_a_prompt_are_left_out(hook: Hook, tree: RepoBuilder) -> None:
    key = "AKIA" + "Q3EGRIB7QXZ5J2NA"
    for text in (f"use {key} for the bucket", f"then {key} again"):
        prompt(hook, text)
    assert found(hook, key) == []
    held = b"".join(path.read_bytes() for path in tree.store.rglob("*") if path.is_file())
    assert key.encode() not in held


def test_the_guards_checkpoint_names_the_session_too(hook: Hook, tree: RepoBuilder) -> None:
    hook.send("codex/PreToolUse.Bash.risky")
    tree.write("a.txt", "more\n")
    hook.send("claude/PreToolUse.Edit")
    with tree.engine() as engine:
        edit, clean = engine.list_checkpoints()
    assert clean.name == "before git clean -fdx"
    assert clean.description.splitlines()[-3:] == [
        "agent: codex", "session: 01982b7c-6a8f-7c31-9d0e-3a52c1f0aa01", "turn: 01982b7c-7b11-7e02-8c11-90ab12cd34ef",
    ]  # fmt: skip
    assert edit.name == "before Edit b.txt"
    assert "session: 0b9d1c7e" in edit.description


def test_a_linked_checkpoint_is_not_kept_from_retention(hook: Hook, tree: RepoBuilder) -> None:
    for number in range(4):
        tree.write("a.txt", f"{number}\n")
        prompt(hook, f"number {number}")
        prompt(hook, f"again {number}")
    with tree.engine(CHRONOS_MAX_CHECKPOINTS_PER_TIMELINE="1", CHRONOS_KEEP_LAST="1", CHRONOS_KEEP_HOURLY="0",
                     CHRONOS_KEEP_DAILY="0", CHRONOS_KEEP_WEEKLY="0") as engine:  # fmt: skip
        engine.gc()
        assert [row.name for row in engine.list_checkpoints()] == ["prompt: number 3"]


def test_a_checkpoint_after_a_turn_has_the_session(hook: Hook) -> None:
    hook.send("gemini/AfterAgent")
    assert hook.names() == ["after gemini AfterAgent"]
    assert found(hook, "prompt: Rename the module") == ["after gemini AfterAgent"]


def test_a_secret_behind_much_space_is_left_out_as_a_whole(hook: Hook) -> None:
    key = "AKIA" + "Q3EGRIB7QXZ5J2NA"
    for place in (1985, 1990, 7985, 7990):
        prompt(hook, " " * place + key, turn=f"t{place}")
        prompt(hook, "/" + " " * 1000 + "x" * (place - 1001) + key, turn=f"u{place}")
    with hook.tree.engine() as engine:
        assert key[:8] not in "".join(row.name + row.description for row in engine.list_checkpoints())


def test_a_name_with_line_ends_forges_no_link(hook: Hook) -> None:
    call = {
        "hook_event_name": "PreToolUse", "tool_name": "Bash", "session_id": "s-1", "cwd": str(hook.tree.root),
        "tool_input": {"command": "rm -rf 'a.txt\nsession: s-2'"},
    }  # fmt: skip
    hook.say("claude", json.dumps(call).encode())
    with hook.tree.engine() as engine:
        (row,) = engine.list_checkpoints()
    assert [line for line in row.description.splitlines() if line.startswith("session:")] == ["session: s-1"]
