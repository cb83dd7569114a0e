"""Files that no export wrote: told apart, refused with a clear error, and nothing of them is ever visible."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import zstandard

from chronos.checkpoints import Entry, EntryKind
from chronos.errors import (
    BadPathError,
    ChronosError,
    DamagedParcelError,
    NewerFormatError,
    StorageError,
    UnsupportedError,
)
from chronos.parcel import ParcelWriter
from chronos.pool import Content, StoredChunk, digest
from tests.support import RepoBuilder, git_folder_digest, tree_digest
from tests.support.forging import ESCAPES
from tests.support.parcels import Parts, raw_chunk, reseal
from tests.transfer.conftest import MakeClone

HEADER_BYTES = 16


@pytest.fixture
def small(repo: RepoBuilder, file: Path) -> Path:
    """The export of a small checkpoint."""
    repo.write("a.txt", "base\n")
    repo.commit()
    repo.write("a.txt", "wanted\n")
    repo.write("b.txt", "b\n")
    engine = repo.engine()
    engine.create_checkpoint("wanted")
    engine.export_checkpoint("wanted", file)
    return file


@pytest.fixture
def other(repo: RepoBuilder, small: Path, make: MakeClone) -> RepoBuilder:
    """A clone with a store of its own, that has never seen the checkpoint."""
    clone = make("other", repo)
    clone.write("own.txt", "own\n")
    clone.engine().create_checkpoint("own")
    return clone


@pytest.fixture
def refused(other: RepoBuilder, tmp_path: Path) -> Callable[..., ChronosError]:
    """Import a file in every way, see it refused, and see nothing changed."""
    engine = other.engine()
    engine.list_checkpoints()

    def look() -> object:
        files = tree_digest(tmp_path, without=(b"other/data/timelines", b"home"))
        return files, tree_digest(other.store), git_folder_digest(other.root / ".git")

    def refused(path: Path, *kinds: type[ChronosError]) -> ChronosError:
        before = look()
        for act in (engine.plan_import, engine.import_checkpoint):
            with pytest.raises(kinds or DamagedParcelError) as caught:
                act(path)
            assert caught.value.exit_code not in (0, 70)
            assert "\n" not in caught.value.message
        assert [row.name for row in engine.list_checkpoints(every_timeline=True)] == ["own"]
        after = look()
        assert after[0] == before[0] and after[2] == before[2]  # type: ignore[index]
        settled = {k: v for k, v in after[1].items() if b".store/" not in k}  # type: ignore[index]
        assert settled == {k: v for k, v in before[1].items() if b".store/" not in k}  # type: ignore[index]
        assert not list((other.store / ".store/tmp").iterdir())
        return caught.value

    return refused


def test_the_parts_of_an_export_put_together_again_are_taken(small: Path, other: RepoBuilder) -> None:
    # Otherwise every refusal below might be for the putting together.
    data = small.read_bytes()
    again = Parts.of(small).write(small.with_name("again.chrono"))
    assert again.read_bytes() == data == reseal(data)
    assert other.engine().import_checkpoint(again).imported


def test_a_file_that_ends_early_is_said_to_be_cut_short(small: Path, refused: Callable[..., ChronosError]) -> None:
    data, cut = small.read_bytes(), small.with_name("cut.chrono")
    lengths = [*range(0, len(data), 97), *range(1, 64), *range(len(data) - 49, len(data))]
    engine_error = None
    for length in lengths:
        cut.write_bytes(data[:length])
        with pytest.raises(DamagedParcelError, match=r"cut short|empty") as caught:
            _open(cut)
        engine_error = caught.value
    assert engine_error is not None
    refused(cut)
    cut.write_bytes(data + b"\0")
    with pytest.raises(DamagedParcelError, match="behind its end"):
        _open(cut)


def test_a_file_with_an_altered_byte_is_said_to_be_altered(small: Path, refused: Callable[..., ChronosError]) -> None:
    data, altered = bytearray(small.read_bytes()), small.with_name("altered.chrono")
    for place in [*range(0, len(data), 61), *range(8, HEADER_BYTES)]:
        data[place] ^= 0x20
        altered.write_bytes(data)
        data[place] ^= 0x20
        kinds = UnsupportedError if place < 8 else DamagedParcelError
        with pytest.raises(kinds, match=r"altered|no chrono export|cut short, or") as caught:
            _open(altered)
        assert not isinstance(caught.value, NewerFormatError)
    altered.write_bytes(bytes([data[0] ^ 1]) + bytes(data[1:]))
    refused(altered, UnsupportedError)


def test_every_altered_byte_of_the_first_record_is_refused_when_sealed_anew(small: Path) -> None:
    data, altered = bytearray(small.read_bytes()), small.with_name("altered.chrono")
    for place in range(HEADER_BYTES + 9):
        data[place] ^= 0x11
        altered.write_bytes(reseal(bytes(data)))
        data[place] ^= 0x11
        with pytest.raises((DamagedParcelError, UnsupportedError)):
            _inspect(altered)


def test_a_newer_format_is_told_from_damage(small: Path, refused: Callable[..., ChronosError]) -> None:
    data = small.read_bytes()
    begin = data[:8] + (2).to_bytes(4, "little")
    small.write_bytes(begin + digest(begin)[:4] + data[HEADER_BYTES:])
    assert "format 2" in refused(small, NewerFormatError).message


@pytest.mark.parametrize(
    "data", [b"PK\x03\x04" + b"x" * 99, b"\x1f\x8b" + b"x" * 99, b"# v2 git bundle\n" + b"x" * 99, b"CHRPACK1" * 20]
)
def test_a_file_of_another_kind_is_no_export(small: Path, refused: Callable[..., ChronosError], data: bytes) -> None:
    small.write_bytes(data)
    assert "no chrono export" in refused(small, UnsupportedError).message


def test_what_is_no_regular_file_is_refused_at_once(other: RepoBuilder, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    engine = other.engine()
    for place in (fifo, tmp_path, Path("/dev/zero")):
        with pytest.raises(BadPathError, match="no regular file"):
            engine.import_checkpoint(place)
    for place in (tmp_path / "missing", tmp_path / "own.txt/x"):
        with pytest.raises(StorageError):
            engine.import_checkpoint(place)


def test_standard_input_that_is_a_pipe_is_refused(other: RepoBuilder, small: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "chronos.cli", "checkpoint", "import", "/dev/stdin", "--yes"],
        cwd=other.root, env=other.environment, input=small.read_bytes(), capture_output=True, check=False,
    )  # fmt: skip
    assert (done.returncode, b"no regular file" in done.stderr) == (2, True)


@pytest.mark.parametrize("path", ESCAPES, ids=lambda path: ascii(path[:20]))
def test_an_entry_that_leaves_the_tree_is_refused(
    small: Path, refused: Callable[..., ChronosError], path: bytes
) -> None:
    # pains.md row 25 (hermes-webui PR #4405): crafted checkpoints wrote outside the workspace.
    parts = Parts.of(small).set_entries(Entry(b"fine.txt", EntryKind.FILE), Entry(path, EntryKind.FILE, True))
    refused(parts.write(small.with_name("hostile.chrono")))


def test_entries_that_write_through_their_own_link_do_not_leave_the_tree(small: Path, other: RepoBuilder) -> None:
    outside = other.root.parent / "target folder"
    outside.mkdir()
    target = b"../target folder"
    link = Entry(b"exit", EntryKind.LINK, False, Content(digest(target), len(target)))
    parts = Parts.of(small).set_entries(Entry(b"exit/inside.txt", EntryKind.FILE, True), link, contents=[target])
    engine = other.engine()
    checkpoint = engine.import_checkpoint(parts.write(small.with_name("link.chrono"))).plan.inspected.sealed
    try:
        engine.restore_checkpoint(checkpoint.checkpoint_id)
    except ChronosError as refusal:
        assert refusal.exit_code != 70
    assert list(outside.iterdir()) == []


MANIFESTS: dict[str, Callable[[dict[str, Any]], object]] = {
    "an unknown field": lambda d: d.update(surprise=1),
    "a missing field": lambda d: d.pop("code"),
    "a wrong type": lambda d: d.update(sequence="many"),
    "a huge sequence": lambda d: d.update(sequence=1 << 60),
    "a component outside": lambda d: d["code"][0].update(path="../outside"),
    "a component in git": lambda d: d["code"].append({**d["code"][0], "path": ".git/hooks"}),
    "a base that is an option": lambda d: d["code"][0].update(base="--output=/tmp/chronos-was-here"),
    "no root component": lambda d: d.update(code=[]),
    "a hash that is no hash": lambda d: d["receipt"].update(blake3="../../x"),
    "another list": lambda d: d["receipt"].update(blake3="00" * 32, bytes=7, count=1),
    "an object of an impossible size": lambda d: d["code"][0]["entries"].update(bytes=1 << 62),
    "an object of a huge size": lambda d: d["code"][0]["entries"].update(bytes=1 << 40),
    "more rows than there are": lambda d: d["code"][0]["entries"].update(count=3),
    "far too many rows": lambda d: d["code"][0]["entries"].update(count=1 << 50),
    "a name that is a path": lambda d: d.update(name="../../x"),
    "a name that is an option": lambda d: d.update(name="--yes"),
    "a name with an escape code": lambda d: d.update(name="x\x1b[2J"),
    "a tag that is none": lambda d: d.update(tags=["\x07"]),
    "a time that is none": lambda d: d.update(created_at="yesterday"),
    "a parent that is a path": lambda d: d.update(parents=["../../../x"]),
    "a member that is a path": lambda d: d["members"].update({"../x": {"blake3": "00" * 32, "bytes": 1}}),
    "a member that is unknown": lambda d: d["members"].update({"run.sh": {"blake3": "00" * 32, "bytes": 1}}),
    "a member of another hash": lambda d: d["members"]["git_status.txt"].update(blake3="00" * 32),
    "deep nesting": lambda d: b'{"format":1,"code":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "no JSON": lambda d: b"\x00\xff not json",
    "an empty file": lambda d: b"",
    "a list": lambda d: b"[]",
    "too large to be one": lambda d: b" " * (17 * 1024 * 1024),
}


@pytest.mark.parametrize("kind", MANIFESTS)
def test_a_manifest_that_no_capture_seals_is_refused(
    small: Path, refused: Callable[..., ChronosError], kind: str
) -> None:
    parts = Parts.of(small).change_manifest(MANIFESTS[kind])
    refused(parts.write(small.with_name("hostile.chrono")))


def test_a_manifest_of_a_newer_format_is_said(small: Path, refused: Callable[..., ChronosError]) -> None:
    parts = Parts.of(small).change_manifest(lambda d: d.update(format=2, surprise=1))
    refused(parts.write(small), NewerFormatError)


def _drop_chunk(parts: Parts) -> None:
    parts.chunks.pop()


def _add_chunk(parts: Parts) -> None:
    parts.chunks.append(raw_chunk(b"nobody asked for this"))


def _repeat_chunk(parts: Parts) -> None:
    parts.chunks.append(parts.chunks[0])


def _alter_chunk(parts: Parts) -> None:
    last = parts.chunks[-1]
    parts.chunks[-1] = msgspec.structs.replace(last, stored=bytes([last.stored[0] ^ 1]) + last.stored[1:])


def _unknown_codec(parts: Parts) -> None:
    parts.chunks[-1] = msgspec.structs.replace(parts.chunks[-1], codec=7)


def _other_raw_size(parts: Parts) -> None:
    parts.chunks[-1] = msgspec.structs.replace(parts.chunks[-1], raw_bytes=parts.chunks[-1].raw_bytes + 1)


def _empty_chunk(parts: Parts) -> None:
    parts.chunks[-1] = StoredChunk(digest(b""), 0, b"", 0)


def _drop_member(parts: Parts) -> None:
    del parts.members["git_status.txt"]


def _add_member(parts: Parts) -> None:
    parts.members["../../../escaped"] = b"x"


def _alter_member(parts: Parts) -> None:
    parts.members["git_status.txt"] = b"x" * len(parts.members["git_status.txt"])


def _omit_a_list(parts: Parts) -> None:
    ref = json.loads(parts.manifest)["code"][0]["entries"]["blake3"]
    parts.omissions = json.dumps({"format": 1, "contents": {ref: "so"}}).encode()


def _omit_nothing_known(parts: Parts) -> None:
    parts.omissions = json.dumps({"format": 1, "contents": {"ab" * 32: "so"}}).encode()


def _omit_a_path(parts: Parts) -> None:
    parts.omissions = json.dumps({"format": 1, "contents": {"../x": "so"}}).encode()


def _long_reason(parts: Parts) -> None:
    parts.omissions = json.dumps({"format": 1, "contents": {"ab" * 32: "so" * 1000}}).encode()


def _unknown_omission(parts: Parts) -> None:
    parts.omissions = b'{"format": 1, "run": "x"}'


def _bundle_of_nobody(parts: Parts) -> None:
    parts.bundles.append(("../x", "ab" * 20, b"# v2 git bundle\n"))


def _no_manifest(parts: Parts) -> None:
    parts.manifest = b""


CHANGES = [
    _drop_chunk, _add_chunk, _repeat_chunk, _alter_chunk, _unknown_codec, _other_raw_size, _empty_chunk, _drop_member,
    _add_member, _alter_member, _omit_a_list, _omit_nothing_known, _omit_a_path, _long_reason, _unknown_omission,
    _bundle_of_nobody, _no_manifest,
]  # fmt: skip


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__.strip("_"))
def test_a_file_with_more_less_or_other_than_its_checkpoint_needs_is_refused(
    small: Path, refused: Callable[..., ChronosError], change: Callable[[Parts], None]
) -> None:
    parts = Parts.of(small)
    change(parts)
    refused(parts.write(small.with_name("hostile.chrono")))


def _with_stores(small: Path, *stores: dict[str, Any]) -> Path:
    """Give the checkpoint memory stores without files, as its manifest would have them."""
    files = {"blake3": digest(b"").hex(), "bytes": 0, "count": 0}
    rest = {"kind": "files", "identity": "00", "files": files, "bytes": 0}
    document = {"format": 1, "stores": [{"name": f"store{n}", **rest, **store} for n, store in enumerate(stores)]}
    dump, parts = json.dumps(document).encode(), Parts.of(small)
    member = {"blake3": digest(dump).hex(), "bytes": len(dump)}
    parts.members["memory_dump/manifest.json"] = dump
    parts.change_manifest(lambda manifest: manifest["members"].update({"memory_dump/manifest.json": member}))
    return parts.write(small.with_name("stores.chrono"))


def test_memory_stores_in_plain_places_are_taken(small: Path, other: RepoBuilder) -> None:
    # Otherwise every refusal below might be for the putting together.
    path = _with_stores(small, {"path": "data/memory/a"}, {"path": "/somewhere/else"}, {"path": "data/memory/a.db"})
    assert other.engine().import_checkpoint(path).imported


@pytest.mark.parametrize(
    "stores",
    [
        [{"path": ""}], [{"path": "."}], [{"path": "../x"}], [{"path": "a/../../x"}], [{"path": ".git"}],
        [{"path": ".git/hooks"}], [{"path": "/a/../b"}], [{"path": "a\0b"}], [{"path": "/a\0b"}],
        [{"path": "a"}, {"path": "a/b"}], [{"path": "a"}, {"path": "a"}],
        [{"path": "a", "name": "../x"}], [{"path": "a", "name": ""}], [{"path": "a", "name": "x\x1b[2J"}],
        [{"path": "a/b.db", "beside": ["../x"]}], [{"path": "b.db", "beside": [".git"]}],
    ],
    ids=str,
)  # fmt: skip
def test_a_memory_store_in_a_place_where_none_can_be_is_refused(
    small: Path, refused: Callable[..., ChronosError], stores: list[dict[str, Any]]
) -> None:
    refused(_with_stores(small, *stores))


def test_records_out_of_order_or_of_an_unknown_kind_are_refused(
    small: Path, refused: Callable[..., ChronosError]
) -> None:
    parts, hostile = Parts.of(small), small.with_name("hostile.chrono")
    for kind in (b"L", b"X", b"\0"):
        with open(hostile, "wb") as stream:
            writer = ParcelWriter(stream)
            writer.add_manifest(parts.manifest)
            writer._record(kind, b"../../link")
            writer.finish()
        refused(hostile)
    with open(hostile, "wb") as stream:
        writer = ParcelWriter(stream)
        writer.add_chunk(parts.chunks[0])
        writer.add_manifest(parts.manifest)
        writer.finish()
    refused(hostile)


def _bomb(size: int, stated: int | None = None) -> StoredChunk:
    """A chunk of zeros that is `size` bytes long and says so, or something else."""
    zeros = zstandard.ZstdCompressor(level=19).compress(b"\0" * size)
    return StoredChunk(digest(b"\0" * (stated or size)), 1, zeros, stated or size)


def test_a_frame_that_inflates_beyond_what_is_stated_costs_no_memory(
    small: Path, refused: Callable[..., ChronosError]
) -> None:
    bomb, hostile = _bomb(1 << 28, 1000), small.with_name("bomb.chrono")
    entry = Entry(b"zeros", EntryKind.FILE, False, Content(bomb.id, 1000))
    parts = Parts.of(small).set_entries(entry)
    parts.chunks = [chunk for chunk in parts.chunks if b"hacked" not in chunk.stored] + [bomb]
    parts.write(hostile)
    assert hostile.stat().st_size < 40_000
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused(hostile)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000


def test_a_chunk_larger_than_any_is_not_read(small: Path, refused: Callable[..., ChronosError]) -> None:
    parts = Parts.of(small)
    parts.chunks.append(_bomb(65 << 20))
    refused(parts.write(small.with_name("bomb.chrono")))


def test_a_list_that_is_an_array_of_nothing_a_million_times_is_refused_before_it_is_made(
    small: Path, refused: Callable[..., ChronosError]
) -> None:
    rows = b"\xdd" + (1 << 24).to_bytes(4, "big") + b"\xc0" * (1 << 24)
    parts = Parts.of(small).set_list(rows, 1 << 24)
    refused(parts.write(small.with_name("list.chrono")))
    parts = Parts.of(small).set_list(b"\xdd" + (1 << 31).to_bytes(4, "big") + b"\xc0" * 9, 9)
    refused(parts.write(small.with_name("list.chrono")))


def test_a_list_of_a_million_entries_is_checked_within_bounds(small: Path, other: RepoBuilder) -> None:
    row = msgspec.msgpack.encode(
        Entry(b"some/folder/name-1234567.txt", EntryKind.FILE, False, Content(digest(b"x"), 1))
    )
    count = 1_000_000
    rows = b"\xdd" + count.to_bytes(4, "big") + row * count
    parts, list_path = Parts.of(small).set_long_list(rows, count, b"x"), small.with_name("list.chrono")
    parts.write(list_path)
    # ru_maxrss would begin with what the process had that started it.
    code = """
import re, sys
from chronos.cli.main import main
code = main(sys.argv[1:])
print(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
sys.exit(code)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, "checkpoint", "import", str(list_path), "--plan", "--json"],
        cwd=other.root, env=other.environment, capture_output=True, check=False, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    document, _, peak_kib = done.stdout.strip().rpartition("\n")
    assert json.loads(document)["files_changed"] == count
    assert int(peak_kib) < 300_000


def _open(path: Path) -> None:
    from chronos.parcel import Parcel

    Parcel(path).close()


def _inspect(path: Path) -> None:
    from chronos.parcel import Parcel
    from chronos.transfer.inspection import inspect

    with Parcel(path) as parcel:
        inspect(parcel)
