"""One file is changed whole, under the guard, or not at all."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from chronos.errors import (
    BadPathError,
    ChangedMeanwhileError,
    ChronosError,
    StorageError,
    UnsupportedError,
)
from chronos.files import SafeRoot
from historian.errors import BlockedError, BrokenContentError, PatchRejectedError
from tests.historian.guard.judging import JudgedHistorian
from tests.support import RepoBuilder
from tests.support.databases import make_notes


def test_a_change_is_held_and_can_be_undone_by_a_restore(tree: RepoBuilder, historian: JudgedHistorian) -> None:
    done = historian.update_file("a.txt", content="new\n")
    assert tree.read("a.txt") == b"new\n"
    assert done.checkpoint_id is not None
    asked = historian.__dict__["asked"][0]
    assert (asked.path, asked.change, asked.size_bytes) == ("a.txt", "update", 3)
    historian.engine.restore_checkpoint(done.checkpoint_id)
    assert tree.read("a.txt") == b"one\n"


def test_a_new_file_is_made_with_its_folders(tree: RepoBuilder, historian: JudgedHistorian) -> None:
    historian.update_file("deep/er/run.sh", content="#!/bin/sh\n")
    assert os.access(tree.path("deep/er/run.sh"), os.X_OK)
    assert historian.__dict__["asked"][0].change == "create"


def test_what_is_there_already_is_no_change(historian: JudgedHistorian) -> None:
    done = historian.update_file("a.txt", content="one\n")
    assert (done.passage, done.change.is_needed) == (None, False)
    assert historian.engine.list_checkpoints() == []


def test_mode_and_links_stay(tree: RepoBuilder, historian: JudgedHistorian) -> None:
    tree.path("a.txt").chmod(0o750)
    tree.link("deep/link", "../a.txt")
    historian.update_file("deep/link", content="by the link\n")
    assert os.readlink(tree.path("deep/link")) == "../a.txt"
    assert (tree.read("a.txt"), stat.S_IMODE(tree.path("a.txt").stat().st_mode)) == (b"by the link\n", 0o750)
    os.link(tree.path("b.txt"), tree.path("other.txt"))
    done = historian.update_file("b.txt", content="new\n")
    assert "hard links" in done.change.notes[0]
    assert tree.read("other.txt") == b"two\n"


@pytest.mark.parametrize(
    "path",
    ["../x", "/etc/passwd", ".git/config", "sub/.git/hooks/x", "data/timelines/x",
     "data/lessons/x", ".", "", "out/x", "x\0y"],
)  # fmt: skip
def test_nothing_is_written_outside_or_into_what_is_not_the_users(
    tmp_path: Path, tree: RepoBuilder, historian: JudgedHistorian, path: str
) -> None:
    tree.link("out", str(tmp_path))
    before = sorted(tmp_path.glob("*"))
    with pytest.raises(BadPathError):
        historian.update_file(path, content="x")
    assert sorted(tmp_path.glob("*")) == before


def test_what_is_no_plain_file_is_refused(tree: RepoBuilder, historian: JudgedHistorian) -> None:
    os.mkfifo(tree.path("pipe"))
    make_notes(tree.path("notes.sqlite"))
    for path, error in (("pipe", BadPathError), ("data", BadPathError), ("notes.sqlite", UnsupportedError)):
        tree.path("data").mkdir(exist_ok=True)
        with pytest.raises(error):
            historian.update_file(path, content="x")


def test_a_result_that_is_not_valid_is_not_written(tree: RepoBuilder, historian: JudgedHistorian) -> None:
    tree.write("c.json", '{"a": 1}')
    with pytest.raises(BrokenContentError, match="json"):
        historian.update_file("c.json", content='{"a": 1,}')
    assert tree.read("c.json") == b'{"a": 1}'
    assert historian.engine.list_checkpoints() == []
    historian.update_file("c.json", content='{"a": 1,}', check=False)
    done = historian.update_file("c.json", content='{"b": 1,}')  # it was not valid before either
    assert "not valid before" in done.change.notes[0]


def test_a_file_that_changed_meanwhile_is_left_alone(tree: RepoBuilder, historian: JudgedHistorian) -> None:
    plan = historian.plan_update("a.txt", content="new\n")
    new = historian.plan_update("new.txt", content="new\n")
    tree.write("a.txt", "ONE\n")
    tree.write("new.txt", "somebody else's\n")
    for change in (plan, new):
        with pytest.raises(ChangedMeanwhileError, match="somebody else"):
            historian.apply_update(change)
    assert (tree.read("a.txt"), tree.read("new.txt")) == (b"ONE\n", b"somebody else's\n")
    assert not [path for path in tree.paths() if path.endswith(".tmp")]


def test_a_refused_change_writes_nothing(tree: RepoBuilder, historian: JudgedHistorian) -> None:
    tree.write("high.txt", "old")
    with pytest.raises(BlockedError):
        historian.update_file("high.txt", content="new", policy="block")
    assert tree.read("high.txt") == b"old"


def test_a_write_that_fails_leaves_the_old_file(
    tree: RepoBuilder, historian: JudgedHistorian, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = historian.plan_update("a.txt", content="new\n")
    historian.engine.create_checkpoint("held")

    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fchmod", fail)
    with pytest.raises(StorageError, match="No space left"):
        historian.apply_update(plan)
    assert tree.read("a.txt") == b"one\n"
    assert not [path for path in tree.paths() if path.endswith(".tmp")]


def test_each_way_of_changing_goes_through(tree: RepoBuilder, historian: JudgedHistorian) -> None:
    tree.write("c.json", '{"a": 1}\n')
    tree.write("c.yaml", "a: 1 # one\n")
    historian.update_file("a.txt", diff="@@ -1 +1 @@\n-one\n+1\n")
    historian.update_file(tree.path("c.json"), json_patch=[{"op": "replace", "path": "/a", "value": 2}])
    historian.update_file("c.yaml", yaml_keys={"a": 2})
    assert [tree.read(name) for name in ("a.txt", "c.json", "c.yaml")] == [b"1\n", b'{"a": 2}\n', b"a: 2 # one\n"]
    with pytest.raises(PatchRejectedError):
        historian.update_file("a.txt", diff="@@ -1 +1 @@\n-one\n+1\n")


def test_a_folder_that_became_a_link_leads_nowhere(
    tmp_path: Path, tree: RepoBuilder, historian: JudgedHistorian
) -> None:
    tree.write("sub/x.txt", "old")
    plan = historian.plan_update("sub/x.txt", content="new")
    elsewhere = tmp_path / "elsewhere"
    tree.path("sub").rename(elsewhere)
    tree.link("sub", str(elsewhere))
    with pytest.raises(ChronosError):
        historian.apply_update(plan)
    assert (elsewhere / "x.txt").read_bytes() == b"old"


def test_a_killed_writes_draft_is_no_obstacle(tree: RepoBuilder) -> None:
    tree.write(".chronos-00000000.tmp", "")
    with SafeRoot(tree.root) as root:
        before = root.find_stat(b"a.txt")
        assert before is not None
        from chronos.files import temporary_name

        tree.write(temporary_name(b"a.txt"), "half")
        root.replace_file(b"a.txt", b"new", before)
    assert tree.read("a.txt") == b"new"
    assert not tree.exists(temporary_name(b"a.txt"))
