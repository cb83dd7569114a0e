"""What is there decides: dirty files, aliases, scripts, and what a checkpoint would cover of what is hit."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from chronos import ChronosEngine
from chronos.operations import Coverage
from historian import HistorianAgent
from historian.risk import Assessor, Operation, OperationKind, RiskAssessment
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


def test_clean_skips_repositories_inside_unless_forced_twice(historian: HistorianAgent, world: RepoBuilder) -> None:
    inner = RepoBuilder(world.path("tools/inner"), world.environment)
    inner.write("x.txt", "x\n")
    assert historian.assess("git clean -fd").level.value == "medium"
    world.write("tools/new.py", "x")
    assert where(historian.assess("git clean -fd"), world.root) == {"tools/new.py": "code"}
    for twice in ("git clean -ffd", "git clean -f -d -f", "git clean --force -fd"):
        assert "tools/inner" in where(historian.assess(twice), world.root)


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


@pytest.mark.parametrize(
    "command",
    ["psql -f migrations/001.sql", "sqlite3 app.db < migrations/001.sql", "cd db && mysql shop < schema.sql",
     "cat migrations/001.sql | psql"],
)  # fmt: skip
def test_running_a_file_of_migrations_migrates_whatever_stands_in_it(
    historian: HistorianAgent, world: RepoBuilder, command: str
) -> None:
    world.write("migrations/001.sql", "CREATE TABLE t (a);\n")
    world.write("db/schema.sql", "CREATE TABLE t (a);\n")
    found = historian.assess(command)
    assert found.level.value == "high"
    assert any(signal.rule == "sql.file" for signal in found.signals)


def test_each_target_says_where_a_checkpoint_has_it(historian: HistorianAgent, world: RepoBuilder) -> None:
    make_notes(world.write("data/memory/notes.db"))
    world.write(".env", "A=1\n")
    world.write("data/memory/id_rsa", "SECRETKEY42\n")
    found = historian.assess("rm -rf src/*.py build run.log .git data/memory/* .env nothing-here")
    assert where(found, world.root) == {
        "src/a.py": "code", "src/b.py": "code", "build": "ignored", "run.log": "ignored", ".git": "history",
        "data/memory/notes.db": "memory", "data/memory/id_rsa": "secret", ".env": "secret", "nothing-here": "absent",
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


@pytest.mark.parametrize(
    "command",
    [
        "find . -name '*.o' | xargs -I{} sh -c 'rm {}'", "find . | xargs -I % rm %", "find . | xargs -i rm {}",
        "find . | xargs --replace=FILE rm FILE", "find . | xargs --replace rm {}", "find . | xargs rm",
        "ls | parallel rm {}", "ls | parallel rm {.}.bak", "fd -x rm {}", "fd -e o -X rm", "rm $UNKNOWN",
        "rm src/a.py $UNKNOWN", "find src -exec rm {}.bak ';'",
    ],
)  # fmt: skip
def test_what_is_known_only_when_it_runs_is_not_absent(historian: HistorianAgent, command: str) -> None:
    found = historian.assess(command)
    assert found.level.value == "high"
    assert found.covered is None
    assert "absent" not in {target.coverage for target in found.targets}
    assert not any(target.what.endswith(("{}", "%", "FILE")) for target in found.targets)


@pytest.mark.parametrize(
    ("command", "paths"),
    [
        ("printf 'src/a.py\\nsrc/b.py\\n' | xargs -I{} sh -c 'rm {}'", {"src/a.py": "code", "src/b.py": "code"}),
        ("echo src/a.py | xargs -I{} rm {}", {"src/a.py": "code"}),
        ("parallel rm {} ::: src/a.py src/b.py", {"src/a.py": "code", "src/b.py": "code"}),
        ("find src -exec sh -c 'rm {}' ';'", {"src": "code"}),
        ("rm src/{a,b}.py", {"src/a.py": "code", "src/b.py": "code"}),
        ("rm 'src/a (1).py' 'src/{x,y}.py'", {"src/a (1).py": "code", "src/{x,y}.py": "code"}),
        ("rm src/{a,c}.py", {"src/a.py": "code", "src/c.py": "absent"}),
    ],
)
def test_what_stands_for_known_words_is_looked_up(
    historian: HistorianAgent, world: RepoBuilder, command: str, paths: dict[str, str]
) -> None:
    world.write("src/a (1).py", "a\n")
    world.write("src/{x,y}.py", "a\n")
    found = historian.assess(command)
    assert where(found, world.root) == paths
    assert found.covered is True


@pytest.mark.parametrize(
    "form", ["rm {}", "rm '{}'", 'rm "{}"', "echo x > {}", "sh -c 'rm {}'", "for f in {}; do rm $f; done"]
)
def test_names_that_are_not_utf_8_are_found(historian: HistorianAgent, world: RepoBuilder, form: str) -> None:
    name = os.fsdecode(b"caf\xe9.txt")
    world.path(name).write_bytes(b"x")
    found = historian.assess(Operation(text=form.format(name), kind=OperationKind.SHELL))
    assert where(found, world.root) == {name: "code"}
    assert found.covered is True


def test_what_nobody_looked_at_is_not_said_to_be_missing(historian: HistorianAgent, world: RepoBuilder) -> None:
    make_notes(world.path("build/app.db"))
    found = historian.assess("sqlite3 build/app.db 'DROP TABLE t'")
    assert {target.coverage for target in found.targets} == {"ignored", "unknown"}
    assert f"no checkpoint would hold {world.path('build/app.db')}" in found.reasons
    assert historian.assess("psql -c 'DROP TABLE t'").reasons == ("drops table t",)
