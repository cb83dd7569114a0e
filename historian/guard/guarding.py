"""`guard`: one object that is a context manager and a decorator, for plain and for async code.

The guarded code's own error always comes through as it is; what the guard fails to do afterwards is logged.
"""

from __future__ import annotations

import functools
import inspect
import traceback
from collections.abc import Callable
from types import TracebackType
from typing import Any, TypeVar, cast

from chronos.config import GuardRules
from chronos.errors import UsageError
from historian.guard.gate import Gate, Passage, enter, leave
from historian.risk import Operation

_Function = TypeVar("_Function", bound=Callable[..., Any])


class Guard:
    """Guards an operation. `with` and `async with` give the passage; on a function each call passes by itself."""

    def __init__(self, gate: Gate, operation: Operation, rules: GuardRules) -> None:
        self._gate = gate
        self._operation = operation
        self._rules = rules

    def __enter__(self) -> Passage:
        return self._enter(self._gate.let_through(self._operation, self._rules))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        passage = leave(self)
        if isinstance(error, Exception):
            self._gate.report_failure(passage, _text_of(error))

    async def __aenter__(self) -> Passage:
        import asyncio  # 25 ms, and only those have it who have it already

        return self._enter(await asyncio.to_thread(self._gate.let_through, self._operation, self._rules))

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        import asyncio

        passage = leave(self)
        if isinstance(error, Exception):
            await asyncio.to_thread(self._gate.report_failure, passage, _text_of(error))

    def __call__(self, function: _Function) -> _Function:
        """Guard every call of a function or coroutine function. Raises UsageError for generators."""
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise UsageError(
                f"{function.__name__} is a generator, which runs piece by piece",
                hint="use `with guard(…)` inside of it",
            )
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def guarded_async(*arguments: Any, **named: Any) -> Any:
                async with self:
                    return await function(*arguments, **named)

            return cast("_Function", guarded_async)

        @functools.wraps(function)
        def guarded(*arguments: Any, **named: Any) -> Any:
            with self:
                return function(*arguments, **named)

        return cast("_Function", guarded)

    def _enter(self, passage: Passage) -> Passage:
        enter(passage, self)
        return passage


def _text_of(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))
