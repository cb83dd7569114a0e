"""Setting an agent up, killed at each call that changes a settings file or its copy: old or new, and repaired."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from skills.agent_setup import AGENTS, AgentSetup, Part, Programs, Scope
from tests.faults.harness import KILL, KILL_AFTER, Killpoint
from tests.support import RepoBuilder

INSTALL = """
import os
from pathlib import Path
from skills.agent_setup import AGENTS, AgentSetup, Part, Programs, Scope
setup = AgentSetup(AGENTS["claude"], Scope.PROJECT, Path.cwd(), dict(os.environ))
setup.plan_install(list(Part), Programs(Path(os.environ["SCRIPTS"]))).execute()
"""
OURS = (".claude", ".mcp.json", "chronomancer/agents")
OLD = {
    ".claude/settings.local.json": b'{"mine": [1, 2]} // mine\n',
    ".mcp.json": b'{\n  "mcpServers": {"other": {}}\n}\n',
}


@pytest.mark.parametrize("action", [KILL, KILL_AFTER])
def test_a_kill_leaves_old_or_new_settings(
    killpoint: Killpoint, repo: RepoBuilder, tmp_path: Path, action: str
) -> None:
    scripts, state = tmp_path / "bin", tmp_path / "state"
    scripts.mkdir()
    for name in ("chrono", "chrono-hook"):
        (scripts / name).write_text("#!/bin/sh\n")
        (scripts / name).chmod(0o755)
    for name, content in OLD.items():
        repo.write(name, content)
    repo.path(".mcp.json").chmod(0o640)
    environment = {
        **repo.environment, "PYTHONPATH": str(Path(__file__).resolve().parents[2]), "PYTHONDONTWRITEBYTECODE": "1",
        "XDG_STATE_HOME": str(state), "SCRIPTS": str(scripts),
    }  # fmt: skip
    setup = AgentSetup(AGENTS["claude"], Scope.PROJECT, repo.root, environment)

    def trace(point: int = 0) -> list[int]:
        for name, content in OLD.items():
            repo.path(name).write_bytes(content)
        shutil.rmtree(state, ignore_errors=True)
        settings = {"point": point, "action": action} if point else {}
        argv = [sys.executable, "-c", INSTALL]
        done = killpoint.run(argv, cwd=repo.root, environment=environment, **settings)  # type: ignore[arg-type]
        assert point or done.exit_code == 0, done.stderr
        return [one.number for one in done.calls if any(part in one.target for part in OURS)]

    def read() -> dict[str, bytes]:
        return {name: repo.path(name).read_bytes() for name in OLD}

    points = trace()
    new = read()
    assert len(points) >= 10
    assert all(new[name] != OLD[name] for name in OLD)
    for point in points:
        trace(point)
        found = read()
        assert all(found[name] in (OLD[name], new[name]) for name in OLD)
        setup.plan_install(list(Part), Programs(scripts)).execute()
        assert read() == new
        assert repo.path(".mcp.json").stat().st_mode & 0o777 == 0o640
        setup.plan_uninstall(list(Part)).execute()
        assert read() == OLD
        assert [path.name for path in repo.path(".claude").iterdir()] == ["settings.local.json"]
