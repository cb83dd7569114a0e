"""The server over HTTP: who is let in, from where, with what; and how it ends."""

from __future__ import annotations

import http.client
import json
import re
import signal
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from chronos.errors import BadConfigError, ChronosError
from skills.mcp_server import Address, make_token, parse_address
from tests.skills.mcp_server.clients import HttpServer, server_command
from tests.support import RepoBuilder
from tests.support.sealing import PROJECT

GIVEN = "a-token-of-" + "the-environment"
HEADERS = {
    "Authorization": f"Bearer {GIVEN}", "Content-Type": "application/json",
    "Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-06-18",
}  # fmt: skip
PING = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "ping", "params": {}})


@pytest.fixture(scope="module", params=[1, 2])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpServer]:
    """One server of each major, which all refusals are asked of."""
    import os

    repo = RepoBuilder(tmp_path_factory.mktemp("http") / "repo", dict(os.environ))
    repo.write("a.txt", "a\n")
    with HttpServer(request.param, repo, CHRONOS_MCP_TOKEN=GIVEN) as found:
        yield found
    repo.close()


def ask(
    server: HttpServer, *, method: str = "POST", path: str = "/mcp", body: str | None = PING, **changed: str | None
) -> tuple[int, dict[str, str], str]:
    """Return status, headers and body of one request; None leaves a header out."""
    address = re.fullmatch(r"http://(.+):(\d+)/mcp", server.url)
    assert address is not None
    connection = http.client.HTTPConnection(address[1], int(address[2]), timeout=20)
    headers = {**HEADERS, **{name.replace("_", "-"): value for name, value in changed.items()}}
    connection.putrequest(method, path, skip_host="Host" in changed)
    for name, value in headers.items():
        if value is not None:
            connection.putheader(name, value)
    if body is not None and "Content-Length" not in headers:
        connection.putheader("Content-Length", str(len(body)))
    connection.endheaders()
    if body is not None:
        connection.send(body.encode())
    answer = connection.getresponse()
    found = answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read().decode()
    connection.close()
    return found


def test_who_has_the_token_is_answered(server: HttpServer) -> None:
    status, _, body = ask(server)
    assert status == 200 and '"id":1' in body
    assert server.token is None, "a token that was given is not shown"


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"Authorization": None}, 401),
        ({"Authorization": f"Bearer {GIVEN}x"}, 401),
        ({"Authorization": f"Bearer {GIVEN[:-1]}"}, 401),
        ({"Authorization": f"Basic {GIVEN}"}, 401),
        ({"Authorization": "Bearer "}, 401),
        ({"Host": "evil.test"}, 421),
        ({"Host": "127.0.0.1.evil.test:80"}, 421),
        ({"Origin": "http://evil.test"}, 403),
        ({"Origin": "null"}, 403),
        ({"Content_Type": "text/plain"}, 400),
        ({"path": "/"}, 404),
        ({"path": "/mcp/../etc/passwd"}, 404),
        ({"path": "//evil.test/mcp"}, 404),
        ({"path": "/.well-known/oauth-protected-resource", "Authorization": None}, 404),
        ({"method": "GET", "body": None}, 405),
        ({"method": "DELETE", "body": None}, 405),
        ({"Content_Length": None, "Transfer_Encoding": "chunked", "body": "0\r\n\r\n"}, 411),
        ({"Content_Length": str(10**12), "body": None}, 413),
        ({"body": "{not json"}, 400),
    ],
    ids=str,
)
def test_what_does_not_belong_here_is_refused(server: HttpServer, changed: dict[str, Any], status: int) -> None:
    found, headers, body = ask(server, **changed)
    assert found == status, body
    assert GIVEN not in body and "Traceback" not in body
    assert (found == 401) == ("www-authenticate" in headers)


def test_a_signal_ends_it_and_a_second_server_takes_the_place(tree: RepoBuilder) -> None:
    with HttpServer(1, tree) as first:
        assert first.token is not None and len(first.token) > 40
        port = first.url.rsplit(":", 1)[1].removesuffix("/mcp")
        done = subprocess.run(
            server_command(1, tree.root, "mcp", "--http", port), env=dict(tree.environment), capture_output=True,
            text=True, check=False, timeout=60,
        )  # fmt: skip
        assert done.returncode == 5 and f"cannot listen on 127.0.0.1:{port}" in done.stderr
        first.process.send_signal(signal.SIGINT)
        assert first.process.wait(20) == 0


def test_the_url_and_the_token_are_shown_once_to_whoever_started_it(tree: RepoBuilder) -> None:
    process = subprocess.Popen(
        server_command(1, tree.root, "mcp", "--http", "[::1]:0"), env=dict(tree.environment), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    lines = [process.stdout.readline(), process.stdout.readline()]
    process.terminate()
    out, err = process.communicate(timeout=20)
    assert re.fullmatch(r"MCP server: http://\[::1\]:\d+/mcp\n", lines[0])
    assert re.fullmatch(r"  Authorization: Bearer [\w-]{43}\n", lines[1])
    assert (out, err, process.returncode) == ("", "", 0)


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("", "http://127.0.0.1:7676/mcp"),
        ("9000", "http://127.0.0.1:9000/mcp"),
        (":9000", "http://127.0.0.1:9000/mcp"),
        ("localhost", "http://127.0.0.1:7676/mcp"),
        ("localhost:0", "http://127.0.0.1:0/mcp"),
        ("127.0.0.1:80", "http://127.0.0.1:80/mcp"),
        ("::1", "http://[::1]:7676/mcp"),
        ("[::1]", "http://[::1]:7676/mcp"),
        ("[::1]:80", "http://[::1]:80/mcp"),
    ],
)
def test_an_address_of_this_machine_is_understood(text: str, url: str) -> None:
    assert parse_address(text).url == url


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("0.0.0.0:80", "foreign_address"),
        ("0.0.0.0", "foreign_address"),
        ("[::]:80", "foreign_address"),
        ("192.168.0.7", "foreign_address"),
        ("example.org:80", "foreign_address"),
        ("127.0.0.1.example.org", "foreign_address"),
        ("127.0.0.1:http", "usage"),
        ("127.0.0.1:70000", "usage"),
        ("127.0.0.1:-1", "usage"),
        ("9" * 5000, "usage"),
    ],
)
def test_any_other_address_is_refused(text: str, code: str) -> None:
    with pytest.raises(ChronosError) as caught:
        parse_address(text)
    assert caught.value.code == code and caught.value.hint


def test_a_token_is_made_or_taken_and_a_weak_one_is_refused() -> None:
    one, is_new = make_token({})
    assert is_new and len(one) == 43 and make_token({})[0] != one
    assert make_token({"CHRONOS_MCP_TOKEN": f" {GIVEN} "}) == (GIVEN, False)
    for weak in ("short", "with spaces in between it", "ümlaut-" * 5, "new\nline-new-line-new"):
        with pytest.raises(BadConfigError) as caught:
            make_token({"CHRONOS_MCP_TOKEN": weak})
        assert weak not in caught.value.message
    assert Address().port == 7676


def test_the_command_says_what_is_wrong_before_it_serves(tree: RepoBuilder) -> None:
    def run(*words: str) -> tuple[int, str]:
        done = subprocess.run(
            server_command(1, tree.root, *words), env=dict(tree.environment), capture_output=True, text=True,
            check=False, stdin=subprocess.DEVNULL, timeout=60, cwd=PROJECT,
        )  # fmt: skip
        return done.returncode, done.stderr

    code, text = run("mcp", "127.0.0.1:9000")
    assert code == 2 and "--http" in text
    code, text = run("mcp", "--http", "0.0.0.0:0")
    assert code == 7 and "ssh -L" in text
