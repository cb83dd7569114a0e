"""Whom actions are done for: the working tree, what the settings allow there, and whether plans come first."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import msgspec

from chronos.app import open_engine
from chronos.config import AgentActions
from chronos.errors import BadConfigError, UsageError
from chronos.files import display
from skills.actions.access import Access
from skills.actions.action import PLAN_ID, Action, Effect
from skills.actions.catalogue import ACTIONS, find_action
from skills.actions.hints import for_agents
from skills.errors import ForbiddenActionError, PlanNeededError

if TYPE_CHECKING:
    from chronos.config import Config
    from chronos.engine import ChronosEngine

_ALLOWED = {
    AgentActions.ALL: frozenset(Effect),
    AgentActions.ADDITIVE: frozenset((Effect.READS, Effect.ADDS)),
    AgentActions.READ_ONLY: frozenset((Effect.READS,)),
}


class ActionSession:
    """Actions in one working tree. Close it, or use it in a `with` block, to let go of its files.

    With no `engine` it opens one for the tree that holds `root`, when the first action needs it; `progress` is told
    (done, total) by that engine during long work. With `plans_first` what overwrites or deletes is done only with the
    id of the plan that its planner has shown. Any thread may call: the one that made the session keeps its engine,
    every other gets one for each call (10 ms). A closed session opens again when the next action needs it, and so does
    one whose store was taken away or made anew by somebody else.
    """

    def __init__(
        self,
        root: Path | str | None = None,
        *,
        engine: ChronosEngine | None = None,
        plans_first: bool = False,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        self._root = Path(root) if root is not None else None
        self._progress = progress
        self._given = engine
        self._own: ChronosEngine | None = None
        self._store: tuple[int, int] | None = None
        self._access: Access | None = None
        self._thread = threading.get_ident()
        self._opening = threading.Lock()
        self.plans_first = plans_first

    @property
    def engine(self) -> ChronosEngine:
        """The engine of the thread that made the session. Raises what opening one raises, outside of a project too."""
        if self._given is not None:
            return self._given
        with self._opening:
            if self._own is None:
                self._own = open_engine(self._root, progress=self._progress)
            return self._own

    def list_actions(self) -> tuple[Action, ...]:
        """Return the actions that the settings allow here. Raises BadConfigError when they forbid what is none."""
        return _allowed(self.engine.config)

    def call(self, name: str, arguments: Mapping[str, Any] | None = None) -> msgspec.Struct:
        """Do the action of this name and return what came of it.

        Raises UnknownActionError, ForbiddenActionError, BadArgumentsError, PlanNeededError, and what the action raises;
        all of them are ChronosError.
        """
        action = find_action(name)
        wanted = action.read_arguments(arguments or {})
        with self.open_access() as access:
            if action not in _allowed(access.engine.config):
                raise ForbiddenActionError(f"the settings of this project keep agents from {action.name}")
            if self.plans_first and action.planner and not wanted[PLAN_ID]:
                raise PlanNeededError(
                    f"{action.name} replaces what is there, and no plan was shown",
                    hint=f"call {action.planner} with the same arguments, look at its answer, and give its plan_id",
                )
            return action.function(access, **wanted)

    def take_notices(self) -> list[str]:
        """Return what there was to tell beside results since the last time, such as a restore that was finished."""
        engine = self.engine
        taken = list(map(for_agents, engine.notices))
        del engine.notices[: len(taken)]
        return taken

    @contextmanager
    def open_access(self) -> Iterator[Access]:
        """Give what an action works with, to the thread that asks."""
        if threading.get_ident() == self._thread:
            self._let_go_of_what_is_gone()
            if self._access is None:
                self._access = Access(self.engine)
            try:
                yield self._access
            finally:
                if self._own is not None:
                    self._store = _identify(self._own.store_path)
            return
        ours = self.engine
        with ours.open_timeline(ours.timeline) as engine:
            access = Access(engine)
            try:
                yield access
            finally:
                access.close()
                ours.notices += engine.notices

    def _let_go_of_what_is_gone(self) -> None:
        if self._own is not None and self._store is not None and _identify(self._own.store_path) != self._store:
            self.close()

    def close(self) -> None:
        """Let go of what was opened here. It can be called twice.

        Raises UsageError in another thread than that which made the session, when that has an engine open.
        """
        if self._access is not None and threading.get_ident() != self._thread:
            raise UsageError("a session is closed by the thread that made it", hint="close it there")
        if self._access is not None:
            self._access.close()
            self._access = None
        if self._own is not None:
            self._own.close()
            self._own = self._store = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _identify(folder: Path) -> tuple[int, int] | None:
    try:
        about = folder.stat()
    except OSError:
        return None
    return about.st_dev, about.st_ino


def _allowed(config: Config) -> tuple[Action, ...]:
    unknown = [name for name in config.agent_forbidden if name not in {one.name for one in ACTIONS}]
    if unknown:
        raise BadConfigError(
            f"agent_forbidden names what is no action: {', '.join(map(display, unknown))}",
            hint=f"known: {', '.join(one.name for one in ACTIONS)}",
        )
    return tuple(
        one
        for one in ACTIONS
        if one.effect in _ALLOWED[config.agent_actions] and one.name not in config.agent_forbidden
    )
