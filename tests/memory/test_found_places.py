"""What lies under `data/memory` is held, or named in the receipt and left where it is."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from chronos.errors import BadPathError
from tests.support import RepoBuilder
from tests.support.databases import make_notes
from tests.support.roundtrip import kept_paths, receipt_of

_WITHOUT_RIGHTS = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
needs_rights_to_lose = pytest.mark.skipif(
    bool(_WITHOUT_RIGHTS) and not shutil.which("setpriv"), reason="needs setpriv, or a user that is not root"
)


@pytest.fixture(params=["ignored", "untracked"])
def agent(repo: RepoBuilder, request: pytest.FixtureRequest) -> RepoBuilder:
    """A repository with one file of memory, in a folder that git ignores or does not."""
    repo.write("app.py", "version = 1\n")
    repo.write(".gitignore", "data/\n" if request.param == "ignored" else "*.log\n")
    repo.commit()
    repo.write("data/memory/n", "n\n")
    return repo


def run(repo: RepoBuilder, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `chrono` as somebody who may not read what the mode of a file forbids."""
    return subprocess.run(
        [*_WITHOUT_RIGHTS, sys.executable, "-m", "chronos.cli", *arguments],
        cwd=repo.root, env=repo.environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


def stores_of(repo: RepoBuilder, checkpoint: str) -> set[str]:
    return {record.path for record in repo.engine().show_checkpoint(checkpoint).memory}


@pytest.mark.parametrize("name", ["credentials.json", "id_rsa", "service.pem", "keys/id_rsa"])
def test_a_restore_leaves_secrets_that_no_checkpoint_holds(agent: RepoBuilder, name: str) -> None:
    engine = agent.engine()
    checkpoint = engine.create_checkpoint("wanted")
    agent.write(f"data/memory/{name}", "SECRETKEY42\n")
    agent.write("data/memory/n", "later\n")
    later = engine.create_checkpoint("later")
    assert receipt_of(engine, later)[f"data/memory/{name}"] == "secret"
    outcome = engine.restore_checkpoint(checkpoint)
    assert agent.read("data/memory/n") == b"n\n"
    assert agent.read(f"data/memory/{name}") == b"SECRETKEY42\n"
    assert kept_paths(outcome.kept) == {f"data/memory/{name.partition('/')[0]}"}
    assert engine.plan_restore(later).kept == []


@needs_rights_to_lose
def test_a_restore_leaves_what_it_cannot_read(agent: RepoBuilder) -> None:
    agent.write("data/memory/old", "old\n")
    agent.write("data/memory/facts/one", "1\n")
    agent.write("data/memory/facts/two", "2\n")
    checkpoint = agent.engine().create_checkpoint("wanted")
    make_notes(agent.path("data/memory/d.db"))
    agent.engine().create_checkpoint("scanned")
    kept = {"old": b"other\n", "new": b"new\n", "facts/one": b"other 1\n"}
    for name, data in kept.items():
        agent.write(f"data/memory/{name}", data)
    for name in ("d.db", *kept):
        agent.path(f"data/memory/{name}").chmod(0)
    database = agent.read("data/memory/d.db")
    done = run(agent, "checkpoint", "restore", checkpoint, "--yes")
    assert {name: agent.read(f"data/memory/{name}") for name in kept} == kept, done.stdout + done.stderr
    assert agent.read("data/memory/d.db") == database
    assert all(f"data/memory/{name}" in done.stdout for name in ("old", "new", "d.db", "facts"))


def test_of_a_folder_that_came_later_what_is_held_goes_and_comes_back_and_the_rest_stays(agent: RepoBuilder) -> None:
    engine = agent.engine()
    checkpoint = engine.create_checkpoint("wanted")
    agent.write("data/memory/facts/one", "1\n")
    agent.write("data/memory/facts/.env", "TOKEN=1\n")
    engine.restore_checkpoint(checkpoint)
    assert os.listdir(agent.path("data/memory/facts")) == [".env"]
    engine.undo()
    assert agent.read("data/memory/facts/one") == b"1\n"
    engine.redo()
    assert agent.read("data/memory/facts/.env") == b"TOKEN=1\n"
    assert not agent.exists("data/memory/facts/one")


@needs_rights_to_lose
def test_an_unreadable_file_of_a_store_outside_of_the_project_stays(repo: RepoBuilder, tmp_path: Path) -> None:
    place = tmp_path / "agent"
    place.mkdir()
    (place / "one").write_text("1\n")
    repo.engine().add_memory(place)
    checkpoint = repo.engine().create_checkpoint("wanted")
    (place / "one").write_text("other\n")
    (place / "one").chmod(0)
    done = run(repo, "checkpoint", "restore", checkpoint, "--yes")
    assert str(place) in done.stdout
    assert (place / "one").read_text() == "other\n"


def test_a_secret_in_the_place_of_a_store_stays_and_is_named(agent: RepoBuilder) -> None:
    agent.write("data/memory/state", "a text\n")
    engine = agent.engine()
    checkpoint = engine.create_checkpoint("wanted")
    agent.remove("data/memory/state")
    agent.write("data/memory/state/id_rsa", "SECRETKEY42\n")
    outcome = engine.restore_checkpoint(checkpoint)
    assert "data/memory/state" in kept_paths(outcome.kept)
    assert agent.read("data/memory/state/id_rsa") == b"SECRETKEY42\n"


def test_what_ends_like_a_companion_is_one_only_beside_a_database(agent: RepoBuilder) -> None:
    beside = ["notes", "notes-journal", "e.db", "e.db-wal", "e.db-shm", "work-journal/day"]
    for name in beside:
        agent.write(f"data/memory/{name}", os.urandom(4096))
    wanted = {name: agent.read(f"data/memory/{name}") for name in beside}
    engine = agent.engine()
    with closing(sqlite3.connect(make_notes(agent.path("data/memory/a.db"), journal="wal"))) as application:
        application.execute("INSERT INTO notes (body) VALUES ('in use')")
        application.commit()
        checkpoint = engine.create_checkpoint("wanted")
    names = {"n", "a.db", "work-journal", *beside} - {"work-journal/day"}
    assert stores_of(agent, checkpoint) == {f"data/memory/{name}" for name in names}
    for name in beside:
        agent.write(f"data/memory/{name}", "later\n")
    engine.restore_checkpoint(checkpoint)
    assert {name: agent.read(f"data/memory/{name}") for name in beside} == wanted


def test_what_lies_beside_a_declared_file_and_ends_like_a_companion_is_code(repo: RepoBuilder) -> None:
    repo.write("notes", "n\n")
    repo.write("notes-journal", "j\n")
    engine = repo.engine()
    engine.add_memory(repo.path("notes"))
    checkpoint = engine.create_checkpoint("wanted")
    repo.write("notes-journal", "later\n")
    engine.restore_checkpoint(checkpoint)
    assert repo.read("notes-journal") == b"j\n"


def test_a_folder_with_any_name_is_found_and_known_again(agent: RepoBuilder, monkeypatch: pytest.MonkeyPatch) -> None:
    agent.write(b"data/memory/caf\xe9/x", "1\n")
    now_ns = time.time_ns() + 60_000_000_000
    monkeypatch.setattr("chronos.clock.now_ns", lambda: now_ns)
    engine = agent.engine()
    checkpoint = engine.create_checkpoint("wanted")
    agent.write(b"data/memory/caf\xe9/x", "2\n")
    assert len(agent.engine().list_memory()) == 2
    agent.engine().restore_checkpoint(checkpoint)
    assert agent.read(b"data/memory/caf\xe9/x") == b"1\n"


def test_entries_that_come_and_go_stop_no_checkpoint(agent: RepoBuilder) -> None:
    script = """
import os, sys
while os.path.exists("n"):
    for n in range(20):
        open(f"t{n}", "w").close()
        os.makedirs(f"d{n}/e")
    for n in range(20):
        os.unlink(f"t{n}")
        os.removedirs(f"d{n}/e")
"""
    agent.write("data/memory/n", "n\n")
    writer = subprocess.Popen([sys.executable, "-c", script], cwd=agent.path("data/memory"))
    try:
        engine = agent.engine()
        found = [engine.create_checkpoint(f"meanwhile {number}") for number in range(10)]
    finally:
        writer.kill()
        writer.wait()
    assert all("data/memory/n" in stores_of(agent, checkpoint) for checkpoint in found)


@needs_rights_to_lose
def test_a_folder_that_cannot_be_looked_into_is_named_and_stops_nothing(agent: RepoBuilder) -> None:
    agent.write("data/memory/shut/one", "1\n")
    agent.write("data/memory/listed/one", "1\n")
    agent.path("data/memory/shut").chmod(0)
    agent.path("data/memory/listed").chmod(0o444)
    for arguments in (["status"], ["memory", "list"], ["checkpoint", "create", "wanted"]):
        done = run(agent, *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
    receipt = receipt_of(agent.engine(), "wanted")
    assert receipt["data/memory/shut"] == receipt["data/memory/listed/one"] == "unreadable"
    assert "data/memory/n" in stores_of(agent, "wanted")
    agent.path("data/memory/shut").chmod(0o755)
    agent.path("data/memory/listed").chmod(0o755)
    assert "data/memory/shut" in stores_of(agent, agent.engine().create_checkpoint("open"))


def test_however_many_loose_files_there_are_older_checkpoints_restore(agent: RepoBuilder) -> None:
    for number in range(1, 101):
        agent.write(f"data/memory/n{number}", "1\n")
    engine = agent.engine()
    checkpoint = engine.create_checkpoint("wanted")
    agent.write("data/memory/n5", "later\n")
    agent.write("data/memory/n101", "later\n")
    assert len(stores_of(agent, engine.create_checkpoint("many"))) == 102
    engine.restore_checkpoint(checkpoint)
    assert agent.read("data/memory/n5") == b"1\n"
    assert not agent.exists("data/memory/n101")


def test_names_with_a_dot_are_found_and_links_are_named(agent: RepoBuilder) -> None:
    agent.write("data/memory/.notes", "1\n")
    agent.write("data/memory/.hidden/one", "1\n")
    make_notes(agent.path("data/memory/.dot.db"))
    make_notes(agent.path("elsewhere.db"))
    agent.link("data/memory/link.db", "../../elsewhere.db")
    os.mkfifo(agent.path("data/memory/pipe"))
    agent.write("data/memory/.gitignore", "*.tmp\n")
    engine = agent.engine()
    checkpoint = engine.create_checkpoint("wanted")
    found = {"n", ".notes", ".hidden", ".dot.db"}
    assert stores_of(agent, checkpoint) >= {f"data/memory/{name}" for name in found}
    receipt = receipt_of(engine, checkpoint)
    is_ignored = agent.read(".gitignore") == b"data/\n"
    assert (
        receipt.get("data/memory/link.db")
        == receipt.get("data/memory/.gitignore")
        == ("not a file" if is_ignored else None)
    )
    assert receipt["data/memory/pipe"] == "not a file"
    agent.remove("data/memory/link.db", "data/memory/.notes")
    engine.restore_checkpoint(checkpoint)
    assert agent.read("data/memory/.notes") == b"1\n"
    assert agent.exists("data/memory/link.db") != is_ignored


def test_a_link_in_the_place_of_a_store_stays_and_is_named(agent: RepoBuilder) -> None:
    agent.write("data/memory/state", "a text\n")
    agent.write("elsewhere", "another\n")
    engine = agent.engine()
    checkpoint = engine.create_checkpoint("wanted")
    agent.link("data/memory/state", "../../elsewhere")
    agent.write("data/memory/n", "later\n")
    plan = engine.plan_restore(checkpoint)
    (reason,) = [row.reason for row in plan.kept if row.path == b"data/memory/state"]
    assert "a link" in reason
    engine.restore_checkpoint(checkpoint)
    assert agent.path("data/memory/state").is_symlink()
    assert agent.read("elsewhere") == b"another\n"
    assert agent.read("data/memory/n") == b"n\n"


@pytest.mark.parametrize("path", [".env", "keys/service.pem", "/dev/null", "pipe"])
def test_what_no_checkpoint_would_take_cannot_be_declared(repo: RepoBuilder, path: str) -> None:
    repo.write(".env", "TOKEN=1\n")
    repo.write("keys/service.pem", "SECRETKEY42\n")
    os.mkfifo(repo.path("pipe"))
    engine = repo.engine()
    with pytest.raises(BadPathError, match=r"secret|no file"):
        engine.add_memory(repo.path(path))
    assert engine.list_memory() == []


def test_a_secret_that_a_rule_names_can_be_declared(repo: RepoBuilder) -> None:
    repo.write(".env", "TOKEN=1\n")
    repo.write(".chronoinclude", ".env\n")
    engine = repo.engine()
    engine.add_memory(repo.path(".env"))
    assert stores_of(repo, engine.create_checkpoint("wanted")) == {".env"}


def test_secrets_among_the_memory_are_named_by_the_receipt_and_the_list(agent: RepoBuilder) -> None:
    agent.write("data/memory/.env", "TOKEN=1")
    agent.write("data/memory/kb/page.md", "1")
    agent.write("data/memory/kb/deep/id_rsa", "KEY")
    engine = agent.engine()
    created = engine.take_checkpoint("first")
    rows = {row.path: row.detail for row in created.receipt if row.reason.value == "secret"}
    assert rows == {b"data/memory/.env": "", b"data/memory/kb/deep/id_rsa": "a secret in memory store kb"}
    assert "kb" in [store.name for store in engine.list_memory()]
    assert [notice for notice in engine.notices if "secret" in notice] == [
        "data/memory/.env: secret",
        "data/memory/kb/deep/id_rsa: a secret in memory store kb",
    ]


def test_a_damaged_database_that_is_mended_in_place_is_captured_as_one_again(
    agent: RepoBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = make_notes(agent.path("data/memory/d.db"))
    whole = place.read_bytes()
    with place.open("r+b") as file:
        file.write(b"\0" * 100)
    now_ns = time.time_ns() + 60_000_000_000
    monkeypatch.setattr("chronos.clock.now_ns", lambda: now_ns)
    kinds, checkpoints = [], []
    for step in ("damaged", "damaged", "mended", "mended"):
        if step == "mended":
            with place.open("r+b") as file:
                file.write(whole[:100])
        checkpoints.append(agent.engine().create_checkpoint(step))
        kinds += [one.kind for one in agent.engine().show_checkpoint(checkpoints[-1]).memory if one.name == "d.db"]
    assert kinds == ["files", "files", "sqlite", "sqlite"]
    agent.engine().restore_checkpoint(checkpoints[0])
    assert place.read_bytes() == b"\0" * 100 + whole[100:]
    agent.engine().undo()
    assert place.read_bytes() == whole
