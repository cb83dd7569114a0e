"""What xargs, parallel and find put into a command for each thing that comes in: known where that is known."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from historian.risk.arguments import Word
from historian.risk.listing import late
from historian.risk.shell_flow import Flow

# What is known only when it runs, as a shell writes it, so that it may also stand inside a text for a shell.
UNKNOWN = "${what_comes_in}"
_MOST_LINES = 20
_LONGEST_INPUT = 4096
_MARKS = late(r"\{(?:|\.|/|//|/\.|#|\d+)\}")


def unfold_xargs(words: Sequence[Word], options: Sequence[Word], flow: Flow) -> list[list[Word]]:
    """Return the commands that xargs starts: with a mark (`-I{}`) one for each line, else one with all words added."""
    mark = _mark_of(options)
    is_known = flow.text is not None and len(flow.text) < _LONGEST_INPUT
    lines = (flow.text or "").strip().split("\n")
    if not mark:
        added = [Word(part) for part in " ".join(lines).split()] if is_known else [Word(UNKNOWN, is_sure=False)]
        return [[*words, *added]]
    if is_known and len(lines) <= _MOST_LINES:
        return [[put(word, mark, line.strip()) for word in words] for line in lines]
    return [[put(word, mark, UNKNOWN, is_sure=False) for word in words]]


def unfold_parallel(text: str) -> str:
    """Return what `parallel` runs, a line for each argument after `:::`; of `{.}` and its kin nothing is known."""
    command, has_given, given = text.partition(":::")
    values = given.split() if has_given and ":::" not in given else []
    command = command.strip()
    if not command:
        return given.strip()
    if not _MARKS.search(command):
        command = f"{command} {{}}"
    return "\n".join(_fill(command, value) for value in values[:_MOST_LINES] or [UNKNOWN])


def _fill(command: str, value: str) -> str:
    return _MARKS.sub(lambda mark: value if mark[0] == "{}" else UNKNOWN, command)


def fill_marks(words: Sequence[Word]) -> list[Word]:
    """Return a command with what is not known in the place of its marks, or at its end where it has none."""
    if not any(_MARKS.search(word.text) for word in words):
        return [*words, Word(UNKNOWN, is_sure=False)]
    return [
        msgspec.structs.replace(word, text=_MARKS.sub(lambda _: UNKNOWN, word.text), is_sure=False)
        if _MARKS.search(word.text)
        else word
        for word in words
    ]


def put(word: Word, mark: str, given: str, *, is_sure: bool = True) -> Word:
    """Return a word with `given` in the place of a mark."""
    if mark not in word.text:
        return word
    return msgspec.structs.replace(word, text=word.text.replace(mark, given), is_sure=word.is_sure and is_sure)


def _mark_of(options: Sequence[Word]) -> str:
    """Return what `-I R`, `-IR`, `-i[R]`, `-J R` or `--replace[=R]` makes the mark, "" without one."""
    texts = [option.text for option in options]
    for number, text in enumerate(texts):
        if text in ("-I", "-J"):
            return "".join(texts[number + 1 : number + 2])
        if text.startswith(("-I", "-J")):
            return text[2:]
        if re.match(r"-i|--replace(?:=|$)", text):
            return (text.partition("=")[2] if text.startswith("--") else text[2:]) or "{}"
    return ""
