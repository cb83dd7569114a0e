"""ChronoSkill: every action as a Python method, in an object that Semantic Kernel takes as a plugin as it is.

The methods are made from the list of actions. `action_methods.pyi`, which is written from the same list, is what type
checkers and editors read about them. No agent library is imported here.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, get_args

import msgspec

from skills.actions import ACTIONS, Action, ActionSession, find_action, to_document
from skills.errors import BadArgumentsError
from skills.semantic_kernel import KernelFunction

if TYPE_CHECKING:
    from chronos.engine import ChronosEngine
    from skills.action_methods import ActionMethods
else:

    class ActionMethods:
        """What type checkers know the methods by; here they are put into ChronoSkill itself, at the end."""


class ChronoSkill(ActionMethods):
    """The actions of one working tree: a method for each, which returns its typed result or raises ChronosError.

    With no `engine` it opens one for the tree that holds `root`, by default the folder it is first used in. With
    `plans_first` what overwrites or deletes needs the `plan_id` that its planner gave. Any thread may call. Close it,
    or use it in a `with` block; it opens again when it is used again.

    `kernel.add_plugin(ChronoSkill(), plugin_name="chronos")` gives a Semantic Kernel all actions that the settings of
    the project allow; there each is a coroutine that returns JSON text. A subclass that overrides a method changes
    what agents get too.
    """

    name = "chronos"
    description = "Checkpoints, restore, undo, timelines and lessons for the whole working state: files and memory"

    def __init__(
        self, root: Path | str | None = None, *, engine: ChronosEngine | None = None, plans_first: bool = False
    ) -> None:
        self.session = ActionSession(root, engine=engine, plans_first=plans_first)

    async def answer(self, name: str, arguments: Mapping[str, Any] | None = None) -> str:
        """Do the action of this name in a thread, so that the event loop goes on; return its result as JSON text.

        `notices` in it are what else there is to know, such as an interrupted restore that was finished first. When
        the task is cancelled the action still ends as it should. Raises ChronosError.
        """
        method = getattr(self, find_action(name).name)
        found = to_document(await asyncio.to_thread(method, **arguments or {}))
        if notices := self.session.take_notices():
            found["notices"] = [*found.get("notices", ()), *notices]
        return msgspec.json.encode(found).decode()

    def close(self) -> None:
        """Let go of what was opened here; an engine that was given stays open. It can be called twice.

        Call it in the thread that made the skill: elsewhere it raises UsageError while that has an engine open.
        """
        self.session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _method(action: Action) -> Callable[..., msgspec.Struct]:
    owner = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    given = [one.replace(annotation=get_args(one.annotation)[0]) for one in action.parameters]
    signature = inspect.Signature([owner, *given], return_annotation=action.output_type)

    def method(self: ChronoSkill, /, *values: Any, **arguments: Any) -> msgspec.Struct:
        if values:
            try:
                arguments = signature.bind_partial(self, *values, **arguments).arguments
            except TypeError as cause:
                raise BadArgumentsError(f"{action.name}: {cause}") from cause
            del arguments["self"]
        return self.session.call(action.name, arguments)

    method.__name__, method.__qualname__ = action.name, f"{ChronoSkill.__name__}.{action.name}"
    method.__doc__ = action.description
    method.__signature__ = signature  # type: ignore[attr-defined] # what inspect.signature() and help() show
    return method


for _action in ACTIONS:
    setattr(ChronoSkill, _action.name, _method(_action))
    setattr(ChronoSkill, f"_kernel_{_action.name}", KernelFunction(_action))
