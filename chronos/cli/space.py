"""`chrono gc` and `du`: giving the disk back what no checkpoint needs, and what takes how much of it."""

from __future__ import annotations

from typing import Annotated

from chronos.cli import space_report
from chronos.cli.declaring import Group, Option
from chronos.cli.options import PlanOnly, Yes
from chronos.cli.session import Session

app = Group()


@app.command()
def gc(
    session: Session,
    plan_only: PlanOnly = False,
    yes: Yes = False,
    named: Annotated[bool, Option("--named", help="Let count and age speak of named checkpoints too.")] = False,
    deleted: Annotated[
        bool, Option("--deleted", help="Let deleted checkpoints go now, though undo could bring them back.")
    ] = False,
) -> None:
    """Apply retention, and give the disk back what no checkpoint needs.

    Shows which checkpoints go, and what becomes of packs; what goes is gone for good. Pinned and tagged checkpoints,
    the newest ones, and those that undo leads to stay. Exits with 1 when something could not be done.
    """
    if not (yes or plan_only):
        session.require_terminal("a gc removes checkpoints and packs")
    with session.engine() as engine:
        plan_id = None
        if plan_only or not yes:
            plan = engine.plan_gc(named=named, deleted=deleted)
            session.show(plan, space_report.plan_document, space_report.plan)
            if plan.obstacles:
                session.found_something()
            if plan_only or plan.is_empty:
                return
            session.ask("Remove that?")
            plan_id = plan.plan_id
        outcome = engine.gc(named=named, deleted=deleted, plan_id=plan_id)
        if outcome.problems:
            session.found_something()
        session.show(outcome, space_report.outcome_document, space_report.outcome)


@app.command()
def du(session: Session) -> None:
    """Show what the store takes on disk.

    For each timeline, memory store and checkpoint: the bytes that are its own and would come free with it, and those
    that it shares with others.
    """
    with session.engine() as engine:
        session.show(engine.measure_usage(), space_report.usage_document, space_report.usage)
