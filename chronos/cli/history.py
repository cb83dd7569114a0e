"""`chrono log`, `undo` and `redo`: the operations of a timeline, and walking them both ways."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from chronos.cli import documents, graph, plans, render
from chronos.cli.declaring import Group, Option
from chronos.cli.options import MOST, Overwrite, PlanOnly, Timeline, Yes
from chronos.cli.session import Session
from chronos.cli.views import History, Step
from chronos.errors import UsageError

if TYPE_CHECKING:
    from chronos.checkpoints import Annotation
    from chronos.engine import ChronosEngine
    from chronos.operations import Operation

app = Group()


@app.command()
def log(
    session: Session,
    as_graph: Annotated[
        bool, Option("--graph", help="Draw the checkpoints of every timeline, and where each comes from.")
    ] = False,
    everything: Annotated[bool, Option("--all", help="With --graph: automatic and safety checkpoints too.")] = False,
    limit: Annotated[int, Option("--limit", metavar="N", min=1, max=MOST, help="At most this many.")] = 50,
    timeline: Timeline = None,
) -> None:
    """List what was done, the newest first.

    Says what can be undone and redone, which verdicts were given, and what was done that no restore takes back. --graph
    shows checkpoints instead, those of every timeline.
    """
    from chronos.operations import build_stack

    if as_graph and timeline is not None:
        raise UsageError("--graph shows every timeline", hint="leave out --timeline")
    if everything and not as_graph:
        raise UsageError("--all goes with --graph", hint="`chrono checkpoint list --all` lists every timeline")
    if as_graph:
        with session.engine() as engine:
            session.show(engine.read_graph(everything=everything, limit=limit), graph.document, graph.view)
        return
    with session.engine() as engine:
        operations = engine.list_operations(timeline)
        stack = build_stack(operations[::-1])
        found = History(
            timeline or engine.timeline,
            operations[:limit],
            [operation.operation for operation in reversed(stack.undoable)],
            [operation.operation for operation in reversed(stack.undone)],
            _of_that_time(engine.list_annotations(timeline), operations, limit),
        )
        session.show(found, documents.history, render.history)


def _of_that_time(found: list[Annotation], operations: list[Operation], limit: int) -> list[Annotation]:
    """Return the annotations that are no older than the oldest operation that is shown, and no more than `limit`."""
    start = operations[limit - 1].at if len(operations) > limit else ""
    return [one for one in found if one.at >= start][:limit]


@app.command()
def undo(
    session: Session,
    plan_only: PlanOnly = False,
    yes: Yes = False,
    overwrite: Overwrite = False,
    skip: Annotated[bool, Option("--skip", help="Step over an operation whose record is damaged.")] = False,
) -> None:
    """Take back the last operation of this timeline.

    Paths that were edited since are kept and listed, unless --overwrite is given. An operation whose record is damaged
    cannot be taken back and stops undo; --skip goes past it and changes no file.
    """
    if skip and (plan_only or overwrite):
        raise UsageError("--skip goes alone")
    with session.engine() as engine:
        if skip:
            session.show(engine.skip(), documents.skipped, plans.skipped)
            return
        _walk(session, engine, "undo", plan_only=plan_only, yes=yes, overwrite=overwrite)


@app.command()
def redo(
    session: Session,
    plan_only: PlanOnly = False,
    yes: Yes = False,
    overwrite: Overwrite = False,
) -> None:
    """Take back the last undo of this timeline."""
    with session.engine() as engine:
        _walk(session, engine, "redo", plan_only=plan_only, yes=yes, overwrite=overwrite)


def _walk(session: Session, engine: ChronosEngine, verb: str, *, plan_only: bool, yes: bool, overwrite: bool) -> None:
    """Plan, show and ask as far as that is wanted, and take the step."""
    plan_step, take_step = (engine.plan_undo, engine.undo) if verb == "undo" else (engine.plan_redo, engine.redo)
    plan_id = None
    if plan_only or not yes:
        operation, plan = plan_step(overwrite=overwrite)
        step = Step(f"{verb} {operation.summary}", operation, plan)
        if plan_only:
            session.show(step, documents.step, plans.step)
            return
        if session.is_interactive:
            session.show(step, documents.step, plans.step)
            session.ask(f"{verb.capitalize()}?")
        elif not plan.change_set.is_empty:
            session.require_terminal(f"this {verb} writes or deletes files")
        elif operation.tree is not None and operation.tree.live:
            session.require_terminal(f"this {verb} takes the working tree of timeline {operation.tree.timeline} away")
        elif any(move.live for move in operation.checkpoints):
            session.require_terminal(f"this {verb} deletes a checkpoint")
        plan_id = plan.plan_id
    view = plans.undone if verb == "undo" else plans.outcome
    session.show(take_step(overwrite=overwrite, plan_id=plan_id), documents.outcome, view)
