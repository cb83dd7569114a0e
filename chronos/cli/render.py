"""What people read: each function renders one answer of the engine as text.

Every name passes `display`, every message `harmless`. Plans have a module of their own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Any

from chronos.cli import output
from chronos.cli.tables import Cell, Column, Row, write_pairs, write_patch, write_table
from chronos.cli.wording import count, size, when
from chronos.files import display

if TYPE_CHECKING:
    from chronos.catalog import CheckpointRow
    from chronos.checkpoints import Annotation, Created, Difference, FoundSecret, ReceiptRow
    from chronos.cli.views import Comparison, History, Judged, Page, Setup, Verified
    from chronos.engine import Details
    from chronos.maintenance import Finding, StatusReport

_COUNTED_ONLY = {"ignored", "other worktree", "from git only", "history of an embedded repository"}
_STATUS_STYLES = {"A": "green", "M": "yellow", "D": "red", "T": "cyan"}
_GRADE_STYLES = {"complete": "green", "partial": "yellow", "torn": "bold red"}
_SEVERITY_STYLES = {"note": "", "warning": "yellow", "error": "bold red"}
_CHECKPOINT_COLUMNS = (
    Column("id", may_wrap=False), Column("name"), Column("created", may_wrap=False), Column("files", is_number=True),
    Column("grade", may_wrap=False), Column("kind", may_wrap=False), Column("timeline"), Column("tags"),
)  # fmt: skip
_OPERATION_COLUMNS = (
    Column("operation", may_wrap=False), Column("when", may_wrap=False), Column("what"), Column("state", may_wrap=False)
)  # fmt: skip
_VERDICT_STYLES = {"passed": "green", "failed": "red"}
_MOST_SECRETS = 20
_MARKS = {"undoable": "", "redoable": "undone", "past": ""}


def created(found: Created) -> None:
    """Show what `checkpoint create` did: one line, then what the checkpoint does not hold."""
    state = "" if found.created else "  (nothing changed since)"
    changed = count(found.files_changed, "changed file")
    output.write(f"{found.checkpoint_id}  {display(found.name)}  {changed}  {found.grade.value}{state}")
    receipt(found.receipt)
    warnings(found.warnings)
    _warn_of_secrets(found)


def _warn_of_secrets(found: Created) -> None:
    """Warn of each place that is new, count those that were known, and say what there was no time to look at."""
    new = [item for item in found.secrets if item.is_new]
    warnings(f"{_place(item)} looks like a secret: {item.what}" for item in new[:_MOST_SECRETS])
    others = len(found.secrets) - min(len(new), _MOST_SECRETS)
    if others:
        where = f"{count(others, 'place')}{' more' if new else ', as before'}"
        warnings([f"what looks like secrets in {where}: see `chrono checkpoint show {found.checkpoint_id}`"])
    missed = found.unscanned.get("forms")
    if missed is not None:
        warnings([f"no time to look for secrets in {count(missed.count, 'new text')} ({size(missed.bytes)})"])


def _place(found: FoundSecret) -> str:
    return f"{display(found.path)}:{found.line}" if found.line else display(found.path)


def receipt(rows: Sequence[ReceiptRow]) -> None:
    """Show what is not in a checkpoint: a count for each reason, and every row that makes it partial."""
    if not rows:
        return
    counts = Counter(row.reason.value for row in rows)
    summary = ", ".join(f"{number} {reason}" for reason, number in sorted(counts.items()))
    output.write(f"not in it: {summary}")
    single = [row for row in rows if row.reason.value not in _COUNTED_ONLY]
    columns = (Column("reason", may_wrap=False), Column("path"), Column("size", is_number=True), Column("detail"))
    cells: list[Row] = [
        (Cell(row.reason.value, "yellow"), display(row.path), size(row.size), display(row.detail)) for row in single
    ]
    write_table(columns, cells, titles=False, indent="  ", is_brief=True)


def warnings(found: Iterable[str]) -> None:
    """Show warnings on standard error."""
    for warning in found:
        output.write_error(f"chrono: warning: {output.harmless(warning)}")


def page(found: Page) -> None:
    """Show checkpoints as a table."""
    if not found.rows:
        output.write("no checkpoints")
        return
    write_table(_CHECKPOINT_COLUMNS, [_checkpoint(row) for row in found.rows])
    if found.total is not None and found.total > len(found.rows) and output.is_terminal():
        output.write(f"{len(found.rows)} of {found.total}; see more with --limit")


def deleted(row: CheckpointRow) -> None:
    """Show what `checkpoint delete` did."""
    output.write(f"deleted {row.checkpoint_id}  {display(row.name)}; `chrono undo` brings it back")


def annotated(row: CheckpointRow) -> None:
    """Show what a pin or a tag made of a checkpoint."""
    write_table(_CHECKPOINT_COLUMNS, [_checkpoint(row)], titles=False)


def to_delete(row: CheckpointRow) -> None:
    """Show what `checkpoint delete` would do."""
    output.write(f"delete {row.checkpoint_id}  {display(row.name)}  {when(row.created_at)}")


def details(found: Details) -> None:
    """Show everything that a checkpoint says about itself."""
    row, manifest = found.row, found.manifest
    pairs = [("id", row.checkpoint_id), ("name", display(row.name))]
    pairs += [("about", display(line)) for line in row.description.splitlines()]
    pairs += [
        ("timeline", row.timeline),
        ("parents", ", ".join(manifest.parents)),
        ("created", when(row.created_at)),
        ("kind", _kind(row)),
        ("tags", ", ".join(map(display, row.tags))),
        ("grade", row.grade),
        ("changed", count(row.files_changed, "file")),
        ("folder", display(str(found.folder))),
    ]
    for part in manifest.code:
        where = f"{display(part.path)}/" if part.path else "."
        branch = f" on {display(part.branch)}" if part.branch else ""
        staged = f", {part.staged.count} staged" if part.staged.count else ""
        busy = f", {' and '.join(part.in_progress)} in progress" if part.in_progress else ""
        base = part.base[:12] if part.base else "no base"
        pairs.append(("code", f"{where} {part.kind.value}, {base}{branch}, {part.entries.count} changed{staged}{busy}"))
    for record in found.memory:
        torn = ", torn" if record.is_torn else ""
        pairs.append(("memory", f"{display(record.name)} {record.kind}, {size(record.bytes)}{torn}"))
    write_pairs((name, value) for name, value in pairs if value)
    receipt(found.receipt)
    if found.secrets:
        output.write("looks like secrets:")
        columns = (Column("place"), Column("what"), Column("scanner", may_wrap=False))
        cells: list[Row] = [
            (_place(item), Cell(display(item.what), "yellow"), display(item.scanner)) for item in found.secrets
        ]
        write_table(columns, cells, titles=False, indent="  ")
    for name, missed in manifest.unscanned.items():
        output.write(f"not looked at by {display(name)}: {count(missed.count, 'new text')}, {size(missed.bytes)}")
    warnings(manifest.warnings)
    if found.verdicts:
        output.write("verdicts:")
        verdicts(found.verdicts)


def judged(found: Judged) -> None:
    """Show a checkpoint after it was given a verdict."""
    annotated(found.row)
    verdicts(found.verdicts[:1])


def verdicts(found: Iterable[Annotation]) -> None:
    """Show verdicts, the newest first."""
    rows: list[Row] = []
    for one in found:
        numbers = ", ".join(f"{display(name)}={value:g}" for name, value in one.metrics.items())
        said = "; ".join(filter(None, (numbers, display(one.note), display(one.command))))
        result = one.result.value if one.result is not None else ""
        rows.append((Cell(result, _VERDICT_STYLES.get(result, "")), when(one.at), said))
    columns = (Column("verdict", may_wrap=False), Column("when", may_wrap=False), Column("what"))
    write_table(columns, rows, titles=False, indent="  ", is_brief=True)


def differences(found: Comparison) -> None:
    """Show which paths differ."""
    if found.differences:
        _write_differences(found.differences)
    elif not found.stores:
        output.write("no differences")
    _write_stores(((item.status, item.name, item.kind) for item in found.stores), found.rows_by)


def statistics(found: Comparison) -> None:
    """Show how many lines differ at each path."""
    rows: list[Row] = []
    added = removed = 0
    for _, patch in found.patches:
        added, removed = added + patch.added, removed + patch.removed
        if patch.is_binary:
            rows.append((display(patch.path), "binary", ""))
        else:
            rows.append((display(patch.path), Cell(f"+{patch.added}", "green"), Cell(f"-{patch.removed}", "red")))
    if rows:
        write_table(
            (Column("path"), Column("added", is_number=True), Column("removed", is_number=True)), rows, titles=False
        )
    output.write(f"{count(len(rows), 'file')}, +{added} -{removed}")
    _write_stores(((item.status, item.name, item.kind) for item in found.stores), found.rows_by)


def patches(found: Comparison) -> None:
    """Show the differences as patches."""
    for _, patch in found.patches:
        write_patch(patch.text)
    _write_stores(((item.status, item.name, item.kind) for item in found.stores), found.rows_by)


def history(found: History) -> None:
    """Show operations, and which come next for undo and redo."""
    if not found.operations and not found.annotations:
        output.write(f"no operations on timeline {found.timeline}")
        return
    rows: list[Row] = []
    for item in found.operations:
        state = Cell(_MARKS[found.mark(item)])
        if item.operation == found.next_undo:
            state = Cell("next undo", "green")
        elif item.operation == found.next_redo:
            state = Cell("next redo", "cyan")
        elif item.kind.value == "unreadable":
            state = Cell("stops undo", "red")
        rows.append((item.operation, when(item.at), display(item.summary), state))
    write_table(_OPERATION_COLUMNS, _with_annotations(found, rows))
    output.write(f"{len(found.undoable)} can be undone, {len(found.redoable)} redone")


def _with_annotations(found: History, rows: list[Row]) -> list[Row]:
    """Put verdicts and effects between the rows of the operations, in the order of their times."""
    merged, left = list[Row](), list(found.annotations)
    for item, row in zip(found.operations, rows, strict=True):
        while left and left[0].at > item.at:
            merged.append(_annotation(left.pop(0)))
        merged.append(row)
    return [*merged, *map(_annotation, left)]


def _annotation(found: Annotation) -> Row:
    by = f", by {display(found.command)}" if found.command else ""
    if found.effects:
        what = f"{', '.join(map(display, found.effects))}{by}"
        return found.annotation, when(found.at), what, Cell("not taken back", "yellow")
    result = found.result.value if found.result is not None else ""
    what = f"{found.checkpoint[:8]} {result}{by}"
    return found.annotation, when(found.at), what, Cell("verdict", _VERDICT_STYLES.get(result, ""))


def status(found: StatusReport) -> None:
    """Show where things stand."""
    newest = found.newest
    last = f"{newest.checkpoint_id}  {display(newest.name)}  {when(newest.created_at)}" if newest else "none yet"
    pairs = [
        ("root", display(str(found.root))),
        ("store", display(str(found.store))),
        ("timeline", display(found.timeline)),
        ("newest", last),
        ("undo", display(found.can_undo or "nothing")),
        ("redo", display(found.can_redo or "nothing")),
    ]
    write_pairs(pairs)
    if newest is not None:
        output.write(f"{count(len(found.changed), 'path')} changed since")
        _write_differences(found.changed, indent="  ", is_brief=True)
        _write_stores((pair.status, pair.record.name, pair.record.kind) for pair in found.stores)
    receipt(found.receipt)
    warnings(found.warnings)
    if found.interrupted:
        warnings([f"{count(found.interrupted, 'operation')} interrupted: run `chrono recover`"])
    if found.waiting is not None:
        decisions = f"{count(found.conflicts, 'conflict')} to decide" if found.conflicts else "all is decided"
        warnings([f"{display(found.waiting)} waits, {decisions}: see `chrono conflicts`"])


def setup(found: Setup) -> None:
    """Show a store that was set up."""
    write_pairs(
        [
            ("root", display(str(found.root))),
            ("store", display(str(found.store))),
            ("timeline", display(found.timeline)),
        ]
    )
    receipt(found.receipt)
    output.write("settings:")
    rows = [(f"  {name}", display(_setting(value))) for name, value in found.settings.items()]
    write_pairs(rows)


def findings(found: Sequence[Finding]) -> None:
    """Show what a check found, and what to do about it."""
    if not found:
        output.write("nothing is wrong")
        return
    columns = (Column("severity", may_wrap=False), Column("subject"), Column("problem"), Column("remedy"))
    rows: list[Row] = [
        (Cell(name := item.severity.name.lower(), _SEVERITY_STYLES[name]),
         *(display(text) for text in (item.subject, item.problem, item.remedy)))
        for item in found
    ]  # fmt: skip
    write_table(columns, rows)


def verified(found: Verified) -> None:
    """Show what a verification found, and what it did not look at."""
    findings(found.findings)
    if not found.is_deep:
        output.write("the bytes inside packs and members were not read; `chrono verify --deep` reads them")


def recovered(done: Sequence[str]) -> None:
    """Show what `recover` did."""
    for sentence in done or ["nothing to recover"]:
        output.write(output.harmless(sentence))


def _write_differences(items: Iterable[Difference], *, indent: str = "", is_brief: bool = False) -> None:
    rows: list[Row] = []
    for item in items:
        note = "  (left out of one of the two)" if item.status == "?" else ""
        rows.append((Cell(item.status, _STATUS_STYLES.get(item.status, "")), display(item.path) + note))
    write_table((Column("", may_wrap=False), Column("path")), rows, titles=False, indent=indent, is_brief=is_brief)


def _write_stores(items: Iterable[tuple[str, str, str]], rows_by: str = "chrono memory diff") -> None:
    rows: list[Row] = [
        (Cell(status, _STATUS_STYLES.get(status, "")), f"memory: {display(name)}", kind) for status, name, kind in items
    ]
    write_table((Column("", may_wrap=False), Column(""), Column("")), rows, titles=False)
    if rows:
        output.write(f"`{display(rows_by)}` shows the rows")


def _checkpoint(row: CheckpointRow) -> Row:
    grade = Cell(row.grade, _GRADE_STYLES.get(row.grade, ""))
    tags = ", ".join(map(display, row.tags))
    return (
        Cell(row.checkpoint_id, "yellow"), display(row.name), when(row.created_at), str(row.files_changed), grade,
        _kind(row), display(row.timeline), tags,
    )  # fmt: skip


def _kind(row: CheckpointRow) -> str:
    return ", ".join(filter(None, (row.trigger, "pinned" if row.pinned else "", row.verdict)))


def _setting(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        shown = {name: f" at {one['path']}" if isinstance(one, dict) else f"={one}" for name, one in value.items()}
        return ", ".join(name + text for name, text in shown.items())
    if isinstance(value, Enum):
        return str(value.value)
    return " ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
