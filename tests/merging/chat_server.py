"""A chat endpoint on this machine for tests: what it is asked is kept, and it answers as a test says, well or badly."""

from __future__ import annotations

import json
import re
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


class Asked:
    """One request that came: where to, its headers, and what it says."""

    def __init__(self, path: str, headers: dict[str, str], body: bytes) -> None:
        self.path, self.headers, self.body = path, headers, json.loads(body)
        self.system, self.question = (message["content"] for message in self.body["messages"])
        found = re.search(r"ANSWER ([0-9a-f]{16})", self.system)
        assert found is not None
        self.token = found[1]

    def answer(self, content: str) -> str:
        """Return `content` in the envelope that was asked for."""
        return f"ANSWER {self.token}\n{content}DONE {self.token}"


Reply = Callable[[BaseHTTPRequestHandler, Asked], None]


def says(content: str | Callable[[Asked], str], **more: Any) -> Reply:
    """Answer with a completion: what the function makes of the request, or `content` in the envelope."""

    def reply(handler: BaseHTTPRequestHandler, asked: Asked) -> None:
        text = content(asked) if callable(content) else asked.answer(content)
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop", **more}
        send(handler, 200, json.dumps({"id": "1", "object": "chat.completion", "choices": [choice]}).encode())

    return reply


def fails(status: int, body: bytes = b"", **headers: str) -> Reply:
    """Answer with a status; underscores in the names of headers are hyphens."""
    return lambda handler, asked: send(handler, status, body, **headers)


def send(handler: BaseHTTPRequestHandler, status: int, body: bytes, **headers: str) -> None:
    """Send a whole reply."""
    handler.send_response(status)
    for name, value in {"Content_Length": str(len(body)), **headers}.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(body)


class ChatServer:
    """`replies` are used up one by one, the last one for all that follow; `asked` are the requests, in order."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/v1"
        self.asked: list[Asked] = []
        self.replies: list[Reply] = []


@contextmanager
def serving(*replies: Reply, certificate: Path | None = None) -> Iterator[ChatServer]:
    """Serve on a free port of the loopback until the block ends; encrypted, with a certificate (and its key)."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            asked = Asked(self.path, dict(self.headers), self.rfile.read(int(self.headers["Content-Length"])))
            chat.asked.append(asked)
            reply = chat.replies.pop(0) if len(chat.replies) > 1 else chat.replies[0]
            try:
                reply(self, asked)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True  # the client did not want more

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.block_on_close = False
    chat = ChatServer(server.server_address[1])
    if certificate is not None:
        trust = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        trust.load_cert_chain(certificate)
        server.socket = trust.wrap_socket(server.socket, server_side=True)
        chat.url = chat.url.replace("http:", "https:")
    chat.replies = list(replies)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield chat
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
