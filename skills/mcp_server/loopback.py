"""The protocol over HTTP: on this machine only, for whoever has the token, and for no web page.

Every request stands by itself (no session is kept), so a server that was started again is not noticed, and a client
that is gone leaves nothing behind.
"""

from __future__ import annotations

import hmac
import secrets
import socket
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import msgspec

from chronos.config import mcp_token
from chronos.errors import BadConfigError, OutsideError, UsageError
from chronos.files import display
from skills.errors import ForeignAddressError

PATH = "/mcp"
PORT = 7676
LARGEST_BODY_BYTES = 4 * 1024 * 1024
MOST_CONNECTIONS = 200
_SHORTEST_TOKEN = 16
_MOST_DIGITS = 18
_HOSTS = {"127.0.0.1": "127.0.0.1", "localhost": "127.0.0.1", "::1": "::1"}
_Send = Callable[[Mapping[str, Any]], Awaitable[None]]
_App = Callable[[Any, Any, Any], Awaitable[None]]


class Address(msgspec.Struct, frozen=True):
    """Where the server listens: a loopback address, and a port; 0 is any that is free."""

    host: str = "127.0.0.1"
    port: int = PORT

    @property
    def url(self) -> str:
        """The URL of the server."""
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}{PATH}"


def parse_address(text: str) -> Address:
    """Return the address that `HOST:PORT`, `HOST` or `PORT` means. Raises UsageError, ForeignAddressError."""
    shown = display(text[:60])
    host, sign, port = text.rpartition(":")
    if text.isdecimal():
        host, port = "", text
    elif not sign or text.endswith("]") or (text.count(":") > 1 and not host.endswith("]")):
        host, port = text, ""
    host = host.strip("[]") or Address().host
    if host not in _HOSTS:
        raise ForeignAddressError(f"'{shown}' is not an address of this machine alone")
    if port and (not port.isdecimal() or len(port) > _MOST_DIGITS or int(port) > 65535):
        raise UsageError(f"'{shown}' has no port between 0 and 65535", hint="write it like 127.0.0.1:7676")
    return Address(_HOSTS[host], int(port) if port else PORT)


def make_token(environment: Mapping[str, str]) -> tuple[str, bool]:
    """Return the token that clients must have, and whether it was made just now and has to be shown.

    Raises BadConfigError for one that the environment gives and that could be guessed or not be sent.
    """
    given = mcp_token(environment)
    if not given:
        return secrets.token_urlsafe(32), True
    if len(given) < _SHORTEST_TOKEN or not given.isascii() or not given.isprintable() or " " in given:
        raise BadConfigError(
            f"CHRONOS_MCP_TOKEN must have {_SHORTEST_TOKEN} characters or more, all of them printable ASCII, no spaces",
            hint="unset it to have one made, or take one from `openssl rand -hex 32`",
        )
    return given, False


@contextmanager
def listening(address: Address) -> Iterator[tuple[socket.socket, Address]]:
    """Give a socket that listens, and its address with the port that it has. Raises OutsideError."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((address.host, address.port))
            listener.listen(MOST_CONNECTIONS)
        except OSError as cause:
            raise OutsideError(
                f"cannot listen on {address.host}:{address.port}: {cause.strerror}",
                hint="give another port: `chrono mcp --http 127.0.0.1:0` takes any that is free",
            ) from cause
        yield listener, Address(address.host, listener.getsockname()[1])


class Gate:
    """Lets through (ASGI) what has the token, and refuses what cannot be a request of the protocol."""

    def __init__(self, app: _App, token: str) -> None:
        self._app = app
        self._expected = f"Bearer {token}".encode()

    async def __call__(self, scope: Any, receive: Any, send: _Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        refusal = self._refusal(scope, dict(scope["headers"]))
        if refusal is None:
            await self._app(scope, receive, send)
            return
        status, text, header = refusal
        kind = (b"content-type", b"text/plain; charset=utf-8")
        await send({"type": "http.response.start", "status": status, "headers": [kind, *header]})
        await send({"type": "http.response.body", "body": f"{text}\n".encode()})

    def _refusal(self, scope: Any, headers: Mapping[bytes, bytes]) -> tuple[int, str, list[tuple[bytes, bytes]]] | None:
        if scope["path"].rstrip("/") != PATH:
            return 404, f"the server is at {PATH}", []
        if not hmac.compare_digest(headers.get(b"authorization", b""), self._expected):
            text = "the header 'Authorization: Bearer …' is missing or wrong; it was shown when the server started"
            return 401, text, [(b"www-authenticate", b"Bearer")]
        if scope["method"] != "POST":
            return 405, "this server sends nothing by itself, and keeps no sessions: only POST", [(b"allow", b"POST")]
        length = headers.get(b"content-length", b"")
        if not length.isdigit():
            return 411, "the header Content-Length is missing", []
        if len(length) > _MOST_DIGITS or int(length) > LARGEST_BODY_BYTES:
            return 413, f"a request has at most {LARGEST_BODY_BYTES} bytes", []
        return None
