"""`chrono init`, `status`, `doctor`, `verify` and `recover`: the store as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import msgspec

from chronos.cli import documents, render, repairs
from chronos.cli.declaring import Group, Option
from chronos.cli.options import PlanOnly, Yes
from chronos.cli.session import Session
from chronos.cli.views import Setup, Verified
from chronos.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chronos.maintenance import Finding

app = Group()


@app.command()
def init(session: Session) -> None:
    """Set the store up and show it.

    Shows where it is, what checkpoints leave out and which settings hold. The first checkpoint sets it up by itself, so
    nothing has to be initialised.
    """
    with session.engine() as engine:
        engine.set_up()
        report = engine.status()
        found = Setup(report.root, report.store, report.timeline, report.receipt, msgspec.to_builtins(engine.config))
        session.show(found, documents.setup, render.setup)


@app.command()
def status(session: Session) -> None:
    """Show where things stand.

    The newest checkpoint, what has changed since, what is not covered, and what can be undone.
    """
    with session.engine() as engine:
        session.show(engine.status(), documents.status, render.status)


@app.command()
def doctor(session: Session) -> None:
    """Look at the surroundings for trouble.

    Versions, permissions, space, and what could destroy the store. Exits with 1 when there is a warning or an error.
    """
    with session.engine() as engine:
        _show_findings(session, engine.doctor())


@app.command()
def verify(
    session: Session,
    deep: Annotated[bool, Option("--deep", help="Read every stored byte, and try every patch.")] = False,
    repair: Annotated[
        bool, Option("--repair", help="Set aside what is damaged, and bring back what still exists.")
    ] = False,
    plan_only: PlanOnly = False,
    yes: Yes = False,
) -> None:
    """Check the store, and repair it.

    Names what is damaged or missing and what that costs: manifests and lists by hash, every chunk by the indexes of the
    packs. What only --deep finds is a wrong byte inside a pack or a member. Exits with 1 when there is a warning or an
    error.

    --repair reads everything, rescues what is whole in damaged files, looks for lost bytes in git, in the files, in
    patches and in memory stores, and moves damaged files into the store's quarantine; nothing is deleted. Then it
    verifies again.
    """
    if repair:
        _repair(session, plan_only=plan_only, yes=yes)
        return
    if plan_only or yes:
        raise UsageError("--plan and --yes go with --repair")
    with session.engine() as engine:
        found = Verified(engine.verify(deep=deep), deep)
        _tell(session, found.findings)
        session.show(found, documents.verified, render.verified)


@app.command()
def recover(
    session: Session,
    abort: Annotated[bool, Option("--abort", help="Take interrupted work back instead of finishing it.")] = False,
    yes: Yes = False,
) -> None:
    """Finish a restore that was interrupted.

    Also sweeps what crashes left. Every command that writes does this by itself; it never asks.
    """
    with session.engine() as engine:
        session.show(engine.recover(abort=abort), documents.recovered, render.recovered)


def _repair(session: Session, *, plan_only: bool, yes: bool) -> None:
    """Plan, show and ask as far as that is wanted, and repair."""
    if not (yes or plan_only):
        session.require_terminal("a repair moves damaged files away")
    with session.engine() as engine:
        plan_id = None
        if plan_only or not yes:
            plan = engine.plan_repair()
            _tell(session, plan.findings)
            session.show(plan, documents.repair_plan, repairs.plan)
            if plan_only or not plan.steps:
                return
            session.ask("Repair?")
            session.code = 0
            plan_id = plan.plan_id
        outcome = engine.repair(plan_id=plan_id)
        _tell(session, outcome.findings)
        session.show(outcome, documents.repair_outcome, repairs.outcome)


def _tell(session: Session, findings: Sequence[Finding]) -> None:
    if any(finding.severity > 0 for finding in findings):
        session.found_something()


def _show_findings(session: Session, findings: Sequence[Finding]) -> None:
    _tell(session, findings)
    session.show(findings, documents.findings, render.findings)
