"""ChronoSkill as a plugin of a real Kernel, called by hand and by a model that is a script."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from collections.abc import Callable
from typing import Any, ClassVar

import pytest
from semantic_kernel import Kernel
from semantic_kernel.connectors.ai.chat_completion_client_base import ChatCompletionClientBase
from semantic_kernel.connectors.ai.function_calling_utils import kernel_function_metadata_to_function_call_format
from semantic_kernel.connectors.ai.function_choice_behavior import FunctionChoiceBehavior
from semantic_kernel.connectors.ai.prompt_execution_settings import PromptExecutionSettings
from semantic_kernel.contents import ChatHistory, ChatMessageContent, FunctionCallContent, TextContent
from semantic_kernel.exceptions import KernelInvokeException
from semantic_kernel.functions import KernelPlugin

from chronos.errors import ChronosError, UnknownCheckpointError
from skills import ChronoSkill
from skills.actions import ACTIONS
from skills.actions.results import Status
from skills.errors import BadArgumentsError, PlanNeededError
from tests.support import RepoBuilder
from tests.support.documents import read_blocks, read_section


@pytest.fixture
def kernel(skill: ChronoSkill) -> Kernel:
    kernel = Kernel()
    kernel.add_plugin(skill, plugin_name="chronos")
    return kernel


def call(kernel: Kernel, name: str, /, **arguments: Any) -> dict[str, Any]:
    result = asyncio.run(kernel.invoke(plugin_name="chronos", function_name=name, **arguments))
    found: dict[str, Any] = json.loads(str(result))
    return found


def failure(kernel: Kernel, name: str, /, **arguments: Any) -> tuple[str, BaseException | None]:
    """Return the text of what a function raises, which is what a model gets, and the error of ours behind it."""
    with pytest.raises(KernelInvokeException) as caught:
        call(kernel, name, **arguments)
    raised = caught.value.__cause__
    assert raised is not None
    return str(raised), raised.__cause__


def test_a_broken_tree_comes_back(tree: RepoBuilder, kernel: Kernel) -> None:
    taken = call(kernel, "create_checkpoint", name="before", description="all is well", timeline="main")
    tree.write("a.txt", "broken\n")
    plan = call(kernel, "plan_restore", checkpoint_id=taken["checkpoint_id"])
    assert plan["writes"] == ["a.txt"]
    call(kernel, "restore_checkpoint", checkpoint_id="before", timeline="main", plan_id=plan["plan_id"])
    assert tree.read("a.txt") == b"one\n"
    call(kernel, "undo")
    assert tree.read("a.txt") == b"broken\n"
    there = call(kernel, "branch_timeline", name="experiment")["path"]
    tree.write(f"{there}/a.txt", "two\n")
    assert call(kernel, "merge_timeline", source="experiment", target="main", strategy="theirs")["merged"]
    assert [one["name"] for one in call(kernel, "list_checkpoints", limit="1")["checkpoints"]] != []


def test_a_model_gets_every_action_with_its_schema(kernel: Kernel) -> None:
    plugin = kernel.get_plugin("chronos")
    assert plugin.description == ChronoSkill.description
    assert set(plugin.functions) == {one.name for one in ACTIONS}
    for action in ACTIONS:
        given = kernel_function_metadata_to_function_call_format(plugin[action.name].metadata)["function"]
        schema = action.input_schema
        assert given["name"] == f"chronos-{action.name}" and given["description"] == action.description
        assert given["parameters"] == {
            "type": "object", "properties": schema["properties"], "required": schema.get("required", [])
        }  # fmt: skip
        assert plugin[action.name].metadata.is_asynchronous
        assert "$ref" not in json.dumps(given)


def test_no_parameter_has_a_name_that_semantic_kernel_fills_itself() -> None:
    filled = {"kernel", "service", "execution_settings", "arguments"}
    assert [one.name for one in ACTIONS if filled & {given.name for given in one.parameters}] == []


def test_wrong_arguments_are_named(kernel: Kernel) -> None:
    text, cause = failure(kernel, "list_checkpoints", limit="many")
    assert isinstance(cause, BadArgumentsError) and "limit: Expected 'int'" in text and "takes:" in text
    text, cause = failure(kernel, "merge_timeline", source="x", strategy="best")
    assert isinstance(cause, BadArgumentsError) and "strategy" in text
    text, _ = failure(kernel, "create_checkpoint")
    assert "name is required" in text


def test_an_error_is_raised_with_code_and_hint(tree: RepoBuilder) -> None:
    kernel = Kernel()
    with ChronoSkill(engine=tree.engine(), plans_first=True) as skill:
        kernel.add_plugin(skill, plugin_name="chronos")
        text, cause = failure(kernel, "plan_restore", checkpoint_id="nope")
        assert isinstance(cause, UnknownCheckpointError)
        assert text == f"{cause.message} ({cause.code}). Hint: run `create_checkpoint`"
        text, cause = failure(kernel, "restore_checkpoint", checkpoint_id="@")
        assert isinstance(cause, PlanNeededError) and "call plan_restore" in text


def test_what_the_settings_forbid_is_not_shown(tree: RepoBuilder) -> None:
    kernel = Kernel()
    with ChronoSkill(engine=tree.engine(CHRONOS_AGENT_ACTIONS="read-only")) as skill:
        plugin = kernel.add_plugin(skill, plugin_name="chronos")
    assert set(plugin.functions) == {one.name for one in ACTIONS if one.is_read_only}


def test_it_has_a_name_of_its_own(skill: ChronoSkill) -> None:
    kernel = Kernel()
    kernel.add_plugins([skill])
    assert kernel.get_function("chronos", "undo").plugin_name == "chronos"


def test_a_skill_outside_of_any_project_is_not_added() -> None:
    with pytest.raises(ChronosError) as caught:
        Kernel().add_plugin(ChronoSkill("/"), plugin_name="chronos")
    assert caught.value.hint


def test_the_skill_may_be_made_before_the_library_is_loaded(tree: RepoBuilder, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as without:
        without.delitem(sys.modules, "semantic_kernel")
        skill = ChronoSkill(tree.root)
        assert KernelPlugin.from_object("chronos", skill).functions == {}
    with skill:
        assert len(KernelPlugin.from_object("chronos", skill).functions) == len(ACTIONS)


def test_a_new_action_is_a_function_by_itself(tree: RepoBuilder, longer_list: type[ChronoSkill]) -> None:
    kernel = Kernel()
    with longer_list(engine=tree.engine()) as skill:
        plugin = kernel.add_plugin(skill, plugin_name="chronos")
        (parameter,) = plugin["count_files"].parameters
        assert (parameter.description, parameter.is_required) == ("The folder to count in", False)
        assert call(kernel, "count_files") == {"files": 1}


def test_the_event_loop_goes_on_and_an_overridden_method_is_what_is_called(tree: RepoBuilder) -> None:
    reached = threading.Event()

    class Waiting(ChronoSkill):
        def status(self) -> Status:
            assert reached.wait(30)
            return super().status()

    async def both(kernel: Kernel) -> Any:
        asking = asyncio.create_task(kernel.invoke(plugin_name="chronos", function_name="status"))
        await asyncio.sleep(0.01)
        reached.set()
        return await asking

    kernel = Kernel()
    with Waiting(engine=tree.engine()) as skill:
        kernel.add_plugin(skill, plugin_name="chronos")
        assert json.loads(str(asyncio.run(both(kernel))))["timeline"] == "main"


Turn = Callable[[dict[str, str]], list[tuple[str, dict[str, Any]]]]


def read_answers(history: ChatHistory) -> dict[str, str]:
    """Return the last answer of each function."""
    answers = [one.items[0] for one in history.messages if one.role == "tool"]
    return {one.function_name: str(one.result) for one in answers}


class ScriptedChat(ChatCompletionClientBase):
    """A model whose turns are functions of the answers that it got so far."""

    SUPPORTS_FUNCTION_CALLING: ClassVar[bool] = True
    turns: list[Turn]

    async def _inner_get_chat_message_contents(
        self, chat_history: ChatHistory, settings: PromptExecutionSettings
    ) -> list[ChatMessageContent]:
        calls = self.turns.pop(0)(read_answers(chat_history)) if self.turns else []
        items = [
            FunctionCallContent(id=name, name=f"chronos-{name}", arguments=json.dumps(arguments))
            for name, arguments in calls
        ]
        return [ChatMessageContent(role="assistant", items=items or [TextContent(text="done")])]


def test_a_model_works_with_it_and_can_act_on_an_error(tree: RepoBuilder, kernel: Kernel) -> None:
    misunderstood: list[str] = []

    def plan(answers: dict[str, str]) -> list[tuple[str, dict[str, Any]]]:
        misunderstood.append(answers["restore_checkpoint"])
        tree.write("a.txt", "broken\n")
        return [("plan_restore", {"checkpoint_id": "before"}), ("list_timelines", {})]

    def restore(answers: dict[str, str]) -> list[tuple[str, dict[str, Any]]]:
        plan_id = json.loads(answers["plan_restore"])["plan_id"]
        return [("restore_checkpoint", {"checkpoint_id": "before", "plan_id": plan_id})]

    turns: list[Turn] = [
        lambda answers: [("create_checkpoint", {"name": "before"})],
        lambda answers: [("restore_checkpoint", {"checkpoint_id": "befor e"})],
        plan,
        restore,
    ]
    chat, history = ScriptedChat(ai_model_id="script", turns=turns), ChatHistory()
    history.add_user_message("take a checkpoint and go back to it")
    settings = PromptExecutionSettings(function_choice_behavior=FunctionChoiceBehavior.Auto())
    said = asyncio.run(chat.get_chat_message_content(history, settings, kernel=kernel))
    assert str(said) == "done" and tree.read("a.txt") == b"one\n"
    assert "(unknown_checkpoint). Hint:" in misunderstood[0]
    answers = read_answers(history)
    assert json.loads(answers["list_timelines"])["current"] == "main"
    assert json.loads(answers["restore_checkpoint"])["written"] == 1


def test_the_example_of_the_document_runs(
    tree: RepoBuilder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tree.root)
    section = read_section("docs/agents.md", "ChronoSkill: plain Python and Semantic Kernel")
    code = next(block for block in read_blocks(section, "python") if "add_plugin" in block)
    exec(compile(code, "agents.md", "exec"), {})
    assert json.loads(capsys.readouterr().out)["name"] == "before_migration"
