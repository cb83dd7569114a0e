"""What lies under `data/memory` is held, or named in the receipt and left where it is."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

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
    engine.restore_checkpoint(checkpoint)
    assert agent.read("data/memory/n") == b"n\n"
    assert agent.read(f"data/memory/{name}") == b"SECRETKEY42\n"


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
    assert "data/memory/old" in done.stdout
    assert "facts" in done.stdout


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


def test_a_secret_in_the_place_of_a_store_stays_and_is_named(agent: RepoBuilder) -> None:
    agent.write("data/memory/state", "a text\n")
    engine = agent.engine()
    checkpoint = engine.create_checkpoint("wanted")
    agent.remove("data/memory/state")
    agent.write("data/memory/state/id_rsa", "SECRETKEY42\n")
    outcome = engine.restore_checkpoint(checkpoint)
    assert "data/memory/state" in kept_paths(outcome.kept)
    assert agent.read("data/memory/state/id_rsa") == b"SECRETKEY42\n"
