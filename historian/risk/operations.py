"""What can be assessed: words, a shell command, SQL, a change of a file, a git command, a tool call."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any

import msgspec


class OperationKind(str, Enum):
    """What an operation is written as."""

    WORDS = "words"
    SHELL = "shell"
    SQL = "sql"
    GIT = "git"
    FILE = "file"
    TOOL = "tool"


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is about to be done.

    `kind` None: it is told from what is given. `text` holds the words, the command line or the statements; a command
    that is known as arguments is given in `argv` and parsed by nobody. A change of a file has `path` (relative to
    `cwd` or absolute), `change` (create, update, delete or rename) and, where known, `size_bytes` of what changes. A
    tool call has `tool` and `arguments`. `cwd` is the folder in which it would run, by default the root.
    """

    text: str = ""
    kind: OperationKind | None = None
    argv: tuple[str, ...] = ()
    path: str = ""
    change: str = "update"
    size_bytes: int | None = None
    tool: str = ""
    arguments: Mapping[str, Any] = {}
    dialect: str = ""
    cwd: str = ""


def kind_of(operation: Operation) -> OperationKind | None:
    """Return the kind that the fields of an operation say, None where only its text can tell."""
    if operation.kind is not None:
        return operation.kind
    if operation.tool:
        return OperationKind.TOOL
    if operation.path:
        return OperationKind.FILE
    if operation.argv:
        return OperationKind.GIT if operation.argv[0].rsplit("/", 1)[-1] == "git" else OperationKind.SHELL
    return None
