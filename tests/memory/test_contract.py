"""What every kind of memory store promises. A new kind joins with an adapter in `stores.py`."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from chronos.errors import ChronosError, MissingChunkError, StoreChangedError
from chronos.memory import MemoryFile, MemoryKind, ReplaceWork
from chronos.pool import Content
from chronos.stat_cache import StatCache
from tests.memory.stores import (
    ADAPTERS,
    Adapter,
    MemoryPool,
    adapter_kind,
    capture,
    marks,
    own_kinds,
    replace,
)

OTHER_FILE_SYSTEM = Path("/dev/shm")


@pytest.fixture(params=ADAPTERS, ids=lambda adapter: type(adapter).__name__.removesuffix("Adapter").lower())
def adapter(request: pytest.FixtureRequest) -> Adapter:
    assert request.param.kind in own_kinds()
    found: Adapter = request.param
    return found


@pytest.fixture
def kind(adapter: Adapter) -> MemoryKind:
    return adapter_kind(adapter)


@pytest.fixture
def place(adapter: Adapter, tmp_path: Path) -> Path:
    folder = tmp_path / "memory"
    folder.mkdir()
    return adapter.make(folder)


@pytest.fixture
def pool() -> MemoryPool:
    return MemoryPool()


def beside(place: Path) -> set[str]:
    return set(os.listdir(place.parent))


def test_knows_its_own_and_has_a_name(adapter: Adapter, kind: MemoryKind, place: Path) -> None:
    assert kind.name == adapter.kind
    before = marks(place.parent)
    assert kind.detect(place)
    assert marks(place.parent) == before
    assert place not in kind.companions(place)


def test_equal_looks_mean_an_unchanged_store(adapter: Adapter, kind: MemoryKind, place: Path) -> None:
    assert kind.look(place.with_name("nothing")) == ()
    first = kind.look(place)
    assert first != ()
    adapter.rows(place)
    assert kind.look(place) == first
    adapter.change(place)
    assert kind.look(place) != first


def test_a_capture_changes_nothing_at_the_place(kind: MemoryKind, place: Path, pool: MemoryPool) -> None:
    before = marks(place.parent)
    state = capture(kind, place, pool)
    assert marks(place.parent) == before
    assert (state.kind, state.is_torn, state.left_out) == (kind.name, False, [])
    assert state.looks == kind.look(place)
    assert [file.path for file in state.files] == sorted(file.path for file in state.files)
    assert state.size > 0


def test_what_does_not_exist_cannot_be_captured(kind: MemoryKind, place: Path, pool: MemoryPool) -> None:
    with pytest.raises(OSError):
        capture(kind, place.with_name("nothing"), pool)


def test_identity_follows_the_rows(adapter: Adapter, kind: MemoryKind, place: Path, pool: MemoryPool) -> None:
    first = capture(kind, place, pool)
    assert capture(kind, place, pool).identity == first.identity
    adapter.change(place)
    assert capture(kind, place, pool).identity != first.identity


def test_an_unchanged_store_is_not_read_twice(kind: MemoryKind, place: Path, pool: MemoryPool) -> None:
    time.sleep(0.1)  # a file is remembered when it was settled before the capture began
    stats = StatCache({})
    first = capture(kind, place, pool, stats=stats)
    read, chunks = pool.files_read, len(pool.chunks)
    rows = stats.fresh
    for _ in range(3):
        stats = StatCache(dict(rows))
        assert capture(kind, place, pool, stats=stats).identity == first.identity
        assert (pool.files_read, len(pool.chunks)) == (read, chunks)
        assert stats.changes()[1] == []


def test_a_plain_copy_has_the_same_rows(
    adapter: Adapter, kind: MemoryKind, place: Path, pool: MemoryPool, tmp_path: Path
) -> None:
    rows = adapter.rows(place)
    state = capture(kind, place, pool)
    adapter.change(place)
    folder = tmp_path / "out"
    folder.mkdir()
    copy = kind.write_out(folder, state, pool.pieces)
    assert copy == folder or folder in copy.parents
    assert adapter.rows(copy) == rows


def test_a_state_comes_back_whole_and_the_old_one_goes_to_the_trash(
    adapter: Adapter, kind: MemoryKind, place: Path, pool: MemoryPool, tmp_path: Path
) -> None:
    rows = adapter.rows(place)
    state = capture(kind, place, pool)
    adapter.change(place)
    newer = capture(kind, place, pool)
    names = beside(place)
    replace(kind, place, state, pool, tmp_path / "trash", expected=newer.looks)
    assert adapter.rows(place) == rows
    assert capture(kind, place, pool).identity == state.identity
    assert beside(place) == names
    assert any((tmp_path / "trash").iterdir())
    replace(kind, place, newer, pool, tmp_path / "trash2")
    assert capture(kind, place, pool).identity == newer.identity


def test_the_same_replace_may_be_run_again(
    adapter: Adapter, kind: MemoryKind, place: Path, pool: MemoryPool, tmp_path: Path
) -> None:
    rows = adapter.rows(place)
    state = capture(kind, place, pool)
    adapter.change(place)
    looks = kind.look(place)
    for _ in range(2):
        replace(kind, place, state, pool, tmp_path / "trash", expected=looks)
        assert adapter.rows(place) == rows


def test_a_store_that_changed_meanwhile_is_left_alone(
    adapter: Adapter, kind: MemoryKind, place: Path, pool: MemoryPool, tmp_path: Path
) -> None:
    state = capture(kind, place, pool)
    adapter.change(place)
    rows, names = adapter.rows(place), beside(place)
    with pytest.raises(StoreChangedError):
        replace(kind, place, state, pool, tmp_path / "trash", expected=state.looks)
    assert adapter.rows(place) == rows
    assert beside(place) == names


def test_nothing_is_a_state_too(
    adapter: Adapter, kind: MemoryKind, place: Path, pool: MemoryPool, tmp_path: Path
) -> None:
    rows = adapter.rows(place)
    state = capture(kind, place, pool)
    replace(kind, place, None, pool, tmp_path / "trash", expected=kind.look(place))
    assert kind.look(place) == ()
    assert not any(companion.exists() for companion in kind.companions(place))
    replace(kind, place, state, pool, tmp_path / "trash2", expected=())
    assert adapter.rows(place) == rows


def test_a_place_that_is_expected_free_is_not_taken_from_others(
    adapter: Adapter, kind: MemoryKind, place: Path, pool: MemoryPool, tmp_path: Path
) -> None:
    state = capture(kind, place, pool)
    adapter.change(place)
    rows = adapter.rows(place)
    with pytest.raises(StoreChangedError):
        replace(kind, place, state, pool, tmp_path / "trash", expected=())
    assert adapter.rows(place) == rows


def test_lost_bytes_leave_the_place_as_it_was(
    adapter: Adapter, kind: MemoryKind, place: Path, pool: MemoryPool, tmp_path: Path
) -> None:
    state, old_rows = capture(kind, place, pool), adapter.rows(place)
    adapter.change(place)
    rows, names = adapter.rows(place), beside(place)

    def pieces(content: Content) -> Iterator[bytes]:
        raise MissingChunkError(f"no pack holds {content.id.hex()[:8]}")
        yield b""

    (tmp_path / "trash").mkdir()
    work = ReplaceWork(pieces, tmp_path / "trash", None, 1.0)
    with pytest.raises(MissingChunkError):
        kind.replace(place.with_name("another"), state, work)
    assert beside(place) == names
    try:
        kind.replace(place, state, work)
    except MissingChunkError:
        assert adapter.rows(place) == rows
    else:  # every byte of the old state was still at the place
        assert adapter.rows(place) == old_rows
    assert beside(place) == names


@pytest.mark.parametrize("name", [b"../evil", b"/evil", b"a/../../evil", b".git/hooks/x", b"a\0b"])
def test_names_that_lead_out_of_the_store_are_refused(
    adapter: Adapter, kind: MemoryKind, place: Path, pool: MemoryPool, tmp_path: Path, name: bytes
) -> None:
    state = capture(kind, place, pool)
    state.files = [*state.files, MemoryFile(name, content=pool.add_bytes(b"evil"))]
    rows, names = adapter.rows(place), beside(place)
    with pytest.raises((ChronosError, OSError, ValueError)):
        replace(kind, place, state, pool, tmp_path / "trash")
    assert adapter.rows(place) == rows
    assert beside(place) == names
    assert not list(tmp_path.rglob("evil"))


@pytest.mark.skipif(not OTHER_FILE_SYSTEM.is_dir(), reason="no second file system")
def test_the_trash_may_lie_on_another_file_system(
    adapter: Adapter, kind: MemoryKind, place: Path, pool: MemoryPool, tmp_path: Path
) -> None:
    if OTHER_FILE_SYSTEM.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("no second file system")
    rows = adapter.rows(place)
    state = capture(kind, place, pool)
    adapter.change(place)
    names = beside(place)
    trash = Path(tempfile.mkdtemp(dir=OTHER_FILE_SYSTEM))
    try:
        replace(kind, place, state, pool, trash, expected=kind.look(place))
        assert any(trash.iterdir())
    finally:
        shutil.rmtree(trash)
    assert adapter.rows(place) == rows
    assert beside(place) == names


def test_summaries_and_comparisons_change_nothing(
    adapter: Adapter, kind: MemoryKind, place: Path, pool: MemoryPool, tmp_path: Path
) -> None:
    state = capture(kind, place, pool)
    folder = tmp_path / "old"
    folder.mkdir()
    old = kind.write_out(folder, state, pool.pieces)
    before = marks(place.parent)
    tables = kind.summarise(place)
    assert tables
    assert sum(table.rows for table in tables) > 0
    assert kind.compare(old, place, limit_s=30) == []
    assert marks(place.parent) == before
    adapter.change(place)
    differences = kind.compare(old, place, limit_s=30)
    assert differences
    assert {difference.status for difference in differences} <= {"A", "D", "M"}
    backward = kind.compare(place, old, limit_s=30)
    assert sum(d.added for d in backward) == sum(d.removed for d in differences)


def test_a_state_survives_its_trip_through_messages(kind: MemoryKind, place: Path, pool: MemoryPool) -> None:
    state = capture(kind, place, pool)
    files = msgspec.msgpack.decode(msgspec.msgpack.encode(state.files), type=list[MemoryFile])
    assert files == state.files
    assert msgspec.json.decode(msgspec.json.encode(state.facts)) == state.facts
