"""What of a checkpoint a caller chooses, as the rooms below know it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from chronos.checkpoints import Options
from chronos.errors import UsageError
from chronos.files import TreePath, parse_tree_path

if TYPE_CHECKING:
    from chronos.operations import Workspace


def selection_of(paths: Sequence[str]) -> tuple[TreePath, ...]:
    """Paths as the rooms below know them; the root itself is everything, and nothing stands for everything."""
    return () if "." in paths else tuple(map(parse_tree_path, paths))


def options_of(
    workspace: Workspace, paths: Sequence[str], head: bool, include: Sequence[str], code: bool, memory: bool,
    stores: Sequence[str], aside: Sequence[Path | str],
) -> Options:  # fmt: skip
    """Return what of a checkpoint a restore is asked for. Raises UsageError for what does not go together."""
    selection = selection_of(paths)
    if head and (selection or stores or not code):
        raise UsageError("HEAD can be moved with all of the code only", hint="leave out --head, or what narrows it")
    if stores and (selection or not memory):
        raise UsageError("stores go by themselves", hint="leave out --store, or --path and --code")
    if not code and not memory:
        raise UsageError("neither code nor memory is nothing at all", hint="leave out --code and --memory for both")
    forced = workspace.expand(tuple(map(parse_tree_path, include)))
    return Options(
        selection, head, forced=forced, code=code, memory=memory, stores=tuple(stores),
        aside=workspace.texts_of(aside),
    )  # fmt: skip
