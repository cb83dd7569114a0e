"""`chrono conflicts`, `resolve` and `revert`: what a merge left to be decided, and taking one checkpoint back."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Annotated

from chronos.cli import merge_report
from chronos.cli.declaring import Argument, Group, Option
from chronos.cli.options import CheckpointId, Paths, PlanOnly, Yes
from chronos.cli.session import Session
from chronos.errors import BadPathError, UsageError
from chronos.files import display, to_text

if TYPE_CHECKING:
    from typing import Protocol

    from chronos.engine import ChronosEngine
    from chronos.merging import Conflict, Resolution, Resolver
    from chronos.timelines import MergeOutcome

    class Work(Protocol):
        """What makes a merge, or only plans it."""

        def __call__(self, plan_id: str | None, *, plan_only: bool) -> MergeOutcome:
            """Return what it did, or would do."""
            ...


app = Group()
Into = Annotated[str | None, Option("--into", metavar="T", show_default="this one", help="The timeline that gets it.")]
StrategyName = Annotated[
    str, Option("--strategy", metavar="S", help="conflict, ours, theirs or union: what happens to conflicts.")
]
ResolverName = Annotated[
    str | None,
    Option(
        "--resolver", metavar="NAME", show_default=False,
        help="Ask this resolver about conflicts; openai asks a language model, and sends it the texts.",
    ),
]  # fmt: skip


@app.command()
def conflicts(
    session: Session,
    patch: Annotated[bool, Option("--patch", help="Show the sides of each.")] = False,
    forget: Annotated[bool, Option("--forget", help="Give the merge up; nothing was changed by it.")] = False,
    into: Into = None,
) -> None:
    """List what a merge left to be decided. Until all is decided and the merge made again, nothing changes."""
    with session.engine() as engine:
        if forget:
            session.show(engine.forget_conflicts(into), merge_report.pending_document, merge_report.forgotten)
            return
        found = engine.list_conflicts(into)
        if found is not None and found.open:
            session.found_something()
        session.show(found, merge_report.pending_document, lambda one: merge_report.pending(one, patch=patch))


@app.command()
def resolve(
    session: Session,
    subject: Annotated[
        str, Argument(metavar="PATH", show_default=False, help="A path, a memory store, or a conflict's id.")
    ],
    ours: Annotated[bool, Option("--ours", help="Take what this timeline has.")] = False,
    theirs: Annotated[bool, Option("--theirs", help="Take what the other side has.")] = False,
    edit: Annotated[bool, Option("--edit", help="Write it in the editor (VISUAL, EDITOR).")] = False,
    tool: Annotated[
        str | None,
        Option(
            "--with", metavar="CMD", show_default=False,
            help="Run this; $BASE, $OURS and $THEIRS are paths of the sides, and it writes the file $MERGED.",
        ),
    ] = None,
    resolver: ResolverName = None,
    table: Annotated[
        str | None, Option("--table", metavar="T", show_default=False, help="Only in this table of a store.")
    ] = None,
    key: Annotated[
        str | None, Option("--key", metavar="K", show_default=False, help="Only this row, by its key as listed.")
    ] = None,
    into: Into = None,
) -> None:  # fmt: skip
    """Decide conflicts: of a path, of a memory store, of a table or of one row of it.

    When all are decided, the merge is made again by its own command.
    """
    if sum((ours, theirs, edit, tool is not None, resolver is not None)) != 1:
        raise UsageError("say how: --ours, --theirs, --edit, --with CMD or --resolver NAME, one of them")
    with session.engine() as engine, _resolution(engine, ours, theirs, tool, resolver) as resolution:
        subject = _subject(session, engine, subject, into)
        found = engine.resolve_conflict(subject, resolution, table=table, key=key, timeline=into)
        if found.open:
            session.found_something()
        session.show(found, merge_report.pending_document, merge_report.resolved)


@app.command()
def revert(
    session: Session,
    checkpoint: CheckpointId,
    plan_only: PlanOnly = False,
    yes: Yes = False,
    strategy: StrategyName = "conflict",
    path: Paths = None,
    resolver: ResolverName = None,
) -> None:
    """Take back what a checkpoint changed against the one before it, code and rows, and keep what came later."""
    with session.engine() as engine, asking_once(engine, resolver, plan_only=plan_only) as ask:
        paths = session.from_root(engine, path)

        def work(plan_id: str | None, *, plan_only: bool) -> MergeOutcome:
            return engine.revert_checkpoint(
                checkpoint, strategy=strategy, paths=paths, resolver=ask, plan_id=plan_id, plan_only=plan_only
            )

        carry_out(session, work, plan_only=plan_only, yes=yes, question=f"Revert {display(checkpoint)}?")


def carry_out(session: Session, work: Work, *, plan_only: bool, yes: bool, question: str) -> None:
    """Plan, show and ask as far as that is wanted, and do it. Conflicts are findings, and nothing changes then."""
    plan_id = None
    if plan_only or not yes:
        found = work(None, plan_only=True)
        has_work = not found.plan.change_set.is_empty or bool(found.conflicts)
        if not plan_only and has_work and not found.conflicts:
            session.require_terminal("a merge overwrites and deletes files")
        if plan_only or (has_work and not found.conflicts):
            session.show(found, merge_report.document, merge_report.plan)
        if plan_only:
            if found.conflicts:
                session.found_something()
            return
        if has_work and not found.conflicts:
            session.ask(question)
        plan_id = found.plan.plan_id
    done = work(plan_id, plan_only=False)
    if done.conflicts:
        session.found_something()
    session.show(done, merge_report.document, merge_report.outcome)


@contextmanager
def asking_once(engine: ChronosEngine, name: str | None, *, plan_only: bool) -> Iterator[Resolver | None]:
    """Give a resolver by its name that is asked about each conflict once, though a merge is planned and then made.

    For a plan alone nobody is asked, and yet it must be there.
    """
    if name is None:
        yield None
        return
    with engine.open_resolver(name) as resolve:
        known: dict[str, Resolution | None] = {}

        def ask(conflict: Conflict) -> Resolution | None:
            if conflict.conflict_id not in known:
                known[conflict.conflict_id] = resolve(conflict)
            return known[conflict.conflict_id]

        yield None if plan_only else ask


def _subject(session: Session, engine: ChronosEngine, typed: str, into: str | None) -> str:
    """Return a conflict's path from the root when it was typed from the working folder; else what was typed."""
    pending = engine.list_conflicts(into)
    known = {to_text(one.path) for one in pending.conflicts} if pending is not None else set()
    with suppress(BadPathError):
        path = to_text(os.fsencode(session.from_root(engine, [typed])[0]))
        return path if path in known else typed
    return typed


@contextmanager
def _resolution(
    engine: ChronosEngine, ours: bool, theirs: bool, tool: str | None, resolver: str | None
) -> Iterator[Resolution | Resolver]:
    from chronos.app import tool_resolver
    from chronos.merging import Choice, Resolution

    if ours or theirs:
        yield Resolution(Choice.OURS if ours else Choice.THEIRS)
    elif resolver is not None:
        with engine.open_resolver(resolver) as resolve:
            yield resolve
    else:
        with tool_resolver(tool) as resolve:
            yield resolve
