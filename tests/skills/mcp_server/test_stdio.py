"""The server as a process on standard input and output: nothing else there, and an end that loses nothing."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.skills.mcp_server.clients import server_command
from tests.support import RepoBuilder

Document = dict[str, Any]
FILES = 120
HELLO = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}


class RawServer:
    """A server to which lines are written, and whose lines are read."""

    def __init__(self, major: int, repo: RepoBuilder, root: Path | str | None = None, **variables: str) -> None:
        self.process = subprocess.Popen(
            server_command(major, root or repo.root, "mcp"), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, env={**repo.environment, **variables},
        )  # fmt: skip
        self._number = 0

    def write(self, text: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()

    def send(self, method: str, params: Document | None = None) -> int:
        self._number += 1
        self.write(json.dumps({"jsonrpc": "2.0", "id": self._number, "method": method, "params": params or {}}))
        return self._number

    def read(self, number: int | None) -> Document:
        """Return the answer to a request; other lines are passed over, and all must be messages."""
        assert self.process.stdout is not None
        while line := self.process.stdout.readline():
            message: Document = json.loads(line)
            assert message["jsonrpc"] == "2.0"
            if message.get("id") == number:
                return message
        raise AssertionError(f"no answer to {number}")

    def hello(self) -> RawServer:
        self.read(self.send("initialize", HELLO))
        self.write('{"jsonrpc": "2.0", "method": "notifications/initialized"}')
        return self

    def call(self, name: str, /, **arguments: Any) -> Document:
        found: Document = self.read(self.send("tools/call", {"name": name, "arguments": arguments}))["result"]
        return found

    def end(self) -> tuple[list[Document], str]:
        """Close its input; return what it still says, and what it said on standard error."""
        out, err = self.process.communicate(timeout=30)
        return [json.loads(line) for line in out.splitlines()], err


def begin_long_restore(server: RawServer, tree: RepoBuilder) -> Document:
    """Return the parameters of a restore of many files, of which the client wants to hear."""
    for number in range(FILES):
        tree.write(f"new/{number}.txt", "n")
    server.call("create_checkpoint", name="with")
    tree.remove("new")
    plan = server.call("plan_restore", checkpoint_id="with")["structuredContent"]
    arguments = {"checkpoint_id": "with", "plan_id": plan["plan_id"]}
    return {"name": "restore_checkpoint", "arguments": arguments, "_meta": {"progressToken": "t"}}


@pytest.fixture
def start(tree: RepoBuilder) -> Iterator[Callable[..., RawServer]]:
    running = []

    def start(major: int = 1, **more: str) -> RawServer:
        running.append(RawServer(major, tree, **more))
        return running[-1]

    yield start
    for one in running:
        if one.process.poll() is None:
            one.process.kill()
            one.process.communicate()


@pytest.mark.parametrize("major", [1, 2])
def test_what_was_asked_before_the_end_of_input_is_answered(start: Callable[..., RawServer], major: int) -> None:
    server = start(major).hello()
    numbers = {
        server.send("tools/call", {"name": "create_checkpoint", "arguments": {"name": f"c{n}"}}) for n in range(6)
    }
    answers, errors = server.end()
    assert {one["id"] for one in answers} == numbers
    assert [one["result"]["content"][0]["text"] for one in answers if one["result"]["isError"]] == []
    assert server.process.returncode == 0 and errors == ""


@pytest.mark.parametrize(("major", "how"), [(1, signal.SIGINT), (2, signal.SIGTERM)])
def test_a_signal_ends_it_and_what_runs_is_finished(
    start: Callable[..., RawServer], tree: RepoBuilder, major: int, how: signal.Signals
) -> None:
    server = start(major).hello()
    params = begin_long_restore(server, tree)
    server.send("tools/call", params)
    assert server.process.stdout is not None
    assert json.loads(server.process.stdout.readline())["method"] == "notifications/progress"  # it is in the middle
    server.process.send_signal(how)
    assert server.process.wait(20) == 0
    with tree.engine() as engine:
        assert engine.status().interrupted == 0 and engine.verify() == []
        assert engine.notices == [] and (engine.status().can_undo or "").startswith("restore")
    assert len(list(tree.path("new").iterdir())) == FILES


@pytest.mark.parametrize("major", [1, 2])
def test_garbage_is_survived_and_standard_output_has_messages_only(
    start: Callable[..., RawServer], tree: RepoBuilder, major: int
) -> None:
    tree.write("chronos.toml", 'secret_scan = "off"\n')
    server = start(major, CHRONOS_DEBUG="1").hello()
    server.write("this is no JSON")
    server.write('{"jsonrpc": "2.0", "id": ')
    server.write('["a batch"]')
    server.write('{"jsonrpc": "1.0", "id": 901, "method": "ping"}')
    server.write('{"jsonrpc": "2.0", "id": 902}')
    server.write("x" * (5 * 1024 * 1024))
    for number, depth in ((904, 400), (None, 100_000)):
        deep = '{"a": ' * depth + "1" + "}" * depth
        server.write('{"jsonrpc": "2.0", "id": 904, "method": "ping", "params": ' + deep + "}")
        assert server.read(number)["error"]["code"] == -32600
    server.write('{"jsonrpc": "2.0", "id": 900, "method": "tools/call", "params": {"name": 5}}')
    assert server.read(900)["error"]
    assert server.read(server.send("no/such/method"))["error"]
    assert not server.call("create_checkpoint", name="still here")["isError"]
    server.write('{"jsonrpc": "2.0", "id": 903, "method": 5}')
    rest, errors = server.end()
    assert server.process.returncode == 0 and [one["error"]["code"] for one in rest] == [-32600]
    assert errors == ""


@pytest.mark.parametrize("major", [1, 2])
def test_what_other_clients_write_is_understood(start: Callable[..., RawServer], major: int) -> None:
    server = start(major).hello()
    server.write('{"jsonrpc": "2.0", "id": 900, "method": "tools/list", "params": null}')
    assert server.read(900)["result"]["tools"]
    arguments = r'{"name": "half", "description": "\\ud83d and \ud83d\ude00 and \ud83d"}'
    server.write(
        '{"jsonrpc": "2.0", "id": 901, "method": "tools/call", "params": {"name": "create_checkpoint", "arguments": '
        + arguments + "}}"
    )  # fmt: skip
    assert not server.read(901)["result"]["isError"]
    shown = server.call("show_checkpoint", checkpoint_id="half")["structuredContent"]
    assert shown["description"] == "\\ud83d and \N{GRINNING FACE} and ?"


def test_two_servers_in_one_folder_and_a_person_see_each_others_checkpoints(
    start: Callable[..., RawServer], tree: RepoBuilder
) -> None:
    one, two = start(1).hello(), start(2).hello()
    one.call("create_checkpoint", name="of one")
    two.call("create_checkpoint", name="of two")
    with tree.engine() as engine:
        engine.create_checkpoint("of a person")
    for server in (one, two):
        listed = server.call("list_checkpoints")["structuredContent"]["checkpoints"]
        assert {row["name"] for row in listed} == {"of one", "of two", "of a person"}
    plan = one.call("plan_restore", checkpoint_id="of one")["structuredContent"]
    tree.write("app.py", "changed\n")
    refused = one.call("restore_checkpoint", checkpoint_id="of one", plan_id=plan["plan_id"])
    assert refused["isError"] and refused["content"][0]["text"].startswith("changed_meanwhile")


def test_a_server_in_a_wrong_folder_says_so_in_each_answer(start: Callable[..., RawServer]) -> None:
    server = start(1, root="/").hello()
    assert server.read(server.send("tools/list"))["result"]["tools"]
    found = server.call("create_checkpoint", name="x")
    assert found["isError"] and found["content"][0]["text"].startswith("dangerous_root")
    _, errors = server.end()
    assert server.process.returncode == 0 and "every tool will answer" in errors


def test_progress_and_cancellation_are_of_the_protocol(start: Callable[..., RawServer], tree: RepoBuilder) -> None:
    for major in (1, 2):
        server = start(major).hello()
        number = server.send("tools/call", begin_long_restore(server, tree))
        told = []
        assert server.process.stdout is not None
        while (message := json.loads(server.process.stdout.readline())).get("id") != number:
            told.append(message)
        assert told and all(one["method"] == "notifications/progress" for one in told)
        assert told[0]["params"]["progressToken"] == "t" and told[0]["params"]["total"] == FILES
        asked = server.send("tools/call", {"name": "verify", "arguments": {"deep": True}})
        server.write(json.dumps(
            {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": asked}}
        ))  # fmt: skip
        assert not server.call("status")["isError"]
        server.end()
        assert server.process.returncode == 0
