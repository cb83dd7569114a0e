"""The words of a shell command: quotes, escapes and expansions, with what is known of variables and substitutions."""

from __future__ import annotations

import re
from typing import Any, Protocol

from historian.risk.arguments import Word
from historian.risk.listing import listed
from historian.risk.shell_flow import Flow
from historian.risk.shell_text import unescape_ansi, unescape_word

# Letters that say nothing to a shell; those that say something to the grammar in a first word; and words of the shell.
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./:@%+,- ")
_ODD = frozenset("@%+,:")
_BEGINNINGS = listed("case declare export for function if local readonly select typeset unset unsetenv until while")


def plain_words(text: str) -> list[Word]:
    """Return the words of a command that is nothing but words, as `npm test` is; none where the grammar has to tell.

    Loading the parser takes 2 ms, more than judging most commands.
    """
    words = text.split(" ")
    if not "a" <= text[:1] <= "z" or not _PLAIN.issuperset(text) or "" in words:
        return []
    return [] if words[0] in _BEGINNINGS or not _ODD.isdisjoint(words[0]) else [Word(word) for word in words]


class Expanding(Protocol):
    """What a word can ask the shell in which it stands."""

    def variable(self, name: str) -> tuple[str, bool] | None: ...  # noqa: D102

    def output_of(self, node: Any) -> Flow: ...  # noqa: D102

    def file_of(self, flow: Flow) -> str: ...  # noqa: D102


class Expansion:
    """The words that come of one node: text is collected, and split where an unquoted expansion has blanks."""

    def __init__(self, shell: Expanding) -> None:
        self._shell = shell
        self._done: list[Word] = []
        self._text: list[str] = []
        self._is_sure = True
        self._is_quoted = False
        self._has_any = False
        self._sources: tuple[str, ...] = ()

    def take(self, node: Any, *, is_quoted: bool) -> None:
        """Take in a node of the tree."""
        kind = node.type
        text = (node.text or b"").decode("utf-8", "surrogateescape")
        self._has_any = True
        if kind in ("raw_string", "ansi_c_string", "string", "translated_string"):
            self._is_quoted = True
        if kind == "raw_string":
            self._text.append(text[1:-1])
        elif kind == "ansi_c_string":
            self._text.append(unescape_ansi(text[2:-1]))
        elif kind == "string":
            self._take_string(node, text)
        elif kind in ("concatenation", "translated_string", "command_name", "array"):
            for child in node.named_children:
                self.take(child, is_quoted=is_quoted)
                if kind == "array":
                    self._flush()
        elif kind in ("simple_expansion", "expansion"):
            self._take_variable(node, text, is_quoted=is_quoted)
        elif kind == "command_substitution":
            flow = self._shell.output_of(node)
            self._sources += flow.sources
            self._take_value(
                flow.text.rstrip("\n") if flow.text is not None else text, flow.text is not None, is_quoted
            )
        elif kind == "process_substitution":
            flow = self._shell.output_of(node)
            self._sources += flow.sources
            self._take_value(self._shell.file_of(flow), False, is_quoted)
        elif kind == "arithmetic_expansion":
            self._take_value(text, False, is_quoted)
        else:
            self._text.append(unescape_word(text) if kind in ("word", "ERROR") else text)

    def _take_string(self, node: Any, text: str) -> None:
        """Take a double-quoted string: the tree has its expansions, and the text between them may lack blanks."""
        place, base = 1, node.start_byte
        data = node.text or b""
        for child in node.named_children:
            if child.type == "string_content":
                continue
            between = data[place : child.start_byte - base].decode("utf-8", "surrogateescape")
            self._text.append(re.sub(r'\\([\\"$`\n])', r"\1", between))
            self.take(child, is_quoted=True)
            place = child.end_byte - base
        self._text.append(re.sub(r'\\([\\"$`\n])', r"\1", data[place:-1].decode("utf-8", "surrogateescape")))

    def _take_variable(self, node: Any, text: str, *, is_quoted: bool) -> None:
        match = re.match(r"\$\{?[!#]?([\w@*]+)(?::?[-=]([^}]*))?", text)
        known = self._shell.variable(match[1]) if match else None
        if known is None and match and match[2] is not None:
            known = (match[2], True)
        for child in node.named_children:
            if child.type == "command_substitution":
                self._shell.output_of(child)
        is_list = bool(match and (match[1] == "@" or "[@]" in text))
        self._take_value(known[0] if known else text, bool(known and known[1]), is_quoted and not is_list)

    def _take_value(self, value: str, is_sure: bool, is_quoted: bool) -> None:
        self._is_sure = self._is_sure and is_sure
        fields = value.split() if not is_quoted and is_sure else [value]
        if not is_quoted and is_sure and (len(fields) != 1 or fields[0] != value):
            if value[:1].isspace():
                self._flush()
            for number, field in enumerate(fields):
                self._text.append(field)
                if number < len(fields) - 1:
                    self._flush()
            if value[-1:].isspace():
                self._flush()
        else:
            self._text.append(value)

    def _flush(self) -> None:
        text = "".join(self._text)
        if text or self._is_quoted:
            self._done.append(Word(text, self._is_sure, self._is_quoted, self._sources))
        self._text, self._is_quoted = [], False

    def finish(self) -> list[Word]:
        """Return the words."""
        self._flush()
        return self._done
