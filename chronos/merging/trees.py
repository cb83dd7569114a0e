"""The merge of two trees of code: what ours becomes, and what somebody has to decide.

git decides what it can (`chronos.git.merge_in_scratch`). What is left is tried key by key where the files have keys,
then the resolver is asked, then it goes as the strategy says. What nobody decides stays as ours has it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import Enum
from pathlib import Path

import msgspec

from chronos.files import TreePath, display, is_inside
from chronos.git import Repository, TreeMerge, TreeSide, find_renames, merge_in_scratch
from chronos.merging.clashes import OURS, Clash, find_clashes, find_notes
from chronos.merging.conflicts import Choice, Conflict, ConflictKind, Resolver, Strategy
from chronos.merging.contents import Contents, MergedFile
from chronos.merging.deciding import Decider, Verdict


class Settled(str, Enum):
    """What decided a conflict that git had left."""

    KEYS = "keys"
    STRATEGY = "strategy"
    RESOLVER = "resolver"


class MergedTree(msgspec.Struct, frozen=True):
    """What becomes of ours: paths that change (None: they go), and conflicts, at whose paths nothing changes yet.

    `settled` says by path what decided what git had left; `notes` has git's words about conflicts of no single path.
    """

    changes: dict[TreePath, MergedFile | None]
    conflicts: list[Conflict]
    settled: dict[TreePath, Settled]
    notes: tuple[str, ...]
    contents: Contents

    def read(self, path: TreePath) -> bytes:
        """Return the bytes on disk of a path that changes. Raises GitFailedError."""
        file = self.changes[path]
        assert file is not None, "a path that goes has no bytes"
        return self.contents.read(path, file)


@contextmanager
def merge_trees(
    repository: Repository,
    base: TreeSide,
    ours: TreeSide,
    theirs: TreeSide,
    scratch: Path,
    *,
    others: Sequence[Repository] = (),
    strategy: Strategy = Strategy.CONFLICT,
    resolve: Resolver | None = None,
) -> Iterator[MergedTree]:
    """Merge what `theirs` changed since `base` into `ours`, the state of the working tree of `repository`.

    `others` are more repositories that have objects of the sides; `scratch` is an empty folder of ours, and nothing
    else is written. Raises GitFailedError, and StorageError when the disk refuses.
    """
    merge = merge_in_scratch(repository, others, (base, ours, theirs), scratch)
    with Contents(merge, ours, theirs) as contents:
        yield _settle(merge, contents, Decider(merge, contents, scratch), strategy, resolve)


def _settle(
    merge: TreeMerge, contents: Contents, decider: Decider, strategy: Strategy, resolve: Resolver | None
) -> MergedTree:
    clashes, taken = find_clashes(merge)
    changes = {
        path: None if entry is None else contents.file_of(entry)
        for path, entry in merge.changed.items()
        if path not in taken
    }
    result = MergedTree(changes, [], {}, find_notes(merge), contents)
    decider.prepare(clashes)
    gone: dict[TreePath, Clash] = {}  # where a file won over a folder: nothing under it is left to decide
    lost: dict[TreePath, str] = {}  # what theirs has and does not get, with what ours had put into it
    for clash in clashes:
        ours = clash.stages[OURS].oid if OURS in clash.stages else ""
        folder = next((folder for path, folder in gone.items() if is_inside(clash.path, path)), None)
        if folder is not None:
            lost[clash.path] = ours
            if resolve is not None:
                _refuse_both(result, decider, clash, folder, resolve)
            continue
        verdict, settled, conflict = _decide(decider, clash, strategy, resolve)
        if conflict is not None:
            result.conflicts.append(conflict)
        elif settled is not None:
            result.settled[clash.path] = settled
        if clash.kind is ConflictKind.PLACE and _make_place(merge, changes, clash, verdict, lost):
            gone[clash.path] = clash
        if verdict is not None and verdict.is_change:
            changes[clash.path] = verdict.file
        if verdict is not None and verdict.is_ours:
            lost[clash.path] = ours
    _give_back(merge, changes, lost)
    return result


def _decide(
    decider: Decider, clash: Clash, strategy: Strategy, resolve: Resolver | None
) -> tuple[Verdict | None, Settled | None, Conflict | None]:
    verdict = decider.by_keys(clash)
    if verdict is not None:
        return verdict, Settled.KEYS, None
    conflict = decider.describe(clash)
    resolution = resolve(conflict) if resolve is not None else None
    verdict = None if resolution is None else decider.by_resolution(clash, resolution)
    if verdict is not None:
        return verdict, Settled.RESOLVER, None
    verdict = decider.by_strategy(clash, strategy)
    return verdict, Settled.STRATEGY, conflict if verdict is None else None


def _make_place(
    merge: TreeMerge,
    changes: dict[TreePath, MergedFile | None],
    clash: Clash,
    verdict: Verdict | None,
    lost: dict[TreePath, str],
) -> bool:
    """Let a file or a folder have the path that both want; tell whether a file won.

    As long as it is not decided, ours stays: a folder of theirs waits, a folder of ours is merged into.
    """
    if (not verdict.is_file) if verdict is not None else clash.folder is Choice.OURS:
        return False
    for path in [path for path in changes if is_inside(path, clash.path)]:
        del changes[path]
        if verdict is not None:
            lost[path] = ""
    if clash.folder is Choice.OURS:
        changes |= dict.fromkeys(_list_inside(merge, clash.path), None)
    return verdict is not None


def _refuse_both(result: MergedTree, decider: Decider, clash: Clash, folder: Clash, resolve: Resolver) -> None:
    """List a path and the folder of it again, when it was decided that the one stays and the other does not."""
    conflict = decider.describe(clash)
    resolution = resolve(conflict)
    sides = {Choice.OURS: conflict.ours, Choice.THEIRS: conflict.theirs, Choice.CONTENT: b""}
    if resolution is None or sides[resolution.choice] is None:
        return
    if result.settled.pop(folder.path, None) is not None:
        reason = f"decided as a file, and {display(clash.path)} was to stay in the folder: decide both again"
        result.conflicts.append(msgspec.structs.replace(decider.describe(folder), reason=reason))
    reason = f"decided to stay, and {display(folder.path)} was to be a file: decide both again"
    result.conflicts.append(msgspec.structs.replace(conflict, reason=reason))


def _give_back(merge: TreeMerge, changes: dict[TreePath, MergedFile | None], lost: dict[TreePath, str]) -> None:
    """Let ours keep what theirs had renamed to a place that theirs does not get."""
    gone = [path for path, file in changes.items() if file is None]
    if not gone or not lost:
        return
    kept = {file.oid for file in changes.values() if file is not None}
    renamed = {old: new for new, old in find_renames(merge).items()}
    for path in gone:
        entry = merge.replaced.get(path)
        if entry is not None and entry.oid not in kept and (entry.oid in lost.values() or renamed.get(path) in lost):
            del changes[path]


def _list_inside(merge: TreeMerge, folder: TreePath) -> list[TreePath]:
    output = merge.command.output("ls-tree", "-r", "-z", "--name-only", "--full-tree", merge.ours_tree, "--", folder)
    return [path for path in output.split(b"\0") if path]
