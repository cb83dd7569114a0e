"""What a checkpoint says of the agent it was taken for: its name, and the lines by which a search finds it.

`agent: …`, `session: …`, `turn: …` and `prompt: …` stand in the description, not in tags: what is tagged is kept from
retention. A prompt is shortened and what looks like a secret in it is left out.
"""

from __future__ import annotations

from chronos.files import display
from chronos.secrets import mask, mask_beginning
from historian.guard import fitting_name
from skills.agent_hooks.agents import Moment
from skills.agent_hooks.events import Event

_LONGEST_PROMPT = 500
_LONGEST_ID = 120


def shown_prompt(event: Event) -> str:
    """Return the prompt as it may be written down, in one line."""
    return display(mask_beginning(" ".join(event.prompt.split()), _LONGEST_PROMPT))


def name_for(event: Event) -> str:
    """Return the name of the checkpoint that is taken at this event itself."""
    if event.moment is Moment.PROMPT:
        return fitting_name("prompt:", shown_prompt(event) or event.agent)
    return fitting_name("after", f"{event.agent} {event.name}")


def name_before(words: str) -> str:
    """Return the name of the checkpoint that is taken before a call, as the guard would call it."""
    return fitting_name("before", mask(words))


def lines_for(event: Event) -> str:
    """Return the lines of the description that say whose turn it was, and of a failure at last which call it was."""
    lines = {
        "prompt": shown_prompt(event), "agent": event.agent, "session": _id(event.session), "turn": _id(event.turn),
        "call": _id(event.call) if event.error else "",
    }  # fmt: skip
    return "\n".join(f"{key}: {value}" for key, value in lines.items() if value)


def _id(text: str) -> str:
    return display(text[:_LONGEST_ID])
