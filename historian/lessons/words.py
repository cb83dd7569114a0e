"""The words of a text as they are compared: identifiers taken apart, endings cut, words that say nothing left out.

Endings are cut as Porter's first steps do (An algorithm for suffix stripping, 1980), without his measure: `migrations`,
`migrate` and `migrating` are one word. Two texts are compared by how many words they share.
"""

from __future__ import annotations

import re
from functools import lru_cache

_MOST_CHARS = 16 * 1024
_MOST_WORDS = 64
_PIECES = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_a-zA-Z]+")
_PLACES = re.compile(r"[\w.@~+-]*/[\w./@~+-]+|\b[\w-]+\.[A-Za-z]\w{0,9}\b")
_ENDINGS = ("ments", "ment", "ions", "ion", "ings", "ing", "ers", "ed", "es", "er", "al", "e", "s")
_SHORTEST_STEM = 3
_SAYS_NOTHING = (
    "a about after again all also an and any are as at be because been before being but by can could did do does doing "
    "done during each either every execute executed few first for from full get gets had has have having he her here "
    "his how i if in into is it its just last let made make makes many me more most must my need needs new next no not "
    "now of off on once one only or other our out over own perform performed please put ran run running runs same "
    "should so some such than that the their them then there these they this those through to too try two under until "
    "up upon us use used using v very want was we were what when where which while who whole why will with within "
    "without would you your true false none null via per etc"
)
_EMPTY = frozenset(_SAYS_NOTHING.split())
_GENERIC_WEIGHT = 0.4
_ELSEWHERE = 0.5


def words_of(text: str) -> frozenset[str]:
    """Return the words of a text, at most 64, from its first 16 KiB."""
    found: dict[str, None] = {}
    for piece in _PIECES.finditer(text[:_MOST_CHARS]):
        word = stem(piece.group().lower())
        if word:
            found[word] = None
            if len(found) == _MOST_WORDS:
                break
    return frozenset(found)


def places_of(text: str) -> frozenset[str]:
    """Return what looks like paths and file names in a text."""
    return frozenset(found.group().strip("./") for found in _PLACES.finditer(text[:_MOST_CHARS]))


def spelled_out(text: str) -> str:
    """Return the words inside the identifiers of a text, which a plain search would not find."""
    parts = (_PIECES.findall(word) for word in re.findall(r"\w+", text[:_MOST_CHARS]))
    return " ".join(dict.fromkeys(piece.lower() for pieces in parts if len(pieces) > 1 for piece in pieces))


@lru_cache(maxsize=4096)
def stem(word: str) -> str:
    """Return a lower-case word without its ending, or nothing for one that says nothing."""
    if word in _EMPTY or (len(word) < 2 and word.isascii()):
        return ""
    if word.endswith("ies") and len(word) > _SHORTEST_STEM + 1:
        word = word[:-3] + "y"
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= _SHORTEST_STEM and not word.endswith("ss"):
            word = word[: -len(ending)]
            break
    if len(word) > _SHORTEST_STEM and word[-1] == word[-2] and word[-1] not in "lsz":
        word = word[:-1]
    return word


# They are in many operations of every kind, so that sharing them says little.
_IN_EVERY_PROJECT = (
    "app application code core css data dev dir directory file filename folder go home html item java js json lib "
    "local main md mod module name path project py rs rb src sql sudo system test tests tmp toml ts txt usr value var "
    "work yaml yml"
)
_GENERIC = frozenset(map(stem, _IN_EVERY_PROJECT.split()))


def resemblance(one: frozenset[str], other: frozenset[str]) -> float:
    """Return how much of two sets of words is shared, 0 to 1 (Dice's coefficient, generic words count less)."""
    shared = one & other
    if not shared or shared <= _GENERIC:
        return 0.0
    return 2 * _weight(shared) / (_weight(one) + _weight(other))


def apart(one: frozenset[str], other: frozenset[str]) -> float:
    """Return the factor for two texts that name places: less than 1 when none of them is the same."""
    return _ELSEWHERE if one and other and not one & other else 1.0


def _weight(words: frozenset[str]) -> float:
    return sum(_GENERIC_WEIGHT if word in _GENERIC else 1.0 for word in words)
