"""Actions as every adapter sees them: what they say of themselves, and what they do in a real working tree."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from chronos.errors import (
    BadConfigError,
    ChangedMeanwhileError,
    ChronosError,
    UnknownCheckpointError,
    UnknownTimelineError,
    UsageError,
)
from skills.actions import ACTIONS, PLAN_ID, Action, ActionSession, Effect, find_action, to_document
from skills.errors import BadArgumentsError, ForbiddenActionError, PlanNeededError, UnknownActionError
from tests.support import RepoBuilder
from tests.support.databases import add_notes, make_notes, read_notes


@pytest.fixture
def tree(repo: RepoBuilder) -> RepoBuilder:
    repo.write("a.txt", "one\n")
    repo.git("add", "-A")
    repo.git("commit", "-qm", "base")
    return repo


@pytest.fixture
def session(tree: RepoBuilder) -> Iterator[ActionSession]:
    with ActionSession(engine=tree.engine()) as session:
        yield session


def call(session: ActionSession, name: str, /, **arguments: Any) -> dict[str, Any]:
    return to_document(session.call(name, arguments))


@pytest.mark.parametrize("action", ACTIONS, ids=lambda one: one.name)
def test_an_action_says_all_that_a_model_needs(action: Action) -> None:
    schema = action.input_schema
    assert schema["type"] == action.output_schema["type"] == "object"
    assert schema["additionalProperties"] is False
    assert "$ref" not in json.dumps(schema), "not all models understand references"
    assert len(action.description) > 30 and action.title
    for name, part in schema["properties"].items():
        assert part.get("description"), f"{action.name}.{name}"
    json.dumps([schema, action.output_schema])


@pytest.mark.parametrize("action", [one for one in ACTIONS if one.is_destructive], ids=lambda one: one.name)
def test_what_replaces_has_a_planner_with_the_same_arguments_that_only_reads(action: Action) -> None:
    planner = find_action(action.planner)
    assert planner.is_read_only
    assert set(planner.input_schema["properties"]) | {PLAN_ID} == set(action.input_schema["properties"])
    assert PLAN_ID in planner.output_schema["properties"]


def test_names_are_used_once_and_only_what_replaces_has_a_planner() -> None:
    assert len({one.name for one in ACTIONS}) == len(ACTIONS)
    assert [one.name for one in ACTIONS if one.planner and not one.is_destructive] == []
    assert all(one.is_idempotent for one in ACTIONS if one.effect is Effect.READS)


def test_a_broken_tree_comes_back_with_its_memory(tree: RepoBuilder, session: ActionSession) -> None:
    notes = make_notes(tree.path("data/memory/notes.db"), 2)
    taken = call(session, "create_checkpoint", name="before", description="all is well", tags=["t1"])
    assert taken["created"] and taken["timeline"] == "main"
    tree.write("a.txt", "broken\n")
    tree.write("new.txt", "extra\n")
    add_notes(notes, "poison")
    found = call(session, "diff_checkpoints", old="before", patch=True, rows=True)
    assert {one["path"]: one["status"] for one in found["differences"]} == {"a.txt": "M", "new.txt": "A"}
    (store,) = found["stores"]
    assert {one["name"]: one["added"] for one in store["tables"]} == {"notes": 1, "totals": 1}
    assert "-one" in found["patch"] and "+broken" in found["patch"]
    assert call(session, "status")["changed_count"] == 2
    plan = call(session, "plan_restore", checkpoint_id="before")
    assert (plan["writes"], plan["deletes"], len(plan["stores"])) == (["a.txt"], ["new.txt"], 1)
    done = call(session, "restore_checkpoint", checkpoint_id="before", plan_id=plan["plan_id"])
    assert (done["written"], done["deleted"]) == (1, 1)
    assert tree.read("a.txt") == b"one\n" and not tree.exists("new.txt") and "poison" not in read_notes(notes)
    step = call(session, "plan_undo")
    call(session, "undo", plan_id=step["plan_id"])
    assert tree.read("a.txt") == b"broken\n" and "poison" in read_notes(notes)
    call(session, "redo", plan_id=call(session, "plan_redo")["plan_id"])
    assert tree.read("a.txt") == b"one\n"


def test_a_timeline_is_branched_merged_and_deleted(tree: RepoBuilder, session: ActionSession) -> None:
    branch = call(session, "branch_timeline", name="experiment")
    tree.write(f"{branch['path']}/a.txt", "two\n")
    taken = call(session, "create_checkpoint", name="there", timeline="experiment")
    assert taken["timeline"] == "experiment"
    assert [one["name"] for one in call(session, "list_timelines")["timelines"]] == ["main", "experiment"]
    plan = call(session, "plan_merge", source="experiment")
    assert plan["plan"]["writes"] == ["a.txt"] and not plan["merged"]
    merged = call(session, "merge_timeline", source="experiment", plan_id=plan["plan_id"])
    assert merged["merged"] and tree.read("a.txt") == b"two\n"
    leaving = call(session, "plan_delete_timeline", name="experiment")
    call(session, "delete_timeline", name="experiment", plan_id=leaving["plan_id"])
    assert len(call(session, "list_timelines")["timelines"]) == 1


def test_a_conflict_is_listed_decided_and_merged(tree: RepoBuilder, session: ActionSession) -> None:
    branch = call(session, "branch_timeline", name="side")
    tree.write(f"{branch['path']}/a.txt", "theirs\n")
    tree.write("a.txt", "ours\n")
    merged = call(session, "merge_timeline", source="side")
    assert not merged["merged"] and tree.read("a.txt") == b"ours\n"
    (clash,) = call(session, "list_conflicts")["conflicts"]
    assert (clash["path"], clash["ours"], clash["theirs"]) == ("a.txt", "ours\n", "theirs\n")
    assert call(session, "resolve_conflict", subject="a.txt", choice="content", content="both\n")["open"] == 0
    assert call(session, "merge_timeline", source="side")["merged"]
    assert tree.read("a.txt") == b"both\n"


def test_a_checkpoint_is_judged_reverted_and_deleted(tree: RepoBuilder, session: ActionSession) -> None:
    call(session, "create_checkpoint", name="first")
    tree.write("b.txt", "b\n")
    taken = call(session, "create_checkpoint", name="second")
    assert call(session, "set_verdict", checkpoint_id="second", verdict="passed", note="ok")["verdict"] == "passed"
    assert call(session, "show_checkpoint", checkpoint_id="last-green")["verdicts"] == ["passed ok"]
    plan = call(session, "plan_revert", checkpoint_id="second")
    assert plan["plan"]["deletes"] == ["b.txt"]
    assert call(session, "revert_checkpoint", checkpoint_id="second", plan_id=plan["plan_id"])["merged"]
    assert not tree.exists("b.txt")
    plan = call(session, "plan_delete_checkpoint", checkpoint_id="second")
    tree.write("c.txt", "c\n")
    call(session, "create_checkpoint", name="second")
    with pytest.raises(ChangedMeanwhileError):
        call(session, "delete_checkpoint", checkpoint_id="second", plan_id=plan["plan_id"])
    call(session, "delete_checkpoint", checkpoint_id=taken["checkpoint_id"], plan_id=plan["plan_id"])
    assert taken["checkpoint_id"] not in {
        one["checkpoint_id"] for one in call(session, "list_checkpoints")["checkpoints"]
    }


def test_a_failure_is_analyzed_and_its_lesson_found(tree: RepoBuilder, session: ActionSession) -> None:
    call(session, "create_checkpoint", name="before")
    tree.write("a.txt", "broken\n")
    before = call(session, "assess_risk", operation="migrate the orders table", kind="words")
    assert before["level"] == "high"
    found = call(
        session, "analyze_failure", operation="migrate the orders table", error="ValueError: a.txt is broken",
        checkpoint_before="before",
    )  # fmt: skip
    assert found["kind"] == "ValueError" and [one["path"] for one in found["suspects"]] == ["a.txt"]
    added = call(
        session, "add_lesson", situation="the orders table is large", action="migrated it at once",
        result="failure: it locked up", feedback="migrate it in parts", tags=["orders"],
    )  # fmt: skip
    lessons = call(session, "search_lessons", query="orders")["lessons"]
    assert {one["lesson_id"] for one in lessons} == {added["lesson_id"], found["lesson_id"]}
    assert [one["tags"] for one in call(session, "search_lessons", tags=["orders"])["lessons"]] == [["orders"]]
    assert call(session, "assess_risk", operation="migrate the orders table")["score"] >= before["score"]
    assert call(session, "verify") == {"findings": [], "finding_count": 0}


def test_a_lesson_has_the_ids_of_checkpoints_that_are_there(session: ActionSession) -> None:
    about = {"situation": "a large table", "action": "migrated it", "result": "success"}
    with pytest.raises(UnknownCheckpointError):
        call(session, "add_lesson", **about, checkpoint_after="nope")
    assert call(session, "search_lessons")["lessons"] == []
    taken = [call(session, "create_checkpoint", name=name)["checkpoint_id"] for name in ("one", "two")]
    added = call(session, "add_lesson", **about, checkpoint_before="one", checkpoint_after="@")
    assert [added["checkpoint_before"], added["checkpoint_after"]] == taken


def test_the_keys_are_those_of_the_command_line(tree: RepoBuilder, session: ActionSession) -> None:
    make_notes(tree.path("data/memory/notes.db"), 1)
    call(session, "create_checkpoint", name="one")
    tree.write("a.txt", "changed\n")

    def keys(*arguments: str) -> set[str]:
        done = subprocess.run(
            [sys.executable, "-m", "chronos.cli", "--json", *arguments], cwd=tree.root, env=tree.environment,
            capture_output=True, check=True,
        )  # fmt: skip
        return set(json.loads(done.stdout))

    created = {"checkpoint_id", "name", "timeline", "created", "created_at", "grade", "receipt"}
    assert created <= keys("checkpoint", "create", "two") & set(call(session, "create_checkpoint", name="three"))
    planned = {"plan_id", "grade", "writes", "deletes", "stores", "kept", "warnings"}
    plan = set(call(session, "plan_restore", checkpoint_id="one"))
    assert planned <= keys("checkpoint", "restore", "one", "--plan") & plan
    risk = {"level", "score", "reasons", "targets", "covered"}
    assert risk <= keys("risk", "assess", "rm -rf x") & set(call(session, "assess_risk", operation="rm -rf x"))
    assert keys("status") - {"store", "notices"} <= set(call(session, "status"))
    listed = call(session, "list_checkpoints", text="three")
    assert listed["total"] is None and [one["name"] for one in listed["checkpoints"]] == ["three"]


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("create_checkpoint", {}, "name"),
        ("create_checkpoint", {"name": 5}, "name"),
        ("create_checkpoint", {"name": "x", "color": "red"}, "color"),
        ("list_checkpoints", {"limit": "many"}, "limit"),
        ("list_checkpoints", {"limit": 100_000}, "limit"),
        ("merge_timeline", {"source": "x", "strategy": "best"}, "strategy"),
        ("diff_checkpoints", {"old": "@", "paths": "a.txt"}, "paths"),
        ("resolve_conflict", {"subject": "a", "choice": "mine"}, "choice"),
        ("resolve_conflict", {"subject": "a", "choice": "content"}, "content"),
        ("resolve_conflict", {"subject": "a", "choice": "content", "content": "half \ud83d"}, "half a character"),
        ("diff_checkpoints", {"old": "@", "paths": ["\ud83d"]}, "half a character"),
    ],
)
def test_wrong_arguments_are_named(session: ActionSession, name: str, arguments: dict[str, Any], expected: str) -> None:
    with pytest.raises(BadArgumentsError, match=expected) as caught:
        session.call(name, arguments)
    assert caught.value.hint and caught.value.exit_code == 2


def test_numbers_as_text_and_null_for_what_is_left_out_are_understood(session: ActionSession) -> None:
    call(session, "create_checkpoint", name="one", description=None, tags=None)
    assert len(call(session, "list_checkpoints", limit="1", text=None)["checkpoints"]) == 1
    with pytest.raises(BadArgumentsError, match="name"):
        call(session, "create_checkpoint", name=None)


def test_what_is_not_there_is_said(session: ActionSession) -> None:
    with pytest.raises(UnknownActionError):
        session.call("format_disk")
    with pytest.raises(UnknownCheckpointError):
        session.call("plan_restore", {"checkpoint_id": "nope"})
    with pytest.raises(UnknownTimelineError):
        session.call("create_checkpoint", {"name": "x", "timeline": "nowhere"})


def test_plans_come_first_where_that_is_asked_for(tree: RepoBuilder) -> None:
    with ActionSession(engine=tree.engine(), plans_first=True) as session:
        call(session, "create_checkpoint", name="one")
        tree.write("a.txt", "changed\n")
        with pytest.raises(PlanNeededError) as caught:
            session.call("restore_checkpoint", {"checkpoint_id": "one"})
        assert "plan_restore" in caught.value.hint and tree.read("a.txt") == b"changed\n"
        plan = call(session, "plan_restore", checkpoint_id="one")
        tree.write("a.txt", "changed again\n")
        with pytest.raises(ChangedMeanwhileError):
            session.call("restore_checkpoint", {"checkpoint_id": "one", "plan_id": plan["plan_id"]})
        assert tree.read("a.txt") == b"changed again\n"


@pytest.mark.parametrize("action", [one for one in ACTIONS if one.is_destructive], ids=lambda one: one.name)
def test_nothing_that_replaces_is_done_without_a_plan(tree: RepoBuilder, action: Action) -> None:
    names = dict.fromkeys(action.input_schema.get("required", ()), "x")
    with ActionSession(engine=tree.engine(), plans_first=True) as session, pytest.raises(PlanNeededError):
        session.call(action.name, names)


@pytest.mark.parametrize(
    ("settings", "allowed", "refused"),
    [
        ({"CHRONOS_AGENT_ACTIONS": "read-only"}, "list_checkpoints", "create_checkpoint"),
        ({"CHRONOS_AGENT_ACTIONS": "additive"}, "create_checkpoint", "restore_checkpoint"),
        ({"CHRONOS_AGENT_FORBIDDEN": "undo:redo"}, "plan_undo", "undo"),
    ],
)
def test_settings_forbid_actions(tree: RepoBuilder, settings: dict[str, str], allowed: str, refused: str) -> None:
    with ActionSession(engine=tree.engine(**settings)) as session:
        names = {one.name for one in session.list_actions()}
        assert allowed in names and refused not in names
        with pytest.raises(ForbiddenActionError):
            session.call(refused, dict.fromkeys(find_action(refused).input_schema.get("required", ()), "x"))


def test_every_thread_may_call_and_nothing_is_lost(tree: RepoBuilder, session: ActionSession) -> None:
    call(session, "create_checkpoint", name="first")
    failures: list[ChronosError] = []

    def work(number: int) -> None:
        try:
            call(session, "create_checkpoint", name=f"of {number}")
        except ChronosError as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    found = {one["name"] for one in call(session, "list_checkpoints", limit=50)["checkpoints"]}
    assert found == {"first", *(f"of {number}" for number in range(8))}


def test_a_session_outside_of_any_project_says_so(tmp_path_factory: pytest.TempPathFactory) -> None:
    with ActionSession("/") as session, pytest.raises(ChronosError) as caught:
        session.call("status")
    assert caught.value.hint


def test_a_session_is_closed_by_its_own_thread(tree: RepoBuilder) -> None:
    raised: list[BaseException] = []

    def close(closed: ActionSession) -> None:
        try:
            closed.close()
        except BaseException as error:  # noqa: BLE001 - looked at below
            raised.append(error)

    with ActionSession(tree.root) as own:
        call(own, "create_checkpoint", name="one")
        thread = threading.Thread(target=close, args=(own,))
        thread.start()
        thread.join()
        assert [type(one) for one in raised] == [UsageError]
        assert call(own, "list_checkpoints")["total"] == 1


def test_forbidding_what_is_no_action_is_an_error_and_allows_nothing(tree: RepoBuilder) -> None:
    with ActionSession(engine=tree.engine(CHRONOS_AGENT_FORBIDDEN="undo:restore")) as session:
        for ask in (session.list_actions, lambda: session.call("status")):
            with pytest.raises(BadConfigError, match="restore") as caught:
                ask()
        assert "restore_checkpoint" in caught.value.hint
