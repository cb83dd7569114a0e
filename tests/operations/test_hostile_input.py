"""Hostile names and ids, and stores of another format: a clear error, and nothing is touched."""

from __future__ import annotations

import pytest

from chronos.errors import BadNameError, ChronosError, NewerFormatError, UnknownCheckpointError
from tests.support import RepoBuilder, git_folder_digest

HOSTILE_NAMES = [
    "../x",
    "-rf",
    "--help",
    "",
    " ",
    "x" * 300,
    "a\0b",
    "a\nb",
    "\x1b[31m",
    "@",
    "@~1",
    "a/../b",
    "..",
    "\ud800",
]


@pytest.fixture
def work(repo: RepoBuilder) -> RepoBuilder:
    repo.write("a.txt", "base\n")
    repo.commit()
    repo.write("a.txt", "wanted\n")
    with repo.engine() as engine:
        engine.create_checkpoint("wanted")
    repo.write("a.txt", "now\n")
    return repo


@pytest.mark.parametrize("name", HOSTILE_NAMES, ids=ascii)
def test_a_hostile_checkpoint_name_is_refused(work: RepoBuilder, name: str) -> None:
    # pains.md row 25: crafted identifiers wrote outside the workspace.
    engine = work.engine()
    before = git_folder_digest(work.store)
    with pytest.raises(BadNameError):
        engine.create_checkpoint(name)
    with pytest.raises(BadNameError):
        engine.create_checkpoint("fine", tags=[name])
    after = git_folder_digest(work.store)
    assert {
        path for path in {*before, *after} if before.get(path) != after.get(path) and b".store/" not in path
    } == set()


@pytest.mark.parametrize(
    "name", ["x", "before_migration", "v1.2-rc+1", "fix: the bug (again)", "ünï", "a/b", "2024", "x" * 120]
)
def test_an_ordinary_checkpoint_name_is_taken(work: RepoBuilder, name: str) -> None:
    engine = work.engine()
    checkpoint = engine.create_checkpoint(name)
    assert engine.find_checkpoint(name).checkpoint_id == checkpoint


@pytest.mark.parametrize(
    "text", ["../x", "-x", "", "x" * 300, "a\0b", "../../etc", "@~99", "main@~99", "nope@", "%", "*"]
)
def test_an_unknown_or_hostile_id_is_refused(work: RepoBuilder, text: str) -> None:
    engine = work.engine()
    before = work.state()
    for call in (engine.show_checkpoint, engine.restore_checkpoint, engine.delete_checkpoint, engine.diff):
        with pytest.raises(UnknownCheckpointError):
            call(text)
    assert work.state() == before


def test_a_store_of_a_newer_format_is_refused_and_not_touched(work: RepoBuilder) -> None:
    path = work.store / ".store/format"
    path.write_text("\n".join(path.read_text().replace("chronos 1", "chronos 2").splitlines()[:2]))
    before = git_folder_digest(work.store)
    for call in (
        lambda engine: engine.create_checkpoint("x"),
        lambda engine: engine.list_checkpoints(),
        lambda engine: engine.restore_checkpoint("wanted"),
        lambda engine: engine.undo(),
        lambda engine: engine.verify(deep=True),
        lambda engine: engine.recover(),
    ):
        with pytest.raises(NewerFormatError):
            call(work.engine())
    assert git_folder_digest(work.store) == before


@pytest.mark.parametrize("text", ["", "chronos", "chronos one\nx\n", "other 1\nabc\n", "\x00\xff", "chronos 1\n"])
def test_a_format_file_that_says_nothing_is_an_error_and_no_new_store(work: RepoBuilder, text: str) -> None:
    path = work.store / ".store/format"
    path.write_text(text)
    with pytest.raises(ChronosError) as caught:
        work.engine().create_checkpoint("x")
    assert caught.value.exit_code in (4, 6)
    assert path.read_text() == text
