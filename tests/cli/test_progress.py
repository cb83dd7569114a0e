"""The progress bar: silent for a second, then on standard error."""

from __future__ import annotations

import pytest

from chronos.cli.progress import ProgressBar
from tests.cli.conftest import Program

SLOW_WORK = """
import sys
from chronos.cli import progress
bar = progress.ProgressBar()
progress.time.monotonic = lambda real=progress.time.monotonic: real() + 2
for done in range(1, 51):
    bar(done, 100)
bar.close()
print("the end")
"""


def test_nothing_is_shown_during_the_first_second(capsys: pytest.CaptureFixture[str]) -> None:
    bar = ProgressBar()
    for done in range(100):
        bar(done, 100)
    bar.close()
    assert capsys.readouterr() == ("", "")


def test_longer_work_shows_a_bar_on_a_terminal_and_takes_it_away(chrono: Program) -> None:
    shown = chrono.python_on_terminal(SLOW_WORK).out
    assert "%" in shown
    assert "working" in shown
    assert shown.endswith("the end\n")


def test_short_work_shows_no_bar(chrono: Program) -> None:
    chrono.create("one")
    (chrono.folder / "a.txt").write_text("damaged\n")
    assert "working" not in chrono.on_terminal("checkpoint", "restore", "one", "--yes").out
