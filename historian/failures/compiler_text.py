"""What compilers, linkers and git say."""

from __future__ import annotations

import re
from collections.abc import Sequence

from historian.failures.parsed import Cause, Frame, ParsedError, Source

_RUST_HEAD = re.compile(r"error(\[E\d+\])?: (.*)$")
_RUST_PLACE = re.compile(r"\s+(?:-->|:::) (\S.*?):(\d+):(\d+)$")
# gcc, clang, javac, mypy: path:line[:column]: error: message; tsc and msvc: path(line,column): error CODE: message.
_COLON = re.compile(r"(\S.*?):(\d+)(?::(\d+))?(?: - |: )(?:fatal )?[Ee]rror:?\s?([A-Z]+\d+)?:? ?(.*)$")
_PARENS = re.compile(r"(\S.*?)\((\d+)(?:,(\d+))?\): (?:fatal )?error ?(\w+)?: (.*)$")
_GO_COMPILE = re.compile(r"(?:vet: )?(\.{0,2}/?\S+\.go):(\d+):(\d+): (.*)$")
_LINKER = re.compile(
    r"(?:.*/ld: )?(\S+?\.\w+):(?:\S*:)?\(\S+\): (undefined reference to .*|multiple definition of .*)$"
)
_CONFLICT = re.compile(r"CONFLICT \(([^)]+)\): (.*)$")
_IN_FILE = re.compile(r"(?:Merge conflict in|conflict in) (.+)$")
_DELETED = re.compile(r"(\S.*?) deleted in \S+ and modified in")
_PATCH = re.compile(r"error: patch failed: (.+):(\d+)$")
_NOT_APPLIED = re.compile(r"error: (.+?): (?:patch does not apply|No such file or directory|already exists in \S+ \S+)")
_GIT_ERROR = re.compile(r"(error|fatal): (.*)$")
_OVERWRITTEN = "would be overwritten by"
_MOST_FRAMES = 200


def read_rust_compiler(lines: Sequence[str]) -> ParsedError | None:
    """Return the errors of rustc with the places of their spans, or None when there is none."""
    errors: list[tuple[str, str]] = []
    frames: list[Frame] = []
    is_error = False
    for line in lines:
        head, place = _RUST_HEAD.match(line), _RUST_PLACE.match(line)
        if head and not head[2].startswith(("aborting due to", "could not compile")):
            errors.append((f"error{head[1] or ''}", head[2]))
            is_error = True
        elif place and is_error:
            frames.append(Frame(place[1], int(place[2])))
        elif line.startswith("warning"):
            is_error = False
    return _build(Source.RUST, errors, frames) if frames else None


def read_compiler(lines: Sequence[str]) -> ParsedError | None:
    """Return the errors of a compiler that says `file:line:column: error: …`, or None when there is none."""
    errors: list[tuple[str, str]] = []
    frames: list[Frame] = []
    for line in lines:
        found = _COLON.match(line) or _PARENS.match(line)
        if found:
            errors.append((found[4] or "error", found[5]))
            frames.append(Frame(found[1], int(found[2])))
        elif linked := _LINKER.match(line):
            errors.append(("linker error", linked[2]))
            frames.append(Frame(linked[1]))
    return _build(Source.COMPILER, errors, frames) if frames else None


def read_go_compiler(lines: Sequence[str]) -> ParsedError | None:
    """Return the errors of Go's compiler and vet (`file.go:line:column: message`), or None when there is none."""
    found = [match for line in lines if (match := _GO_COMPILE.match(line))]
    errors = [("compile error", match[4]) for match in found]
    return _build(Source.GO, errors, [Frame(match[1], int(match[2])) for match in found]) if found else None


def read_git(lines: Sequence[str]) -> ParsedError | None:
    """Return what git complains of, with the files that it names, or None when it is not git's output."""
    errors: list[tuple[str, str]] = []
    frames: list[Frame] = []
    is_list = False
    for line in lines:
        conflict, patch, other = _CONFLICT.match(line), _PATCH.match(line), _NOT_APPLIED.match(line)
        general = _GIT_ERROR.match(line)
        if is_list and line.startswith("\t"):
            frames.append(Frame(line.strip()))
        elif conflict:
            errors.append((f"CONFLICT ({conflict[1]})", conflict[2]))
            place = _IN_FILE.search(conflict[2]) or _DELETED.match(conflict[2])
            frames += [Frame(place[1].rstrip("."))] if place else []
        elif general:
            errors.append((general[1], general[2]))
            frames += [Frame(patch[1], int(patch[2]))] if patch else [Frame(other[1])] if other else []
        is_list = (is_list and line.startswith("\t")) or _OVERWRITTEN in line
    return _build(Source.GIT, errors, frames) if errors else None


def _build(source: Source, errors: list[tuple[str, str]], frames: list[Frame]) -> ParsedError:
    kind, message = errors[0]
    causes = tuple(Cause(*error) for error in dict.fromkeys(errors[1:_MOST_FRAMES]))
    return ParsedError(
        source=source, kind=kind, message=message, frames=tuple(dict.fromkeys(frames[:_MOST_FRAMES])), causes=causes
    )
