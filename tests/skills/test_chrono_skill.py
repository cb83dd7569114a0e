"""ChronoSkill in plain Python: a method for each action, typed for people, with no agent library."""

from __future__ import annotations

import asyncio
import inspect
import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from chronos.errors import ChronosError, UnknownCheckpointError
from skills import ChronoSkill
from skills.actions import ACTIONS, Action, find_action
from skills.actions.results import Done, Taken, Timelines
from skills.errors import BadArgumentsError, PlanNeededError, UnknownActionError
from skills.method_stubs import method_stubs
from tests.support import RepoBuilder
from tests.support.documents import PROJECT, read_blocks, read_section


def test_a_broken_tree_comes_back(tree: RepoBuilder, skill: ChronoSkill) -> None:
    taken = skill.create_checkpoint("before", "all is well")
    assert isinstance(taken, Taken) and (taken.name, taken.timeline) == ("before", "main")
    tree.write("a.txt", "broken\n")
    plan = skill.plan_restore(taken.checkpoint_id, "main")
    assert plan.writes == ("a.txt",)
    done = skill.restore_checkpoint(taken.checkpoint_id, "main", plan_id=plan.plan_id)
    assert isinstance(done, Done) and tree.read("a.txt") == b"one\n"
    assert skill.list_checkpoints("main").total == 1
    skill.undo()
    assert tree.read("a.txt") == b"broken\n"
    assert skill.delete_checkpoint(checkpoint_id="before", timeline="main").checkpoint_id == taken.checkpoint_id


def test_a_timeline_is_branched_and_merged(tree: RepoBuilder, skill: ChronoSkill) -> None:
    there = Path(skill.branch_timeline("experiment").path)
    (there / "a.txt").write_text("two\n")
    assert skill.create_checkpoint("there", timeline="experiment").timeline == "experiment"
    listed = skill.list_timelines()
    assert isinstance(listed, Timelines) and [one.name for one in listed.timelines] == ["main", "experiment"]
    assert skill.merge_timeline("experiment", "main", strategy="theirs", paths=["a.txt"]).merged
    assert tree.read("a.txt") == b"two\n"


@pytest.mark.parametrize("action", ACTIONS, ids=lambda one: one.name)
def test_every_action_is_a_method_with_its_words_and_parameters(action: Action) -> None:
    method = getattr(ChronoSkill, action.name)
    assert inspect.getdoc(method) == action.description
    signature = inspect.signature(method)
    assert list(signature.parameters) == ["self", *(one.name for one in action.parameters)]
    assert signature.return_annotation is action.output_type
    assert method.__qualname__ == f"ChronoSkill.{action.name}"


def test_no_action_takes_the_place_of_what_the_skill_needs_itself() -> None:
    own = {"name", "description", "session", "answer", "close"}
    assert own.isdisjoint(one.name for one in ACTIONS)


def test_what_type_checkers_read_is_what_there_is() -> None:
    written = (PROJECT / "skills/action_methods.pyi").read_text("utf-8")
    assert written == method_stubs(), "run `python -m chronos.cli.reference`"


def test_a_new_action_is_a_method_by_itself(tree: RepoBuilder, longer_list: type[ChronoSkill]) -> None:
    with longer_list(engine=tree.engine()) as skill:
        found = skill.count_files(below=".")
    assert found.files == 1
    stub = '    def count_files(\n        self,\n        below: str = ".",\n    ) -> Counted:\n'
    assert stub in method_stubs([find_action("count_files")])


@pytest.mark.parametrize(
    ("values", "named", "expected"),
    [
        ((), {}, "name"),
        (("x", "why", None, (), "more"), {}, "too many positional arguments"),
        (("x",), {"name": "y"}, "multiple values for argument 'name'"),
        (("x",), {"colour": "red"}, "colour"),
        ((5,), {}, "name: Expected 'str', got 'int'"),
        (("x",), {"tags": "one"}, "tags"),
    ],
)
def test_wrong_arguments_are_named(skill: ChronoSkill, values: Any, named: dict[str, Any], expected: str) -> None:
    with pytest.raises(BadArgumentsError, match=expected):
        skill.create_checkpoint(*values, **named)


def test_errors_are_those_of_the_engine(skill: ChronoSkill) -> None:
    with pytest.raises(UnknownCheckpointError):
        skill.restore_checkpoint("nope")
    with pytest.raises(AttributeError):
        skill.format_disk()


def test_plans_come_first_where_that_is_asked_for(tree: RepoBuilder) -> None:
    with ChronoSkill(engine=tree.engine(), plans_first=True) as skill:
        skill.create_checkpoint("one")
        tree.write("a.txt", "changed\n")
        with pytest.raises(PlanNeededError):
            skill.restore_checkpoint("one")
        skill.restore_checkpoint("one", plan_id=skill.plan_restore("one").plan_id)
        assert tree.read("a.txt") == b"one\n"


def test_it_opens_where_it_is_first_used_and_again_after_it_was_closed(
    tree: RepoBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    skill = ChronoSkill()
    monkeypatch.chdir(tree.root)
    skill.create_checkpoint("one")
    skill.close()
    skill.close()
    assert skill.list_checkpoints().total == 1
    skill.close()
    with ChronoSkill(str(tree.root)) as other:
        assert other.list_checkpoints().total == 1


def test_outside_of_any_project_it_says_so_when_it_is_used() -> None:
    skill = ChronoSkill("/")
    with pytest.raises(ChronosError) as caught:
        skill.status()
    assert caught.value.hint


def test_any_thread_may_call_first(tree: RepoBuilder) -> None:
    with ChronoSkill(tree.root) as skill:
        thread = threading.Thread(target=skill.create_checkpoint, args=("there",))
        thread.start()
        thread.join()
        skill.create_checkpoint("here")
        assert [one.name for one in skill.list_checkpoints().checkpoints] == ["here", "there"]


def test_an_answer_is_json_and_unknown_actions_are_refused(skill: ChronoSkill) -> None:
    async def ask() -> list[str]:
        return [await skill.answer("create_checkpoint", {"name": "one"}), await skill.answer("list_timelines")]

    taken, timelines = map(json.loads, asyncio.run(ask()))
    assert taken["name"] == "one" and timelines["current"] == "main"
    with pytest.raises(UnknownActionError):
        asyncio.run(skill.answer("close"))


def test_an_answer_has_its_notices_once(skill: ChronoSkill) -> None:
    skill.session.engine.notices.append("a restore was finished")
    answers = [json.loads(asyncio.run(skill.answer(name))) for name in ("list_memory", "status")]
    assert answers[0]["notices"] == ["a restore was finished"] and "notices" not in answers[1]


def test_no_agent_library_is_loaded() -> None:
    code = """
import sys, skills.agent_framework, skills.semantic_kernel
dir(skills.ChronoSkill())
print([name for name in ("semantic_kernel", "agent_framework", "pydantic", "mcp", "lancedb") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert done.stdout.strip() == "[]"


def test_the_example_of_the_document_runs(tree: RepoBuilder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree.root)
    section = read_section("docs/agents.md", "ChronoSkill: plain Python and Semantic Kernel")
    code = read_blocks(section, "python")[0].replace("...  # an agent works", "open('a.txt', 'w').write('broken')")
    exec(compile(code, "agents.md", "exec"), {})
    assert tree.read("a.txt") == b"broken", "the example ends with an undo"
