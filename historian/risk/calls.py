"""A tool call taken apart: the words of its name, and what stands in its arguments (commands, statements, paths)."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from historian.risk.arguments import split_name
from historian.risk.listing import late, listed
from historian.risk.operations import Operation

_WRAPPING = listed("params arguments input args kwargs options parameters payload request tool_input")
_COMMANDS = listed("command cmd commands script scripts bash shell input args argv code keystrokes cli exec run line")
_CODE_KEYS = listed("code script source snippet program cell expression function javascript python js")
_STATEMENTS = listed("sql query statement statements queries ddl dml command q")
_PATHS = (
    "file_path", "path", "filename", "file", "target_file", "notebook_path", "filepath", "filePath", "uri",
    "absolute_path", "relative_workspace_path", "target", "dest", "destination", "source", "AbsolutePath", "TargetFile",
    "relative_path", "directory", "folder", "dir",
)  # fmt: skip
_CONTENTS = (
    "content", "contents", "new_string", "new_str", "file_text", "text", "new_source", "code_edit", "diff", "patch",
    "data",
)  # fmt: skip
_REHEARSALS = listed(
    "dryrun dry whatif simulate simulated preview validateonly checkmode planonly noop testonly pretend"
)
_CHOICES = listed("action operation op mode type method verb kind disposition strategy subcommand task event intent")
_NOISE = listed("tool mcp call use api v1 v2 function")
_FLAG = late(r"[a-z][a-z0-9]*(?:[_-][a-z0-9]+)*", re.I)
_LONGEST_CHOICE = 40
_MOST_SCALARS = 200
_AGENTS = listed("agent agents subagent task delegate dispatch spawn assistant worker")
_REQUESTS = listed("prompt instruction instructions goal objective request")


class Call(msgspec.Struct, frozen=True):
    """A tool's name, the words of its last part, those of all of it, and its arguments with one wrapper taken off."""

    name: str
    parts: tuple[str, ...]
    context: tuple[str, ...]
    given: Mapping[str, Any]

    def text(self, keys: frozenset[str] | tuple[str, ...]) -> str:
        """Return the first argument whose name is, or ends in, one of `keys`; a list of words is one command."""
        exact = isinstance(keys, tuple)
        for key in keys if exact else self.given:
            if key in self.given and (exact or _last_word(key) in keys):
                value = self.given[key]
                if isinstance(value, str) and value.strip():
                    return value
                if isinstance(value, list | tuple) and value and all(isinstance(part, str) for part in value):
                    is_many = _last_word(key) in ("commands", "scripts", "statements", "queries")
                    return "\n".join(value) if is_many else shlex.join(value)
        return ""

    @property
    def command(self) -> str:
        """A command line that is to be run, as far as its arguments can say."""
        return self.text(_COMMANDS)

    @property
    def code(self) -> str:
        """Source code."""
        return self.text(_CODE_KEYS) or self.command

    @property
    def statements(self) -> str:
        """What may be SQL."""
        return self.text(_STATEMENTS)

    @property
    def path(self) -> str:
        """The path of a file."""
        return self.text(_PATHS).removeprefix("file://")

    @property
    def size(self) -> int:
        """How much text a file is given, in characters."""
        return sum(len(str(self.given[key])) for key in _CONTENTS if self.given.get(key))

    @property
    def is_rehearsal(self) -> bool:
        """Whether it says that nothing is to be done."""
        return any(
            value is True and re.sub(r"[^a-z]", "", key.lower()) in _REHEARSALS for key, value in self.given.items()
        )

    @property
    def inner(self) -> Operation | None:
        """The call that this one only passes on, None where it is one itself."""
        for key in ("tool_name", "toolName", "function_name", "tool"):
            name = self.given.get(key)
            if isinstance(name, str) and name and name != self.name:
                given = {
                    key: value for key, value in self.given.items() if key not in ("tool_name", "toolName", "tool")
                }
                return Operation(tool=name, arguments=given)
        return None

    def choices(self) -> Iterator[str]:
        """Yield what its arguments choose: short values of `action` and the like, and names that are set to true."""
        for key, value in self.given.items():
            if value is True and split_name(key)[:1] not in (["confirm"], ["confirmed"]):
                yield key
            elif key == "merge_method":
                continue
            elif isinstance(value, str) and value.endswith("ed"):
                continue  # what has happened: an event named `user_deleted`
            elif isinstance(value, str) and len(value) <= _LONGEST_CHOICE and _last_word(key) in _CHOICES:
                yield value

    @property
    def request(self) -> str:
        """What it asks another agent to do."""
        return self.text(_REQUESTS) if not _AGENTS.isdisjoint(self.context) else ""

    def scalars(self) -> Iterator[tuple[str, str]]:
        """Yield the texts in its arguments, at any depth, each with the name that it has there."""
        waiting: list[tuple[str, Any]] = list(self.given.items())
        for _ in range(_MOST_SCALARS):
            if not waiting:
                return
            key, value = waiting.pop()
            if isinstance(value, str):
                yield key, value
            elif isinstance(value, Mapping):
                waiting += [(str(inner), what) for inner, what in value.items()]
            elif isinstance(value, list | tuple):
                waiting += [(key, what) for what in value]

    def options(self) -> list[str]:
        """Return the arguments as those of a command line: `force: true` as --force, `mode: hard` as --hard."""
        found: list[str] = []
        for key, value in self.given.items():
            name = "-".join(split_name(key))
            if value is True:
                found.append(f"--{name}")
            elif isinstance(value, int) and value is not False:
                found.append(f"--{name}={value}")
            elif isinstance(value, str) and value and _last_word(key) in ("mode", "action", "operation", "subcommand"):
                found += [f"--{value}"] if _last_word(key) == "mode" else [value]
            elif isinstance(value, list | tuple) and value and all(isinstance(part, str) for part in value):
                found += ["--", *value] if _last_word(key) in ("paths", "files", "path") else value
            elif isinstance(value, str) and value and _FLAG.fullmatch(value) and _last_word(key) not in _CONTENTS:
                found.append(value)
        return sorted(found, key=lambda part: part.startswith("--") and part != "--") if "--" not in found else found


def take_apart(name: str, given: Mapping[str, Any]) -> Call:
    """Return a call by its parts. `mcp__server__tool`, `server.tool` and `server::tool` are the tool of a server."""
    flat = dict(given)
    for key, value in given.items():
        if isinstance(value, Mapping) and key in _WRAPPING:
            flat |= {str(inner): what for inner, what in value.items()}
    last = re.split(r"__|::|[./:]", name)[-1] or name
    context = [part for part in split_name(name) if part not in _NOISE] or split_name(name) or [name.lower()]
    parts = [part for part in split_name(last) if part not in _NOISE]
    return Call(name, tuple(parts or context), tuple(context), flat)


def steps_of(given: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the steps of a call that does several things: mappings in `operations`, `actions` and the like."""
    for key in ("operations", "actions", "steps", "requests", "commands", "tasks", "edits", "changes"):
        value = given.get(key)
        if isinstance(value, Sequence) and not isinstance(value, str):
            yield from (step for step in value if isinstance(step, Mapping))


def _last_word(key: str) -> str:
    parts = split_name(key)
    return parts[-1] if parts else key
