"""Files that code names count as what it would hit, so that the guard can hold them."""

from __future__ import annotations

from pathlib import Path

import pytest

from historian import HistorianAgent
from historian.risk import Operation, OperationKind
from historian.risk.probing import Probe
from tests.support import RepoBuilder


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Probe.__init__, "__defaults__", (60.0,))  # machines differ; the limit has its own test


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("import sqlite3; c = sqlite3.connect('app.db'); c.execute('DROP TABLE t')", ["app.db"]),
        ("import shutil; shutil.rmtree('build')", ["build"]),
        ("import shutil; shutil.rmtree('elsewhere')", []),
        ("print('app.db')", []),
    ],
)
def test_code_hits_the_files_that_it_names(repo: RepoBuilder, code: str, names: list[str]) -> None:
    repo.write("build/x.o", "object\n")
    repo.write("app.db", "no database yet\n")
    repo.write("run.py", code)
    repo.write(".gitignore", "build/\n*.db\n")
    repo.commit()
    with HistorianAgent(engine=repo.engine()) as historian:
        for argv in (("python3", "-c", code), ("python3", "run.py")):
            found = historian.assess(Operation(argv=argv, kind=OperationKind.SHELL, cwd=str(repo.root)))
            paths = [target for target in found.targets if target.coverage != "unknown"]
            assert [(Path(one.what).name, one.coverage) for one in paths] == [(name, "ignored") for name in names]


@pytest.mark.parametrize(
    ("statement", "names"), [("DROP TABLE users", "users"), ("DROP TABLE a, b", "a, b"), ("DROP INDEX i", "i")]
)
def test_what_is_dropped_is_named(statement: str, names: str) -> None:
    found = HistorianAgent().assess(Operation(text=statement, kind=OperationKind.SQL), probe=False)
    assert found.reasons[0].endswith(f" {names}")
    assert [target.what for target in found.targets] == names.split(", ")


@pytest.mark.parametrize(
    ("script", "names", "effects"),
    [
        ("#!/bin/sh\nrm -rf build\n", ["build"], 0), ("#!/usr/bin/env -S bash\ngit push origin\n", [], 1),
        ("#!/usr/bin/env python3\nimport shutil\nshutil.rmtree('build')\n", ["build"], 0), ("rm -rf build\n", [], 0),
        ("#!/bin/sh\n./run\nrm -rf build\n", ["build"], 0),
    ],
)  # fmt: skip
def test_a_script_that_is_started_by_its_path_is_read(
    repo: RepoBuilder, script: str, names: list[str], effects: int
) -> None:
    repo.write("build/x.o", "object\n")
    repo.write("run", script)
    repo.write(".gitignore", "build/\n")
    repo.commit()
    with HistorianAgent(engine=repo.engine()) as historian:
        found = historian.assess(Operation(argv=("./run", "x"), cwd=str(repo.root)))
        paths = [Path(target.what).name for target in found.targets if target.coverage == "ignored"]
        assert (paths, len(found.effects)) == (names, effects)
