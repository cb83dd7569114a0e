"""Settings that cannot be read or written: a clear error with the place and a hint, and nothing is touched."""

from __future__ import annotations

import json
import os
import sys
import sysconfig
from pathlib import Path

import pytest

from chronos.errors import BadConfigError, ChronosError, RefusedError, StateError, StorageError, UnsupportedError
from skills.agent_setup import AGENTS, Part, Programs, Scope, State
from tests.skills.agent_setup.conftest import BOTH, Settings, make_programs, snapshot

DEEP = "[" * 5000 + "]" * 5000
BROKEN = [
    ('{"a": 1,,}', "line 1, column 9: a text in double quotes is missing"),
    ('{\n  "a": 1\n  "b": 2\n}', "line 3, column 3: a comma or } is missing"),
    ('{"a": 1', "line 1, column 8: it ends too early"),
    ('{"a" 1}', "line 1, column 6: a colon is missing"),
    ("{} {}", "line 1, column 4: something stands after the end"),
    ('{"a": tru}', "line 1, column 7: a value is missing"),
    ('{"a": "x\ny"}', "a text in double quotes is missing or does not end"),
    ('{"a": "\\x"}', "escape"),
    ("{ /* no end", "line 1, column 3: a comment does not end"),
    ("[]", "line 1, column 1: the whole of it is a list, not an object"),
    ("null", "null, not an object"),
    ('{"hooks": []}', "line 1, column 11: hooks is a list, not an object"),
    ('{"hooks": null}', "hooks is null, not an object"),
    ('{"hooks": "off"}', "hooks is a text, not an object"),
    ('{"hooks": {},\n "hooks": {}}', "line 2, column 2: hooks is there twice"),
    ('{"hooks": {"Stop": {}}}', "Stop is an object, not a list"),
    ('{"hooks": {"Stop": ["x"]}}', "a hook of Stop is a text, not an object"),
    ('{"hooks": {"Stop": [{"hooks": {}}]}}', "hooks is an object, not a list"),
    ('{"a": ' + DEEP + "}", "nested too deeply"),
    ('{"a": NaN}', "a value is missing"),
    (b"\xff\xfe{\x00}\x00", "UTF-16"),
    (b'{\n"a": "\xe9"}', "line 2: not UTF-8"),
]


@pytest.mark.parametrize(("content", "message"), BROKEN, ids=[message for _, message in BROKEN])
def test_what_cannot_be_read_is_said_with_its_place(world: Settings, content: str | bytes, message: str) -> None:
    place = world.write(content)
    before = snapshot(world.root, Path(world.environment["HOME"]))
    for attempt in (world.plan, lambda: world.setup.plan_uninstall(BOTH)):
        with pytest.raises(BadConfigError) as caught:
            attempt()
        assert message in caught.value.message
        assert str(place) in caught.value.message
        assert "nothing was changed" in caught.value.hint or "save it as UTF-8" in caught.value.hint
    assert world.status(Part.HOOKS).state is State.UNREADABLE
    assert snapshot(world.root, Path(world.environment["HOME"])) == before


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a = \n", "line 1, column 5"), ("[a]\nb = 1\nb = 2\n", "line 3"), ("mcp_servers = 3\n", "no table of tables"),
        ("[mcp_servers]\nchronomancer = 3\n", "no table of tables"), ("a = " + "[" * 3000, "config.toml"),
    ],
)  # fmt: skip
def test_toml_that_cannot_be_read_is_said_with_its_place(world: Settings, content: str, message: str) -> None:
    world.agent = AGENTS["codex"]
    world.write(content, Part.MCP)
    before = snapshot(world.root, Path(world.environment["HOME"]))
    with pytest.raises(BadConfigError, match=message):
        world.plan()
    assert world.status(Part.MCP).state is State.UNREADABLE
    assert snapshot(world.root, Path(world.environment["HOME"])) == before


def test_a_broken_server_file_keeps_the_hooks_from_being_written(world: Settings) -> None:
    world.write("{", Part.MCP)
    with pytest.raises(BadConfigError):
        world.plan()
    assert not world.file().exists()
    world.install([Part.HOOKS])
    assert world.status(Part.HOOKS).state is State.INSTALLED


def test_a_folder_or_pipe_in_the_place_of_a_file_is_said(world: Settings) -> None:
    world.file().mkdir(parents=True)
    with pytest.raises(BadConfigError, match="is a folder"):
        world.plan()
    world.file().rmdir()
    os.mkfifo(world.file())
    with pytest.raises(BadConfigError, match="no plain file"):
        world.plan()
    assert world.status(Part.HOOKS).state is State.UNREADABLE


def test_a_file_in_the_place_of_the_folder_is_said(world: Settings) -> None:
    (world.root / ".claude").write_text("x")
    with pytest.raises(BadConfigError, match=r"\.claude is no folder"):
        world.plan()


def test_a_file_that_is_too_large_is_said(world: Settings) -> None:
    place = world.write("{}")
    with place.open("r+b") as stream:
        stream.truncate(17 * 1024 * 1024)
    with pytest.raises(UnsupportedError, match="larger than"):
        world.plan()


def test_a_large_file_keeps_every_byte(world: Settings) -> None:
    many = ",\n".join(
        f'  "project {number}": {{"history": ["a \\u00e9", {number}.50, null]}}' for number in range(9000)
    )
    place = world.write(f"{{\n{many}\n}}\n")
    before = place.read_bytes()
    world.install([Part.HOOKS])
    assert place.read_bytes().startswith(before[:-4])
    world.uninstall([Part.HOOKS])
    assert place.read_bytes() == before


def test_a_folder_that_cannot_be_written_is_said_before_anything_is(world: Settings) -> None:
    (world.root / ".claude").mkdir()
    plan = world.plan()
    (world.root / ".claude").chmod(0o500)
    if os.access(world.root / ".claude", os.W_OK):
        pytest.skip("this user may write anywhere")
    with pytest.raises(StorageError, match="cannot write into"):
        plan.execute()
    (world.root / ".claude").chmod(0o700)
    assert snapshot(world.root) == {}


def test_a_fault_while_writing_leaves_the_old_file(world: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    place = world.write('{"mine": 1}')
    plan = world.plan()

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", fail)
        with pytest.raises(StorageError, match="No space left"):
            plan.execute()
    assert place.read_text() == '{"mine": 1}'
    assert [path.name for path in place.parent.iterdir()] == [place.name]
    world.install()
    world.uninstall()
    assert place.read_text() == '{"mine": 1}'


def test_links_stay_links_and_modes_stay(world: Settings) -> None:
    world.scope = Scope.USER
    real = Path(world.environment["HOME"], "dotfiles", "claude.json")
    real.parent.mkdir()
    real.write_text('{"mine": 1}')
    real.chmod(0o640)
    world.file().parent.mkdir(parents=True)
    world.file().symlink_to(real)
    world.install()
    assert world.file().is_symlink()
    assert "chrono-hook" in real.read_text()
    assert real.stat().st_mode & 0o777 == 0o640
    world.uninstall()
    assert world.file().is_symlink()
    assert real.read_text() == '{"mine": 1}'


def test_a_link_to_a_file_that_is_not_there_yet_is_written_through(world: Settings) -> None:
    world.scope = Scope.USER
    real = Path(world.environment["HOME"], "dotfiles", "claude.json")
    world.file().parent.mkdir(parents=True)
    world.file().symlink_to(real)
    world.install([Part.HOOKS])
    assert real.is_file()
    assert world.file().is_symlink()


def test_a_link_out_of_the_project_is_refused(world: Settings, tmp_path: Path) -> None:
    outside = tmp_path / "outside.json"
    outside.write_text("{}")
    world.file().parent.mkdir()
    world.file().symlink_to(outside)
    with pytest.raises(RefusedError, match="leads out of the project"):
        world.plan()
    world.file().unlink()
    world.file().symlink_to(world.file().name)
    with pytest.raises(StorageError):
        world.plan()
    assert outside.read_text() == "{}"


def test_missing_scripts_are_an_error_with_a_hint(world: Settings) -> None:
    (world.programs.folder / "chrono-hook").unlink()
    with pytest.raises(StateError, match="chrono-hook is not there") as caught:
        world.plan()
    assert "pipx install" in caught.value.hint
    world.install([Part.MCP])


def test_scripts_are_found_beside_the_interpreter(world: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(world.programs.folder / "python"))
    assert Programs.current() == world.programs
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    monkeypatch.setattr(sysconfig, "get_path", lambda *_: "/nowhere")
    with pytest.raises(StateError, match="no script chrono beside /nowhere/python"):
        Programs.current()


def test_an_installation_that_will_go_is_warned_of(world: Settings) -> None:
    home = Path(world.environment["HOME"])
    for place, is_fleeting in (
        (home / ".cache/uv/archive-v0/x1/bin", True), (home / ".local/share/pipx/venvs/chronomancer/bin", False),
    ):  # fmt: skip
        programs = make_programs(place)
        expected = is_fleeting or str(home).startswith("/tmp/")
        assert Programs(place).is_fleeting is expected
        assert any("temporary" in warning for warning in world.setup.plan_install(BOTH, programs).warnings) is expected
    assert not Programs(Path("/opt/venv/bin")).is_fleeting


def test_paths_with_anything_in_them_are_quoted(world: Settings, tmp_path: Path) -> None:
    world.programs = make_programs(tmp_path / 'it\'s "a" $HOME & `x` ü')
    for agent in AGENTS.values():
        world.agent = agent
        world.install()
        assert world.status(Part.HOOKS).state is State.INSTALLED
        assert world.status(Part.MCP).state is State.INSTALLED
        assert os.system(world.lines(agent.events[0])[0]) == 0
    world.programs = make_programs(tmp_path / "new\nline")
    with pytest.raises(UnsupportedError, match="no settings file can name"):
        world.plan()


def test_a_guarded_hook_lets_the_agent_work_when_it_is_gone(world: Settings) -> None:
    world.agent = AGENTS["copilot"]
    world.install()
    line = world.lines("PreToolUse")[0]
    script = world.programs.folder / "chrono-hook"
    script.write_text("#!/bin/sh\nexit 2\n")
    assert os.waitstatus_to_exitcode(os.system(line)) == 2
    script.unlink()
    assert os.waitstatus_to_exitcode(os.system(line)) == 0


@pytest.mark.parametrize(
    "line",
    [
        "A=1 chrono-hook claude", "chrono-hook claude; say hi", "nice -n 5 /x/chrono-hook claude",
        "chrono-hook claude\nsay hi", "chrono-hook claude # mine", "chrono-hook claude 2>>log", "chrono-hook 'claude",
    ],
)  # fmt: skip
def test_a_line_of_somebody_s_own_counts_and_is_left_alone(world: Settings, line: str) -> None:
    groups = ", ".join(f'"{event}": [{{"hooks": [{{"command": {json.dumps(line)}}}]}}]' for event in world.agent.events)
    place = world.write(f'{{"hooks": {{{groups}}}}}')
    before = place.read_text()
    assert not world.plan([Part.HOOKS]).is_needed
    assert world.status(Part.HOOKS).state is State.OWN
    plan = world.setup.plan_uninstall([Part.HOOKS])
    assert "left alone" in plan.warnings[0]
    assert not plan.is_needed
    assert place.read_text() == before


def test_hooks_that_colleagues_committed_are_used_or_passed_over(world: Settings, tmp_path: Path) -> None:
    world.install([Part.HOOKS])
    shared = world.root / ".claude/settings.json"
    world.file().rename(shared)
    plan = world.plan([Part.HOOKS])
    assert "has the hooks already" in plan.warnings[0]
    assert not plan.is_needed
    assert world.status(Part.HOOKS).path == shared
    theirs = shared.read_text()
    shared.write_text(theirs.replace(str(world.programs.folder), "/home/somebody/bin"))
    world.install([Part.HOOKS])
    assert "/home/somebody/bin" in shared.read_text()
    assert world.status(Part.HOOKS).is_well
    world.uninstall([Part.HOOKS])
    assert "chrono-hook" not in shared.read_text()
    assert not world.file().exists()


def test_two_of_our_hooks_for_one_event_become_one(world: Settings) -> None:
    ours = '{"type": "command", "command": "/a/chrono-hook claude"}'
    world.write(f'{{"hooks": {{"Stop": [{{"hooks": [{ours}, {{"command": "x"}}]}}, {{"hooks": [{ours}]}}]}}}}')
    world.install([Part.HOOKS])
    assert world.lines("Stop") == [world.lines("PreToolUse")[0], "x"]


@pytest.mark.parametrize(
    ("name", "part", "content", "step"),
    [
        ("claude", Part.HOOKS, '{"disableAllHooks": true}', "take out disableAllHooks"),
        ("copilot", Part.HOOKS, '{"disableAllHooks": true}', "take out disableAllHooks"),
        ("gemini", Part.HOOKS, '{"hooksConfig": {"enabled": false}}', "hooksConfig.enabled"),
        ("codex", Part.MCP, "[features]\nhooks = false\n", "codex features enable hooks"),
    ],
)
def test_what_keeps_hooks_from_running_is_said(world: Settings, name: str, part: Part, content: str, step: str) -> None:
    world.agent = AGENTS[name]
    world.write(content, part)
    plan = world.plan()
    assert any(step in one for one in plan.steps)
    plan.execute()
    found = world.status(Part.HOOKS)
    assert any(step in one for one in found.obstacles)
    assert not found.is_well


def test_hooks_in_the_other_file_of_codex_are_said(world: Settings) -> None:
    world.agent = AGENTS["codex"]
    world.write("[hooks.state]\n", Part.MCP)
    assert not any("says at its start" in step for step in world.plan().steps)
    world.write("[[hooks.Stop]]\n", Part.MCP)
    assert any("says at its start" in step for step in world.plan().steps)


def test_a_hook_of_an_event_that_is_no_longer_asked_for_is_kept_up_to_date(world: Settings) -> None:
    world.write('{"hooks": {"PreCompact": [{"hooks": [{"command": "/a/chrono-hook claude --event X"}]}]}}')
    world.install([Part.HOOKS])
    assert world.lines("PreCompact") == [f"'{world.programs.folder}/chrono-hook' claude --event X"]
    world.uninstall([Part.HOOKS])
    assert world.lines() == []


def test_codex_is_told_to_trust_a_project_until_it_does(world: Settings) -> None:
    world.agent = AGENTS["codex"]
    assert any("trusts" in step for step in world.plan().steps)
    home = Path(world.environment["HOME"], ".codex/config.toml")
    home.parent.mkdir()
    home.write_text(f'[projects."{world.root}"]\ntrust_level = "trusted"\n')
    assert not any("trusts" in step for step in world.plan().steps)


def test_hooks_that_codex_does_not_trust_yet_are_said(world: Settings) -> None:
    world.agent = AGENTS["codex"]
    world.write('{"hooks": {"Stop": [{"hooks": [{"type": "command", "command": "x"}]}]}}')
    world.install([Part.HOOKS])
    assert "/hooks" in world.status(Part.HOOKS).obstacles[0]
    places = {"user_prompt_submit": 0, "pre_tool_use": 0, "stop": 1, "subagent_stop": 0}
    trusted = "".join(
        f'[hooks.state."{world.file()}:{event}:{group}:0"]\ntrusted_hash = "sha256:00"\n'
        for event, group in places.items()
    )
    home = Path(world.environment["HOME"], ".codex/config.toml")
    home.parent.mkdir()
    home.write_text(trusted)
    assert world.status(Part.HOOKS).is_well
    home.write_text(trusted + "enabled = false\n")
    assert world.status(Part.HOOKS).obstacles == ("codex was told to leave out the hook for SubagentStop: see /hooks",)


@pytest.mark.parametrize(
    ("name", "variable", "file"),
    [
        ("claude", "CLAUDE_CONFIG_DIR", "settings.json"), ("codex", "CODEX_HOME", "hooks.json"),
        ("gemini", "GEMINI_CLI_HOME", ".gemini/settings.json"), ("copilot", "COPILOT_HOME", "hooks/chronomancer.json"),
    ],
)  # fmt: skip
def test_settings_that_the_user_moved_are_found(world: Settings, name: str, variable: str, file: str) -> None:
    elsewhere = world.root.with_name("elsewhere")
    world.agent, world.scope, world.environment = (
        AGENTS[name],
        Scope.USER,
        {**world.environment, variable: str(elsewhere)},
    )
    world.install()
    assert (elsewhere / file).is_file()
    assert all(path.is_relative_to(elsewhere) for path in world.files)


def test_without_a_home_the_user_s_settings_cannot_be_found(world: Settings) -> None:
    world.scope, world.environment = Scope.USER, {}
    with pytest.raises(ChronosError, match="needs HOME"):
        world.plan()


def test_copies_are_private_and_the_oldest_go(world: Settings, tmp_path: Path) -> None:
    for number in range(14):
        world.programs = make_programs(tmp_path / f"v{number}")
        world.write(f'{{"number": {number}}}') if number == 0 else None
        world.install([Part.HOOKS])
    folder = Path(world.environment["HOME"], ".local/state/chronomancer/agents")
    copies = list(folder.rglob("*-settings.local.json"))
    assert 10 <= len(copies) <= 12
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in copies)
    assert copies[0].parent.stat().st_mode & 0o077 == 0
    world.uninstall([Part.HOOKS])
    assert world.file().read_text() == '{"number": 0}'
