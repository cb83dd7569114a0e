"""The question most tests ask: does everything come back, and can that be taken back too?"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable

from chronos import ChronosEngine
from chronos.operations import Outcome
from tests.support.digests import STORE, tree_digest
from tests.support.repository import RepoBuilder, State


def check_round_trip(
    repo: RepoBuilder, damage: Callable[[RepoBuilder], object] | None = None, engine: ChronosEngine | None = None
) -> Outcome:
    """Checkpoint, damage, restore, undo and redo, comparing tree, index and status at every step."""
    engine = engine or repo.engine()
    wanted = repo.state()
    checkpoint = engine.create_checkpoint("wanted")
    assert_state(repo, wanted, "after the capture, which must change nothing")
    (damage or wreck)(repo)
    damaged = repo.state()
    assert damaged != wanted, "the damage changed nothing, so this test could not fail"
    outcome = engine.restore_checkpoint(checkpoint)
    assert_state(repo, wanted, "after the restore")
    engine.undo()
    assert_state(repo, damaged, "after the undo")
    engine.redo()
    assert_state(repo, wanted, "after the redo")
    assert [finding for finding in engine.verify(deep=True) if finding.severity] == []
    return outcome


def assert_state(repo: RepoBuilder, wanted: State, when: str) -> None:
    """Compare tree, index and status, one after the other, so that a failure says which."""
    tree, (entries, flags, status) = repo.state()
    wanted_tree, (wanted_entries, wanted_flags, wanted_status) = wanted
    assert tree == wanted_tree, f"the tree {when}"
    assert entries.split(b"\0") == wanted_entries.split(b"\0"), f"the index entries {when}"
    assert flags.split(b"\0") == wanted_flags.split(b"\0"), f"the index flags {when}"
    assert status.split(b"\0") == wanted_status.split(b"\0"), f"the status {when}"


def wreck(repo: RepoBuilder) -> None:
    """Delete, overwrite, turn into a link or make executable every path in turn, and add new ones."""
    ours = b"data/.gitignore"  # hides the store where info/exclude cannot, and ignores itself
    for number, path in enumerate(sorted(tree_digest(repo.root, without=(STORE, ours)))):
        way = number % 4
        if way == 0:
            repo.remove(path)
        elif way == 1:
            repo.write(path, f"wrecked {number}\n")
        elif way == 2:
            repo.link(path, f"wrecked-{number}")
        else:
            data = b"" if repo.path(path).is_symlink() else repo.read(path)
            repo.write(path, data + b"tail", executable=True)
    repo.write("wrecked/new file", "new\n")


def kept_paths(rows: Iterable[object]) -> set[str]:
    """Return the paths of the kept rows of a plan or an outcome."""
    return {os.fsdecode(row.path) for row in rows}  # type: ignore[attr-defined]


def receipt_of(engine: ChronosEngine, checkpoint: str) -> dict[str, str]:
    """Return what a checkpoint does not hold: path → reason."""
    return {os.fsdecode(row.path): row.reason.value for row in engine.show_checkpoint(checkpoint).receipt}
