"""Where things stand, and whether everything that is stored is sound."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from skills.actions import results
from skills.actions.access import Access
from skills.actions.action import Effect, action

_Deep = Annotated[bool, Meta(description="Read every stored byte too; takes long in a large store")]


@action("Show where things stand", Effect.READS)
def status(access: Access) -> results.Status:
    """Show what has changed since the newest checkpoint, what undo would take back, and whether a merge waits."""
    return results.Status.of(access.engine.status())


@action("List memory stores", Effect.READS)
def list_memory(access: Access) -> results.MemoryStores:
    """List the databases and other memory that checkpoints hold beside the files."""
    engine = access.engine
    before = len(engine.notices)
    found = engine.list_memory()
    return results.MemoryStores.of(found, tuple(engine.notices[before:]))


@action("Verify the store", Effect.READS)
def verify(access: Access, deep: _Deep = False) -> results.Problems:
    """Check that everything the checkpoints need is there and undamaged. Nothing is changed."""
    found = access.engine.verify(deep=deep)
    listed = tuple(map(results.Problem.of, found[: results.MOST_LISTED]))
    return results.Problems(findings=listed, finding_count=len(found))
