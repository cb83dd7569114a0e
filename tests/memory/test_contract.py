"""What every kind of memory store promises. A new kind joins with an adapter in `stores.py`."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from chronos.errors import ChronosError, MissingChunkError, StoreChangedError
from chronos.git import GitCommand
from chronos.memory import MemoryFile, MemoryKind, MergeWork, ReplaceWork, StoreMerge, merge_lines
from chronos.merging import Choice, Conflict, Resolution, Resolver, Strategy
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


def test_the_trash_may_lie_on_another_file_system(
    adapter: Adapter, kind: MemoryKind, place: Path, pool: MemoryPool, elsewhere: Path
) -> None:
    rows = adapter.rows(place)
    state = capture(kind, place, pool)
    adapter.change(place)
    names = beside(place)
    replace(kind, place, state, pool, elsewhere, expected=kind.look(place))
    assert any(elsewhere.iterdir())
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


class Copies:
    """Plain copies of the store as it is now, for a base, ours and theirs, and merges of them."""

    def __init__(self, adapter: Adapter, kind: MemoryKind, place: Path, pool: MemoryPool, folder: Path) -> None:
        self._state, self._pool, self._folder, self._kind = capture(kind, place, pool), pool, folder, kind
        self.base, self.ours, self.theirs = (self.copy(name) for name in ("base", "ours", "theirs"))
        self.merges = 0

    def copy(self, name: str) -> Path:
        (self._folder / name).mkdir()
        return self._kind.write_out(self._folder / name, self._state, self._pool.pieces)

    def merge(
        self,
        resolve: Resolver = lambda conflict: None,
        strategy: Strategy = Strategy.CONFLICT,
        *,
        has_base: bool = True,
    ) -> StoreMerge:
        """Merge copies of ours and theirs: a merge may use them up."""
        self.merges += 1
        folder = self._folder / f"merge{self.merges}"
        places = []
        for name, place in (("ours", self.ours), ("theirs", self.theirs)):
            shutil.copytree(self._folder / name, folder / name, symlinks=True)
            places.append(folder / name / place.relative_to(self._folder / name))
        (folder / "out").mkdir()
        lines = merge_lines(GitCommand.find({}), strategy)
        work = MergeWork(folder / "out", b"data/store", "store", resolve, strategy, merge_text=lines)
        before = marks(self._folder / "base")
        result = self._kind.merge(self.base if has_base else None, *places, work)
        assert marks(self._folder / "base") == before
        assert result.place == folder / "out" / self.ours.relative_to(self._folder / "ours")
        return result


@pytest.fixture
def copies(adapter: Adapter, kind: MemoryKind, place: Path, pool: MemoryPool, tmp_path: Path) -> Copies:
    folder = tmp_path / "copies"
    folder.mkdir()
    return Copies(adapter, kind, place, pool, folder)


def test_a_merge_takes_what_only_one_side_changed(adapter: Adapter, copies: Copies) -> None:
    old = adapter.rows(copies.base)
    unchanged = copies.merge()
    assert (adapter.rows(unchanged.place), unchanged.tables, unchanged.conflicts) == (old, [], [])
    adapter.change(copies.theirs)
    theirs = copies.merge()
    assert adapter.rows(theirs.place) == adapter.rows(copies.theirs)
    assert theirs.conflicts == [] and sum(t.added + t.changed + t.removed for t in theirs.tables) > 0


def test_a_merge_keeps_what_only_ours_changed(adapter: Adapter, copies: Copies) -> None:
    adapter.change(copies.ours)
    result = copies.merge()
    assert (adapter.rows(result.place), result.tables, result.conflicts) == (adapter.rows(copies.ours), [], [])


def test_a_merge_has_what_both_changed(adapter: Adapter, copies: Copies) -> None:
    adapter.change(copies.ours)
    adapter.change_elsewhere(copies.theirs)
    result = copies.merge()
    assert result.conflicts == []
    both = copies.copy("both")
    adapter.change(both)
    adapter.change_elsewhere(both)
    found, wanted = adapter.rows(result.place), adapter.rows(both)
    is_numbered = adapter.kind == "sqlite"  # a row that one side added has the number that it had there
    assert sorted(text for _, text in found) == sorted(text for _, text in wanted) if is_numbered else found == wanted


def test_what_both_changed_in_one_place_is_a_conflict_that_can_be_resolved(adapter: Adapter, copies: Copies) -> None:
    adapter.change_one(copies.ours, "ours")
    adapter.change_one(copies.theirs, "theirs")
    sides = adapter.rows(copies.ours), adapter.rows(copies.theirs)
    open_merge = copies.merge()
    assert adapter.rows(open_merge.place) == sides[0]
    (conflict,) = open_merge.conflicts
    assert conflict.path.startswith(b"data/store") and conflict.store == "store" and conflict.reason
    assert b"ours" in (conflict.ours or b"") and b"theirs" in (conflict.theirs or b"") and conflict.base
    asked = []

    def resolve(found: Conflict) -> Resolution:
        asked.append(found.conflict_id)
        return Resolution(Choice.THEIRS)

    resolved = copies.merge(resolve)
    assert asked == [conflict.conflict_id]
    assert (adapter.rows(resolved.place), resolved.conflicts) == (sides[1], [])
    for strategy, side in ((Strategy.OURS, sides[0]), (Strategy.THEIRS, sides[1])):
        assert adapter.rows(copies.merge(strategy=strategy).place) == side


def test_without_a_base_equal_stores_are_no_conflict(adapter: Adapter, copies: Copies) -> None:
    result = copies.merge(has_base=False)
    assert (adapter.rows(result.place), result.conflicts) == (adapter.rows(copies.base), [])
