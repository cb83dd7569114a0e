"""The parent's side of the child program: start it, ask it one thing, turn what it says into values and errors."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from chronos.errors import OutsideError, UnreadableStoreError, UsageError
from chronos.file_users import is_open_here
from chronos.files import display, kept_descriptors
from chronos.forking import may_copy
from chronos.memory.sqlite_frames import (
    FAILURE,
    REQUEST,
    read_exactly,
    read_head,
    read_json,
    send,
    send_json,
)
from chronos.process import Conversation

# Isolated (-I) and without site (-S): 8 ms instead of 23. The standard library stays in front of other packages.
_START = "import sys; sys.path += sys.argv[1:]; from chronos.memory.sqlite_child import main; main()"
_PROGRAM = "chronos.memory.sqlite_child"
_HELPFUL = ("cryptography", "_cffi_backend")  # without them a large database is read more slowly
_has_started = False


class Child:
    """A running child program."""

    def __init__(self, place: Path, conversation: Conversation) -> None:
        self._place = place
        self._conversation = conversation

    @property
    def process_id(self) -> int:
        """Its number."""
        return self._conversation.process_id

    def work_on(self, request: Mapping[str, Any], *frames: tuple[bytes, bytes]) -> None:
        """Tell it what it was started for, and frames of tag and data. Raises OutsideError when it ended by itself."""
        try:
            send_json(self._conversation.input.write, REQUEST, request)
            for tag, data in frames:
                send(self._conversation.input.write, tag, data)
            self._conversation.input.flush()
        except BrokenPipeError:
            raise self.is_gone() from None

    @contextmanager
    def telling(self) -> Iterator[Callable[[bytes | memoryview], object]]:
        """Give the block what writes to the child. One that ends meanwhile has said why: the next frame tells."""
        try:
            yield self._conversation.input.write
            self._conversation.input.flush()
        except BrokenPipeError:
            pass

    def next_frame(self) -> tuple[bytes, int]:
        """Return tag and length of the next frame. Raises OSError or UnreadableStoreError that the child met."""
        try:
            tag, length = read_head(self._conversation.output)
        except EOFError:
            raise self.is_gone() from None
        if tag == FAILURE:
            raise self._failure(self.read_document(length))
        return tag, length

    def read_document(self, length: int) -> Any:
        """Return the document of a frame whose head was read."""
        return read_json(self.read(length))

    def read(self, length: int) -> bytes:
        """Return the data of a frame whose head was read."""
        try:
            return read_exactly(self._conversation.output, length)
        except EOFError:
            raise self.is_gone() from None

    def is_gone(self) -> OutsideError:
        """Return the error to raise when the child ended in the middle of a sentence."""
        return OutsideError(f"the reader of {display(str(self._place))} failed: {self._conversation.last_words()}")

    def _failure(self, told: Mapping[str, Any]) -> Exception:
        if "usage" in told:
            return UsageError(f"this cannot be a row of {display(str(self._place))}: {told['usage']}")
        if "errno" in told:
            return OSError(told["errno"], told["reason"], str(self._place))
        return UnreadableStoreError(f"{display(str(self._place))} cannot be read: {told['reason']}")


@contextmanager
def start_child(place: Path) -> Iterator[Child]:
    """Start a child, to be told in the block what it works on, and ended with it. Raises OutsideError."""
    global _has_started
    argv: list[str | bytes] = [sys.executable, "-I", "-S", "-c", _START, *_import_folders()]
    # SQLite in a copy would take the locks that a connection of ours has for its own.
    work = None if is_open_here(place, kept_descriptors()) else _work
    if work is not None and _has_started and may_copy():
        import_module(_PROGRAM)  # here, instead of in each copy after the first
    _has_started = True
    conversation = Conversation(argv, environment={}, cwd=Path("/"), keep_errors=True, work=work)
    try:
        yield Child(place, conversation)
    finally:
        conversation.close()


@contextmanager
def open_child(place: Path, request: Mapping[str, Any]) -> Iterator[Child]:
    """Start a child that works on `request`; it is ended with the block. Raises OutsideError when it cannot start."""
    with start_child(place) as child:
        child.work_on(request)
        yield child


def ask(place: Path, request: Mapping[str, Any]) -> Any:
    """Ask a child for one answer. Raises what `Child.next_frame` raises."""
    with open_child(place, request) as child:
        return child.read_document(child.next_frame()[1])


def hexed(path: Path) -> str:
    """Return a path as the child reads it."""
    return os.fsencode(path).hex()


def _work() -> None:
    import_module(_PROGRAM).main()


def _import_folders() -> list[str]:
    """Return the folders from which this process imported what the child needs."""
    from importlib.util import find_spec

    found = []
    for package in ("chronos", "blake3", "zstandard", *_HELPFUL):
        spec = find_spec(package)
        if spec is not None and spec.origin is not None:
            folder = Path(spec.origin).resolve().parent
            found.append(str(folder.parent if spec.submodule_search_locations else folder))
        elif package not in _HELPFUL:
            raise OutsideError(f"the package {package} is not installed in {sys.executable}")
    return list(dict.fromkeys(found))
