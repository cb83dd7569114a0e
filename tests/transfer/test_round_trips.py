"""A checkpoint in one file: out of one clone, into another, and everything is there."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from chronos.errors import (
    DamagedParcelError,
    ForeignTimelineError,
    IntegrityError,
    NothingToUndoError,
    RefusedError,
    TargetExistsError,
    UnknownCheckpointError,
    UsageError,
)
from chronos.parcel import Parcel
from tests.support import RepoBuilder, assert_state, store_digest, tree_digest
from tests.support.parcels import Parts
from tests.transfer.conftest import MakeClone


def test_a_checkpoint_restores_in_another_clone(work: RepoBuilder, make: MakeClone, file: Path) -> None:
    wanted = work.state()
    engine = work.engine()
    checkpoint = engine.create_checkpoint("wanted", "what was done", tags=["nice"])
    work.path("data").rename(work.root.parent / "data")  # the clone is of the commit, and of nothing else
    other = make("other", work)
    (work.root.parent / "data").rename(work.path("data"))
    exported = engine.export_checkpoint("wanted", file)
    assert (exported.checkpoint_id, exported.left_out, exported.bytes) == (checkpoint, (), file.stat().st_size)
    clone = other.engine()
    before = other.state()
    done = clone.import_checkpoint(file)
    assert done.imported
    assert other.state() == before, "an import changes no file"
    row = clone.find_checkpoint("wanted")
    assert (row.checkpoint_id, row.timeline, row.description, row.tags) == (
        checkpoint, "imported", "what was done", ("nice",),
    )  # fmt: skip
    clone.restore_checkpoint(checkpoint)
    assert_state(other, wanted, "after the restore in the other clone")
    assert [finding for finding in clone.verify() if finding.severity] == []
    sealed = work.store / "main" / checkpoint / "checkpoint.json"
    assert (other.store / "imported" / checkpoint / "checkpoint.json").read_bytes() == sealed.read_bytes()


def test_undo_and_redo_take_an_import_back_and_forth(work: RepoBuilder, make: MakeClone, file: Path) -> None:
    work.engine().create_checkpoint("wanted")
    work.engine().export_checkpoint("wanted", file)
    other = make("other", work)
    clone = other.engine()
    before = other.state()
    clone.import_checkpoint(file)
    assert clone.list_operations()[0].kind.value == "import"
    clone.undo()
    with pytest.raises(UnknownCheckpointError):
        clone.find_checkpoint("wanted")
    clone.redo()
    assert clone.find_checkpoint("wanted").timeline == "imported"
    clone.undo()
    again = clone.import_checkpoint(file)
    assert (again.imported, again.plan.present) == (True, "deleted"), "what undo took away comes back"
    clone.undo()
    with pytest.raises(NothingToUndoError):
        clone.undo()
    assert other.state() == before


def test_a_checkpoint_that_is_here_already_is_left_alone(work: RepoBuilder, file: Path) -> None:
    engine = work.engine()
    engine.create_checkpoint("wanted")
    engine.export_checkpoint("wanted", file)
    before = store_digest(work.store)
    done = engine.import_checkpoint(file)
    assert (done.imported, done.completed, done.plan.timeline) == (False, False, "main")
    assert store_digest(work.store) == before
    assert len(engine.list_operations()) == 1


def test_another_checkpoint_with_the_same_id_is_not_taken_for_it(work: RepoBuilder, file: Path) -> None:
    engine = work.engine()
    checkpoint = engine.create_checkpoint("wanted")
    engine.export_checkpoint("wanted", file)
    sealed = work.store / "main" / checkpoint / "checkpoint.json"
    sealed.write_bytes(sealed.read_bytes() + b"\n")
    with pytest.raises(DamagedParcelError, match="another one or damaged"):
        engine.import_checkpoint(file)


def test_an_import_does_not_become_the_newest_of_a_working_tree(work: RepoBuilder, make: MakeClone, file: Path) -> None:
    engine = work.engine()
    for number in range(5):
        engine.create_checkpoint(f"number {number}")
    engine.export_checkpoint("@", file)
    other = make("other", work)
    clone = other.engine()
    own = clone.create_checkpoint("own")
    clone.import_checkpoint(file)
    assert clone.find_checkpoint("@").checkpoint_id == own
    assert clone.find_checkpoint("imported@").name == "number 4"
    later = clone.create_checkpoint("later")
    details = clone.show_checkpoint(later)
    assert (details.manifest.parents, details.manifest.sequence) == ((own,), 2)
    assert clone.show_checkpoint("number 4").manifest.sequence == 5


def test_a_hole_in_the_line_of_parents_hurts_nobody(work: RepoBuilder, make: MakeClone, file: Path) -> None:
    engine = work.engine()
    engine.create_checkpoint("one")
    work.write("more.txt", "more\n")
    engine.create_checkpoint("two")
    engine.export_checkpoint("two", file)
    clone = make("other", work).engine()
    clone.import_checkpoint(file)
    assert clone.list_checkpoints(every_timeline=True)[0].parent == engine.find_checkpoint("one").checkpoint_id
    with pytest.raises(UnknownCheckpointError, match="too far"):
        clone.find_checkpoint("imported@~1")
    assert clone.diff("two")
    assert [finding for finding in clone.verify() if finding.severity] == []


def test_a_plain_folder_goes_into_another(folder: RepoBuilder, make: MakeClone, file: Path) -> None:
    folder.write("notes/a.txt", "a\n")
    folder.link("link", "notes/a.txt")
    engine = folder.engine()
    engine.create_checkpoint("wanted")
    wanted = tree_digest(folder.root, without=(b"data",))
    engine.export_checkpoint("wanted", file, base=True)
    other = make("other", git=False)
    clone = other.engine()
    clone.import_checkpoint(file)
    clone.restore_checkpoint("wanted")
    assert tree_digest(other.root, without=(b"data",)) == wanted


def test_an_import_is_planned_without_writing_anything(work: RepoBuilder, make: MakeClone, file: Path) -> None:
    work.engine().create_checkpoint("wanted")
    work.engine().export_checkpoint("wanted", file)
    other = make("other", work)
    before = tree_digest(other.root.parent, without=())
    plan = other.engine().plan_import(file)
    assert (plan.timeline, plan.present, plan.new_chunks) == ("imported", None, plan.chunks)
    assert tree_digest(other.root.parent, without=()) == before


def test_what_the_pool_has_already_is_not_written_again(work: RepoBuilder, make: MakeClone, file: Path) -> None:
    work.engine().create_checkpoint("wanted")
    work.engine().export_checkpoint("wanted", file)
    other = make("other", work)
    other.write("copy.bin", work.read("noise.bin"))
    clone = other.engine()
    clone.create_checkpoint("own")
    done = clone.import_checkpoint(file)
    assert 0 < done.plan.new_chunks < done.plan.chunks
    packs = sum(path.stat().st_size for path in (other.store / "imported/packs").iterdir())
    assert packs < 200_000 < len(work.read("noise.bin"))
    clone.restore_checkpoint("wanted")
    assert other.read("noise.bin") == work.read("noise.bin")


def test_an_imported_checkpoint_goes_on_to_a_third_clone(work: RepoBuilder, make: MakeClone, file: Path) -> None:
    work.engine().create_checkpoint("wanted")
    work.engine().export_checkpoint("wanted", file)
    second, third = make("second", work).engine(), make("third", work)
    second.import_checkpoint(file, "from a friend")
    onward = file.with_name("onward.chrono")
    second.export_checkpoint("wanted", onward)
    assert onward.read_bytes() == file.read_bytes()
    third.engine().import_checkpoint(onward)
    third.engine().restore_checkpoint("wanted")
    assert third.read("changed.txt") == work.read("changed.txt")


@pytest.mark.parametrize("timeline", ["main", "tree"])
def test_an_import_onto_the_timeline_of_a_working_tree_is_refused(
    work: RepoBuilder, make: MakeClone, file: Path, timeline: str
) -> None:
    work.engine().create_checkpoint("wanted")
    work.engine().export_checkpoint("wanted", file)
    other = make("other", work)
    other.git("worktree", "add", "-q", "../tree")
    with pytest.raises(ForeignTimelineError, match="newest"):
        other.engine().import_checkpoint(file, timeline)
    assert not other.store.joinpath(timeline, "timeline.json").exists() or timeline == "main"


def test_a_timeline_that_could_not_be_a_folder_is_refused(work: RepoBuilder, file: Path) -> None:
    engine = work.engine()
    engine.create_checkpoint("wanted")
    engine.export_checkpoint("wanted", file)
    for timeline in ("../x", "a/b", ".store", ".git", "-x", "\t", " \n", "x" * 200, "a\\b", "nul\0"):
        before = tree_digest(work.root.parent, without=(b"home",))
        engine.delete_checkpoint("wanted")
        with pytest.raises(UsageError):
            engine.import_checkpoint(file, timeline)
        engine.undo()
        after = tree_digest(work.root.parent, without=(b"home",))
        assert {path for path in before if b".store" not in path} == {path for path in after if b".store" not in path}


def test_a_worktree_called_imported_has_a_timeline_of_its_own(work: RepoBuilder, make: MakeClone, file: Path) -> None:
    engine = work.engine()
    engine.create_checkpoint("wanted")
    engine.export_checkpoint("wanted", file)
    other = make("other", work)
    other.git("worktree", "add", "-q", "../imported")
    other.engine().import_checkpoint(file)
    tree = make("imported")
    assert tree.engine().timeline == "imported-worktree"
    tree.engine().create_checkpoint("own")
    assert [row.name for row in tree.engine().list_checkpoints()] == ["own"]


def test_an_export_is_private_and_replaces_nothing(work: RepoBuilder, file: Path) -> None:
    engine = work.engine()
    engine.create_checkpoint("wanted")
    engine.export_checkpoint("wanted", file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    before = file.read_bytes()
    with pytest.raises(TargetExistsError):
        engine.export_checkpoint("wanted", file)
    dangling = file.with_name("dangling")
    dangling.symlink_to(file.with_name("elsewhere"))
    with pytest.raises(TargetExistsError):
        engine.export_checkpoint("wanted", dangling)
    assert file.read_bytes() == before
    assert {path.name for path in file.parent.iterdir()} == {"repo", "home", "one.chrono", "dangling"}


@pytest.mark.parametrize("place", [".git/x.chrono", "data/timelines/x.chrono", "data/timelines/main/x"])
def test_an_export_goes_neither_into_the_store_nor_into_git(work: RepoBuilder, place: str) -> None:
    engine = work.engine()
    engine.create_checkpoint("wanted")
    with pytest.raises(RefusedError):
        engine.export_checkpoint("wanted", work.path(place))


def test_a_draft_of_a_killed_export_is_swept_by_the_next(work: RepoBuilder, file: Path) -> None:
    draft = file.with_name(f".{file.name}.{2**22 + 1}.tmp")
    draft.write_bytes(b"half")
    engine = work.engine()
    engine.create_checkpoint("wanted")
    engine.export_checkpoint("wanted", file)
    assert not draft.exists()


def test_a_damaged_chunk_fails_the_export_with_the_name_of_the_file(work: RepoBuilder, file: Path) -> None:
    engine = work.engine()
    engine.create_checkpoint("wanted")
    pack = next((work.store / "main/packs").iterdir())
    data = bytearray(pack.read_bytes())
    data[len(data) // 2] ^= 1
    pack.write_bytes(data)
    with pytest.raises(IntegrityError, match=r"(noise|large)\.bin cannot be exported"):
        work.engine().export_checkpoint("wanted", file)
    assert {path.name for path in file.parent.iterdir()} == {"repo", "home"}


def test_a_damaged_member_is_left_out_and_said(work: RepoBuilder, make: MakeClone, file: Path) -> None:
    engine = work.engine()
    checkpoint = engine.create_checkpoint("wanted")
    (work.store / "main" / checkpoint / "git_status.txt").write_text("forged\n")
    assert engine.export_checkpoint("wanted", file).members_left_out == ("git_status.txt",)
    clone = make("other", work).engine()
    clone.import_checkpoint(file)
    notes = [finding.problem for finding in clone.verify()]
    assert notes == ["git_status.txt was left out by the export: git_status.txt is damaged"]


def test_an_import_gives_a_damaged_checkpoint_what_its_pool_has_lost(work: RepoBuilder, file: Path) -> None:
    engine = work.engine()
    engine.create_checkpoint("wanted")
    wanted = work.state()
    engine.export_checkpoint("wanted", file)
    engine.close()
    for pack in (work.store / "main/packs").iterdir():
        pack.unlink()
    work.write("large.bin", "overwritten\n")
    done = work.engine().import_checkpoint(file)
    assert (done.imported, done.completed) == (False, True)
    work.engine().restore_checkpoint("wanted")
    assert_state(work, wanted, "after the import gave the chunks back")


def test_an_export_holds_each_chunk_once_and_only_what_is_needed(work: RepoBuilder, file: Path) -> None:
    engine = work.engine()
    work.write("other.txt", "in another checkpoint only\n")
    engine.create_checkpoint("other")
    work.remove("other.txt")
    engine.create_checkpoint("wanted")
    engine.export_checkpoint("wanted", file)
    with Parcel(file) as parcel:
        assert len(parcel.chunks) == len(set(parcel.chunks))
    assert b"in another checkpoint only\n" not in {chunk.decoded() for chunk in Parts.of(file).chunks}


def test_a_file_whose_name_begins_with_a_dash_is_a_file(work: RepoBuilder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = work.root.parent / "exports"
    folder.mkdir()
    monkeypatch.chdir(folder)
    engine = work.engine()
    engine.create_checkpoint("wanted")
    engine.export_checkpoint("wanted", "-x.chrono")
    assert not engine.import_checkpoint("-x.chrono").imported
    with pytest.raises(UsageError, match="standard output"):
        engine.export_checkpoint("wanted", "-")
    assert os.listdir(folder) == ["-x.chrono"]
