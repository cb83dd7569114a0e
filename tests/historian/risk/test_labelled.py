"""Operations with the level that they have: what destroys, what changes, what reads, however it is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from historian.risk import Assessor

CASES = [
    tuple(line.split("\t", 1))
    for line in (Path(__file__).parent / "labelled.txt").read_text("utf-8").splitlines()
    if line
]
ASSESSOR = Assessor()


@pytest.mark.parametrize("level", ["low", "medium", "high"])
def test_each_operation_has_its_level(level: str) -> None:
    wanted = [text.replace("\\n", "\n") for label, text in CASES if label == level]
    assert len(wanted) > 100
    others = {text: found for text in wanted if (found := ASSESSOR.assess(text).level.value) != level}
    assert others == {}
