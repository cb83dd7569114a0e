"""Servers and clients as processes of their own, in either major of the SDK."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import pytest

from tests.support import RepoBuilder

Document = dict[str, Any]
_PROGRAM = Path(__file__).with_name("client_program.py")
INTERPRETERS = {1: Path(sys.executable), 2: Path(sys.prefix, "mcp2", "bin", "python")}


def interpreter(major: int) -> str:
    """The Python of the environment with this major; that of `make test` has both."""
    found = INTERPRETERS[major]
    if not found.exists():
        pytest.fail(f"{found} is missing: `make .venv/installed-mcp2` makes the environment with mcp 2")
    return str(found)


def server_command(major: int, root: Path | str, *more: str) -> list[str]:
    return [interpreter(major), "-m", "chronos.cli", "--root", str(root), *more]


class ClientProcess:
    """A client program that runs, and its sessions."""

    def __init__(self, major: int, environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [interpreter(major), str(_PROGRAM)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=dict(environment),
        )  # fmt: skip

    def ask(self, **asked: Any) -> Any:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the client has ended"
        answer = json.loads(line)
        assert not (isinstance(answer, dict) and "failed" in answer), answer
        return answer

    def open_stdio(self, command: Sequence[str], environment: Mapping[str, str]) -> Session:
        return Session(self, {"command": command[0], "args": list(command[1:]), "env": dict(environment)})

    def open_http(self, url: str, token: str) -> Session:
        return Session(self, {"url": url, "headers": {"Authorization": f"Bearer {token}"}})

    def together(self, requests: Sequence[tuple[Session, str, Document]]) -> list[Document]:
        """Do requests of several sessions side by side."""
        found: list[Document] = self.ask(do=[[session.number, *rest] for session, *rest in requests])
        return found

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)


class Session:
    """One session of a client process."""

    def __init__(self, client: ClientProcess, wanted: Document) -> None:
        self.client = client
        self.about: Document = client.ask(open=wanted)
        self.number = self.about["session"]

    def request(self, method: str, /, **arguments: Any) -> Document:
        (found,) = self.client.together([(self, method, arguments)])
        return found

    def result(self, name: str, /, **arguments: Any) -> Document:
        return self.request("call_tool", name=name, arguments=arguments)

    def call(self, name: str, /, **arguments: Any) -> Document:
        """Call a tool that succeeds, and return what it found."""
        found = self.result(name, **arguments)
        assert not found.get("raised") and not found.get("isError"), found
        document: Document = found["structuredContent"]
        return document

    def close(self) -> None:
        self.client.ask(close=self.number)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class HttpServer:
    """`chrono mcp --http` that runs, on a port of its own."""

    def __init__(self, major: int, repo: RepoBuilder, **variables: str) -> None:
        self.process = subprocess.Popen(
            server_command(major, repo.root, "--json", "mcp", "--http", "127.0.0.1:0"), stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, env={**repo.environment, **variables},
        )  # fmt: skip
        assert self.process.stdout is not None
        text = ""
        while not text.endswith("}\n"):
            line = self.process.stdout.readline()
            assert line, self.process.stderr and self.process.stderr.read()
            text += line
        document = json.loads(text)
        self.url: str = document["url"]
        self.token: str | None = document["token"]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.communicate(timeout=20)
