"""What people and programs read of the guard: verdicts, commands that were run, files that were changed, watches.

What `chrono run` has to say goes to standard error: standard output is the command's.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from chronos.cli import documents, output
from chronos.cli.tables import write_patch
from chronos.cli.wording import count, when
from chronos.files import display, to_text
from chronos.git import diff_contents

if TYPE_CHECKING:
    from historian.guard import CommandRun, FileChange, FileUpdate, Passage, Watched
    from historian.risk import Operation, RiskAssessment

_MOST_CHANGES = 10


def judged(operation: Operation, assessment: RiskAssessment) -> str:
    """Return an assessment as people read it before they are asked."""
    from historian.guard import words_of

    lines = [f"chrono: {assessment.level.value} risk: {words_of(operation)}"]
    lines += [f"  {reason}" for reason in assessment.reasons]
    lines += [f"  in no checkpoint: {target.what}" for target in assessment.targets if not target.is_covered]
    return output.harmless("\n".join(lines))


def passage(found: Passage) -> dict[str, Any]:
    """Describe what the guard did before an operation."""
    assessment = found.assessment
    return {
        "policy": found.policy.value,
        "level": assessment.level.value if assessment else None,
        "score": assessment.score if assessment else None,
        "reasons": list(assessment.reasons) if assessment else [],
        "checkpoint_id": found.checkpoint_id,
        "created": found.was_taken,
        "warnings": list(found.warnings),
    }


def run_document(found: CommandRun) -> dict[str, Any]:
    """Describe a command that was run, and what it changed when it failed."""
    return {
        "command": found.command,
        "exit_code": found.code,
        **passage(found.passage),
        "differences": [{"path": to_text(one.path), "status": one.status} for one in found.differences],
        "stores": [{"name": one.name, "status": one.status} for one in found.stores],
        "stderr_tail": found.tail if found.has_failed else "",
        "lesson_id": found.analysis.lesson.lesson_id if found.analysis and found.analysis.lesson else None,
        "restored": documents.outcome(found.restored) if found.restored else None,
    }


def ran(found: CommandRun) -> None:
    """Tell what a command left behind: nothing at all when it went well."""
    if not found.is_heard:
        output.write_error("chrono: something that the command left behind still writes, unheard")
    if not found.has_failed:
        return
    how = f"was ended by signal {found.code - 128}" if found.code > 128 else f"ended with exit code {found.code}"
    output.write_error(f"chrono: the command {how}")
    for line in _changes(found):
        output.write_error(output.harmless(line))


def _changes(found: CommandRun) -> Iterator[str]:
    checkpoint = found.passage.checkpoint_id
    if checkpoint is None or not found.is_compared:
        return
    if not found.has_changes:
        yield f"  nothing has changed since checkpoint {checkpoint}"
        return
    yield f"  changed since checkpoint {checkpoint}:"
    yield from (f"  {one.status} {display(one.path)}" for one in found.differences[:_MOST_CHANGES])
    if len(found.differences) > _MOST_CHANGES:
        yield f"  and {count(len(found.differences) - _MOST_CHANGES, 'path')} more: chrono checkpoint diff {checkpoint}"
    yield from (f"  {one.status} memory store {display(one.name)}" for one in found.stores)


def change_document(found: FileChange) -> dict[str, Any]:
    """Describe a planned change of a file."""
    return {
        "path": to_text(found.path),
        "change": "create" if found.old is None else "update" if found.is_needed else "none",
        "changed_bytes": found.changed_bytes,
        "patch": _patch(found),
        "warnings": list(found.notes),
        "written": False,
    }


def change(found: FileChange) -> None:
    """Show what an update would do, line by line."""
    if not found.is_needed:
        output.write(f"{display(found.path)} has this content already")
    write_patch(_patch(found))
    for note in found.notes:
        output.write_error(output.harmless(f"chrono: warning: {note}"))


def update_document(found: FileUpdate) -> dict[str, Any]:
    """Describe a change of a file that was made."""
    done = passage(found.passage) if found.passage else {"checkpoint_id": None, "warnings": []}
    return {**change_document(found.change), **done, "written": found.passage is not None}


def updated(found: FileUpdate) -> None:
    """Show what an update did; warnings were said when they came up."""
    name = display(found.change.path)
    if found.passage is None:
        output.write(f"{name} has this content already")
        return
    verb = "created" if found.change.old is None else "updated"
    held = f"; the state before is checkpoint {found.checkpoint_id}" if found.checkpoint_id else ""
    output.write(f"{verb} {name}, {count(found.change.changed_bytes, 'byte')}{held}")
    for note in found.change.notes:
        output.write_error(output.harmless(f"chrono: warning: {note}"))


def watched_document(found: Watched) -> dict[str, Any]:
    """Describe something that a watch tells of; one document is one line."""
    created = documents.created(found.created) if found.created else {}
    return {
        "event": found.kind.value,
        "message": found.message,
        "changed": found.changed,
        "paths": [to_text(path) for path in found.paths],
        **created,
    }


def watched(found: Watched) -> None:
    """Show something that a watch tells of, in one line."""
    if found.created is not None:
        some = ", ".join(map(display, found.paths))
        more = f" and {found.changed - len(found.paths)} more" if found.changed > len(found.paths) else ""
        grade = "" if found.created.grade.value == "complete" else f"  {found.created.grade.value}"
        what = f"  {some}{more}" if some else ""
        output.write(f"{when(found.created.created_at)}  {found.created.checkpoint_id}{grade}{what}")
        for warning in found.created.warnings:
            output.write_error(output.harmless(f"chrono: warning: {warning}"))
    elif found.kind.value == "started":
        output.write(f"watching {output.harmless(found.message)}; Ctrl-C ends it")
    elif found.message:
        output.write_error(output.harmless(f"chrono: warning: {found.message}"))
    output.finish()


def _patch(found: FileChange) -> str:
    mode = 0o100644
    return diff_contents(found.path, found.old, found.new, mode, mode).text if found.is_needed else ""
