"""A checkpoint of any tree comes back byte-identical after any damage, the damage after undo, the tree after redo."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import given

from chronos import ChronosEngine
from tests.properties import staging
from tests.properties.profiles import examples
from tests.properties.scenes import Scene, Stages, apply_to_tree, do_damage, scenes, set_up
from tests.properties.surroundings import (
    Special,
    damage_special,
    make_library,
    make_special,
    nested_in,
    specials,
)
from tests.support import RepoBuilder, tree_digest

State = tuple[dict[bytes, str], bytes, bytes]
OURS = (b"data/timelines", b"data/.gitignore")


@pytest.fixture(scope="module")
def stages(tmp_path_factory: pytest.TempPathFactory) -> Stages:
    return Stages(tmp_path_factory.mktemp("stages"))


@examples(45)
@given(scene=scenes())
def test_a_repository_comes_back_byte_identical_and_undo_and_redo_walk_both_ways(stages: Stages, scene: Scene) -> None:
    repo = stages.open()
    set_up(repo, scene)
    for engine in _opened(repo):
        walk(repo, engine, scene)


@examples(25)
@given(scene=scenes(git=False))
def test_a_plain_folder_comes_back_byte_identical_and_undo_and_redo_walk_both_ways(
    stages: Stages, scene: Scene
) -> None:
    repo = stages.open(git=False)
    set_up(repo, scene)
    for engine in _opened(repo):
        walk(repo, engine, scene)


@examples(40)
@given(scene=scenes(), special=specials)
def test_a_special_repository_comes_back_byte_identical_and_undo_and_redo_walk_both_ways(
    stages: Stages, scene: Scene, special: list[Special]
) -> None:
    first = stages.open()
    apply_to_tree(first, scene.committed)
    repo = make_special(first, special, scene, make_library(stages.folder / "library", first))
    apply_to_tree(repo, scene.edits)
    by_path = (staging.Stage, staging.StageOther, staging.Unstage, staging.Conflict)
    staging.apply_to_index(repo, [edit for edit in scene.staged if isinstance(edit, by_path)])
    wanted = _look_everywhere(repo)
    for engine in _opened(repo):
        checkpoint = engine.create_checkpoint("wanted")
        assert _look_everywhere(repo) == wanted, "taking the checkpoint changed something"
        apply_to_tree(repo, scene.damage)
        damage_special(repo, special, scene.damage)
        damaged = _look_everywhere(repo)
        outcome = engine.restore_checkpoint(checkpoint)
        kept = {os.fsdecode(row.path) for row in outcome.kept}
        assert kept == ({"~file"} if Special.FIFO in special else set()), "something was kept that is held"
        restored = _look_everywhere(repo)
        if Special.FIFO not in special:
            assert restored == wanted, "the restore did not bring the state back"
        if outcome.operation is not None:
            engine.undo()
            assert _look_everywhere(repo) == damaged, "undo did not bring the damage back"
            engine.redo()
            assert _look_everywhere(repo) == restored, "redo did not bring the checkpoint back again"
        assert [finding for finding in engine.verify(deep=True) if finding.severity] == []


@pytest.mark.parametrize(
    "name", [b"git~1", b".GIT", b".git ", ".g\u200cit".encode(), b"sub/.git:x", b"git~1/inside"], ids=repr
)
def test_a_name_that_may_never_be_written_costs_a_receipt_row_and_not_the_checkpoint(
    stages: Stages, name: bytes
) -> None:
    """git refuses to add such files; a user can have them all the same, and everything else is captured."""
    repo = stages.open()
    repo.write("file", "one\n")
    repo.commit("base")
    repo.write("file", "two\n")
    repo.write(name, "looks like git's own folder\n")
    for engine in _opened(repo):
        checkpoint = engine.create_checkpoint("wanted")
        rows = engine.show_checkpoint(checkpoint).receipt
        assert [row.path for row in rows if name.startswith(row.path.rstrip(b"/"))] != []
        repo.write("file", "three\n")
        engine.restore_checkpoint(checkpoint)
        assert repo.read("file") == b"two\n"
        assert repo.read(name) == b"looks like git's own folder\n"
        engine.undo()
        assert repo.read("file") == b"three\n"


def test_an_edit_in_the_very_tick_of_the_index_is_captured(stages: Stages) -> None:
    """git looks into a file again when its index is not younger; chrono's copy of the index must not look younger."""
    repo = stages.open()
    place = repo.write("file", "one\n")
    repo.git("config", "core.trustctime", "false")
    repo.commit("base")
    tick = place.stat().st_mtime_ns
    os.utime(repo.root / ".git/index", ns=(tick, tick))
    place.write_bytes(b"two\n")
    os.utime(place, ns=(tick, tick))
    for engine in _opened(repo):
        checkpoint = engine.create_checkpoint("racy")
        place.write_bytes(b"three\n")
        engine.restore_checkpoint(checkpoint)
        assert repo.read("file") == b"two\n"


def walk(repo: RepoBuilder, engine: ChronosEngine, scene: Scene) -> None:
    """Checkpoint, damage, restore, undo, redo; compare everything at every stop."""
    wanted = look(repo)
    checkpoint = engine.create_checkpoint("wanted")
    assert look(repo) == wanted, "taking the checkpoint changed the tree, the index or the status"
    head_moved = do_damage(repo, scene)
    damaged = look(repo)
    outcome = engine.restore_checkpoint(checkpoint)
    restored = look(repo)
    assert outcome.kept == (), "something was kept although all of it was captured"
    if head_moved:
        assert restored[0] == wanted[0], "the restore did not bring the content back"
        assert restored[1] == damaged[1], "the restore wrote the index although HEAD has moved"
    else:
        assert restored == wanted, "the restore did not bring the state back"
    if outcome.operation is None:
        assert restored == damaged, "the restore changed something and logged nothing"
        return
    engine.undo()
    assert look(repo) == damaged, "undo did not bring the damage back"
    engine.redo()
    assert look(repo) == restored, "redo did not bring the checkpoint back again"
    assert [finding for finding in engine.verify(deep=True) if finding.severity] == []


def look(repo: RepoBuilder) -> State:
    """Return content, type and mode of every path, the index with its flags, and git's status."""
    if not repo.is_repository:
        return tree_digest(repo.root, without=OURS), b"", b""
    index = repo.git_bytes("ls-files", "-s", "-v", "-z")
    status = repo.git_bytes("status", "--porcelain=v2", "-z", "--untracked-files=all", locks=False)
    return tree_digest(repo.root, without=OURS), index, status


def _look_everywhere(repo: RepoBuilder) -> list[State]:
    return [look(tree) for tree in (repo, *nested_in(repo))]


def _opened(repo: RepoBuilder) -> Iterator[ChronosEngine]:
    """Give an engine and close it, whatever happens meanwhile."""
    try:
        yield repo.engine()
    finally:
        repo.close()
