"""The arguments of a program, told apart without knowing the program: options, and words that may be values of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase

import msgspec

from historian.risk.listing import late, listed
from historian.risk.rules import CommandRule

_LONGEST_CLUSTER = 7
_NO_CLUSTERS = listed(
    "find terraform tofu terragrunt java javac openssl ffmpeg ffprobe convert magick go gcc g++ clang xdotool "
    "mvn ant packer kafka-topics kafka-topics.sh nomad consul vault qemu-img xcodebuild"
)
_PARTS = late(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|\*")


class Word(msgspec.Struct, frozen=True):
    """One argument. `is_sure` is False where something in it is known only when it runs.

    `is_quoted` says that it was quoted, so that no shell expands a pattern in it; `sources` are the programs whose
    output it stands for, as in `<(curl …)`.
    """

    text: str
    is_sure: bool = True
    is_quoted: bool = False
    sources: tuple[str, ...] = ()


class Arguments:
    """What a program was given. `flags` has options as written, without their values, and each letter of a cluster."""

    def __init__(self, program: str, words: Sequence[Word], valued: Iterable[str] = ()) -> None:
        self.words = words
        self.flags: set[str] = set()
        self.values: dict[str, str] = {}
        self.positionals: list[Word] = []
        self._maybe: list[bool] = []
        self.has_separator = False
        self._read(program, frozenset(valued))

    def _read(self, program: str, valued: frozenset[str]) -> None:
        before = ""
        for word in self.words:
            text = word.text
            if self.has_separator or not text.startswith(("-", "+")) or text in ("-", "+") or text.startswith("+"):
                if before:
                    self.flags.add(f"{before}={text}")
                if before in valued:
                    self.values[before] = text
                else:
                    self._maybe.append(bool(before))
                    self.positionals.append(word)
                    if before:
                        self.values.setdefault(before, text)
                before = ""
            elif text == "--":
                self.has_separator = True
                before = ""
            else:
                before = self._read_option(program, text, valued)

    def _read_option(self, program: str, text: str, valued: frozenset[str]) -> str:
        name, equals, value = text.partition("=")
        self.flags.add(name)
        if equals:
            self.flags.add(text)
            self.values[name] = value
            return ""
        is_cluster = not name.startswith("--") and 2 < len(name) <= _LONGEST_CLUSTER and program not in _NO_CLUSTERS
        if is_cluster and name[1:].isalpha():
            self.flags.update(f"-{letter}" for letter in name[1:])
            name = f"-{name[-1]}" if f"-{name[-1]}" in valued else name
        elif not name.startswith("--") and len(name) > 2 and name[:2] in valued:
            self.values[name[:2]] = name[2:]
            self.flags.add(name[:2])
            return ""
        return name

    def names(self) -> list[str]:
        """Return the words that are no options."""
        return [word.text for word in self.positionals]

    def has(self, *flags: str) -> bool:
        """Tell whether one of the options was given."""
        return not self.flags.isdisjoint(flags)

    def first(self) -> str:
        """Return the first word that is surely no value of an option, "" when there is none."""
        for word, maybe in zip(self.positionals, self._maybe, strict=True):
            if not maybe:
                return word.text
        return self.positionals[0].text if self.positionals else ""

    def verb_candidates(self) -> tuple[list[str], list[str]]:
        """Return the words that may be subcommands: those that are surely no values of options, and the rest."""
        pairs = list(zip(self.positionals, self._maybe, strict=True))[:8]
        return [word.text for word, maybe in pairs if not maybe], [word.text for word, maybe in pairs if maybe]

    def fits(self, rule: CommandRule) -> bool:
        """Tell whether a rule speaks of these arguments."""
        place = 0
        for part in rule.parts:
            if any(self._has_flag(alternative) for alternative in part):
                continue
            found = self._find(part, place)
            if found is None:
                return False
            place = found + 1
        return True

    def _has_flag(self, wanted: str) -> bool:
        if wanted == "--":
            return self.has_separator
        if wanted[0] != "-":
            return False
        if wanted[-1] == "*":
            return any(flag.startswith(wanted[:-1]) for flag in self.flags)
        return wanted in self.flags

    def _find(self, part: tuple[str, ...], place: int) -> int | None:
        """Return where the next word is one of `part`: at `place`, or after words that may be values of options."""
        is_anywhere = any("=" in wanted for wanted in part)
        for number in range(place, len(self.positionals)):
            text = self.positionals[number].text
            if any(_is_like(text, wanted) for wanted in part):
                return number
            if not self._maybe[number] and not is_anywhere:
                return None
        return None


def _is_like(text: str, wanted: str) -> bool:
    if wanted[-1] == "*" or "*" in wanted:
        return fnmatchcase(text.lower(), wanted.lower())
    return text == wanted or (wanted.isalpha() and text.lower() == wanted)


def best_rule(rules: Sequence[CommandRule], arguments: Arguments) -> CommandRule | None:
    """Return the longest rule that fits, of equally long ones one without `*`, of those the last.

    Rules are ordered by how much they weigh.
    """
    best: CommandRule | None = None
    reached = (-1, False)
    for rule in rules:
        reach = (len(rule.parts), ("*",) not in rule.parts)
        if reach >= reached and arguments.fits(rule):
            best, reached = rule, reach
    return best


def split_name(text: str) -> list[str]:
    """Return the words of a name: `delete-table`, `delete_table`, `deleteTable` and `db:delete` all have delete."""
    return [part.lower() for part in _PARTS.findall(text)]


def verb_of(name: str, verbs: Mapping[str, str]) -> str:
    """Return the first action that a name says, or ""."""
    lowered = name.lower()
    if lowered in verbs:
        return verbs[lowered]
    parts = split_name(name)
    for number, part in enumerate(parts):
        if part in verbs:
            action = verbs[part]
            if action == "migrates":
                return kind_of_migration(parts[:number] + parts[number + 1 :], verbs)
            return action
    return ""


def kind_of_migration(others: Sequence[str], verbs: Mapping[str, str]) -> str:
    """Return what the other words of a name make of `migrate`: `migrate:status` reads, `migrate:make` writes a file."""
    said = {verbs[part] for part in others if part in verbs}
    if "destroys" in said:
        return "destroys"
    if "reads" in said and "runs" not in said:
        return "reads"
    is_made = not {"create", "generate", "gen", "make", "new", "add", "init"}.isdisjoint(others)
    return "changes" if is_made else "migrates"
