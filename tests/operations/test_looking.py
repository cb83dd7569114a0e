"""Reading verbs: diff, status, search, show. They say what is true and change nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from chronos import ChronosEngine
from chronos.errors import RefusedError
from tests.support import RepoBuilder
from tests.support.sealing import PROJECT


@pytest.fixture
def work(repo: RepoBuilder) -> RepoBuilder:
    for name in ("a.txt", "b.txt", "c.txt", "folder/d.txt"):
        repo.write(name, "one\ntwo\n")
    repo.write("run", "#!/bin/sh\n")
    repo.link("link", "a.txt")
    repo.commit()
    return repo


def statuses(engine: ChronosEngine, old: str, new: str | None = None, *, paths: tuple[str, ...] = ()) -> dict[str, str]:
    return {os.fsdecode(found.path): found.status for found in engine.diff(old, new, paths=paths)}


def change_all(repo: RepoBuilder) -> None:
    repo.write("a.txt", "one\n2\n")
    repo.remove("b.txt")
    repo.write("new\n.txt", "new\n")
    repo.path("run").chmod(0o755)
    repo.write("link", "a file now\n")


def test_a_diff_names_every_change_and_its_kind(work: RepoBuilder) -> None:
    engine = work.engine()
    old = engine.create_checkpoint("old")
    assert statuses(engine, old) == {}
    change_all(work)
    wanted = {"a.txt": "M", "b.txt": "D", "new\n.txt": "A", "run": "T", "link": "T"}
    assert statuses(engine, old) == wanted
    new = engine.create_checkpoint("new")
    assert statuses(engine, old, new) == wanted
    assert statuses(engine, new, old) == {**wanted, "b.txt": "A", "new\n.txt": "D"}
    assert statuses(engine, new) == {}


def test_a_diff_sees_through_commits_in_between(work: RepoBuilder) -> None:
    engine = work.engine()
    old = engine.create_checkpoint("old")
    change_all(work)
    before = engine.create_checkpoint("before the commit")
    work.commit()
    after = engine.create_checkpoint("after the commit")
    assert statuses(engine, before, after) == {}, "the same files, though the base is another"
    assert statuses(engine, old, after) == statuses(engine, old, before)


def test_a_diff_can_be_narrowed_to_paths(work: RepoBuilder) -> None:
    engine = work.engine()
    old = engine.create_checkpoint("old")
    change_all(work)
    work.write("folder/d.txt", "changed\n")
    assert statuses(engine, old, paths=("folder",)) == {"folder/d.txt": "M"}
    assert statuses(engine, old, paths=("a.txt", "b.txt")) == {"a.txt": "M", "b.txt": "D"}
    assert statuses(engine, old, paths=("c.txt",)) == {}


def test_patches_show_the_lines_that_changed(work: RepoBuilder) -> None:
    engine = work.engine()
    old = engine.create_checkpoint("old")
    change_all(work)
    work.write("blob", b"\0\1\2")
    patches = {patch.path: patch for _, patch in engine.diff_patches(old)}
    assert (patches[b"a.txt"].added, patches[b"a.txt"].removed) == (1, 1)
    assert "-two\n+2" in patches[b"a.txt"].text
    assert patches[b"b.txt"].removed == 2
    assert patches[b"blob"].is_binary
    assert "new mode 100755" in patches[b"run"].text


def test_a_diff_reaches_into_submodules_and_embedded_repositories(work: RepoBuilder) -> None:
    inner = RepoBuilder(work.root / "inner", work.environment)
    inner.write("x.txt", "x\n")
    inner.commit()
    engine = work.engine()
    old = engine.create_checkpoint("old")
    inner.write("x.txt", "changed\n")
    inner.write("y.txt", "y\n")
    assert statuses(engine, old) == {"inner/x.txt": "M", "inner/y.txt": "A"}


def test_status_compares_with_the_newest_checkpoint(work: RepoBuilder) -> None:
    engine = work.engine()
    engine.create_checkpoint("old")
    work.write("a.txt", "changed\n")
    report = engine.status()
    assert report.newest is not None
    assert report.newest.name == "old"
    assert report.newest.timestamp == report.newest.created_at, "the name that the guide gave it"
    assert [found.path for found in report.changed] == [b"a.txt"]
    assert (report.can_undo, report.can_redo, report.interrupted) == ("create old", None, 0)
    engine.undo()
    report = engine.status()
    assert (report.newest, report.can_undo, report.can_redo) == (None, None, "create old")


def test_search_finds_names_descriptions_and_tags_literally(work: RepoBuilder) -> None:
    engine = work.engine()
    engine.create_checkpoint("Before Migration", "the 100% plan", tags=["green_build"])
    engine.create_checkpoint("other")
    for text in ("migration", "100%", "green_b"):
        assert [row.name for row in engine.search_checkpoints(text)] == ["Before Migration"]
    for text in ("%", "_", "100_", "nothing"):
        found = [row.name for row in engine.search_checkpoints(text)]
        assert found == (["Before Migration"] if text in ("%", "_") else [])


def test_a_name_means_its_newest_checkpoint_and_a_prefix_must_be_unique(work: RepoBuilder) -> None:
    from chronos.errors import AmbiguousCheckpointError

    engine = work.engine()
    ids = [engine.create_checkpoint("same name") for _ in range(17)]
    assert engine.find_checkpoint("same name").checkpoint_id == ids[-1]
    shared = next(first for first in "0123456789abcdef" if sum(one.startswith(first) for one in ids) > 1)
    with pytest.raises(AmbiguousCheckpointError):
        engine.find_checkpoint(shared)
    for number, checkpoint in enumerate(reversed(ids)):
        assert engine.find_checkpoint(f"@~{number}").checkpoint_id == checkpoint
        assert engine.find_checkpoint(f"main@~{number}").checkpoint_id == checkpoint
        assert engine.find_checkpoint(checkpoint).checkpoint_id == checkpoint


def test_a_checkpoint_is_written_out_without_what_it_does_not_hold_and_says_so(work: RepoBuilder) -> None:
    work.write("large.bin", b"small")
    work.commit()
    engine = work.engine(CHRONOS_MAX_FILE_BYTES="4000")
    work.write("large.bin", b"x" * 5000)
    work.write(".env", "SECRET=1")
    engine.create_checkpoint("partial")
    target = work.root.parent / "out"
    engine.restore_into("partial", target)
    assert not (target / "large.bin").exists(), "the committed bytes were never its state"
    assert (target / "a.txt").exists()
    (notice,) = engine.notices
    assert "large.bin (too large)" in notice
    assert ".env (secret)" in notice
    engine.restore_into("partial", target.with_name("part"), paths=["folder"])
    assert len(engine.notices) == 1


def test_a_checkpoint_is_written_out_with_its_own_attributes(work: RepoBuilder) -> None:
    work.write(".gitattributes", "a.txt text eol=crlf\n")
    work.write("a.txt", "one\r\ntwo\r\n")
    work.commit()
    engine = work.engine()
    engine.create_checkpoint("crlf")
    work.write(".gitattributes", "a.txt text eol=lf\n")
    engine.restore_into("crlf", work.root.parent / "out")
    assert (work.root.parent / "out/a.txt").read_bytes() == b"one\r\ntwo\r\n"


@pytest.mark.parametrize("place", ["data/timelines/foo", "data/timelines/.store/foo", ".git/foo", "elsewhere/.git/foo"])
def test_nothing_is_written_out_into_the_store_or_a_git_folder(work: RepoBuilder, place: str) -> None:
    engine = work.engine()
    engine.create_checkpoint("one")
    with pytest.raises(RefusedError):
        engine.restore_into("one", work.root / place)
    assert not work.exists(place)
    assert [summary.name for summary in engine.list_timelines()] == ["main"]


def test_a_diff_says_what_it_cannot_compare(work: RepoBuilder) -> None:
    with work.engine() as engine:
        engine.create_checkpoint("one")
    base = work.head()
    shutil.rmtree(work.root / ".git")
    work.git("init", "-q")
    engine = work.engine()
    engine.diff("one")
    assert any(base[:12] in notice for notice in engine.notices)
    assert any(base[:12] in warning for warning in engine.status().warnings)


READ_ONLY = """
import sys
from chronos import ChronosEngine
from chronos.errors import ChronosError
with ChronosEngine(root=sys.argv[1]) as engine:
    print(*(row.name for row in engine.list_checkpoints()))
    print(engine.show_checkpoint("wanted").manifest.files_changed)
    print(len(engine.list_operations()), len(engine.search_checkpoints("want")))
    print(len(engine.verify(deep=True)), len(engine.diff("wanted", "wanted")))
    print(engine.restore_into("wanted", sys.argv[2]), open(sys.argv[2] + "/a.txt").read().strip())
    try:
        engine.create_checkpoint("more")
    except ChronosError as error:
        print(error.exit_code, error.code)
"""


@pytest.mark.skipif(os.getuid() != 0 or not shutil.which("setpriv"), reason="needs root and setpriv to be another user")
def test_a_store_that_cannot_be_written_can_be_read_and_says_why_it_takes_no_more() -> None:
    as_other = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", sys.executable, "-c"]
    if subprocess.run([*as_other, "import blake3"], capture_output=True).returncode:
        pytest.skip(f"another user may not run {sys.executable}")
    with tempfile.TemporaryDirectory(prefix="chronos-read-only-") as top:
        os.chmod(top, 0o755)
        home = Path(top, "home")
        home.mkdir()
        (home / "gitconfig").write_text("[user]\nname=a\nemail=b@example.invalid\n[safe]\ndirectory=*\n")
        environment = {**os.environ, "HOME": str(home), "GIT_CONFIG_GLOBAL": str(home / "gitconfig")}
        repo = RepoBuilder(Path(top, "repo"), environment)
        repo.write("a.txt", "a\n")
        repo.commit()
        repo.write("a.txt", "edited\n")
        with repo.engine() as engine:
            engine.create_checkpoint("wanted")
        subprocess.run(["chmod", "-R", "a+rX,a-w", str(repo.root)], check=True)
        Path(top, "space").mkdir()
        Path(top, "space").chmod(0o777)
        shutil.copytree(PROJECT / "chronos", Path(top, "code/chronos"))
        done = subprocess.run(
            [*as_other, READ_ONLY, str(repo.root), f"{top}/space/out"],
            env={**environment, "PYTHONPATH": f"{top}/code"}, capture_output=True, text=True, cwd=top,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-3000:]
        assert done.stdout.splitlines() == ["wanted", "1", "1 1", "0 0", "1 edited", "5 storage"]


def test_what_one_side_left_out_is_not_called_the_same(repo: RepoBuilder) -> None:
    repo.write("big.bin", "committed\n")
    repo.commit()
    engine = repo.engine(CHRONOS_MAX_FILE_BYTES="1000")
    repo.write("big.bin", "x" * 5000)
    checkpoint = engine.create_checkpoint("left out")
    assert engine.diff(checkpoint) == []
    repo.write("big.bin", "small\n")
    assert [(item.path, item.status) for item in engine.diff(checkpoint)] == [(b"big.bin", "?")]
    assert [(item.path, item.status) for item in engine.status().changed] == [(b"big.bin", "?")]
    assert list(engine.diff_patches(checkpoint)) == []


def test_a_lost_submodule_differs(repo: RepoBuilder, tmp_path: Path) -> None:
    library = RepoBuilder(tmp_path / "library", repo.environment)
    library.write("lib.txt", "lib\n")
    library.commit()
    repo.git("submodule", "-q", "add", str(library.root), "sub")
    repo.commit()
    engine = repo.engine()
    checkpoint = engine.create_checkpoint("whole")
    shutil.rmtree(repo.path("sub"))
    assert [(item.path, item.status) for item in engine.diff(checkpoint)] == [(b"sub/lib.txt", "D")]
    assert [item.path for item in engine.status().changed] == [b"sub/lib.txt"]


def test_each_side_of_a_diff_has_its_own_line_endings(repo: RepoBuilder) -> None:
    """A clean file's bytes are those that a checkout wrote then, whatever today's attributes say."""
    repo.write(".gitattributes", "*.txt text eol=crlf\n")
    repo.write("a.txt", "one\r\ntwo\r\n")
    repo.commit()
    engine = repo.engine()
    with_crlf = engine.create_checkpoint("crlf")
    repo.write(".gitattributes", "*.txt text eol=lf\n")
    repo.write("a.txt", "one\ntwo\n")
    assert {item.path: item.status for item in engine.diff(with_crlf)} == {b".gitattributes": "M", b"a.txt": "M"}
    texts = {item.path: patch.text for item, patch in engine.diff_patches(with_crlf)}
    assert "-one\r" in texts[b"a.txt"]
    engine.restore_checkpoint(with_crlf, paths=["a.txt"])
    assert repo.read("a.txt") == b"one\r\ntwo\r\n"
    engine.undo()
    assert repo.read("a.txt") == b"one\ntwo\n"
