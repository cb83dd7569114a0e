"""What `chrono bisect` says: each try as it is done, and at the end what was found and what that changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chronos.cli import documents, output
from chronos.cli.memory import differences_document, show_differences
from chronos.cli.tables import Cell, Column, Row, write_table
from chronos.cli.wording import count
from chronos.files import display, to_text

if TYPE_CHECKING:
    from chronos.catalog import CheckpointRow
    from historian.bisecting import Bisection, Try

_STYLES = {"A": "green", "M": "yellow", "D": "red", "T": "cyan"}
_MOST_PATHS = 20
_MOST_WORDS = 10


def progress(found: Try) -> None:
    """Say on standard error what a try gave."""
    how = found.known or (f"exit code {found.code}, {found.run_s:.1f} s" if found.code is not None else found.words)
    line = f"{found.result.value:<8} {found.row.checkpoint_id}  {display(found.row.name)}  ({how.strip()})"
    output.write_error(output.harmless(line))
    for note in found.notes:
        output.write_error(output.harmless(f"chrono: warning: {note}"))


def document(found: Bisection) -> dict[str, Any]:
    """Describe a bisection. `candidates` could not be tried: each of them may be the first bad one as well."""
    return {
        "command": found.command,
        "timeline": found.timeline,
        "first_bad": _checkpoint(found.first_bad),
        "last_good": _checkpoint(found.last_good),
        "before": _checkpoint(found.before),
        "candidates": list(map(documents.checkpoint, found.candidates)),
        "may_be_older": found.is_older,
        "reversals": [{"bad": bad.checkpoint_id, "good": good.checkpoint_id} for bad, good in found.reversals],
        "checkpoints": len(found.line),
        "runs": found.runs,
        "tries": list(map(_try, found.tries)),
        "differences": [{"path": to_text(item.path), "status": item.status} for item in found.differences],
        **differences_document(found.stores),
        "kept": str(found.kept) if found.kept is not None else None,
    }


def view(found: Bisection) -> None:
    """Show what was found, and what it changed."""
    runs = f"{count(found.runs, 'run')} over {count(len(found.line), 'checkpoint')}"
    if found.first_bad is None:
        output.write(f"nothing fails: {found.line[-1].checkpoint_id} is good, {runs}")
        return
    what = "the first bad checkpoint is" if not found.candidates else "the first bad checkpoint is one of these:"
    output.write(f"{what} {_named(found.first_bad)}, {runs}" if not found.candidates else f"{what} ({runs})")
    for row in (*found.candidates, found.first_bad) if found.candidates else ():
        output.write(f"  {_named(row)}{'  (not tried)' if row is not found.first_bad else ''}")
    if found.last_good is not None:
        output.write(f"the last good one before it is {_named(found.last_good)}")
    if found.is_older:
        output.write("no good one is known before it: what broke it may be older")
    for bad, good in found.reversals:
        output.write(f"not all of one piece: {_named(bad)} is bad, and {_named(good)} after it is good")
    _show_changes(found)
    _show_words(found)
    if found.kept is not None:
        output.write(f"its state is a timeline now, in {display(str(found.kept))}; `chrono undo` takes that back")


def _show_changes(found: Bisection) -> None:
    if found.before is None or found.first_bad is None:
        return
    if found.differences or found.stores:
        output.write(f"what it changed since {_named(found.before)}:")
    rows: list[Row] = [
        (Cell(item.status, _STYLES.get(item.status, "")), display(item.path))
        for item in found.differences[:_MOST_PATHS]
    ]  # fmt: skip
    write_table((Column("", may_wrap=False), Column("path")), rows, titles=False, indent="  ")
    if len(found.differences) > _MOST_PATHS:
        output.write(f"  and {count(len(found.differences) - _MOST_PATHS, 'path')} more")
    if found.stores:
        show_differences(found.stores)
    ids = f"{found.before.checkpoint_id} {found.first_bad.checkpoint_id}"
    output.write(f"`chrono checkpoint diff {ids} --patch` shows the lines")


def _show_words(found: Bisection) -> None:
    """Show the last lines that the command said at the first bad checkpoint."""
    bad = found.first_bad.checkpoint_id if found.first_bad is not None else ""
    said = next((one.words for one in found.tries if one.row.checkpoint_id == bad), "")
    lines = said.rstrip().splitlines()
    if lines:
        output.write("the command said:")
    for line in lines[-_MOST_WORDS:]:
        output.write(f"  {output.harmless(line)}")


def _named(row: CheckpointRow) -> str:
    return f"{row.checkpoint_id} {display(row.name)}"


def _checkpoint(row: CheckpointRow | None) -> dict[str, Any] | None:
    return documents.checkpoint(row) if row is not None else None


def _try(found: Try) -> dict[str, Any]:
    return {
        "checkpoint_id": found.row.checkpoint_id, "name": found.row.name, "result": found.result.value,
        "exit_code": found.code, "known": found.known or None, "words": found.words, "notes": list(found.notes),
        "prepare_s": round(found.prepare_s, 3), "run_s": round(found.run_s, 3),
    }  # fmt: skip
