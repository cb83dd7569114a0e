"""Timelines that come, go, and are brought together, cut short: what `scenarios.py` says of the others holds here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from tests.faults.tree import STORE
from tests.faults.world import edit_once, edit_twice, make_repository
from tests.support.databases import add_notes, make_notes, run_sql

if TYPE_CHECKING:
    from tests.faults.scenarios import Scenario, Workshop

NAME = "agent"
_BRANCH = ("timeline", "branch", NAME, "--seed", "ignored/local.txt", "--json")
_DELETE = ("timeline", "delete", NAME, "--yes", "--json")
_MERGE = ("timeline", "merge", NAME, "--yes", "--json")
_UNDO = ("undo", "--yes", "--json")
_REDO = ("redo", "--yes", "--json")
_DATABASE = "data/memory/agent.db"


def _worked_in(workshop: Workshop, name: str) -> Path:
    """Make a repository with code and a database, a checkpoint of it, and later work that nothing holds."""
    root = workshop.folder / "prepared" / name
    make_repository(workshop.world, root)
    make_notes(root / _DATABASE)
    edit_once(workshop.world, root)
    workshop.world.must(root, "checkpoint", "create", "first")
    edit_twice(workshop.world, root)
    return root


def _branched(workshop: Workshop, name: str) -> Path:
    """Make one with a timeline in whose tree work was done as well."""
    root = _worked_in(workshop, name)
    workshop.world.must(root, *_BRANCH[:-1])
    tree = root / STORE / NAME / ".worktree"
    add_notes(tree / _DATABASE, "of the agent")
    (tree / "src/lib.py").write_text("def lib():\n    return 'of the agent'\n")
    (tree / "of the agent.txt").write_text("new there\n")
    (tree / "same.txt").unlink()
    (tree / "ignored/work.txt").write_text("no checkpoint holds it\n")
    return root


def _on_both_sides(workshop: Workshop, name: str) -> Path:
    """Make one where the first tree has changes of its own as well, none of which is in the way of the others."""
    root = _branched(workshop, name)
    run_sql(root / _DATABASE, "UPDATE notes SET body = 'of the first' WHERE id = 3")
    (root / "src/app.py").write_text("print('of the first')\n")
    (root / "of the first.txt").write_text("new here\n")
    return root


def _checkpoints(root: Path) -> frozenset[str]:
    return frozenset(path.parent.name for path in (root / STORE / NAME).glob("[!.]*/checkpoint.json"))


def _branch(workshop: Workshop) -> Scenario:
    return workshop.finish(_worked_in(workshop, "branch"), _BRANCH, reverse=_UNDO)


def _undo_branch(workshop: Workshop) -> Scenario:
    root = _branched(workshop, "undo-branch")
    return workshop.finish(root, _UNDO, removes=_checkpoints(root), reverse=_REDO)


def _delete(workshop: Workshop) -> Scenario:
    root = _branched(workshop, "timeline-delete")
    return workshop.finish(root, _DELETE, removes=_checkpoints(root), reverse=_UNDO)


def _undo_delete(workshop: Workshop) -> Scenario:
    root = _branched(workshop, "undo-timeline-delete")
    workshop.world.must(root, *_DELETE[:-1])
    return workshop.finish(root, _UNDO, reverse=_REDO)


def _merge(workshop: Workshop) -> Scenario:
    return workshop.finish(_on_both_sides(workshop, "merge"), _MERGE, reverse=_UNDO)


def _undo_merge(workshop: Workshop) -> Scenario:
    root = _on_both_sides(workshop, "undo-merge")
    merged = workshop.world.must(root, *_MERGE[:-1])["checkpoint"]
    return workshop.finish(root, _UNDO, removes=frozenset({merged}), reverse=_REDO)


BUILDERS: dict[str, Callable[[Workshop], Scenario]] = {
    "branch": _branch,
    "undo-branch": _undo_branch,
    "timeline-delete": _delete,
    "undo-timeline-delete": _undo_delete,
    "merge": _merge,
    "undo-merge": _undo_merge,
}
