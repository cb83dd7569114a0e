"""Texts that are kept for good (commands, errors, lessons) without the secrets in them."""

from __future__ import annotations

import re
from functools import cache

from chronos.secrets.forms import find_by_form

_GAP = "…"
_NAME = (
    r"(?:password|passwd|passphrase|pwd|secret|token|credential|api[_-]?key|access[_-]?key|private[_-]?key|auth)s?"
    r"(?:[_-][\w-]{1,40})?"
)
_WORD = r"(?!\d{1,5}\b)[^\s\"'`,;&)}\]]+"
_VALUE = rf"(?:\"[^\"\n]{{1,500}}\"|'[^'\n]{{1,500}}'|{_WORD})"
# What says by its place that it is one, more than the forms of keys that are known: the user part of an address, which
# goes whole, `password=…`, `"token": "…"`, `--api-key …`, `password: …` when it looks like one, headers, `mysql -p…`.
# Each with letters of which some are in every text that it fits.
_NAMED = "pass pwd secret token credential key auth"
_PLACES = (
    ("://", r"(?<=://)(?!git@)[^/\s@\"'`]{1,512}@"),
    (_NAMED, rf"(?<=')-{{0,2}}[\w-]{{0,40}}?{_NAME}=([^'\n]{{1,500}})(?=')"),
    (_NAMED, rf"(?<![\w-])[\w-]{{0,40}}?{_NAME}(?:\s?=\s?(?![=\s])|[\"']\s?:\s?(?=[\"']))({_VALUE})"),
    (_NAMED, rf"(?<=\s)--?[\w-]{{0,40}}?{_NAME}\s+(?!-)({_VALUE})"),
    (_NAMED, rf"(?<!\w)\w{{0,40}}?{_NAME}\s?:\s?((?=[^\s\d]{{0,80}}\d){_VALUE})"),
    ("-u", rf"(?<=\s)(?:-u|--user|--proxy-user)[\s=]?[\"']?[^\s:\"'-][^\s:\"']{{0,64}}:({_WORD})"),
    (
        "key token pass secret",
        rf"(?<!\w)\w{{1,40}}_(?:key|token|password|secret)\s+(?![-&|>])((?=[^\s\d]{{0,80}}\d){_VALUE})",
    ),
    (_NAMED, rf"{_NAME}\\\"\s?:\s?\\\"([^\"\\\n]{{1,500}})"),
    ("key", rf"(?-i:\b[A-Z][A-Z0-9_]{{0,40}}_KEY=)({_VALUE})"),
    ("identified pass", r"\b(?:identified\s+by|password)\s+('[^'\n]{1,500}')"),
    ("pass login", r"\b(?:sshpass|(?:docker|podman|registry)\s+login)\b[^|;&\n]{0,200}?\s-p\s*([^\s\"']+)"),
    ("redis", r"\bredis-cli\b[^|;&\n]{0,200}?\s-a\s*([^\s\"']+)"),
    ("bearer basic", r"\b(?:Bearer|Basic)\s+([\w.~+/=-]{8,})"),
    (
        "mysql mariadb",
        r"\b(?:mysql|mysqldump|mysqladmin|mariadb|mariadb-dump)\b[^|;&\n]{0,200}?\s-p([^\s\"']+)",
    ),
)
_LETTERS = frozenset(" ".join(letters for letters, _ in _PLACES).split())
_END_OF_WORD = r"[\s\"'`<>,;]|\Z"
_END_OF_LINE = r"\n|\Z"
_END_OF_KEY = r"-----END [A-Z0-9 ]{1,60}-----|\Z"
_LAST_WORD = r"[^\s\"'`<>,;]*\Z"
_MOST_IN_A_LINE = 20
_LOOKED_AT = 16  # times what is shown: what is left out makes a text shorter


def mask(text: str) -> str:
    """Return `text` with `…` for what looks like a secret: by its form, or because its place says so.

    A text that differs from another one in such a place only has the same mask.
    """
    if _may_say_so(text):
        text = _places().sub(_without_value, text)
    for turn in range(_MOST_IN_A_LINE + 1):  # each finds one in a line; of a line with more the rest goes
        data = text.encode("utf-8", "surrogatepass")
        spots = find_by_form(data)
        if not spots:
            break
        pieces, end = [], 0
        for start in (len(data[: spot.offset].decode("utf-8", "surrogatepass")) for spot in spots):
            if start >= end:
                pieces += [text[end:start], _GAP]
                end = _end_of(text, start, whole_line=turn == _MOST_IN_A_LINE)
        text = "".join((*pieces, text[end:]))
    return text


def mask_beginning(text: str, longest: int) -> str:
    """Return the beginning of `text` as `mask` leaves it, `longest` characters, and `…` where there is more.

    Only a part of a long text is looked at. The word at its end may be one half of a secret, which nobody would know
    for one, so it is never shown.
    """
    looked_at = text[: _LOOKED_AT * longest]
    masked = mask(looked_at)
    if len(looked_at) < len(text):
        masked = re.sub(_LAST_WORD, "", masked)
    is_whole = len(looked_at) == len(text) and len(masked) <= longest
    return masked if is_whole else f"{masked[:longest].rstrip(_GAP)}{_GAP}"


def _may_say_so(text: str) -> bool:
    """Tell whether a place may say that something is a secret: else the pattern need not be compiled, for 2 ms.

    Beyond ASCII there are letters that `re` takes for one of another case, such as the long s: then it may.
    """
    small = text.lower()
    return not text.isascii() or any(letters in small for letters in _LETTERS)


@cache
def _places() -> re.Pattern[str]:
    return re.compile("|".join(pattern for _, pattern in _PLACES), re.IGNORECASE)


def _without_value(found: re.Match[str]) -> str:
    if found.lastindex is None:
        return ""
    start, end = (place - found.start() for place in found.span(found.lastindex))
    return found[0][:start] + _GAP + found[0][end:]


def _end_of(text: str, start: int, *, whole_line: bool) -> int:
    """Return where what begins at `start` ends: a key of several lines at its last one, all else with its word."""
    if text.startswith("-----BEGIN", start):
        return _search(_END_OF_KEY, text, start).end()
    return max(_search(_END_OF_LINE if whole_line else _END_OF_WORD, text, start + 1).start(), start + 1)


def _search(pattern: str, text: str, start: int) -> re.Match[str]:
    found = re.compile(pattern).search(text, start)
    assert found is not None  # each of them ends with the text
    return found
