"""Damage to any file of a store is named by verify, and everything that is undamaged still restores."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from chronos import ChronosEngine
from chronos.catalog import database as database_module
from chronos.checkpoints import reconcile as reconcile_module
from chronos.errors import ChronosError, IntegrityError, StateError, StorageError
from chronos.maintenance import Severity
from tests.support import RepoBuilder, git_folder_digest


@pytest.fixture
def work(repo: RepoBuilder) -> RepoBuilder:
    """Two checkpoints, each with content of its own, in two packs."""
    repo.write("a.txt", "base\n")
    repo.commit()
    with repo.engine() as engine:
        repo.write("a.txt", "first\n" * 50)
        engine.create_checkpoint("first")
        repo.write("a.txt", "second\n" * 50)
        engine.create_checkpoint("second")
    repo.write("a.txt", "now\n")
    return repo


def flip(path: Path, offset: int | None = None) -> None:
    """Flip one bit in the middle of `path`, or at `offset`."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2 if offset is None else offset] ^= 0x04
    path.chmod(0o600)
    path.write_bytes(data)


def subjects(engine: ChronosEngine, severity: Severity = Severity.WARNING) -> str:
    return "\n".join(f"{f.subject}: {f.problem}" for f in engine.verify(deep=True) if f.severity >= severity)


def folder_of(repo: RepoBuilder, name: str) -> Path:
    with repo.engine() as engine:
        return engine.show_checkpoint(name).folder


def pack_of(repo: RepoBuilder, name: str) -> Path:
    with repo.engine() as engine:
        (pack,) = engine.show_checkpoint(name).manifest.packs
    return repo.store / "main/packs" / f"{pack}.pack"


def check_restores(repo: RepoBuilder, checkpoint: str, content: bytes) -> None:
    with repo.engine() as engine:
        engine.restore_checkpoint(checkpoint)
        assert repo.read("a.txt") == content
        engine.undo()
        assert repo.read("a.txt") == b"now\n"


def test_an_undamaged_store_has_no_findings(work: RepoBuilder) -> None:
    assert subjects(work.engine(), Severity.NOTE) == ""


def test_a_damaged_manifest_is_named_and_the_others_restore(work: RepoBuilder) -> None:
    folder = folder_of(work, "second")
    flip(folder / "checkpoint.json")
    engine = work.engine()
    assert folder.name in subjects(engine, Severity.ERROR)
    with pytest.raises(IntegrityError):
        engine.restore_checkpoint(folder.name)
    assert work.read("a.txt") == b"now\n"
    check_restores(work, "first", b"first\n" * 50)


def check_restores_or_refuses(repo: RepoBuilder, engine: ChronosEngine, checkpoint: str, content: bytes) -> None:
    """What can still be read comes back exactly; otherwise nothing is touched."""
    before = repo.state()
    try:
        engine.restore_checkpoint(checkpoint)
    except IntegrityError:
        assert repo.state() == before, "nothing is touched before everything could be read"
    else:
        assert repo.read("a.txt") == content
        engine.undo()
        assert repo.state() == before


@pytest.mark.parametrize("where", ["header", "frame", "index", "footer"])
def test_a_damaged_pack_is_named_and_the_others_restore(work: RepoBuilder, where: str) -> None:
    pack = pack_of(work, "second")
    size = pack.stat().st_size
    flip(pack, {"header": 2, "frame": 30, "index": size - 52 - 60, "footer": size - 20}[where])
    engine = work.engine()
    assert pack.name in subjects(engine, Severity.ERROR)
    check_restores_or_refuses(work, engine, "second", b"second\n" * 50)
    check_restores(work, "first", b"first\n" * 50)


@pytest.mark.parametrize("way", ["deleted", "truncated", "emptied", "a broken frame"])
def test_a_lost_pack_is_named_and_the_others_restore(work: RepoBuilder, way: str) -> None:
    pack = pack_of(work, "first")
    if way == "deleted":
        pack.unlink()
    elif way == "a broken frame":
        flip(pack, 30)
    else:
        pack.write_bytes(b"" if way == "emptied" else pack.read_bytes()[:-10])
    engine = work.engine()
    named = subjects(engine, Severity.ERROR)
    assert engine.find_checkpoint("first").checkpoint_id in named or pack.name in named
    if way != "truncated":
        with pytest.raises(IntegrityError):
            engine.restore_checkpoint("first")
    check_restores_or_refuses(work, engine, "first", b"first\n" * 50)
    check_restores(work, "second", b"second\n" * 50)


@pytest.mark.parametrize("where", ["frame", "footer"])
def test_a_new_checkpoint_does_not_lean_on_a_pack_that_verify_called_damaged(work: RepoBuilder, where: str) -> None:
    pack = pack_of(work, "first")
    flip(pack, 30 if where == "frame" else pack.stat().st_size - 20)
    with work.engine() as engine:
        assert pack.name in subjects(engine, Severity.ERROR)
        work.write("a.txt", "first\n" * 50)  # the content that the damaged pack held
        engine.create_checkpoint("third")
    (work.store / ".store/catalog.sqlite").unlink()
    work.write("a.txt", "now\n")
    check_restores(work, "third", b"first\n" * 50)


@pytest.mark.parametrize("member", ["fs_diff.patch.zst", "git_status.txt", "env_config.json"])
@pytest.mark.parametrize("way", ["flipped", "deleted"])
def test_a_damaged_member_is_named_and_restores_do_not_need_it(work: RepoBuilder, member: str, way: str) -> None:
    path = folder_of(work, "second") / member
    if way == "flipped":
        flip(path)
    else:
        path.unlink()
    engine = work.engine()
    assert member in subjects(engine)
    check_restores(work, "second", b"second\n" * 50)


@pytest.mark.parametrize("way", ["deleted", "garbage", "flipped", "empty", "newer"])
def test_a_broken_catalog_is_built_again(work: RepoBuilder, way: str) -> None:
    catalog = work.store / ".store/catalog.sqlite"
    with work.engine() as engine:
        before = engine.list_checkpoints()
    for side in (f"{catalog}-wal", f"{catalog}-shm"):
        Path(side).unlink(missing_ok=True)
    data = catalog.read_bytes()
    catalog.unlink()
    if way == "garbage":
        catalog.write_bytes(b"this is no database at all" * 1000)
    elif way == "flipped":
        catalog.write_bytes(data[:30] + bytes(byte ^ 0xFF for byte in data[30:8000]) + data[8000:])
    elif way == "empty":
        catalog.write_bytes(b"")
    elif way == "newer":
        catalog.write_bytes(data[:60] + (99).to_bytes(4, "big") + data[64:])
    engine = work.engine()
    assert engine.list_checkpoints() == before
    assert subjects(engine) == ""
    engine.close()
    check_restores(work, "first", b"first\n" * 50)


def test_a_catalog_damaged_under_an_open_engine_is_survived(work: RepoBuilder) -> None:
    engine = work.engine()
    engine.list_checkpoints()
    catalog = work.store / ".store/catalog.sqlite"
    for path in (catalog, Path(f"{catalog}-wal")):
        if path.exists():
            path.write_bytes(b"\xff" * 4096)
    for _ in range(2):  # the first call may fail, loudly; the next one must work
        try:
            engine.create_checkpoint("third")
            break
        except ChronosError:
            continue
    fresh = work.engine()
    assert {"first", "second", "third"} == {row.name for row in fresh.list_checkpoints()}
    assert subjects(fresh) == ""


def damage_line(repo: RepoBuilder, number: int) -> None:
    """Cut a line of the operation log short; the lines around it stay whole."""
    log = repo.store / ".store/operations.jsonl"
    lines = log.read_bytes().splitlines()
    lines[number] = lines[number][:40]
    log.write_bytes(b"".join(line + b"\n" for line in lines))


def test_undo_stops_at_a_line_of_the_log_that_cannot_be_read_and_takes_back_nothing_else(work: RepoBuilder) -> None:
    engine = work.engine()
    engine.restore_checkpoint("first")
    damage_line(work, -1)
    before = work.state()
    for _ in range(2):
        with pytest.raises(IntegrityError, match="line 3"):
            engine.undo()
    with pytest.raises(IntegrityError):
        engine.plan_undo()
    assert engine.status().can_undo is None
    assert [row.name for row in engine.list_checkpoints()] == ["second", "first"]
    assert work.state() == before
    assert "line 3 of the operation log" in subjects(engine)


def test_an_unreadable_line_stops_undo_between_what_came_after_and_before_until_skipped(
    work: RepoBuilder,
) -> None:
    engine = work.engine()
    engine.restore_checkpoint("first")
    engine.restore_checkpoint("second")
    damage_line(work, -2)
    engine.undo()
    assert work.read("a.txt") == b"first\n" * 50
    with pytest.raises(IntegrityError):
        engine.undo()
    before = work.state()
    engine.skip()
    assert work.state() == before
    assert subjects(engine) == "", "what was stepped over is no warning any more"
    engine.undo()
    assert [row.name for row in engine.list_checkpoints()] == ["first"]
    with pytest.raises(StateError):
        engine.skip()


@pytest.mark.parametrize("tail", [b'{"operation": "cut sho', b"\0" * 100, b"\xff\xfe", b"[" * 100_000])
def test_a_torn_line_at_the_end_of_the_log_is_no_obstacle(work: RepoBuilder, tail: bytes) -> None:
    log = work.store / ".store/operations.jsonl"
    log.write_bytes(log.read_bytes() + tail)
    engine = work.engine()
    assert engine.status().can_undo == "create second"
    engine.create_checkpoint("third")
    engine.undo()
    engine.undo()
    assert [row.name for row in engine.list_checkpoints()] == ["first"]
    assert subjects(engine) == ""


def test_a_folder_in_the_place_of_the_log_is_named_and_checkpoints_restore(work: RepoBuilder) -> None:
    log = work.store / ".store/operations.jsonl"
    log.unlink()
    log.mkdir()
    engine = work.engine()
    assert "operations.jsonl" in subjects(engine, Severity.ERROR)
    with pytest.raises(ChronosError):
        engine.undo()
    assert engine.show_checkpoint("first").row.name == "first"
    assert work.read("a.txt") == b"now\n"


def test_a_lost_operation_log_loses_no_checkpoint(work: RepoBuilder) -> None:
    (work.store / ".store/operations.jsonl").unlink()
    engine = work.engine()
    assert [operation.summary for operation in engine.list_operations()] == ["create second", "create first"]
    engine.close()
    check_restores(work, "first", b"first\n" * 50)


@pytest.mark.parametrize("way", ["flipped", "deleted"])
def test_damaged_change_records_of_an_operation_stop_its_undo_until_it_is_skipped(work: RepoBuilder, way: str) -> None:
    engine = work.engine()
    safety = engine.restore_checkpoint("first").safety
    (record,) = (work.store / ".store/changes").iterdir()
    if way == "flipped":
        flip(record)
    else:
        record.unlink()
    before = work.state()
    with pytest.raises(IntegrityError) as caught:
        engine.undo()
    assert f"chrono checkpoint restore {safety}" in caught.value.hint
    assert "restore first" in subjects(engine)
    assert work.state() == before
    engine.skip()
    engine.undo()
    assert [row.name for row in engine.list_checkpoints()] == ["first"]
    assert work.state() == before
    assert safety is not None
    engine.restore_checkpoint(safety)
    assert work.read("a.txt") == b"now\n"


@pytest.mark.parametrize("has_catalog", [True, False])
def test_a_checkpoint_with_a_damaged_manifest_can_be_deleted_and_brought_back(
    work: RepoBuilder, has_catalog: bool
) -> None:
    folder = folder_of(work, "second")
    flip(folder / "checkpoint.json")
    if not has_catalog:
        (work.store / ".store/catalog.sqlite").unlink()
    engine = work.engine()
    assert engine.delete_checkpoint(folder.name).checkpoint_id == folder.name
    assert not folder.exists()
    assert subjects(engine) == ""
    assert folder.name in subjects(engine, Severity.NOTE)
    engine.undo()
    assert folder.exists()
    assert folder.name in subjects(engine, Severity.ERROR)
    engine.redo()
    check_restores(work, "first", b"first\n" * 50)


def test_a_rewritten_base_ref_is_named_and_mended_by_the_next_checkpoint(work: RepoBuilder) -> None:
    # faults.md: `git filter-branch -- --all` rewrites the base refs.
    base = work.head()
    (ref,) = work.git("for-each-ref", "--format=%(refname)", "refs/chronos").split()
    work.git("update-ref", ref, work.git("commit-tree", "-m", "other", f"{base}^{{tree}}"))
    engine = work.engine()
    assert base in subjects(engine)
    engine.create_checkpoint("third")
    assert work.git("rev-parse", ref) == base
    assert subjects(engine) == ""


def test_a_lost_base_ref_is_named_and_mended_by_the_next_checkpoint(work: RepoBuilder) -> None:
    (ref,) = work.git("for-each-ref", "--format=%(refname)", "refs/chronos").split()
    work.git("update-ref", "-d", ref)
    engine = work.engine()
    assert work.head() in subjects(engine)
    engine.create_checkpoint("third")
    assert subjects(engine) == ""


def test_a_base_survives_a_rewrite_of_history_and_git_gc(work: RepoBuilder) -> None:
    work.git("checkout", "-q", "--orphan", "fresh")
    work.git("commit", "-q", "-m", "a new beginning")
    work.git("branch", "-q", "-D", "main")
    work.git("reflog", "expire", "--expire=now", "--all")
    work.git("gc", "-q", "--prune=now")
    engine = work.engine()
    assert subjects(engine) == ""
    engine.restore_checkpoint("first")
    assert work.read("a.txt") == b"first\n" * 50


def test_verify_changes_nothing_but_its_own_cache(work: RepoBuilder) -> None:
    before = git_folder_digest(work.store)
    work.engine().verify(deep=True)
    after = git_folder_digest(work.store)
    changed = {path for path in {*before, *after} if before.get(path) != after.get(path)}
    assert {path for path in changed if b"catalog.sqlite" not in path and b"/locks/" not in path} == set()


def test_a_chunk_that_lies_in_two_packs_survives_the_loss_of_one(work: RepoBuilder) -> None:
    original = pack_of(work, "second")
    content = original.read_bytes()
    original.unlink()
    work.write("a.txt", "second\n" * 50)
    with work.engine() as engine:
        engine.verify(deep=True)
        engine.create_checkpoint("again, in a pack of its own")
    original.write_bytes(content)
    work.write("a.txt", "now\n")
    for path in (original, pack_of(work, "again, in a pack of its own")):
        held = path.read_bytes()
        flip(path)
        check_restores(work, "second", b"second\n" * 50)
        path.write_bytes(held)


def test_the_same_pack_in_two_timelines_is_two_packs(work: RepoBuilder, tmp_path: Path) -> None:
    """Two timelines that take in the same bytes at the same time write the same pack, each its own."""
    work.git("worktree", "add", "-q", "--detach", str(tmp_path / "other"))
    other = RepoBuilder(tmp_path / "other", work.environment)
    with work.engine() as engine, other.engine() as beside:
        for pack in (work.store / "main/packs").iterdir():
            pack.rename(pack.with_suffix(".away"))
        beside.verify(deep=True)
        other.write("a.txt", "second\n" * 50)
        beside.create_checkpoint("beside")
        for pack in (work.store / "main/packs").iterdir():
            pack.rename(pack.with_suffix(".pack"))
        for name in ("second", "first", "beside"):
            beside.restore_checkpoint(name)
        engine.restore_checkpoint("second")
        assert engine.verify(deep=True) == []
    for pack in (work.store / "main/packs").iterdir():
        pack.unlink()
    with other.engine() as beside:
        other.write("a.txt", "now\n")
        beside.restore_checkpoint("beside")
        assert other.read("a.txt") == b"second\n" * 50


def test_a_rotten_pack_never_costs_the_only_good_copy(work: RepoBuilder) -> None:
    """What will be replaced is read back from the pool first; a damaged copy is no proof that the bytes are held."""
    work.write("a.txt", "first\n" * 50)
    flip(pack_of(work, "first"), 20)
    with work.engine() as engine:
        engine.restore_checkpoint("second")
        assert work.read("a.txt") == b"second\n" * 50
        engine.undo()
        assert work.read("a.txt") == b"first\n" * 50
        assert engine.verify(deep=True) != []
        work.write("a.txt", "now\n")
        engine.restore_checkpoint("first")
        assert work.read("a.txt") == b"first\n" * 50


def test_a_pack_that_was_cut_short_in_place_is_not_leant_on(work: RepoBuilder) -> None:
    pack = pack_of(work, "second")
    pack.chmod(0o600)
    with pack.open("r+b") as stream:
        stream.truncate(40)
    work.write("a.txt", "second\n" * 50)
    with work.engine() as engine:
        engine.create_checkpoint("with bytes of its own")
    work.write("a.txt", "now\n")
    check_restores(work, "with bytes of its own", b"second\n" * 50)


def test_a_catalog_that_says_something_else_than_the_folders_is_noticed_and_built_again(work: RepoBuilder) -> None:
    database = sqlite3.connect(work.store / ".store/catalog.sqlite")
    database.execute("DELETE FROM chunks")
    database.commit()
    database.close()
    engine = work.engine()
    with pytest.raises(IntegrityError):
        engine.restore_checkpoint("first")
    assert "catalog" in subjects(engine, Severity.NOTE)
    assert engine.verify(deep=True) == []
    check_restores(work, "first", b"first\n" * 50)


def test_a_catalog_that_somebody_is_writing_is_not_thrown_away(
    work: RepoBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "_BUSY_MS", 50)
    catalog = work.store / ".store/catalog.sqlite"
    inode = catalog.stat().st_ino
    with closing(sqlite3.connect(catalog, isolation_level=None)) as other, work.engine() as engine:
        other.execute("BEGIN IMMEDIATE")
        assert [row.name for row in engine.list_checkpoints()] == ["second", "first"]
        checkpoint = engine.create_checkpoint("third")
        other.execute("ROLLBACK")
    assert catalog.stat().st_ino == inode
    assert work.engine().find_checkpoint("third").checkpoint_id == checkpoint


def test_what_could_not_be_read_once_is_read_the_next_time(work: RepoBuilder, monkeypatch: pytest.MonkeyPatch) -> None:
    (work.store / ".store/catalog.sqlite").unlink()
    with monkeypatch.context() as patched, work.engine() as engine:
        patched.setattr(reconcile_module, "read_pack_index", refuse)
        patched.setattr(reconcile_module, "read_limited", refuse)
        assert engine.list_checkpoints() == []
    assert [row.name for row in work.engine().list_checkpoints()] == ["second", "first"]
    check_restores(work, "first", b"first\n" * 50)


def refuse(*_: object) -> None:
    raise StorageError("too many open files")
