"""Lessons, and the lines of the log that they add up to. What is equal, and so one lesson, is decided here."""

from __future__ import annotations

import re
import unicodedata
from enum import Enum

import msgspec

from chronos.pool import digest

FORMAT_VERSION = 1
LARGEST_TEXT_CHARS = 2 * 1024 * 1024
# More than anybody learns or confirms anything, and few enough for every number of SQLite and LanceDB.
MOST_TIMES = 1_000_000_000
# The tags of a failure that somebody reported, and of one after which something was another than before.
REPORTED, CHANGED = "reported", "changed"
_ID_DIGITS = 16
_SAYS_SUCCESS = "success succeeded successful ok okay passed pass worked works done fixed good green"
_SAYS_FAILURE = (
    "failure failed failing fail fails error errors broke broken breaks crash crashed exception lost bad red aborted "
    "rejected reverted restored timeout"
)
_SUCCESSES, _FAILURES = frozenset(_SAYS_SUCCESS.split()), frozenset(_SAYS_FAILURE.split())
_KIND_OF_ERROR = re.compile(r"[A-Za-z_][\w.:-]{0,79}")
_NO_WORD = re.compile(r"[\W_]+")


class Outcome(str, Enum):
    """How it went, as the first words of a result say it."""

    SUCCESS = "success"
    FAILURE = "failure"
    OTHER = "other"


class ExportedLesson(msgspec.Struct, frozen=True, kw_only=True):
    """What a line of an export says. Only the first three must be there; what else stands in a line is stepped over.

    `count` says how often it was learned, `standing` how often somebody confirmed it. Times are those of
    `chronos.clock.to_text`.
    """

    situation: str
    action: str
    result: str
    feedback: str = ""
    tags: tuple[str, ...] = ()
    checkpoint_before: str | None = None
    checkpoint_after: str | None = None
    count: int = 1
    standing: int = 0
    learned_at: str = ""
    updated_at: str = ""


class Lesson(ExportedLesson, frozen=True, kw_only=True):
    """What was learned: in which situation somebody did what, and how it went.

    One that was forgotten is kept, and found by nobody, until a purge. `score` says how well it fits what was searched
    for; it compares within one search only.
    """

    lesson_id: str
    forgotten: bool = False
    score: float | None = None

    @property
    def outcome(self) -> Outcome:
        """Whether it went well."""
        return outcome_of(self.result)


class Begun(msgspec.Struct, frozen=True, tag_field="event", tag="begun"):
    """The first line of a log. `log` is another one whenever the file was written anew."""

    format: int
    log: str
    at: str


class Learned(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="event", tag="learned"):
    """A lesson was learned here, or came with `imported` from elsewhere, where it had been learned `count` times."""

    lesson: str
    at: str
    situation: str
    action: str
    result: str
    feedback: str = ""
    tags: tuple[str, ...] = ()
    before: str | None = None
    after: str | None = None
    count: int = 1
    standing: int = 0
    first_at: str = ""
    imported: bool = False


class Promoted(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="event", tag="promoted"):
    """Somebody confirmed a lesson, or with `by` -1 took that back."""

    lesson: str
    at: str
    by: int = 1


class Forgotten(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="event", tag="forgotten"):
    """A lesson is to be found no more, or with `recalled` it is again."""

    lesson: str
    at: str
    recalled: bool = False


Event = Begun | Learned | Promoted | Forgotten


def id_of(situation: str, action: str, result: str) -> str:
    """Return the id of a lesson: 16 hex digits of the BLAKE3 of what makes it one and the same.

    Situation and action count without case, punctuation and spacing (Unicode NFKC), the result by its class.
    """
    parts = "\0".join((_plain(situation), _plain(action), class_of(result)))
    return digest(parts.encode("utf-8", "backslashreplace")).hex()[:_ID_DIGITS]


def class_of(result: str) -> str:
    """Return the class of a result: how it went, and for `FAILURE: KindOfError: …` the kind of error.

    A result that says neither success nor failure is a class of its own.
    """
    outcome = outcome_of(result)
    if outcome is Outcome.OTHER:
        return _plain(result)
    _, _, rest = result.partition(":")
    kind, colon, _ = rest.strip().partition(":")
    named = colon and _KIND_OF_ERROR.fullmatch(kind.strip())
    return f"{outcome.value} {_plain(kind)}" if named else outcome.value


def outcome_of(result: str) -> Outcome:
    """Return how it went, by the first word of a result that says so before its first colon."""
    for word in _plain(result.partition(":")[0][:500]).split():
        if word in _SUCCESSES:
            return Outcome.SUCCESS
        if word in _FAILURES:
            return Outcome.FAILURE
    return Outcome.OTHER


def fold(known: Lesson | None, event: Event) -> Lesson | None:
    """Return what a lesson is after one more line of the log says something of it.

    What is learned again counts once more, unites the tags, and has the newest result, feedback and checkpoints; it
    comes back when it was forgotten. What is imported counts as often as on the side that learned it more often, so
    that the same import twice changes nothing, and stays forgotten.
    """
    if isinstance(event, Learned):
        return _begin(event) if known is None else _learn_again(known, event)
    if known is None or isinstance(event, Begun):
        return known
    if isinstance(event, Promoted):
        return msgspec.structs.replace(known, standing=_limited(known.standing + event.by))
    return msgspec.structs.replace(known, forgotten=not event.recalled)


def as_event(lesson: Lesson, at: str | None = None) -> Learned:
    """Return the line that brings a lesson with all its counts into another log."""
    return Learned(
        lesson=lesson.lesson_id, at=at or lesson.updated_at, situation=lesson.situation, action=lesson.action,
        result=lesson.result, feedback=lesson.feedback, tags=lesson.tags, before=lesson.checkpoint_before,
        after=lesson.checkpoint_after, count=lesson.count, standing=lesson.standing, first_at=lesson.learned_at,
        imported=True,
    )  # fmt: skip


def _begin(event: Learned) -> Lesson:
    return Lesson(
        lesson_id=event.lesson, situation=event.situation, action=event.action, result=event.result,
        feedback=event.feedback, tags=event.tags, checkpoint_before=event.before, checkpoint_after=event.after,
        count=_limited(event.count), standing=_limited(event.standing), learned_at=event.first_at or event.at,
        updated_at=event.at,
    )  # fmt: skip


def _learn_again(known: Lesson, event: Learned) -> Lesson:
    is_newer = event.at >= known.updated_at or not event.imported
    return msgspec.structs.replace(
        known,
        result=event.result if is_newer else known.result,
        feedback=event.feedback if event.feedback and is_newer else known.feedback or event.feedback,
        tags=tuple(dict.fromkeys((*known.tags, *event.tags))),
        checkpoint_before=event.before if event.before and is_newer else known.checkpoint_before or event.before,
        checkpoint_after=event.after if event.after and is_newer else known.checkpoint_after or event.after,
        count=_limited(max(known.count, event.count) if event.imported else known.count + event.count),
        standing=_limited(max(known.standing, event.standing)),
        learned_at=min(known.learned_at, event.first_at or event.at),
        updated_at=max(known.updated_at, event.at),
        forgotten=known.forgotten and event.imported,
    )


def _limited(times: int) -> int:
    return min(max(0, times), MOST_TIMES)


def _plain(text: str) -> str:
    return _NO_WORD.sub(" ", unicodedata.normalize("NFKC", text).casefold()).strip() or text.strip()
