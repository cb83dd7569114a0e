"""Descriptions in words: what is asked for, told from what is only spoken of, read about, asked or forbidden.

A text is read once, token by token; clauses end at stops, at "then" and "but", and at "and" or a comma before a verb in
its plain form. In each clause the first verb governs: what stands after "explain" or "how" is read about, what stands
after "not" or "without" is not done, what follows "a function that" is written. No parser of English: the lists stand
in `rules.yaml`, and a description that none of them knows counts as a change.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from historian.risk.case import Case
from historian.risk.listing import listed
from historian.risk.rules import Rules, Token, split_words

LONGEST_TEXT = 1024 * 1024
_STOPS = frozenset(".;!?\n—:")
_BREAKS = frozenset(
    ("then", "but", "afterwards", "finally", "next", "just", "only", "instead", "lastly", "otherwise", "also")
)
_JOINS = frozenset((",", "and", "&", "or", "plus", "before", "after", "(", ")", "while"))
_DETERMINERS = listed("the a an this that our your its each every new any my their his her existing another")
_AFTER_OBJECT = listed(
    "from in of on to at with for by that which who whose where when before after into and or then if as so "
    "using via older than since because but , . ; ! ? : ( ) while until unless across inside within onto over "
    "under without plus through during so"
)
_CONTENTS = listed("contents content all everything copy rest entirety lot most half some each any none one")
_CREATING = listed(
    "add create write implement build generate draft introduce make scaffold prepare design develop adding "
    "creating writing implementing building generating drafting document documenting update updating fix "
    "fixing rename renaming improve"
)
_RESHAPING = ("alter", "convert", "renam", "modif", "chang", "retyp")
_LOOSE = listed("files file folder folders directory directories data keys logs log")
_PRONOUNS = frozenset(("it", "them", "that", "this", "the", "those", "these", "both", "everything"))
_POLITE = listed(
    "please can could would will you kindly lets let's i we want need to like go ahead ok now hey first help me us"
)
_NO_HARM = frozenset(("reads", "rehearses"))
_SILENT = {"questions", "negations", "mentions", "reads", "rehearses"}
_EFFECTS = {
    "push": "push to a remote",
    "publish": "publication",
    "email": "e-mail",
    "e-mail": "e-mail",
    "mail": "e-mail",
    "send": "a message",
    "tweet": "a message",
    "post": "a message",
    "deploy": "deployment",
    "release": "deployment",
    "upload": "upload",
    "pay": "a payment",
    "charge": "a payment",
    "refund": "a payment",
    "notify": "a message",
    "transfer": "a payment",
    "force": "push to a remote",
    "submit": "a message",
    "order": "a purchase",
    "buy": "a purchase",
}


class _State(msgspec.Struct):
    """Where the reading of a text is. `mode` is do, read, mention or not."""

    mode: str = "do"
    verb: str = ""
    verb_action: str = ""
    is_joined: bool = False
    is_how_to: bool = False
    has_written: bool = False
    is_rehearsal: bool = False
    is_quoted: bool = False
    spared: str = ""
    has_read: bool = False

    def start_clause(self) -> None:
        self.mode, self.verb, self.verb_action = "do", "", ""
        self.is_joined = self.is_how_to = self.has_written = False

    def start_sentence(self) -> None:
        self.start_clause()
        self.is_rehearsal = self.is_quoted = False


def judge_words(case: Case, text: str, judge_command: Callable[[Case, str], None] | None = None) -> None:
    """Judge a description. Commands in backquotes that are to be done are given to `judge_command`."""
    if len(text) > LONGEST_TEXT:
        case.add("runs", "bounds", f"longer than {LONGEST_TEXT:,} characters; the rest was not read")
        text = text[:LONGEST_TEXT]
    spans: list[str] = []
    if "`" in text:
        text, spans = _take_spans(text)
    tokens = split_words(text)
    _Reader(case, tokens, spans, judge_command).read()


def _take_spans(text: str) -> tuple[str, list[str]]:
    parts = text.replace("```", "`").split("`")
    spans = parts[1::2]
    kept = [part if number % 2 == 0 else f" codespan{number // 2} " for number, part in enumerate(parts)]
    return "".join(kept), spans


class _Reader:
    """Reads the tokens of one text."""

    def __init__(
        self, case: Case, tokens: Sequence[str], spans: Sequence[str], judge: Callable[[Case, str], None] | None
    ) -> None:
        self._case, self._rules, self._tokens = case, case.rules, tokens
        self._spans, self._judge = spans, judge
        self._state = _State()
        self._found = False
        self._seen: set[tuple[str, str]] = set()

    def read(self) -> None:
        words, tokens, state = self._rules.words, self._tokens, self._state
        place, end = 0, len(tokens)
        while place < end:
            token = tokens[place]
            if token in _STOPS:
                state.start_sentence()
            elif token == '"':
                state.is_quoted = not state.is_quoted
            elif token in _BREAKS:
                state.start_clause()
            elif token in _JOINS:
                state.is_joined = True
            entry = words.get(token)
            if entry is not None:
                place += self._meet(place, token, entry)
            elif token in self._rules.written:
                state.has_written = True
            elif token.startswith("codespan"):
                self._meet_span(token)
            elif place and token[0] == "-" and len(token) > 1 and state.mode == "do":
                self._meet_flag(place)
            place += 1
        self._finish()

    def _meet(self, place: int, token: str, entry: Token) -> int:
        """Take in a token that says something; return how many further tokens belong to it."""
        action, taken = entry.action, 0
        for phrase, said in entry.phrases:
            if self._tokens[place + 1 : place + 1 + len(phrase)] == list(phrase):
                action, taken = said, len(phrase)
                break
        if not action:
            if token in self._rules.written:
                self._state.has_written = True
            return 0
        state = self._state
        if action in _SILENT:
            self._meet_governor(place, token, action, is_plain=entry.is_plain or taken > 0)
            if token in self._rules.written:
                state.has_written = True
        elif state.is_quoted:
            state.spared = state.spared or action
        else:
            self._meet_action(place, token, action, is_plain=entry.is_plain or taken > 0, length=1 + taken)
            if token in self._rules.written and state.verb != token:
                state.has_written = True
        return taken

    def _meet_governor(self, place: int, token: str, action: str, *, is_plain: bool) -> None:
        state = self._state
        if action == "rehearses":
            state.is_rehearsal = state.is_rehearsal or state.mode != "not"
            state.has_read = True
        elif action == "negations":
            if state.mode == "do":
                state.mode, state.is_joined = "not", False
        elif action == "mentions":
            if state.verb and state.mode == "do" and state.verb_action != "runs":
                state.mode, state.is_joined = "mention", False
        elif action == "questions":
            self._meet_question(place, token)
        elif state.is_joined and is_plain and state.mode != "not":
            state.start_clause()
            state.mode, state.verb, state.has_read = "read", token, True
        elif not state.verb and state.mode == "do" and not self._is_after_noun(place):
            state.mode, state.verb, state.has_read = "read", token, True

    def _meet_question(self, place: int, token: str) -> None:
        state = self._state
        if state.mode == "read":
            state.is_how_to = state.is_how_to or self._tokens[place + 1 : place + 2] == ["to"]
        elif state.mode == "do" and not state.verb and self._is_at_start(place):
            state.mode, state.has_read = "read", True
            state.verb, state.is_how_to = token, True
        elif state.mode == "do" and state.verb_action == "changes" and token in ("how", "why", "what"):
            state.mode = "mention"

    def _is_at_start(self, place: int) -> bool:
        """Whether nothing but polite words stands between here and the beginning of the sentence."""
        while place:
            place -= 1
            token = self._tokens[place]
            if token in _STOPS or token in _JOINS:
                return True
            if token not in _POLITE:
                return False
        return True

    def _is_after_noun(self, place: int) -> bool:
        """Whether a reading word is a noun here: "a summary", but not as the first word."""
        return place > 0 and self._tokens[place - 1] in _DETERMINERS and not self._is_at_start(place - 1)

    def _meet_action(self, place: int, token: str, action: str, *, is_plain: bool, length: int) -> None:
        state = self._state
        if state.mode != "do":
            breaks = (
                state.is_joined
                and is_plain
                and not state.is_how_to
                and "between" not in self._tokens[max(place - 5, 0) : place]
            )
            if state.mode == "not":
                breaks = breaks and self._joint(place) == "and"
            if not breaks or self._is_name(place, length):
                state.spared = state.spared or action
                return
            state.start_clause()
        elif state.is_joined and is_plain and state.verb and not self._is_name(place, length):
            state.verb = state.verb_action = ""
            state.has_written = False
        action = self._settle(place, token, action, length)
        is_named = self._is_name(place, length)
        is_written = state.verb in _CREATING and (state.has_written or token in ("migration", "migrations", "removal"))
        is_written = is_written and place > 0 and action not in ("changes", "runs")
        state.is_joined = False
        if is_named or is_written:
            state.spared = action
            return
        if not state.verb:
            state.verb, state.verb_action = token, action
        if (
            action == "runs"
            and state.spared
            and self._tokens[place + 1 : place + 2][:1]
            and self._tokens[place + 1] in _PRONOUNS
        ):
            self._count(state.spared, token, place)
        self._count(action, token, place)

    def _joint(self, place: int) -> str:
        """Return the word that joins this one to what went before."""
        for back in range(place - 1, max(place - 4, -1), -1):
            if self._tokens[back] in _JOINS:
                return "and" if self._tokens[back] in ("and", ",", "&", "plus") else self._tokens[back]
        return ""

    def _is_name(self, place: int, length: int) -> bool:
        """Whether a danger word only names something: "the delete button", "add delete endpoint"."""
        following = self._tokens[place + length : place + length + 1]
        if not following or following[0] not in self._rules.nouns or not place:
            return False
        if self._state.verb_action == "runs":
            return False
        before = self._tokens[place - 1]
        return before in _DETERMINERS or (bool(self._state.verb) and before not in _JOINS and before != "to")

    def _settle(self, place: int, token: str, action: str, length: int) -> str:
        """Return what a word that depends on its object says beside this one."""
        if action in ("runs", "migrates", "patches"):
            return action
        rules = self._rules
        phrase = self._object(place + length)
        if action == "changes":
            return "migrates" if token.startswith(_RESHAPING) and not rules.schema.isdisjoint(phrase) else "changes"
        if action == "deploys":
            return "deploys" if not rules.production.isdisjoint(self._clause(place)) else "changes"
        if action in ("destroys", "refactors", "permits", "rewrites") and not rules.small.isdisjoint(phrase):
            head = phrase[-1]
            return action if head in rules.data and head not in _LOOSE else "changes"
        if action == "destroys_data":
            has_data = bool(phrase) and phrase[-1] in rules.data and rules.small.isdisjoint(phrase)
            return "destroys" if has_data else "changes"
        return action

    def _object(self, place: int) -> list[str]:
        """Return the words of the object that begins at `place`."""
        found: list[str] = []
        for token in self._tokens[place : place + 9]:
            if token in _AFTER_OBJECT:
                if token == "of" and found and found[-1] in _CONTENTS:
                    continue
                if token in ("from", "in", "out") and (not found or found == ["everything"]):
                    found = []
                    continue
                break
            if token not in _DETERMINERS:
                found.append(token)
        return found

    def _clause(self, place: int) -> list[str]:
        """Return the words from `place` to the end of the sentence, at most twenty."""
        found = []
        for token in self._tokens[place : place + 20]:
            if token in _STOPS:
                break
            found.append(token)
        return found

    def _meet_span(self, token: str) -> None:
        number = token.removeprefix("codespan")
        if self._judge is None or not number.isdecimal() or int(number) >= len(self._spans):
            return
        if self._state.mode == "do" and self._state.verb_action in ("", "runs"):
            self._judge(self._case, self._spans[int(number)])
            self._found = True

    def _meet_flag(self, place: int) -> None:
        """Judge a command that stands in a sentence as it is: `please run rm -rf build`."""
        state = self._state
        if self._judge is None or state.verb_action not in ("", "runs", "destroys"):
            return
        start = next(
            (at for at in range(place - 1, max(place - 4, -1), -1) if self._tokens[at] in self._rules.commands), None
        )
        if start is None or (self._tokens[start], "command") in self._seen:
            return
        self._seen.add((self._tokens[start], "command"))
        words: list[str] = []
        for token in self._tokens[start : start + 30]:
            if token in (".", "\n", "!", "?") or (token in ("and", "then", "in", "on") and len(words) > 1):
                break
            words.append(token)
        self._judge(self._case, " ".join(words))

    def _count(self, action: str, token: str, place: int) -> None:
        if self._state.is_rehearsal:
            action = "rehearses"
        self._found = True
        if (action, token) in self._seen:
            return
        self._seen.add((action, token))
        weight = self._rules.weight(action)
        clause = self._clause(max(place - 6, 0)) if action not in _NO_HARM else []
        if clause and not self._rules.production.isdisjoint(clause):
            weight = min(1.0, weight + 0.1)
        self._case.add(action, f"words.{action}", f"“{token}” {self._rules.says(action)}", weight=weight)
        is_noun = place > 0 and self._tokens[place - 1] in _DETERMINERS
        if action not in _NO_HARM and not is_noun and (effect := _EFFECTS.get(token)) is not None:
            self._case.effect(effect)

    def _finish(self) -> None:
        state, case = self._state, self._case
        if self._found:
            return
        if state.has_read or state.spared:
            case.add(
                "reads", "words.reads", "only reads or asks" if state.has_read else "speaks of it, and does nothing"
            )
        else:
            case.add("changes", "words.unknown", "says nothing that is known; it may change something")


def speaks(rules: Rules, token: str) -> bool:
    """Tell whether a token, in lower case, is one that a description would begin with."""
    return token in rules.words
