"""docs/agents.md says of the MCP server what is so."""

from __future__ import annotations

import json
import re

import pytest

from skills.actions import ACTIONS
from skills.mcp_server import resources
from skills.mcp_server.prompts import PROMPTS
from tests.support.sealing import PROJECT


@pytest.fixture(scope="module")
def section() -> str:
    text = (PROJECT / "docs/agents.md").read_text("utf-8")
    return text.split("## MCP server\n", 1)[1].split("\n## ", 1)[0]


def test_the_table_of_tools_is_the_list_of_actions(section: str) -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \| (\w+) \| (?:`(\w+)`)? \|$", section, re.MULTILINE)
    assert rows == [(one.name, one.title, one.effect.value, one.planner) for one in ACTIONS]


def test_resources_and_prompts_are_all_named(section: str) -> None:
    uris = [one["uri"] for one in resources.list_fixed()] + [one["uriTemplate"] for one in resources.list_templates()]
    assert re.findall(r"^\| `(chrono://[^`]+)`", section, re.MULTILINE) == uris
    for name, prompt in PROMPTS.items():
        assert f"`{name}({', '.join(prompt.arguments)})`" in section


def test_the_settings_for_clients_are_json(section: str) -> None:
    blocks = re.findall(r"```json\n(.*?)```", section, re.DOTALL)
    assert [list(json.loads(block)["mcpServers"]) for block in blocks] == [["chronomancer"]]
