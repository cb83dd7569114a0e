"""A client process for each major of the SDK, kept while the tests run: starting one costs a second."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest

from tests.skills.mcp_server.clients import ClientProcess
from tests.support import RepoBuilder

Clients = Callable[[int], ClientProcess]


@pytest.fixture(scope="session")
def clients(sealed_session: None) -> Iterator[Clients]:
    running: dict[int, ClientProcess] = {}

    def find(major: int) -> ClientProcess:
        if major not in running:
            running[major] = ClientProcess(major, os.environ)
        return running[major]

    yield find
    for one in running.values():
        one.close()


@pytest.fixture
def tree(repo: RepoBuilder) -> RepoBuilder:
    repo.write("app.py", "def total(prices):\n    return sum(prices)\n")
    repo.write("settings.json", '{"currency": "EUR"}\n')
    repo.commit("base")
    return repo
