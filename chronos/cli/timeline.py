"""`chrono timeline`: working trees with their own memory beside this one, to try things in, compare, and merge back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from chronos.cli import documents, render, timeline_report
from chronos.cli.declaring import Argument, Group, Option
from chronos.cli.merging import Into, ResolverName, StrategyName, asking_once, carry_out
from chronos.cli.options import Paths, PlanOnly, Yes
from chronos.cli.session import Session
from chronos.cli.views import Comparison
from chronos.errors import UsageError
from chronos.files import display

if TYPE_CHECKING:
    from chronos.timelines import MergeOutcome

app = Group("Timelines: isolated working trees with their own memory, to try things in.")
Timeline = Annotated[str, Argument(metavar="NAME", show_default=False, help="The name of a timeline.")]


@app.command()
def branch(
    session: Session,
    name: Annotated[str, Argument(metavar="NAME", show_default=False, help="What to call it.")],
    checkpoint: Annotated[
        str | None,
        Option("--from", metavar="ID", show_default="the files now", help="Begin from this checkpoint."),
    ] = None,
    no_memory: Annotated[bool, Option("--no-memory", help="Without the memory stores.")] = False,
    seed: Annotated[
        list[str] | None,
        Option(
            "--seed", metavar="PATTERN", show_default=False,
            help="Copy ignored files too that this pattern names (gitignore syntax); repeatable.",
        ),
    ] = None,
) -> None:  # fmt: skip
    """Make a working tree with exactly the present state, uncommitted and untracked files too, and its own memory.

    It is a git worktree on a new branch chronos/NAME. Nothing in this working tree, its index or its branch changes.
    """
    with session.engine() as engine:
        found = engine.branch_timeline(name, checkpoint, memory=not no_memory, seeds=seed or ())
        session.show(found, timeline_report.branched_document, timeline_report.branched)


@app.command("list")
def list_(session: Session) -> None:
    """List the timelines: where each is, and what it was branched from."""
    with session.engine() as engine:
        found = engine.list_timelines()
        current = engine.timeline
        session.show(
            found, timeline_report.list_document, lambda rows: timeline_report.list_(rows, current)
        )  # fmt: skip


@app.command()
def show(session: Session, timeline: Timeline) -> None:
    """Show one timeline: its working tree, branch, memory stores and newest checkpoint."""
    with session.engine() as engine:
        session.show(engine.show_timeline(timeline), timeline_report.details_document, timeline_report.details)


@app.command()
def path(session: Session, timeline: Timeline) -> None:
    """Print where the working tree of a timeline is, for `cd "$(chrono timeline path NAME)"`."""
    with session.engine() as engine:
        session.show(
            engine.timeline_path(timeline), lambda found: {"name": timeline, "path": str(found)}, timeline_report.path
        )  # fmt: skip


@app.command(is_verbatim=True, has_json=False)
def run(
    session: Session,
    timeline: Timeline,
    command: Annotated[list[str], Argument(metavar="-- CMD", show_default=False, help="What to run there.")],
) -> None:
    """Run a command in the working tree of a timeline, and end as it ends.

    It finds CHRONOS_TIMELINE, CHRONOS_ROOT, and the place of each memory store as CHRONOS_MEMORY_<STORE>.
    """
    with session.engine() as engine:
        environment = engine.timeline_environment(timeline)
    from chronos.app import run_in

    run_in(command[command[0] == "--" :], environment)


@app.command()
def diff(
    session: Session,
    timeline: Annotated[str, Argument(metavar="A", show_default=False, help="The name of a timeline.")],
    other_timeline: Annotated[str, Argument(metavar="B", show_default=False, help="The name of another one.")],
    memory: Annotated[bool, Option("--memory", help="Only the memory stores, with rows by table.")] = False,
    patch: Annotated[bool, Option("--patch", help="Show the changes of text line by line.")] = False,
    path: Paths = None,
) -> None:
    """Show what differs from timeline A to timeline B, committed or not, as both are now."""
    if memory and (patch or path):
        raise UsageError("--memory goes alone")
    with session.engine() as engine:
        first, second = engine.hold_timeline(timeline), engine.hold_timeline(other_timeline)
        if memory:
            timeline_report.show_memory(session, engine.diff_memory(first, second))
            return
        paths = session.from_root(engine, path)
        differences = [] if patch else engine.diff(first, second, paths=paths)
        patches = engine.diff_patches(first, second, paths=paths) if patch else ()
        stores = engine.diff_memory(first, second, tables=False) if not paths else []
        rows_by = f"chrono timeline diff {timeline} {other_timeline} --memory"
        view = render.patches if patch else render.differences
        session.show(
            Comparison(timeline, other_timeline, differences, stores, patches, patch, rows_by),
            documents.comparison,
            view,
        )


@app.command()
def merge(
    session: Session,
    timeline: Annotated[str, Argument(metavar="SOURCE", show_default=False, help="The timeline to merge.")],
    into: Into = None,
    plan_only: PlanOnly = False,
    yes: Yes = False,
    strategy: StrategyName = "conflict",
    path: Paths = None,
    base: Annotated[
        str | None,
        Option("--base", metavar="ID", show_default="the common one", help="Compare both with this checkpoint."),
    ] = None,
    resolver: ResolverName = None,
) -> None:  # fmt: skip
    """Merge what a timeline changed, committed or not, into a working tree: code by lines, memory by rows.

    While there are conflicts nothing is changed: decide them with `chrono resolve` and merge again. A merge is one
    operation, which `chrono undo` takes back, and the next one begins where it ended.
    """
    with session.engine() as engine, asking_once(engine, resolver, plan_only=plan_only) as ask:
        paths = session.from_root(engine, path)

        def work(plan_id: str | None, *, plan_only: bool) -> MergeOutcome:
            if plan_only:
                return engine.plan_merge_timeline(
                    timeline, into, strategy=strategy, paths=paths, base=base, resolver=ask
                )
            return engine.merge_timeline(
                timeline, into, strategy=strategy, paths=paths, base=base, resolver=ask, plan_id=plan_id
            )

        carry_out(session, work, plan_only=plan_only, yes=yes, question=f"Merge {display(timeline)}?")


@app.command()
def delete(session: Session, timeline: Timeline, plan_only: PlanOnly = False, yes: Yes = False) -> None:
    """Take a timeline away, after a checkpoint of what is there; `chrono undo` brings it back as it was.

    Its tree is moved aside, with the files that no checkpoint holds, until gc removes it when undo ends.
    """
    with session.engine() as engine:
        plan_id = None
        if plan_only or not yes:
            found = engine.plan_delete_timeline(timeline)
            if not plan_only:
                session.require_terminal("this takes a working tree away")
            session.show(found, timeline_report.leaving_document, timeline_report.leaving)
            if plan_only:
                return
            session.ask(f"Delete timeline {display(timeline)}?")
            plan_id = found.plan_id
        session.show(
            engine.delete_timeline(timeline, plan_id=plan_id), timeline_report.left_document, timeline_report.left
        )  # fmt: skip


@app.command()
def prune(
    session: Session,
    idle: Annotated[
        int | None,
        Option("--idle", metavar="DAYS", min=0, show_default="the lease", help="Not used for so many days."),
    ] = None,
    plan_only: PlanOnly = False,
    yes: Yes = False,
) -> None:
    """Take away working trees that nobody uses any more; their checkpoints stay.

    A tree with work that no checkpoint holds stays in any case; ignored files go with their tree, which is only moved
    aside, and come back with `chrono undo`. What git keeps of trees that are gone goes, too.
    """
    with session.engine() as engine:
        found = engine.plan_prune_timelines(idle)
        has_work = bool(found.links) or any(one.goes for one in found.timelines)
        if plan_only or not yes or not has_work:
            if has_work and not plan_only:
                session.require_terminal("this takes working trees away")
            session.show(found, timeline_report.leaving_document, timeline_report.leaving)
            if plan_only or not has_work:
                return
            session.ask("Prune them?")
        done = engine.prune_timelines(found, idle)
        session.show(
            done, timeline_report.pruned_document, lambda rows: timeline_report.pruned(rows, found)
        )  # fmt: skip
