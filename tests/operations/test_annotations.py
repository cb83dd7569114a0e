"""Pins and tags: said of a sealed checkpoint, kept in the log, no operation, and there again without the catalog."""

from __future__ import annotations

import os

import pytest

from chronos.checkpoints import Trigger
from chronos.errors import BadNameError, UnknownCheckpointError
from tests.support import RepoBuilder, store_digest


@pytest.fixture
def work(repo: RepoBuilder) -> RepoBuilder:
    repo.write("a.txt", "a\n")
    repo.commit()
    repo.write("new.bin", os.urandom(1000))
    repo.engine().create_checkpoint("wanted", tags=["first"])
    return repo


def test_a_pin_and_tags_show_everywhere_and_change_no_sealed_file(work: RepoBuilder) -> None:
    engine, sealed = work.engine(), store_digest(work.store)
    engine.pin_checkpoint("wanted")
    row = engine.tag_checkpoint("wanted", ["green", "release"])
    assert (row.pinned, row.tags) == (True, ("first", "green", "release"))
    assert engine.list_checkpoints() == [row]
    assert engine.show_checkpoint("wanted").row == row
    assert engine.search_checkpoints("relea") == [row]
    assert engine.tag_checkpoint("wanted", ["first", "green"], remove=True).tags == ("release",)
    assert engine.pin_checkpoint("wanted", pinned=False).pinned is False
    assert store_digest(work.store) == sealed


def test_a_prompt_at_a_state_that_is_held_is_said_of_the_checkpoint_that_has_it(work: RepoBuilder) -> None:
    engine, sealed = work.engine(), store_digest(work.store)
    for lines in ("prompt: look\nsession: 1", "prompt: go on\nsession: 1", "prompt: look\nsession: 1"):
        created = engine.take_checkpoint("prompt", lines, trigger=Trigger.AUTOMATIC, is_prompt=True)
        assert not created.created
    (row,) = engine.list_checkpoints()
    assert row.description == "prompt: look\nsession: 1\nprompt: go on\nsession: 1"
    assert (row.name, row.tags) == ("wanted", ("first",))
    assert engine.search_checkpoints("go on") == [row]
    assert store_digest(work.store) == sealed
    engine.close()
    (work.store / ".store/catalog.sqlite").unlink()
    assert work.engine().list_checkpoints() == [row]


def test_annotations_survive_the_loss_of_the_catalog(work: RepoBuilder) -> None:
    engine = work.engine()
    engine.pin_checkpoint("wanted")
    row = engine.tag_checkpoint("wanted", ["kept", "gone"])
    row = engine.tag_checkpoint("wanted", ["gone"], remove=True)
    engine.close()
    for path in (work.store / ".store").glob("catalog.sqlite*"):
        path.unlink()
    assert work.engine().list_checkpoints() == [row]
    assert work.engine().verify() == []


def test_what_another_process_said_is_seen_at_once(work: RepoBuilder) -> None:
    one, other = work.engine(), work.engine()
    assert not other.list_checkpoints()[0].pinned
    one.pin_checkpoint("wanted")
    assert other.list_checkpoints()[0].pinned


def test_an_annotation_that_no_catalog_learned_of_before_a_crash_counts(work: RepoBuilder) -> None:
    engine = work.engine()
    checkpoint = engine.list_checkpoints()[0].checkpoint_id
    line = f'{{"annotation":"0123456789ab","kind":"pin","checkpoint":"{checkpoint}","at":"2026-01-01T00:00:00Z"}}\n'
    with open(work.store / ".store/operations.jsonl", "a") as log:
        log.write(line + '{"annotation": "cut sh')
    assert engine.list_checkpoints()[0].pinned
    assert engine.create_checkpoint("next")
    assert engine.verify() == []


def test_annotations_are_no_operations_and_undo_passes_them_by(work: RepoBuilder) -> None:
    engine = work.engine()
    before = engine.list_operations()
    engine.pin_checkpoint("wanted")
    engine.tag_checkpoint("wanted", ["a tag"])
    assert engine.list_operations() == before
    assert engine.undo().summary == "undo create wanted"
    engine.redo()
    assert engine.list_checkpoints()[0].pinned


def test_an_annotation_of_a_later_release_stops_nothing(work: RepoBuilder) -> None:
    with open(work.store / ".store/operations.jsonl", "a") as log:
        log.write('{"annotation": "0123456789ab", "kind": "mood", "of": {"by": "a later release"}}\n')
    engine = work.engine()
    assert engine.verify() == []
    engine.undo()
    assert engine.gc().problems == []


def test_what_is_said_already_is_not_written_again(work: RepoBuilder) -> None:
    engine, log = work.engine(), work.store / ".store/operations.jsonl"
    engine.pin_checkpoint("wanted")
    size = log.stat().st_size
    engine.pin_checkpoint("wanted")
    engine.tag_checkpoint("wanted", ["first"])
    engine.tag_checkpoint("wanted", ["unheard of"], remove=True)
    assert log.stat().st_size == size


@pytest.mark.parametrize("tag", ["", "-x", "../up", "a\0b", "x" * 200])
def test_a_bad_tag_is_refused_and_nothing_is_written(work: RepoBuilder, tag: str) -> None:
    engine, log = work.engine(), work.store / ".store/operations.jsonl"
    before = log.read_bytes()
    with pytest.raises(BadNameError):
        engine.tag_checkpoint("wanted", ["good", tag])
    with pytest.raises(UnknownCheckpointError):
        engine.pin_checkpoint("unheard of")
    assert log.read_bytes() == before


def test_a_log_that_was_put_back_from_a_backup_says_what_holds(work: RepoBuilder) -> None:
    engine, log = work.engine(), work.store / ".store/operations.jsonl"
    old = log.read_bytes()
    engine.pin_checkpoint("wanted")
    assert engine.list_checkpoints()[0].pinned
    log.write_bytes(old)
    assert not engine.list_checkpoints()[0].pinned
    assert engine.verify() == []


def test_each_wrong_byte_of_a_pin_is_found_and_keeps_gc_from_taking_the_checkpoint(work: RepoBuilder) -> None:
    work.engine().pin_checkpoint("wanted")
    log = work.store / ".store/operations.jsonl"
    text = log.read_bytes()
    start = text.index(b'{"annotation"')
    for place in range(start, len(text) - 1, 5):
        log.write_bytes(text[:place] + bytes([text[place] ^ 1]) + text[place + 1 :])
        engine = work.engine()
        assert [one for one in engine.verify() if "operations.jsonl" in one.subject + one.problem], text[place:]
        if place % 25 == 0:
            assert engine.plan_gc().obstacles
        engine.close()
