"""gc: what nobody needs goes, everything else restores as ever, whatever is damaged, in the way, or short."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest

from chronos import ChronosEngine, locks
from chronos.catalog import StatRow
from chronos.checkpoints import Store
from chronos.errors import ChangedMeanwhileError, LockedError, StorageError
from chronos.files import translate_os_errors
from chronos.maintenance import expiry, gc, sweep
from chronos.maintenance.sweep import Fate
from chronos.pool import PoolWriter, digest
from tests.maintenance.conftest import NO_LIMITS, STRICT, Shift, names, pack_bytes, take
from tests.support import RepoBuilder, tree_digest
from tests.support.sealing import PROJECT

ONLY_NEWEST = {**STRICT, "CHRONOS_MAX_CHECKPOINTS_PER_TIMELINE": "1"}
MONTH = timedelta(days=31)


GC = """
import sys
from chronos import ChronosEngine
with ChronosEngine(root=sys.argv[1]) as engine:
    for _ in range(int(sys.argv[2])):
        engine.gc()
"""
CREATE = """
import sys, os
from pathlib import Path
from chronos import ChronosEngine
from chronos.checkpoints import Trigger
root = Path(sys.argv[1])
with ChronosEngine(root=root) as engine:
    for number in range(int(sys.argv[2])):
        (root / sys.argv[3]).write_bytes(os.urandom(20_000))
        engine.take_checkpoint(f"{sys.argv[3]} {number}", trigger=Trigger.AUTOMATIC)
        print(engine.create_checkpoint(f"{sys.argv[3]} named {number}"), flush=True)
"""


def start(repo: RepoBuilder, program: str, *words: str) -> subprocess.Popen[str]:
    """Start a program on a repository, under settings by which only the newest automatic checkpoint stays."""
    return subprocess.Popen(
        [sys.executable, "-c", program, str(repo.root), *words],
        env={**repo.environment, **ONLY_NEWEST, "PYTHONPATH": str(PROJECT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def half_dead(work: RepoBuilder) -> RepoBuilder:
    """Three named checkpoints whose packs also hold what only automatic ones needed."""
    engine = work.engine(**NO_LIMITS)
    for number in range(3):
        work.write(f"lasting{number}.bin", os.urandom(200_000))
        work.write("passing.bin", os.urandom(300_000))
        take(work, engine, f"automatic {number}")
        work.remove("passing.bin")
        take(work, engine, f"named {number}", automatic=False)
    take(work, engine, "newest automatic")
    engine.close()
    return work


def restores(repo: RepoBuilder, folder: Path, checkpoints: list[str]) -> list[object]:
    """Return the state of each checkpoint, written out."""
    found = []
    for checkpoint in checkpoints:
        with repo.engine() as engine:
            engine.restore_into(checkpoint, folder / checkpoint.replace(" ", "-"))
        found.append(tree_digest(folder / checkpoint.replace(" ", "-")))
    return found


def test_half_dead_packs_are_rewritten_and_every_checkpoint_restores(half_dead: RepoBuilder, tmp_path: Path) -> None:
    kept = ["named 0", "named 1", "named 2"]
    before, size = restores(half_dead, tmp_path / "before", kept), pack_bytes(half_dead)
    engine = half_dead.engine(**ONLY_NEWEST)
    plan = engine.plan_gc()
    assert plan.sweep is not None
    assert plan.sweep.with_fate(Fate.REWRITE)
    outcome = engine.gc(plan_id=plan.plan_id)
    assert outcome.problems == []
    assert size - pack_bytes(half_dead) > 700_000
    assert restores(half_dead, tmp_path / "after", kept) == before
    assert engine.verify() == []
    assert engine.plan_gc().is_empty


def test_gc_removes_nothing_that_only_looks_new_to_the_next_checkpoint(work: RepoBuilder) -> None:
    """A file whose content gc took is read again, though it has not changed since it was captured."""
    engine = work.engine(**ONLY_NEWEST)
    work.write("large.bin", os.urandom(5_000_000))
    os.utime(work.path("large.bin"), (1_000_000, 1_000_000))
    take(work, engine, "with it")
    work.path("large.bin").rename(work.root.parent / "aside")
    take(work, engine, "without it")
    engine.gc()
    (work.root.parent / "aside").rename(work.path("large.bin"))
    take(work, engine, "with it again", automatic=False)
    assert engine.verify() == []


@pytest.fixture
def vouched(work: RepoBuilder) -> tuple[RepoBuilder, ChronosEngine]:
    """A large file of which gc will take some pieces, though its list of pieces stays, and a stat row for it."""
    engine, base = work.engine(**NO_LIMITS), os.urandom(6_000_000)
    work.write("large.bin", base)
    time.sleep(0.2)  # what has just changed is not remembered
    (gone,) = take(work, engine, "with it", automatic=False)
    engine.delete_checkpoint(gone)
    return work, engine


def test_a_gc_that_cannot_forget_what_was_read_sweeps_nothing(
    vouched: tuple[RepoBuilder, ChronosEngine], monkeypatch: pytest.MonkeyPatch
) -> None:
    work, engine = vouched
    size = pack_bytes(work)

    def locked(*_: object) -> None:
        raise LockedError("the catalog cannot be used")

    monkeypatch.setattr(gc, "_forget_stats", locked)
    with pytest.raises(LockedError):
        engine.gc(deleted=True)
    assert pack_bytes(work) == size
    take(work, engine, "after", automatic=False)
    assert engine.verify() == []


def test_a_catalog_that_a_power_cut_put_back_vouches_for_nothing_that_gc_took(
    vouched: tuple[RepoBuilder, ChronosEngine], tmp_path: Path
) -> None:
    """The list of the file's pieces is in another pack as well, which stays."""
    work, engine = vouched
    store = engine._here.get_store()
    content = next(row for row in all_stats(store) if row.path == b"large.bin")
    writer = PoolWriter(tmp_path, lambda _: False)
    writer.add_chunk(content.chunk, store.pool.read_chunk(content.chunk))
    writer.add_chunk(digest(b"filler"), b"filler")
    engine.close()
    folder = work.store / ".store"
    saved = {path: path.read_bytes() for path in folder.glob("catalog.sqlite*")}
    (pack,) = writer.finish()
    engine.gc(deleted=True)
    os.rename(pack.path, work.store / "main/packs" / f"{pack.name}.pack")
    engine.close()
    for path in folder.glob("catalog.sqlite*"):
        path.unlink()
    for path, data in saved.items():
        path.write_bytes(data)
    take(work, engine, "after", automatic=False)
    assert engine.verify() == []


def all_stats(store: Store) -> list[StatRow]:
    keys = store.catalog._all("SELECT DISTINCT component FROM stats")
    return [row for (key,) in keys for row in store.catalog.stats(key).values()]


def test_a_chunk_in_several_packs_is_kept_once_where_it_is_whole(work: RepoBuilder, tmp_path: Path) -> None:
    engine = work.engine()
    take(work, engine, "wanted", automatic=False)
    data = work.read("data.bin")
    first = next(work.store.glob("main/packs/*.pack"))
    writer = PoolWriter(tmp_path, lambda _: False)
    writer.add_bytes(data)
    copy = writer.finish()[0]
    os.rename(copy.path, first.with_name(f"{copy.name}.pack"))
    spoil(first, data)
    engine.gc()
    work.write("data.bin", "gone")
    engine.restore_checkpoint("wanted")
    assert work.read("data.bin") == data
    first.write_bytes(first.read_bytes())
    assert first.exists(), "a damaged pack with other chunks that are needed stays"


def spoil(pack: Path, data: bytes) -> None:
    """Flip a bit in the middle of `data`, which lies in the pack as it is."""
    text = bytearray(pack.read_bytes())
    text[text.index(data[1000:1032]) + 5] ^= 1
    pack.write_bytes(text)


def test_a_damaged_pack_is_left_alone_and_named(half_dead: RepoBuilder) -> None:
    data = half_dead.read("lasting0.bin")
    packs = [path for path in half_dead.store.glob("main/packs/*.pack") if data[1000:1032] in path.read_bytes()]
    spoil(packs[-1], data)
    count = len(list(packs[0].parent.glob("*.pack")))
    damaged = packs[-1].read_bytes()
    engine = half_dead.engine(**ONLY_NEWEST)
    outcome = engine.gc()
    assert [packs[-1].stem in problem for problem in outcome.problems] == [True]
    assert packs[-1].read_bytes() == damaged, "its damage is not copied into a pack that looks whole"
    assert len(list(packs[0].parent.glob("*.pack"))) < count, "the others were rewritten"


def test_packs_stay_while_a_checkpoint_cannot_be_read(half_dead: RepoBuilder) -> None:
    engine = half_dead.engine(**ONLY_NEWEST)
    checkpoint = engine.find_checkpoint("named 0").checkpoint_id
    manifest = half_dead.store / "main" / checkpoint / "checkpoint.json"
    manifest.write_bytes(manifest.read_bytes()[:-9])
    size = pack_bytes(half_dead)
    outcome = engine.gc()
    assert any(checkpoint in problem and "delete" in problem for problem in outcome.problems)
    assert pack_bytes(half_dead) == size
    engine.delete_checkpoint(checkpoint)
    assert engine.gc().problems == []
    assert pack_bytes(half_dead) < size


def test_packs_stay_while_the_quarantine_has_a_checkpoint_that_cannot_be_read(
    half_dead: RepoBuilder, tmp_path: Path
) -> None:
    engine = half_dead.engine(**ONLY_NEWEST)
    checkpoint = engine.find_checkpoint("named 0").checkpoint_id
    manifest = half_dead.store / "main" / checkpoint / "checkpoint.json"
    whole = manifest.read_bytes()
    manifest.write_bytes(whole[:-9])
    engine.repair()
    aside = half_dead.store / ".store/quarantine/main" / checkpoint
    size = pack_bytes(half_dead)
    assert any(str(aside) in problem for problem in engine.gc().problems)
    assert pack_bytes(half_dead) == size
    (aside / "checkpoint.json").write_bytes(whole)
    assert engine.gc().problems == []
    assert pack_bytes(half_dead) < size
    aside.rename(manifest.parent)
    assert engine.verify() == []


def test_nothing_goes_while_the_log_has_a_line_that_nobody_can_read(half_dead: RepoBuilder) -> None:
    engine = half_dead.engine(**ONLY_NEWEST)
    log = half_dead.store / ".store/operations.jsonl"
    log.write_bytes(log.read_bytes() + b'{"annotation": 7, "kind": "pin"}\n')
    outcome = engine.gc()
    assert any("undo --skip" in problem for problem in outcome.problems)
    assert len(names(engine)) == 7
    engine.skip()
    assert engine.gc().problems == []
    assert len(names(engine)) == 4


def test_a_deleted_checkpoint_stays_as_long_as_undo_can_bring_it_back(
    work: RepoBuilder, shift: Shift, short_grace: int
) -> None:
    engine = work.engine(**STRICT)
    (wanted,) = take(work, engine, "wanted", automatic=False)
    take(work, engine, "other", automatic=False)
    engine.delete_checkpoint(wanted)
    engine.gc()
    engine.undo()
    assert names(engine) == ["wanted", "other"]
    engine.delete_checkpoint(wanted)
    size = pack_bytes(work)
    shift(MONTH)
    for number in range(short_grace):
        engine.create_checkpoint(f"filler {number}")
    engine.gc()
    assert not list(work.store.glob("main/.deleted/*"))
    assert pack_bytes(work) < size - 40_000
    assert engine.verify() == []


def test_gc_deleted_takes_the_shelf_at_once_and_undo_passes_it_by(work: RepoBuilder) -> None:
    engine = work.engine()
    (wanted,) = take(work, engine, "wanted", automatic=False)
    take(work, engine, "other", automatic=False)
    engine.delete_checkpoint(wanted)
    engine.gc(deleted=True)
    assert not list(work.store.glob("main/.deleted/*"))
    assert engine.undo().summary == "undo create other"
    assert engine.verify() == []


def test_gc_named_lets_count_and_age_speak_of_named_checkpoints(work: RepoBuilder) -> None:
    engine = work.engine(**ONLY_NEWEST)
    take(work, engine, *"abc", automatic=False)
    engine.gc()
    assert names(engine) == [*"abc"]
    plan = engine.plan_gc(named=True)
    assert [row.name for row in plan.expiry.going] == ["b", "a"]
    engine.gc(named=True, plan_id=plan.plan_id)
    assert names(engine) == ["c"]
    assert engine.verify() == []


def test_a_plan_that_is_no_longer_true_removes_nothing(work: RepoBuilder) -> None:
    engine = work.engine(**ONLY_NEWEST, **NO_LIMITS)
    take(work, engine, *"ab")
    plan = engine.plan_gc()
    take(work, engine, "c")
    with pytest.raises(ChangedMeanwhileError):
        engine.gc(plan_id=plan.plan_id)
    assert names(engine) == [*"abc"]


def test_packs_that_a_crash_left_without_a_checkpoint_go(work: RepoBuilder, tmp_path: Path) -> None:
    engine = work.engine()
    take(work, engine, "wanted", automatic=False)
    writer = PoolWriter(tmp_path, lambda _: False)
    writer.add_bytes(os.urandom(100_000))
    pack = writer.finish()[0]
    left = work.store / "main/packs" / f"{pack.name}.pack"
    os.rename(pack.path, left)
    engine.gc()
    assert not left.exists()
    assert engine.verify() == []


def test_rewriting_needs_no_more_space_than_one_pack(half_dead: RepoBuilder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Row 13 (a gc that needed twice the space): a lower limit is never exceeded, at no step on the way."""
    monkeypatch.setattr(sweep, "PACK_LIMIT_BYTES", 450_000 + sweep._SPARE_BYTES)
    start, sizes = pack_bytes(half_dead), list[int]()
    replace = sweep.replace_packs
    counted = ("main/packs/*.pack", ".store/tmp/*/*.pack")

    def watched(*arguments: object) -> None:
        sizes.append(sum(path.stat().st_size for place in counted for path in half_dead.store.glob(place)))
        replace(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(sweep, "replace_packs", watched)
    half_dead.engine(**ONLY_NEWEST).gc()
    assert len(sizes) > 1
    assert max(sizes) - start <= 450_000


def test_a_full_disk_gets_back_what_needs_no_space(half_dead: RepoBuilder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Checkpoints and dead packs go; what would have to be rewritten waits, and that is said."""
    engine = half_dead.engine(**ONLY_NEWEST)
    (gone,) = take(half_dead, engine, "wholly dead", automatic=False)
    take(half_dead, engine, "last", automatic=False)
    engine.delete_checkpoint(gone)
    monkeypatch.setattr(sweep, "free_bytes", lambda _: 0)
    size = pack_bytes(half_dead)
    outcome = engine.gc(deleted=True)
    assert any("no space" in problem for problem in outcome.problems)
    assert pack_bytes(half_dead) < size
    assert engine.verify() == []


def test_a_log_without_room_for_a_line_does_not_keep_gc_from_making_room(
    work: RepoBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = work.engine(**ONLY_NEWEST)
    (gone,) = take(work, engine, "deleted", automatic=False)
    take(work, engine, *"abc")
    engine.delete_checkpoint(gone)
    refused = [OSError(errno.ENOSPC, "No space left on device")]
    real = expiry.append

    def append(*arguments: object) -> None:
        with translate_os_errors("cannot write the log"):
            if refused:
                raise refused.pop()
        real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(expiry, "append", append)
    engine.gc(deleted=True)
    assert not refused
    assert names(engine) == ["c"]
    assert not list(work.store.glob("main/.deleted/*"))
    assert engine.verify() == []


def test_a_log_that_stays_full_costs_no_checkpoint_that_it_could_not_speak_of(
    work: RepoBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = work.engine(**ONLY_NEWEST)
    (deleted,) = take(work, engine, "deleted", automatic=False)
    wanted = work.read("data.bin")
    take(work, engine, *"abc")
    engine.delete_checkpoint(deleted)

    def append(*_: object) -> None:
        with translate_os_errors("cannot write the log"):
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(expiry, "append", append)
    size = pack_bytes(work)
    with pytest.raises(StorageError):
        engine.gc(deleted=True)
    assert pack_bytes(work) < size, "what no log speaks of is gone"
    monkeypatch.undo()
    assert engine.verify(deep=True) == []
    engine.undo()
    engine.restore_checkpoint("deleted")
    assert work.read("data.bin") == wanted


def test_undo_ends_at_the_last_operation_that_can_be_read(work: RepoBuilder, shift: Shift, short_grace: int) -> None:
    engine = work.engine(**NO_LIMITS)
    take(work, engine, "first", automatic=False)
    with open(work.store / ".store/operations.jsonl", "ab") as log:
        log.write(b"{damaged}\n")
    engine.skip()
    take(work, engine, *"abcd", automatic=False)
    shift(MONTH)
    (ending,) = engine.plan_gc().expiry.endings
    engine.gc()
    assert engine.plan_gc().expiry.endings == [], ending


def test_a_second_gc_and_a_create_wait_for_the_first_or_say_who_holds_the_lock(half_dead: RepoBuilder) -> None:
    """Row 21 of what users suffer from: several at work on one store at once."""
    lock = half_dead.store / ".store/locks/store"
    with locks.hold(lock, timeout_s=1):
        with pytest.raises(LockedError, match=f"process {os.getpid()}"):
            half_dead.engine(CHRONOS_LOCK_TIMEOUT="0.1").gc()
        waiting = [start(half_dead, GC, "1"), start(half_dead, CREATE, "1", "one.bin")]
        time.sleep(1)
        assert [process.poll() for process in waiting] == [None, None]
    assert [process.communicate(timeout=60)[1] for process in waiting] == ["", ""]
    assert "one.bin named 0" in names(half_dead.engine())
    assert "automatic 0" not in names(half_dead.engine())


def test_checkpoints_created_while_gc_runs_are_whole(work: RepoBuilder) -> None:
    take(work, work.engine(), "first", automatic=False)
    processes = [
        start(work, GC, "8"),
        start(work, CREATE, "8", "one.bin"),
        start(work, CREATE, "8", "two.bin"),
        start(work, GC, "8"),
    ]
    answers = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0, 0], answers
    made = {line for output, _ in answers for line in output.split()}
    engine = work.engine()
    assert made <= {row.checkpoint_id for row in engine.list_checkpoints()}
    assert engine.verify() == []


def test_base_refs_that_no_checkpoint_needs_go_after_their_grace(work: RepoBuilder, shift: Shift) -> None:
    engine = work.engine(**ONLY_NEWEST, **NO_LIMITS)
    old = work.head()
    take(work, engine, "on the old commit")
    work.git("commit", "-q", "--allow-empty", "-m", "second")
    take(work, engine, "on the new one")
    engine.gc()
    assert old in base_refs(work), "it is unneeded since just now"
    shift(MONTH)
    engine.gc()
    assert base_refs(work) == {work.head()}
    assert engine.verify() == []


def test_a_packed_base_ref_goes_as_well(work: RepoBuilder, shift: Shift) -> None:
    engine = work.engine(**ONLY_NEWEST, **NO_LIMITS)
    take(work, engine, "on the old commit")
    work.git("commit", "-q", "--allow-empty", "-m", "second")
    take(work, engine, "on the new one")
    work.git("pack-refs", "--all")
    engine.gc()
    shift(MONTH)
    engine.gc()
    assert base_refs(work) == {work.head()}


def base_refs(repo: RepoBuilder) -> set[str]:
    return set(repo.git("for-each-ref", "--format=%(objectname)", "refs/chronos/base").split())


def test_an_interrupted_restore_keeps_what_it_needs_from_gc(work: RepoBuilder) -> None:
    """Its target is deleted and the shelf emptied, and the restore is finished all the same."""
    engine = work.engine(**ONLY_NEWEST)
    (target,) = take(work, engine, "target", automatic=False)
    wanted = work.read("data.bin")
    take(work, engine, "other", automatic=False)

    def crash(done: int, total: int) -> None:
        if work.is_changing:
            raise KeyboardInterrupt

    stopped = ChronosEngine(root=work.root, progress=crash)
    with stopped, pytest.raises(KeyboardInterrupt):
        stopped.restore_checkpoint("target")
    engine.delete_checkpoint(target)
    engine.gc(deleted=True)
    engine.recover()
    assert work.read("data.bin") == wanted


def test_an_interrupted_restore_that_lost_a_chunk_keeps_the_packs_and_is_named(work: RepoBuilder) -> None:
    engine = work.engine(**ONLY_NEWEST)
    take(work, engine, "target", size=5_000_000, automatic=False)
    take(work, engine, "other", automatic=False)

    def crash(done: int, total: int) -> None:
        if work.is_changing:
            raise KeyboardInterrupt

    with ChronosEngine(root=work.root, progress=crash) as stopped, pytest.raises(KeyboardInterrupt):
        stopped.restore_checkpoint("target")
    largest = max(work.store.glob("main/packs/*.pack"), key=lambda path: path.stat().st_size)
    largest.unlink()
    assert any("interrupted" in problem and "recover" in problem for problem in engine.gc().problems)
