"""One wrong byte in any kind of stored file is found and named by `verify --deep`, and the others still restore."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from chronos.errors import ChronosError
from chronos.maintenance import Severity
from chronos.pool import compress_text, decompress_text, digest
from tests.support import git_folder_digest, tree_digest
from tests.support.forging import forge, plant
from tests.verification.conftest import Damaged
from tests.verification.damage import WAYS, flip, kind_of, names_it, restorable, stored_files

KINDS = (
    "pack", "checkpoint.json", "fs_diff.patch.zst", "git_status.txt", "env_config.json", "manifest.json",
    "timeline.json", "memory.json", "format", "operations", "changes", "journal", "HEAD", "config",
)  # fmt: skip
# What these ways leave of the log is a log that a crash cut short, and of a timeline one that nobody has claimed yet.
# A machine that has declared no memory store has no file that says so.
_HARMLESS = {
    ("operations", "cut short"), ("operations", "emptied"), ("operations", "deleted"), ("timeline.json", "deleted"),
    ("journal", "deleted"), ("memory.json", "deleted"),
}  # fmt: skip


def choose(work: Damaged, kind: str) -> Path:
    """Return one file of a kind; that of the checkpoint `second` where each checkpoint has one."""
    if kind == "journal":
        return plant(work.repo, b"new.txt").relative_to(work.store)
    found = [path for path in stored_files(work.store) if kind_of(path) == kind]
    own = [path for path in found if work.by_name["second"] in path.parts]
    return own[0] if own else found[0]


def test_every_kind_of_stored_file_is_tried(work: Damaged) -> None:
    plant(work.repo, b"new.txt")
    assert {kind_of(path) for path in stored_files(work.store)} == set(KINDS)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", KINDS)
def test_damage_is_named_and_stops_no_other_checkpoint(work: Damaged, kind: str, way: str) -> None:
    path = choose(work, kind)
    WAYS[way](work.store / path)
    before = tree_digest(work.repo.root)
    try:
        findings = work.repo.engine().verify(deep=True)
    except ChronosError as error:
        assert kind == "format", error
        assert str(work.store / path) in str(error)
        return
    assert (kind, way) in _HARMLESS or names_it(path, findings) or (kind == "pack" and way == "deleted")
    lost = {f.subject.removeprefix("checkpoint ") for f in findings if f.severity is Severity.ERROR}
    engine = work.repo.engine()
    if {f.subject for f in findings} & {"timeline main", "memory.json"}:
        engine.repair()
    assert restorable(work, engine) >= work.wanted.keys() - lost
    assert len(work.wanted.keys() - lost) >= len(work.wanted) - 2
    assert tree_digest(work.repo.root) == before


def test_each_byte_of_the_small_files_counts(copy_of: Callable[[], Damaged]) -> None:
    """Already for a plain verification; a deep one does all that a plain one does."""
    work = copy_of()
    for kind in ("format", "timeline.json", "HEAD", "changes"):
        path = work.store / choose(work, kind)
        data = path.read_bytes()
        for place in range(0, len(data), max(1, len(data) // 60)):
            path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
            with work.repo.engine() as engine:
                try:
                    findings = engine.verify()
                except ChronosError as error:
                    assert kind == "format", (kind, place, error)
                    continue
            assert names_it(path.relative_to(work.store), findings), (kind, place)
        path.write_bytes(data)


def test_a_plain_verification_does_not_read_the_frames_and_a_deep_one_does(work: Damaged) -> None:
    (pack,) = work.packs("second")
    flip(pack, 0.5)
    engine = work.repo.engine()
    assert engine.verify() == []
    assert any(pack.name in finding.subject for finding in engine.verify(deep=True))


@pytest.mark.parametrize("kind", ["pack", "checkpoint.json", "fs_diff.patch.zst", "git_status.txt"])
def test_two_files_that_were_swapped_are_both_named(work: Damaged, kind: str) -> None:
    found = [path for path in stored_files(work.store) if kind_of(path) == kind]
    one, other = (
        found[0],
        next(p for p in found if (work.store / p).read_bytes() != (work.store / found[0]).read_bytes()),
    )
    first, second = (work.store / one).read_bytes(), (work.store / other).read_bytes()
    for path, data in ((one, second), (other, first)):
        (work.store / path).unlink()
        (work.store / path).write_bytes(data)
    findings = work.repo.engine().verify(deep=True)
    assert names_it(one, findings)
    assert names_it(other, findings)
    work.repo.engine().repair()
    assert len(restorable(work, work.repo.engine())) >= len(work.wanted) - (2 if kind == "checkpoint.json" else 0)


def test_a_patch_that_does_not_make_the_captured_tree_is_named(work: Damaged) -> None:
    def change(document: dict[str, object]) -> None:
        document["members"]["fs_diff.patch.zst"].update(blake3=digest(lying).hex(), bytes=len(lying))  # type: ignore[index]

    text = decompress_text((work.folder("wanted") / "fs_diff.patch.zst").read_bytes(), 1 << 24)
    lying = compress_text(text.replace(b"+wanted", b"+wantEd", 1))
    checkpoint = forge(work.repo, change)
    (work.store / "main" / checkpoint / "fs_diff.patch.zst").write_bytes(lying)
    engine = work.repo.engine()
    assert engine.verify() == []
    (finding,) = engine.verify(deep=True)
    assert checkpoint in finding.subject
    assert "a.txt" in finding.problem


def test_verifying_writes_nothing_into_the_users_repository(work: Damaged) -> None:
    before = git_folder_digest(work.repo.root / ".git")
    work.repo.engine().verify(deep=True)
    assert git_folder_digest(work.repo.root / ".git") == before


def test_a_member_that_names_a_place_outside_of_its_folder_is_refused(work: Damaged) -> None:
    secret = work.repo.root.parent / "outside"
    secret.write_bytes(b"x")

    def change(document: dict[str, object]) -> None:
        document["members"]["../../../../../outside"] = {"blake3": "00" * 32, "bytes": 1}  # type: ignore[index]

    checkpoint = forge(work.repo, change)
    findings = work.repo.engine().verify(deep=True)
    assert any(checkpoint in f.subject and "outside of its folder" in f.problem for f in findings)
    work.repo.engine().repair()
    assert secret.read_bytes() == b"x"


@pytest.mark.parametrize("place", [2, -2, -84 + 12 + 3, -84 + 12 + 32 + 20], ids=["magic", "end", "frames", "checksum"])
def test_a_pack_whose_chunks_are_all_whole_gives_them_and_its_damage_is_named(work: Damaged, place: int) -> None:
    (pack,) = work.packs("second")
    data = bytearray(pack.read_bytes())
    data[place] ^= 1
    pack.write_bytes(data)
    with work.repo.engine() as engine:
        (finding,) = engine.verify(deep=True)
        assert pack.name in finding.subject
        assert len(engine.verify()) == (place != -84 + 12 + 3), "only the frames' hash asks for reading them"
    assert restorable(work, work.repo.engine()) == work.wanted.keys()
