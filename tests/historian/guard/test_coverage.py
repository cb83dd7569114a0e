"""What an operation would hit and no checkpoint has is taken into the checkpoint before it, or named loudly."""

from __future__ import annotations

from pathlib import Path

import pytest

from chronos.checkpoints import Trigger
from historian import HistorianAgent
from historian.risk import Target
from historian.risk.probing import Probe
from tests.historian.guard.judging import JudgedHistorian
from tests.support import RepoBuilder
from tests.support.databases import make_notes, read_notes


def ignored(path: Path) -> Target:
    return Target(str(path), "ignored", False)


def outside(path: Path) -> Target:
    return Target(str(path), "outside", False)


@pytest.mark.parametrize("journal", ["delete", "wal"])
def test_an_ignored_database_is_held_as_a_store_and_comes_back(
    tree: RepoBuilder, historian: JudgedHistorian, journal: str
) -> None:
    place = make_notes(tree.path("var/app.db"), journal=journal)
    before = read_notes(place)
    historian.targets = (ignored(place),)
    with historian.guard("high destroy") as passage:
        place.unlink()
    assert passage.checkpoint_id is not None
    assert historian.engine.restore_checkpoint(passage.checkpoint_id).stores == ("var/app.db",)
    assert read_notes(place) == before


def test_ignored_files_and_folders_come_back(tree: RepoBuilder, historian: JudgedHistorian) -> None:
    tree.write("build/deep/out.bin", b"\0\1")
    tree.write("build/tool", "#!/bin/sh\n", executable=True)
    tree.link("build/link", "tool")
    historian.targets = (ignored(tree.path("build")),)
    before = tree.state()
    with historian.guard("high destroy") as passage:
        tree.remove("build")
    assert passage.checkpoint_id is not None
    historian.engine.restore_checkpoint(passage.checkpoint_id)
    assert tree.state() == before
    assert [one.problem for one in historian.engine.verify(deep=True)] == []


def test_a_database_outside_of_the_root_can_be_got_back(
    tmp_path: Path, tree: RepoBuilder, historian: JudgedHistorian
) -> None:
    place = make_notes(tmp_path / "elsewhere/app.db")
    before = read_notes(place)
    historian.targets = (outside(place),)
    with historian.guard("high destroy") as passage:
        place.unlink()
    assert passage.checkpoint_id is not None
    kept = historian.engine.plan_restore(passage.checkpoint_id).kept
    assert [row.path for row in kept] == [str(place).encode()]
    copy = historian.engine.extract_memory(passage.checkpoint_id, "app.db", tmp_path / "back")
    assert read_notes(copy) == before


def test_what_cannot_be_taken_in_is_named(tree: RepoBuilder, historian: JudgedHistorian) -> None:
    tree.write(".env", "NAME=value\n")
    historian.targets = (
        ignored(tree.path(".env")), outside(Path("/etc/hostname")), Target("origin", "remote", False),
        Target("HEAD", "history", False), ignored(tree.path("gone")),
    )  # fmt: skip
    with historian.guard("high destroy") as passage:
        pass
    assert passage.was_taken
    told = "\n".join(passage.warnings)
    for name in (".env (secret)", "origin (somewhere else)", "HEAD (git's own history)"):
        assert f"no checkpoint holds {name}" in told
    assert "gone" not in told


def test_what_nobody_had_the_time_to_look_at_is_taken_in_where_it_is_ignored(
    tree: RepoBuilder, historian: JudgedHistorian
) -> None:
    tree.write("build/tool", "#!/bin/sh\n")
    paths = (tree.path("build"), tree.path("a.txt"))
    historian.targets = (*(Target(str(path), "unknown", False) for path in paths), Target("users", "unknown", False))
    with historian.guard("high destroy") as passage:
        tree.remove("build")
    assert passage.warnings == []
    assert passage.checkpoint_id is not None
    assert historian.engine.restore_checkpoint(passage.checkpoint_id).written == 1


def test_the_history_of_a_repository_in_an_ignored_folder_is_named(
    tree: RepoBuilder, historian: JudgedHistorian
) -> None:
    tree.write("build/nested/n.txt", "n\n")
    tree.git("init", "-q", "build/nested")
    historian.targets = (ignored(tree.path("build")),)
    with historian.guard("high destroy") as passage:
        pass
    assert passage.warnings == ["no checkpoint holds build/nested/.git (history of an embedded repository)"]


def test_a_table_of_no_known_database_is_named(historian: JudgedHistorian) -> None:
    historian.targets = (Target("users", "unknown", False),)
    with historian.guard("high destroy") as passage:
        pass
    assert passage.warnings == ["it is not known whether a checkpoint holds users"]


def test_a_limit_keeps_large_ignored_files_out(tree: RepoBuilder) -> None:
    tree.write("build/large", b"x" * 5000)
    tree.write("build/a_small", b"x" * 500)
    with JudgedHistorian(engine=tree.engine(CHRONOS_GUARD_INCLUDE_BYTES="1000")) as historian:
        historian.targets = (ignored(tree.path("build")),)
        with historian.guard("high destroy") as passage:
            tree.remove("build")
        assert passage.warnings == ["no checkpoint holds build/large (over the capture limit)"]
        assert passage.checkpoint_id is not None
        historian.engine.restore_checkpoint(passage.checkpoint_id)
        assert tree.paths() & {"build/a_small", "build/large"} == {"build/a_small"}


def test_an_inner_guard_takes_what_the_outer_one_does_not_have(tree: RepoBuilder, historian: JudgedHistorian) -> None:
    tree.write("build/out", "x")
    with historian.guard("high outer") as outer:
        historian.targets = (ignored(tree.path("build")),)
        with historian.guard("high inner") as inner:
            assert inner.was_taken
    assert inner.checkpoint_id != outer.checkpoint_id


def test_a_checkpoint_that_includes_nothing_new_is_the_newest_one(
    tree: RepoBuilder, historian: JudgedHistorian
) -> None:
    tree.write("build/out", "x")
    engine = historian.engine
    first = engine.take_checkpoint("one", trigger=Trigger.AUTOMATIC, include=["build"])
    again = engine.take_checkpoint("two", trigger=Trigger.AUTOMATIC, include=[tree.path("build/out")])
    assert (again.checkpoint_id, again.created) == (first.checkpoint_id, False)


def test_the_checkpoint_says_what_it_was_asked_to_hold_and_what_it_cannot(
    tree: RepoBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Probe.__init__, "__defaults__", (60.0,))
    tree.write("build/out.bin", "x")
    with HistorianAgent(engine=tree.engine()) as historian:
        with historian.guard("rm -rf build && git push --force origin main") as passage:
            pass
        assert passage.checkpoint_id is not None
        assert passage.assessment is not None
        (row,) = historian.engine.list_checkpoints()
        assert any("no checkpoint would hold" in reason for reason in passage.assessment.reasons)
    assert "no checkpoint would hold" not in row.description
    assert f"asked to hold {tree.path('build')}" in row.description
    assert "no checkpoint holds origin, main" in row.description
    assert "rm removes build" in row.description
