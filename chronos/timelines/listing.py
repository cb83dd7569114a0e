"""Timelines as lists show them: where each is, what it was branched from, and what a program run in one is told."""

from __future__ import annotations

import os
import re
from pathlib import Path

import msgspec

from chronos.catalog import CheckpointRow
from chronos.checkpoints import State, Store, find_record, list_timelines
from chronos.errors import IntegrityError
from chronos.git import Head, Repository, read_head
from chronos.layout import MAIN_TIMELINE
from chronos.operations import Workspace, find_tree, locate_tree, places_of, workspace_at


class TimelineSummary(msgspec.Struct, frozen=True):
    """A timeline as lists show it. `head` is its newest checkpoint, `parent` the one it was branched from, if any.

    `path` is its working tree where one is recorded; `is_there` tells whether it still is.
    """

    name: str
    path: Path | None
    is_there: bool
    head: CheckpointRow | None
    parent: CheckpointRow | None
    checkpoints: int


class TimelineDetails(msgspec.Struct, frozen=True):
    """One timeline. `git` says where HEAD of its tree stands; `memory` where its memory stores are, by name."""

    summary: TimelineSummary
    git: Head | None
    memory: dict[str, Path]
    is_adopted: bool


def list_all(store: Store, repository: Repository) -> list[TimelineSummary]:
    """Return every timeline of the store that has a checkpoint or a working tree, `main` first."""
    found = [summarise(store, repository, name) for name in list_timelines(store.layout)]
    shown = [one for one in found if one.checkpoints or one.is_there]
    return sorted(shown, key=lambda one: (one.name != MAIN_TIMELINE, one.name))


def summarise(store: Store, repository: Repository, name: str) -> TimelineSummary:
    """Return one timeline as lists show it. A record that cannot be read names no tree; verify says so."""
    try:
        record = find_record(store.layout, name)
        path = locate_tree(store.layout, repository, name, record) if record is not None else None
    except IntegrityError:
        path = None
    rows = store.catalog.list_checkpoints(name)
    own = {row.checkpoint_id for row in rows}
    fork = next((row.parent for row in reversed(rows) if row.parent is not None and row.parent not in own), None)
    parents = store.catalog.find_by_prefix(fork) if fork is not None else []
    parent = parents[0] if parents and parents[0].timeline != name else None
    is_there = path is not None and path.is_dir()
    return TimelineSummary(name, path, is_there, rows[0] if rows else None, parent, len(rows))


def describe(workspace: Workspace, name: str) -> TimelineDetails:
    """Return everything about one timeline. Raises UnknownTimelineError, GitFailedError."""
    find_tree(workspace.store.layout, workspace.repository, name)
    summary = summarise(workspace.store, workspace.repository, name)
    if not summary.is_there:
        return TimelineDetails(summary, None, {}, False)
    there = workspace if name == workspace.timeline else workspace_at(workspace, name)
    head = None if there.repository.is_plain else read_head(there.repository)
    memory = _stores_in(there, _newest_state(there))
    is_adopted = not is_branched(workspace, summary)
    return TimelineDetails(summary, head, memory, is_adopted)


def is_branched(workspace: Workspace, summary: TimelineSummary) -> bool:
    """Tell whether a timeline's tree was made by us, and not by the user with `git worktree add` or a clone."""
    return workspace.store.layout.timeline_memory(summary.name).is_dir()


def environment_in(workspace: Workspace, name: str) -> dict[str, str]:
    """Return the variables that tell a program where it is, when it is run in the tree of timeline `name`.

    CHRONOS_TIMELINE, CHRONOS_ROOT, and CHRONOS_MEMORY_<STORE> for each memory store, its name in capitals with `_` for
    whatever a variable cannot have.
    """
    there = workspace if name == workspace.timeline else workspace_at(workspace, name)
    return {"CHRONOS_TIMELINE": name, **variables_in(there, _newest_state(there))}


def variables_in(there: Workspace, state: State | None) -> dict[str, str]:
    """Return CHRONOS_ROOT and CHRONOS_MEMORY_<STORE> for a program that is run in a tree, last captured as `state`."""
    found = {"CHRONOS_ROOT": os.fspath(there.root)}
    for name, place in _stores_in(there, state).items():
        found.setdefault(f"CHRONOS_MEMORY_{re.sub('[^A-Za-z0-9]', '_', name).upper()}", os.fspath(place))
    return found


def _stores_in(there: Workspace, state: State | None) -> dict[str, Path]:
    """Return where the memory stores of a tree are: the known ones, and databases that `state` has elsewhere in it.

    Such a database is a store by its content alone, which only a capture sees.
    """
    places = there.places()
    known = {place.path for place in places}
    captured = places_of(there, state) if state is not None else []
    found = {place.name: place.place for place in places}
    for place in captured:
        if place.path not in known and place.place.exists():
            found.setdefault(place.name, place.place)
    return found


def _newest_state(there: Workspace) -> State | None:
    """Return the newest checkpoint's state. One that cannot be read has none; verify says so."""
    rows = there.store.catalog.list_checkpoints(there.timeline, limit=1)
    try:
        return there.store.read_checkpoint(rows[0]) if rows else None
    except IntegrityError:
        return None
