"""Creating: what a new checkpoint says of itself, that it is really there, and that a first one needs no set-up."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable

import pytest

from chronos.checkpoints import Trigger
from chronos.checkpoints.asking import AskedStatus
from chronos.errors import ChronosError, DisabledError, StorageError
from tests.support import RepoBuilder, receipt_of, store_digest


@pytest.fixture
def work(repo: RepoBuilder) -> RepoBuilder:
    repo.write("a.txt", "a\n")
    repo.commit()
    repo.write("a.txt", "edited\n")
    return repo


def test_changes_made_by_any_program_are_captured(work: RepoBuilder) -> None:
    # pains.md row 7 (claude-code#94657): edits by shell were not tracked, only those of an edit tool.
    script = "echo by-shell > a.txt; mkdir -p out && cp a.txt out/copy; ln -s out link; chmod +x a.txt; rm -f gone.txt"
    work.write("gone.txt", "gone\n")
    work.commit()
    subprocess.run(["sh", "-c", script], cwd=work.root, check=True)
    wanted = work.state()
    engine = work.engine()
    checkpoint = engine.create_checkpoint("after a shell command")
    subprocess.run(["sh", "-c", "rm -rf a.txt out link; echo back > gone.txt"], cwd=work.root, check=True)
    engine.restore_checkpoint(checkpoint)
    assert work.state() == wanted


def test_a_new_checkpoint_is_found_at_once_by_everybody(work: RepoBuilder) -> None:
    # pains.md row 22 (Kilo#12817): objects existed, but "no checkpoint available".
    engine, other = work.engine(), work.engine()
    assert other.list_checkpoints() == []
    checkpoint = engine.create_checkpoint("wanted", "why", tags=["green"])
    for reader in (engine, other, work.engine()):
        row = reader.list_checkpoints()[0]
        assert (row.checkpoint_id, row.name, row.description, row.tags) == (checkpoint, "wanted", "why", ("green",))
        assert reader.find_checkpoint(checkpoint[:6]).checkpoint_id == checkpoint
        assert reader.find_checkpoint("wanted").checkpoint_id == checkpoint
        assert reader.find_checkpoint("@").checkpoint_id == checkpoint
        assert reader.count_checkpoints() == 1
    assert other.verify(deep=True) == []


def test_an_automatic_checkpoint_of_an_unchanged_state_is_its_parent(work: RepoBuilder) -> None:
    # pains.md row 22 (gemini-cli#4115): an empty delta is no checkpoint.
    engine = work.engine()
    first = engine.take_checkpoint("first")
    again = engine.take_checkpoint("again", trigger=Trigger.AUTOMATIC)
    assert (again.checkpoint_id, again.created) == (first.checkpoint_id, False)
    assert engine.count_checkpoints() == 1
    work.write("a.txt", "edited again\n")
    changed = engine.take_checkpoint("changed", trigger=Trigger.AUTOMATIC)
    assert changed.created


def test_an_automatic_checkpoint_is_taken_for_what_it_says_that_it_leaves_out(work: RepoBuilder) -> None:
    engine = work.engine(CHRONOS_MAX_FILE_BYTES="1000")
    last = engine.take_checkpoint("first")

    def is_taken() -> bool:
        nonlocal last
        before, last = last, engine.take_checkpoint("again", trigger=Trigger.AUTOMATIC)
        assert {row.path for row in engine.show_checkpoint(last.checkpoint_id).receipt} == {
            row.path for row in last.receipt
        }
        return last.checkpoint_id != before.checkpoint_id

    work.write("large.log", "x" * 2000)
    assert is_taken()
    work.write("large.log", "x" * 3000)
    assert not is_taken(), "it only grew"
    work.write("id_rsa", "key\n")
    assert is_taken()
    assert not is_taken()
    work.remove("large.log")
    assert is_taken()


def test_a_manual_checkpoint_of_an_unchanged_state_is_recorded_and_costs_no_content(work: RepoBuilder) -> None:
    work.write("large.bin", bytes(range(256)) * 4000)
    engine = work.engine()
    first = engine.create_checkpoint("first")
    packs = {path for path in store_digest(work.store) if path.endswith(b".pack")}
    second = engine.create_checkpoint("second")
    assert second != first
    assert {path for path in store_digest(work.store) if path.endswith(b".pack")} == packs


def test_every_sealed_file_stays_as_it_was_written(work: RepoBuilder) -> None:
    engine = work.engine()
    first = engine.create_checkpoint("first")
    before = store_digest(work.store)
    work.write("a.txt", "more\n")
    engine.create_checkpoint("second")
    engine.restore_checkpoint(first)
    engine.undo()
    engine.verify(deep=True)
    after = store_digest(work.store)
    assert {path: after.get(path) for path in before} == before


def _kill_set_up(repo: RepoBuilder) -> None:
    """Leave what a set-up leaves that was killed before its last step."""
    shutil.rmtree(repo.store / "main")
    (repo.store / "main/packs").mkdir(parents=True)
    (repo.store / ".store/format").unlink()


BROKEN_STARTS: dict[str, Callable[[RepoBuilder], object]] = {
    "only folders": lambda repo: (repo.store / ".store/locks").mkdir(parents=True),
    "no format file": lambda repo: _kill_set_up(repo),
    "half an inner repository": lambda repo: (_kill_set_up(repo), (repo.store / ".git/HEAD").unlink()),
    "no inner repository": lambda repo: shutil.rmtree(repo.store / ".git"),
    "no lock folder": lambda repo: shutil.rmtree(repo.store / ".store/locks"),
    "no scratch folder": lambda repo: shutil.rmtree(repo.store / ".store/tmp"),
    "no index folder": lambda repo: shutil.rmtree(repo.store / ".store/index"),
    "no journal folder": lambda repo: shutil.rmtree(repo.store / ".store/journal"),
    "rubbish in the scratch folder": lambda repo: (repo.store / ".store/tmp/0123/deep").mkdir(parents=True),
    "a file in the scratch folder": lambda repo: (repo.store / ".store/tmp/stray").write_text("stray"),
}


@pytest.mark.parametrize("way", BROKEN_STARTS)
def test_a_set_up_that_was_cut_short_is_finished_by_the_next_checkpoint(work: RepoBuilder, way: str) -> None:
    # pains.md row 17 (Roo-Code#7843): one stuck initialisation switched checkpoints off for good.
    if way != "only folders":
        with work.engine() as engine:
            engine.create_checkpoint("first")
    BROKEN_STARTS[way](work)
    with work.engine() as engine:
        checkpoint = engine.create_checkpoint("after")
        work.write("a.txt", "wrecked\n")
        engine.restore_checkpoint(checkpoint)
        assert [finding for finding in engine.verify(deep=True) if finding.severity] == []
    assert work.read("a.txt") == b"edited\n"
    work.git("clean", "-fdxq")
    assert work.store.is_dir()


def test_a_tree_that_is_captured_in_part_is_better_than_none(work: RepoBuilder) -> None:
    # pains.md row 17 (Roo-Code#7843): degraded, said, and never all or nothing.
    work.write("large.bin", b"x" * 5000)
    work.write(".env", "TOKEN=1\n")
    engine = work.engine(CHRONOS_MAX_FILE_BYTES="4000")
    created = engine.take_checkpoint("wanted")
    assert created.grade.value == "partial"
    assert receipt_of(engine, created.checkpoint_id) == {"large.bin": "too large", ".env": "secret"}
    work.write("a.txt", "wrecked\n")
    engine.restore_checkpoint(created.checkpoint_id)
    assert work.read("a.txt") == b"edited\n"


def test_a_failing_create_is_loud_and_leaves_no_checkpoint(work: RepoBuilder, monkeypatch: pytest.MonkeyPatch) -> None:
    # pains.md row 22: "checkpoint failed" must never be silent.
    import os

    engine = work.engine()
    first = engine.create_checkpoint("first")
    real = os.fsync

    def fail(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    work.write("a.txt", "more\n")
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(StorageError):
        engine.create_checkpoint("second")
    monkeypatch.setattr(os, "fsync", real)
    assert [row.checkpoint_id for row in work.engine().list_checkpoints()] == [first]
    engine.create_checkpoint("second")
    assert [finding for finding in engine.verify(deep=True) if finding.severity] == []
    assert list((work.store / ".store/tmp").iterdir()) == []


def test_git_is_waited_for_when_a_create_fails_beside_it(work: RepoBuilder, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = work.engine()
    kept = engine.create_checkpoint("kept")
    work.write("a.txt", "edited again\n")
    answers: list[str] = []
    wait = AskedStatus.wait

    def note(asked: AskedStatus) -> tuple[bytes, list[bytes], list[bytes]]:
        answers.append("waiting")
        found = wait(asked)
        answers.append("answered")
        return found

    def refuse(*_: object) -> None:
        raise StorageError("no space is left for a capture")

    monkeypatch.setattr(AskedStatus, "wait", note)
    monkeypatch.setattr("chronos.checkpoints.create.Allowance", refuse)
    with pytest.raises(StorageError, match="no space is left"):
        engine.create_checkpoint("refused")
    assert answers == ["waiting", "answered"], "git would go on where the locks are let go"
    monkeypatch.undo()
    assert engine.create_checkpoint("next") != kept
    assert [row.name for row in engine.list_checkpoints()] == ["next", "kept"]


def test_a_head_that_moves_while_git_looks_is_captured_anew(work: RepoBuilder, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = work.engine()
    engine.create_checkpoint("first")
    wait, moves = AskedStatus.wait, ["commit"]

    def commit_meanwhile(asked: AskedStatus) -> tuple[bytes, list[bytes], list[bytes]]:
        found = wait(asked)
        if moves:
            work.commit(moves.pop())
        return found

    monkeypatch.setattr(AskedStatus, "wait", commit_meanwhile)
    details = engine.show_checkpoint(engine.create_checkpoint("second"))
    assert details.manifest.code[0].base == work.git("rev-parse", "HEAD").strip()
    assert details.manifest.files_changed == 0


def test_ignored_folders_are_not_walked(work: RepoBuilder, monkeypatch: pytest.MonkeyPatch) -> None:
    # pains.md row 16 (cline#4519): walking node_modules took longer than the work itself.
    import os

    work.write(".gitignore", "node_modules/\n")
    work.write("node_modules/a/b.js", "b\n")
    touched: list[str] = []
    for name in ("scandir", "listdir", "open", "stat", "lstat"):
        real = getattr(os, name)

        def watch(*arguments: object, _real: Callable[..., object] = real, **options: object) -> object:
            if arguments and isinstance(arguments[0], str | bytes | os.PathLike):
                touched.append(os.fsdecode(arguments[0]))
            return _real(*arguments, **options)

        monkeypatch.setattr(os, name, watch)
    engine = work.engine()
    checkpoint = engine.create_checkpoint("wanted")
    monkeypatch.undo()
    assert receipt_of(engine, checkpoint) == {"node_modules/": "ignored"}
    assert touched
    assert [path for path in touched if "node_modules" in path] == []


def test_an_unchanged_large_file_is_read_once(work: RepoBuilder, monkeypatch: pytest.MonkeyPatch) -> None:
    # pains.md row 16: a persistent stat cache, so that an unchanged file costs one look.
    import os

    from chronos.files import SafeRoot

    path = work.write("large.bin", bytes(range(256)) * 8000)
    os.utime(path, ns=(1_700_000_000_123_456_789, 1_700_000_000_123_456_789))
    opened: list[bytes] = []
    open_file = SafeRoot.open_file

    def watch(self: SafeRoot, name: bytes) -> int:
        opened.append(name)
        return open_file(self, name)

    monkeypatch.setattr(SafeRoot, "open_file", watch)
    engine = work.engine()
    first = work.engine().create_checkpoint("first")
    assert b"large.bin" in opened
    for number in range(50):  # until the change time of the file is safely older than a capture
        opened.clear()
        engine.create_checkpoint(f"number {number}")
        if b"large.bin" not in opened:
            break
    assert b"large.bin" not in opened
    monkeypatch.undo()
    work.remove("large.bin")
    engine.restore_checkpoint(first)
    assert work.read("large.bin") == bytes(range(256)) * 8000


def test_a_switched_off_chronos_refuses_and_touches_nothing(work: RepoBuilder) -> None:
    engine = work.engine(ENABLE_CHRONOS="false")
    with pytest.raises(DisabledError):
        engine.create_checkpoint("wanted")
    assert not work.exists("data")


def test_a_bad_setting_is_an_error_that_names_it(work: RepoBuilder) -> None:
    with pytest.raises(ChronosError, match="max_file_bytes"):
        work.engine(CHRONOS_MAX_FILE_BYTES="many")
    work.write("chronos.toml", "no_such_setting = 1\n")
    with pytest.raises(ChronosError, match="no_such_setting"):
        work.engine()
