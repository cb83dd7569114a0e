"""`chrono checkpoint`: take, list, show, compare, restore, delete, pin, tag, judge, search, export and import them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from chronos.cli import documents, plans, render, transfers
from chronos.cli.declaring import Argument, Group, Option
from chronos.cli.options import MOST, CheckpointId, OtherId, Paths, PlanOnly, Stores, Timeline, Yes
from chronos.cli.session import Session
from chronos.cli.views import Comparison, Judged, Page, WrittenOut
from chronos.errors import UsageError
from chronos.files import display

if TYPE_CHECKING:
    from chronos.engine import ChronosEngine

_PAGE = 50
NewFile = Annotated[Path, Argument(metavar="FILE", show_default=False, help="A file that is not there yet.")]

app = Group("Take, look at, compare and restore checkpoints.")


@app.command()
def create(
    session: Session,
    name: Annotated[str, Argument(metavar="NAME", show_default=False, help="What to call it.")],
    description: Annotated[str, Option("-d", "--description", metavar="TEXT", help="What it is for.")] = "",
    tag: Annotated[
        list[str] | None,
        Option("--tag", metavar="T", show_default=False, help="A word to find it by; repeatable."),
    ] = None,
) -> None:
    """Take a checkpoint of everything as it is now.

    What it does not hold, such as files that are secrets by their name, is counted and listed. Where something in it
    looks like a secret, it says so.
    """
    with session.engine() as engine:
        created = engine.take_checkpoint(name, description, tags=tag or ())
        session.show(created, documents.created, render.created)


@app.command("list")
def list_(
    session: Session,
    everything: Annotated[bool, Option("--all", help="Every timeline, and no limit unless --limit is given.")] = False,
    limit: Annotated[
        int | None,
        Option("--limit", metavar="N", min=1, max=MOST, show_default=str(_PAGE), help="At most this many."),
    ] = None,
    timeline: Timeline = None,
) -> None:
    """List checkpoints, the newest first."""
    if everything and timeline is not None:
        raise UsageError("--all and --timeline exclude each other")
    wanted = limit or (None if everything else _PAGE)
    with session.engine() as engine:
        rows = engine.list_checkpoints(timeline, limit=wanted, every_timeline=everything)
        total = None if everything else engine.count_checkpoints(timeline)
        session.show(Page(rows, total), documents.page, render.page)


@app.command()
def show(
    session: Session,
    checkpoint: CheckpointId,
    scan: Annotated[
        bool, Option("--scan", help="Read everything in it and look for secrets, however long it takes.")
    ] = False,
) -> None:
    """Show everything that a checkpoint says about itself, and where something in it looks like a secret."""
    with session.engine() as engine:
        session.show(engine.show_checkpoint(checkpoint, scan=scan), documents.details, render.details)


@app.command()
def diff(
    session: Session,
    checkpoint: CheckpointId,
    other: OtherId = None,
    stat: Annotated[bool, Option("--stat", help="Count lines.")] = False,
    patch: Annotated[bool, Option("--patch", "-p", help="Show the lines.")] = False,
    path: Paths = None,
) -> None:
    """Show what has changed since a checkpoint, or from one to another."""
    with session.engine() as engine:
        has_patches = stat or patch
        paths = session.from_root(engine, path)
        differences = [] if has_patches else engine.diff(checkpoint, other, paths=paths)
        patches = engine.diff_patches(checkpoint, other, paths=paths) if has_patches else ()
        view = render.patches if patch else render.statistics if stat else render.differences
        stores = engine.diff_memory(checkpoint, other, tables=False) if not paths else []
        session.show(Comparison(checkpoint, other, differences, stores, patches, patch), documents.comparison, view)


@app.command()
def restore(
    session: Session,
    checkpoint: CheckpointId,
    plan_only: PlanOnly = False,
    yes: Yes = False,
    path: Paths = None,
    include: Annotated[
        list[str] | None,
        Option(
            "--include", metavar="P", show_default=False,
            help="Replace this too though no checkpoint would hold it; the safety checkpoint takes it in. Repeatable.",
        ),
    ] = None,
    code: Annotated[bool, Option("--code", help="Only the code, no memory store.")] = False,
    memory: Annotated[bool, Option("--memory", help="Only the memory stores.")] = False,
    store: Stores = None,
    head: Annotated[bool, Option("--head", help="Move HEAD and its branch back too.")] = False,
    into: Annotated[
        Path | None, Option("--into", metavar="DIR", show_default=False, help="Write into a new folder instead.")
    ] = None,
    plan_id: Annotated[
        str | None, Option("--plan-id", metavar="X", show_default=False, help="Only while the plan is this one.")
    ] = None,
) -> None:  # fmt: skip
    """Give the files, the index and the memory stores the state of a checkpoint.

    The state before is kept as a safety checkpoint, so that `chrono undo` takes a restore back. What no checkpoint
    holds is never overwritten: it is kept and listed.
    """
    if into is not None:
        if plan_only or head or include or plan_id or code or memory or store:
            raise UsageError("--into goes with --path only", hint="`chrono memory extract` gives a copy of one store")
        _write_out(session, checkpoint, into, path)
        return
    with session.engine() as engine:
        wanted: dict[str, Any] = {
            "paths": session.from_root(engine, path), "include": session.from_root(engine, include), "head": head,
            "code": code or not memory, "memory": memory or not code, "stores": store or (),
        }  # fmt: skip
        _restore(session, engine, checkpoint, wanted, plan_id, plan_only=plan_only, yes=yes)


@app.command()
def delete(
    session: Session,
    checkpoint: CheckpointId,
    plan_only: PlanOnly = False,
    yes: Yes = False,
) -> None:
    """Delete a checkpoint; `chrono undo` brings it back."""
    with session.engine() as engine:
        row = engine.find_checkpoint(checkpoint, damaged=True)
        if not (yes or plan_only):
            session.require_terminal(f"this deletes checkpoint {row.checkpoint_id}")
        if plan_only or not yes:
            session.show(row, documents.to_delete, render.to_delete)
            if plan_only:
                return
            session.ask("Delete it?")
        gone = engine.delete_checkpoint(row.checkpoint_id, row.timeline)
        session.show(gone, documents.deleted, render.deleted)


@app.command()
def pin(session: Session, checkpoint: CheckpointId) -> None:
    """Keep a checkpoint from retention until it is unpinned."""
    with session.engine() as engine:
        session.show(engine.pin_checkpoint(checkpoint), documents.checkpoint, render.annotated)


@app.command()
def unpin(session: Session, checkpoint: CheckpointId) -> None:
    """Leave a checkpoint to retention again."""
    with session.engine() as engine:
        session.show(engine.pin_checkpoint(checkpoint, pinned=False), documents.checkpoint, render.annotated)


@app.command()
def tag(
    session: Session,
    checkpoint: CheckpointId,
    tags: Annotated[list[str], Argument(metavar="TAG...", show_default=False, help="Words to find it by.")],
    remove: Annotated[bool, Option("--remove", help="Take the tags from it.")] = False,
) -> None:
    """Give a checkpoint tags, which also keep it from retention."""
    with session.engine() as engine:
        found = engine.tag_checkpoint(checkpoint, tags, remove=remove)
        session.show(found, documents.checkpoint, render.annotated)


@app.command()
def verdict(
    session: Session,
    checkpoint: CheckpointId,
    result: Annotated[str, Argument(metavar="passed|failed", show_default=False, help="How it did.")],
    metric: Annotated[
        list[str] | None,
        Option("--metric", metavar="NAME=VALUE", show_default=False, help="A number; repeatable."),
    ] = None,
    note: Annotated[str, Option("--note", metavar="TEXT", help="What there is to say of it.")] = "",
    command: Annotated[str, Option("--command", metavar="TEXT", help="The command that found it.")] = "",
) -> None:  # fmt: skip
    """Say whether a checkpoint passed or failed; the newest verdict counts.

    `last-green` means the newest checkpoint that passed, which retention also keeps.
    """
    metrics = dict(map(_metric, metric or ()))
    with session.engine() as engine:
        row = engine.set_verdict(checkpoint, result, metrics=metrics, note=note, command=command)
        found = Judged(row, engine.get_verdicts(row.checkpoint_id, row.timeline))
        session.show(found, documents.verdict_set, render.judged)


@app.command()
def search(
    session: Session,
    text: Annotated[str, Argument(metavar="TEXT", show_default=False, help="Part of a name, description or tag.")],
    timeline: Timeline = None,
) -> None:
    """Find checkpoints by name, description or tag."""
    with session.engine() as engine:
        session.show(Page(engine.search_checkpoints(text, timeline)), documents.page, render.page)


@app.command("export")
def export_(
    session: Session,
    checkpoint: CheckpointId,
    file: NewFile,
    base: Annotated[
        bool, Option("--base", help="Take the base commits along, with their whole history as git has it.")
    ] = False,
    include_secrets: Annotated[
        bool, Option("--include-secrets", help="Take along also files in which a secret seems to stand.")
    ] = False,
    yes: Yes = False,
) -> None:
    """Write a checkpoint into one file, which any other clone can import.

    Files in which a secret seems to stand are left out and listed, unless --include-secrets is given.
    """
    if include_secrets and not yes:
        session.require_terminal("whoever gets the file gets the secrets in it", has_plan=False)
        session.ask("Whoever gets the file gets the secrets in it. Write it?")
    with session.engine() as engine:
        found = engine.export_checkpoint(checkpoint, file, base=base, include_secrets=include_secrets)
        session.show(found, transfers.exported_document, transfers.exported)


@app.command("import")
def import_(
    session: Session,
    file: Annotated[Path, Argument(metavar="FILE", show_default=False, help="A file that an export wrote.")],
    plan_only: PlanOnly = False,
    yes: Yes = False,
    timeline: Annotated[
        str | None, Option("--timeline", metavar="T", show_default="imported", help="Where it lands.")
    ] = None,
) -> None:
    """Take the checkpoint in a file into this store; `chrono undo` takes it back.

    Every byte of the file is checked first. It lands on a timeline of its own, and is found there by id and name. One
    that is here already is left as it is, which is no error.
    """
    if not (yes or plan_only):
        session.require_terminal("an import writes into the store, and with a base into the repository")
    with session.engine() as engine:
        if plan_only or not yes:
            plan = engine.plan_import(file, timeline)
            session.show(plan, transfers.plan_document, transfers.plan)
            if plan_only or plan.is_empty:
                return
            session.ask("Import it?")
        session.show(engine.import_checkpoint(file, timeline), transfers.imported_document, transfers.imported)


def _metric(text: str) -> tuple[str, float]:
    name, _, value = text.partition("=")
    try:
        return name, float(value)
    except ValueError:
        raise UsageError(f"'{display(text[:60])}' is no metric", hint="a metric is NAME=VALUE with a number") from None


def _restore(
    session: Session, engine: ChronosEngine, checkpoint: str, wanted: dict[str, Any], plan_id: str | None, *,
    plan_only: bool, yes: bool,
) -> None:  # fmt: skip
    if not (yes or plan_only):
        engine.find_checkpoint(checkpoint)
        session.require_terminal("a restore overwrites and deletes files")
    if not yes or plan_only:
        plan = engine.plan_restore(checkpoint, **wanted)
        session.show(plan, documents.plan, plans.plan)
        if plan_only or plan.change_set.is_empty:
            return
        session.ask(f"Restore {display(checkpoint)}?")
        plan_id = plan_id or plan.plan_id
    outcome = engine.restore_checkpoint(checkpoint, **wanted, plan_id=plan_id)
    session.show(outcome, documents.outcome, plans.outcome)


def _write_out(session: Session, checkpoint: str, folder: Path, paths: Sequence[str] | None) -> None:
    with session.engine() as engine:
        written = engine.restore_into(checkpoint, folder, paths=session.from_root(engine, paths))
        session.show(WrittenOut(checkpoint, folder.absolute(), written), documents.written_out, plans.written_out)
