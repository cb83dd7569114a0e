"""The state of reading a description, and what the words around a word make of it: asked, told, named, or done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from historian.risk.listing import listed
from historian.risk.phrasing import DETERMINERS, STOPS, Token

JOINS = frozenset((",", "and", "&", "or", "plus", "before", "after", "(", ")", "while"))
_POLITE = listed(
    "please can could would will you kindly lets let's i we want need to like go ahead ok now hey first help me us "
    "also and so just thanks hi hello quick question only"
)
_ASKS_YOU = listed("can could would will won't can't couldn't wouldn't")
# What may stand before a verb in its plain form; after anything else it is a noun: "a soft delete", "add drop".
_LICENSES = (
    JOINS
    | STOPS
    | listed(
        "to then please you we i they should must can could will would may might just also or finally next let's lets "
        "us now go not it them better gonna wanna gotta quickly simply first immediately completely safely permanently "
        "never always do that don't instead either ahead really fully them everything help"
    )
)
# Verbs whose object is what is done: "make a push with force", "finish the rollback".
_DOING = listed(
    "make makes making do perform start starting begin trigger initiate finish complete continue apply applying force "
    "execute run use schedule approve request order resume try attempt kick go get"
)
_NAMING = ("renam", "label", "call", "titl", "chang")
_NOMINAL = ("letion", "ration", "rations", "moval", "letions", "ruction")
_TELLERS = listed("we i they he she somebody someone who it you everybody anybody people that")
_WAS = listed("was were has had have got been being haven't hasn't wasn't weren't")
_ADVERBS = listed("already just recently accidentally not never also since then once really now all ever newly")
_BEFORE_NOUN = DETERMINERS | listed("of from for with about in on into as no two three both other than or and")
_AFTER_PAST = listed(
    "from in of on to at with for by that which who when before after into and or then if as so but , . ; ! ? : ( ) \n "
    "while until everything all it them this these those completely again now"
)


# What is neither reading nor doing: it begins, ends or turns round what stands beside it.
TURNING = frozenset(("subordinates", "questions", "negations", "mentions"))
_HANDING = frozenset(("tell", "ask", "get", "instruct"))
_ABOUT = listed("me us how what whether if why which who where when about . ,")
_RELATIVES = frozenset(("that", "which", "who", "whose"))
_HESITATIONS = frozenset(("forget", "hesitate", "fail", "neglect"))


class State(msgspec.Struct):
    """Where the reading of a text is. `mode` is do, read, mention or not; `joined_at` the place of the last join."""

    mode: str = "do"
    verb: str = ""
    verb_action: str = ""
    joined_at: int = -9
    is_how_to: bool = False
    is_fronted: bool = False
    has_written: bool = False
    is_rehearsal: bool = False
    is_asked: bool = False
    is_quoted: bool = False
    spared: str = ""
    has_read: bool = False
    has_named: bool = False
    found_before: int = 0

    def start_clause(self) -> None:
        """Forget what governed."""
        self.mode, self.verb, self.verb_action = "do", "", ""
        self.joined_at = -9
        self.is_how_to = self.has_written = self.is_fronted = False

    def start_sentence(self, *, is_asked: bool) -> None:
        """Forget what the sentence before was about."""
        self.start_clause()
        self.is_rehearsal = self.is_quoted = False
        self.is_asked = is_asked
        self.has_read = self.has_read or is_asked


def is_question(tokens: Sequence[str], place: int) -> bool:
    """Whether the sentence that begins at `place` asks, and asks for nothing to be done."""
    end = place
    while end < len(tokens) and tokens[end] not in ".;!?\n":
        end += 1
    if end >= len(tokens) or tokens[end] != "?":
        return False
    sentence = tokens[place:end]
    for at, token in enumerate(sentence):
        if token in ("please", "mind", "kindly") or (
            token in _ASKS_YOU and sentence[at + 1 : at + 2] in (["you"], ["we"])
        ):
            return False
        if (
            token == "be"
            and sentence[at - 1 : at] == ["it"]
            and sentence[at + 1 : at + 2] in (["possible"], ["okay"], ["ok"])
        ):
            return False
        if token in ("ok", "okay", "alright", "fine") and sentence[at + 1 : at + 3] == ["if", "you"]:
            return False
        if token in ("how", "what") and sentence[at + 1 : at + 2] == ["about"]:
            return False
        if token == "why" and sentence[at + 1 : at + 2] in (["don't"], ["not"]):
            return False
    return True


def ends_at_comma(tokens: Sequence[str], place: int) -> bool:
    """Whether a clause that begins at `place` is followed by another one in the sentence: "once it is there, …"."""
    for at in range(place + 1, min(place + 25, len(tokens))):
        token = tokens[at]
        if token in (",", "then"):
            return True
        if token in STOPS:
            return False
    return False


def is_at_start(tokens: Sequence[str], place: int) -> bool:
    """Whether nothing but polite words stands between here and the beginning of the sentence."""
    while place:
        place -= 1
        token = tokens[place]
        if token in STOPS or token in JOINS:
            return True
        if token not in _POLITE:
            return False
    return True


def is_told(tokens: Sequence[str], place: int) -> bool:
    """Whether a past form tells of something: "we dropped it", "was deleted", "the removed feature"."""
    back = place - 1
    while back >= 0 and tokens[back] in _ADVERBS:
        back -= 1
    if back < 0:
        return False
    before = tokens[back]
    if before in _TELLERS or before in _WAS:
        return not (back and tokens[back - 1] in ("should", "must", "want", "wants"))
    return before in _BEFORE_NOUN and tokens[place + 1 : place + 2] != [] and tokens[place + 1] not in _AFTER_PAST


def is_noun(state: State, tokens: Sequence[str], place: int) -> bool:
    """Whether a verb in its plain form is a noun here, because the clause has its verb: "implement soft delete"."""
    if state.verb_action not in ("changes", "sends") or state.verb in _DOING or not place:
        return False
    before = tokens[place - 1]
    if before == "to" and state.verb.startswith(_NAMING):
        return True
    return before not in _LICENSES and not before.startswith("codespan") and not before.endswith("ly")


def is_relative(state: State, tokens: Sequence[str], place: int) -> bool:
    """Whether a verb only describes the noun before it: "the button that deletes accounts"."""
    if not place or tokens[place - 1] not in ("that", "which", "who") or state.verb_action == "runs":
        return False
    return tokens[place].endswith("s")


def is_nominal(state: State, tokens: Sequence[str], place: int) -> bool:
    """Whether a noun names what is changed, or what for: "put the deletion behind a flag", "branch for the rework"."""
    token, before = tokens[place], tokens[max(place - 2, 0) : place]
    if state.verb and "for" in before and before[-1] in ("for", "the", "a", "our") and token.endswith(("ing", "ion")):
        return True
    return state.verb_action == "changes" and state.verb not in _DOING and token.endswith(_NOMINAL)


def is_handed_on(words: Mapping[str, Token], tokens: Sequence[str], place: int) -> bool:
    """Whether somebody else is to do it: "ask the bot to drop it", "get Helm to remove it"."""
    after = tokens[place + 1 : place + 7]
    if tokens[place] not in _HANDING or "to" not in after[:-1]:
        return False
    at = after.index("to")
    verb = words.get(after[at + 1])
    is_done = verb is not None and verb.is_plain and verb.action not in ("", "reads", "rehearses", *TURNING)
    return is_done and _ABOUT.isdisjoint(after[:at])


def is_restricting(state: State, tokens: Sequence[str], place: int) -> bool:
    """Whether a negation denies nothing: "rows without an owner must go", "why not drop it", "don't forget to"."""
    before = tokens[max(place - 3, 0) : place]
    if before[-1:] == ["why"] or not _HESITATIONS.isdisjoint(tokens[place + 1 : place + 2]):
        return True
    if state.verb or not before or before[-1] in STOPS or before[-1] in JOINS:
        return False
    return tokens[place] in ("without", "except", "excluding") or not _RELATIVES.isdisjoint(before)
