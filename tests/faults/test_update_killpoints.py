"""`chrono update`, killed at each call that changes something in the tree, leaves the old file or the new one."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from tests.faults.harness import KILL, KILL_AFTER, Killpoint
from tests.support import RepoBuilder

JUDGING = Path(__file__).resolve().parents[1] / "historian/guard/judging.py"
OLD, NEW = b"old\n" * 5000, b"new content\n" * 9000


@pytest.mark.parametrize("action", [KILL, KILL_AFTER])
def test_a_kill_leaves_the_old_file_or_the_new_one(killpoint: Killpoint, repo: RepoBuilder, action: str) -> None:
    repo.write("sub/a.txt", OLD)
    repo.write("input", NEW)
    repo.path("sub/a.txt").chmod(0o750)
    repo.commit()
    # Without compiled modules being written, all runs make the same calls.
    environment = {**repo.environment, "PYTHONPATH": str(JUDGING.parents[3]), "PYTHONDONTWRITEBYTECODE": "1"}
    prepared = repo.root.with_name("prepared")
    shutil.copytree(repo.root, prepared, symlinks=True)
    argv = [sys.executable, str(JUDGING), "update", "sub/a.txt", "--with", "input"]

    def trace(root: Path, point: int = 0) -> list[int]:
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(prepared, root, symlinks=True)
        settings = {"point": point, "action": action} if point else {}
        done = killpoint.run(argv, cwd=root, environment=environment, **settings)  # type: ignore[arg-type]
        assert point or done.exit_code == 0, done.stderr
        return [one.number for one in done.calls if "sub/" in one.target or ".chronos-" in one.target]

    points = trace(repo.root)
    assert (repo.root / "sub/a.txt").read_bytes() == NEW
    assert len(points) >= 3
    found = set()
    for point in points:
        trace(repo.root, point)
        place = repo.root / "sub/a.txt"
        found.add(place.read_bytes())
        assert found <= {OLD, NEW}
        assert place.stat().st_mode & 0o777 == 0o750
        again = killpoint.run(argv, cwd=repo.root, environment=environment)
        assert (again.exit_code, place.read_bytes()) == (0, NEW), again.stderr
        assert [path.name for path in place.parent.iterdir()] == ["a.txt"]
    assert found == ({OLD, NEW} if action == KILL_AFTER else {OLD})  # the last such call is the rename
