"""`chrono agent`: hooks and the MCP server in the settings of the agents that people run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from chronos.cli import agent_report
from chronos.cli.declaring import Argument, Group, Option
from chronos.cli.options import PlanOnly, Yes
from chronos.cli.session import Session
from chronos.config import Surroundings
from chronos.errors import ChronosError, UsageError

if TYPE_CHECKING:
    from skills.agent_setup import AgentSetup, Part, Programs, Scope, SetupPlan

app = Group("Agents: set up Claude Code, Codex, Gemini, Cursor and Copilot.")
Name = Annotated[str, Argument(metavar="AGENT", show_default=False, help="claude, codex, gemini, cursor or copilot.")]
User = Annotated[bool, Option("--user", help="Your own settings, for all projects, and not this project's.")]
Hooks = Annotated[bool, Option("--hooks/--no-hooks", help="The hooks, which take checkpoints by themselves.")]
Mcp = Annotated[bool, Option("--mcp/--no-mcp", help="The MCP server, with the tools for the agent.")]


@app.command()
def install(
    session: Session,
    agent: Name,
    user: User = False,
    hooks: Hooks = True,
    mcp: Mcp = True,
    plan_only: PlanOnly = False,
    yes: Yes = False,
) -> None:
    """Put hooks and the MCP server into the settings of an agent.

    Everything else in these files stays as it is, comments too. What was installed before is brought up to date, and
    never doubled. A copy of each file is kept in ~/.local/state/chronomancer/agents.
    """
    from skills.agent_setup import Programs

    parts, setup = _parts(hooks, mcp), _setup(session, agent, user)
    plan = setup.plan_install(parts, Programs.current())
    _carry_out(session, plan, plan_only=plan_only, yes=yes, question=f"Set up {setup.agent.title}?")


@app.command()
def uninstall(
    session: Session,
    agent: Name,
    user: User = False,
    hooks: Hooks = True,
    mcp: Mcp = True,
    plan_only: PlanOnly = False,
    yes: Yes = False,
) -> None:
    """Take hooks and the MCP server out of the settings of an agent.

    Only what an install put in goes; edits that were made since stay.
    """
    parts, setup = _parts(hooks, mcp), _setup(session, agent, user)
    plan = setup.plan_uninstall(parts)
    _carry_out(session, plan, plan_only=plan_only, yes=yes, question=f"Take it out of {setup.agent.title}?")


@app.command()
def status(
    session: Session,
    agent: Annotated[str | None, Argument(metavar="[AGENT]", show_default="all", help="Only this agent.")] = None,
) -> None:
    """Show what is set up, in this project and for you, and whether the scripts that are named there can be started.

    Ends with 1 when something has to be done. Nothing that a settings file names is run.
    """
    from skills.agent_setup import AGENTS, Part, Scope, find_agent, look_at

    agents = [find_agent(agent)] if agent else list(AGENTS.values())
    try:
        root, scopes = _root(session, False), list(Scope)
    except ChronosError as cause:
        session.notices.append(cause.message)
        root, scopes = Path.cwd(), [Scope.USER]
    environment, programs = Surroundings.current().environment, _find_programs()
    found = [
        look_at(one, scope, part, root, environment, programs) for one in agents for scope in scopes for part in Part
    ]
    if not all(one.is_well for one in found):
        session.found_something()
    session.show(found, agent_report.status_document, lambda rows: agent_report.status(rows, is_full=agent is not None))


@app.command()
def plugin(
    session: Session,
    folder: Annotated[Path, Argument(metavar="DIR", show_default=False, help="A new folder for the plugin.")],
    plan_only: PlanOnly = False,
    yes: Yes = False,
) -> None:
    """Copy the plugin for Claude Code (skill, hooks, MCP server) into a folder, with the paths of this installation."""
    from skills.agent_setup import Programs, plan_plugin

    plan = plan_plugin(folder.absolute(), Programs.current(), Surroundings.current().environment)
    _carry_out(session, plan, plan_only=plan_only, yes=yes, question="Replace these files?")


def _setup(session: Session, agent: str, user: bool) -> AgentSetup:
    from skills.agent_setup import AgentSetup, find_agent

    found, scope = find_agent(agent), _scope(user)
    return AgentSetup(found, scope, _root(session, user), Surroundings.current().environment)


def _carry_out(session: Session, plan: SetupPlan, *, plan_only: bool, yes: bool, question: str) -> None:
    if plan_only or not plan.is_needed:
        session.show(plan, agent_report.plan_document, agent_report.plan)
        return
    if plan.overwrites and not yes:
        session.require_terminal("this changes files that are there")
        agent_report.plan(plan)
        session.ask(question)
    written = plan.execute()
    session.show(
        written, lambda rows: agent_report.done_document(plan, rows), lambda rows: agent_report.done(plan, rows)
    )


def _parts(hooks: bool, mcp: bool) -> list[Part]:
    from skills.agent_setup import Part

    parts = [part for part, wanted in ((Part.HOOKS, hooks), (Part.MCP, mcp)) if wanted]
    if not parts:
        raise UsageError("--no-hooks and --no-mcp leave nothing to do")
    return parts


def _scope(user: bool) -> Scope:
    from skills.agent_setup import Scope

    return Scope.USER if user else Scope.PROJECT


def _root(session: Session, user: bool) -> Path:
    """Return the top of the working tree; what is the user's own needs none."""
    if user:
        return Path.cwd()
    with session.engine() as engine:
        return engine.root


def _find_programs() -> Programs | None:
    from skills.agent_setup import Programs

    try:
        return Programs.current()
    except ChronosError:
        return None
