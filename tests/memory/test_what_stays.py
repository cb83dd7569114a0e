"""What no capture takes (a secret, what cannot be read, a git folder) stays where it is, and a restore expects that."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import lancedb
import pytest

from chronos.errors import StorageError, StoreChangedError
from tests.memory import lance_writer
from tests.support import RepoBuilder
from tests.support.databases import make_notes, read_notes
from tests.support.roundtrip import kept_paths, receipt_of

PLACE = "data/memory/k"


@pytest.fixture
def started(repo: RepoBuilder) -> RepoBuilder:
    repo.write("code.py", "1")
    repo.commit()
    return repo


def with_secret(repo: RepoBuilder, folder: str = PLACE) -> None:
    repo.write(f"{folder}/id_rsa", "KEY")
    repo.write(f"{folder}/b", "work of the user")


def has_all(repo: RepoBuilder, folder: str = PLACE) -> bool:
    return repo.read(f"{folder}/id_rsa") == b"KEY" and repo.read(f"{folder}/b") == b"work of the user"


def saved(repo: RepoBuilder) -> list[Path]:
    return list((repo.store / ".store" / "journal").glob("*.saved"))


@pytest.mark.parametrize("was", ["database", "file"])
def test_a_folder_with_a_secret_is_kept_and_named_where_a_file_was(started: RepoBuilder, was: str) -> None:
    make_notes(started.path(PLACE)) if was == "database" else started.write(PLACE, "a file")
    engine = started.engine()
    checkpoint = engine.create_checkpoint("wanted")
    started.remove(PLACE)
    with_secret(started)
    started.write("code.py", "2")
    outcome = engine.restore_checkpoint(checkpoint)
    reason = next(row.reason for row in outcome.kept if row.path == PLACE.encode())
    assert f"{PLACE}/id_rsa" in reason
    assert has_all(started)
    assert started.read("code.py") == b"1"
    assert saved(started) == []
    started.remove(f"{PLACE}/id_rsa")
    engine.restore_checkpoint(checkpoint)
    assert started.path(PLACE).is_file()


def test_a_new_kind_that_cannot_be_written_beside_a_secret_leaves_all_as_it_was(
    started: RepoBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_notes(started.path(PLACE))
    engine = started.engine()
    checkpoint = engine.create_checkpoint("wanted")
    started.remove(PLACE)
    with_secret(started)
    monkeypatch.setattr("chronos.checkpoints.memory_plan.StorePlanner._find_obstacle", lambda *_: None)
    with pytest.raises(StorageError):
        engine.restore_checkpoint(checkpoint)
    assert has_all(started)
    assert engine.status().interrupted == 0


@pytest.fixture
def unseen(started: RepoBuilder, monkeypatch: pytest.MonkeyPatch) -> str:
    """A checkpoint of a file whose place is free now; a plan does not see what comes there."""
    started.write(PLACE, "held then")
    checkpoint = started.engine().create_checkpoint("wanted")
    started.remove(PLACE)
    monkeypatch.setattr("chronos.checkpoints.memory_plan.StorePlanner._find_obstacle", lambda *_: None)
    return checkpoint


def test_what_cannot_stay_at_its_place_lies_where_the_note_says(started: RepoBuilder, unseen: str) -> None:
    with_secret(started)
    outcome = started.engine().restore_checkpoint(unseen)
    note = next(warning for warning in outcome.warnings if "was moved to" in warning)
    assert Path(note.rpartition("was moved to ")[2]).read_text() == "KEY"
    assert started.read(PLACE) == b"held then"


def test_what_no_capture_takes_and_came_since_the_plan_is_not_replaced(started: RepoBuilder, unseen: str) -> None:
    os.mkfifo(started.path(PLACE))
    with pytest.raises(StoreChangedError):
        started.engine().restore_checkpoint(unseen)
    assert started.path(PLACE).is_fifo()


@pytest.mark.parametrize("kept", [".env", "sub/.git/HEAD"])
def test_a_folder_that_came_later_goes_but_for_what_no_capture_takes_and_comes_back(
    started: RepoBuilder, kept: str
) -> None:
    started.write("data/memory/n/a", "1")
    engine = started.engine()
    checkpoint = engine.create_checkpoint("wanted")
    started.write(f"data/memory/late/{kept}", "KEPT")
    started.write("data/memory/late/b", "work")
    engine.restore_checkpoint(checkpoint)
    assert not started.exists("data/memory/late/b")
    assert started.read(f"data/memory/late/{kept}") == b"KEPT"
    assert engine.restore_checkpoint(checkpoint).operation is None
    assert engine.undo().kept == ()
    assert started.read("data/memory/late/b") == b"work"
    engine.redo()
    assert not started.exists("data/memory/late/b")
    assert started.read(f"data/memory/late/{kept}") == b"KEPT"


def test_a_secret_file_that_has_gone_since_is_nothing_that_a_restore_could_bring(started: RepoBuilder) -> None:
    started.write("data/memory/id_rsa", "KEY")
    started.write("data/memory/n/a", "1")
    engine = started.engine()
    checkpoint = engine.create_checkpoint("wanted")
    started.remove("data/memory/id_rsa")
    started.write("data/memory/n/a", "2")
    engine.restore_checkpoint(checkpoint)
    assert started.read("data/memory/n/a") == b"1"


def test_a_branch_of_a_tree_with_a_loose_secret_is_made_without_it(started: RepoBuilder) -> None:
    started.write("data/memory/service.pem", "KEY")
    engine = started.engine()
    engine.create_checkpoint("wanted")
    made = engine.branch_timeline("w1")
    assert (made.path / "code.py").is_file()
    assert not (made.path / "data/memory/service.pem").exists()


def test_what_became_a_secret_is_never_replaced_by_what_was_held_then(started: RepoBuilder) -> None:
    started.write("data/memory/service.pem", "then")
    started.write(".chronoinclude", "service.pem\n")
    engine = started.engine()
    checkpoint = engine.create_checkpoint("wanted")
    started.remove(".chronoinclude")
    started.write("data/memory/service.pem", "now")
    outcome = started.engine().restore_checkpoint(checkpoint)
    assert "data/memory/service.pem" in kept_paths(outcome.kept)
    assert started.read("data/memory/service.pem") == b"now"


def test_what_the_checkpoint_left_out_stays_as_it_is(started: RepoBuilder) -> None:
    make_notes(started.path("data/memory/credentials.db"))
    started.write("data/memory/service.pem", "then")
    checkpoint = started.engine().create_checkpoint("wanted")
    started.write(".chronoinclude", "service.pem\ncredentials.db\n")
    started.write("data/memory/service.pem", "now")
    engine = started.engine()
    assert "data/memory/service.pem" not in receipt_of(engine, engine.create_checkpoint("held"))
    outcome = engine.restore_checkpoint(checkpoint)
    assert "data/memory/service.pem" in kept_paths(outcome.kept)
    assert started.read("data/memory/service.pem") == b"now"
    assert len(read_notes(started.path("data/memory/credentials.db"))) == 20


def test_a_table_folder_with_a_secret_goes_and_comes_back(started: RepoBuilder) -> None:
    folder = started.path("data/memory/tables")
    engine = started.engine()
    checkpoint = engine.create_checkpoint("wanted")
    lance_writer.create(folder)
    started.write("data/memory/tables/.env", "KEPT")
    engine.restore_checkpoint(checkpoint)
    assert [path.name for path in folder.iterdir()] == [".env"]
    assert engine.undo().kept == ()
    assert lancedb.connect(folder).open_table("rows").count_rows()
    assert started.read("data/memory/tables/.env") == b"KEPT"


def test_tables_come_back_where_a_folder_of_files_with_a_secret_is(started: RepoBuilder) -> None:
    folder = started.path("data/memory/tables")
    lance_writer.create(folder)
    engine = started.engine()
    checkpoint = engine.create_checkpoint("wanted")
    started.remove("data/memory/tables")
    with_secret(started, "data/memory/tables")
    engine.restore_checkpoint(checkpoint)
    assert lancedb.connect(folder).open_table("rows").count_rows()
    assert started.read("data/memory/tables/id_rsa") == b"KEY"
    engine.undo()
    assert has_all(started, "data/memory/tables")
    assert not started.exists("data/memory/tables/rows.lance")


PROGRAM = """
import sys
from chronos import ChronosEngine
with ChronosEngine(root=sys.argv[1]) as engine:
    getattr(engine, sys.argv[2])(*sys.argv[3:])
"""


def without_override(repo: RepoBuilder, verb: str, *words: str) -> None:
    """Run a verb of the engine where the modes of files and folders count, as they do for all users but root."""
    command = [sys.executable, "-c", PROGRAM, str(repo.root), verb, *words]
    if os.getuid() == 0:
        if not shutil.which("setpriv"):
            pytest.skip("needs setpriv to have root heed modes")
        command = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", *command]
    done = subprocess.run(command, capture_output=True, text=True, env=repo.environment, cwd=repo.root)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize("is_on_disk", [True, False])
def test_a_folder_that_may_not_be_written_to_is_restored_and_stays_so(
    started: RepoBuilder, request: pytest.FixtureRequest, is_on_disk: bool
) -> None:
    if not is_on_disk:  # the trash is on another file system
        store = request.getfixturevalue("elsewhere") / "store"
        started.environment["CHRONOS_TIMELINES_DIR"] = str(store)
    started.write("data/memory/n/a", "1")
    started.write("data/memory/n/sub/b", "1")
    without_override(started, "create_checkpoint", "wanted")
    started.write("code.py", "2")
    started.write("data/memory/n/a", "2")
    started.write("data/memory/n/sub/id_rsa", "KEY")
    started.write("data/memory/n/.shut/c", "shut")
    started.path("data/memory/n/.shut").chmod(0)
    folders = [started.path("data/memory/n/sub"), started.path("data/memory/n")]
    for folder in folders:
        folder.chmod(0o500)
    without_override(started, "restore_checkpoint", "wanted")
    assert [started.read(path) for path in ("data/memory/n/a", "data/memory/n/sub/b", "code.py")] == [b"1"] * 3
    assert {path.name for path in started.path("data/memory").iterdir()} == {"n"}
    assert started.read("data/memory/n/sub/id_rsa") == b"KEY"
    assert started.read("data/memory/n/.shut/c") == b"shut"
    assert [stat.S_IMODE(folder.stat().st_mode) for folder in folders] == [0o500] * 2
    assert stat.S_IMODE(started.path("data/memory/n/.shut").stat().st_mode) == 0
    without_override(started, "undo")
    assert started.read("data/memory/n/a") == b"2"
    assert started.read("data/memory/n/sub/id_rsa") == b"KEY"
    assert not list(started.root.glob("data/timelines/.store/journal/*.trash"))
