"""How Semantic Kernel finds the actions: it takes the functions that it finds in an object and that carry its marks.

The marks are set by its own decorator, and only once the library is loaded by somebody else: it takes a second.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Coroutine
from inspect import Parameter, Signature
from typing import TYPE_CHECKING, Annotated, Any

from chronos.errors import ChronosError

if TYPE_CHECKING:
    from skills.actions import Action
    from skills.chrono_skill import ChronoSkill


class KernelFunction:
    """An attribute that is one action of its object as Semantic Kernel wants it, and no attribute without the library.

    Nor is there one when the settings of the project do not allow the action.
    """

    def __init__(self, action: Action) -> None:
        self._action = action

    def __get__(self, skill: ChronoSkill | None, kind: object = None) -> Callable[..., Coroutine[Any, Any, str]]:
        if skill is None or "semantic_kernel" not in sys.modules or self._action not in skill.session.list_actions():
            raise AttributeError(f"only Semantic Kernel is given {self._action.name} here, where the settings allow it")
        return _mark(skill, self._action)


def _mark(skill: ChronoSkill, action: Action) -> Callable[..., Coroutine[Any, Any, str]]:
    from semantic_kernel.exceptions import FunctionExecutionException
    from semantic_kernel.functions import kernel_function

    from skills.actions import describe_error

    async def function(**arguments: Any) -> str:
        try:
            return await skill.answer(action.name, arguments)
        except ChronosError as error:
            # Its text is what a model gets of an exception; whoever invoked the function by himself gets it raised.
            told = describe_error(error)
            raise FunctionExecutionException(f"{told['message']} ({told['code']}). Hint: {told['hint']}") from error

    function.__signature__ = _signature(action)  # type: ignore[attr-defined] # what the decorator reads
    kernel_function(function, name=action.name, description=action.description)
    return function


def _signature(action: Action) -> Signature:
    """Return the parameters in the words of the decorator, which takes the schema of each as it is.

    Their type is object, so that values come as the model gave them: the action reads them.
    """
    schemas = action.input_schema["properties"]
    parameters = []
    for one in action.parameters:
        kind = object if one.default is one.empty else object | None
        schema = schemas[one.name]
        parameters.append(
            one.replace(
                kind=Parameter.KEYWORD_ONLY,
                annotation=Annotated[kind, schema["description"], {"schema_data": schema}],
            )
        )
    return Signature(parameters, return_annotation=Annotated[str, f"JSON: {action.output_type.__doc__ or ''}"])
