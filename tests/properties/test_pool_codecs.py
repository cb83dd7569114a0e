"""The pool gives back the very bytes it was given, or says that they are damaged; nothing in between."""

from __future__ import annotations

import random
import tempfile
import time
import tracemalloc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

import pytest
import zstandard
from blake3 import blake3
from hypothesis import assume, example, given
from hypothesis import strategies as st

from chronos.errors import DamagedPackError, IntegrityError
from chronos.layout import ChunkLocation
from chronos.pool import (
    FILE_PROFILE,
    LIST_PROFILE,
    ChunkProfile,
    Content,
    HashingSink,
    PackFile,
    PoolReader,
    PoolWriter,
    WrittenPack,
    check_pack,
    compress_text,
    decompress_text,
    read_pack_index,
)
from tests.properties.forging import forge_pack
from tests.properties.profiles import examples

_MIB = 1024 * 1024
_RAW, _ZSTD = 0, 1


def _random_bytes(seed: int, size: int) -> bytes:
    return random.Random(seed).randbytes(size)


def _edited(seed: int, size: int, at: int) -> bytes:
    """Return large content like another one, but for an insertion."""
    data = _random_bytes(seed, size)
    return data[: at % size] + b"inserted" + data[at % size :]


sizes = st.sampled_from((_MIB - 1, _MIB, _MIB + 1, 2 * _MIB, 5 * _MIB + 17))
small = st.one_of(st.binary(max_size=300), st.builds(bytes, st.integers(0, 3000)))
large = st.one_of(
    st.builds(_random_bytes, st.integers(0, 3), sizes),
    st.builds(_edited, st.integers(0, 3), sizes, st.integers(0, 5 * _MIB)),
    st.builds(bytes, sizes),
)
pieces = st.one_of(small, small, small, large)
profiles = st.sampled_from((FILE_PROFILE, LIST_PROFILE))


@examples(40)
@given(
    data=st.lists(pieces, min_size=1, max_size=4).map(tuple), profile=profiles, compress=st.booleans(),
)  # fmt: skip
def test_any_bytes_come_back_and_are_hashed_alike_without_a_pool(
    data: tuple[bytes, ...], profile: ChunkProfile, compress: bool
) -> None:
    with _pool(data, profile, compress=compress) as (reader, contents, _):
        assert [reader.read_content(content) for content in contents] == list(data)
        assert [b"".join(reader.iter_content(content)) for content in contents] == list(data)
    assert [HashingSink().add_bytes(piece, profile) for piece in data] == contents
    assert [content.id for content in contents] == [blake3(piece).digest() for piece in data]


@examples(40)
@given(data=pieces, said=st.sampled_from((0, 1, None, 3 * _MIB)), compress=st.booleans())
def test_a_file_is_the_same_content_as_its_bytes_whatever_size_it_was_said_to_have(
    data: bytes, said: int | None, compress: bool
) -> None:
    """A file may grow or shrink between its stat and its reading."""
    with tempfile.TemporaryFile() as stream, tempfile.TemporaryDirectory() as folder:
        stream.write(data)
        stream.flush()
        found = []
        for sink in (HashingSink(), PoolWriter(Path(folder), lambda _: False, compress=compress)):
            stream.seek(0)
            found.append(sink.add_file(stream.fileno(), len(data) if said is None else said))
    assert found == [HashingSink().add_bytes(data)] * 2


@examples(60)
@given(known=small, fresh=small)
def test_what_the_pool_knows_is_not_written_again(known: bytes, fresh: bytes) -> None:
    assume(known != fresh and known and fresh)
    with tempfile.TemporaryDirectory() as folder:
        writer = PoolWriter(Path(folder), lambda chunk: chunk == blake3(known).digest())
        for piece in (known, fresh, known, fresh):
            writer.add_bytes(piece)
        packs = writer.finish()
        assert [chunk for pack in packs for chunk, _ in pack.chunks] == [blake3(fresh).digest()]


@examples(150)
@given(data=st.lists(small, min_size=1, max_size=4), place=st.integers(0, 10**6), bit=st.integers(0, 7))
def test_a_single_flipped_bit_is_found_and_never_gives_other_bytes(data: list[bytes], place: int, bit: int) -> None:
    assume(any(data))
    with _pool(data, FILE_PROFILE) as (_, contents, pack):
        whole = pack.path.read_bytes()
        flipped = bytearray(whole)
        flipped[place % len(whole)] ^= 1 << bit
        _check_damaged(pack, bytes(flipped), dict(zip(contents, data, strict=True)))


@examples(80)
@given(data=st.lists(small, min_size=1, max_size=4), length=st.integers(0, 10**6), tail=st.binary(max_size=200))
def test_a_pack_that_is_cut_or_overwritten_is_found(data: list[bytes], length: int, tail: bytes) -> None:
    assume(any(data))
    with _pool(data, FILE_PROFILE) as (_, contents, pack):
        whole = pack.path.read_bytes()
        damaged = whole[: length % len(whole)] + tail
        assume(damaged != whole)
        _check_damaged(pack, damaged, dict(zip(contents, data, strict=True)))


@examples(150)
@given(
    stored=st.one_of(st.binary(max_size=60), small.map(zstandard.ZstdCompressor().compress)),
    offset=st.one_of(st.integers(0, 300), st.integers(0, 2**64 - 1)),
    lengths=st.tuples(*[st.one_of(st.integers(0, 300), st.integers(0, 2**32 - 1))] * 2),
    codec=st.integers(0, 255),
)
@example(stored=b"abc", offset=2**63, lengths=(3, 3), codec=_RAW)
@example(stored=b"abc", offset=2**63 - 1, lengths=(3, 3), codec=_RAW)
@example(stored=b"abc", offset=8, lengths=(2**32 - 1, 3), codec=_ZSTD)
def test_a_forged_index_gives_an_error_and_nothing_else(
    stored: bytes, offset: int, lengths: tuple[int, int], codec: int
) -> None:
    """Whoever forges a pack can make its hashes fit; offsets, lengths and codecs can say anything."""
    with tempfile.TemporaryDirectory() as folder:
        chunk = blake3(stored).digest()
        pack_path = forge_pack(Path(folder), stored, [(chunk, offset, *lengths, codec)])
        try:
            pack = read_pack_index(pack_path)
            data = _read(pack)[chunk]
        except IntegrityError:
            return
        assert data == stored


@pytest.mark.parametrize("states_size", [True, False])
@pytest.mark.parametrize("said", [0, 1, 43, 100_000, 64 * _MIB])
def test_a_bomb_is_stopped_at_the_recorded_size(said: int, states_size: bool, tmp_path: Path) -> None:
    """A frame of 1 GiB of zeros is 33 KB; `max_output_size` does not stop it when the frame states its size."""
    bomb = _frame_of_zeros(1024 * _MIB, states_size=states_size)
    assert len(bomb) < 200_000
    path = forge_pack(tmp_path, bomb, [(b"\1" * 32, 8, len(bomb), said, _ZSTD)])
    pack = read_pack_index(path)
    with _little_memory(said + 32 * _MIB), pytest.raises(DamagedPackError):
        _read(pack)
    with _little_memory(said + 32 * _MIB), pytest.raises(DamagedPackError):
        decompress_text(bomb, said)


@examples(60)
@given(data=small, said=st.integers(0, 4000), states_size=st.booleans())
def test_a_frame_of_another_size_than_recorded_is_refused(data: bytes, said: int, states_size: bool) -> None:
    assume(said != len(data))
    frame = zstandard.ZstdCompressor(write_content_size=states_size).compress(data)
    with tempfile.TemporaryDirectory() as folder:
        pack = read_pack_index(forge_pack(Path(folder), frame, [(blake3(data).digest(), 8, len(frame), said, _ZSTD)]))
        with pytest.raises(DamagedPackError):
            _read(pack)


@examples(100)
@given(data=small, limit=st.integers(0, 4000))
def test_a_member_file_comes_back_up_to_its_limit_and_never_beyond(data: bytes, limit: int) -> None:
    if len(data) <= limit:
        assert decompress_text(compress_text(data), limit) == data
    else:
        with pytest.raises(DamagedPackError):
            decompress_text(compress_text(data), limit)


@contextmanager
def _pool(
    data: Sequence[bytes], profile: ChunkProfile, *, compress: bool = True
) -> Iterator[tuple[PoolReader, list[Content], WrittenPack]]:
    """Write all pieces into one pack; give a reader on it, their contents, and the pack under its final name."""
    with tempfile.TemporaryDirectory() as folder:
        writer = PoolWriter(Path(folder), lambda _: False, compress=compress)
        contents = [writer.add_bytes(piece, profile) for piece in data]
        packs = writer.finish()
        chunks: dict[bytes, list[tuple[Path, ChunkLocation]]] = {}
        for pack in packs:
            final = pack.path.rename(pack.path.with_name(f"{pack.name}.pack"))
            chunks |= {chunk: [(final, location)] for chunk, location in pack.chunks}
        reader = PoolReader(lambda chunk: chunks.get(chunk, []))
        yield reader, contents, read_pack_index(Path(folder) / f"{packs[0].name}.pack") if packs else None  # type: ignore[misc]
        reader.close()


def _check_damaged(pack: WrittenPack, damaged: bytes, originals: dict[Content, bytes]) -> None:
    pack.path.write_bytes(damaged)
    with suppress(DamagedPackError):
        assert check_pack(pack.path)[2], "no chunk is damaged, and nobody says that something else is"
    known = {content.id: data for content, data in originals.items()}
    opened = PackFile(pack.path)
    try:
        for chunk, location in pack.chunks:
            try:
                assert opened.read(chunk, location) == known[chunk], "a damaged pack gave other bytes"
            except DamagedPackError:
                continue
    finally:
        opened.close()


def _read(pack: WrittenPack) -> dict[bytes, bytes]:
    opened = PackFile(pack.path)
    try:
        return {chunk: opened.read(chunk, location) for chunk, location in pack.chunks}
    finally:
        opened.close()


@cache
def _frame_of_zeros(size: int, *, states_size: bool) -> bytes:
    compressor = zstandard.ZstdCompressor(level=19, write_content_size=states_size)
    stream = compressor.compressobj(size if states_size else -1)
    block = bytes(16 * _MIB)
    return b"".join([*(stream.compress(block) for _ in range(size // len(block))), stream.flush()])


@contextmanager
def _little_memory(limit_bytes: int) -> Iterator[None]:
    """Fail when the block allocates more than that, or inflates everything all the same."""
    started = time.process_time()
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak <= limit_bytes
    assert time.process_time() - started < 30
