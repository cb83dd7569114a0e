"""What is expected to be needed loads while a program works, and nowhere else."""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path

import pytest

from chronos import lazy
from chronos.lazy import expect
from chronos.process import find_program, run

SLOW = ["/usr/bin/timeout", "20", "/bin/sh", "-c", "read line < gate; echo said"]


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Write a module that opens the gate that SLOW waits at, and return its name.

    Threads that other tests have left do not count.
    """
    count, others = threading.active_count, threading.active_count() - 1
    monkeypatch.setattr(threading, "active_count", lambda: max(1, count() - others))
    name = f"loaded_ahead_{time.monotonic_ns()}"
    (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'gate')!r}, 'w').write('go\\n')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(lazy, "_expected", [])
    return name


def test_a_program_works_while_what_is_expected_loads(module: str, tmp_path: Path, sealed: dict[str, str]) -> None:
    os.mkfifo(tmp_path / "gate")
    expect(module)
    assert run(SLOW, environment=sealed, cwd=tmp_path).stdout == b"said\n"
    assert module in sys.modules


def test_nothing_loads_beside_another_thread(module: str, tmp_path: Path, sealed: dict[str, str]) -> None:
    expect(module)
    done = threading.Event()
    other = threading.Thread(target=done.wait)
    other.start()
    try:
        run(["/bin/sh", "-c", "sleep 0.05"], environment=sealed, cwd=tmp_path)
        assert module not in sys.modules
    finally:
        done.set()
        other.join()
    run(["/bin/sh", "-c", "sleep 0.05"], environment=sealed, cwd=tmp_path)
    assert module in sys.modules


def test_a_program_that_has_answered_is_not_kept_waiting(module: str, tmp_path: Path, sealed: dict[str, str]) -> None:
    slow, later = module, f"{module}_later"
    (tmp_path / f"{slow}.py").write_text("import time\ntime.sleep(0.3)\n")
    (tmp_path / f"{later}.py").write_text("")
    expect(slow, later)
    run(["/bin/echo"], environment=sealed, cwd=tmp_path)
    assert later not in sys.modules


def test_what_this_python_does_not_have_is_no_matter(module: str, tmp_path: Path, sealed: dict[str, str]) -> None:
    os.mkfifo(tmp_path / "gate")
    expect(f"{module}_that_is_not_there", module)
    assert run(SLOW, environment=sealed, cwd=tmp_path).stdout == b"said\n"


def test_what_cannot_be_loaded_leaves_no_program_behind(module: str, tmp_path: Path, sealed: dict[str, str]) -> None:
    (tmp_path / f"{module}.py").write_text("raise ValueError('broken')\n")
    expect(module)
    with pytest.raises(ValueError, match="broken"):
        run(["/bin/sh", "-c", "sleep 20"], environment=sealed, cwd=tmp_path)


def test_a_program_is_found_in_absolute_folders_alone(tmp_path: Path) -> None:
    (tmp_path / "folder" / "tool").mkdir(parents=True)
    plain = tmp_path / "plain"
    plain.mkdir()
    (plain / "tool").write_text("")
    tool = tmp_path / "tools" / "tool"
    tool.parent.mkdir()
    tool.write_text("#!/bin/sh\n")
    tool.chmod(0o755)
    path = f"relative::{tmp_path / 'gone'}:{tmp_path / 'folder'}:{plain}:{tool.parent}"
    assert find_program("tool", path) == str(tool)
    assert find_program("tool", f"relative:{plain}") is None
