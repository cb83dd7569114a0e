"""Stores of one plain file each are known again by the stat of their file, for as long as that says all."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from chronos.memory import CaptureWork, StoreState
from chronos.memory.plain import FilesKind
from tests.support import RepoBuilder
from tests.support.roundtrip import receipt_of

NAMES = [f"data/memory/note{number}.md" for number in range(3)]


@pytest.fixture
def known(repo: RepoBuilder) -> RepoBuilder:
    """A repository whose loose files a checkpoint has met when they were settled."""
    for name in (*NAMES, "data/memory/server.pem"):
        repo.write(name, name)
    repo.write(".chronoinclude", "server.pem\n")
    repo.commit()
    time.sleep(0.1)  # longer than a tick: what is written later shows
    repo.engine().create_checkpoint("first")
    return repo


def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the list to which the names of all places are added that are captured anew."""
    names, capture = [], FilesKind.capture

    def noted(self: FilesKind, place: Path, work: CaptureWork) -> StoreState:
        names.append(place.name)
        return capture(self, place, work)

    monkeypatch.setattr(FilesKind, "capture", noted)
    return names


def test_only_a_loose_file_that_changed_is_captured_anew(known: RepoBuilder, monkeypatch: pytest.MonkeyPatch) -> None:
    engine, captured = known.engine(), reads(monkeypatch)
    first = engine.create_checkpoint("nothing changed")
    assert captured == []
    known.write(NAMES[1], "changed")
    second = engine.create_checkpoint("one changed")
    assert captured == ["note1.md"]
    monkeypatch.undo()
    engine.restore_checkpoint(first)
    assert known.read(NAMES[1]) == NAMES[1].encode()
    engine.restore_checkpoint(second)
    assert known.read(NAMES[1]) == b"changed"


def test_a_loose_file_that_the_rules_no_longer_let_in_is_left_out(known: RepoBuilder) -> None:
    engine = known.engine()
    assert "data/memory/server.pem" not in receipt_of(engine, engine.create_checkpoint("let in"))
    known.remove(".chronoinclude")
    checkpoint = known.engine().create_checkpoint("left out")
    assert receipt_of(known.engine(), checkpoint)["data/memory/server.pem"] == "secret"


def test_a_loose_file_that_the_pool_lost_is_captured_anew(known: RepoBuilder) -> None:
    for pack in (known.store / "main/packs").iterdir():
        pack.unlink()
    checkpoint = known.engine().create_checkpoint("again")
    for name in NAMES:
        known.write(name, "changed")
    known.engine().restore_checkpoint(checkpoint)
    assert [known.read(name).decode() for name in NAMES] == NAMES


def test_a_loose_file_that_became_a_folder_is_captured_as_one(known: RepoBuilder) -> None:
    known.remove(NAMES[0])
    known.write(f"{NAMES[0]}/page.md", "a page")
    checkpoint = known.engine().create_checkpoint("a folder")
    known.write(f"{NAMES[0]}/page.md", "another")
    known.engine().restore_checkpoint(checkpoint)
    assert known.read(f"{NAMES[0]}/page.md") == b"a page"
