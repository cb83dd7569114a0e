"""`chrono memory`: which memory stores checkpoints hold, declaring them, comparing them, and plain copies."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from chronos.cli import output, render
from chronos.cli.declaring import Argument, Group, Option
from chronos.cli.options import CheckpointId, OtherId
from chronos.cli.session import Session
from chronos.cli.tables import Cell, Column, Row, write_table
from chronos.cli.wording import count, size
from chronos.files import display

if TYPE_CHECKING:
    from chronos.memory import StorePlace, TableDifference
    from chronos.operations import StoreDifference, StoreReport

app = Group("Memory stores: databases and files of agents, held and restored with the code.")
StoreName = Annotated[str, Argument(metavar="NAME", show_default=False, help="The name of a memory store.")]
_STATUS_STYLES = {"A": "green", "M": "yellow", "D": "red"}


@app.command()
def add(
    session: Session,
    path: Annotated[Path, Argument(metavar="PATH", show_default=False, help="A file or folder, anywhere.")],
    kind: Annotated[
        str | None,
        Option("--kind", metavar="K", show_default="what stands there", help="sqlite, lancedb, files."),
    ] = None,
    name: Annotated[
        str | None, Option("--name", metavar="N", show_default="the name of the file", help="What to call it.")
    ] = None,
) -> None:
    """Declare a memory store, so that checkpoints hold it.

    Stores under data/memory, and databases among the files that git reports, are found by themselves. A declaration
    stays on this machine; one for everybody belongs into [tool.chronos.memory] and cannot lead out of the project.
    """
    with session.engine() as engine:
        session.show(engine.add_memory(path.absolute(), kind, name), _declared, _show_declared)


@app.command("list")
def list_(
    session: Session,
    tables: Annotated[bool, Option("--tables", help="Also the tables in them.")] = False,
) -> None:
    """List the memory stores that a checkpoint would hold now."""
    with session.engine() as engine:
        session.show(engine.list_memory(tables=tables), _reports, _show_reports)


@app.command()
def remove(session: Session, name: StoreName) -> None:
    """Take the declaration of a memory store back.

    Neither the store nor what checkpoints hold of it is touched.
    """
    with session.engine() as engine:
        path = engine.remove_memory(name)
        session.show(
            path,
            lambda path: {"name": name, "path": path, "declared": False},
            lambda path: output.write(f"{display(name)} at {display(path)} is no longer declared"),
        )


@app.command()
def diff(session: Session, checkpoint: CheckpointId, other: OtherId = None) -> None:
    """Show how memory stores have changed since a checkpoint, or from one to another: rows by table."""
    with session.engine() as engine:
        session.show(engine.diff_memory(checkpoint, other), differences_document, show_differences)


@app.command()
def extract(
    session: Session,
    checkpoint: CheckpointId,
    store: StoreName,
    folder: Annotated[Path, Argument(metavar="DIR", show_default=False, help="A new or empty folder.")],
) -> None:
    """Write a plain copy of a checkpoint's memory store into a folder."""
    with session.engine() as engine:
        written = engine.extract_memory(checkpoint, store, folder)
        session.show(
            written,
            lambda path: {"store": store, "path": str(path)},
            lambda path: output.write(f"{display(store)} is at {display(str(path))}"),
        )


def _declared(found: StorePlace) -> dict[str, Any]:
    return {"name": found.name, "kind": found.kind, "path": found.path, "declared": True}


def _show_declared(found: StorePlace) -> None:
    output.write(f"{display(found.name)}: {found.kind} at {display(found.path)}; checkpoints hold it from now on")


def _reports(found: Sequence[StoreReport]) -> dict[str, Any]:
    rows = []
    for item in found:
        tables = [
            {"name": table.name, "rows": table.rows, "columns": table.columns, "version": table.version}
            for table in item.tables or ()
        ]
        rows.append(
            {"name": item.name, "kind": item.kind, "path": item.path, "declared": not item.is_found,
             "bytes": item.size, "notes": list(item.notes)} | ({"tables": tables} if item.tables is not None else {})
        )  # fmt: skip
    return {"stores": rows}


def _show_reports(found: Sequence[StoreReport]) -> None:
    if not found:
        output.write("no memory stores; put them under data/memory, or `chrono memory add PATH`")
        return
    columns = (
        Column("name"), Column("kind", may_wrap=False), Column("size", is_number=True), Column("path"),
        Column("known", may_wrap=False),
    )  # fmt: skip
    rows: list[Row] = [
        (Cell(display(item.name), "bold"), item.kind, size(item.size), display(item.path),
         "found" if item.is_found else "declared")
        for item in found
    ]  # fmt: skip
    write_table(columns, rows)
    for item in found:
        tables: list[Row] = [
            (display(table.name), f"{table.rows:,}", display(table.columns)) for table in item.tables or ()
        ]
        if tables:
            output.write(f"{display(item.name)}:")
            write_table(
                (Column("table"), Column("rows", is_number=True), Column("columns")), tables, indent="  ", is_brief=True
            )
    render.warnings(f"{display(item.name)}: {note}" for item in found for note in item.notes)


def differences_document(found: Sequence[StoreDifference]) -> dict[str, Any]:
    """Describe how memory stores differ."""
    return {
        "stores": [
            {"name": item.name, "kind": item.kind, "status": item.status, "notes": list(item.notes),
             "tables": [_table(table) for table in item.tables]}
            for item in found
        ]
    }  # fmt: skip


def _table(table: TableDifference) -> dict[str, Any]:
    return {
        "name": table.name, "status": table.status, "added": table.added, "removed": table.removed,
        "changed": table.changed, "notes": list(table.notes),
    }  # fmt: skip


def show_differences(found: Sequence[StoreDifference]) -> None:
    """Show how memory stores differ."""
    if not found:
        output.write("no memory store differs")
    for item in found:
        write_table(
            (Column("", may_wrap=False), Column("store"), Column("kind", may_wrap=False)),
            [(Cell(item.status, _STATUS_STYLES.get(item.status, "")), display(item.name), item.kind)],
            titles=False,
        )
        rows: list[Row] = [
            (Cell(table.status, _STATUS_STYLES.get(table.status, "")), display(table.name),
             Cell(f"+{table.added}", "green"), Cell(f"-{table.removed}", "red"),
             "" if table.changed is None else Cell(f"~{table.changed}", "yellow"), display("; ".join(table.notes)))
            for table in item.tables
        ]  # fmt: skip
        columns = (
            Column("", may_wrap=False), Column("table"), Column("added", is_number=True),
            Column("removed", is_number=True), Column("changed", is_number=True), Column("notes"),
        )  # fmt: skip
        write_table(columns, rows, titles=False, indent="  ")
        render.warnings(f"{display(item.name)}: {note}" for note in item.notes)
    if found:
        output.write(f"{count(len(found), 'store')} differ{'s' if len(found) == 1 else ''}")
