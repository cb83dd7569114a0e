"""A project, a home and an installation of ours, with one `Settings` to set agents up in them."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from skills.agent_setup import AGENTS, Agent, AgentSetup, Part, PartStatus, Programs, Scope, SetupPlan, Written, look_at

BOTH = (Part.HOOKS, Part.MCP)


def make_programs(folder: Path) -> Programs:
    """Make an installation: two scripts that can be started."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("chrono", "chrono-hook"):
        (folder / name).write_text("#!/bin/sh\nexit 0\n")
        (folder / name).chmod(0o755)
    return Programs(folder)


@dataclass
class Settings:
    """One agent's settings in one scope."""

    agent: Agent
    scope: Scope
    root: Path
    environment: dict[str, str]
    programs: Programs

    def file(self, part: Part = Part.HOOKS) -> Path:
        return self.agent.file(part, self.scope, self.root, self.environment)

    @property
    def files(self) -> list[Path]:
        return sorted({self.file(part) for part in BOTH})

    @property
    def setup(self) -> AgentSetup:
        return AgentSetup(self.agent, self.scope, self.root, self.environment)

    def plan(self, parts: Collection[Part] = BOTH) -> SetupPlan:
        return self.setup.plan_install(parts, self.programs)

    def install(self, parts: Collection[Part] = BOTH) -> list[Written]:
        return self.plan(parts).execute()

    def uninstall(self, parts: Collection[Part] = BOTH) -> list[Written]:
        return self.setup.plan_uninstall(parts).execute()

    def status(self, part: Part) -> PartStatus:
        return look_at(self.agent, self.scope, part, self.root, self.environment, self.programs)

    def write(self, content: str | bytes, part: Part = Part.HOOKS) -> Path:
        place = self.file(part)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content.encode() if isinstance(content, str) else content)
        return place

    def lines(self, event: str | None = None) -> list[str]:
        """The command lines of all hooks, or of those of one event, as the agent would read them."""
        hooks: dict[str, Any] = json.loads(self.file().read_text("utf-8-sig")).get("hooks", {})
        return [line for name, groups in hooks.items() if event in (None, name) for line in _lines(groups)]


def _lines(groups: Iterable[dict[str, Any]]) -> Iterable[str]:
    for group in groups:
        for hook in group.get("hooks", [group]):
            yield hook.get("command") or hook["bash"]


@pytest.fixture
def world(tmp_path: Path, sealed: dict[str, str]) -> Settings:
    """Claude Code in a project; `replace` it for another agent or scope."""
    root = tmp_path / "project"
    root.mkdir()
    programs = make_programs(tmp_path / "in stalled" / "bin")
    return Settings(AGENTS["claude"], Scope.PROJECT, root, dict(sealed), programs)


@pytest.fixture(params=[f"{name}-{scope.value}" for name in AGENTS for scope in Scope])
def settings(request: pytest.FixtureRequest, world: Settings) -> Settings:
    """Each agent in each scope."""
    name, scope = request.param.split("-")
    return Settings(AGENTS[name], Scope(scope), world.root, world.environment, world.programs)


def snapshot(*folders: Path) -> dict[str, bytes]:
    """Return all files below some folders with their content."""
    found = {}
    for folder in folders:
        for place, _, names in os.walk(folder):
            found.update({os.path.join(place, name): Path(place, name).read_bytes() for name in names})
    return found
