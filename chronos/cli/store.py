"""`chrono init`, `status`, `doctor`, `verify` and `recover`: the store as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from chronos.cli import documents, render
from chronos.cli.options import Json, Yes
from chronos.cli.session import Session
from chronos.cli.views import Setup, Verified

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chronos.maintenance import Finding


def init(context: typer.Context, as_json: Json = False) -> None:
    """Set the store up and show it.

    Shows where it is, what checkpoints leave out and which settings hold. The first checkpoint sets it up by itself, so
    nothing has to be initialised.
    """
    session = Session.of(context, as_json)
    with session.engine() as engine:
        engine.set_up()
        report = engine.status()
        found = Setup(report.root, report.store, report.timeline, report.receipt, msgspec.structs.asdict(engine.config))
        session.show(found, documents.setup, render.setup)


def status(context: typer.Context, as_json: Json = False) -> None:
    """Show where things stand.

    The newest checkpoint, what has changed since, what is not covered, and what can be undone.
    """
    session = Session.of(context, as_json)
    with session.engine() as engine:
        session.show(engine.status(), documents.status, render.status)


def doctor(context: typer.Context, as_json: Json = False) -> None:
    """Look at the surroundings for trouble.

    Versions, permissions, space, and what could destroy the store. Exits with 1 when there is a warning or an error.
    """
    session = Session.of(context, as_json)
    with session.engine() as engine:
        _show_findings(session, engine.doctor())


def verify(
    context: typer.Context,
    deep: Annotated[bool, typer.Option("--deep", help="Read every stored byte, and try every patch.")] = False,
    as_json: Json = False,
) -> None:
    """Check the store.

    Names what is damaged or missing and what that costs: manifests and lists by hash, every chunk by the indexes of the
    packs. What only --deep finds is a wrong byte inside a pack or a member. Exits with 1 when there is a warning or an
    error.
    """
    session = Session.of(context, as_json)
    with session.engine() as engine:
        found = Verified(engine.verify(deep=deep), deep)
        if found.is_wrong:
            session.found_something()
        session.show(found, documents.verified, render.verified)


def recover(
    context: typer.Context,
    abort: Annotated[bool, typer.Option("--abort", help="Take interrupted work back instead of finishing it.")] = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Finish a restore that was interrupted.

    Also sweeps what crashes left. Every command that writes does this by itself; it never asks.
    """
    session = Session.of(context, as_json)
    with session.engine() as engine:
        session.show(engine.recover(abort=abort), documents.recovered, render.recovered)


def _show_findings(session: Session, findings: Sequence[Finding]) -> None:
    if any(finding.severity > 0 for finding in findings):
        session.found_something()
    session.show(findings, documents.findings, render.findings)
