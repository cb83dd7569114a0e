"""The tests' own tripwires: they must go off, or every other test could leak unseen."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from tests.support import RepoBuilder, TripwireError
from tests.support.sealing import REAL_HOME, watched_in_home


def test_no_git_variable_but_ours_reaches_a_test() -> None:
    assert {name for name in os.environ if name.startswith("GIT_")} == {"GIT_CONFIG_NOSYSTEM", "GIT_CONFIG_GLOBAL"}
    assert Path(os.environ["HOME"]) != REAL_HOME
    assert os.environ["TZ"] == "UTC"


def test_git_reads_no_configuration_but_the_sealed_one(repo: RepoBuilder) -> None:
    origins = {line.split("\t")[0] for line in repo.git("config", "--list", "--show-origin").splitlines()}
    assert origins == {f"file:{repo.environment['GIT_CONFIG_GLOBAL']}", "file:.git/config"}


def test_a_connection_beyond_loopback_trips() -> None:
    with socket.socket() as connection, pytest.raises(TripwireError):
        connection.connect(("192.0.2.1", 80))


def test_a_connection_to_loopback_does_not_trip() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as connection:
        connection.connect(server.getsockname())


@pytest.mark.skipif(Path("/") == REAL_HOME, reason="this user has no home of its own")
def test_a_write_into_the_real_home_trips() -> None:
    before = watched_in_home()
    with pytest.raises(TripwireError):
        (REAL_HOME / ".chronos-leak").write_text("leak")
    with pytest.raises(TripwireError):
        (REAL_HOME / ".chronos-leak").mkdir()
    assert watched_in_home() == before
