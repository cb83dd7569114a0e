"""What is there decides: dirty files, aliases, scripts, and what a checkpoint would cover of what is hit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from chronos import ChronosEngine
from chronos.operations import Coverage
from historian import HistorianAgent
from historian.risk import Assessor, RiskAssessment
from historian.risk.probing import Probe
from tests.support import RepoBuilder
from tests.support.databases import make_notes


@pytest.fixture
def world(repo: RepoBuilder) -> RepoBuilder:
    repo.write(".gitignore", "build/\n*.log\n")
    repo.write("src/a.py", "a = 1\n")
    repo.write("src/b.py", "b = 1\n")
    repo.commit()
    repo.write("build/out.o", "x")
    repo.write("run.log", "x")
    return repo


@pytest.fixture
def historian(world: RepoBuilder, monkeypatch: pytest.MonkeyPatch) -> Iterator[HistorianAgent]:
    monkeypatch.setattr("historian.risk.probing.BUDGET_S", 60.0)
    monkeypatch.setattr(Probe.__init__, "__defaults__", (60.0,))  # machines differ; the limit has its own test
    with world.engine() as engine:
        yield HistorianAgent(engine=engine)


def where(found: RiskAssessment, root: Path) -> dict[str, str]:
    return {str(Path(target.what).relative_to(root)): target.coverage for target in found.targets}


def test_a_hard_reset_is_as_dangerous_as_what_is_not_committed(historian: HistorianAgent, world: RepoBuilder) -> None:
    assert historian.assess("git reset --hard").level.value == "medium"
    world.write("src/a.py", "a = 2\n")
    found = historian.assess("git reset --hard")
    assert found.level.value == "high"
    assert where(found, world.root) == {"src/a.py": "code"}
    assert found.covered is True
    assert historian.assess("git restore src/b.py").level.value == "medium"
    assert historian.assess("git checkout -- src").level.value == "high"
    assert historian.assess("cd src && git restore a.py").level.value == "high"
    assert historian.assess("git -C /elsewhere reset --hard").level.value == "high"
    assert historian.assess("git reset --hard", probe=False).level.value == "high"


@pytest.mark.parametrize(
    "command", ["git -C inner reset --hard", "cd inner/deep && git checkout -- .", "git -C inner clean -fd"]
)
def test_what_is_not_committed_in_a_repository_inside_is_not_told_from_the_one_around_it(
    historian: HistorianAgent, world: RepoBuilder, command: str
) -> None:
    inner = RepoBuilder(world.path("inner"), world.environment)
    inner.write("deep/x.txt", "x\n")
    inner.commit()
    inner.write("deep/x.txt", "edited\n")
    world.write("src/a.py", "a = 2\n")
    found = historian.assess(command)
    assert found.level.value == "high"
    assert "a.py" not in "; ".join(found.reasons)
    assert historian.assess("git reset --hard").targets[0].what == str(world.path("src/a.py"))


def test_clean_is_as_dangerous_as_what_it_finds(historian: HistorianAgent, world: RepoBuilder) -> None:
    assert historian.assess("git clean -fd").level.value == "medium"
    found = historian.assess("git clean -fdx")
    assert found.level.value == "high"
    assert found.covered is False
    world.write("new.py", "x")
    assert where(historian.assess("git clean -fd"), world.root) == {"new.py": "code"}


def test_aliases_of_git_are_followed(historian: HistorianAgent, world: RepoBuilder) -> None:
    world.set_global("alias.nuke", "push --force")
    world.set_global("alias.bye", "!rm -rf src")
    assert historian.assess("git nuke").level.value == "high"
    assert historian.assess("git bye").level.value == "high"


def test_scripts_and_statements_in_the_tree_are_read(historian: HistorianAgent, world: RepoBuilder) -> None:
    world.write("tidy.sh", "#!/bin/sh\nrm -rf src\n")
    world.write("look.sh", "ls src\n")
    world.write("q.sql", "DELETE FROM t;\n")
    assert historian.assess("sh tidy.sh").level.value == "high"
    assert historian.assess("sh look.sh").level.value == "medium"
    assert historian.assess("psql -f q.sql").level.value == "high"
    assert historian.assess("psql < q.sql").level.value == "high"


def test_each_target_says_where_a_checkpoint_has_it(historian: HistorianAgent, world: RepoBuilder) -> None:
    make_notes(world.write("data/memory/notes.db"))
    world.write(".env", "A=1\n")
    found = historian.assess("rm -rf src/*.py build run.log .git data/memory/notes.db .env nothing-here")
    assert where(found, world.root) == {
        "src/a.py": "code", "src/b.py": "code", "build": "ignored", "run.log": "ignored", ".git": "history",
        "data/memory/notes.db": "memory", ".env": "secret", "nothing-here": "absent",
    }  # fmt: skip
    assert found.covered is False
    assert "chronoinclude" in found.advice
    assert historian.assess("rm src/a.py").covered is True


def test_a_folder_with_ignored_files_in_it_is_not_covered(historian: HistorianAgent, world: RepoBuilder) -> None:
    assert historian.assess("rm -rf src").covered is True
    world.write("src/debug.log", "x")
    assert historian.assess("rm -rf src").covered is False
    world.write(".chronoinclude", "*.log\n")
    assert historian.assess("rm -rf src").covered is True


def test_overwriting_what_no_checkpoint_holds_is_high(historian: HistorianAgent, world: RepoBuilder) -> None:
    assert historian.assess("echo x > run.log").level.value == "high"
    assert historian.assess("echo x > src/a.py").level.value == "medium"
    assert historian.assess("echo x >> run.log").level.value == "medium"


def test_looking_changes_nothing(historian: HistorianAgent, world: RepoBuilder) -> None:
    before = world.paths()
    historian.assess("rm -rf src && git reset --hard && sqlite3 x.db 'delete from t'")
    assert world.paths() == before
    assert not world.store.exists()


def test_the_store_and_what_lies_outside_are_named(engine: ChronosEngine, world: RepoBuilder, tmp_path: Path) -> None:
    world.write("x", "x")
    engine.create_checkpoint("one")
    outside = tmp_path / "elsewhere"
    outside.mkdir()
    paths = [world.path("data/timelines"), world.path("data"), outside, world.path("x")]
    assert engine.coverage(paths) == [Coverage.STORE, Coverage.STORE, Coverage.OUTSIDE, Coverage.CODE]


def test_a_plain_folder_is_covered_before_its_first_checkpoint(folder: RepoBuilder) -> None:
    folder.write("a", "x")
    with folder.engine() as engine:
        assert engine.coverage([folder.path("a")]) == [Coverage.CODE]
        assert Assessor(engine=engine).assess("rm a").level.value == "high"


def test_a_probe_without_time_says_so(world: RepoBuilder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Probe.__init__, "__defaults__", (0.0,))
    with world.engine() as engine:
        found = HistorianAgent(engine=engine).assess("rm -rf src")
    assert found.level.value == "high"
    assert any("cut short" in reason for reason in found.reasons)
    assert found.covered is None
