"""A client made of the SDK's own, in whichever major its interpreter has: does what lines of JSON on its input say.

It is started by its path, with an interpreter that may have nothing but the SDK. One line asks, one line answers:
`{"open": …}` a session, `{"close": n}` it, `{"do": [[n, method, arguments], …]}` requests side by side.
"""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import AsyncExitStack
from importlib.metadata import version
from typing import Any

from mcp import ClientSession
from mcp.client.stdio import StdioServerParameters, stdio_client

MAJOR = int(version("mcp").split(".")[0])


def transport(wanted: dict[str, Any]) -> Any:
    if "url" not in wanted:
        return stdio_client(StdioServerParameters(**wanted))
    from mcp.client.streamable_http import streamable_http_client

    if MAJOR == 1:
        from httpx import AsyncClient
    else:
        from httpx2 import AsyncClient  # type: ignore[no-redef]
    return streamable_http_client(wanted["url"], http_client=AsyncClient(headers=wanted["headers"], timeout=60))


class Session:
    """One session, open in a task of its own: what the SDK opens must be closed by the task that opened it."""

    def __init__(self, wanted: dict[str, Any]) -> None:
        self._wanted = wanted
        self._ready: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._leave = asyncio.Event()
        self._task = asyncio.create_task(self._live())

    async def open(self) -> dict[str, Any]:
        found = await self._ready
        self.client = found[0]
        return found[1]

    async def close(self) -> None:
        self._leave.set()
        await self._task

    async def do(self, method: str, arguments: dict[str, Any]) -> Any:
        told: list[float] = []
        if arguments.pop("tell progress", False):

            async def tell(done: float, total: float | None, message: str | None) -> None:
                told.append(done)

            arguments["progress_callback"] = tell
        try:
            found = await getattr(self.client, method)(**arguments)
        except Exception as error:  # noqa: BLE001 - told to the test
            detail = getattr(error, "error", error)
            return {"raised": str(error), "data": getattr(detail, "data", None)}
        document = found.model_dump(by_alias=True, mode="json", exclude_none=True)
        return {**document, "told": told} if told else document

    async def _live(self) -> None:
        try:
            async with AsyncExitStack() as stack:
                if MAJOR == 1:
                    streams = await stack.enter_async_context(transport(self._wanted))
                    client = await stack.enter_async_context(ClientSession(*streams[:2]))
                    hello = await client.initialize()
                    about = {"instructions": hello.instructions, "server": hello.serverInfo.name}
                    about["version"] = str(hello.protocolVersion)
                else:
                    from mcp import Client

                    client = await stack.enter_async_context(Client(transport(self._wanted)))
                    about = {"instructions": client.instructions, "server": client.server_info.name}
                    about["version"] = client.protocol_version
                self._ready.set_result((client, about))
                await self._leave.wait()
        except BaseException as error:
            if self._ready.done():
                raise
            self._ready.set_exception(RuntimeError(repr(error)))


async def main() -> None:
    loop = asyncio.get_running_loop()
    sessions: dict[int, Session] = {}
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        asked = json.loads(line)
        answer: Any
        try:
            if "open" in asked:
                number = len(sessions)
                sessions[number] = Session(asked["open"])
                answer = {"session": number, **await sessions[number].open()}
            elif "close" in asked:
                answer = await sessions[asked["close"]].close()
            else:
                answer = await asyncio.gather(*(sessions[number].do(*rest) for number, *rest in asked["do"]))
        except Exception as error:  # noqa: BLE001 - told to the test
            answer = {"failed": repr(error)}
        print(json.dumps(answer), flush=True)


asyncio.run(main())
