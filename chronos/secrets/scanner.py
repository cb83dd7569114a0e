"""Looking for secrets in the text that a capture brings in, within a budget of time.

By form at once, while the pieces of a content pass; by detect-secrets at the end, the smallest texts first, with what
time is left. The first new text of a checkpoint is looked at by form whatever the time, so that what is found in a
small one does not depend on how busy the machine is. What was not looked at is counted, by content.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import msgspec

from chronos.secrets.budget import Budget, Pace
from chronos.secrets.forms import REACH_BYTES, Spot, find_by_form
from chronos.secrets.keywords import DETECTOR, LineScan, is_detector_loaded, load_detector

FORMS = "forms"
_BINARY_LOOK_BYTES = 8 * 1024  # where git looks for a NUL, too
_WINDOW_BYTES = 256 * 1024
# As much text as 35 changed files have, and a millisecond's work; the forms that it has letters of are compiled once in
# a process, all of them in 6 ms.
_ALWAYS_LOOKED_AT_BYTES = 128 * 1024
_MOST_OF_A_CONTENT = 20
# What is kept in memory until the end; more than a second of detect-secrets.
_MOST_WAITING_BYTES = 4 * 1024 * 1024
_LOADING_S = 0.15  # measured 0.11
_DETECTOR_RATE = 2e6


class Found(msgspec.Struct, frozen=True):
    """Something that looks like a secret in a content: what, in which line (0 is unknown), and who says so."""

    what: str
    line: int
    scanner: str


def merge_findings(known: Iterable[Found], more: Iterable[Found]) -> list[Found]:
    """Return both, but one for each line; where a line was unknown, what says it takes the place of what did not."""
    known = list(known)
    lines = {row.line for row in known if row.line}
    fresh = [row for row in more if row.line not in lines and row not in known]
    located = {row.what for row in fresh if row.line}
    return [*(row for row in known if row.line or row.what not in located), *fresh]


class _Reading(msgspec.Struct):
    """A content that is passing by. `newlines` counts those before the present window; `tail` ends just before it."""

    spots: dict[int, Found] = msgspec.field(default_factory=dict)
    offset: int = 0
    tail: bytes = b""
    counted: bytes = b""
    newlines: int | None = 0
    whole: bytes | None = None
    is_text: bool = False
    is_new: bool = False
    is_missed: bool = False
    was_looked_at: bool = False

    def step(self, window: bytes, *, was_looked_at: bool) -> None:
        """Go past a window."""
        self.offset += len(window)
        self.tail = (self.tail + window)[-REACH_BYTES:] if len(window) < REACH_BYTES else window[-REACH_BYTES:]
        self.counted = window
        self.was_looked_at = was_looked_at
        if not was_looked_at:
            self.newlines = None

    def note(self, data: bytes, spots: Iterable[Spot]) -> None:
        """Note what was found in `data`, which is the tail and what follows it."""
        for spot in spots:
            line, start = 0, len(self.tail)
            if self.newlines is not None and spot.offset >= start:
                line = self.newlines + data.count(b"\n", start, spot.offset) + 1
            elif self.newlines is not None:
                line = self.newlines - data.count(b"\n", spot.offset, start) + 1
            self.spots.setdefault(self.offset - start + spot.offset, Found(spot.what, line, FORMS))


class _Waiting(msgspec.Struct, frozen=True):
    """A text that something has still to look at."""

    content_id: bytes
    data: bytes
    is_new: bool
    needs_forms: bool


def _turn(text: _Waiting) -> tuple[bool, int]:
    """New texts come first, and the smallest of them."""
    return not text.is_new, len(text.data)


class SecretScanner:
    """Look at contents piece by piece. `found` is by the id of the content; so is what was not looked at.

    A text that the pool has already is looked at in the end, if at all, and never counts as unscanned: whoever brought
    it in has looked. Of a content in several pieces only the new ones are looked at, and the seams beside them.
    """

    def __init__(
        self,
        budget: Budget,
        *,
        lines: bool = True,
        find: Callable[[bytes], list[Spot]] = find_by_form,
        load: Callable[[], LineScan | None] | None = None,
    ) -> None:
        """`lines` asks for detect-secrets too; `find` and `load` take the place of the two scanners."""
        self.found: dict[bytes, list[Found]] = {}
        self._unscanned: dict[str, dict[bytes, int]] = {FORMS: {}, DETECTOR: {}}
        self._budget = budget
        self._find, self._load, self._wants_lines = find, load, lines
        self._lines = Pace(budget, _DETECTOR_RATE)
        self._waiting: list[_Waiting] = []
        self._waiting_bytes = 0
        self._looked_at_bytes = 0
        self._reading = _Reading()

    @property
    def seen(self) -> set[bytes]:
        """The contents of which there is something to say, or still to look at."""
        waiting = (text.content_id for text in self._waiting)
        return {*self.found, *self._unscanned[FORMS], *self._unscanned[DETECTOR], *waiting}

    # a content, piece by piece

    def begin(self) -> None:
        """Begin a content, and forget one that never ended."""
        self._reading = _Reading()

    def look(self, piece: bytes, *, is_new: bool) -> None:
        """Look at the next piece of the content; `is_new` says that the pool did not have it."""
        reading = self._reading
        if not reading.offset:
            reading.is_text = b"\0" not in piece[:_BINARY_LOOK_BYTES]
        reading.whole = None if reading.offset else piece
        reading.is_new |= is_new
        if not reading.is_text:
            reading.offset += len(piece)
            return
        for start in range(0, len(piece), _WINDOW_BYTES) if is_new else ():
            window = piece[start : start + _WINDOW_BYTES]
            reading.step(window, was_looked_at=self._take(reading, window))
        if not is_new:
            if reading.was_looked_at:
                self._take(reading, piece[:REACH_BYTES])
            reading.step(piece, was_looked_at=False)

    def end(self, content_id: bytes, size: int) -> None:
        """Say which content the pieces were."""
        reading = self._reading
        if reading.is_text:
            self._add(content_id, reading.spots.values())
            if reading.is_new:
                self._unscanned[DETECTOR][content_id] = size
            if reading.is_missed:
                self._unscanned[FORMS][content_id] = size
            needs_forms = reading.is_missed or not reading.is_new
            if reading.whole is not None and (needs_forms or self._wants_lines):
                self._wait(_Waiting(content_id, reading.whole, reading.is_new, needs_forms))
        self.begin()

    # the end

    def finish(self, names: Mapping[bytes, str]) -> None:
        """Look at what has been waiting, as long as there is time. `names` gives a file name for each content."""
        texts = sorted((text for text in self._waiting if text.content_id in names), key=_turn)
        self._waiting, self._waiting_bytes = [], 0
        for text in texts:
            reading = _Reading()
            if text.needs_forms and self._take(reading, text.data):
                self._add(text.content_id, reading.spots.values())
                self._unscanned[FORMS].pop(text.content_id, None)
        if self._wants_lines:
            self._finish_lines([text for text in texts if text.is_new], names)

    def unscanned(self, scanner: str, contents: Iterable[bytes]) -> list[int]:
        """Return the sizes of those of these contents that are new text, and that a scanner has not seen whole."""
        missed = self._unscanned[scanner]
        return [missed[content] for content in contents if content in missed]

    def _take(self, reading: _Reading, window: bytes) -> bool:
        """Look at a window by form, with the seam before it; False when there is no time for it."""
        if self._looked_at_bytes >= _ALWAYS_LOOKED_AT_BYTES and self._budget.left_s <= 0:
            reading.is_missed = True
            return False
        self._looked_at_bytes += len(window)
        data = reading.tail + window
        with self._budget.charging():
            if reading.newlines is not None:
                reading.newlines += reading.counted.count(b"\n")
            reading.note(data, self._find(data))
        return True

    def _finish_lines(self, texts: list[_Waiting], names: Mapping[bytes, str]) -> None:
        loading_s = 0.0 if self._load is not None or is_detector_loaded() else _LOADING_S
        if not texts or not self._lines.can_take(len(texts[0].data), loading_s):
            return
        with self._budget.charging():
            scan = (self._load or load_detector)()
        for text in texts:
            if scan is None or not self._lines.can_take(len(text.data)):
                break
            with self._lines.taking(len(text.data)):
                rows = [Found(what, line, DETECTOR) for line, what in scan(text.data, names[text.content_id])]
            self._add(text.content_id, rows)
            self._unscanned[DETECTOR].pop(text.content_id, None)

    def _add(self, content_id: bytes, rows: Iterable[Found]) -> None:
        fresh = list(rows)
        if fresh:
            self.found[content_id] = merge_findings(self.found.get(content_id, []), fresh)[:_MOST_OF_A_CONTENT]

    def _wait(self, text: _Waiting) -> None:
        """Keep a text for the end, and let go of the largest when there are too many."""
        self._waiting.append(text)
        self._waiting_bytes += len(text.data)
        if self._waiting_bytes > _MOST_WAITING_BYTES:
            self._waiting.sort(key=_turn)
        while self._waiting_bytes > _MOST_WAITING_BYTES:
            self._waiting_bytes -= len(self._waiting.pop().data)
