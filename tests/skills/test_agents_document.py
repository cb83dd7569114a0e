"""docs/agents.md says what is so: its snippets run as they stand, its commands exist, its events are those we know."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from chronos.cli.declaring import Group
from chronos.cli.program import COMMANDS
from skills.agent_hooks import AGENTS, registrations
from skills.agent_hooks.agents import Moment, find_moment
from tests.skills.test_agent_framework import ScriptedClient
from tests.support import RepoBuilder
from tests.support.documents import read_blocks, read_section

DOCUMENT = Path(__file__).resolve().parents[2] / "docs/agents.md"
SNIPPETS = [
    (heading, code)
    for heading in ("ChronoSkill: plain Python and Semantic Kernel", "Microsoft Agent Framework")
    for code in read_blocks(read_section("docs/agents.md", heading), "python")
]
MOMENTS = {
    "a prompt": Moment.PROMPT, "before a tool": Moment.TOOL, "after a call": Moment.RESULT, "after a turn": Moment.STOP,
}  # fmt: skip


@pytest.mark.parametrize(("heading", "code"), SNIPPETS, ids=range(len(SNIPPETS)))
def test_a_snippet_runs_as_it_stands(
    tree: RepoBuilder, monkeypatch: pytest.MonkeyPatch, heading: str, code: str
) -> None:
    monkeypatch.chdir(tree.root)
    exec(compile(code, f"docs/agents.md, {heading}", "exec"), {"client": ScriptedClient(lambda _: ("status", {}))})
    assert tree.read("a.txt") == b"one\n"


def test_every_command_of_ours_exists() -> None:
    text = DOCUMENT.read_text("utf-8")
    named = re.findall(r"(?:^|`|\$ |\| )chrono ((?:--json |--root \S+ )?[a-z]+(?: [a-z]+)?)", text, re.MULTILINE)
    assert len(named) > 20
    for words in named:
        first, *rest = words.split()
        command = COMMANDS.commands[first]
        assert not isinstance(command, Group) or rest[0] in command.commands, words


def test_the_table_of_events_has_the_events_that_we_know_and_all_that_are_set_up() -> None:
    text = DOCUMENT.read_text("utf-8")
    table = text[text.index("| a prompt |") :].split("\n\n")[0].splitlines()
    assert len(table) == len(MOMENTS)
    listed: dict[str, set[str]] = {agent: set() for agent in AGENTS}
    for line in table:
        when, *columns = (cell.strip() for cell in line.strip("|").split("|"))
        for agent, cell in zip(AGENTS, columns, strict=False):
            events = re.findall(r"`(\w+)`", cell)
            listed[agent].update(events)
            assert {find_moment(agent, event) for event in events} == {MOMENTS[when]}, (agent, when)
    for agent in AGENTS:
        assert {one.event for one in registrations(agent)} <= listed[agent]
