"""Large contents go through threads and bulk look-ups, and come out as if they had not."""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from chronos.catalog import open_catalog
from chronos.errors import MissingChunkError
from chronos.layout import ChunkLocation
from chronos.pool import (
    LIST_PROFILE,
    Compressor,
    Content,
    HashingSink,
    PoolReader,
    PoolWriter,
    StoredChunk,
    WrittenPack,
    digest,
)

_PIECE = 64 * 1024


def pieces(count: int, seed: int) -> list[bytes]:
    source = random.Random(seed)
    return [source.randbytes(_PIECE // 4) * 4 for _ in range(count)]


def as_stored(data: list[bytes]) -> list[StoredChunk]:
    compressor = Compressor()
    return [StoredChunk(digest(one), *compressor.encode(one), len(one)) for one in data]


def write(folder: Path, data: list[bytes]) -> tuple[Content, list[WrittenPack]]:
    folder.mkdir()
    writer = PoolWriter(folder, lambda _: False)
    content = writer.add_paged(sum(map(len, data)), (as_stored([one]) for one in data))
    return content, writer.finish()


def reader_of(*packs: WrittenPack) -> PoolReader:
    chunks: dict[bytes, list[tuple[Path, ChunkLocation]]] = {}
    for pack in packs:
        for chunk_id, location in pack.chunks:
            chunks.setdefault(chunk_id, []).append((pack.path, location))
    return PoolReader(lambda chunk_id: chunks.get(chunk_id, []))


def test_a_large_content_comes_back_in_order(tmp_path: Path) -> None:
    data = pieces(300, 1)
    content, packs = write(tmp_path / "a", data)
    assert list(reader_of(*packs).iter_content(content)) == data


def test_the_same_input_gives_the_same_pack(tmp_path: Path) -> None:
    data = pieces(200, 2)
    (first,), (second,) = (write(tmp_path / name, data)[1] for name in "ab")
    assert first.path.read_bytes() == second.path.read_bytes()


def test_a_damaged_copy_is_passed_over_for_a_whole_one(tmp_path: Path) -> None:
    data = pieces(120, 3)
    content, (first,) = write(tmp_path / "a", data)
    _, (second,) = write(tmp_path / "b", data)
    with open(first.path, "r+b") as pack:
        for _, location in first.chunks[5:100:7]:
            pack.seek(location.offset + 20)
            pack.write(os.urandom(8))
    assert list(reader_of(first, second).iter_content(content)) == data


def test_a_lost_chunk_of_a_large_content_is_named(tmp_path: Path) -> None:
    data = pieces(100, 4)
    content, (pack,) = write(tmp_path / "a", data)
    lost = digest(data[70])
    left = WrittenPack(pack.name, pack.path, pack.size, tuple(one for one in pack.chunks if one[0] != lost))
    with pytest.raises(MissingChunkError, match=lost.hex()[:16]):
        list(reader_of(left).iter_content(content))


def test_a_piece_without_bytes_must_be_in_the_pool(tmp_path: Path) -> None:
    ids = [digest(one) for one in pieces(3, 5)]
    writer = PoolWriter(tmp_path, lambda _: True, find_missing=lambda asked: {one for one in asked if one == ids[1]})
    with pytest.raises(MissingChunkError, match=ids[1].hex()[:16]):
        writer.add_paged(3 * _PIECE, [ids[0] + ids[1], ids[2]])
    writer.add_paged(2 * _PIECE, [ids[0] + ids[2]])


def test_pieces_that_are_known_to_be_held_are_looked_up_only_in_another_place(tmp_path: Path) -> None:
    ids = [digest(one) for one in pieces(3, 6)]
    writer = PoolWriter(tmp_path, lambda _: True, find_missing=lambda asked: {one for one in asked if one == ids[1]})
    known = b"".join(ids)
    content = writer.add_paged(3 * _PIECE, [ids[0], ids[1] + ids[2]], known)
    assert content == HashingSink().add_paged(3 * _PIECE, [known])
    with pytest.raises(MissingChunkError, match=ids[1].hex()[:16]):
        writer.add_paged(3 * _PIECE, [ids[1], ids[0] + ids[2]], known)


def test_small_contents_are_asked_for_together_and_kept_once(tmp_path: Path) -> None:
    asked: list[int] = []
    known = {digest(b"text %d" % number) for number in range(0, 600, 3)}

    def find_missing(ids: Sequence[bytes]) -> set[bytes]:
        asked.append(len(ids))
        return set(ids) - known

    writer = PoolWriter(tmp_path, known.__contains__, find_missing=find_missing)
    contents = [writer.add_bytes(b"text %d" % (number % 600)) for number in range(700)]
    writer.add_bytes(b"text 601", LIST_PROFILE)
    writer.add_bytes(b"text 601")
    assert writer.add_bytes(b"") == Content(digest(b""), 0)
    assert writer.has_fresh_chunks
    (pack,) = writer.finish()
    new = [b"text %d" % number for number in range(600) if number % 3]
    assert [chunk_id for chunk_id, _ in pack.chunks if chunk_id != digest(b"text 601")] == [digest(one) for one in new]
    assert len(pack.chunks) == len(new) + 1
    texts = [b"text %d" % (number % 600) for number in range(700)]
    assert contents == [Content(digest(one), len(one)) for one in texts]
    assert len(asked) == 3


def test_many_chunks_are_found_as_one_is() -> None:
    catalog = open_catalog(None)
    ids = [digest(b"%d" % number) for number in range(2500)]
    for name, some in (("one", ids[:2000]), ("two", ids[1500:2200])):
        catalog.add_pack("main", name, 9, [(one, ChunkLocation(1, 2, 3, 0)) for one in some])
    found = catalog.find_many(ids)
    assert {one: sorted(found.get(one, []), key=repr) for one in ids} == {
        one: sorted(catalog.find_chunks(one), key=repr) for one in ids
    }
    assert catalog.find_missing(ids) == set(ids[2200:])
    assert catalog.find_missing([]) == set()
    catalog.close()
