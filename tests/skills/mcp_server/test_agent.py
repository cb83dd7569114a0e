"""An agent at work, over both transports, with each major of the SDK on each side."""

from __future__ import annotations

import pytest

from skills.actions import ACTIONS
from tests.skills.mcp_server.clients import HttpServer, Session, server_command
from tests.skills.mcp_server.conftest import Clients
from tests.support import RepoBuilder
from tests.support.databases import add_notes, make_notes, read_notes

MAJORS = [(client, server) for client in (1, 2) for server in (1, 2)]


def look_around(session: Session) -> None:
    """Tools, resources, prompts and errors arrive as they were meant."""
    taken = session.call("create_checkpoint", name="one")
    (tool,) = (one for one in session.request("list_tools")["tools"] if one["name"] == "restore_checkpoint")
    assert tool["annotations"] == {
        "title": "Restore a checkpoint", "readOnlyHint": False, "destructiveHint": True, "idempotentHint": True,
        "openWorldHint": False,
    }  # fmt: skip
    assert tool["inputSchema"]["additionalProperties"] is False and "written" in tool["outputSchema"]["properties"]
    uris = {one["uri"] for one in session.request("list_resources")["resources"]}
    assert uris == {
        "chrono://status", "chrono://timelines", "chrono://lessons", f"chrono://checkpoint/{taken['checkpoint_id']}",
    }  # fmt: skip
    for uri in (*uris, "chrono://checkpoint/@/receipt"):
        (content,) = session.request("read_resource", uri=uri)["contents"]
        assert content["mimeType"] == "application/json" and content["text"].startswith("{")
    templates = session.request("list_resource_templates")["resourceTemplates"]
    assert {one["uriTemplate"] for one in templates} == {
        "chrono://checkpoint/{id}", "chrono://checkpoint/{id}/receipt",
    }  # fmt: skip
    missing = session.request("read_resource", uri="chrono://checkpoint/nope")
    assert "unknown_checkpoint" in missing["raised"]
    assert missing["data"]["chronomancer/error"]["hint"] == "run `list_checkpoints`"
    prompt = session.request("get_prompt", name="safe_refactor", arguments={"goal": "rename {total}"})
    assert "rename {total}" in prompt["messages"][0]["content"]["text"]
    assert "needs: goal" in session.request("get_prompt", name="safe_refactor", arguments={})["raised"]
    failed = session.result("list_checkpoints", limit="many")
    assert failed["isError"] and failed["_meta"]["chronomancer/error"]["code"] == "bad_arguments"
    assert "raised" not in session.result("create_checkpoint", name="two")
    hear_of_progress(session)


def hear_of_progress(session: Session) -> None:
    """Who asks hears how far it is, and nobody else."""
    verified = session.request("call_tool", name="verify", arguments={"deep": True}, **{"tell progress": True})
    assert verified["told"] == sorted(set(verified["told"])) and not verified["isError"]
    assert "told" not in session.result("verify", deep=True)


def break_and_restore(session: Session, tree: RepoBuilder) -> str:
    """Checkpoint, break files and memory, see the plan, restore; return the checkpoint."""
    notes = make_notes(tree.path("data/memory/notes.db"), 2)
    before = session.call("create_checkpoint", name="before the change", description="all is well", tags=["start"])
    assert before["created"] and before["files_changed"] == 0
    checkpoint: str = before["checkpoint_id"]
    tree.write("app.py", "def total(prices):\n    return prices[0]\n")
    tree.write("junk.txt", "left over\n")
    tree.remove("settings.json")
    add_notes(notes, "poison")
    found = session.call("diff_checkpoints", old=checkpoint, patch=True)
    assert {one["path"]: one["status"] for one in found["differences"]} == {
        "app.py": "M", "junk.txt": "A", "settings.json": "D",
    }  # fmt: skip
    assert "+    return prices[0]" in found["patch"] and [one["status"] for one in found["stores"]] == ["M"]
    refused = session.result("restore_checkpoint", checkpoint_id=checkpoint)
    assert refused["isError"] and refused["content"][0]["text"].startswith("plan_needed: ")
    plan = session.call("plan_restore", checkpoint_id=checkpoint)
    assert (plan["writes"], plan["deletes"], len(plan["stores"])) == (["app.py", "settings.json"], ["junk.txt"], 1)
    assert tree.exists("junk.txt") and "poison" in read_notes(notes)
    done = session.call("restore_checkpoint", checkpoint_id=checkpoint, plan_id=plan["plan_id"])
    assert (done["written"], done["deleted"]) == (2, 1)
    assert tree.read("app.py").endswith(b"sum(prices)\n") and tree.exists("settings.json")
    assert not tree.exists("junk.txt") and "poison" not in read_notes(notes)
    return checkpoint


def branch_and_merge(session: Session, tree: RepoBuilder) -> None:
    branch = session.call("branch_timeline", name="faster")
    tree.write(f"{branch['path']}/app.py", "import math\n\n\ndef total(prices):\n    return math.fsum(prices)\n")
    session.call("create_checkpoint", name="with fsum", timeline="faster")
    merge = session.call("plan_merge", source="faster")
    assert merge["plan"]["writes"] == ["app.py"] and merge["conflict_count"] == 0
    assert session.call("merge_timeline", source="faster", plan_id=merge["plan_id"])["merged"]
    assert b"fsum" in tree.read("app.py")
    leaving = session.call("plan_delete_timeline", name="faster")
    session.call("delete_timeline", name="faster", plan_id=leaving["plan_id"])
    assert [one["name"] for one in session.call("list_timelines")["timelines"]] == ["main"]


def learn(session: Session, checkpoint: str, query: str) -> None:
    learned = session.call(
        "analyze_failure", operation="make total faster", error="IndexError: list index out of range in app.py",
        checkpoint_before=checkpoint,
    )  # fmt: skip
    lessons = session.call("search_lessons", query=query)["lessons"]
    assert [one["lesson_id"] for one in lessons] == [learned["lesson_id"]]
    assert learned["lesson_id"] in session.request("read_resource", uri="chrono://lessons")["contents"][0]["text"]


@pytest.mark.parametrize(("client", "server"), MAJORS)
def test_an_agent_works_over_stdio(tree: RepoBuilder, clients: Clients, client: int, server: int) -> None:
    with clients(client).open_stdio(server_command(server, tree.root, "mcp"), tree.environment) as session:
        assert session.about["server"] == "chronomancer" and "plan_id" in session.about["instructions"]
        assert {one["name"] for one in session.request("list_tools")["tools"]} == {one.name for one in ACTIONS}
        look_around(session)
        checkpoint = break_and_restore(session, tree)
        branch_and_merge(session, tree)
        learn(session, checkpoint, "make total faster" if client == server == 2 else "")  # loads LanceDB: 1 s


@pytest.mark.parametrize(("client", "server"), MAJORS)
def test_an_agent_works_over_http(tree: RepoBuilder, clients: Clients, client: int, server: int) -> None:
    with HttpServer(server, tree) as started:
        assert started.token is not None
        with clients(client).open_http(started.url, started.token) as session:
            break_and_restore(session, tree)
            hear_of_progress(session)
