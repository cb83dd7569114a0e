"""The rules by which risk is judged, compiled from the files of the package and from what a project adds.

Words become one table from a token to what it says; commands one table from a program to its rules. Compiling takes
some 70 ms and is done once in a process for the rules of the package.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import translate
from functools import cache, cached_property
from re import Pattern
from typing import TYPE_CHECKING

import msgspec

from historian.risk.rule_files import RuleTable, read_package_rules

if TYPE_CHECKING:
    from historian.risk.phrasing import Token

# Weaker first: a token that stands in several lists says the last of them, and so does a command.
STRENGTH = (
    "reads", "rehearses", "changes", "runs", "sends", "replaces", "deploys", "destroys_data", "refactors", "permits",
    "migrates", "patches", "publishes", "stops", "rewrites", "discards", "destroys", "foreign", "disks",
)  # fmt: skip
_SILENT = ("subordinates", "questions", "negations", "mentions")
# Only slips of words of these are known: the others are too many, and too short.
_TYPED = frozenset(("deploys", "destroys_data", *STRENGTH[STRENGTH.index("refactors") :]))
_SAYS = {
    "reads": "only reads", "rehearses": "is a rehearsal", "changes": "changes something", "runs": "runs something",
    "sends": "sends something", "replaces": "replaces something", "destroys": "destroys",
    "discards": "discards work that is not saved",
    "rewrites": "rewrites history", "migrates": "migrates or changes a schema",
    "refactors": "refactors", "patches": "patches what is running", "publishes": "publishes",
    "deploys": "deploys to production", "foreign": "runs code from elsewhere", "disks": "writes to a disk as a whole",
    "stops": "stops a machine or a service", "permits": "changes who may do what",
}  # fmt: skip


class CommandRule(msgspec.Struct, frozen=True):
    """What one rule asks of the arguments: words in order and flags, each with alternatives; see `commands.yaml`."""

    action: str
    parts: tuple[tuple[str, ...], ...]


class Rules(msgspec.Struct, frozen=True, dict=True):
    """The rules in force. Ask for what is compiled from `table`; it is made at first use."""

    table: RuleTable

    def weight(self, action: str) -> float:
        """Return what an action weighs, 0 to 1."""
        return self.table.weights.get(action, self.table.weights["changes"])

    @staticmethod
    def says(action: str) -> str:
        """Return an action in words."""
        return _SAYS.get(action, action)

    @cached_property
    def words(self) -> Mapping[str, Token]:
        """What each token of a description says, in lower case."""
        from historian.risk.phrasing import add_slips, compile_words

        table = self.table.words
        order = (*_by_strength(table.keys() - set(_SILENT)), *_SILENT)
        found = compile_words(table, order, self._list)
        typed = (word for word, token in found.items() if token.action in _TYPED)
        add_slips(found, [word for word in typed if len(word) > 3 and "-" not in word])
        return found

    def _list(self, name: str) -> list[str]:
        return self.table.classes.get(name) or getattr(self.table, name, [])

    @cached_property
    def screens(self) -> frozenset[str]:
        """Words for pages and texts, of which parts are removed as an edit."""
        return frozenset(self.table.classes.get("screens", ()))

    @cached_property
    def data(self) -> frozenset[str]:
        """Words for what holds data."""
        return _with_slips(self.table.data)

    @cached_property
    def small(self) -> frozenset[str]:
        """Words for what is removed as an edit."""
        return frozenset(self.table.small)

    @cached_property
    def nouns(self) -> frozenset[str]:
        """Nouns before which a danger word is only a name."""
        return frozenset(self.table.nouns)

    @cached_property
    def written(self) -> frozenset[str]:
        """Words for what is written and not done."""
        return frozenset(self.table.written)

    @cached_property
    def production(self) -> frozenset[str]:
        """Words for where it hurts."""
        return _with_slips(self.table.production)

    @cached_property
    def commands(self) -> Mapping[str, tuple[CommandRule, ...]]:
        """The rules of each program, by its name in lower case."""
        return _Commands(self.table.commands, self.table.own_commands)

    @cached_property
    def effects(self) -> Mapping[str, tuple[CommandRule, ...]]:
        """Which commands leave the machine: rules whose action is what to call it."""
        return _Commands(self.table.effects)

    @cached_property
    def clouds(self) -> frozenset[str]:
        """Programs whose changes happen in somebody's cloud."""
        return frozenset(self.table.clouds)

    @cached_property
    def verbs(self) -> Mapping[str, str]:
        """Which action a subcommand or a part of a name says."""
        return {word: action for action in _by_strength(self.table.verbs) for word in self.table.verbs[action]}

    @cached_property
    def verb_flags(self) -> Mapping[str, str]:
        """Which action an option says, of a program of which nothing else is known."""
        return {flag: action for action, flags in self.table.verb_flags.items() for flag in flags}

    @cached_property
    def paths(self) -> tuple[tuple[str, Pattern[str]], ...]:
        """What a path is, by pattern; the first that fits counts."""
        return tuple(
            (kind, re.compile("|".join(translate(pattern) for pattern in patterns), re.S))
            for kind, patterns in self.table.paths.items()
            if patterns
        )


@cache
def package_rules() -> Rules:
    """Return the rules of the package."""
    return Rules(read_package_rules())


def _by_strength(actions: Iterable[str]) -> list[str]:
    known = {action: number for number, action in enumerate(STRENGTH)}
    return sorted(actions, key=lambda action: known.get(action, len(known)))


def _with_slips(words: Iterable[str]) -> frozenset[str]:
    from historian.risk.phrasing import with_slips  # a command line needs nothing else of it

    return with_slips(words)


class _Commands(Mapping[str, tuple[CommandRule, ...]]):
    """The rules of each program of some tables, one table after the other, by strength in each.

    An entry is read when a program that it names is asked for: one command asks for one of 1,400, and all take 3 ms.
    """

    def __init__(self, *tables: Mapping[str, list[str]]) -> None:
        self._entries: dict[str, list[tuple[str, str]]] = {}
        self._rules: dict[str, tuple[CommandRule, ...]] = {}
        for table in tables:
            for action in _by_strength(table):
                for entry in table[action]:
                    for program in entry.split(None, 1)[0].lower().split("|"):
                        self._entries.setdefault(program, []).append((action, entry))

    def __getitem__(self, program: str) -> tuple[CommandRule, ...]:
        if program not in self._rules:
            self._rules[program] = tuple(_rule_of(action, entry) for action, entry in self._entries[program])
        return self._rules[program]

    def __contains__(self, program: object) -> bool:
        return program in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)


def _rule_of(action: str, entry: str) -> CommandRule:
    parts = entry.split()[1:]
    return CommandRule(action, tuple(tuple(part.split("|")) if part != "|" else (part,) for part in parts))
