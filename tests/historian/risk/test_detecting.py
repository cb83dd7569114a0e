"""Which kind a plain text is: keywords of a shell and comments are no sentence, and sentences are no command."""

from __future__ import annotations

import pytest

from historian.risk import Assessor, OperationKind

ASSESSOR = Assessor()


@pytest.mark.parametrize(
    "text",
    [
        "if true; then rm a.txt; fi",
        "if true\nthen\n  rm a.txt\nfi",
        "while sleep 1; do rm a.txt; done",
        "until false; do rm a.txt; done",
        "for one in a b; do rm a.txt; done",
        "select one in a b; do rm a.txt; done",
        "case x in x) rm a.txt;; esac",
        "# tidy up\nif true; then rm a.txt; fi",
        "# rm -rf /\nrm a.txt",
    ],
)
def test_a_compound_command_is_shell_and_names_what_it_hits(text: str) -> None:
    found = ASSESSOR.assess(text)
    assert found.kind is OperationKind.SHELL
    assert found.level.value == "high"
    assert [target.what for target in found.targets] == ["a.txt"]


@pytest.mark.parametrize(
    "text", ["# rm -rf /", "#rm -rf /", "# only a note", "#!/bin/sh", "# one\n\n  # two\n", "# rm -rf /\nls", "#"]
)
def test_a_comment_does_nothing(text: str) -> None:
    found = ASSESSOR.assess(text)
    assert found.kind is OperationKind.SHELL
    assert found.level.value == "low"
    assert found.reasons[0] != ""


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("if the test fails, then remove the table", "high"),
        ("If it is true; then drop the database", "high"),
        ("for each of the users do a backup", "medium"),
        ("#1234: drop the users table", "high"),
        ("# Task\nDrop the users table", "high"),
        ("# Drop the users table\nAs agreed with the owner of it.", "high"),
    ],
)
def test_a_sentence_stays_words(text: str, level: str) -> None:
    assert ASSESSOR.assess(text).level.value == level
