"""What a verb of a description is about: its object decides what "clear", "drop" or "delete" mean beside it."""

from __future__ import annotations

from collections.abc import Sequence

from historian.risk.clauses import JOINS, State
from historian.risk.listing import late, listed
from historian.risk.phrasing import DETERMINERS, STOPS
from historian.risk.rules import Rules

_AFTER_OBJECT = listed(
    "from in of on to at with for by that which who whose where when before after into and or then if as so "
    "using via older than since because but , . ; ! ? : ( ) while until unless across inside within onto over "
    "used called named stored created marked flagged tagged belonging holding containing "
    "under without plus through during so down away out off up back entirely together \n it's is are"
)
_ADVERBS = listed("again now today tonight asap please too first there here altogether")
_CONTENTS = listed("contents content all everything copy rest entirety lot most half some each any none one")
_PRONOUNS = listed("it them")
_IDENTIFIER = late(r"[\d_./-]")
_VERSION = late(r"v?\d")
_STRUCTURES = listed("code class classes form session page function functions method helper logging caching")
_LOOSE = listed("files file folder folders directory directories data keys logs log")
_FIXED = frozenset(("runs", "migrates", "patches"))
_SMALL = frozenset(("destroys", "refactors", "permits", "rewrites"))
# Who wipes something leaves nothing of it, however small its name makes it: "wipe the cache".
_TOTAL = listed("wipe wipes wiped wiping")
_SENTENCE = 20
_LONGEST_SUBJECT = 12
_JOINING = frozenset(("and", ",", "plus", "&"))
_PASSIVE = listed(
    "be been being is are get gets getting got to can could may might must shall should will would need needs have has "
    "ought supposed going gonna wants want also now please just finally completely really fully all always"
)
_BEFORE_SUBJECT = JOINS | STOPS | listed("that if when then but let let's please sure")


def settle(rules: Rules, tokens: Sequence[str], place: int, action: str, length: int) -> str:
    """Return what an action that depends on its object says beside this one."""
    if action in _FIXED or action == "changes":
        return action
    if action == "deploys":
        is_version = place + length < len(tokens) and _VERSION.match(tokens[place + length]) is not None
        is_there = place > 0 and tokens[place - 1] in rules.production
        is_out = is_there or (is_version and tokens[place].startswith(("release", "ship", "launch")))
        return action if is_out or not rules.production.isdisjoint(clause_from(tokens, place)) else "changes"
    if action in _SMALL or action == "destroys_data":
        phrases = _objects_of(rules, tokens, place, length)
        if action == "destroys" and _is_edit(rules, tokens, place + length):
            return "changes"
        if action == "destroys" and tokens[place] in _TOTAL:
            return action
        said = [_settle_object(rules, tokens, place, action, phrase) for phrase in phrases]
        return next((one for one in said if one != "changes"), "changes")
    return action


def _is_edit(rules: Rules, tokens: Sequence[str], place: int) -> bool:
    """Whether what goes is a part of a page or a text: "remove the field from the settings form"."""
    phrase, end = object_at(tokens, place)
    if not phrase or tokens[end] not in ("from", "in", "on") or not rules.data.isdisjoint(phrase):
        return False
    place_of_it = object_at(tokens, end + 1)[0]
    return bool(place_of_it) and place_of_it[-1] in rules.screens


def _settle_object(rules: Rules, tokens: Sequence[str], place: int, action: str, phrase: Sequence[str]) -> str:
    is_small = not rules.small.isdisjoint(phrase) and phrase[:2] != ["everything", "else"]
    if action == "refactors":
        is_small = is_small and phrase[-1] in rules.small and phrase[-1] not in _STRUCTURES
    if action != "destroys_data":
        return "changes" if is_small and (phrase[-1] not in rules.data or phrase[-1] in _LOOSE) else action
    if phrase and phrase[0] in _PRONOUNS:
        return "changes" if rules.data.isdisjoint(tokens[max(place - _SENTENCE, 0) : place]) else "destroys"
    if len(phrase) > 1 and _IDENTIFIER.search(phrase[-1]) and phrase[-2] in rules.data:
        phrase = phrase[:-1]  # "the table import_errors"
    is_held = bool(phrase) and phrase[-1] in rules.data and not (is_small and phrase[-1] in _LOOSE)
    return "destroys" if is_held else "changes"


def _objects_of(rules: Rules, tokens: Sequence[str], place: int, length: int) -> list[list[str]]:
    """Return what a verb is about: its object, what that is joined with where it holds data, or else the subject."""
    phrase, end = object_at(tokens, place + length)
    if not phrase and place and tokens[place - 1] in rules.data:
        return [[tokens[place - 1]]]  # "database cleanup"
    found = [phrase or _subject_of(tokens, place)]
    while phrase and end + 1 < len(tokens) and tokens[end] in _JOINING:
        entry = rules.words.get(tokens[end + 1])
        if entry is not None and entry.is_plain and entry.action:
            break
        phrase, end = object_at(tokens, end + 1)
        if phrase and phrase[-1] in rules.data:
            found.append(phrase)
    return found


def _subject_of(tokens: Sequence[str], place: int) -> list[str]:
    """Return what is said to be done: "the old snapshots" of "the old snapshots need to be cleaned up"."""
    end = place
    while end and tokens[end - 1] in _PASSIVE:
        end -= 1
    start = end
    while start and end - start < _LONGEST_SUBJECT and tokens[start - 1] not in _BEFORE_SUBJECT:
        start -= 1
    return object_at(tokens[start:end], 0)[0] if end < place else []


def object_at(tokens: Sequence[str], place: int) -> tuple[list[str], int]:
    """Return the words of the object that begins at `place`, and where it ends."""
    found: list[str] = []
    end = place
    for end in range(place, min(place + 9, len(tokens))):
        token = tokens[end]
        if token in _AFTER_OBJECT:
            if token == "of" and (not found or found[-1] in _CONTENTS):
                continue
            if token in ("from", "in", "out", "down", "up", "off", "away") and (not found or found == ["everything"]):
                found = []
                continue
            break
        if token not in DETERMINERS or token == "all":
            found.append(token)
    while len(found) > 1 and (found[-1].endswith("ly") or found[-1] in _ADVERBS or found[-1] == "all"):
        found.pop()
    return found, end


def clause_from(tokens: Sequence[str], place: int) -> list[str]:
    """Return the words from `place` to the end of the sentence, at most twenty."""
    found = []
    for token in tokens[place : place + _SENTENCE]:
        if token in STOPS:
            break
        found.append(token)
    return found


def is_name(rules: Rules, state: State, tokens: Sequence[str], place: int, length: int) -> bool:
    """Whether a danger word only names something: "the delete button", "add delete endpoint", `destroy()`."""
    at = place + length
    if not place or at >= len(tokens):
        return False
    if tokens[at] == "(" and tokens[at + 1 : at + 2] == [")"]:
        return True
    if tokens[at] not in rules.nouns or state.verb_action == "runs":
        return False
    before = tokens[place - 1]
    return before in DETERMINERS or before == ":" or (bool(state.verb) and before not in JOINS and before != "to")
