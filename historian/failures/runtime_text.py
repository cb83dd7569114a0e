"""Stack traces of Node, Java and Go, and Rust's panics."""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import unquote

from historian.failures.parsed import Cause, Frame, ParsedError, Source

_NODE_FRAME = re.compile(
    r"\s+at (?:async )?(?:(.+?) \()?((?:file://|node:|[A-Za-z]:[\\/])?[^()\s:][^()]*?):(\d+):(\d+)\)?(?: \{)?$"
)
_NODE_HEAD = re.compile(r"(?:Uncaught |\s*\[cause\]: )?([A-Z][\w$.]*)(?: \[(\w+)\])?: (.*?)(?: \{)?$")
_NODE_FIRST = re.compile(r"((?:file://|/|[A-Za-z]:[\\/])\S.*?):(\d+)$")
_REQUIRED_BY = re.compile(r"- (\S+)$")
_JAVA_HEAD = re.compile(
    r'(?:Exception in thread "[^"]*" |Caused by: |\s*Suppressed: )?((?:[\w$]+\.)+[\w$]+)(?:: (.*))?$'
)
_JAVA_FRAME = re.compile(r"\s+at (?:[\w.]+(?:@[\w.-]+)?/)?([\w.$]+)\.([\w$<>]+)\(([\w$-]+\.\w+)(?::(\d+))?\)")
_GO_PANIC = re.compile(r"(?:panic: |fatal error: )(.*)$")
_GO_FRAME = re.compile(r"\t(\S.*?\.(?:go|s)):(\d+)(?: \+0x[0-9a-f]+)?$")
_GO_TEST = re.compile(r"\s+(\S+_test\.go):(\d+): (.*)$")
_RUST_PANIC = re.compile(r"thread '([^']*)'(?: \(\d+\))? panicked at (?:'(.*)', )?(\S.*?):(\d+):(\d+):?$")
_RUST_FRAME = re.compile(r"\s+at (\S.*?):(\d+)(?::\d+)?$")


def read_node(lines: Sequence[str]) -> ParsedError | None:
    """Return what a stack of V8 says (https://v8.dev/docs/stack-trace-api), or None when there is none."""
    frames: list[Frame] = []
    errors: list[tuple[str, str]] = []
    groups: list[list[Frame]] = [[]]
    for line in lines:
        found, head, first = _NODE_FRAME.match(line), _NODE_HEAD.match(line), _NODE_FIRST.match(line)
        required = _REQUIRED_BY.match(line) if errors else None
        if found:
            groups[-1].append(Frame(_local(found[2]), int(found[3]), found[1] or ""))
        elif head:
            errors.append((head[1] if not head[2] else f"{head[1]} [{head[2]}]", head[3]))
            if len(errors) > 1:
                groups.append([])
        elif first and not errors:
            groups[0].append(Frame(_local(first[1]), int(first[2])))
        elif required:
            groups[-1].append(Frame(_local(required[1])))
    if not errors or not any(groups):
        return None
    frames = [frame for group in reversed(groups) for frame in group if frame.path != "node:internal"]
    causes = tuple(Cause(*error) for error in errors[1:])
    return ParsedError(
        source=Source.NODE, kind=errors[0][0], message=errors[0][1], frames=tuple(dict.fromkeys(frames)), causes=causes
    )


def read_java(lines: Sequence[str]) -> ParsedError | None:
    """Return what a stack of a JVM says, or None when there is none. The frames of the last cause come first."""
    errors: list[tuple[str, str]] = []
    groups: list[list[Frame]] = []
    for number, line in enumerate(lines):
        frame = _JAVA_FRAME.match(line)
        if frame and groups:
            folder = frame[1].split("$")[0].replace(".", "/").rpartition("/")[0]
            path = f"{folder}/{frame[3]}" if folder else frame[3]
            path = f"java.base/{path}" if frame[1].startswith(("java.", "javax.", "jdk.", "sun.")) else path
            groups[-1].append(Frame(path, int(frame[4]) if frame[4] else None, frame[2]))
            continue
        head = _JAVA_HEAD.match(line)
        follows = any(_JAVA_FRAME.match(after) for after in lines[number + 1 : number + 8])
        if head and follows and not line.startswith(("\tat", "    at")):
            errors.append((head[1], head[2] or ""))
            groups.append([])
    if not any(groups):
        return None
    frames = [frame for group in reversed(groups) for frame in group]
    causes = tuple(Cause(*error) for error in errors[1:])
    return ParsedError(
        source=Source.JAVA, kind=errors[0][0], message=errors[0][1], frames=tuple(dict.fromkeys(frames)), causes=causes
    )


def read_go(lines: Sequence[str]) -> ParsedError | None:
    """Return what a panic of Go or a failing `go test` says, or None when there is none."""
    kind = message = ""
    frames: list[Frame] = []
    function = ""
    for line in lines:
        panic, frame, test = _GO_PANIC.match(line), _GO_FRAME.match(line), _GO_TEST.match(line)
        if panic and not message:
            kind, message = "panic", panic[1]
        elif frame and kind:
            frames.append(Frame(frame[1], int(frame[2]), function))
        elif test and not kind:
            kind, message = "TestFailure", test[3]
            frames.append(Frame(test[1], int(test[2])))
        function = line.partition("(")[0] if line and not line[0].isspace() else function
    if not frames:
        return None
    return ParsedError(source=Source.GO, kind=kind, message=message, frames=tuple(dict.fromkeys(frames)))


def read_rust_panic(lines: Sequence[str]) -> ParsedError | None:
    """Return what a panic of Rust says, with its backtrace where there is one, or None when there is none."""
    for number, line in enumerate(lines):
        found = _RUST_PANIC.match(line)
        if not found:
            continue
        frames = [Frame(found[3], int(found[4]))]
        for after in lines[number + 1 :]:
            frame = _RUST_FRAME.match(after)
            if frame:
                frames.append(Frame(frame[1], int(frame[2])))
        message = found[2] or (lines[number + 1].strip() if number + 1 < len(lines) else "")
        return ParsedError(source=Source.RUST, kind="panic", message=message, frames=tuple(dict.fromkeys(frames)))
    return None


def _local(path: str) -> str:
    return unquote(path.removeprefix("file://")) if path.startswith("file://") else path
