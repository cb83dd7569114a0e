"""What the server answers, in documents of the protocol; which SDK carries them does not matter here."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import TypeVar

import msgspec

from chronos.errors import ChronosError
from chronos.files import display
from skills.actions import ACTIONS, ActionSession, describe_error
from skills.mcp_server import prompts, resources
from skills.mcp_server.calls import Caller
from skills.mcp_server.documents import ERROR_KEY, Document, fit, tool_document
from skills.mcp_server.workers import Progress, Workers

Report = Callable[[float, float], Awaitable[None]]
_Result = TypeVar("_Result")
_INVALID_PARAMS = -32602
_NO_RESOURCE = -32002
_LISTED = 20
_PROGRESS_S = 0.25


class AnswerError(Exception):
    """A request that is answered by an error of the protocol; `code` is one of JSON-RPC or of the protocol."""

    def __init__(self, code: int, message: str, data: Document | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data


class Service:
    """Answers requests about one working tree, many at a time. Call it from one event loop."""

    def __init__(self, root: Path) -> None:
        self._workers = Workers(lambda progress: ActionSession(root, plans_first=True, progress=progress))
        self._caller = Caller()
        self.methods: Mapping[str, Callable[[Document, Report | None], Awaitable[Document]]] = {
            "tools/list": self._list_tools,
            "tools/call": self._call_tool,
            "resources/list": self._list_resources,
            "resources/templates/list": self._list_templates,
            "resources/read": self._read_resource,
            "prompts/list": self._list_prompts,
            "prompts/get": self._get_prompt,
        }

    def warm(self, on_problem: Callable[[ChronosError], None]) -> None:
        """Open the project while the client still says hello; `on_problem` is told when that cannot be done."""

        def tell(found: Future[ChronosError | None]) -> None:
            if not found.cancelled() and (problem := found.result()) is not None:
                on_problem(problem)

        self._workers.submit(self._open).add_done_callback(tell)

    def close(self, timeout_s: float) -> bool:
        """Let what runs come to its end, and return whether it did within `timeout_s` seconds."""
        return self._workers.close(timeout_s)

    async def answer(self, method: str, params: Document, report: Report | None = None) -> Document:
        """Return the result of a request; `report` takes (done, total) for the client. Raises AnswerError."""
        return await self.methods[method](params, report)

    async def _list_tools(self, params: Document, report: Report | None) -> Document:
        allowed = await self._work(self._allowed)
        return {"tools": [tool_document(one) for one in ACTIONS if one.name in allowed]}

    async def _call_tool(self, params: Document, report: Report | None) -> Document:
        name, arguments = params["name"], params.get("arguments") or {}
        return await self._work(lambda session: self._caller.call(session, name, arguments), report)

    async def _list_resources(self, params: Document, report: Report | None) -> Document:
        newest = await self._work(self._newest)
        return {"resources": [*resources.list_fixed(), *map(resources.checkpoint_resource, newest)]}

    async def _list_templates(self, params: Document, report: Report | None) -> Document:
        return {"resourceTemplates": resources.list_templates()}

    async def _read_resource(self, params: Document, report: Report | None) -> Document:
        uri = params["uri"]
        found = resources.find_action_of(uri)
        if found is None:
            raise AnswerError(_NO_RESOURCE, f"no resource is {display(uri[:200])!r}", {"uri": uri[:200]})
        name, arguments, keys = found
        try:
            document, _ = await self._work(lambda session: self._caller.read(session, name, arguments))
        except ChronosError as error:
            data = describe_error(error)
            raise AnswerError(
                _NO_RESOURCE, f"{data['code']}: {data['message']}", {"uri": uri, ERROR_KEY: data}
            ) from error
        document = fit({key: document[key] for key in keys or document})
        text = msgspec.json.format(msgspec.json.encode(document), indent=1).decode()
        return {"contents": [{"uri": uri, "mimeType": resources.MIME_TYPE, "text": text}]}

    async def _list_prompts(self, params: Document, report: Report | None) -> Document:
        return {"prompts": prompts.list_prompts()}

    async def _get_prompt(self, params: Document, report: Report | None) -> Document:
        prompt, given = prompts.PROMPTS.get(params["name"]), params.get("arguments") or {}
        if prompt is None:
            known = ", ".join(prompts.PROMPTS)
            raise AnswerError(_INVALID_PARAMS, f"no prompt is called {display(params['name'][:60])!r}; known: {known}")
        missing = prompts.missing_arguments(prompt, given)
        if missing:
            raise AnswerError(_INVALID_PARAMS, f"{params['name']} needs: {', '.join(missing)}")
        return prompts.fill(prompt, given)

    async def _work(self, job: Callable[[ActionSession], _Result], report: Report | None = None) -> _Result:
        """Have `job` done by a thread that works. Cancelled before it began it is not done, later it is finished."""
        progress = _throttled(report, asyncio.get_running_loop()) if report is not None else None
        return await asyncio.wrap_future(self._workers.submit(job, progress))

    def _open(self, session: ActionSession) -> ChronosError | None:
        try:
            self._caller.list_tools(session)
        except ChronosError as error:
            return error
        return None

    def _allowed(self, session: ActionSession) -> frozenset[str]:
        """Where there is no project every tool is listed: a client lists once, and each call says what is wrong."""
        if self._open(session) is not None:
            return frozenset(one.name for one in ACTIONS)
        return self._caller.list_tools(session)

    def _newest(self, session: ActionSession) -> list[Document]:
        try:
            document, _ = self._caller.read(session, "list_checkpoints", {"limit": _LISTED})
        except ChronosError:
            return []  # reading one says what is wrong
        found: list[Document] = document["checkpoints"]
        return found


def _throttled(report: Report, loop: asyncio.AbstractEventLoop) -> Progress:
    """Return what a thread that works may tell as often as it likes; `report` is called in the loop.

    The protocol wants what is done to grow with each report, so one step of work after the other is added up.
    """
    last, before, step_done, step = 0.0, 0, 0, 0

    def tell(done: int, total: int) -> None:
        nonlocal last, before, step_done, step
        if total != step or done <= step_done:
            before, step = before + step, total
        step_done = done
        now = time.monotonic()
        if now - last >= _PROGRESS_S and not loop.is_closed():
            last = now
            asyncio.run_coroutine_threadsafe(_quietly(report, before + done, before + total), loop)

    return tell


async def _quietly(report: Report, done: int, total: int) -> None:
    await report(float(done), float(total))
