"""`lessons.jsonl`: the truth about all lessons, one line for each thing that happened to one, appended and synced.

A line that a crash cut short is no line yet and goes with the next append. A whole line that cannot be read stays where
it is and is stepped over. The file is written anew only to purge and to mend, in one rename, under another name of its
own in the first line, so that whoever has read a part of the old one knows.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path

import msgspec

from chronos import clock, locks
from chronos.errors import BadConfigError, NewerFormatError, StorageError
from chronos.files import replace_durably, sweep_drafts, sync_folder, translate_os_errors, write_all
from chronos.pool import add_check, strip_check
from historian.lessons.lesson import FORMAT_VERSION, Begun, Event

LOG = "lessons.jsonl"
REGISTER = "register.sqlite"
INDEX = "index"
SET_ASIDE = "set-aside"
_LOCK = "lock"
_INNER = ".git"
_OWN = frozenset(
    {LOG, REGISTER, INDEX, SET_ASIDE, _LOCK, _INNER, *(f"{REGISTER}-{tail}" for tail in ("wal", "shm", "journal"))}
)
_LARGEST_LINE_BYTES = 64 * 1024 * 1024
_FIRST_LINE_BYTES = 4096


class LessonLog:
    """The log in `folder`, which is made with its first line."""

    def __init__(self, folder: Path, lock_timeout_s: float) -> None:
        self.folder = folder
        self.path = folder / LOG
        self._timeout_s = lock_timeout_s

    @property
    def size(self) -> int:
        """How long the log is in bytes; 0 when there is none."""
        try:
            return os.stat(self.path).st_size
        except FileNotFoundError:
            return 0
        except OSError as cause:
            raise StorageError(f"cannot look at {self.path}: {cause.strerror}") from cause

    def hold(self) -> AbstractContextManager[None]:
        """Hold the lock of all that is written in the folder; raises LockedError."""
        return locks.hold(self.folder / _LOCK, timeout_s=self._timeout_s)

    def read_name(self) -> str | None:
        """Return the name of the log, None when the first line does not tell it. Raises NewerFormatError, StorageError.

        A log that is not there has the name "".
        """
        try:
            with translate_os_errors(f"cannot read {self.path}"), open(self.path, "rb") as stream:
                line = stream.readline(_FIRST_LINE_BYTES)
        except StorageError as error:
            if isinstance(error.__cause__, FileNotFoundError | NotADirectoryError):
                return ""
            if isinstance(error.__cause__, IsADirectoryError):
                return None
            raise
        event = _parse(line)
        if not isinstance(event, Begun):
            return None
        if event.format > FORMAT_VERSION:
            raise NewerFormatError(f"{self.path} has format {event.format}; this release knows {FORMAT_VERSION}")
        return event.log

    def read(self, start: int = 0) -> Iterator[tuple[int, Event | None]]:
        """Yield each whole line from the byte `start` with the byte after it; None for one that cannot be read."""
        with translate_os_errors(f"cannot read {self.path}"), open(self.path, "rb") as stream:
            stream.seek(start)
            while line := stream.readline(_LARGEST_LINE_BYTES):
                if not line.endswith(b"\n") and stream.read(1) == b"":
                    return
                yield stream.tell(), _parse(line)

    def append(self, events: Sequence[Event]) -> None:
        """Append lines and make them durable. The lock must be held."""
        data = b"".join(map(_line, events))
        if not self.size:
            self.rewrite(())
        with translate_os_errors(f"cannot write {self.path}"):
            descriptor = os.open(self.path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                size = _whole(descriptor)
                os.ftruncate(descriptor, size)
                os.lseek(descriptor, size, os.SEEK_SET)
                try:
                    write_all(descriptor, data)
                except OSError:
                    with suppress(OSError):
                        os.ftruncate(descriptor, size)
                    raise
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def rewrite(self, events: Iterable[Event]) -> None:
        """Replace the log by one of these lines, in one step. The lock must be held."""
        begun = Begun(FORMAT_VERSION, os.urandom(8).hex(), clock.to_text(clock.now()))
        replace_durably(self.path, _line(begun) + b"".join(map(_line, events)))

    def set_up(self) -> None:
        """Make the folder, private to its owner, where it is new, empty, or ours. Raises BadConfigError, StorageError.

        An empty git repository in it makes `git clean -fdx` of a project around it step over the folder.
        """
        with translate_os_errors(f"cannot make {self.folder}"):
            if os.path.lexists(self.folder) and not self.folder.is_dir():
                raise BadConfigError(
                    f"{self.folder} is a file; lessons need a folder", hint="move it, or set CHRONOS_LESSONS_DIR"
                )
            is_new = not self.folder.exists()
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            names = {name for name in os.listdir(self.folder) if not (name.startswith(".") and name.endswith(".tmp"))}
            if names - _OWN and not {LOG, REGISTER} & names:
                raise BadConfigError(
                    f"{self.folder} holds other files and no lessons",
                    hint="set CHRONOS_LESSONS_DIR to a folder that is new or empty",
                )
            if not names:  # made by somebody else for this, whatever its mode
                self.folder.chmod(0o700)
            _make_inner_repository(self.folder / _INNER)
        if is_new:
            sync_folder(self.folder.parent)
        sweep_drafts(self.folder, LOG)


def _make_inner_repository(place: Path) -> None:
    """Make what git takes for a repository (gitrepository-layout(5)); HEAD, without which it is none, comes last."""
    if (place / "HEAD").exists():
        return
    for name in ("objects", "refs"):
        (place / name).mkdir(mode=0o700, parents=True, exist_ok=True)
    (place / "config").write_text("[core]\n\trepositoryformatversion = 0\n\tbare = true\n", encoding="ascii")
    (place / "HEAD").write_text("ref: refs/heads/main\n", encoding="ascii")


def _line(event: Event) -> bytes:
    return add_check(msgspec.json.encode(event)) + b"\n"


def _parse(line: bytes) -> Event | None:
    try:
        event: Event = msgspec.json.decode(strip_check(line.rstrip(b"\n")), type=Event)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    return event


def _whole(descriptor: int) -> int:
    """Return how long the file is up to its last newline."""
    end = os.lseek(descriptor, 0, os.SEEK_END)
    while end > 0:
        start = max(0, end - 65536)
        piece = os.pread(descriptor, end - start, start)
        found = piece.rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0
