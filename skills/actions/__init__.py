"""Each action once: name, words for a model, typed input and output, what it does to what is there.

Adapters make their tools from `ACTIONS` and call them through an `ActionSession`; they know none by name.
"""

from typing import TYPE_CHECKING

from chronos.lazy import loader

if TYPE_CHECKING:
    from skills.actions.access import Access
    from skills.actions.action import PLAN_ID, Action, Effect
    from skills.actions.catalogue import ACTIONS, find_action
    from skills.actions.hints import describe_error, for_agents
    from skills.actions.results import to_document
    from skills.actions.session import ActionSession

__all__ = [
    "ACTIONS",
    "PLAN_ID",
    "Access",
    "Action",
    "ActionSession",
    "Effect",
    "describe_error",
    "find_action",
    "for_agents",
    "to_document",
]

_HOMES = {
    "ACTIONS": "catalogue", "PLAN_ID": "action", "Access": "access", "Action": "action", "ActionSession": "session",
    "Effect": "action", "describe_error": "hints", "find_action": "catalogue", "for_agents": "hints",
    "to_document": "results",
}  # fmt: skip

__getattr__ = loader(__name__, _HOMES)
