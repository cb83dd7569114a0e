"""Looking at what is set up: what is there, of each agent, scope and part, and whether its scripts can be started."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import Enum
from pathlib import Path

import msgspec

from chronos.errors import ChronosError
from skills.agent_setup.advice import find_obstacles, find_untrusted
from skills.agent_setup.agents import Agent, Part, Scope
from skills.agent_setup.hook_entries import HookSettings
from skills.agent_setup.programs import HOOK, SERVER_PROGRAM, Programs, find_problem
from skills.agent_setup.server_entries import find_server
from skills.agent_setup.settings_file import read_settings


class State(str, Enum):
    """How one part stands: `other` names another installation's scripts, `incomplete` lacks hooks for some events.

    `own` is in a form of its author's, which an install leaves alone; `unreadable` says why in `problem`.
    """

    INSTALLED = "installed"
    OTHER = "other"
    INCOMPLETE = "incomplete"
    OWN = "own"
    ABSENT = "absent"
    UNREADABLE = "unreadable"


class PartStatus(msgspec.Struct, frozen=True):
    """One part of one agent in one scope. `problem` is "" when all is well; `obstacles` come from other settings."""

    agent: str
    scope: Scope
    part: Part
    state: State
    path: Path
    programs: tuple[str, ...] = ()
    problem: str = ""
    obstacles: tuple[str, ...] = ()

    @property
    def is_well(self) -> bool:
        """Whether nothing has to be done about it."""
        return not self.problem and not self.obstacles and self.state is not State.INCOMPLETE


def look_at(
    agent: Agent, scope: Scope, part: Part, root: Path, environment: Mapping[str, str], programs: Programs | None
) -> PartStatus:
    """Return how a part stands. `programs` are those of this installation, None where it has none.

    Nothing is run. Raises BadConfigError where the home folder is not known.
    """
    where = (part, scope, root, environment)
    paths = (agent.file(*where), *agent.other_files(*where))
    if part is Part.MCP:
        return _look_at_server(agent, scope, paths[0], programs)
    found = [_look_at_hooks(agent, scope, path, root, environment, programs) for path in paths]
    best = next((one for one in found if one.state is not State.ABSENT), found[0])
    if best.state is State.ABSENT:
        return best
    obstacles = (*find_obstacles(agent, root, environment), *best.obstacles)
    return msgspec.structs.replace(best, obstacles=obstacles)


def _look_at_hooks(
    agent: Agent, scope: Scope, path: Path, root: Path, environment: Mapping[str, str], programs: Programs | None
) -> PartStatus:
    try:
        settings = HookSettings(read_settings(path).text, path, agent)
    except ChronosError as cause:
        return PartStatus(agent.name, scope, Part.HOOKS, State.UNREADABLE, path, problem=cause.message)
    if not settings.entries:
        return PartStatus(agent.name, scope, Part.HOOKS, State.ABSENT, path)
    named = {entry.program for entry in settings.entries}
    state = State.INCOMPLETE if settings.missing else _state(named, HOOK, programs)
    problems = _problems(named) + ([f"no hook for {', '.join(settings.missing)}"] if settings.missing else [])
    untrusted = tuple(find_untrusted(agent, path, settings.entries, root, environment))
    return PartStatus(agent.name, scope, Part.HOOKS, state, path, _scripts(named), "; ".join(problems), untrusted)


def _look_at_server(agent: Agent, scope: Scope, path: Path, programs: Programs | None) -> PartStatus:
    try:
        entry = find_server(read_settings(path).text, path, agent)
    except ChronosError as cause:
        return PartStatus(agent.name, scope, Part.MCP, State.UNREADABLE, path, problem=cause.message)
    if entry is None:
        return PartStatus(agent.name, scope, Part.MCP, State.ABSENT, path)
    named = {entry.program}
    state = _state(named, SERVER_PROGRAM, programs)
    return PartStatus(agent.name, scope, Part.MCP, state, path, _scripts(named), "; ".join(_problems(named)))


def _scripts(named: Collection[str | None]) -> tuple[str, ...]:
    return tuple(sorted(name for name in named if name is not None))


def _problems(named: Collection[str | None]) -> list[str]:
    return [f"{script} {problem}" for script in _scripts(named) if (problem := find_problem(script))]


def _state(named: Collection[str | None], name: str, programs: Programs | None) -> State:
    if None in named:
        return State.OWN
    ours = str(programs.folder / name) if programs else ""
    return State.INSTALLED if list(named) == [ours] else State.OTHER
