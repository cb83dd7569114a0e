"""What the tests of the adapters share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from skills import ChronoSkill
from tests.support import RepoBuilder


@pytest.fixture
def tree(repo: RepoBuilder) -> RepoBuilder:
    repo.write("a.txt", "one\n")
    repo.commit()
    return repo


@pytest.fixture
def skill(tree: RepoBuilder) -> Iterator[ChronoSkill]:
    with ChronoSkill(engine=tree.engine()) as skill:
        yield skill
