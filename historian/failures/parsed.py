"""What an error text says: which kind of error, in which words, and at which places of the code."""

from __future__ import annotations

from enum import Enum

import msgspec

_LIBRARIES = (
    "site-packages/", "dist-packages/", "node_modules/", "node:", "/lib/python3", "/rustc/", ".cargo/registry/",
    "library/std/", "/usr/lib/", "/usr/include/", "/usr/local/go/", "/pkg/mod/", "java.base/", "<frozen", "[eval]",
)  # fmt: skip


class Source(str, Enum):
    """Whose output it is."""

    PYTHON = "python"
    PYTEST = "pytest"
    NODE = "node"
    GO = "go"
    RUST = "rust"
    JAVA = "java"
    GIT = "git"
    COMPILER = "compiler"
    TEXT = "text"


class Frame(msgspec.Struct, frozen=True):
    """One place that an error text names; the path is as it stands there, `line` counts from 1."""

    path: str
    line: int | None = None
    function: str = ""

    @property
    def is_library(self) -> bool:
        """Whether the place belongs to a language or an installed package."""
        return any(mark in self.path for mark in _LIBRARIES)


class Cause(msgspec.Struct, frozen=True):
    """One error behind another, or one of several."""

    kind: str
    message: str


class ParsedError(msgspec.Struct, frozen=True, kw_only=True):
    """An error text, taken apart. `frames` begin with the place nearest to where it went wrong first.

    `kind` is the name of the outermost error, empty when the text names none; `causes` are those behind it or in it.
    """

    source: Source
    kind: str
    message: str
    frames: tuple[Frame, ...] = ()
    causes: tuple[Cause, ...] = ()

    @property
    def short_kind(self) -> str:
        """The kind without the modules before it."""
        return self.kind.rpartition(".")[2] if "(" not in self.kind else self.kind

    @property
    def texts(self) -> tuple[str, ...]:
        """All messages, the outermost first."""
        return (self.message, *(cause.message for cause in self.causes))
