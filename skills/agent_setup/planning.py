"""Setting an agent up: what would be written into which file, as a plan; then the plan, carried out.

All files are read, edited in memory and checked before the first is written. Each is then backed up and replaced in one
step; a fault in between leaves every file as it was or as it was to be, and the same command finishes the rest.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import msgspec

from chronos.errors import ChronosError
from chronos.files import display
from skills.agent_setup.advice import next_steps
from skills.agent_setup.agents import AGENTS, Agent, Part, Scope
from skills.agent_setup.backups import Backups, Original
from skills.agent_setup.hook_entries import HookSettings
from skills.agent_setup.programs import HOOK, SERVER_PROGRAM, Programs, find_problem
from skills.agent_setup.server_entries import find_server, with_server, without_server
from skills.agent_setup.settings_file import (
    SettingsFile,
    check_unchanged,
    read_settings,
    remove_settings,
    write_settings,
)

_CONTEXT_LINES = 1


class FileChange(msgspec.Struct, frozen=True):
    """What becomes of one file. `new` is None where it goes, because an install had made it.

    `is_clean` tells whether nothing of ours is in it then.
    """

    file: SettingsFile
    new: bytes | None
    parts: tuple[Part, ...]
    is_clean: bool

    @property
    def path(self) -> Path:
        """The file, as the agent names it."""
        return self.file.path

    @property
    def is_needed(self) -> bool:
        """Whether there is anything to write."""
        return self.new != self.file.data

    @property
    def verb(self) -> str:
        """What is done: create, change, remove or keep."""
        if not self.is_needed:
            return "keep"
        return "remove" if self.new is None else "create" if self.file.data is None else "change"

    def diff(self) -> str:
        """Return the change as a unified diff, with one line of context: settings may hold secrets."""
        old, new = ((data or b"").decode("utf-8", "replace") for data in (self.file.data, self.new))
        name = display(str(self.path))
        lines = difflib.unified_diff(
            old.splitlines(keepends=True), new.splitlines(keepends=True), name, name, n=_CONTEXT_LINES
        )
        return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


class Written(msgspec.Struct, frozen=True):
    """What was done to a file, and where the copy of what it was is; None where there was no file."""

    change: FileChange
    backup: Path | None


class SetupPlan(msgspec.Struct, frozen=True):
    """What an install or uninstall would do. `steps` is what is left for the user, `warnings` what may surprise."""

    agent: Agent
    scope: Scope
    is_install: bool
    changes: tuple[FileChange, ...]
    warnings: tuple[str, ...]
    steps: tuple[str, ...]
    environment: Mapping[str, str]

    @property
    def is_needed(self) -> bool:
        """Whether there is anything to do."""
        return any(change.is_needed for change in self.changes)

    @property
    def overwrites(self) -> bool:
        """Whether a file is changed that is there, or goes."""
        return any(change.verb in ("change", "remove") for change in self.changes)

    def execute(self) -> list[Written]:
        """Write the files, each backed up before. Raises ChangedMeanwhileError, StorageError."""
        needed = [change for change in self.changes if change.is_needed]
        for change in needed:
            check_unchanged(change.file)
        return [self._write(change) for change in needed]

    def _write(self, change: FileChange) -> Written:
        backups = Backups(change.file, self.environment)
        backup = backups.keep(change.new or b"")
        if change.new is None:
            remove_settings(change.file)
        else:
            write_settings(change.file, change.new)
        if change.is_clean:
            backups.forget()
        return Written(change, backup)


class AgentSetup:
    """One agent's settings in one scope. `root` is the project; the user's own settings need none."""

    def __init__(self, agent: Agent, scope: Scope, root: Path, environment: Mapping[str, str]) -> None:
        self.agent, self._scope, self._root, self._environment = agent, scope, root, environment

    def plan_install(self, parts: Collection[Part], programs: Programs) -> SetupPlan:
        """Plan to put in what is missing, and to bring up to date what names another path.

        Raises StateError where a script is missing, BadConfigError for settings that cannot be read, TargetExistsError,
        RefusedError for a link out of the project.
        """
        texts: dict[Path, _Draft] = {}
        warnings: list[str] = []
        if Part.HOOKS in parts:
            program = programs.path(HOOK)
            draft = self._draft(texts, Part.HOOKS)
            settings = HookSettings(draft.text, draft.file.path, self.agent)
            elsewhere = self._working_elsewhere()
            warnings += self._seen_twice()
            if elsewhere is None:
                draft.text = settings.installed(program)
            else:
                warnings.append(f"{display(str(elsewhere))} has the hooks already")
        if Part.MCP in parts:
            program = programs.path(SERVER_PROGRAM)
            draft = self._draft(texts, Part.MCP)
            draft.text = with_server(draft.text, draft.file.path, self.agent, self._scope, program)
        if programs.is_fleeting:
            warnings.append(
                f"{display(str(programs.folder))} is a temporary place; install chronomancer for good, with pipx or uv"
            )
        steps = next_steps(self.agent, self._scope, parts, self._root, self._environment)
        changes = tuple(draft.change() for draft in texts.values())
        return SetupPlan(self.agent, self._scope, True, changes, tuple(warnings), tuple(steps), self._environment)

    def plan_uninstall(self, parts: Collection[Part]) -> SetupPlan:
        """Plan to take out what an install put in, and nothing else. Raises BadConfigError, RefusedError."""
        texts: dict[Path, _Draft] = {}
        warnings: list[str] = []
        if Part.HOOKS in parts:
            for path in self._hook_files():
                draft = self._draft(texts, Part.HOOKS, path)
                settings = HookSettings(draft.text, path, self.agent)
                if any(entry.program is not None for entry in settings.entries):
                    draft.text = settings.removed()
                if any(entry.program is None for entry in settings.entries):
                    warnings.append(f"{display(str(path))} runs {HOOK} in a way of its own, which is left alone")
        if Part.MCP in parts:
            draft = self._draft(texts, Part.MCP)
            draft.text = without_server(draft.text, draft.file.path, self.agent)
        changes = tuple(self._cleaned(draft) for draft in texts.values())
        return SetupPlan(self.agent, self._scope, False, changes, tuple(warnings), (), self._environment)

    def _hook_files(self) -> list[Path]:
        where = (Part.HOOKS, self._scope, self._root, self._environment)
        return [self.agent.file(*where), *self.agent.other_files(*where)]

    def _working_elsewhere(self) -> Path | None:
        """Return a file shared with other people that has all of our hooks, if they can be started here."""
        for path in self._hook_files()[1:]:
            settings = HookSettings(self._read(path).text, path, self.agent)
            programs = {entry.program for entry in settings.entries}
            if settings.entries and not settings.missing and not any(map(find_problem, filter(None, programs))):
                return path
        return None

    def _seen_twice(self) -> Iterator[str]:
        """Warn of other hooks of ours that the agent runs too: those of the other scope, and of agents it reads."""
        others = [(self.agent, scope) for scope in Scope if scope is not self._scope]
        others += [(AGENTS[name], Scope.PROJECT) for name in self.agent.reads]
        for agent, scope in others:
            where = (Part.HOOKS, scope, self._root, self._environment)
            for path in (agent.file(*where), *agent.other_files(*where)):
                try:
                    entries = HookSettings(read_settings(path).text, path, agent).entries
                except ChronosError:
                    continue  # it is not what was asked for
                if entries:
                    yield f"{self.agent.title} runs the hooks in {display(str(path))} too, so all is told twice"

    def _read(self, path: Path) -> SettingsFile:
        return read_settings(path, within=self._root if self._scope is Scope.PROJECT else None)

    def _draft(self, drafts: dict[Path, _Draft], part: Part, path: Path | None = None) -> _Draft:
        path = path or self.agent.file(part, self._scope, self._root, self._environment)
        if path not in drafts:
            file = self._read(path)
            drafts[path] = _Draft(file, file.text, [])
        drafts[path].parts.append(part)
        return drafts[path]

    def _cleaned(self, draft: _Draft) -> FileChange:
        """Return the change of an uninstall: back to what was before the install, where nothing else was edited."""
        if not draft.is_changed or self._has_ours(draft.file, draft.text):
            return draft.change()
        original = Backups(draft.file, self._environment).find_original()
        if original is not None and original.data is not None:
            before = msgspec.structs.replace(draft.file, data=original.data)
            if self._has_ours(before, before.text):
                original = None
        return draft.change(original, is_clean=True)

    def _has_ours(self, file: SettingsFile, text: str) -> bool:
        if file.path in self._hook_files() and HookSettings(text, file.path, self.agent).entries:
            return True
        servers = self.agent.file(Part.MCP, self._scope, self._root, self._environment)
        return file.path == servers and find_server(text, file.path, self.agent) is not None


class _Draft(msgspec.Struct):
    """A file whose text is being edited."""

    file: SettingsFile
    text: str
    parts: list[Part]

    @property
    def is_changed(self) -> bool:
        return self.text != self.file.text

    def change(self, original: Original | None = None, *, is_clean: bool = False) -> FileChange:
        new = self.file.encoded(self.text) if self.is_changed else self.file.data
        return FileChange(self.file, original.data if original else new, tuple(self.parts), is_clean)
