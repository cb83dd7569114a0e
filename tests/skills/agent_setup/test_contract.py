"""What holds for every agent in both scopes: what an install puts in, and that nothing else ever changes."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest

from chronos.errors import ChangedMeanwhileError, TargetExistsError
from skills.agent_hooks import registrations
from skills.agent_setup import AGENTS, Part, Scope, State
from tests.skills.agent_setup.conftest import BOTH, Settings, make_programs, snapshot

FOREIGN = {
    "claude": {"hooks": {"Stop": [{"hooks": [{"type": "command", "command": "say done"}]}]}, "model": "opus"},
    "codex": {"hooks": {"Stop": [{"hooks": [{"type": "command", "command": "say done", "timeout": 5}]}]}},
    "gemini": {
        "ui": {"theme": "GitHub"},
        "hooks": {"AfterAgent": [{"matcher": "*", "hooks": [{"command": "say done"}]}]},
    },
    "cursor": {"version": 1, "hooks": {"stop": [{"command": "say done"}]}},
    "copilot": {"version": 1, "hooks": {"Stop": [{"type": "command", "bash": "say done"}]}},
}
DOCS = Path(__file__).resolve().parents[3] / "docs/agents.md"
TOML = '# mine\nmodel = "gpt-6"\n\n[mcp_servers.other]  # theirs\ncommand = "x"\n# the last word\n'


def servers(settings: Settings) -> dict[str, Any]:
    place = settings.file(Part.MCP)
    text = place.read_text("utf-8")
    data = tomllib.loads(text) if place.suffix == ".toml" else json.loads(text)
    found: dict[str, Any] = data[settings.agent.servers_key]
    return found


def write_foreign(settings: Settings, indent: int | str | None = 3) -> None:
    """Put settings of somebody else into all files of the agent."""
    if settings.file(Part.MCP) != settings.file():
        other = json.dumps({"mcpServers": {"other": {"command": "x", "env": {"A": "b"}}}}, indent=indent)
        settings.write(TOML if settings.file(Part.MCP).suffix == ".toml" else other, Part.MCP)
    settings.write(json.dumps(FOREIGN[settings.agent.name], indent=indent))


def test_an_install_tells_our_hook_of_prompts_tools_and_ends(settings: Settings) -> None:
    settings.install()
    script = str(settings.programs.folder / "chrono-hook")
    for event in settings.agent.events:
        (line,) = settings.lines(event)
        assert shlex.split(line)[-2:] == [script, settings.agent.name]
    assert len(settings.agent.events) == len(registrations(settings.agent.name)) > 3
    data = json.loads(settings.file().read_text())
    assert {key: data[key] for key in settings.agent.head} == settings.agent.head
    assert {settings.status(part).state for part in BOTH} == {State.INSTALLED}
    assert all(settings.status(part).is_well for part in BOTH) is (settings.agent.name != "codex")


def test_cursor_asks_about_files_with_a_matcher(world: Settings) -> None:
    world.agent = AGENTS["cursor"]
    world.install()
    (hook,) = json.loads(world.file().read_text())["hooks"]["preToolUse"]
    assert "Write" in hook["matcher"].split("|")


def test_an_install_names_the_server(settings: Settings) -> None:
    settings.install([Part.MCP])
    entry = servers(settings)["chronomancer"]
    assert entry["command"] == str(settings.programs.folder / "chrono")
    assert entry["args"][-1] == "mcp"
    assert settings.status(Part.HOOKS).state is State.ABSENT or settings.file() == settings.file(Part.MCP)


def test_a_second_install_does_nothing(settings: Settings) -> None:
    write_foreign(settings)
    settings.install()
    before = snapshot(settings.root, Path(settings.environment["HOME"]))
    plan = settings.plan()
    assert not plan.is_needed
    assert plan.execute() == []
    assert snapshot(settings.root, Path(settings.environment["HOME"])) == before


@pytest.mark.parametrize("content", [None, b"", b"{}", b"{ }\n", b"{\n}", b'\xef\xbb\xbf{\r\n  "a" : [1,2 ]\r\n}\r\n'])
def test_an_uninstall_gives_back_the_very_bytes(settings: Settings, content: bytes | None) -> None:
    for part in BOTH:
        is_toml = settings.file(part).suffix == ".toml"
        if content is not None and not is_toml:
            settings.write(content, part)
        elif content is not None:
            settings.write(TOML.rstrip().replace("\n", "\r\n"), part)
    before = snapshot(settings.root)
    settings.install()
    settings.uninstall([Part.MCP])
    assert settings.status(Part.HOOKS).state is State.INSTALLED
    settings.uninstall([Part.HOOKS])
    assert snapshot(settings.root) == before
    assert not settings.setup.plan_uninstall(BOTH).is_needed


@pytest.mark.parametrize("indent", [None, 2, "\t"])
def test_what_others_wrote_stays_byte_for_byte(settings: Settings, indent: int | str | None) -> None:
    write_foreign(settings, indent)
    before = {path: path.read_bytes() for path in settings.files}
    settings.install()
    assert settings.lines(next(iter(FOREIGN[settings.agent.name]["hooks"])))[0] == "say done"
    assert servers(settings)["chronomancer"]
    backups = Path(settings.environment["HOME"], ".local/state/chronomancer/agents")
    assert sorted(before.values()) == sorted(
        path.read_bytes() for path in backups.rglob("*") if path.is_file() and path.name != "record.json"
    )
    for record in backups.rglob("record.json"):  # without it, an uninstall has only the text to go by
        record.unlink()
    settings.uninstall()
    assert {path: path.read_bytes() for path in settings.files} == before


def test_an_uninstall_keeps_later_edits(settings: Settings) -> None:
    write_foreign(settings)
    settings.install()
    place = settings.file()
    place.write_text(place.read_text().replace("say done", "say more"))
    settings.uninstall()
    assert settings.lines() == ["say more"]
    assert settings.status(Part.MCP).state is State.ABSENT


def test_another_installation_takes_over_without_doubling(settings: Settings, tmp_path: Path) -> None:
    write_foreign(settings)
    settings.install()
    settings.programs = make_programs(tmp_path / "other")
    assert {settings.status(part).state for part in BOTH} == {State.OTHER}
    written = settings.install()
    assert {row.change.verb for row in written} == {"change"}
    for event in settings.agent.events:
        ours = [line for line in settings.lines(event) if "chrono-hook" in line]
        assert len(ours) == 1
        assert str(tmp_path / "other" / "chrono-hook") in ours[0]
    assert servers(settings)["chronomancer"]["command"] == str(tmp_path / "other" / "chrono")
    assert not settings.plan().is_needed


def test_what_was_tuned_by_hand_stays_tuned(settings: Settings, tmp_path: Path) -> None:
    settings.install()
    place, key, usual = settings.file(), settings.agent.timeout, 60 * settings.agent.per_second
    place.write_text(place.read_text().replace(f'"{key}": {usual}', f'"{key}": 7'))
    assert not settings.plan([Part.HOOKS]).is_needed
    settings.programs = make_programs(tmp_path / "other")
    settings.install([Part.HOOKS])
    assert place.read_text().count(f'"{key}": 7') == len(settings.agent.events)


def test_arguments_of_the_server_that_were_tuned_stay(settings: Settings, tmp_path: Path) -> None:
    settings.install()
    place = settings.file(Part.MCP)
    text = place.read_text()
    end = text.rindex('"mcp"') + len('"mcp"')
    place.write_text(f'{text[:end]}, "--mine"{text[end:]}')
    tuned = servers(settings)["chronomancer"]["args"]
    assert tuned[-2:] == ["mcp", "--mine"]
    assert not settings.plan().is_needed
    settings.programs = make_programs(tmp_path / "other")
    settings.install()
    assert servers(settings)["chronomancer"]["args"] == tuned
    assert servers(settings)["chronomancer"]["command"] == str(tmp_path / "other" / "chrono")


def test_a_server_of_somebody_else_with_our_name_is_refused(settings: Settings) -> None:
    is_toml = settings.file(Part.MCP).suffix == ".toml"
    settings.write(
        '[mcp_servers.chronomancer]\ncommand = "date-server"\n'
        if is_toml else '{"mcpServers": {"chronomancer": {"url": "https://x.invalid"}}}', Part.MCP,
    )  # fmt: skip
    before = snapshot(settings.root, Path(settings.environment["HOME"]))
    with pytest.raises(TargetExistsError, match="another MCP server"):
        settings.plan()
    assert not settings.setup.plan_uninstall([Part.MCP]).is_needed
    assert settings.status(Part.MCP).state is State.OWN
    assert snapshot(settings.root, Path(settings.environment["HOME"])) == before


def test_a_file_that_changed_after_the_plan_is_not_touched(settings: Settings) -> None:
    plan = settings.plan()
    settings.write('{"mine": 1}')
    before = snapshot(settings.root, Path(settings.environment["HOME"]))
    with pytest.raises(ChangedMeanwhileError):
        plan.execute()
    assert snapshot(settings.root, Path(settings.environment["HOME"])) == before


def test_missing_scripts_are_said(settings: Settings) -> None:
    settings.install()
    (settings.programs.folder / "chrono-hook").unlink()
    (settings.programs.folder / "chrono").write_text("#!/nowhere/python\n")
    assert settings.status(Part.HOOKS).problem.endswith("chrono-hook is not there")
    assert "needs /nowhere/python, which is not there" in settings.status(Part.MCP).problem


def test_a_half_installed_agent_is_incomplete_and_is_completed(settings: Settings) -> None:
    settings.install()
    place = settings.file()
    data = json.loads(place.read_text())
    del data["hooks"][settings.agent.events[1]]
    place.write_text(json.dumps(data))
    found = settings.status(Part.HOOKS)
    assert found.state is State.INCOMPLETE
    assert settings.agent.events[1] in found.problem
    settings.install()
    assert settings.status(Part.HOOKS).state is State.INSTALLED


def test_hooks_of_both_scopes_are_warned_of(world: Settings) -> None:
    for agent in AGENTS.values():
        mine = Settings(agent, Scope.USER, world.root, world.environment, world.programs)
        mine.install()
        theirs = Settings(agent, Scope.PROJECT, world.root, world.environment, world.programs)
        assert any("told twice" in warning for warning in theirs.plan().warnings)


def test_an_agent_that_reads_another_s_hooks_is_warned_of(world: Settings) -> None:
    world.install()
    copilot = Settings(AGENTS["copilot"], Scope.PROJECT, world.root, world.environment, world.programs)
    (warning,) = copilot.plan().warnings[:1]
    assert warning.startswith(f"Copilot CLI runs the hooks in {world.file()} too")


def test_the_settings_in_the_docs_are_those_that_an_install_writes(world: Settings) -> None:
    text = DOCS.read_text("utf-8").partition("### By hand")[2].partition("### The plugin")[0]
    blocks = re.findall(r"```(json|toml)\n(.*?)```", text, re.DOTALL)
    shown = [json.loads(block) if kind == "json" else tomllib.loads(block) for kind, block in blocks]
    written = []
    for agent in AGENTS.values():
        one = Settings(agent, Scope.PROJECT, world.root, world.environment, world.programs)
        one.install()
        for path in dict.fromkeys(one.file(part) for part in BOTH):
            content = path.read_text().replace(
                f"'{world.programs.folder}/chrono-hook'", "/opt/chronomancer/bin/chrono-hook"
            )
            content = content.replace(str(world.programs.folder), "/opt/chronomancer/bin")
            written.append(json.loads(content) if path.suffix == ".json" else tomllib.loads(content))
    assert len(shown) == len(written) == 9
    for some, whole in zip(shown, written, strict=True):
        if "hooks" in some:
            events = whole.pop("hooks")
            for event, hooks in some.pop("hooks").items():
                assert hooks == events[event]
        assert some == whole
