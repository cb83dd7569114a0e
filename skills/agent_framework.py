"""The actions as tools of Microsoft Agent Framework."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

import msgspec

from chronos.errors import ChronosError, UnsupportedError
from skills.actions import describe_error

if TYPE_CHECKING:
    from agent_framework import FunctionTool

    from skills.chrono_skill import ChronoSkill


def agent_framework_tools(skill: ChronoSkill, *, approvals: bool = True) -> list[FunctionTool]:
    """Return a tool for each action that the settings of the project allow, for `Agent(tools=…)`.

    With `approvals` a person is asked before an action that overwrites or deletes (`always_require`). A tool answers
    with JSON text; an error is an answer too, `{"error": {code, message, hint}}`, because the framework hides from the
    model what an exception says. Raises UnsupportedError when agent-framework-core is not installed, and what opening
    the project raises.
    """
    try:
        from agent_framework import FunctionTool
        from pydantic import ConfigDict, create_model
    except ImportError as cause:
        hint = "pip install 'chronomancer[agent-framework]'"
        raise UnsupportedError("Microsoft Agent Framework is not installed", hint=hint) from cause
    return [
        FunctionTool(
            name=action.name, description=action.description, func=_function(skill, action.name),
            approval_mode="always_require" if approvals and action.is_destructive else "never_require",
            # A model with the schema of the action that lets all arguments through: of those that a given schema does
            # not fit, the framework only says "Argument parsing failed", while the action names what is wrong.
            input_model=create_model(
                f"{action.name}_input", __config__=ConfigDict(extra="allow", json_schema_extra=action.input_schema)
            ),
        )
        for action in skill.session.list_actions()
    ]  # fmt: skip


def _function(skill: ChronoSkill, name: str) -> Callable[..., Coroutine[Any, Any, str]]:
    async def function(**arguments: Any) -> str:
        try:
            return await skill.answer(name, arguments)
        except ChronosError as error:
            return msgspec.json.encode({"error": describe_error(error)}).decode()

    return function
