"""The protocol on standard input and output, which are kept from everybody else in the process.

Reading can be given up at any time, which it cannot in the SDK's own way: there a signal would wait for the next line.
At the end of input what was asked before is still answered.
"""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Literal

import anyio
import msgspec
import pydantic_core

_INPUT, _OUTPUT, _ERRORS = 0, 1, 2
_AHEAD = 16
_PATIENCE_S = 60.0
# Longer than anything sensible: an error text, a description. More is read, and thrown away.
LONGEST_LINE_BYTES = 4 * 1024 * 1024
_TOO_LONG = "{}"  # no message, and answered like any other that is none
_NO_MESSAGE = {"code": -32600, "message": "this line is no message of the protocol"}


class _Message(msgspec.Struct):
    """A message of JSON-RPC, as far as requests, answers, and cancellations are told apart."""

    jsonrpc: Literal["2.0"]
    id: str | int | None = None
    method: str | None = None
    params: dict[str, msgspec.Raw] | None = None
    result: msgspec.Raw = msgspec.Raw()
    error: msgspec.Raw = msgspec.Raw()

    @property
    def is_whole(self) -> bool:
        """Whether it asks or answers something."""
        return self.method is not None or bool(bytes(self.result) or bytes(self.error))


class Wire:
    """Both directions, in the shape in which the SDK's `stdio_server` wants its files."""

    def __init__(self, source: int, target: int) -> None:
        self._source = source
        self._target = target
        self._lines: asyncio.Queue[str | None] = asyncio.Queue(_AHEAD)
        self._writing = asyncio.Lock()
        self._open: set[str | int] = set()
        self._all_answered = asyncio.Event()
        self._all_answered.set()
        self._loop = asyncio.get_running_loop()
        threading.Thread(target=self._read, daemon=True).start()

    def __aiter__(self) -> Wire:
        return self

    async def __anext__(self) -> str:
        while (line := await self._lines.get()) is not None:
            line = _whole(line)
            message = _parse(line)
            if message is not None and message.is_whole and _is_readable(line):
                self._note_request(message)
                return line
            asked = message.id if message is not None and message.method is not None else None
            await self.write(msgspec.json.encode({"jsonrpc": "2.0", "id": asked, "error": _NO_MESSAGE}).decode() + "\n")
        with suppress(TimeoutError):
            await asyncio.wait_for(self._all_answered.wait(), _PATIENCE_S)
        raise StopAsyncIteration

    async def write(self, text: str) -> None:
        """Write a message. When nobody reads any more it is lost, and what was asked counts as answered."""
        async with self._writing:
            try:
                await anyio.to_thread.run_sync(_write_all, self._target, text.encode(), abandon_on_cancel=True)
            except OSError:
                self._open.clear()
        message = _parse(text)
        if message is not None and message.method is None and message.id is not None:
            self._open.discard(message.id)
        self._look()

    async def flush(self) -> None:
        """Nothing is held back."""

    def _note_request(self, message: _Message) -> None:
        """Note what has to be answered."""
        if message.method is not None and message.id is not None:
            self._open.add(message.id)
        elif message.method == "notifications/cancelled":
            number = msgspec.json.decode((message.params or {}).get("requestId", msgspec.Raw(b"null")))
            self._open -= {one for one in self._open if one == number}
        self._look()

    def _look(self) -> None:
        if self._open:
            self._all_answered.clear()
        else:
            self._all_answered.set()

    def _read(self) -> None:
        """Hand on lines, in a thread that nobody waits for: it may never come back from reading."""
        with os.fdopen(self._source, "rb", closefd=False) as stream:
            for line in _lines_of(stream):
                try:
                    asyncio.run_coroutine_threadsafe(self._lines.put(line), self._loop).result()
                except (RuntimeError, asyncio.CancelledError):  # the loop has ended
                    return
                if line is None:
                    return


@contextmanager
def own_streams() -> Iterator[tuple[int, int]]:
    """Give descriptors for input and output that nobody else has; others read nothing, and write to the errors."""
    source, target = os.dup(_INPUT), os.dup(_OUTPUT)
    null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.dup2(null, _INPUT)
        os.dup2(_ERRORS, _OUTPUT)
        yield source, target
    finally:
        os.dup2(source, _INPUT)
        os.dup2(target, _OUTPUT)
        os.close(null)


def _lines_of(stream: Any) -> Iterator[str | None]:
    while True:
        try:
            line = stream.readline(LONGEST_LINE_BYTES)
            if len(line) == LONGEST_LINE_BYTES and not line.endswith(b"\n"):
                while len(line) == LONGEST_LINE_BYTES and not line.endswith(b"\n"):
                    line = stream.readline(LONGEST_LINE_BYTES)
                yield _TOO_LONG
                continue
        except OSError:
            line = b""
        if not line:
            yield None
            return
        if line.strip():
            yield line.decode("utf-8", "replace")


def _whole(line: str) -> str:
    """Put a `?` in the place of half a character, as JavaScript writes it where it has cut an emoji in two."""
    if "\\u" not in line or _parse(line) is not None:
        return line
    try:
        return json.dumps(json.loads(line), ensure_ascii=False).encode("utf-8", "replace").decode()
    except (ValueError, RecursionError):
        return line


def _is_readable(line: str) -> bool:
    """Tell whether the SDK reads a line; to one that it does not, such as a very deep one, it says nothing."""
    try:
        pydantic_core.from_json(line)
    except ValueError:
        return False
    return True


def _parse(line: str) -> _Message | None:
    try:
        return msgspec.json.decode(line, type=_Message)
    except (msgspec.MsgspecError, RecursionError):
        return None


def _write_all(target: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(target, view) :]
