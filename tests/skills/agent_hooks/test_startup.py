"""Start-up: an event loads what it needs and nothing else, since imports are most of its time."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.cli.test_startup import HEAVY
from tests.floor.test_lazy import SPARED
from tests.skills.agent_hooks.conftest import PROJECT, Hook, read_payload

# What no event may load: not even one that takes a checkpoint of code.
NEVER = {*HEAVY, "typer", "click", "typing_extensions", "mcp", "sqlglot", "jsonschema"}
# All of ours that an event may load which needs no look at the tree.
QUICK = {
    "chronos", "chronos.lazy", "skills", "skills.agent_hooks", "skills.agent_hooks.agents",
    "skills.agent_hooks.events", "skills.agent_hooks.front", "skills.agent_hooks.reading", "historian",
    "historian.risk", "historian.risk.known_reads", "historian.risk.listing",
}  # fmt: skip
# All of risk that a harmless command needs but for the module that judges its program, and of ours in all.
RISK = (
    "arguments assessing case coverage given_texts invocation judges operations paths programs rule_files "
    "rules scripts shell shell_bounds shell_flow shell_text shell_words sql_clients subcommands verdicts wrappers"
)
JUDGED = {
    *QUICK, "chronos.clock", "chronos.config", "chronos.errors", "chronos.files", "chronos.files.durable",
    "historian.guard", "historian.guard.policies", "skills.agent_hooks.acting",
    *(f"historian.risk.{name}" for name in RISK.split()),
}  # fmt: skip
REPORT = """
import os, sys
before = set(sys.modules)  # an editable installation has imported things already
from skills.agent_hooks.front import main
said = main(sys.argv[1:], sys.stdin.buffer, os.environ, lambda: False)
assert not said.errors, said.errors
print(" ".join(set(sys.modules) - before))
"""


def imported(hook: Hook, name: str) -> set[str]:
    """Answer a recorded payload in a process of its own and return the modules that it had imported at the end."""
    return imported_for(hook, name.partition("/")[0], read_payload(name, hook.tree.root))


def imported_for(hook: Hook, agent: str, data: bytes) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", REPORT, agent], cwd=hook.tree.root, capture_output=True, check=True, input=data,
        env={**hook.tree.environment, "PYTHONPATH": str(PROJECT)},
    )  # fmt: skip
    return set(done.stdout.decode().splitlines()[-1].split())


def ours(modules: set[str]) -> set[str]:
    return {name for name in modules if name.partition(".")[0] in ("chronos", "historian", "skills")}


@pytest.mark.parametrize(
    "name",
    ["claude/PreToolUse.Read", "claude/PreToolUse.Bash.reads", "codex/PreToolUse.Bash.reads",
     "gemini/BeforeTool.read_file", "cursor/beforeShellExecution.reads", "copilot/preToolUse.bash.reads"],
)  # fmt: skip
def test_what_only_reads_loads_neither_rules_nor_the_engine(hook: Hook, name: str) -> None:
    modules = imported(hook, name)
    assert ours(modules) - QUICK == set()
    assert not modules & {*NEVER, "msgspec", "subprocess", "sqlite3", "logging", "inspect", "dataclasses", "pathlib"}


@pytest.mark.parametrize(
    ("command", "judge"),
    [
        ("make lint", ""),
        ("git reflog", "git git_targets"),
        ("sed p a.txt", "text_programs"),
        ("time ls", "placeholders"),
    ],
)
def test_a_call_that_is_judged_to_be_harmless_loads_its_judge_and_no_engine(
    hook: Hook, command: str, judge: str
) -> None:
    payload = {"hook_event_name": "PreToolUse", "tool_name": "Bash", "tool_input": {"command": command}}
    modules = imported_for(hook, "claude", json.dumps(payload | {"cwd": str(hook.tree.root)}).encode())
    assert ours(modules) - JUDGED == {f"historian.risk.{name}" for name in judge.split()}
    assert not modules & {*NEVER, *SPARED, "base64", "glob", "threading", "subprocess", "sqlite3", "logging", "inspect"}


@pytest.mark.parametrize("name", ["claude/UserPromptSubmit", "claude/Stop"])
def test_a_checkpoint_loads_no_historian_that_judges(hook: Hook, name: str) -> None:
    modules = imported(hook, name)
    assert not modules & NEVER
    assert not any(module.startswith("historian.lessons") for module in modules)
    assert {one for one in modules if one.startswith("historian.risk.")} == {"historian.risk.operations"}


@pytest.mark.parametrize("name", ["claude/PreToolUse.Edit", "gemini/BeforeTool.write_file"])
def test_an_edit_is_held_without_being_judged(hook: Hook, name: str) -> None:
    modules = imported(hook, name)
    assert not modules & {*NEVER, "historian.risk.assessing", "historian.lessons.store"}
    assert hook.names()[0].startswith("before ")


def test_a_judged_command_loads_nothing_heavy(hook: Hook) -> None:
    assert not imported(hook, "claude/PreToolUse.Bash.risky") & NEVER
