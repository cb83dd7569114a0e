"""The tools for Microsoft Agent Framework, called by hand and by a real Agent whose model is a script."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from agent_framework import (
    Agent,
    AgentResponse,
    BaseChatClient,
    ChatResponse,
    Content,
    FunctionInvocationLayer,
    FunctionTool,
    Message,
)

from chronos.errors import UnsupportedError
from skills import ChronoSkill
from skills.actions import ACTIONS
from skills.actions.results import Status
from skills.agent_framework import agent_framework_tools
from tests.support import RepoBuilder
from tests.support.documents import read_blocks, read_section


def call(tools: Sequence[FunctionTool], name: str, /, **arguments: Any) -> dict[str, Any]:
    tool = next(one for one in tools if one.name == name)
    (content,) = asyncio.run(tool.invoke(arguments=arguments))
    found: dict[str, Any] = json.loads(content.text)
    return found


def test_a_broken_tree_comes_back(tree: RepoBuilder, skill: ChronoSkill) -> None:
    tools = agent_framework_tools(skill)
    taken = call(tools, "create_checkpoint", name="before", tags=["t1"])
    tree.write("a.txt", "broken\n")
    plan = call(tools, "plan_restore", checkpoint_id="before")
    call(tools, "restore_checkpoint", checkpoint_id=taken["checkpoint_id"], plan_id=plan["plan_id"])
    assert tree.read("a.txt") == b"one\n"
    assert call(tools, "list_checkpoints", limit="1", timeline=None)["checkpoints"][0]["tags"] == ["t1"]


def test_a_model_gets_every_action_with_its_schema(skill: ChronoSkill) -> None:
    tools = agent_framework_tools(skill)
    assert [one.to_json_schema_spec()["function"] for one in tools] == [
        {"name": one.name, "description": one.description, "parameters": one.input_schema} for one in ACTIONS
    ]


def test_a_person_is_asked_before_something_is_replaced(skill: ChronoSkill) -> None:
    asked = {one.name for one in agent_framework_tools(skill) if one.approval_mode == "always_require"}
    assert asked == {one.name for one in ACTIONS if one.is_destructive}
    assert {one.approval_mode for one in agent_framework_tools(skill, approvals=False)} == {"never_require"}


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("create_checkpoint", {}, "name"),
        ("create_checkpoint", {"name": "x", "colour": "red"}, "colour"),
        ("merge_timeline", {"source": "x", "strategy": "best"}, "strategy"),
        ("list_checkpoints", {"limit": 1000}, "limit"),
    ],
)
def test_wrong_arguments_are_named_in_the_answer(
    skill: ChronoSkill, name: str, arguments: dict[str, Any], expected: str
) -> None:
    error = call(agent_framework_tools(skill), name, **arguments)["error"]
    assert error["code"] == "bad_arguments" and expected in error["message"] and f"{name} takes" in error["hint"]


def test_an_error_is_an_answer_with_code_and_hint(skill: ChronoSkill) -> None:
    error = call(agent_framework_tools(skill), "restore_checkpoint", checkpoint_id="nope")["error"]
    assert error["code"] == "unknown_checkpoint" and "nope" in error["message"]
    assert error["hint"] == "run `create_checkpoint`"


def test_what_the_settings_forbid_is_not_offered(tree: RepoBuilder) -> None:
    with ChronoSkill(engine=tree.engine(CHRONOS_AGENT_FORBIDDEN="undo:redo")) as skill:
        names = {one.name for one in agent_framework_tools(skill)}
    assert names == {one.name for one in ACTIONS} - {"undo", "redo"}


def test_a_new_action_is_a_tool_by_itself(tree: RepoBuilder, longer_list: type[ChronoSkill]) -> None:
    with longer_list(engine=tree.engine()) as skill:
        assert call(agent_framework_tools(skill), "count_files", below=".") == {"files": 1}


def test_without_the_library_it_says_what_to_install(skill: ChronoSkill, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "agent_framework", None)
    with pytest.raises(UnsupportedError) as caught:
        agent_framework_tools(skill)
    assert caught.value.hint == "pip install 'chronomancer[agent-framework]'"


def test_the_event_loop_goes_on(tree: RepoBuilder) -> None:
    reached = threading.Event()

    class Waiting(ChronoSkill):
        def status(self) -> Status:
            assert reached.wait(30)
            return super().status()

    async def both(tool: FunctionTool) -> list[Content]:
        asking = asyncio.create_task(tool.invoke())
        await asyncio.sleep(0.01)
        reached.set()
        return await asking

    with Waiting(engine=tree.engine()) as skill:
        tool = next(one for one in agent_framework_tools(skill) if one.name == "status")
        (content,) = asyncio.run(both(tool))
    assert json.loads(content.text)["timeline"] == "main"


Turn = Callable[[dict[str, Any]], tuple[str, dict[str, Any]]]


class ScriptedClient(FunctionInvocationLayer, BaseChatClient):
    """A model whose turns are functions of the last answer that it got."""

    def __init__(self, *turns: Turn) -> None:
        super().__init__()
        self.turns = list(turns)

    async def _inner_get_response(
        self, *, messages: Sequence[Message], stream: bool, options: Any, **_: Any
    ) -> ChatResponse:
        answers = [part.result for one in messages for part in one.contents if part.type == "function_result"]
        contents = ["done"]
        if self.turns:
            name, arguments = self.turns.pop(0)(json.loads(answers[-1]) if answers else {})
            call_id = f"call{len(self.turns)}"
            contents = [Content.from_function_call(call_id=call_id, name=name, arguments=json.dumps(arguments))]
        return ChatResponse(messages=[Message(role="assistant", contents=contents)])


def test_an_agent_works_with_it_acts_on_an_error_and_waits_for_approval(tree: RepoBuilder, skill: ChronoSkill) -> None:
    seen: list[dict[str, Any]] = []

    def plan(answer: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        seen.append(answer)
        tree.write("a.txt", "broken\n")
        return "plan_restore", {"checkpoint_id": "before"}

    client = ScriptedClient(
        lambda answer: ("create_checkpoint", {"name": "before"}),
        lambda answer: ("list_checkpoints", {"limit": "many"}),
        plan,
        lambda answer: ("restore_checkpoint", {"checkpoint_id": "before", "plan_id": answer["plan_id"]}),
    )
    agent = Agent(client, tools=agent_framework_tools(skill))

    async def work() -> AgentResponse:
        session = agent.create_session()
        response = await agent.run("go back to before", session=session)
        (request,) = response.user_input_requests
        assert request.function_call.name == "restore_checkpoint" and tree.read("a.txt") == b"broken\n"
        allowed = Message(role="user", contents=[request.to_function_approval_response(True)])
        return await agent.run(allowed, session=session)

    assert asyncio.run(work()).text == "done"
    assert tree.read("a.txt") == b"one\n"
    assert seen[0]["error"]["code"] == "bad_arguments"


def test_the_example_of_the_document_runs(tree: RepoBuilder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree.root)
    (code,) = read_blocks(read_section("docs/agents.md", "Microsoft Agent Framework"), "python")
    names: dict[str, Any] = {"client": ScriptedClient(lambda answer: ("create_checkpoint", {"name": "by an agent"}))}
    exec(compile(code, "agents.md", "exec"), names)
    assert asyncio.run(names["agent"].run("begin")).text == "done"
    with ChronoSkill() as skill:
        assert [one.name for one in skill.list_checkpoints().checkpoints] == ["by an agent"]
