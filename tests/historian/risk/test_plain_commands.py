"""Commands that are nothing but words: the grammar would make the same of them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from historian.risk.grammar import open_parser
from historian.risk.rules import package_rules
from historian.risk.shell_words import _ODD, plain_words

WORD = st.text("abzAZ019_./:@%+,-", min_size=1, max_size=6)


def parsed_words(text: str) -> list[str] | None:
    """Return the words of the one command that the grammar finds, None where it finds anything else."""
    root = open_parser().parse(text.encode()).root_node
    kinds = [child.type for child in root.named_children]
    if root.has_error or kinds != ["command"]:
        return None
    found = []
    for child in root.named_children[0].named_children:
        (part,) = child.named_children if child.type == "command_name" else [child]
        if part.type not in ("word", "number") or part.text is None:
            return None
        found.append(part.text.decode())
    return found


@given(first=st.from_regex(r"[a-z][abzAZ019_./:@%+,-]{0,6}", fullmatch=True), others=st.lists(WORD, max_size=5))
def test_plain_words_are_those_of_the_grammar(first: str, others: list[str]) -> None:
    text = " ".join((first, *others))
    words = [word.text for word in plain_words(text)]
    assert words == [] or words == parsed_words(text)
    assert words or first.isalpha() or not _ODD.isdisjoint(first)


def test_every_program_of_the_rules_is_read_as_by_the_grammar() -> None:
    shell = "if then elif else fi for while until do done case esac in select function time coproc let test exec eval"
    names = {*package_rules().commands, *shell.split(), "declare", "local", "readonly", "typeset", "unset", "unsetenv"}
    for name in names:
        for text in (name, f"{name} a", f"{name} -f if then", f"{name} --x in do 1 c.d"):
            words = [word.text for word in plain_words(text)]
            assert words in ([], parsed_words(text)), text
            assert words or parsed_words(text) is None or not re.fullmatch(r"[a-z][\w./-]*", name), text


@pytest.mark.parametrize(
    "text",
    ["", " ls", "ls ", "ls  a", "ls\ta", "ls\n", "Ls", "_x", "A=1 ls", "ls a=b", "ls $x", "ls *.py", "ls ~", "ls a;b",
     "ls 'a'", 'ls "a"', "ls a\\b", "ls é", "ls a|b", "ls a&", "ls >a", "ls {a,b}", "ls a#b", "ls !a", "ls a?",
     "ls [a]", "export a", "unset a", "a@b c"],
)  # fmt: skip
def test_what_a_shell_reads_otherwise_is_not_plain(text: str) -> None:
    assert plain_words(text) == []
