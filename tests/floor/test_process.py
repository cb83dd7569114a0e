"""Programs in the foreground."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from chronos.process import run_in_foreground


def test_a_signal_that_comes_while_the_program_is_being_started_is_passed_on(
    tmp_path: Path, sealed: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    start = subprocess.Popen

    def start_and_be_told(*arguments: Any, **options: Any) -> subprocess.Popen[bytes]:
        child = start(*arguments, **options)
        os.kill(os.getpid(), signal.SIGTERM)
        return child

    with monkeypatch.context() as patch:
        patch.setattr(subprocess, "Popen", start_and_be_told)
        ended = run_in_foreground(["sleep", "20"], environment=sealed, cwd=tmp_path)
    assert ended.code == 128 + signal.SIGTERM
