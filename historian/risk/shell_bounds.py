"""Huge shell commands, cut down to what is judged in bounded time: each line once, and so many of them."""

from __future__ import annotations

from historian.risk.case import Case
from historian.risk.listing import late
from historian.risk.subcommands import STRONG

LONGEST_COMMAND = 64 * 1024
MOST_COMMANDS = 1500
_BREAKS = late(r"[;\n]")
_STARTS = late(r"[|&;\n()`<>]")
_WORD = late(r"[A-Za-z][\w.-]*")


def cut_command(case: Case, text: str) -> str:
    """Return what of a text is judged: all of it, or each of its lines once until there are enough.

    What is left out counts as something that runs, and as its worst program where it names one.
    """
    if len(text) <= LONGEST_COMMAND and _count(text) <= MOST_COMMANDS:
        return text
    kept: list[str] = []
    room, commands = LONGEST_COMMAND, MOST_COMMANDS
    rest: list[str] = []
    for line in dict.fromkeys(part.strip() for part in _BREAKS.split(text)):
        count = _count(line) + 1
        if len(line) < room and count <= commands:
            kept.append(line)
            room -= len(line) + 1
            commands -= count
        else:
            rest.append(line)
    if rest and not kept:
        first = list(_STARTS.finditer(rest[0][:LONGEST_COMMAND]))
        end = first[MOST_COMMANDS].start() if len(first) > MOST_COMMANDS else LONGEST_COMMAND
        kept = [rest[0][:end]]
    shown = f"more than {LONGEST_COMMAND:,} characters or {MOST_COMMANDS:,} commands, so each line was judged once"
    case.add("runs", "bounds", f"{shown}, and the rest by the programs that it names" if rest else shown)
    _judge_rest(case, "\n".join(rest))
    return "\n".join(kept)


def _count(text: str) -> int:
    return sum(text.count(mark) for mark in "|&;\n()`<>")


def _judge_rest(case: Case, text: str) -> None:
    for word in dict.fromkeys(_WORD.findall(text)):
        rules = case.rules.commands.get(word.lower(), ())
        said = next((rule.action for rule in rules if not rule.parts), case.rules.verbs.get(word.lower(), ""))
        if said in STRONG:
            case.add(said, "bounds.program", f"names {word[:60]}, which {case.rules.says(said)}")
