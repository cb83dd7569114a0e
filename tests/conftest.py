"""Every test runs sealed: its own home, git configuration and clock zone, no network, and a watched real home."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.register_assert_rewrite("tests.support")

from chronos import ChronosEngine  # noqa: E402 - the rewrite has to be asked for first
from chronos.memory import lance_client, lance_merge  # noqa: E402
from tests.faults.summary import pytest_terminal_summary  # noqa: E402, F401 - xdist's controller looks here
from tests.support import RepoBuilder, make_home, sealed_environment, set_tripwires  # noqa: E402
from tests.support.places import find_other_file_system, settle_in_memory  # noqa: E402
from tests.support.sealing import seal_process, watched_in_home  # noqa: E402
from tests.support.warm_lance import WarmLance  # noqa: E402

settle_in_memory()


@pytest.fixture(scope="session", autouse=True)
def sealed_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Seal the process once, set the tripwires, and at the end look whether the real home was touched."""
    before = watched_in_home()
    seal_process(make_home(tmp_path_factory.mktemp("session") / "home"))
    set_tripwires()
    yield
    assert watched_in_home() == before, "the real home was touched"


@pytest.fixture(scope="session", autouse=True)
def warm_lance(sealed_session: None) -> Iterator[None]:
    """Let what reads Lance tables be forked from a process that has imported LanceDB; `cold_lance` starts it anew."""
    lance = WarmLance()
    with pytest.MonkeyPatch.context() as patch:
        for module in (lance_client, lance_merge) if hasattr(os, "pidfd_open") else ():
            patch.setattr(module, "program_of", lance.program_of)
        yield
    lance.close()


_PROGRAM_OF = lance_client.program_of


@pytest.fixture
def cold_lance(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start processes that read Lance tables as they are started outside tests."""
    for module in (lance_client, lance_merge):
        monkeypatch.setattr(module, "program_of", _PROGRAM_OF)


@pytest.fixture(autouse=True)
def sealed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Give each test a home of its own; return the environment that goes with it."""
    environment = sealed_environment(make_home(tmp_path / "home"))
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return environment


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Path]:
    """An empty folder on another file system than that of `tmp_path`."""
    place = find_other_file_system(tmp_path)
    if place is None:
        pytest.skip("no second file system")
    with tempfile.TemporaryDirectory(dir=place) as folder:
        yield Path(folder)


@pytest.fixture
def repo(tmp_path: Path, sealed: dict[str, str]) -> Iterator[RepoBuilder]:
    """A new, empty git repository."""
    builder = RepoBuilder(tmp_path / "repo", sealed)
    yield builder
    builder.close()


@pytest.fixture
def folder(tmp_path: Path, sealed: dict[str, str]) -> Iterator[RepoBuilder]:
    """A plain folder that is no repository."""
    builder = RepoBuilder(tmp_path / "plain", sealed, git=False)
    yield builder
    builder.close()


@pytest.fixture
def engine(repo: RepoBuilder) -> ChronosEngine:
    """An engine for `repo`, closed with it."""
    return repo.engine()
