"""The quota and the free space: a checkpoint fits, or is refused in clear words, and nothing is lost or left behind."""

from __future__ import annotations

import os

import pytest

from chronos.checkpoints import allowance
from chronos.errors import BadConfigError, LowSpaceError, QuotaExceededError, RefusedError, StorageError
from tests.maintenance.conftest import NO_LIMITS, STRICT, names, pack_bytes, take
from tests.support import RepoBuilder, store_digest

ONLY_NEWEST = {**STRICT, "CHRONOS_MAX_CHECKPOINTS_PER_TIMELINE": "1"}


def quota(repo: RepoBuilder, more: int) -> dict[str, str]:
    """A quota that leaves room for `more` bytes beside what the store takes now."""
    with repo.engine() as engine:
        used = engine.measure_usage().total_bytes
    return {"CHRONOS_QUOTA_BYTES": str(used + more)}


def test_hard_quota_is_kept_after_gc_has_given_back_what_it_can(work: RepoBuilder) -> None:
    """Row 12 of what users suffer from: a store that grows without end."""
    engine = work.engine(**NO_LIMITS)
    take(work, engine, *"abcdef")
    limit = quota(work, 60_000)
    tight = work.engine(**ONLY_NEWEST, **limit)
    for number in range(10):
        take(work, tight, f"tight {number}")
        assert tight.measure_usage().total_bytes <= int(limit["CHRONOS_QUOTA_BYTES"])
    assert names(tight) == ["tight 9"]
    assert tight.verify() == []


def test_a_checkpoint_over_the_quota_is_refused_and_leaves_nothing(work: RepoBuilder) -> None:
    engine = work.engine()
    take(work, engine, "wanted", automatic=False)
    tight, before = work.engine(**quota(work, 30_000)), store_digest(work.store)
    work.write("data.bin", os.urandom(40_000))
    with pytest.raises(QuotaExceededError, match="exceeds the quota") as caught:
        tight.create_checkpoint("too large")
    assert isinstance(caught.value, RefusedError)
    assert "chrono gc --named" in caught.value.hint
    assert store_digest(work.store) == before
    assert names(tight) == ["wanted"]
    assert not list((work.store / ".store/tmp").iterdir())


def test_a_quota_smaller_than_one_checkpoint_is_said_as_such(work: RepoBuilder) -> None:
    work.write("data.bin", os.urandom(50_000))
    with pytest.raises(QuotaExceededError, match="smaller than this one checkpoint"):
        work.engine(CHRONOS_QUOTA_BYTES="30000").create_checkpoint("wanted")


def test_a_capture_that_does_not_fit_stops_before_it_fills_the_disk(work: RepoBuilder) -> None:
    work.write("data.bin", os.urandom(20_000_000))
    seen: list[int] = []
    real = allowance.Allowance.spend

    def spend(self: allowance.Allowance, number_bytes: int) -> None:
        seen.append(number_bytes)
        real(self, number_bytes)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(QuotaExceededError):
        patch.setattr(allowance.Allowance, "spend", spend)
        work.engine(CHRONOS_QUOTA_BYTES="5000000", **NO_LIMITS).create_checkpoint("wanted")
    assert sum(seen) < 10_000_000


def test_a_restore_that_has_no_room_for_its_safety_checkpoint_touches_nothing(work: RepoBuilder) -> None:
    take(work, work.engine(), "wanted", automatic=False)
    tight = work.engine(**quota(work, 30_000))
    work.write("data.bin", os.urandom(60_000))
    before = work.state()
    with pytest.raises(QuotaExceededError):
        tight.restore_checkpoint("wanted")
    assert work.state() == before
    assert tight.list_operations()[0].summary == "create wanted"


def test_the_floor_of_free_space_is_kept(work: RepoBuilder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Row 13: nothing of ours fills the disk."""
    engine = work.engine(CHRONOS_MIN_FREE_BYTES="1000000")
    take(work, engine, "wanted", automatic=False)
    monkeypatch.setattr(allowance, "free_bytes", lambda _: 1_030_000)
    work.write("data.bin", os.urandom(50_000))
    with pytest.raises(LowSpaceError, match="1,000,000 are to stay free") as caught:
        engine.create_checkpoint("too much")
    assert isinstance(caught.value, StorageError)
    assert "chrono gc" in caught.value.hint
    work.write("data.bin", os.urandom(5_000))
    assert engine.create_checkpoint("little enough")


def test_zero_stands_for_no_limit(work: RepoBuilder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allowance, "free_bytes", lambda _: 0)
    engine = work.engine(CHRONOS_QUOTA_BYTES="0", CHRONOS_MIN_FREE_BYTES="0")
    assert take(work, engine, "wanted")


@pytest.mark.parametrize("value", ["-1", "1.5", "much", "inf"])
def test_a_quota_that_is_no_number_is_refused(work: RepoBuilder, value: str) -> None:
    with pytest.raises(BadConfigError):
        work.engine(CHRONOS_QUOTA_BYTES=value)


def test_what_the_catalog_counts_is_what_lies_on_the_disk(work: RepoBuilder) -> None:
    """The totals are kept by triggers, through creates, deletes, undos, gc and a new catalog."""
    engine = work.engine(**ONLY_NEWEST)
    take(work, engine, *"xyz", automatic=False)
    take(work, engine, *"vw")
    engine.delete_checkpoint("x")
    engine.undo()
    engine.delete_checkpoint("y")
    engine.gc(deleted=True)
    files = {path.stat().st_ino: path.stat() for path in work.store.glob("main/*/*") if path.suffix != ".pack"}
    members = sum(found.st_size for found in files.values())
    store = engine._here.get_store()
    assert abs(store.catalog.stored_bytes() - pack_bytes(work) - members) < 3_000, (
        "one of two that share a file is gone"
    )
    store.discard_catalog()
    assert abs(store.catalog.stored_bytes() - pack_bytes(work) - members) < 10, "parts of a shared file are rounded"


def test_checkpoints_of_one_state_take_the_quota_once(work: RepoBuilder) -> None:
    work.write("data.bin", os.urandom(100_000))
    engine = work.engine(CHRONOS_QUOTA_BYTES="600000")
    for number in range(20):
        engine.create_checkpoint(f"c{number}")
    assert len(names(engine)) == 20


def test_doctor_warns_of_a_quota_that_is_nearly_used_up(work: RepoBuilder) -> None:
    take(work, work.engine(), "wanted", automatic=False)
    assert not [one for one in work.engine().doctor() if "of its quota" in one.problem]
    assert [one for one in work.engine(**quota(work, 5_000)).doctor() if "of its quota" in one.problem]


def test_what_a_repair_set_aside_counts(work: RepoBuilder) -> None:
    engine = work.engine()
    take(work, engine, "wanted", automatic=False)
    before = engine.measure_usage()
    (pack,) = work.store.glob("main/packs/*.pack")
    data = bytearray(pack.read_bytes())
    data[2] ^= 1
    pack.write_bytes(data)
    engine.repair()
    after = engine.measure_usage()
    assert after.kept_bytes - before.kept_bytes > 50_000
    assert after.total_bytes - before.total_bytes > 50_000
