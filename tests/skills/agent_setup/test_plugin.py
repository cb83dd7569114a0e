"""The plugin folder has the shape that Claude Code documents, and is copied out with the paths of an installation."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from chronos.errors import TargetNotEmptyError
from skills.actions import ACTIONS
from skills.agent_setup import AGENTS, plan_plugin
from tests.skills.agent_setup.conftest import Settings, make_programs, snapshot

PROJECT = Path(__file__).resolve().parents[3]
PLUGIN = PROJECT / "skills/plugins/claude-code"


# From code.claude.com/docs/en/plugins-reference, plugin-marketplaces, hooks, mcp and skills: no more keys than these.


class Author(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    email: str = ""
    url: str = ""


class Manifest(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    version: str = ""
    description: str = ""
    author: Author | None = None
    homepage: str = ""
    repository: str = ""
    license: str = ""
    keywords: list[str] = []


class Listed(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    source: str
    description: str = ""


class Marketplace(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    owner: Author
    plugins: list[Listed]
    description: str = ""


class Command(msgspec.Struct, forbid_unknown_fields=True, tag_field="type", tag="command"):
    command: str
    timeout: float = 60


class Group(msgspec.Struct, forbid_unknown_fields=True):
    hooks: list[Command]
    matcher: str = ""


class HooksFile(msgspec.Struct, forbid_unknown_fields=True):
    hooks: dict[str, list[Group]]
    description: str = ""


class Server(msgspec.Struct, forbid_unknown_fields=True):
    command: str
    args: list[str] = []
    env: dict[str, str] = {}


class Servers(msgspec.Struct, forbid_unknown_fields=True):
    mcpServers: dict[str, Server]  # noqa: N815 - as the file has it


def check(folder: Path) -> tuple[HooksFile, Servers]:
    """Read the whole plugin as Claude Code would, strictly."""
    manifest = msgspec.json.decode((folder / ".claude-plugin/plugin.json").read_bytes(), type=Manifest)
    market = msgspec.json.decode((folder / ".claude-plugin/marketplace.json").read_bytes(), type=Marketplace)
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", manifest.name)
    assert [(one.name, one.source) for one in market.plugins] == [(manifest.name, "./")]
    assert {path.name for path in (folder / ".claude-plugin").iterdir()} == {"plugin.json", "marketplace.json"}
    project: Any = tomllib.loads((PROJECT / "pyproject.toml").read_text())
    assert manifest.version == project["project"]["version"]
    hooks = msgspec.json.decode((folder / "hooks/hooks.json").read_bytes(), type=HooksFile)
    assert tuple(hooks.hooks) == AGENTS["claude"].events
    servers = msgspec.json.decode((folder / ".mcp.json").read_bytes(), type=Servers)
    assert list(servers.mcpServers) == ["chronomancer"]
    for skill in (folder / "skills").iterdir():
        head, _, body = (skill / "SKILL.md").read_text().removeprefix("---\n").partition("\n---\n")
        fields = dict(line.split(": ", 1) for line in head.splitlines())
        assert fields.keys() == {"name", "description"}
        assert fields["name"] == skill.name
        assert len(fields["description"]) <= 1024
        assert len(body.splitlines()) < 500
    return hooks, servers


def test_the_folder_in_the_package_has_the_documented_shape() -> None:
    hooks, servers = check(PLUGIN)
    lines = {hook.command for groups in hooks.hooks.values() for group in groups for hook in group.hooks}
    assert lines == {"chrono-hook claude"}
    assert servers.mcpServers["chronomancer"] == Server("chrono", ["mcp"])


def test_all_of_it_is_in_the_package_data() -> None:
    project: Any = tomllib.loads((PROJECT / "pyproject.toml").read_text())
    patterns = project["tool"]["setuptools"]["package-data"]["skills"]
    packed = {path for pattern in patterns for path in (PROJECT / "skills").glob(pattern)}
    assert {path for path in PLUGIN.rglob("*") if path.is_file()} <= packed


def test_a_copy_names_the_scripts_of_the_installation(world: Settings, tmp_path: Path) -> None:
    folder = tmp_path / "plugin"
    plan = plan_plugin(folder, world.programs, world.environment)
    assert any("--plugin-dir" in step for step in plan.steps)
    assert not plan.overwrites
    plan.execute()
    hooks, servers = check(folder)
    lines = {hook.command for groups in hooks.hooks.values() for group in groups for hook in group.hooks}
    assert lines == {f"'{world.programs.folder}/chrono-hook' claude"}
    assert servers.mcpServers["chronomancer"].command == f"{world.programs.folder}/chrono"
    assert not plan_plugin(folder, world.programs, world.environment).is_needed
    again = plan_plugin(folder, make_programs(tmp_path / "other"), world.environment)
    assert sorted(change.path.name for change in again.changes if change.is_needed) == [".mcp.json", "hooks.json"]
    assert again.overwrites


def test_a_folder_with_something_else_is_refused(world: Settings, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/a.txt").write_text("a")
    before = snapshot(tmp_path / "mine")
    with pytest.raises(TargetNotEmptyError):
        plan_plugin(tmp_path / "mine", world.programs, world.environment)
    assert snapshot(tmp_path / "mine") == before


def test_the_skill_names_only_tools_that_exist() -> None:
    text = (PLUGIN / "skills/chronomancer/SKILL.md").read_text()
    named = set(re.findall(r"`([a-z]+(?:_[a-z]+)*)`", text)) - {"chronomancer"}
    assert len(named) > 10
    assert named <= {action.name for action in ACTIONS}
