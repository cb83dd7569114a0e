"""The README's examples for agents run as they stand, each with the real library."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from langgraph.graph import StateGraph

from skills import ChronoSkill
from tests.skills.langgraph.graphs import Steps
from tests.skills.test_agent_framework import ScriptedClient
from tests.support import RepoBuilder
from tests.support.documents import read_blocks, read_section

SECTION = read_section("README.md", "For agents")


def test_one_skill_serves_a_kernel_an_agent_and_a_graph(tree: RepoBuilder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree.root)
    builder = StateGraph(Steps)
    builder.add_node("write", lambda state: tree.write("report.txt", "draft\n") and {"steps": ["write"]})
    builder.set_entry_point("write")
    client = ScriptedClient(lambda _: ("create_checkpoint", {"name": "by the agent"}))
    names: dict[str, Any] = {"client": client, "builder": builder}
    (code,) = read_blocks(SECTION, "python")
    exec(compile(code, "README.md", "exec"), names)

    skill: ChronoSkill = names["skill"]
    with skill:
        asyncio.run(
            names["kernel"].invoke(plugin_name="chronos", function_name="create_checkpoint", name="by the kernel")
        )
        asyncio.run(names["agent"].run("take one"))
        names["graph"].invoke({"steps": []}, {"configurable": {"thread_id": "1"}}, durability="sync")
        taken = {one.name for one in skill.list_checkpoints().checkpoints}
        assert {"before_refactoring", "by the kernel", "by the agent"} < taken and len(taken) > 3
        assert names["plan"].writes == names["plan"].deletes == ()
