"""Serving until there is nobody left to serve, or a signal comes; what is in the middle then is finished first."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio

from chronos.errors import ChronosError
from skills.mcp_server.loopback import MOST_CONNECTIONS, Address, Gate, listening
from skills.mcp_server.sdk import find_major, make_server
from skills.mcp_server.service import Service
from skills.mcp_server.stdio import Wire, own_streams

if TYPE_CHECKING:
    import socket

# What takes longer is left where it is: every operation can be finished or taken back by the next command.
_GRACE_S = 10.0
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
Problem = Callable[[ChronosError], None]


def serve_stdio(root: Path, *, on_problem: Problem) -> None:
    """Serve one client on standard input and output, until it closes them or a signal comes.

    A folder that is no project does not end the server: `on_problem` is told, and every tool answers so. Raises
    UnsupportedError without the SDK.
    """
    _prepare()
    service = Service(root)
    service.warm(on_problem)
    try:
        with own_streams() as (source, target):
            anyio.run(_serve_stdio, service, source, target)
    finally:
        service.close(_GRACE_S)


def serve_http(
    root: Path, address: Address, token: str, *, on_start: Callable[[Address], None], on_problem: Problem
) -> None:
    """Serve all clients that have `token` until a signal comes; `on_start` is told the address once they can come.

    Raises UnsupportedError without the SDK, OutsideError when nothing can listen at `address`.
    """
    _prepare()
    service = Service(root)
    try:
        with listening(address) as (listener, found):
            service.warm(on_problem)
            anyio.run(_serve_http, service, listener, token, lambda: on_start(found))
    finally:
        service.close(_GRACE_S)


def _prepare() -> None:
    find_major()
    # Version 1 warns on thirty lines of a request that it does not know, such as the first of a client of version 2.
    logging.basicConfig(level=logging.ERROR)


async def _serve_stdio(service: Service, source: int, target: int) -> None:
    from mcp.server.stdio import stdio_server

    server = make_server(service)
    wire: Any = Wire(source, target)

    async def serve() -> None:
        try:
            async with stdio_server(wire, wire) as (reading, writing):
                await server.run(reading, writing, server.create_initialization_options())
        except* (anyio.ClosedResourceError, anyio.BrokenResourceError):
            pass  # it had something to say to a client that is gone

    await _until_signal(serve)


async def _serve_http(service: Service, listener: socket.socket, token: str, on_start: Callable[[], None]) -> None:
    import uvicorn
    from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
    from mcp.server.transport_security import TransportSecuritySettings

    hosts = ["127.0.0.1", "localhost", "[::1]"]
    security = TransportSecuritySettings(
        enable_dns_rebinding_protection=True,
        allowed_hosts=[f"{host}:*" for host in hosts],
        allowed_origins=[f"http://{host}:*" for host in hosts],
    )
    manager = StreamableHTTPSessionManager(make_server(service), stateless=True, security_settings=security)
    settings = uvicorn.Config(
        Gate(manager.handle_request, token), lifespan="off", ws="none", log_config=None, access_log=False,
        server_header=False, proxy_headers=False, limit_concurrency=MOST_CONNECTIONS,
        timeout_graceful_shutdown=int(_GRACE_S),
    )  # fmt: skip
    server: Any = uvicorn.Server(settings)
    server.capture_signals = nullcontext  # it would raise them again before anything here is closed

    async def serve() -> None:
        on_start()
        async with manager.run():
            await server.serve([listener])

    def stop() -> None:
        server.should_exit = True

    await _until_signal(serve, stop)


async def _until_signal(serve: Callable[[], Awaitable[None]], stop: Callable[[], None] | None = None) -> None:
    """Await `serve`; at a signal `stop` it, or else cancel it. The next signal ends the process as it always would."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    heeded = [one for one in _SIGNALS if signal.getsignal(one) is not signal.SIG_IGN]  # nohup(1)
    is_stopped = False

    def end() -> None:
        nonlocal is_stopped
        is_stopped = True
        forget()
        if stop is not None:
            stop()
        else:
            task.cancel()

    def forget() -> None:
        for number in heeded:
            loop.remove_signal_handler(number)

    for number in heeded:
        loop.add_signal_handler(number, end)
    try:
        await serve()
    except asyncio.CancelledError:
        if not is_stopped:
            raise
    finally:
        forget()
