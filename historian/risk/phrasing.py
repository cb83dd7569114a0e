"""What words of a description say: their forms, slips of the fingers, and turns of phrase, compiled into one table.

An entry of `words` in the rules is a word, a verb with `~` for its forms, or a turn: several words, where `a|b` is
either, `...` skips up to seven words of the same clause, and `@name` is a list of the rules (`classes`, `data`,
`production`, …). Articles and the like are skipped inside a turn. The longest turn that fits counts, of equally long
ones the heavier.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import msgspec

from historian.risk.listing import late, listed

STOPS = frozenset(".;!?\n—:")
BREAKS = frozenset(("then", "but", "afterwards", "finally", "next", "instead", "lastly", "otherwise"))
DETERMINERS = listed(
    "the a an this that these those our your my its their his her each every new any existing another all some whole "
    "entire of"
)
_REACH = 8
_FARTHEST = 24  # tokens that a turn can take in all
_BARS = (
    STOPS
    | BREAKS
    | listed(
        ", that which who whose when if because about for explaining describing test tests docs documentation comment "
        "message script label readme called named saying says how why what"
    )
)
_SHORT = 6  # with fewer letters, -ing and -ed end words as bring and need
_FIRST_PAST = 3
_VOWELS = "aeiou"
# The past forms of irregular verbs.
_IRREGULAR = {
    "bind": "bound", "blow": "blew blown", "break": "broke broken", "bring": "brought", "build": "built",
    "burn": "burnt", "buy": "bought", "cut": "cut", "find": "found", "forget": "forgot forgotten", "get": "got gotten",
    "give": "gave given", "go": "went gone", "know": "knew known", "let": "let", "lose": "lost", "make": "made",
    "overwrite": "overwrote overwritten", "pay": "paid", "put": "put", "read": "read", "rebuild": "rebuilt",
    "reset": "reset", "rewrite": "rewrote rewritten", "run": "ran run", "say": "said", "see": "saw seen",
    "send": "sent", "set": "set", "show": "shown", "shut": "shut", "spin": "spun", "split": "split",
    "take": "took taken", "teach": "taught", "tear": "tore torn", "tell": "told", "think": "thought",
    "throw": "threw thrown", "undo": "undid undone", "wind": "wound", "write": "wrote written",
}  # fmt: skip
# Words that only look like a slip of another.
_REAL_WORDS = listed(
    "eased easing eases scraped scraping forge forges hated hating rests rest cleaned merged prune pruned purge pure "
    "disc disk dropper publics pubic migrant sledge reveres reverse reverts release relapse reface retract contract "
    "rework reword reboot robot react reacts fatten abandoned trunk trunks trash ditch destroyer refactors"
)
_WORD = late(r"[\w'’.:/@+-]*[\w'’]|--?\w[\w-]*|[;.!?\n,:()`|\"—]")


class Turn(msgspec.Struct, frozen=True):
    """A turn as it is seen from its second word. The lower `rank` goes before.

    `rest` are the words after the second: how far each may be from the one before, and which they may be. `is_next`
    says that the second follows the first at once; `is_plain` that the first is a plain form.
    """

    action: str
    rank: int
    is_plain: bool
    is_next: bool
    has_gap: bool
    rest: tuple[tuple[int, frozenset[str]], ...]


class Token(msgspec.Struct, frozen=True):
    """What a word says: its action, its form (drop is plain, dropped is past), and turns by their second word."""

    action: str = ""
    is_plain: bool = False
    is_past: bool = False
    turns: Mapping[str, tuple[Turn, ...]] = {}


def split_words(text: str) -> list[str]:
    """Return the tokens of a description, in lower case: words, with the dots, dashes and slashes inside them."""
    return _WORD.findall(text.lower())


def inflect(verb: str) -> tuple[str, ...]:
    """Return the forms of an English verb: the plain one, that with s, that with ing, then the past ones."""
    third, past, ing = _regular(verb)
    return (verb, third, ing, *_IRREGULAR[verb].split()) if verb in _IRREGULAR else (verb, third, ing, past)


def _regular(verb: str) -> tuple[str, str, str]:
    if verb.endswith("e"):
        return f"{verb}s", f"{verb}d", f"{verb[:-1]}ing"
    if verb.endswith("y") and verb[-2] not in _VOWELS:
        return f"{verb[:-1]}ies", f"{verb[:-1]}ied", f"{verb}ing"
    if verb.endswith(("s", "x", "z", "ch", "sh")):
        return f"{verb}es", f"{verb}ed", f"{verb}ing"
    if verb == "go":
        return "goes", "went", "going"
    is_short = len(re.findall(r"[aeiouy]+", verb)) == 1 or verb.endswith(
        ("ommit", "ubmit", "efer", "rebut", "umpit", "eset", "orget", "undo", "egin", "plit")
    )
    if is_short and len(verb) > 2 and verb[-1] not in "wxyaeiou" and verb[-2] in _VOWELS and verb[-3] not in _VOWELS:
        return f"{verb}s", f"{verb}{verb[-1]}ed", f"{verb}{verb[-1]}ing"
    return f"{verb}s", f"{verb}ed", f"{verb}ing"


def find_turn(turns: Mapping[str, tuple[Turn, ...]], tokens: Sequence[str], place: int) -> tuple[Turn | None, int]:
    """Return the turn that fits best at `place`, and how many tokens after it belong to it."""
    best: Turn | None = None
    length, is_next, at, end = 0, True, place + 1, min(len(tokens), place + _FARTHEST)
    last = at + _REACH
    while at < end and at <= last:
        token = tokens[at]
        for turn in turns.get(token, ()):
            if (is_next or not turn.is_next) and (best is None or turn.rank < best.rank):
                reached = _match_rest(turn, tokens, at, end) if turn.rest else at
                if reached:
                    best, length = turn, reached - place
        if token in DETERMINERS:
            last += 1
        elif token in _BARS:
            break
        else:
            is_next = False
        at += 1
    return best, length


def _match_rest(turn: Turn, tokens: Sequence[str], at: int, end: int) -> int:
    """Return where the words of a turn after its second, which stands at `at`, end; 0 where they do not fit."""
    for reach, wanted in turn.rest:
        at += 1
        last = at + reach
        while True:
            if at >= end or at > last:
                return 0
            token = tokens[at]
            if token in wanted:
                break
            if token in DETERMINERS:
                last += 1
            elif token in _BARS:
                return 0
            at += 1
    return at


def compile_words(
    table: Mapping[str, list[str]], order: Iterable[str], lists: Callable[[str], Iterable[str]]
) -> dict[str, Token]:
    """Return what each token says. `order` has the actions, the weaker first; `lists` gives the list of a name."""
    single: dict[str, tuple[str, bool, bool]] = {}
    turns: list[tuple[int, int, str, tuple[tuple[int, frozenset[str]], ...], list[str]]] = []
    for weight, action in enumerate(name for name in order if name in table):
        for entry in table[action]:
            first, *others = entry.split() or [""]
            if others:
                parts = tuple(_parts(others, lists))
                turns.append((-len(parts), -weight, action, parts, list(_alternatives(first, lists))))
                continue
            for choice in first.split("|"):
                for word in split_words(choice.removesuffix("~")):
                    single |= _forms(word, action, has_forms=choice.endswith("~"))
    by_first: dict[str, dict[str, list[Turn]]] = {}
    for rank, (_, _, action, parts, firsts) in enumerate(sorted(turns, key=lambda item: item[:2])):
        (reach, seconds), *rest = parts
        has_gap = any(part[0] for part in parts)
        for form in firsts:
            is_plain = len(form) < _SHORT or not form.endswith(("ing", "ed")) or form.endswith("thing")
            turn = Turn(action, rank, is_plain, not reach, has_gap, tuple(rest))
            for second in seconds:
                by_first.setdefault(form, {}).setdefault(second, []).append(turn)
    return {
        word: Token(
            *single.get(word, ("", False, False)),
            {second: tuple(own) for second, own in by_first.get(word, {}).items()},
        )
        for word in single.keys() | by_first.keys()
    }


def _forms(word: str, action: str, *, has_forms: bool) -> Iterator[tuple[str, tuple[str, bool, bool]]]:
    if not has_forms:
        yield word, (action, not word.endswith(("ion", "ions", "al", "ment", "ings", "over")), False)
        return
    for spelling in _spellings(word):
        for number, form in enumerate(dict.fromkeys(inflect(spelling))):
            yield form, (action, number == 0, number >= _FIRST_PAST)


def _spellings(verb: str) -> Iterator[str]:
    """Yield a verb, and how else it is written: reorganize, reorganise, re-organize."""
    for spelling in (verb, f"{verb[:-3]}ise") if verb.endswith("ize") else (verb,):
        yield spelling
        if len(verb) >= _SHORT and verb.startswith(("re", "de", "un")):
            yield f"{spelling[:2]}-{spelling[2:]}"


def _parts(words: Iterable[str], lists: Callable[[str], Iterable[str]]) -> Iterator[tuple[int, frozenset[str]]]:
    reach = 0
    for word in words:
        if word == "...":
            reach = _REACH
            continue
        yield reach, frozenset(_alternatives(word, lists))
        reach = 0


def _alternatives(word: str, lists: Callable[[str], Iterable[str]]) -> Iterator[str]:
    for choice in word.lower().split("|") if word != "|" else (word,):
        if choice.startswith("@"):
            for name in lists(choice[1:]):
                yield from (
                    _alternatives(name, lists)
                    if name.endswith("~")
                    else (name, f"{name}'" if name.endswith("s") else f"{name}'s")
                )
        elif choice.endswith("~"):
            for spelling in _spellings(choice[:-1]):
                yield from inflect(spelling)
        else:
            yield choice


def with_slips(words: Iterable[str]) -> frozenset[str]:
    """Return words, and the slips of the fingers of those that are long enough."""
    found = set(words)
    return frozenset(found.union(*(set(_slips(word)) for word in found if len(word) > 5)))


def add_slips(words: dict[str, Token], verbs: Iterable[str]) -> None:
    """Let each slip of the fingers (a letter left out, doubled, or changed with the next) say what was meant."""
    for verb in verbs:
        if (token := words.get(verb)) is None:
            continue
        for slip in _slips(verb):
            if slip not in words and slip not in _REAL_WORDS:
                words[slip] = token


def _slips(verb: str) -> Iterator[str]:
    for at in range(1, len(verb)):
        if at < len(verb) - 1:
            yield verb[:at] + verb[at + 1] + verb[at] + verb[at + 2 :]
        if len(verb) >= _SHORT and not (at == len(verb) - 1 and verb.endswith("s")):
            yield verb[:at] + verb[at + 1 :]
        yield verb[: at + 1] + verb[at:]
