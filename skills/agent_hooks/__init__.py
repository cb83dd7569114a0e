"""The console script `chrono-hook`: one event of a coding agent on standard input, an answer in the agent's own form.

It checkpoints at each prompt, before what is risky and at the end of a turn, and lets the guard's policy be the agent's
permission. It never breaks the agent: what it cannot do it says on standard error, and ends with 0.
"""

from typing import TYPE_CHECKING

from chronos.lazy import loader

if TYPE_CHECKING:
    from skills.agent_hooks.agents import AGENTS
    from skills.agent_hooks.registering import Registration, registrations

__all__ = ["AGENTS", "Registration", "registrations"]

_HOMES = {"AGENTS": "agents", "Registration": "registering", "registrations": "registering"}

__getattr__ = loader(__name__, _HOMES)
