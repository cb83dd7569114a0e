"""Agents on the MCP server: `python -m benchmarks.mcp [FILES]` prints what calls cost, from the client to its answer.

The client is the SDK's own. Measured are a checkpoint of a tree of 1,000 files with one line changed before each (the
first call apart, whose server has just started), the same by the engine alone, and 50 checkpoints at once of five
clients: with a server each on standard input and output, and all on one server over HTTP. It ends with 1 when a bar is
missed or anything is lost.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from importlib.metadata import version
from pathlib import Path
from typing import Any

from mcp import ClientSession
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client

from benchmarks.corpus import Corpus, build_corpus, prepare_run
from benchmarks.machine import describe_load, describe_machine, read_load
from benchmarks.programs import Sealed, seal
from chronos import ChronosEngine
from chronos.config import Surroundings

BAR_MS = 35.0
_CALLS = 60
_CLIENTS, _EACH = 5, 10
_MCP = ("-m", "chronos.cli", "mcp")
Report = dict[str, Any]


async def measure_calls(corpus: Corpus, sealed: Sealed) -> Report:
    """Return what single calls cost over standard input and output, and over HTTP, in ms."""
    report: Report = {}
    async with AsyncExitStack() as stack:
        start = time.perf_counter()
        session = await stack.enter_async_context(ClientSession(*await _stdio(stack, corpus, sealed)))
        await session.initialize()
        report["start until hello, ms"] = _since(start)
        report["first checkpoint over stdio, ms"] = await _checkpoint(session, corpus)
        times = [await _checkpoint(session, corpus) for _ in range(_CALLS)]
        report["checkpoint over stdio, ms (median, 90 of 100, longest)"] = _spread(times)
        times = [await _ask(session, "list_timelines", {}) for _ in range(_CALLS)]
        report["list_timelines over stdio, ms (median, 90 of 100, longest)"] = _spread(times)
    async with AsyncExitStack() as stack:
        url, token = _start_http(stack, corpus, sealed)
        session = await stack.enter_async_context(ClientSession(*await _http(stack, url, token)))
        await session.initialize()
        await _checkpoint(session, corpus)
        times = [await _checkpoint(session, corpus) for _ in range(_CALLS)]
        report["checkpoint over HTTP, ms (median, 90 of 100, longest)"] = _spread(times)
    return report


async def measure_crowd(corpus: Corpus, sealed: Sealed, *, http: bool) -> tuple[float, int]:
    """Take 50 checkpoints at once through five clients; return the seconds, and how many are lost or have failed."""
    async with AsyncExitStack() as stack:
        url, token = _start_http(stack, corpus, sealed) if http else ("", "")
        sessions = []
        for _ in range(_CLIENTS):
            streams = await (_http(stack, url, token) if http else _stdio(stack, corpus, sealed))
            sessions.append(await stack.enter_async_context(ClientSession(*streams)))
            await sessions[-1].initialize()
        before = await _ids(sessions[0])
        start = time.perf_counter()
        answers = await asyncio.gather(
            *(
                session.call_tool("create_checkpoint", {"name": f"{number}.{call}"})
                for number, session in enumerate(sessions)
                for call in range(_EACH)
            )
        )
        spent = time.perf_counter() - start
        taken = {_found(answer).get("checkpoint_id") for answer in answers} - {None}
        return round(spent, 2), _CLIENTS * _EACH - len(taken & await _ids(sessions[0]) - before)


def measure_engine(corpus: Corpus, sealed: Sealed) -> float:
    """Return what a checkpoint costs without any protocol, in ms."""
    times = []
    with ChronosEngine(corpus.root, surroundings=Surroundings(sealed.environment, corpus.root)) as engine:
        for number in range(_CALLS):
            prepare_run(corpus)
            start = time.perf_counter()
            engine.create_checkpoint(f"engine {number}")
            times.append(_since(start))
    return round(statistics.median(times), 1)


def main() -> int:
    """Print a report as JSON."""
    files = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000
    with tempfile.TemporaryDirectory() as place:
        before, sealed = read_load(), seal(Path(place, "home"))
        corpus = build_corpus(Path(place, "corpus"), files, sealed)
        report: Report = {"files": files, "mcp": version("mcp"), **describe_machine(Path(place))}
        report["checkpoint by the engine, ms (median)"] = measure_engine(corpus, sealed)
        report |= asyncio.run(measure_calls(corpus, sealed))
        lost = 0
        for http in (False, True):
            spent, missing = asyncio.run(measure_crowd(corpus, sealed, http=http))
            where = "on one server over HTTP" if http else "with a server each"
            report[f"{_CLIENTS * _EACH} checkpoints of {_CLIENTS} clients at once, {where}, s"] = spent
            report[f"of these lost, {where}"] = missing
            lost += missing
        report["load"] = describe_load(before, read_load())
    print(json.dumps(report, indent=1))
    median = report["checkpoint over stdio, ms (median, 90 of 100, longest)"][0]
    return 0 if lost == 0 and median <= BAR_MS else 1


async def _stdio(stack: AsyncExitStack, corpus: Corpus, sealed: Sealed) -> Any:
    parameters = StdioServerParameters(
        command=sys.executable, args=list(_MCP), env=dict(sealed.environment), cwd=str(corpus.root)
    )
    return await stack.enter_async_context(stdio_client(parameters))


async def _http(stack: AsyncExitStack, url: str, token: str) -> Any:
    if version("mcp").startswith("1."):
        from httpx import AsyncClient
    else:
        from httpx2 import AsyncClient
    client = AsyncClient(headers={"Authorization": f"Bearer {token}"}, timeout=60)
    streams = await stack.enter_async_context(streamable_http_client(url, http_client=client))
    return streams[:2]


def _start_http(stack: AsyncExitStack, corpus: Corpus, sealed: Sealed) -> tuple[str, str]:
    process = subprocess.Popen(
        [sys.executable, *_MCP, "--json", "--http", "127.0.0.1:0"], stdout=subprocess.PIPE, text=True,
        env=dict(sealed.environment), cwd=corpus.root,
    )  # fmt: skip
    stack.callback(process.wait)
    stack.callback(process.terminate)
    assert process.stdout is not None
    text = ""
    while not text.endswith("}\n"):
        text += process.stdout.readline()
    found = json.loads(text)
    return found["url"], found["token"]


async def _checkpoint(session: ClientSession, corpus: Corpus) -> float:
    prepare_run(corpus)
    return await _ask(session, "create_checkpoint", {"name": "of a client"})


async def _ask(session: ClientSession, name: str, arguments: Report) -> float:
    start = time.perf_counter()
    answer = await session.call_tool(name, arguments)
    spent = _since(start)
    assert _found(answer), answer
    return spent


async def _ids(session: ClientSession) -> set[str]:
    answer = await session.call_tool("list_checkpoints", {"limit": 200})
    return {one["checkpoint_id"] for one in _found(answer)["checkpoints"]}


def _found(answer: Any) -> Report:
    """Return what a tool found; the two majors of the SDK call it differently."""
    found: Report = answer.model_dump(by_alias=True).get("structuredContent") or {}
    return found


def _since(start: float) -> float:
    return (time.perf_counter() - start) * 1000


def _spread(times: list[float]) -> list[float]:
    times = sorted(times)
    return [round(statistics.median(times), 1), round(times[int(len(times) * 0.9)], 1), round(times[-1], 1)]


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)
