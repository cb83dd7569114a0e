"""Looking at what is set up: what is there, of each agent, scope and part, and whether its scripts can be started."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from pathlib import Path

import msgspec

from chronos.errors import ChronosError
from skills.agent_setup.advice import find_obstacles
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
    found = [_look(agent, scope, part, path, programs) for path in (agent.file(*where), *agent.other_files(*where))]
    best = next((one for one in found if one.state is not State.ABSENT), found[0])
    if part is not Part.HOOKS or best.state is State.ABSENT:
        return best
    return msgspec.structs.replace(best, obstacles=tuple(find_obstacles(agent, root, environment)))


def _look(agent: Agent, scope: Scope, part: Part, path: Path, programs: Programs | None) -> PartStatus:
    try:
        file = read_settings(path)
        if part is Part.HOOKS:
            settings = HookSettings(file.text, path, agent)
            named = [entry.program for entry in settings.entries]
            missing = settings.missing
        else:
            entry = find_server(file.text, path, agent)
            named, missing = ([entry.program] if entry else []), ()
    except ChronosError as cause:
        return PartStatus(agent.name, scope, part, State.UNREADABLE, path, problem=cause.message)
    if not named:
        return PartStatus(agent.name, scope, part, State.ABSENT, path)
    scripts = tuple(sorted({program for program in named if program is not None}))
    problems = [f"{script} {problem}" for script in scripts if (problem := find_problem(script))]
    if missing:
        problems.append(f"no hook for {', '.join(missing)}")
    state = _state(scripts, bool(missing), None in named, part, programs)
    return PartStatus(agent.name, scope, part, state, path, scripts, "; ".join(problems))


def _state(scripts: tuple[str, ...], is_short: bool, is_own: bool, part: Part, programs: Programs | None) -> State:
    if is_short:
        return State.INCOMPLETE
    if is_own:
        return State.OWN
    ours = str(programs.folder / (HOOK if part is Part.HOOKS else SERVER_PROGRAM)) if programs else ""
    return State.INSTALLED if scripts == (ours,) else State.OTHER
