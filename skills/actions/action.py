"""What an action is: a typed function with words for a model, from which every adapter makes what its library wants.

The function is the only definition: its signature gives the input's schema, its return type the output's, and its
docstring the description. Nothing here knows what any action does.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from enum import Enum
from functools import cached_property
from typing import Any, TypeVar, get_type_hints

import msgspec

from skills.errors import BadArgumentsError

Function = TypeVar("Function", bound=Callable[..., msgspec.Struct])
PLAN_ID = "plan_id"


class Effect(str, Enum):
    """What an action does to what is there: nothing, it adds to it, or it overwrites or deletes (with a way back)."""

    READS = "reads"
    ADDS = "adds"
    REPLACES = "replaces"


class Action:
    """One action. `planner` names the action that shows what this one would do, and gives its `plan_id`.

    `is_idempotent`: doing it twice with the same arguments leaves what doing it once does.
    """

    def __init__(
        self, function: Callable[..., msgspec.Struct], title: str, effect: Effect, *, idempotent: bool, planner: str
    ) -> None:
        self.name = function.__name__
        self.function = function
        self.title = title
        self.description = inspect.cleandoc(function.__doc__ or "")
        self.effect = effect
        self.is_idempotent = idempotent
        self.planner = planner

    @property
    def is_read_only(self) -> bool:
        """Whether it changes nothing."""
        return self.effect is Effect.READS

    @property
    def is_destructive(self) -> bool:
        """Whether it overwrites or deletes."""
        return self.effect is Effect.REPLACES

    @cached_property
    def parameters(self) -> tuple[inspect.Parameter, ...]:
        """The arguments, in order, with evaluated annotations: `Annotated[type, msgspec.Meta(description=…)]`."""
        hints = get_type_hints(self.function, include_extras=True)
        listed = list(inspect.signature(self.function).parameters.values())[1:]
        return tuple(one.replace(annotation=hints[one.name]) for one in listed)

    @cached_property
    def input_type(self) -> type[msgspec.Struct]:
        """The arguments as one type; those that have a default may be left out, and unknown ones are refused."""
        fields = [
            (one.name, one.annotation) if one.default is one.empty else (one.name, one.annotation, one.default)
            for one in self.parameters
        ]
        return msgspec.defstruct(f"{self.name}_input", fields, kw_only=True, frozen=True, forbid_unknown_fields=True)

    @cached_property
    def output_type(self) -> type[msgspec.Struct]:
        """The type of what comes back."""
        found: type[msgspec.Struct] = get_type_hints(self.function)["return"]
        return found

    @cached_property
    def input_schema(self) -> dict[str, Any]:
        """JSON Schema (2020-12) of the arguments, an object; without references, which not all models understand."""
        return _schema(self.input_type)

    @cached_property
    def output_schema(self) -> dict[str, Any]:
        """JSON Schema (2020-12) of what comes back, an object."""
        return _schema(self.output_type)

    def read_arguments(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Return `arguments` with the types of the function's. Raises BadArgumentsError.

        Models write numbers as text, and null for what they leave out: both are understood.
        """
        has_default = {one.name for one in self.parameters if one.default is not one.empty}
        given = {name: value for name, value in arguments.items() if value is not None or name not in has_default}
        try:
            found = msgspec.convert(given, self.input_type, strict=False)
            msgspec.json.encode(found)
        except msgspec.ValidationError as cause:
            raise _bad_arguments(self, str(cause)) from cause
        except UnicodeEncodeError as cause:
            raise _bad_arguments(self, f"{cause.object[:60]!a} has half a character, which is no text") from cause
        return {one.name: getattr(found, one.name) for one in self.parameters}


def action(
    title: str, effect: Effect, *, idempotent: bool | None = None, planner: str = ""
) -> Callable[[Function], Action]:
    """Make an action of a function that takes an `Access` and typed arguments. What only reads is idempotent."""
    is_idempotent = effect is Effect.READS if idempotent is None else idempotent

    def make(function: Function) -> Action:
        return Action(function, title, effect, idempotent=is_idempotent, planner=planner)

    return make


def _schema(kind: type[msgspec.Struct]) -> dict[str, Any]:
    """JSON Schema without references, which not every model's service follows; no type here contains itself."""
    (top,), parts = msgspec.json.schema_components([kind], ref_template="{name}")
    found: dict[str, Any] = _resolve(parts[top["$ref"]], parts)
    return found


def _resolve(schema: Any, parts: Mapping[str, Any]) -> Any:
    if isinstance(schema, list):
        return [_resolve(one, parts) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        schema = {**parts[schema["$ref"]], **{key: value for key, value in schema.items() if key != "$ref"}}
    if "enum" in schema and all(isinstance(one, str) for one in schema["enum"]):
        schema = {"type": "string", **schema}
    found = {key: _resolve(value, parts) for key, value in schema.items()}
    if isinstance(found.get("description"), str):
        found["description"] = inspect.cleandoc(found["description"])
    return found


def _bad_arguments(action: Action, problem: str) -> BadArgumentsError:
    """Name the argument first: msgspec says `Expected `int`, got `str` - at `$.limit``."""
    what, _, where = problem.replace("Object ", "").partition(" - at `$.")
    shown = f"{where.rstrip('`')}: {what}" if where else what
    known = ", ".join(
        one.name if one.default is one.empty else f"[{one.name}]" for one in action.parameters
    )  # those in brackets may be left out
    hint = f"{action.name} takes: {known}" if known else f"{action.name} takes no arguments"
    return BadArgumentsError(f"{action.name}: {shown.replace('`', chr(39))}", hint=hint)
