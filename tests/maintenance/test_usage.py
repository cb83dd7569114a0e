"""du: what is a checkpoint's own is what the disk gets back when it goes."""

from __future__ import annotations

import os

from tests.maintenance.conftest import pack_bytes, take
from tests.support import RepoBuilder


def test_the_own_bytes_of_a_checkpoint_are_what_comes_free_with_it(work: RepoBuilder) -> None:
    engine = work.engine()
    work.write("shared.bin", os.urandom(80_000))
    take(work, engine, *"xyz", automatic=False)
    own = {row.name: share for row, share in engine.measure_usage().checkpoints}
    assert all(50_000 < share.unique_bytes < 52_000 for share in own.values())
    assert all(80_000 < share.shared_bytes < 82_000 for share in own.values())
    before = pack_bytes(work)
    engine.delete_checkpoint("y")
    engine.gc(deleted=True)
    assert 0 <= (before - pack_bytes(work)) - own["y"].unique_bytes < 300, "but for the pack's own header and footer"


def test_parts_add_up_to_what_lies_on_the_disk(work: RepoBuilder) -> None:
    engine = work.engine()
    take(work, engine, *"xy", automatic=False)
    take(work, engine, "z")
    engine.delete_checkpoint("x")
    found = engine.measure_usage()
    share = found.timelines["main"]
    assert found.pack_bytes == pack_bytes(work)
    assert share.unique_bytes + found.dead_bytes + 92 * found.packs == found.pack_bytes
    assert found.memory[("main", "code")].unique_bytes == share.unique_bytes
    assert {row.name: row.deleted for row, _ in found.checkpoints} == {"x": True, "y": False, "z": False}
    assert found.unread == []


def test_bytes_that_another_timeline_needs_as_well_are_shared(work: RepoBuilder) -> None:
    data = os.urandom(90_000)
    work.write("data.bin", data)
    work.engine().create_checkpoint("here")
    other = work.root.parent / "other"
    work.git("worktree", "add", "-q", str(other))
    (other / "data.bin").write_bytes(data)
    (other / "more.bin").write_bytes(os.urandom(10_000))
    work.engine(other).create_checkpoint("there")
    shares = work.engine().measure_usage().timelines
    assert all(share.shared_bytes > 90_000 for share in shares.values())
    assert 10_000 < shares["other"].unique_bytes < 13_000
    assert shares["main"].unique_bytes < 3_000


def test_a_checkpoint_that_cannot_be_read_is_named(work: RepoBuilder) -> None:
    engine = work.engine()
    take(work, engine, *"ab", automatic=False)
    for pack in work.store.glob("main/packs/*.pack"):
        pack.write_bytes(pack.read_bytes()[:-100])
    assert len(work.engine().measure_usage().unread) == 2
