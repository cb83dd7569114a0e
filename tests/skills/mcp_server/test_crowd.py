"""Fifty calls at once from five clients: nothing is lost, whether they share a server or not."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from tests.skills.mcp_server.clients import HttpServer, server_command
from tests.skills.mcp_server.conftest import Clients
from tests.support import RepoBuilder

CLIENTS, EACH = 5, 10


@pytest.mark.parametrize(("http", "major"), [(False, 1), (True, 2)], ids=["a server each", "one server"])
def test_nothing_of_fifty_calls_at_once_is_lost(tree: RepoBuilder, clients: Clients, http: bool, major: int) -> None:
    client = clients(major)
    with ExitStack() as stack:
        if http:
            started = stack.enter_context(HttpServer(major, tree))
            assert started.token is not None
            sessions = [stack.enter_context(client.open_http(started.url, started.token)) for _ in range(CLIENTS)]
        else:
            command = server_command(major, tree.root, "mcp")
            sessions = [stack.enter_context(client.open_stdio(command, tree.environment)) for _ in range(CLIENTS)]
        answers = client.together([
            (session, "call_tool", {"name": "create_checkpoint", "arguments": {"name": f"{number}.{call}"}})
            for call in range(EACH) for number, session in enumerate(sessions)
        ])  # fmt: skip
        assert [one for one in answers if one.get("raised") or one.get("isError")] == []
        taken = {one["structuredContent"]["checkpoint_id"]: one["structuredContent"]["name"] for one in answers}
        assert len(taken) == CLIENTS * EACH
        listed = sessions[0].call("list_checkpoints", limit=200)["checkpoints"]
        assert {one["checkpoint_id"]: one["name"] for one in listed} == taken
        assert sessions[-1].call("verify") == {"findings": [], "finding_count": 0}
