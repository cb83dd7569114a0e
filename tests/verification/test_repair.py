"""`verify --repair`: what is whole is kept, what still exists is fetched again, what is damaged is set aside."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest

from chronos.errors import ChangedMeanwhileError, ChronosError, UnsupportedError
from chronos.maintenance import Severity, sources
from chronos.memory import CaptureWork, MemoryFile, StoreState
from chronos.pool import FILE_PROFILE, digest, read_pack_index, strip_check
from tests.support import store_digest, tree_digest
from tests.support.forging import plant
from tests.verification.conftest import LARGE, Damaged
from tests.verification.damage import WAYS, flip, kind_of, restorable, stored_files
from tests.verification.test_verify import KINDS, choose


def forget_sources(work: Damaged) -> None:
    """Leave the store as the only place that has what was captured: no files, no blobs, no patches."""
    for path in work.repo.paths():
        work.repo.remove(path)
    work.repo.git("reset", "-q")
    work.repo.git("checkout", "-q", "--", ".")
    work.repo.git("reflog", "expire", "--expire=now", "--all")
    work.repo.git("gc", "-q", "--prune=now")


def drop_patches(work: Damaged) -> None:
    for path in work.store.glob("main/*/fs_diff.patch.zst"):
        path.unlink()


def problems(work: Damaged) -> list[str]:
    with work.repo.engine() as engine:
        return [f"{f.subject}: {f.problem}" for f in engine.verify(deep=True) if f.severity > Severity.NOTE]


def quarantine(work: Damaged) -> list[Path]:
    folder = work.store / ".store/quarantine"
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "record.jsonl")


def test_a_sound_store_needs_no_repair_and_nothing_is_changed(work: Damaged) -> None:
    before = store_digest(work.store)
    engine = work.repo.engine()
    assert engine.plan_repair().steps == ()
    outcome = engine.repair()
    assert (outcome.steps, outcome.findings) == ((), ())
    assert store_digest(work.store) == before
    assert not (work.store / ".store/quarantine").exists()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", KINDS)
def test_repair_heals_or_sets_aside_and_a_second_one_has_nothing_to_do(work: Damaged, kind: str, way: str) -> None:
    path = choose(work, kind)
    WAYS[way](work.store / path)
    before = tree_digest(work.repo.root)
    damaged = (work.store / path).read_bytes() if (work.store / path).exists() else None
    whole = {name: text for name, text in store_digest(work.store).items() if name != bytes(path)}
    engine = work.repo.engine()
    try:
        plan = engine.plan_repair()
    except ChronosError as error:
        assert kind == "format", error
        return
    outcome = engine.repair(plan_id=plan.plan_id)
    assert outcome.steps[: len(plan.steps)] == plan.steps
    assert work.repo.engine().repair().steps == ()
    after = store_digest(work.store)
    assert {name: after.get(name) for name in whole if b"env_config" not in name} == {
        name: text for name, text in whole.items() if b"env_config" not in name
    } or kind in ("checkpoint.json", "fs_diff.patch.zst", "git_status.txt")
    if damaged is not None and outcome.steps and kind not in ("format", "operations", "journal"):
        assert damaged in [found.read_bytes() for found in quarantine(work)], "nothing is removed"
    if kind == "pack":
        assert restorable(work, work.repo.engine()) == work.wanted.keys()
        assert problems(work) == []
    assert tree_digest(work.repo.root) == before


def test_a_wrong_bit_in_a_manifest_or_member_is_mended(work: Damaged) -> None:
    before = store_digest(work.store)
    for name in ("checkpoint.json", "git_status.txt", "env_config.json"):
        flip(work.folder("second") / name, 0.3, bit=5)
    outcome = work.repo.engine().repair()
    assert [step.action for step in outcome.steps if step.action == "mend"]
    assert problems(work) == []
    assert store_digest(work.store) == before


def test_whole_chunks_of_a_damaged_pack_survive_without_any_other_source(work: Damaged) -> None:
    (pack,) = work.packs("second")
    forget_sources(work)
    drop_patches(work)
    flip(pack, 0.5)
    work.repo.engine().repair()
    names = [line for line in problems(work) if "content of" in line]
    assert names
    assert all("large.bin" in line for line in names)
    others = {work.by_name[name] for name in ("first",)}
    assert restorable(work, work.repo.engine()) >= others
    with work.repo.engine() as engine:
        engine.restore_checkpoint("second", paths=["only in second"])
    assert work.repo.read("only in second") == b"1 untracked\n" * 30


@pytest.mark.parametrize("part", ["header", "index", "count", "offset", "frames' hash", "end", "last 60 bytes"])
def test_chunks_are_found_in_a_pack_whose_index_or_footer_is_damaged(work: Damaged, part: str) -> None:
    forget_sources(work)
    drop_patches(work)
    for pack in (work.store / "main/packs").iterdir():
        data = bytearray(pack.read_bytes())
        places = {"header": 3, "index": -84 - 30, "count": -84 + 8, "offset": -84, "frames' hash": -60, "end": -2}
        if part == "last 60 bytes":
            data = data[:-60]
        else:
            data[places[part]] ^= 0x10
        pack.write_bytes(data)
    work.repo.engine().repair()
    assert [line for line in problems(work) if "patch" not in line] == []
    assert restorable(work, work.repo.engine()) == work.wanted.keys()


def test_a_content_whose_id_is_wrong_in_the_index_comes_back_from_the_pack_that_was_set_aside(work: Damaged) -> None:
    """The lists that name it lie in the same pack, so that nobody knows at first that it is wanted."""
    (pack,) = work.packs("second")
    forget_sources(work)
    drop_patches(work)
    wanted = digest(b"second\n" * 50)
    data = bytearray(pack.read_bytes())
    data[data.rindex(wanted) + 5] ^= 1
    pack.write_bytes(data)
    work.repo.engine().repair()
    assert [line for line in problems(work) if "patch" not in line] == []
    assert restorable(work, work.repo.engine()) == work.wanted.keys()


def lose(work: Damaged, *contents: bytes) -> None:
    """Zero the frames of these chunks in every pack, and leave all others whole."""
    for path in (work.store / "main/packs").iterdir():
        data = bytearray(path.read_bytes())
        for chunk_id, place in read_pack_index(path).chunks:
            if chunk_id in map(digest, contents):
                data[place.offset : place.offset + place.stored_bytes] = bytes(place.stored_bytes)
        path.write_bytes(data)


UNTRACKED, STAGED = b"3 untracked\n" * 30, b"only in the index\n" * 9


def from_tree(work: Damaged) -> None:
    drop_patches(work)
    work.repo.path("only in staged").rename(work.repo.path("another name"))
    work.repo.git("add", "-N", "another name")


def from_blob(work: Damaged) -> None:
    forget_sources_but_blobs(work)
    drop_patches(work)


def from_commit(work: Damaged) -> None:
    work.repo.commit("what was captured, and more")
    work.repo.git("rm", "-q", "only in staged")
    work.repo.commit("and gone again")
    drop_patches(work)


def from_patch(work: Damaged) -> None:
    forget_sources(work)


def forget_sources_but_blobs(work: Damaged) -> None:
    for path in work.repo.paths():
        work.repo.remove(path)


@pytest.mark.parametrize(
    ("leave", "content"),
    [(from_tree, UNTRACKED), (from_blob, STAGED), (from_commit, UNTRACKED), (from_patch, UNTRACKED)],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_lost_chunk_is_fetched_again_from_where_its_bytes_still_exist(
    work: Damaged, leave: Callable[[Damaged], None], content: bytes
) -> None:
    leave(work)
    lose(work, content)
    lost = [line for line in problems(work) if "content of" in line]
    assert lost
    outcome = work.repo.engine().repair()
    assert [step.subject for step in outcome.steps if step.action == "fetch"] == ["1 of 1 lost chunks"]
    assert [line for line in problems(work) if "content of" in line or "pack" in line] == []
    assert work.by_name["staged"] in restorable(work, work.repo.engine())


def test_a_lost_pack_comes_back_from_the_patch_with_the_list_that_named_its_paths(work: Damaged) -> None:
    forget_sources(work)
    work.repo.write("ignored.log", "never captured\n")  # its receipt row is the same again
    for pack in work.packs("wanted"):
        pack.unlink()
    work.repo.engine().repair()
    assert problems(work) == []
    assert restorable(work, work.repo.engine()) == work.wanted.keys()


def test_every_pack_is_lost_and_patches_and_tree_give_the_code_back(
    work: Damaged, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "get_kind", lambda _name: Plain())
    for pack in (work.store / "main/packs").iterdir():
        pack.unlink()
    work.repo.engine().repair()
    found = restorable(work, work.repo.engine())
    assert {work.by_name[name] for name in ("first", "second", "wanted")} <= found


def test_pieces_of_a_large_file_come_from_another_version_of_it(work: Damaged) -> None:
    forget_sources(work)
    drop_patches(work)
    pieces = list(FILE_PROFILE.cut(BytesIO(LARGE)))
    assert len(pieces) > 1
    lose(work, pieces[-1])
    assert any("large.bin" in line for line in problems(work))
    work.repo.write("large version 2.bin", b"a new beginning\n" + LARGE)
    work.repo.git("add", "-N", "large version 2.bin")
    work.repo.engine().repair()
    assert [line for line in problems(work) if "large.bin" in line] == []


class Plain:
    """A kind of memory store that reads one file."""

    def capture(self, place: Path, asked: CaptureWork) -> StoreState:
        file = MemoryFile(b"", content=asked.sink.add_bytes(place.read_bytes()))
        return StoreState("files", "x", [file])


def test_what_cannot_be_had_again_is_said_and_the_checkpoint_stays(work: Damaged) -> None:
    forget_sources(work)
    drop_patches(work)
    lose(work, b"first\n" * 50)
    outcome = work.repo.engine().repair()
    assert any(work.by_name["first"] in finding.subject for finding in outcome.findings)
    with work.repo.engine() as engine:
        assert work.by_name["first"] in [row.checkpoint_id for row in engine.list_checkpoints()]
    assert work.by_name["second"] in restorable(work, work.repo.engine())


def test_base_refs_are_written_again_where_the_commit_exists(work: Damaged) -> None:
    head = work.repo.head()
    (ref,) = work.repo.git("for-each-ref", "--format=%(refname)", "refs/chronos").split()
    work.repo.git("update-ref", "-d", ref)
    work.repo.engine().repair()
    assert work.repo.git("rev-parse", ref) == head
    other = work.repo.git("commit-tree", "-m", "other", f"{head}^{{tree}}")
    work.repo.git("update-ref", ref, other)
    work.repo.engine().repair()
    assert work.repo.git("rev-parse", ref) == head
    assert problems(work) == []


def test_the_record_says_where_everything_came_from(work: Damaged) -> None:
    path = work.folder("second") / "fs_diff.patch.zst"
    data = b"no patch at all"
    path.write_bytes(data)
    work.repo.engine().repair()
    (line,) = (work.store / ".store/quarantine/record.jsonl").read_bytes().splitlines()
    row = json.loads(strip_check(line))
    assert work.store / row["source"] == path
    assert (work.store / row["target"]).read_bytes() == data
    assert not path.exists()
    assert problems(work) == [], "it was said, and nothing needs it"
    shutil.move(work.store / row["target"], path)
    assert any("fs_diff.patch.zst" in line for line in problems(work))


def test_a_plan_that_is_not_the_one_that_was_shown_changes_nothing(work: Damaged) -> None:
    engine = work.repo.engine()
    plan = engine.plan_repair()
    flip(work.packs("first")[0], 0)
    before = store_digest(work.store)
    with pytest.raises(ChangedMeanwhileError):
        work.repo.engine().repair(plan_id=plan.plan_id)
    assert store_digest(work.store) == before


def test_a_damaged_change_record_is_set_aside_and_undo_steps_over_it(work: Damaged) -> None:
    with work.repo.engine() as engine:
        assert engine.status().can_undo is not None
    for record in (work.store / ".store/changes").iterdir():
        record.write_bytes(b"{")
    outcome = work.repo.engine().repair()
    assert [step.action for step in outcome.steps] == ["skip"] * len(outcome.steps) != []
    assert problems(work) == []
    with work.repo.engine() as engine:
        engine.undo()


def test_a_damaged_journal_is_set_aside_as_recover_does(work: Damaged) -> None:
    place = plant(work.repo, b"new.txt")
    place.write_bytes(b"garbage")
    work.repo.engine().repair()
    assert place.with_suffix(".damaged").read_bytes() == b"garbage"
    assert problems(work) == []


def test_memory_comes_back_from_its_live_place(work: Damaged, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kinds are asked as for a capture; here is one that reads a plain file."""
    forget_sources(work)
    drop_patches(work)
    data = b"what the agent remembers\n" * 40
    work.repo.write("data/memory/notes.bin", data)
    monkeypatch.setattr(sources, "get_kind", lambda _name: Plain())
    lose(work, data)
    assert any("memory store notes" in line for line in problems(work))
    work.repo.engine().repair()
    assert [line for line in problems(work) if "memory store" in line] == []


def test_the_store_of_a_plain_folder_is_repaired_too(folder: object, copy_of: Callable[[], Damaged]) -> None:
    from tests.support import RepoBuilder

    assert isinstance(folder, RepoBuilder)
    folder.write("a.txt", "first\n" * 30)
    with folder.engine() as engine:
        checkpoint = engine.create_checkpoint("first")
    (folder.store / ".git/config").write_bytes(b"[core\n")
    for pack in (folder.store / "main/packs").iterdir():
        pack.unlink()
    with folder.engine() as engine:
        subjects = " ".join(finding.subject for finding in engine.verify(deep=True))
        assert "inner repository" in subjects
        assert checkpoint in subjects
        engine.repair()
    folder.write("a.txt", "now\n")
    with folder.engine() as engine:
        assert [f for f in engine.verify(deep=True) if f.severity] == []
        engine.restore_checkpoint(checkpoint)
    assert folder.read("a.txt") == b"first\n" * 30


def test_a_format_file_with_one_wrong_byte_stops_nothing_and_is_written_again(work: Damaged) -> None:
    path = work.store / ".store/format"
    data = path.read_bytes()
    path.write_bytes(data[:8] + b"7" + data[9:])
    engine = work.repo.engine()
    engine.restore_checkpoint("first")
    assert any("format" in notice for notice in engine.notices)
    work.repo.engine().repair()
    assert path.read_bytes() == data
    path.write_bytes(b"\n".join(data.splitlines()[:2]).replace(b"chronos 1", b"chronos 7"))
    with pytest.raises(UnsupportedError):
        work.repo.engine().list_checkpoints()


def test_kinds_cover_the_store(work: Damaged) -> None:
    assert {kind_of(path) for path in stored_files(work.store)} <= set(KINDS)


@pytest.mark.parametrize("place", [0, 0.5, 0.96, 1])
def test_a_wrong_bit_in_the_declarations_is_mended(work: Damaged, place: float) -> None:
    path = work.store / ".store/memory.json"
    wanted = path.read_bytes()
    flip(path, place)
    outcome = work.repo.engine().repair()
    assert [step.action for step in outcome.steps] == ["mend"]
    assert path.read_bytes() == wanted


def test_declarations_that_cannot_be_mended_are_set_aside_and_said(work: Damaged) -> None:
    path = work.store / ".store/memory.json"
    path.write_bytes(b"{")
    outcome = work.repo.engine().repair()
    assert [step.action for step in outcome.steps] == ["set aside"]
    assert work.repo.engine().create_checkpoint("after")
