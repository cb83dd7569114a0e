"""Bisections where there is no commit, no git, or more than one repository."""

from __future__ import annotations

from chronos import ChronosEngine
from historian.bisecting import Request, run_bisection
from tests.support import RepoBuilder
from tests.support.databases import make_notes, run_sql

WHOLE = ("sh", "-c", "! grep -rq broken --include=*.txt .")


def take_eight(repo: RepoBuilder, engine: ChronosEngine, path: str = "a.txt") -> None:
    for number in range(8):
        repo.write(path, "broken\n" if number >= 5 else f"{number}\n")
        repo.write(f"only-{number}.md", "x\n")
        engine.create_checkpoint(f"n{number}")
        repo.remove(f"only-{number}.md")


def find(engine: ChronosEngine, command: tuple[str, ...] = WHOLE) -> str:
    found = run_bisection(engine, Request(command, "n0", "n7"))
    assert found.first_bad is not None
    assert not [note for one in found.tries for note in one.notes]
    return found.first_bad.name


def test_before_the_first_commit(repo: RepoBuilder) -> None:
    engine = repo.engine()
    take_eight(repo, engine)
    assert find(engine, ("sh", "-c", "test $(ls *.md | wc -l) = 1 || exit 200; ! grep -q broken a.txt")) == "n5"
    assert repo.git("rev-list", "--all") == ""


def test_over_the_first_commit(repo: RepoBuilder) -> None:
    engine = repo.engine()
    repo.write("a.txt", "0\n")
    engine.create_checkpoint("n0")
    repo.commit()
    for number in range(1, 8):
        repo.write("a.txt", "broken\n" if number >= 2 else f"{number}\n")
        engine.create_checkpoint(f"n{number}")
    assert find(engine) == "n2"


def test_in_a_plain_folder_with_memory(folder: RepoBuilder) -> None:
    engine = folder.engine()
    make_notes(folder.root / "data/memory/notes.db", 2)
    folder.write("b.txt", "b\n")
    take_eight(folder, engine)
    script = "test $(ls *.md | wc -l) = 1 && test -s data/memory/notes.db || exit 200; ! grep -q broken a.txt; c=$?;"
    assert find(engine, ("sh", "-c", f"{script} echo junk > junk.md; rm b.txt; exit $c")) == "n5"
    assert sorted(path.name for path in (folder.store / ".store/tmp").iterdir()) == []


def test_in_a_linked_worktree(repo: RepoBuilder) -> None:
    repo.write("a.txt", "a\n")
    repo.commit()
    repo.git("worktree", "add", "-q", str(repo.root.parent / "linked"))
    there = RepoBuilder(repo.root.parent / "linked", repo.environment)
    engine = there.engine()
    take_eight(there, engine)
    assert find(engine) == "n5"
    engine.close()


def test_with_repositories_below_the_root(repo: RepoBuilder) -> None:
    repo.write("a.txt", "a\n")
    repo.commit()
    inner = RepoBuilder(repo.root / "inner", repo.environment)
    inner.write("b.txt", "b\n")
    inner.commit("of the inner one")
    engine = repo.engine()
    take_eight(repo, engine, "inner/b.txt")
    command = ("sh", "-c", "git -C inner log --format=%s | grep -q inner || exit 200; ! grep -q broken inner/b.txt")
    assert find(engine, command) == "n5"
    assert inner.git("status", "--porcelain") == "M b.txt"


def test_a_database_among_the_files_goes_along(repo: RepoBuilder) -> None:
    make_notes(repo.root / "app.db", 2)
    repo.commit()
    engine = repo.engine()
    for number in range(8):
        run_sql(repo.root / "app.db", f"INSERT INTO notes (body) VALUES ('{'broken' if number == 5 else number}')")
        engine.create_checkpoint(f"n{number}")
    assert find(engine, ("sh", "-c", "! grep -aq broken app.db")) == "n5"
