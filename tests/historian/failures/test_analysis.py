"""What failed is compared with a checkpoint: the change to blame comes first, and the lesson is kept and found."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import Iterator

import pytest

from historian import HistorianAgent
from historian.risk import Operation, OperationKind, RiskAssessment, RiskLevel
from tests.support import RepoBuilder

FORTY = "NameError: name 'forty' is not defined"


@pytest.fixture
def historian(repo: RepoBuilder) -> Iterator[HistorianAgent]:
    repo.write("app/core.py", "".join(f"line_{number} = {number}\n" for number in range(60)))
    repo.write("app/users.py", "def load():\n    return 1\n")
    repo.write("README.md", "words\n")
    repo.write("migrations/002_email.sql", "ALTER TABLE users ADD COLUMN email TEXT;\n")
    repo.commit()
    with HistorianAgent(engine=repo.engine()) as found:
        yield found


def test_a_changed_line_where_it_failed_is_the_first_suspect(historian: HistorianAgent, repo: RepoBuilder) -> None:
    before = historian.engine.create_checkpoint("before")
    repo.write("app/core.py", repo.read("app/core.py").replace(b"line_40 = 40", b"line_40 = forty"))
    repo.write("app/users.py", "def load():\n    return 2\n" * 100)
    repo.write("README.md", "other words\n")
    error = f'Traceback (most recent call last):\n  File "{repo.root}/app/users.py", line 90, in load\n    x\n'
    error += f'  File "/elsewhere/app/core.py", line 41, in <module>\n    line_40 = forty\n{FORTY}\n'
    found = historian.analyze_failure("hot_patch on core.py", error, before)
    assert [one.path for one in found.suspects] == ["app/core.py", "app/users.py", "README.md"]
    assert found.suspects[0].score > 0.7 and "line 41 is a changed one" in found.suspects[0].reasons[0]
    assert found.restore == f"chrono checkpoint restore {before}"
    assert "--path app/core.py" in found.advice and "before" in found.advice
    assert found.lesson is not None and found.lesson.checkpoint_before == before
    assert found.lesson.result == f"FAILURE: {FORTY}"
    historian.engine.restore_checkpoint(before, paths=["app/core.py"])
    assert b"forty" not in repo.read("app/core.py")


def test_a_module_that_is_gone_or_renamed_is_the_first_suspect(historian: HistorianAgent, repo: RepoBuilder) -> None:
    before = historian.engine.create_checkpoint("before")
    shutil.move(repo.path("app/users.py"), repo.path("app/people.py"))
    repo.write("app/core.py", "import app.users\n" * 50)
    error = "ModuleNotFoundError: No module named 'app.users'"
    best = historian.analyze_failure("start", error, before).suspects[0]
    assert (best.path, best.status) == ("app/users.py", "D")
    assert "it is app/people.py now" in best.reasons[0]


def test_a_schema_error_leads_to_migrations_and_the_store(historian: HistorianAgent, repo: RepoBuilder) -> None:
    repo.path("data/memory").mkdir(parents=True)
    database = sqlite3.connect(repo.path("data/memory/app.db"))
    database.execute("CREATE TABLE users (id INTEGER PRIMARY KEY, email TEXT)")
    database.commit()
    before = historian.engine.create_checkpoint("before")
    database.execute("ALTER TABLE users RENAME TO people")
    database.commit()
    database.close()
    repo.write("migrations/002_email.sql", "ALTER TABLE users RENAME TO people;\n")
    repo.write("app/core.py", "changed = 1\n" * 300)
    found = historian.analyze_failure("migrate", "sqlite3.OperationalError: no such table: users", before)
    first = [one.path for one in found.suspects[:2]]
    assert any("app.db" in path for path in first) and "migrations/002_email.sql" in first
    assert found.suspects[-1].path == "app/core.py"


def test_without_anything_to_compare_the_error_is_read_and_learned(
    historian: HistorianAgent, repo: RepoBuilder
) -> None:
    found = historian.analyze_failure("deploy", "TypeError: x is not a function")
    assert (found.error.kind, found.suspects, found.restore) == ("TypeError", (), "")
    assert found.lesson is not None and "no checkpoint" in found.notes[0]
    historian.engine.create_checkpoint("one")
    assert "restoring it changes nothing" in historian.analyze_failure("deploy", "TypeError: x").advice
    unknown = historian.analyze_failure("deploy", "TypeError: y", "nosuch")
    assert "nosuch" in unknown.notes[0] and unknown.lesson is not None and unknown.lesson.count == 3


def test_a_secret_in_an_error_is_not_kept(historian: HistorianAgent) -> None:
    secret = "gh" + "p_" + "a1B2c3" * 6
    found = historian.analyze_failure("push", f"ValueError: bad credentials {secret}")
    assert secret not in str(found)
    assert "bad credentials" in found.error.message
    historian.analyze_failure(f"push --password hunter2 {secret}", "OSError: postgres://me:hunter2@db is not there")
    kept = (historian.lessons.folder / "lessons.jsonl").read_bytes()
    assert secret.encode() not in kept and b"hunter2" not in kept


def test_the_guide_may_await_it_and_a_program_may_not(historian: HistorianAgent) -> None:
    async def as_in_the_guide() -> str:
        found = await historian.analyze_failure(
            operation="hot_patch on core.py", error="SyntaxError: invalid syntax", checkpoint_before=None
        )
        return found.error.kind

    assert asyncio.run(as_in_the_guide()) == "SyntaxError"
    assert "SyntaxError" in str(historian.analyze_failure("a", SyntaxError("invalid syntax")))


def test_a_failure_is_found_by_the_operations_that_resemble_it(historian: HistorianAgent) -> None:
    assert historian.find_precedents(Operation(text="Perform database schema migration")) == ()
    lesson = historian.analyze_failure(
        "database_migration_v1", "sqlite3.OperationalError: no such column: email"
    ).lesson
    assert lesson is not None
    (found,) = historian.find_precedents(Operation(text="Perform database schema migration"))
    assert found.lesson_id == lesson.lesson_id and found.similarity > 0.7 and "no such column" in found.what_failed
    for text in ("read the README", "list files", "run the tests", ""):
        assert list(historian.find_precedents(Operation(text=text))) == []
    historian.lessons.add_lesson("pytest tests/a.py", "pytest tests/a.py", "FAILURE")
    assert historian.find_precedents(Operation(argv=("pytest", "tests/a.py")))
    assert not historian.find_precedents(Operation(argv=("pytest", "tests/b.py")))


def test_lessons_are_shared_by_timelines_hidden_and_never_captured(
    historian: HistorianAgent, repo: RepoBuilder
) -> None:
    engine = historian.engine
    before = engine.create_checkpoint("before")
    status = repo.status()
    lesson = historian.lessons.add_lesson("one", "two", "FAILURE")
    assert repo.status() == status and "data/lessons" in repo.read(".git/info/exclude").decode()
    repo.git("clean", "-fdxq")
    engine.restore_checkpoint(before)
    assert historian.lessons.get(lesson.lesson_id) == lesson
    engine.branch_timeline("experiment")
    with engine.open_timeline("experiment") as there, HistorianAgent(engine=there) as other:
        assert other.lessons.folder == historian.lessons.folder == repo.path("data/lessons")
        other.lessons.add_lesson("learned there", "did", "SUCCESS")
    assert historian.lessons.count() == 2
    assert engine.diff("before") == []


class Assessing(HistorianAgent):
    """Stands in for the assessment, which is not part of this room."""

    def assess(self, operation: str | Operation) -> RiskAssessment:
        level = RiskLevel.HIGH if "migration" in str(operation) else RiskLevel.LOW
        return RiskAssessment(level=level, score=0.9, kind=OperationKind.WORDS, reasons=("it migrates",))


def test_the_historian_answers_in_words(historian: HistorianAgent, repo: RepoBuilder) -> None:
    agent = Assessing(engine=historian.engine)
    assert "no checkpoints" in asyncio.run(agent.process("show history"))
    checkpoint = agent.engine.create_checkpoint("stable", "all green")
    agent.lessons.add_lesson("database_migration_v1", "ran it", "FAILURE: OperationalError: locked", "stop the writers")
    said = asyncio.run(agent.process("Perform database schema migration"))
    assert "Risk: high" in said and "create a checkpoint first" in said and checkpoint in said
    assert "stop the writers" in said and said.assessment is not None and said.lessons
    assert "No checkpoint is needed" in asyncio.run(agent.process("read the README"))
    for text in ("show history", "Show me the checkpoint history", "list checkpoints", "history?"):
        assert [row.checkpoint_id for row in asyncio.run(agent.process(text)).checkpoints] == [checkpoint], text
    for text in ("list lessons about migration", "What lessons do we have on database migration?", "show lessons"):
        assert len(asyncio.run(agent.process(text)).lessons) == 1, text
    assert "no lessons about zebras" in asyncio.run(agent.process("list lessons about zebras"))
    assert agent.get_checkpoint_history(limit=10)[0].name == "stable"
    assert agent.get_checkpoint_history(limit=0) == []
