"""What the tests of the adapters share."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from typing import Annotated

import pytest
from msgspec import Meta

import skills.chrono_skill
from skills import ChronoSkill
from skills.actions import ACTIONS, Access, Effect, catalogue
from skills.actions.action import action
from skills.actions.results import Result
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


class Counted(Result, frozen=True, kw_only=True):
    """How many files there are."""

    files: int


@action("Count files", Effect.READS)
def count_files(access: Access, below: Annotated[str, Meta(description="The folder to count in")] = ".") -> Counted:
    """Count the files in a folder, which no action of ours does."""
    return Counted(files=sum(1 for one in (access.engine.root / below).iterdir() if one.is_file()))


@pytest.fixture
def longer_list(monkeypatch: pytest.MonkeyPatch) -> type[ChronoSkill]:
    """ChronoSkill as it would be if the list of actions ended with `count_files`."""
    listed = (*ACTIONS, count_files)
    for module in ("skills.actions", "skills.actions.catalogue", "skills.actions.session"):
        monkeypatch.setattr(f"{module}.ACTIONS", listed)
    monkeypatch.setitem(catalogue._BY_NAME, "count_files", count_files)
    monkeypatch.setattr(skills, "chrono_skill", skills.chrono_skill)
    monkeypatch.delitem(sys.modules, "skills.chrono_skill")
    made: type[ChronoSkill] = importlib.import_module("skills.chrono_skill").ChronoSkill
    return made
