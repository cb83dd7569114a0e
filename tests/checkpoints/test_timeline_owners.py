"""`timeline.json`: a timeline is one working tree's, and no other tree can read, write or undo on it."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from chronos.errors import ChronosError, DamagedStoreError, ForeignTimelineError, NewerFormatError
from chronos.maintenance import Severity
from chronos.pool import strip_check
from tests.support import RepoBuilder


@pytest.fixture
def work(repo: RepoBuilder) -> RepoBuilder:
    repo.write("a.txt", "a\n")
    repo.commit()
    return repo


def record_of(store: Path, timeline: str = "main") -> dict[str, object]:
    return dict(json.loads(strip_check((store / timeline / "timeline.json").read_bytes())))


VERBS = {
    "list": lambda engine: engine.list_checkpoints(),
    "log": lambda engine: engine.list_operations(),
    "show": lambda engine: engine.show_checkpoint("wanted"),
    "status": lambda engine: engine.status(),
    "create": lambda engine: engine.create_checkpoint("other"),
    "restore": lambda engine: engine.restore_checkpoint("wanted"),
    "undo": lambda engine: engine.undo(),
    "recover": lambda engine: engine.recover(),
    "verify": lambda engine: engine.verify(deep=True),
}


@pytest.mark.parametrize("verb", VERBS)
def test_two_repositories_do_not_share_a_timeline(work: RepoBuilder, verb: str) -> None:
    shared = work.root.parent / "shared"
    with work.engine(CHRONOS_TIMELINES_DIR=str(shared)) as engine:
        engine.create_checkpoint("wanted")
    other = RepoBuilder(work.root.parent / "other", work.environment)
    other.write("b.txt", "b\n")
    before = other.state()
    with pytest.raises(ForeignTimelineError, match=str(work.root)) as caught:
        VERBS[verb](other.engine(CHRONOS_TIMELINES_DIR=str(shared)))
    assert "CHRONOS_TIMELINES_DIR" in caught.value.hint
    assert other.state() == before
    other.close()


def test_two_plain_folders_do_not_share_a_timeline(folder: RepoBuilder) -> None:
    shared = str(folder.root.parent / "shared")
    folder.write("sub/a.txt", "a\n")
    folder.engine(CHRONOS_TIMELINES_DIR=shared).create_checkpoint("wanted")
    other = RepoBuilder(folder.root.parent / "other", folder.environment, git=False)
    for root in (other.root, folder.root / "sub"):
        with pytest.raises(ForeignTimelineError):
            folder.engine(root, CHRONOS_TIMELINES_DIR=shared).create_checkpoint("other")


def test_a_tree_that_was_moved_keeps_the_timeline_of_a_store_elsewhere(work: RepoBuilder) -> None:
    shared = str(work.root.parent / "shared")
    with work.engine(CHRONOS_TIMELINES_DIR=shared) as engine:
        engine.create_checkpoint("wanted")
    os.rename(work.root, work.root.with_name("moved"))
    moved = RepoBuilder(work.root.with_name("moved"), work.environment)
    with moved.engine(CHRONOS_TIMELINES_DIR=shared) as engine:
        assert [row.name for row in engine.list_checkpoints()] == ["wanted"]
        engine.create_checkpoint("again")
    assert record_of(Path(shared))["tree"] == str(moved.root)


def test_a_store_inside_its_tree_names_it_by_a_relative_path(work: RepoBuilder) -> None:
    work.engine().create_checkpoint("wanted")
    record = record_of(work.store)
    assert record == {"format": 1, "store": (work.store / ".store/format").read_text().split()[2], "tree": "../.."}
    shutil.copytree(work.root, work.root.with_name("copy"), symlinks=True)
    copy = RepoBuilder(work.root.with_name("copy"), work.environment)
    copy.engine().create_checkpoint("in the copy")
    copy.close()
    assert [row.name for row in work.engine().list_checkpoints()] == ["wanted"]


def test_the_worktree_of_a_name_that_comes_back_takes_the_timeline_over(work: RepoBuilder) -> None:
    for place in ("one", "two"):
        work.git("worktree", "add", "-q", "--detach", str(work.root.parent / place / "topic"))
        tree = RepoBuilder(work.root.parent / place / "topic", work.environment)
        with tree.engine() as engine:
            engine.create_checkpoint(place)
            assert engine.timeline == "topic"
        work.git("worktree", "remove", "--force", str(tree.root))


def test_worktrees_of_every_name_like_main_have_timelines_of_their_own(work: RepoBuilder) -> None:
    names = ["main", "main-worktree", "main-worktree-worktree"]
    timelines = [work.engine().timeline]
    for name in names:
        work.git("worktree", "add", "-q", "--detach", str(work.root.parent / name))
        tree = RepoBuilder(work.root.parent / name, work.environment)
        with tree.engine() as engine:
            engine.create_checkpoint(name)
            timelines.append(engine.timeline)
            assert [row.name for row in engine.list_checkpoints()] == [name]
    assert len(set(timelines)) == 4


def test_a_root_and_a_worktree_whose_names_are_no_utf8_are_recorded(work: RepoBuilder) -> None:
    place = os.fsdecode(os.fsencode(work.root.parent) + b"/in \xff\\/caf\xe9")
    work.git("worktree", "add", "-q", "--detach", place)
    tree = RepoBuilder(Path(place), work.environment)
    with tree.engine() as engine:
        engine.create_checkpoint("wanted")
    with tree.engine() as engine:
        assert [row.name for row in engine.list_checkpoints()] == ["wanted"]
        assert engine.verify(deep=True) == []


def test_an_older_timeline_without_a_record_gets_one(work: RepoBuilder) -> None:
    work.engine().create_checkpoint("wanted")
    (work.store / "main/timeline.json").unlink()
    assert [row.name for row in work.engine().list_checkpoints()] == ["wanted"]
    assert not (work.store / "main/timeline.json").exists(), "reading writes nothing"
    work.engine().create_checkpoint("again")
    assert record_of(work.store)["tree"] == "../.."


@pytest.mark.parametrize("tree", ["gone", "/no/such/tree", "../../a.txt", "a\0b", "../../../none"])
def test_a_record_that_names_no_tree_is_taken_over(work: RepoBuilder, tree: str) -> None:
    with work.engine() as engine:
        engine.create_checkpoint("wanted")
    path = work.store / "main/timeline.json"
    path.write_text(json.dumps({**record_of(work.store), "tree": tree}))
    assert [row.name for row in work.engine().list_checkpoints()] == ["wanted"]
    work.engine().create_checkpoint("again")
    assert record_of(work.store)["tree"] == "../.."


@pytest.mark.parametrize("content", [b"", b"{bad", b"[]", b"\xff", b'{"format":1}', b"x" * 100_000, b"[" * 50_000])
def test_a_damaged_record_is_named_and_nothing_is_overwritten(work: RepoBuilder, content: bytes) -> None:
    with work.engine() as engine:
        engine.create_checkpoint("wanted")
    path = work.store / "main/timeline.json"
    path.write_bytes(content)
    for verb in ("list_checkpoints", "status", "recover"):
        with pytest.raises(DamagedStoreError, match=r"timeline\.json"):
            getattr(work.engine(), verb)()
    (finding,) = work.engine().verify(deep=True)
    assert (finding.severity, finding.subject) == (Severity.ERROR, "timeline main")
    assert path.read_bytes() == content
    path.unlink()
    work.engine().create_checkpoint("again")
    assert work.engine().verify(deep=True) == []


def test_a_record_that_is_a_folder_is_an_error_that_verify_names(work: RepoBuilder) -> None:
    with work.engine() as engine:
        engine.create_checkpoint("wanted")
    (work.store / "main/timeline.json").unlink()
    (work.store / "main/timeline.json").mkdir()
    with pytest.raises(ChronosError):
        work.engine().create_checkpoint("again")
    assert [finding.subject for finding in work.engine().verify(deep=True)] == ["timeline main"]


def test_a_record_of_another_timeline_that_is_damaged_is_named_by_verify(work: RepoBuilder) -> None:
    work.git("worktree", "add", "-q", "--detach", str(work.root.parent / "topic"))
    tree = RepoBuilder(work.root.parent / "topic", work.environment)
    with tree.engine() as engine:
        engine.create_checkpoint("wanted")
    (work.store / "topic/timeline.json").write_text("{bad")
    work.engine().create_checkpoint("in the first")
    assert [finding.subject for finding in work.engine().verify(deep=True)] == ["timeline topic"]


def test_a_record_of_a_newer_format_is_refused(work: RepoBuilder) -> None:
    with work.engine() as engine:
        engine.create_checkpoint("wanted")
    (work.store / "main/timeline.json").write_text('{"format":2,"anything":[]}')
    for verb in ("list_checkpoints", "verify", "set_up"):
        with pytest.raises(NewerFormatError):
            getattr(work.engine(), verb)()
