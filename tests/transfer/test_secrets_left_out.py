"""pains.md row 25 (entire PR #156/#166/#395): secrets do not leave in an export unless somebody says so."""

from __future__ import annotations

import json
import re
from pathlib import Path

import msgspec
import pytest
import zstandard

from chronos.checkpoints import EntryKind, MemoryRecord
from chronos.checkpoints.manifest import ListRef, encode_memory_dump, encode_rows
from chronos.errors import SecretInSealError
from chronos.memory import MemoryFile
from chronos.parcel import Parcel
from chronos.pool import PoolWriter, StoredChunk, digest
from tests.support import RepoBuilder, assert_state
from tests.support.parcels import Parts
from tests.transfer.conftest import MakeClone

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


def _word(length: int, seed: int, letters: str = LETTERS) -> str:
    return "".join(letters[(seed * 7 + place * (place + seed + 11)) % len(letters)] for place in range(length))


UPPER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
FORMS = [
    lambda n: f"AKIA{_word(16, n, UPPER)}",
    lambda n: f"ASIA{_word(16, n, UPPER)}",
    lambda n: f"ghp_{_word(36, n)}",
    lambda n: f"gho_{_word(36, n)}",
    lambda n: f"ghs_{_word(36, n)}",
    lambda n: f"github_pat_{_word(22, n)}_{_word(59, n)}",
    lambda n: f"glpat-{_word(20, n)}",
    lambda n: f"xoxb-{_word(24, n)}",
    lambda n: f"xoxp-{_word(24, n)}",
    lambda n: f"sk_live_{_word(24, n)}",
    lambda n: f"rk_live_{_word(24, n)}",
    lambda n: f"sk-ant-{_word(40, n)}",
    lambda n: f"sk-proj-{_word(40, n)}",
    lambda n: f"AIza{_word(35, n)}",
    lambda n: f"npm_{_word(36, n)}",
    lambda n: f"-----BEGIN RSA PRIVATE KEY-----\n{_word(64, n)}",
    lambda n: f"-----BEGIN OPENSSH PRIVATE KEY-----\n{_word(64, n)}",
]
CANARIES = [FORMS[number % len(FORMS)](number) for number in range(30)]
FILLING = b"".join(b"line %d of many\n" % number for number in range(200_000))


@pytest.fixture
def planted(repo: RepoBuilder) -> RepoBuilder:
    """Thirty secrets in modified, new, staged, linked and large files, beside files without any."""
    for number in range(10):
        repo.write(f"tracked{number}.txt", "harmless\n")
    repo.write("removed.txt", f"{CANARIES[29]}\n")
    repo.commit()
    for number, canary in enumerate(CANARIES[:10]):
        repo.write(f"tracked{number}.txt", f"before\n{canary}\nafter\n")
    for number, canary in enumerate(CANARIES[10:20], 10):
        repo.write(f"new{number}.py", f"KEY = '''{canary}'''\n")
    for number, canary in enumerate(CANARIES[20:25], 20):
        repo.write(f"staged{number}.txt", f"{canary}\n")
        repo.git("add", f"staged{number}.txt")
        repo.write(f"staged{number}.txt", "taken back\n")
    repo.write("large.txt", FILLING + CANARIES[25].encode() + FILLING)
    repo.write("middle.bin", b"\0\1\2" * 1000 + CANARIES[26].encode() + b"\0\1\2" * 1000)
    repo.link("link", f"https://{CANARIES[27].split()[0]}@host/x")
    repo.write("copy.txt", f"{CANARIES[28]}\n")
    repo.write("the same.txt", f"{CANARIES[28]}\n")
    repo.write("removed.txt", "the secret is gone from here\n")
    repo.write("harmless.txt", "nothing to see\n")
    repo.write("harmless.bin", FILLING[::-1])
    return repo


def found_in(file: Path) -> set[str]:
    """Return the canaries that stand anywhere in a file: in its bytes, or in any frame of it."""
    data = file.read_bytes()
    texts = [data]
    with Parcel(file) as parcel:
        texts += [parcel.pool.read_chunk(chunk_id) for chunk_id in parcel.chunks]
        texts += [parcel.read(span) for span in parcel.members.values()]
        texts += [parcel.manifest, parcel.omissions or b""]
    for place in (match.start() for match in re.finditer(re.escape(b"\x28\xb5\x2f\xfd"), data)):
        reader = zstandard.ZstdDecompressor().stream_reader(data[place:])
        try:
            texts.append(reader.read(1 << 26))
        except zstandard.ZstdError:
            continue
    return {canary for canary in CANARIES if any(canary.encode() in text for text in texts)}


def test_no_secret_of_thirty_leaves_without_being_asked_for(planted: RepoBuilder, make: MakeClone, file: Path) -> None:
    wanted = planted.state()
    engine = planted.engine()
    engine.create_checkpoint("wanted")
    exported = engine.export_checkpoint("wanted", file)
    assert found_in(file) == set()
    left_out = {row.path for row in exported.left_out}
    assert {"large.txt", "middle.bin", "link", "copy.txt", "the same.txt", "staged20.txt", "new10.py"} <= left_out
    assert not {"harmless.txt", "harmless.bin", "removed.txt"} & left_out
    assert exported.members_left_out == ("fs_diff.patch.zst",)

    everything = file.with_name("everything.chrono")
    assert engine.export_checkpoint("wanted", everything, include_secrets=True).left_out == ()
    assert found_in(everything) == set(CANARIES)

    other = make("other", planted)
    clone = other.engine()
    clone.import_checkpoint(file)
    details = clone.show_checkpoint("wanted")
    assert {row.path.decode() for row in details.receipt if row.reason.value == "left out by export"} == left_out
    other.write("new10.py", "mine\n")
    outcome = clone.restore_checkpoint("wanted")
    assert left_out - {f"staged{n}.txt" for n in range(20, 25)} <= {row.path.decode() for row in outcome.kept}
    assert other.read("harmless.bin") == FILLING[::-1]
    assert (other.read("new10.py"), other.read("tracked0.txt")) == (b"mine\n", b"harmless\n")
    assert [finding for finding in clone.verify() if finding.severity] == []
    assert {row.path.decode() for row in clone.diff("wanted") if row.status == "?"} <= left_out

    done = clone.import_checkpoint(everything)
    assert (done.imported, done.completed) == (False, True)
    clone.restore_checkpoint("wanted")
    assert_state(other, wanted, "after everything came along")
    assert [row for row in clone.show_checkpoint("wanted").receipt if row.reason.value == "left out by export"] == []


def test_what_was_left_out_once_stays_so_in_the_next_export(planted: RepoBuilder, make: MakeClone, file: Path) -> None:
    planted.engine().create_checkpoint("wanted")
    planted.engine().export_checkpoint("wanted", file)
    clone = make("other", planted).engine()
    clone.import_checkpoint(file)
    onward = file.with_name("onward.chrono")
    exported = clone.export_checkpoint("wanted", onward, include_secrets=True)
    assert {"large.txt", "link"} <= {row.path for row in exported.left_out}
    assert found_in(onward) == set()
    make("third", planted).engine().import_checkpoint(onward)


def test_a_secret_across_two_chunks_is_seen(repo: RepoBuilder, file: Path) -> None:
    repo.commit()
    data = bytearray(FILLING)
    repo.write("probe.txt", bytes(data))
    engine = repo.engine()
    engine.create_checkpoint("probe")
    engine.export_checkpoint("probe", file)
    with Parcel(file) as parcel:
        pieces = [parcel.pool.read_chunk(chunk_id) for chunk_id in parcel.chunks]
    first = next(piece for piece in pieces if FILLING.startswith(piece) and len(piece) > 1000)
    canary, cut = b" " + CANARIES[2].encode() + b" ", len(first)
    # The boundary depends on the bytes before it; what stands across it is tried until it is cut in two.
    for shift in range(4, len(canary) - 4, 3):
        data = bytearray(FILLING)
        data[cut - shift : cut - shift + len(canary)] = canary
        repo.write("probe.txt", bytes(data))
        name = f"shift{shift}"
        engine.create_checkpoint(name)
        out = file.with_name(f"{name}.chrono")
        assert [row.path for row in engine.export_checkpoint(name, out).left_out] == ["probe.txt"]


def test_a_file_with_the_name_of_a_secret_is_left_out_though_it_was_captured_by_request(
    repo: RepoBuilder, file: Path
) -> None:
    repo.write(".chronoinclude", ".env\n")
    repo.commit()
    repo.write(".env", "DEBUG=1\n")
    engine = repo.engine()
    engine.create_checkpoint("wanted")
    assert [row.path for row in engine.export_checkpoint("wanted", file).left_out] == [".env"]
    assert b"DEBUG=1\n" not in {chunk.decoded() for chunk in Parts.of(file).chunks}


@pytest.mark.parametrize("place", ["name", "description", "path", "tag", "branch"])
def test_a_secret_that_is_sealed_stops_the_export(repo: RepoBuilder, file: Path, place: str) -> None:
    canary = CANARIES[0]
    repo.commit()
    if place == "branch":
        repo.git("switch", "-q", "-c", canary)
    repo.write(canary if place == "path" else "a.txt", "a\n")
    engine = repo.engine()
    checkpoint = engine.create_checkpoint(
        canary if place == "name" else "wanted",
        canary if place == "description" else "",
        tags=[canary] if place == "tag" else [],
    )
    with pytest.raises(SecretInSealError):
        engine.export_checkpoint(checkpoint, file)
    assert not file.exists()
    engine.export_checkpoint(checkpoint, file, include_secrets=True)


def _with_memory(repo: RepoBuilder, pages: list[bytes], shared: bytes) -> str:
    """Give a checkpoint a memory store, as a capture will: two files, one of them in pieces. Return the id."""
    repo.write("shared.txt", shared)
    with repo.engine() as engine:
        folder = engine.show_checkpoint(engine.create_checkpoint("wanted")).folder
    scratch = repo.root.parent / "scratch"
    scratch.mkdir()
    writer = PoolWriter(scratch, lambda _: False)
    size = sum(map(len, pages))
    files = [
        MemoryFile(
            b"", content=writer.add_paged(size, [[StoredChunk(digest(page), 0, page, len(page)) for page in pages]])
        ),
        MemoryFile(b"side", content=writer.add_bytes(shared)),
    ]
    rows = writer.add_bytes(encode_rows(files))
    for pack in writer.finish():
        pack.path.rename(repo.store / "main/packs" / f"{pack.name}.pack")
    ref = {"blake3": rows.id.hex(), "bytes": rows.size, "count": len(files)}
    record = MemoryRecord("lessons", "sqlite", "data/memory/x.db", "00", msgspec.convert(ref, ListRef), size)
    dump = encode_memory_dump([record])
    document = json.loads((folder / "checkpoint.json").read_bytes())
    document["members"]["memory_dump/manifest.json"] = {"blake3": digest(dump).hex(), "bytes": len(dump)}
    data = json.dumps(document).encode()
    checkpoint = digest(data).hex()[:16]
    target = folder.with_name(checkpoint)
    folder.rename(target)
    (target / "checkpoint.json").write_bytes(data)
    (target / "memory_dump").mkdir()
    (target / "memory_dump/manifest.json").write_bytes(dump)
    return checkpoint


def test_a_memory_store_comes_along(repo: RepoBuilder, make: MakeClone, file: Path) -> None:
    repo.commit()
    pages = [bytes([number]) * 65536 for number in range(4)]
    checkpoint = _with_memory(repo, pages, b"shared\n")
    assert repo.engine().export_checkpoint(checkpoint, file).left_out == ()
    clone = make("other", repo).engine()
    clone.import_checkpoint(file)
    (store,) = _read_state(clone, checkpoint).memory.values()
    content = store.files[0].content
    assert content is not None
    pool = clone._here.get_store().pool
    assert pool.read_content(content) == b"".join(pages)


def test_a_memory_store_with_a_secret_is_left_out_as_a_whole(repo: RepoBuilder, make: MakeClone, file: Path) -> None:
    repo.commit()
    pages = [bytes([number]) * 65536 for number in range(4)]
    pages[2] = pages[2][:1000] + CANARIES[2].encode() + pages[2][1000:]
    pages[2] = pages[2][:65536]
    checkpoint = _with_memory(repo, pages, b"shared\n")
    exported = repo.engine().export_checkpoint(checkpoint, file)
    assert [row.path for row in exported.left_out] == ["lessons"]
    assert found_in(file) == set()
    assert not any(chunk.decoded() in pages for chunk in Parts.of(file).chunks)
    clone = make("other", repo).engine()
    clone.import_checkpoint(file)
    state = _read_state(clone, checkpoint)
    assert state.memory == {}
    assert [row.path for row in state.receipt if row.reason.value == "left out by export"] == [b"data/memory/x.db"]
    entry = state.components[b""].entries[b"shared.txt"]
    assert entry.kind is EntryKind.FILE and entry.content is not None
    assert [finding for finding in clone.verify() if finding.severity] == []


def _read_state(engine, checkpoint):  # type: ignore[no-untyped-def]
    store = engine._here.get_store()
    return store.read_checkpoint(engine.find_checkpoint(checkpoint))
