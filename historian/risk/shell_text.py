"""The texts in shell commands: here-documents, escapes, and what common decoders make of a text."""

from __future__ import annotations

import re

import msgspec

from historian.risk.listing import late

_HEREDOC = late(r"(?<![<(\w])<<(-?)[ \t]*(\\?)(['\"]?)([A-Za-z_][\w.-]*)\3")
_ESCAPES = late(r"\\(?:x([0-9a-fA-F]{1,2})|u([0-9a-fA-F]{1,4})|U([0-9a-fA-F]{1,8})|([0-7]{1,3})|(.))", re.S)
_NAMED = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "e": "\x1b", "f": "\f", "v": "\v", "E": "\x1b"}
_MOST_HEREDOCS = 200
_QUOTES = late(r"(\\.|'[^']*'|`)", re.S)


class Heredoc(msgspec.Struct, frozen=True):
    """The text of a here-document; a raw one is not expanded."""

    text: str
    is_raw: bool


def take_heredocs(text: str) -> tuple[str, dict[str, Heredoc]]:
    """Return a command with `< name` in the place of each here-document, and the texts by name.

    The grammar loses its way in a command that goes on after `<<EOF`; a file that is read it takes anywhere.
    """
    found: dict[str, Heredoc] = {}
    if "<<" not in text:
        return text, found
    lines = text.split("\n")
    kept: list[str] = []
    while lines:
        line = lines.pop(0)
        for match in list(_HEREDOC.finditer(line)):
            dash, escaped, quote, end = match.groups()
            ends = [number for number, other in enumerate(lines) if (other.strip() if dash else other.rstrip()) == end]
            if not ends or len(found) >= _MOST_HEREDOCS:
                continue
            body = "\n".join(lines[: ends[0]]) + "\n"
            del lines[: ends[0] + 1]
            name = f"heredoc.{len(found)}.here"
            found[name] = Heredoc(body, bool(quote or escaped))
            line = line.replace(match[0], f"< {name}", 1)
        kept.append(line)
    return "\n".join(kept), found


def modernize_backquotes(text: str) -> str:
    """Return a command with `$(…)` for what stands in backquotes, two of which the grammar takes for one."""
    if text.count("`") < 2:
        return text
    parts = _QUOTES.split(text)
    is_open = False
    for number, part in enumerate(parts):
        if part == "`":
            parts[number] = ")" if is_open else "$("
            is_open = not is_open
        elif is_open and part == "\\`":
            return text  # one inside another: as it is written
    return text if is_open else "".join(parts)


def unescape_word(text: str) -> str:
    """Return an unquoted word without its backslashes."""
    return re.sub(r"\\(\n|.)", lambda match: "" if match[1] == "\n" else match[1], text) if "\\" in text else text


def unescape_ansi(text: str) -> str:
    """Return what `$'…'` and `echo -e` make of a text."""

    def replace(match: re.Match[str]) -> str:
        for number, base in ((1, 16), (2, 16), (3, 16), (4, 8)):
            if match[number] is not None:
                code = int(match[number], base)
                return chr(code) if code < 0x110000 else "?"
        return _NAMED.get(match[5], match[5])

    return _ESCAPES.sub(replace, text) if "\\" in text else text


def decode_base64(text: str) -> str | None:
    """Return the text that is encoded, or None when it is none."""
    import base64  # 1 ms, and little is encoded

    compact = re.sub(r"\s+", "", text)
    try:
        data = base64.b64decode(compact + "=" * (-len(compact) % 4), validate=True)
        return data.decode("utf-8")
    except ValueError:
        return None


def decode_powershell(text: str) -> str | None:
    """Return the command in the value of `-EncodedCommand`: UTF-16 in base64."""
    import base64  # 1 ms, and little is encoded

    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True).decode("utf-16-le")
    except ValueError:
        return None


def decode_hex(text: str) -> str | None:
    """Return the text that is written in hexadecimal digits, or None when it is none."""
    try:
        return bytes.fromhex(re.sub(r"\s+|0x|\\x", "", text)).decode("utf-8")
    except ValueError:
        return None


def translate_letters(text: str, old: str, new: str) -> str | None:
    """Return what `tr OLD NEW` makes of a text, for sets with ranges; None where it does something else."""
    first, second = _spread(old), _spread(new)
    if not first or not second or len(first) > 1000:
        return None
    second += second[-1] * (len(first) - len(second))
    return text.translate(dict(zip(map(ord, first), second, strict=False)))


def _spread(letters: str) -> str:
    def spell(match: re.Match[str]) -> str:
        low, high = ord(match[1]), ord(match[2])
        return "".join(map(chr, range(low, high + 1))) if low <= high <= 0x10FFFF and high - low < 300 else ""

    return re.sub(r"(.)-(.)", spell, letters, flags=re.S)
