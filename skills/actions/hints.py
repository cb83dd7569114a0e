"""What to do about an error, in the words of whoever reads it: a person types commands, an agent has actions."""

from __future__ import annotations

import re

_ACTIONS_OF = {
    "checkpoint create NAME": "create_checkpoint", "checkpoint list": "list_checkpoints", "log": "list_checkpoints",
    "timeline branch NAME": "branch_timeline", "timeline list": "list_timelines",
    "timeline merge NAME": "merge_timeline", "memory list": "list_memory", "conflicts": "list_conflicts",
    "status": "status", "verify": "verify", "undo": "undo", "redo": "redo",
}  # fmt: skip
_COMMAND = re.compile(f"`chrono ({'|'.join(_ACTIONS_OF)})`")


def for_agents(hint: str) -> str:
    """Return a hint that names actions where it named commands that are actions, too."""
    return _COMMAND.sub(lambda found: f"`{_ACTIONS_OF[found[1]]}`", hint)
