"""`chrono lessons`: what was learned from failures and successes, finding it again, and why something failed."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from chronos.cli import lessons_report as report
from chronos.cli import output
from chronos.cli.declaring import Argument, Group, Option
from chronos.cli.options import MOST, PlanOnly, Yes
from chronos.cli.session import Session
from chronos.cli.wording import count
from chronos.errors import OutsideError, TargetExistsError, UsageError
from chronos.files import read_limited, write_new

if TYPE_CHECKING:
    from historian import HistorianAgent
    from historian.lessons import Lesson

_PAGE = 50
_LARGEST_LOG_BYTES = 64 * 1024 * 1024
_LARGEST_IMPORT_BYTES = 1024 * 1024 * 1024
_STANDARD = "-"
LessonId = Annotated[str, Argument(metavar="ID", show_default=False, help="The id of a lesson, or its beginning.")]
Tags = Annotated[
    list[str] | None,
    Option("--tag", metavar="T", show_default=False, help="Only lessons with this tag; repeatable."),
]
Result = Annotated[
    str | None, Option("--result", metavar="R", show_default=False, help="Only success, failure or other.")
]

app = Group("Lessons from failures and successes, which no restore takes back.")


@app.command()
def add(
    session: Session,
    situation: Annotated[str, Argument(metavar="SITUATION", show_default=False, help="What was to be done.")],
    action: Annotated[str, Argument(metavar="ACTION", show_default=False, help="What was done.")],
    result: Annotated[
        str, Argument(metavar="RESULT", show_default=False, help="SUCCESS, FAILURE: what, or other words.")
    ],
    feedback: Annotated[str, Option("--feedback", metavar="TEXT", help="What to do next time.")] = "",
    tag: Annotated[
        list[str] | None,
        Option("--tag", metavar="T", show_default=False, help="A word to find it by; repeatable."),
    ] = None,
    before: Annotated[
        str | None, Option("--before", metavar="ID", show_default=False, help="The checkpoint before it.")
    ] = None,
    after: Annotated[
        str | None, Option("--after", metavar="ID", show_default=False, help="The checkpoint after it.")
    ] = None,
) -> None:
    """Learn a lesson. The same one again counts once more.

    A result that begins with a word like failed or error is a failure, and operations that resemble it score higher.
    """
    with session.historian() as historian:
        ids = [historian.engine.find_checkpoint(one).checkpoint_id if one else None for one in (before, after)]
        lesson = historian.lessons.add_lesson(situation, action, result, feedback, tag or (), *ids)
        session.show(lesson, report.document, report.show_learned)


@app.command()
def search(
    session: Session,
    text: Annotated[str, Argument(metavar="TEXT", show_default=False, help="Words, in any order.")],
    limit: Annotated[int, Option("--limit", metavar="N", min=1, max=MOST, help="At most this many.")] = 10,
    tag: Tags = None,
    result: Result = None,
) -> None:
    """Find lessons, the best first; confirmed ones before others that fit about as well."""
    with session.historian() as historian:
        found = historian.lessons.search(text, limit, tags=tag or (), result=result)
        session.show(found, report.documents, report.show_all)


@app.command("list")
def list_(
    session: Session,
    limit: Annotated[int, Option("--limit", metavar="N", min=1, max=MOST, help="At most this many.")] = _PAGE,
    tag: Tags = None,
    result: Result = None,
    forgotten: Annotated[bool, Option("--forgotten", help="Those that were forgotten and not yet purged.")] = False,
) -> None:
    """List lessons, confirmed ones first, then the newest."""
    with session.historian() as historian:
        found = historian.lessons.list_lessons(limit, tags=tag or (), result=result, forgotten=forgotten)
        session.show(found, report.documents, report.show_all)


@app.command()
def show(session: Session, lesson: LessonId) -> None:
    """Show a lesson with all that is known of it."""
    with session.historian() as historian:
        session.show(historian.lessons.get(lesson), report.document, report.show_one)


@app.command()
def forget(
    session: Session,
    lesson: Annotated[
        list[str] | None, Argument(metavar="[ID]...", show_default=False, help="Ids of lessons, or beginnings.")
    ] = None,
    undo: Annotated[bool, Option("--undo", help="Bring forgotten lessons back.")] = False,
    purge: Annotated[bool, Option("--purge", help="Remove all forgotten lessons for good.")] = False,
    plan_only: PlanOnly = False,
    yes: Yes = False,
) -> None:
    """Let lessons be found no more. They are kept until `--purge`, and `--undo` brings them back."""
    if bool(lesson) == purge or (undo and purge):
        raise UsageError("name lessons, or give --purge alone")
    with session.historian() as historian:
        store = historian.lessons
        found = store.list_lessons(forgotten=True) if purge else _each_once(store.get(one) for one in lesson or ())
        what = "purge" if purge else "recall" if undo else "forget"
        if not plan_only and found and not undo:
            _confirm(session, found, what, yes)
        if not plan_only:
            found = _carry_out(historian, found, what)
        session.show(
            found,
            lambda lessons: {"what": what, "done": not plan_only, **report.documents(lessons)},
            lambda lessons: report.show_forgotten(lessons, what, done=not plan_only),
        )


@app.command()
def promote(
    session: Session,
    lesson: LessonId,
    undo: Annotated[bool, Option("--undo", help="Take one confirmation back.")] = False,
) -> None:
    """Confirm a lesson: it comes first among those that fit."""
    with session.historian() as historian:
        session.show(historian.lessons.promote(lesson, undo=undo), report.document, report.show_one)


@app.command("export")
def export_(
    session: Session,
    file: Annotated[str, Argument(metavar="FILE", show_default=False, help="A new file, or - for standard output.")],
) -> None:
    """Write all lessons as JSON lines."""
    if file == _STANDARD and session.as_json:
        raise UsageError("--json and - both want standard output", hint="name a file")
    with session.historian() as historian:
        lines = list(historian.lessons.export_lines())
        if file == _STANDARD:
            output.write(b"".join(lines).decode("utf-8"), end="")
            return
        if os.path.lexists(file):
            raise TargetExistsError(f"{file} exists already")
        write_new(Path(file), b"".join(lines))
        session.show(
            len(lines),
            lambda number: {"file": file, "lessons": number},
            lambda number: output.write(f"{count(number, 'lesson')} written to {output.harmless(file)}"),
        )


@app.command("import")
def import_(
    session: Session,
    file: Annotated[str, Argument(metavar="FILE", show_default=False, help="A file with lines of an export, or -.")],
) -> None:
    """Take in lessons from JSON lines, all or none; the same file twice changes nothing."""
    with session.historian() as historian:
        done = historian.lessons.import_lines(_read(file, _LARGEST_IMPORT_BYTES).splitlines())
        session.show(
            done,
            lambda done: {"added": done.added, "merged": done.merged, "unchanged": done.unchanged},
            lambda done: output.write(
                f"{count(done.added, 'new lesson')}, {done.merged} merged, {done.unchanged} unchanged"
            ),
        )


@app.command()
def analyze(
    session: Session,
    operation: Annotated[str, Argument(metavar="OPERATION", show_default=False, help="What failed, in words.")],
    file: Annotated[
        str, Argument(metavar="[FILE]", show_default=False, help="Its output; - or nothing is standard input.")
    ] = _STANDARD,
    checkpoint: Annotated[
        str | None,
        Option("--checkpoint", metavar="ID", show_default="the newest", help="The checkpoint before it."),
    ] = None,
    tag: Annotated[
        list[str] | None,
        Option("--tag", metavar="T", show_default=False, help="A word to find it by; repeatable."),
    ] = None,
) -> None:
    """Find out why something failed: read its output, rank what changed since a checkpoint, and learn the lesson.

    Reads tracebacks and errors of Python, pytest, Node, Go, Rust, Java, git, and compilers that say file:line: error.
    """
    with session.historian() as historian:
        wanted = historian.engine.find_checkpoint(checkpoint).checkpoint_id if checkpoint else None
        text = _read(file, _LARGEST_LOG_BYTES).decode("utf-8", "replace")
        if not text.strip():
            raise UsageError(
                "there is no error text to read", hint="give a file, or `command 2>&1 | chrono lessons analyze …`"
            )
        found = historian.analyze_failure(operation, text, wanted, tags=tag or ())
        session.show(found, report.analysis_document, report.show_analysis)


def _confirm(session: Session, lessons: Sequence[Lesson], what: str, yes: bool) -> None:
    if yes:
        return
    session.require_terminal(f"{count(len(lessons), 'lesson')} would go" if what == "purge" else f"{what} needs a yes")
    report.show_all(lessons)
    end = " for good, with all that was learned" if what == "purge" else "; --undo brings them back"
    session.ask(f"{what.capitalize()} {count(len(lessons), 'lesson')}{end}?")


def _each_once(lessons: Iterable[Lesson]) -> list[Lesson]:
    return list({lesson.lesson_id: lesson for lesson in lessons}.values())


def _carry_out(historian: HistorianAgent, lessons: Sequence[Lesson], what: str) -> list[Lesson]:
    store = historian.lessons
    if what == "purge":
        store.purge()
        return list(lessons)
    verb: Any = store.recall if what == "recall" else store.forget
    return [verb(lesson.lesson_id) for lesson in lessons]


def _read(file: str, limit_bytes: int) -> bytes:
    if file != _STANDARD:
        return read_limited(Path(file), limit_bytes, too_large=UsageError)
    if sys.stdin is None or sys.stdin.isatty():
        raise UsageError("standard input is a terminal", hint="give a file, or pipe something in")
    try:
        data = sys.stdin.buffer.read(limit_bytes + 1)
    except OSError as cause:
        raise OutsideError(f"cannot read standard input: {cause.strerror}") from cause
    if len(data) > limit_bytes:
        raise UsageError(f"standard input has more than {limit_bytes} bytes")
    return data
