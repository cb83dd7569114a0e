"""LessonsStore: the verbs about lessons. Writing is one line in the log; all else is made of that."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeVar

import msgspec

from chronos import clock
from chronos.errors import LockedError, OutsideError, StorageError
from chronos.files import remove_tree
from historian.errors import BadLessonError, UnknownLessonError
from historian.lessons.asides import set_aside
from historian.lessons.embedding import Embedding
from historian.lessons.index import BrokenIndexError, LessonIndex
from historian.lessons.lesson import Event, Forgotten, Learned, Lesson, Outcome, Promoted, fold
from historian.lessons.log import INDEX, SET_ASIDE, LessonLog
from historian.lessons.making import check_lesson
from historian.lessons.reading import LessonBook
from historian.lessons.words import resemblance, words_of

if TYPE_CHECKING:
    from historian.lessons.exchange import Imported
    from historian.lessons.register import Register
    from historian.risk import Operation, Precedent

_Result = TypeVar("_Result")
_LONGEST_ID = 16
# A confirmed lesson comes before others that fit better, as long as it fits half as well as the best.
_FITS = 0.5
_SPARE = 20
_EVENTS_AT_ONCE = 10_000
_MOST_LISTED = 2**31


class LessonsStore:
    """The lessons in `folder`, which is made with the first one. Nothing is opened before it is needed.

    `embedding` names a function of LanceDB's registry (`lessons_embedding`); `notices` collects what a front door
    should show, such as something that was set aside. `prepare` is called before the first lesson is written. Several
    processes may use the folder at once; one instance belongs to one thread.
    """

    def __init__(
        self,
        folder: Path | str,
        *,
        embedding: str = "",
        lock_timeout_s: float = 30.0,
        notices: list[str] | None = None,
        prepare: Callable[[], object] | None = None,
    ) -> None:
        self.folder = Path(folder)
        self.notices = notices if notices is not None else []
        self._embedding = embedding
        self._prepare = prepare
        self._log = LessonLog(self.folder, lock_timeout_s)
        self._book = LessonBook(self._log, self._warn)
        self._index: LessonIndex | None = None

    def close(self) -> None:
        """Let go of the files. The store can be used again."""
        self._book.close()
        self._index = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # learning

    def add_lesson(
        self,
        situation: str,
        action: str,
        result: str,
        feedback: str = "",
        tags: Iterable[str] = (),
        checkpoint_before: str | None = None,
        checkpoint_after: str | None = None,
        *,
        once: bool = False,
    ) -> Lesson:
        """Learn a lesson and return it as it is now. It is durable when this returns.

        The same situation and action (without case, punctuation and spacing) with the same class of result (success or
        failure by the result's first words, and the kind of error in `FAILURE: KindOfError: …`) are one lesson: it
        counts once more, its tags are united, and result, feedback and checkpoints are the newest ones that were given.
        With `once` the last line of the feedback tells this event from all others: the lesson that ends with it already
        is returned as it is, whoever else learned it in the same moment.
        Raises BadLessonError, BadConfigError, LockedError, StorageError, NewerFormatError.
        """
        event = check_lesson(situation, action, result, feedback, tags, checkpoint_before, checkpoint_after)
        self._write([event], once=once)
        try:
            return self.get(event.lesson)
        except (StorageError, LockedError) as error:  # it is learned all the same
            self._warn(f"the register of lessons was not brought up to date: {error.message}")
            lesson = fold(None, event)
            assert lesson is not None
            return lesson

    def promote(self, lesson_id: str, *, undo: bool = False) -> Lesson:
        """Confirm a lesson, so that it comes first among those that fit; `undo` takes one confirmation back."""
        lesson = self.get(lesson_id)
        return self._say(Promoted(lesson.lesson_id, _now(), -1 if undo else 1))

    def forget(self, lesson_id: str) -> Lesson:
        """Let a lesson be found no more. It is kept until a purge, and comes back with `recall`, or learned again."""
        lesson = self.get(lesson_id)
        return lesson if lesson.forgotten else self._say(Forgotten(lesson.lesson_id, _now()))

    def recall(self, lesson_id: str) -> Lesson:
        """Bring a forgotten lesson back."""
        lesson = self.get(lesson_id)
        return self._say(Forgotten(lesson.lesson_id, _now(), recalled=True)) if lesson.forgotten else lesson

    def purge(self) -> int:
        """Remove all that is known of forgotten lessons, for good; return how many there were.

        The index goes as a whole, for LanceDB keeps what it had before. What was set aside stays.
        """
        if self._book.is_empty:
            return 0
        with self._log.hold():
            gone = {
                lesson.lesson_id for lesson in self._ask(lambda book: book.list_lessons(-1, forgotten=True), held=True)
            }
            if gone:
                events = (event for _, event in self._log.read() if event is not None)
                self._log.rewrite([one for one in events if getattr(one, "lesson", None) not in {None, *gone}])
                self._index = None
                remove_tree(self.folder / INDEX)
                self._ask(lambda book: None, held=True)
        return len(gone)

    # looking

    def get(self, lesson_id: str) -> Lesson:
        """Return the lesson with this id, or the only one whose id begins so. Raises UnknownLessonError."""
        prefix = lesson_id.strip().lower()
        if not prefix or len(prefix) > _LONGEST_ID or not set(prefix) <= set("0123456789abcdef"):
            raise UnknownLessonError(f"{lesson_id[:40]!r} is no id of a lesson")
        found = self._ask(lambda book: book.find_beginning(prefix))
        if len(found) != 1:
            raise UnknownLessonError(f"{'no' if not found else 'more than one'} lesson begins with {prefix}")
        return found[0]

    def list_lessons(
        self, limit: int | None = None, *, tags: Sequence[str] = (), result: str | None = None, forgotten: bool = False
    ) -> list[Lesson]:
        """Return lessons, confirmed ones first, then the newest.

        `tags` must all be there; `result` is success, failure or other. Raises BadLessonError for another one.
        """
        outcome = _outcome(result)
        has_filter = bool(tags) or outcome is not None
        found = self._ask(
            lambda book: book.list_lessons(
                -1 if limit is None or has_filter else min(limit, _MOST_LISTED), forgotten=forgotten
            )
        )
        return [lesson for lesson in found if _fits(lesson, tags, outcome)][:limit]

    def count(self) -> int:
        """Return how many lessons there are, without forgotten ones."""
        return self._ask(lambda book: book.count())

    def search(
        self, query: str, limit: int = 10, *, tags: Sequence[str] = (), result: str | None = None
    ) -> list[Lesson]:
        """Return lessons that fit `query`, each with its `score`, the best first; confirmed ones before others.

        Full text in any order of words, with an embedding function also by meaning. What was learned a moment ago is
        found. Raises BadLessonError for an empty query.
        Where LanceDB fails, every lesson is compared with the query, and a notice says so.
        """
        outcome = _outcome(result)
        if not query.strip():
            raise BadLessonError("there is nothing to search for", hint="`chrono lessons list` shows all lessons")
        limit = 0 if self._book.is_empty else min(limit, self.count())
        if limit < 1:
            return []
        query = query.encode("utf-8", "replace").decode("utf-8").replace("\0", " ")
        scores = self._find(query, limit + _SPARE, tags, outcome)
        lessons = self._ask(lambda book: book.find_all(list(scores)))
        found = [
            msgspec.structs.replace(lesson, score=round(scores[lesson.lesson_id], 4))
            for lesson in lessons
            if not lesson.forgotten
        ]
        fits = max(scores.values(), default=0.0) * _FITS
        found.sort(key=lambda one: (one.standing if (one.score or 0) >= fits else 0, one.score), reverse=True)
        return found[:limit]

    def precedents(self, operation: Operation) -> Sequence[Precedent]:
        """Return failures that an operation resembles, the most alike first; nothing costs a look at the disk."""
        if self._book.is_empty:
            return ()
        from historian.lessons.precedents import rank, text_of_operation

        text = text_of_operation(operation)
        words = words_of(text)
        return rank(text, self._ask(lambda book: book.failures_like(words))) if words else ()

    # exchange

    def export_lines(self) -> Iterator[bytes]:
        """Yield each lesson that is not forgotten as a line of JSON."""
        from historian.lessons.exchange import encode_lesson

        yield from map(encode_lesson, self.list_lessons())

    def import_lines(self, lines: Iterable[bytes]) -> Imported:
        """Take lessons in, all of them or none. The same lines twice change nothing; what was forgotten stays so.

        Raises BadLessonError with the number of the line.
        """
        from historian.lessons.exchange import Imported, decode_lessons

        events = decode_lessons(lines)
        before = {lesson.lesson_id: lesson for lesson in self._ask(lambda book: list(book.iter_lessons()))}
        after, wanted = dict(before), []
        for event in events:
            lesson = fold(after.get(event.lesson), event)
            if lesson is not None and lesson != after.get(event.lesson):
                after[event.lesson] = lesson
                wanted.append(event)
        for start in range(0, len(wanted), _EVENTS_AT_ONCE):
            self._write(wanted[start : start + _EVENTS_AT_ONCE])
        told = {event.lesson for event in events}
        added = len(told - before.keys())
        merged = sum(1 for name in told & before.keys() if after[name] != before[name])
        return Imported(added, merged, len(told) - added - merged)

    # inside

    def _find(self, query: str, limit: int, tags: Sequence[str], outcome: Outcome | None) -> dict[str, float]:
        """Return ids with scores from the index, which is made again once when it cannot be read."""
        for _ in range(2):
            index = self._open_index()
            try:
                self._refresh(index)
                return dict(index.search(query, limit, tags=tags, outcome=outcome))
            except (OutsideError, LockedError) as error:
                self._warn(f"searched without an index: {error.message}")
                break
            except BrokenIndexError as error:
                self._give_up_index(str(error))
        return self._scan(query, limit, tags, outcome)

    def _scan(self, query: str, limit: int, tags: Sequence[str], outcome: Outcome | None) -> dict[str, float]:
        """Compare every lesson with the query, for a folder in which no index can be written."""
        words = words_of(query)
        scores = {}
        for lesson in self.list_lessons():
            if _fits(lesson, tags, outcome):
                text = f"{lesson.situation} {lesson.action} {lesson.result} {lesson.feedback} {' '.join(lesson.tags)}"
                scores[lesson.lesson_id] = resemblance(words, words_of(text))
        best = sorted((score, name) for name, score in scores.items() if score)[::-1]
        return {name: score for score, name in best[:limit]}

    def _refresh(self, index: LessonIndex) -> None:
        if not self._ask(index.is_behind):
            return
        if not os.access(self.folder, os.W_OK):
            raise StorageError(f"{self.folder} cannot be written")
        with self._log.hold():
            self._ask(index.refresh, held=True)

    def _open_index(self) -> LessonIndex:
        if self._index is None:
            embedding = Embedding(self._embedding) if self._embedding else None
            self._index = LessonIndex(self.folder / INDEX, embedding, self._warn)
        return self._index

    def _give_up_index(self, why: str) -> None:
        self._index = None
        with self._log.hold():
            path = self.folder / INDEX
            if os.path.lexists(path):
                place = set_aside(path, self.folder / SET_ASIDE, f"LanceDB cannot read it: {why}")
                self._warn(f"the search index of lessons could not be read; it is in {place}, and a new one is made")

    def _ask(self, question: Callable[[Register], _Result], *, held: bool = False) -> _Result:
        return self._book.ask(question, is_held=held)

    def _say(self, event: Promoted | Forgotten) -> Lesson:
        self._write([event])
        return self.get(event.lesson)

    def _write(self, events: Sequence[Event], *, once: bool = False) -> None:
        if not events:
            return
        if self._prepare is not None:
            self._prepare()
            self._prepare = None
        self._log.set_up()
        with self._log.hold():
            self._ask(lambda register: None, held=True)  # a damaged log is mended before anything follows it
            self._log.append([event for event in events if not (once and self._is_known(event))])

    def _is_known(self, event: Event) -> bool:
        if not isinstance(event, Learned):
            return False
        known = self._ask(lambda register: register.find_beginning(event.lesson), held=True)
        return any(one.feedback.rpartition("\n")[2] == event.feedback.rpartition("\n")[2] for one in known)

    def _warn(self, text: str) -> None:
        if text not in self.notices:
            self.notices.append(text)


def _outcome(result: str | None) -> Outcome | None:
    if result is None:
        return None
    with suppress(ValueError):
        return Outcome(result.strip().lower())
    known = ", ".join(outcome.value for outcome in Outcome)
    raise BadLessonError(f"{result[:40]!r} is no kind of result", hint=f"known: {known}")


def _fits(lesson: Lesson, tags: Sequence[str], outcome: Outcome | None) -> bool:
    return set(tags) <= set(lesson.tags) and outcome in (None, lesson.outcome)


def _now() -> str:
    return clock.to_text(clock.now())
