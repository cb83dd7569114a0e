"""Operations with the level that they have: what destroys, what changes, what reads, however it is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from historian.risk import Assessor, Operation, OperationKind

FOLDER = Path(__file__).parent
ASSESSOR = Assessor()


def read(name: str) -> list[list[str]]:
    return [line.split("\t") for line in (FOLDER / name).read_text("utf-8").splitlines() if line]


@pytest.mark.parametrize("level", ["low", "medium", "high"])
def test_each_operation_has_its_level(level: str) -> None:
    wanted = [text.replace("\\n", "\n") for label, text in read("labelled.txt") if label == level]
    assert len(wanted) > 100
    others = {text: found for text in wanted if (found := ASSESSOR.assess(text).level.value) != level}
    assert others == {}


@pytest.mark.parametrize("level", ["low", "medium", "high"])
@pytest.mark.parametrize("kind", [OperationKind.SHELL, OperationKind.SQL])
def test_each_command_and_statement_of_a_known_kind_has_its_level(kind: OperationKind, level: str) -> None:
    wanted = [text.replace("\\n", "\n") for *said, text in read("labelled_commands.txt") if said == [kind, level]]
    assert len(wanted) > 30
    found = {text: ASSESSOR.assess(Operation(text=text, kind=kind)).level.value for text in wanted}
    assert {text: got for text, got in found.items() if got != level} == {}
