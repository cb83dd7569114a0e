"""Sets agents up: hooks and the MCP server in the settings files of Claude Code, Codex, Gemini, Cursor and Copilot.

Only what is ours is written, brought up to date or taken out; every other byte of a settings file stays.
"""

from typing import TYPE_CHECKING

from chronos.lazy import loader

if TYPE_CHECKING:
    from skills.agent_setup.agents import AGENTS, Agent, Part, Scope, find_agent
    from skills.agent_setup.looking import PartStatus, State, look_at
    from skills.agent_setup.planning import AgentSetup, FileChange, SetupPlan, Written
    from skills.agent_setup.plugin import plan_plugin
    from skills.agent_setup.programs import Programs

__all__ = [
    "AGENTS",
    "Agent",
    "AgentSetup",
    "FileChange",
    "Part",
    "PartStatus",
    "Programs",
    "Scope",
    "SetupPlan",
    "State",
    "Written",
    "find_agent",
    "look_at",
    "plan_plugin",
]

_HOMES = {
    "AGENTS": "agents", "Agent": "agents", "Part": "agents", "Scope": "agents", "find_agent": "agents",
    "PartStatus": "looking", "State": "looking", "look_at": "looking",
    "AgentSetup": "planning", "FileChange": "planning", "SetupPlan": "planning", "Written": "planning",
    "plan_plugin": "plugin", "Programs": "programs",
}  # fmt: skip

__getattr__ = loader(__name__, _HOMES)
