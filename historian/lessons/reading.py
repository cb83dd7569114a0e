"""The log and its register together: catching up, and going on when one of them cannot be read.

The log is the truth and the register its sum. What a damaged log has lost is taken from the register, as far as that
had read it; a damaged register is set aside and made again. Nothing is removed.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import nullcontext
from typing import TypeVar

from historian.lessons.asides import set_aside
from historian.lessons.lesson import Begun, Event, Forgotten, Learned, as_event
from historian.lessons.log import REGISTER, SET_ASIDE, LessonLog
from historian.lessons.register import DamagedRegisterError, Register

_Result = TypeVar("_Result")
_COMPANIONS = ("-journal", "-wal", "-shm")


class LessonBook:
    """All lessons of a folder as of now. `warn` is told what was damaged. Not shared between threads."""

    def __init__(self, log: LessonLog, warn: Callable[[str], None]) -> None:
        self._log = log
        self._warn = warn
        self._register: Register | None = None
        self._in_memory = False

    def close(self) -> None:
        """Close the register."""
        if self._register is not None:
            self._register.close()
            self._register = None

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing at all, by one look at the disk."""
        return not (os.path.lexists(self._log.path) or os.path.lexists(self._log.folder / REGISTER))

    def ask(self, question: Callable[[Register], _Result], *, is_held: bool = False) -> _Result:
        """Answer from the register once it knows the whole log. With `is_held` the caller holds the lock.

        Raises NewerFormatError, StorageError, LockedError.
        """
        try:
            return question(self._current(is_held))
        except DamagedRegisterError as error:
            self._discard(error, is_held)
            return question(self._current(is_held))

    def _current(self, is_held: bool) -> Register:
        if self._register is not None and self._in_memory and self._is_writable:
            self.close()  # the folder has been made meanwhile
        if self._register is None:
            self._open()
        register = self._register
        assert register is not None
        name = self._log.read_name()
        if name is not None and register.log == name and register.read_bytes == self._log.size:
            return register
        if self._in_memory or self.is_empty:
            if name != "":
                self._take(register, name or "")
            return register
        with nullcontext() if is_held else self._log.hold():
            self._catch_up(register)
        return register

    def _open(self) -> None:
        """Open the register; where nothing can be written, or nothing is there, it is kept in memory."""
        self._in_memory = not self._is_writable
        self._register = Register(None if self._in_memory else self._log.folder / REGISTER)

    @property
    def _is_writable(self) -> bool:
        return not self.is_empty and os.access(self._log.folder, os.W_OK)

    def _catch_up(self, register: Register) -> None:
        name = self._log.read_name()
        is_cut = name == register.log and self._log.size < register.read_bytes
        if name is None or is_cut or (name == "" and register.log):
            why = "it is gone" if name == "" else "it was cut short" if is_cut else "its first line is damaged"
            self._mend(register, why)
            name = self._log.read_name()
        if name:
            self._take(register, name)

    def _take(self, register: Register, name: str) -> None:
        unreadable = register.take(name, self._log.read(register.read_bytes if name == register.log else 0))
        if unreadable:
            self._warn(f"{unreadable} lines of {self._log.path} cannot be read; they stay there, the others count")

    def _mend(self, register: Register, why: str) -> None:
        """Write the log anew from its readable lines, and for what they lack from the register."""
        path = self._log.path
        events: list[Event] = []
        if path.is_file():
            events = [event for _, event in self._log.read() if event is not None and not isinstance(event, Begun)]
        known = {event.lesson for event in events if isinstance(event, Learned)}
        try:
            for lesson in register.iter_lessons():
                if lesson.lesson_id not in known:
                    events.append(as_event(lesson))
                    events += [Forgotten(lesson.lesson_id, lesson.updated_at)] if lesson.forgotten else []
        except DamagedRegisterError as error:
            self._warn(f"the register of lessons is damaged as well: {error}")
        place = ""
        if os.path.lexists(path):
            place = f", {set_aside(path, self._log.folder / SET_ASIDE, why, keep=True)} is what it was"
        self._log.rewrite(events)
        kept = len(known) + sum(isinstance(event, Learned) and event.lesson not in known for event in events)
        self._warn(f"the log of lessons was mended, because {why}; {kept} lessons are there{place}")

    def _discard(self, error: DamagedRegisterError, is_held: bool) -> None:
        """Set the register aside; the next one is made from the log."""
        self.close()
        path = self._log.folder / REGISTER
        with nullcontext() if is_held else self._log.hold():
            for name in (REGISTER, *(f"{REGISTER}{tail}" for tail in _COMPANIONS)):
                if os.path.lexists(path.with_name(name)):
                    set_aside(path.with_name(name), self._log.folder / SET_ASIDE, f"it cannot be read: {error}")
        self._warn(f"the register of lessons could not be read ({error}); it was set aside and is made anew")
