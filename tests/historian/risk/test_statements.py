"""SQL: what cannot be parsed says so, what is dropped is named, and what is only written out reads."""

from __future__ import annotations

import pytest

from historian.risk import Assessor, Operation, OperationKind, RiskAssessment

ASSESSOR = Assessor()


def assess(text: str) -> RiskAssessment:
    return ASSESSOR.assess(Operation(text=text, kind=OperationKind.SQL))


@pytest.mark.parametrize(
    "text",
    [
        "SELEC * FORM t", "DEL ETE FRM t", "SELECT * FORM t", "SELECT FROM WHERE", "SELECT * FROM t WHRE x = 1",
        "WITH x AS (SELECT", "frobnicate", "SELECT 1; SELEC 2", "SELECT 1; SELECT * FORM t",
    ],
)  # fmt: skip
def test_what_cannot_be_parsed_says_so_and_is_never_low(text: str) -> None:
    found = assess(text)
    assert found.level.value == "medium"
    assert any("cannot be parsed" in reason for reason in found.reasons)


def test_a_statement_that_cannot_be_parsed_does_not_hide_the_others() -> None:
    found = assess("SELEC * FORM t; DROP TABLE y")
    assert found.level.value == "high"
    assert any("cannot be parsed" in reason for reason in found.reasons)
    assert [target.what for target in found.targets] == ["y"]


@pytest.mark.parametrize("text", ["SHOW TABLES", "SELECT 1", "LIST @stage", "VACUUM", "CALL f()", "EXPLAIN SELECT 1"])
def test_what_is_known_by_its_first_word_is_not_said_to_be_unparsed(text: str) -> None:
    assert not any("cannot be parsed" in reason for reason in assess(text).reasons)


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("COPY t TO STDOUT", "low"),
        ("copy t (a, b) to stdout with csv header", "low"),
        ("COPY (SELECT a FROM t WHERE b = 1) TO STDOUT", "low"),
        ("COPY (DELETE FROM t RETURNING *) TO STDOUT", "high"),
        ("COPY (DELETE FROM t WHERE a = 1 RETURNING *) TO STDOUT", "medium"),
        ("COPY (SELECT lo_unlink(1)) TO STDOUT", "high"),
        ("COPY t FROM STDIN", "medium"),
        ("COPY t TO '/tmp/x.csv'", "medium"),
        ("COPY t TO PROGRAM 'cat'", "high"),
    ],
)
def test_a_copy_to_standard_output_only_reads(text: str, level: str) -> None:
    assert assess(text).level.value == level


@pytest.mark.parametrize(
    ("text", "reason", "targets"),
    [
        ("ALTER TABLE t DROP COLUMN b", "drops column b of t", ["t"]),
        ("ALTER TABLE t DROP COLUMN IF EXISTS b CASCADE", "drops column b of t", ["t"]),
        ("ALTER TABLE t DROP COLUMN b, DROP COLUMN c", "drops column c of t", ["t"]),
        ("ALTER TABLE t DROP CONSTRAINT c", "drops constraint c of t", ["t"]),
        ("DROP TABLE a, b", "drops table a, b", ["a", "b"]),
        ("DROP INDEX i", "drops index i", ["i"]),
    ],
)
def test_what_is_dropped_is_named(text: str, reason: str, targets: list[str]) -> None:
    found = assess(text)
    assert reason in found.reasons
    assert [target.what for target in found.targets] == targets
