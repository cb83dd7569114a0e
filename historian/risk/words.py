"""Descriptions in words: what is asked for, told from what is only spoken of, read about, asked or forbidden.

A text is read once, token by token; clauses end at stops, at "then" and "but", and at "and" or a comma before a verb in
its plain form. In each clause the first verb governs: what stands after "explain" or "how" is read about, what stands
after "not" or "without" is not done, what follows "a function that" is written. No parser of English: the lists stand
in `rules.yaml`, and a description that none of them knows counts as a change.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from historian.risk.case import Case
from historian.risk.clauses import (
    JOINS,
    TURNING,
    State,
    ends_at_comma,
    is_at_start,
    is_handed_on,
    is_nominal,
    is_noun,
    is_question,
    is_relative,
    is_restricting,
    is_told,
)
from historian.risk.listing import listed
from historian.risk.objects import clause_from, is_name, settle
from historian.risk.phrasing import BREAKS, DETERMINERS, STOPS, Token, find_turn, split_words

LONGEST_TEXT = 1024 * 1024
_JOIN_REACH = 4
_CREATING = listed(
    "add create write implement build generate draft introduce make scaffold prepare design develop adding "
    "creating writing implementing building generating drafting document documenting update updating fix "
    "fixing rename renaming improve"
)
_PRONOUNS = frozenset(("it", "them", "that", "this", "the", "those", "these", "both", "everything"))
_CAUSING = listed("get gets see have has getting having open")
_INTENSE = listed("bulk mass batch hard force secure safe auto double un re over")
_ASKED = frozenset(("how", "why", "what", "where", "which"))
_AUXILIARIES = listed("is are was were does did should do has had am")
_OPENS = STOPS | JOINS | frozenset(('"',))
_REHEARSED = listed("preview previews mock mocks simulation")  # nouns too: "the preview environment"
_MARKS = STOPS | JOINS | BREAKS | frozenset(('"',))
_MILD = frozenset(("changes", "runs", "sends"))
_NO_HARM = frozenset(("reads", "rehearses"))
_SILENT = TURNING | _NO_HARM
_HARMLESS = _SILENT | _MILD | {""}
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
        self._present = frozenset(tokens)
        self._state = State()
        self._found = False
        self._seen: set[tuple[str, str]] = set()

    def read(self) -> None:
        words, tokens, state, written = self._rules.words, self._tokens, self._state, self._rules.written
        asks = "?" in tokens
        if asks:
            state.start_sentence(is_asked=is_question(tokens, 0))
        place, end = 0, len(tokens)
        while place < end:
            token = tokens[place]
            if (entry := words.get(token)) is not None:
                place += self._meet(place, token, entry)
            elif token in _MARKS:
                self._meet_mark(place, token, asks=asks)
            elif token in written:
                state.has_written = True
            elif token[0] == "-" and place and len(token) > 1 and state.mode == "do":
                self._meet_flag(place)
            elif self._spans and token.startswith("codespan"):
                self._meet_span(token)
            elif "-" in token and (entry := self._find_verb(token)) is not None:
                place += self._meet(place, token, entry)
            place += 1
        self._finish()

    def _find_verb(self, token: str) -> Token | None:
        """Return what a verb with a word before it says: "bulk-delete", "secure-erase"."""
        before, _, verb = token.rpartition("-")
        return self._rules.words.get(verb) if before in _INTENSE else None

    def _meet_mark(self, place: int, token: str, *, asks: bool) -> None:
        """Take in what ends or joins sentences and clauses."""
        state = self._state
        if token in JOINS:
            if token == "," and state.is_fronted:
                state.start_clause()
            state.joined_at = place
        elif token in BREAKS:
            state.start_clause()
            state.is_rehearsal = False
        elif token == '"':
            state.is_quoted = not state.is_quoted
        elif token != ":" or not self._goes_on():
            state.start_sentence(is_asked=asks and is_question(self._tokens, place + 1))
            state.found_before = len(self._case.findings)

    def _goes_on(self) -> bool:
        """Whether what follows a colon belongs to what is read or written: "open an issue: migration fails"."""
        state = self._state
        if state.mode == "do" and state.has_written and state.verb_action in ("changes", "sends"):
            state.mode = "mention"
            return True
        return state.mode == "read"

    def _meet(self, place: int, token: str, entry: Token) -> int:
        """Take in a token that says something; return how many further tokens belong to it."""
        action, taken, is_turn, is_plain = entry.action, 0, False, entry.is_plain
        if entry.turns and not entry.turns.keys().isdisjoint(self._present):
            turn, length = find_turn(entry.turns, self._tokens, place)
            if turn is not None:
                action, is_turn, is_plain = turn.action, True, turn.is_plain
                taken = 0 if turn.has_gap else length
        state = self._state
        if not action:
            if token in JOINS:
                if token == "before" and is_at_start(self._tokens, place):
                    self._meet_subordinate(place, token)
                state.joined_at = place
            elif token in self._rules.written:
                state.has_written = True
            return 0
        if action in _SILENT:
            if action == "reads" and entry.is_past and not is_turn and not is_at_start(self._tokens, place):
                return taken
            self._meet_governor(place, token, action, is_plain=is_plain, is_turn=is_turn)
        elif state.is_quoted:
            state.spared = state.spared or action
            return taken
        else:
            length = 0 if is_turn and not taken else 1 + taken
            self._meet_action(place, token, action, entry, is_plain=is_plain, length=length)
            if state.verb == token:
                return taken
        if token in self._rules.written:
            state.has_written = True
        return taken

    def _meet_governor(self, place: int, token: str, action: str, *, is_plain: bool, is_turn: bool) -> None:
        state = self._state
        if action == "rehearses":
            if token in _REHEARSED and place and self._tokens[place - 1] in DETERMINERS:
                after = self._tokens[place + 1] if place + 1 < len(self._tokens) else ""
                if state.verb or after in self._rules.nouns or after in self._rules.data:
                    return
            if state.mode != "not" and not state.is_rehearsal:
                state.is_rehearsal = True
                del self._case.findings[state.found_before :]
            state.has_read = True
        elif action == "subordinates":
            self._meet_subordinate(place, token)
        elif action == "negations":
            if is_restricting(state, self._tokens, place):
                return
            if state.mode == "do" or (state.mode == "read" and not state.is_how_to):
                state.mode, state.joined_at, state.is_fronted = "not", -9, False
        elif action == "mentions":
            if state.verb and state.mode == "do" and (state.verb_action != "runs" or is_turn):
                state.mode, state.joined_at = "mention", -9
            elif is_turn and not state.verb and state.mode == "do":
                self._count("changes", token, place)
                state.mode, state.verb, state.verb_action = "mention", token, "changes"
        elif action == "questions":
            self._meet_question(place, token)
        elif is_handed_on(self._rules.words, self._tokens, place):
            return
        elif self._is_joined(place) and is_plain and state.mode != "not" and not state.is_fronted:
            state.start_clause()
            state.mode, state.verb, state.has_read = "read", token, True
        elif not state.verb and state.mode == "do" and not self._is_after_noun(place):
            state.mode, state.verb, state.has_read = "read", token, True

    def _meet_subordinate(self, place: int, token: str) -> None:
        """Take in "once", "if", "because": what they begin is not asked for, up to a comma where they come first."""
        state, tokens = self._state, self._tokens
        if state.mode == "do" and token != "that" and (is_at_start(tokens, place) or self._is_joined(place)):
            if ends_at_comma(tokens, place):
                state.start_clause()
                state.mode, state.is_fronted = "mention", True
        elif state.mode == "do" and state.verb_action in ("changes", "sends"):
            state.mode, state.joined_at = "mention", -9

    def _meet_question(self, place: int, token: str) -> None:
        state = self._state
        if self._tokens[place : place + 2] in (["why", "not"], ["why", "don't"], ["how", "about"]):
            return
        if token in _AUXILIARIES and not state.is_asked and "?" in self._present:
            return
        if token in _AUXILIARIES and place and self._tokens[place - 1] not in _OPENS:
            return
        if state.mode == "read":
            state.is_how_to = state.is_how_to or self._tokens[place + 1 : place + 2] == ["to"]
        elif state.mode == "do" and not state.verb and is_at_start(self._tokens, place):
            state.mode, state.has_read = "read", True
            state.verb, state.is_how_to = token, True
        elif state.mode == "do" and state.verb_action == "changes" and token in _ASKED:
            state.mode = "mention"

    def _is_joined(self, place: int) -> bool:
        return place - self._state.joined_at <= _JOIN_REACH

    def _is_after_noun(self, place: int) -> bool:
        """Whether a reading word is a noun here: "a summary", "the attached list of", but not as the first word."""
        if self._tokens[place + 1 : place + 2] == ["of"] and place and self._tokens[place - 1] not in _OPENS:
            return not is_at_start(self._tokens, place)
        return place > 0 and self._tokens[place - 1] in DETERMINERS and not is_at_start(self._tokens, place - 1)

    def _meet_action(self, place: int, token: str, action: str, entry: Token, *, is_plain: bool, length: int) -> None:
        state, tokens, rules = self._state, self._tokens, self._rules
        named = is_name(rules, state, tokens, place, length or 1)
        if state.is_asked or (state.mode != "do" and not self._breaks(place, entry, is_plain=is_plain, named=named)):
            state.spared = state.spared or action
            return
        is_harm = action not in _MILD
        if (
            is_harm
            and length
            and (
                (entry.is_past and is_told(tokens, place))
                or is_relative(state, tokens, place)
                or is_nominal(state, tokens, place)
            )
        ):
            state.spared, state.has_named = action, True
            return
        is_joined = self._is_joined(place)
        if state.mode != "do":
            state.start_clause()
        elif is_joined and is_plain and state.verb and not named:
            state.verb = state.verb_action = ""
            state.has_written = False
        elif is_harm and entry.is_plain and length and is_noun(state, tokens, place):
            named = True
        if length:
            action = settle(rules, tokens, place, action, length)
        is_written = state.verb in _CREATING and (state.has_written or token in ("migration", "migrations", "removal"))
        state.joined_at = -9
        if named or (is_written and place > 0 and action not in ("changes", "runs")):
            state.spared, state.has_named = action, True
            return
        if not state.verb:
            state.verb, state.verb_action = token, action
        if action == "runs" and state.spared and tokens[place + 1 : place + 2] and tokens[place + 1] in _PRONOUNS:
            self._count(state.spared, token, place)
        self._count(action, token, place)

    def _breaks(self, place: int, entry: Token, *, is_plain: bool, named: bool) -> bool:
        """Whether an action is to be done although what came before is only read, spoken of, or not done."""
        state, tokens = self._state, self._tokens
        if named or state.is_fronted:
            return False
        if state.mode == "read" and entry.is_past and state.verb in _CAUSING:
            return not is_told(tokens, place)
        if not is_plain or state.is_how_to or not self._is_joined(place):
            return False
        if "between" in tokens[max(place - 5, 0) : place]:
            return False
        joint = tokens[state.joined_at]
        if self._names_alike(place):
            return False
        if state.mode == "not" and joint == "," and not {"or", "nor"}.isdisjoint(tokens[place + 1 : place + 6]):
            return False
        if joint in ("before", "while"):
            return False
        return state.mode != "not" or joint in ("and", ",", "&", "plus")

    def _names_alike(self, place: int) -> bool:
        """Whether it is named beside another: "compare delete and truncate"."""
        tokens, at = self._tokens, self._state.joined_at
        beside = self._rules.words.get(tokens[at - 1]) if at == place - 1 and at else None
        if self._state.mode != "read":
            return False
        is_named = beside is not None and beside.is_plain and beside.action not in _HARMLESS
        return is_named and not (tokens[place + 1 : place + 2] and tokens[place + 1] in _PRONOUNS)

    def _meet_span(self, token: str) -> None:
        number = token.removeprefix("codespan")
        is_number = number.isdecimal() and len(number) <= len(str(len(self._spans)))
        if self._judge is None or not is_number or int(number) >= len(self._spans):
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
        if action not in _NO_HARM and self._is_in_production(place):
            weight = min(1.0, weight + 0.1)
        self._case.add(action, f"words.{action}", f"“{token}” {self._rules.says(action)}", weight=weight)
        is_noun = place > 0 and self._tokens[place - 1] in DETERMINERS
        if action not in _NO_HARM and not is_noun and (effect := _EFFECTS.get(token)) is not None:
            self._case.effect(effect)

    def _is_in_production(self, place: int) -> bool:
        production = self._rules.production
        if production.isdisjoint(self._present):
            return False
        return not production.isdisjoint(clause_from(self._tokens, max(place - 6, 0)))

    def _finish(self) -> None:
        state, case = self._state, self._case
        if self._found:
            return
        if state.has_read or (state.spared and not state.has_named):
            case.add(
                "reads", "words.reads", "only reads or asks" if state.has_read else "speaks of it, and does nothing"
            )
        else:
            case.add("changes", "words.unknown", "says nothing that is known; it may change something")
