"""Damaged lessons: set aside and never deleted, and what can still be read is there."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from historian.lessons import LessonsStore


def learn(folder: Path) -> LessonsStore:
    with LessonsStore(folder) as store:
        for number in range(3):
            store.add_lesson(f"migrate {number}", "did it", "FAILURE: ValueError: x")
        store.promote(store.search("migrate 1")[0].lesson_id)
    return LessonsStore(folder)


def garbage(path: Path) -> None:
    for file in [path] if path.is_file() else [one for one in path.rglob("*") if one.is_file()]:
        file.write_bytes(b"\0garbage\xff" * 50)


def cut(path: Path) -> None:
    for file in [path] if path.is_file() else [one for one in path.rglob("*") if one.is_file()]:
        os.truncate(file, file.stat().st_size // 2)


def newer_manifest(path: Path) -> None:
    """What a LanceDB of the future could write: a manifest that this one cannot read."""
    for file in path.rglob("*.manifest"):
        data = bytearray(file.read_bytes())
        data[:4] = b"\xff\xff\xff\x7f"
        data[-8:-4] = b"\x63\x00\x63\x00"
        file.write_bytes(bytes(data))


def gone(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()


@pytest.mark.parametrize("damage", [garbage, cut, newer_manifest])
def test_an_index_that_cannot_be_read_is_set_aside(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    store = learn(tmp_path / "lessons")
    damage(store.folder / "index")
    assert len(store.search("migrate")) == 3
    assert any("set" in notice or "index" in notice for notice in store.notices)
    aside = os.listdir(store.folder / "set-aside")
    assert any(name.endswith("-index") for name in aside) and any(name.endswith(".txt") for name in aside)
    store.add_lesson("migrate after", "did it", "SUCCESS")
    fresh = LessonsStore(store.folder)
    assert len(fresh.search("migrate")) == 4 and fresh.notices == []


def test_an_index_that_is_gone_is_made_again_without_a_word(tmp_path: Path) -> None:
    store = learn(tmp_path / "lessons")
    gone(store.folder / "index")
    assert len(store.search("migrate")) == 3 and store.notices == []


@pytest.mark.parametrize("damage", [garbage, cut])
def test_a_register_that_cannot_be_read_is_set_aside(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    store = learn(tmp_path / "lessons")
    damage(store.folder / "register.sqlite")
    assert len(store.list_lessons()) == 3 and store.list_lessons()[0].standing == 1
    assert len(store.search("migrate")) == 3
    assert "set aside" in store.notices[0]


@pytest.mark.parametrize("damage", [garbage, cut, gone])
def test_what_the_log_has_lost_comes_from_the_register(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    store = learn(tmp_path / "lessons")
    damage(store.folder / "lessons.jsonl")
    assert len(store.list_lessons()) == 3 and store.list_lessons()[0].standing == 1
    assert "mended" in store.notices[0]
    assert damage is gone or any("lessons.jsonl" in name for name in os.listdir(store.folder / "set-aside"))
    gone(store.folder / "register.sqlite")
    assert len(LessonsStore(store.folder).list_lessons()) == 3, "the log itself has them again"


def test_one_bad_line_costs_one_line(tmp_path: Path) -> None:
    store = learn(tmp_path / "lessons")
    path = store.folder / "lessons.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], lines[2].replace(b"migrate", b"mibrate"), *lines[3:]]))
    gone(store.folder / "register.sqlite")
    assert len(store.list_lessons()) == 2
    assert "1 lines" in store.notices[0] and b"mibrate" in path.read_bytes()


def test_a_folder_full_of_garbage_is_kept_aside_and_work_goes_on(tmp_path: Path) -> None:
    store = learn(tmp_path / "lessons")
    garbage(store.folder)
    store.add_lesson("after all that", "did it", "SUCCESS")
    assert [one.situation for one in store.search("after all")] == ["after all that"]
    aside = b"".join(one.read_bytes() for one in (store.folder / "set-aside").rglob("*") if one.is_file())
    assert aside.count(b"garbage") >= 100 and store.notices


def test_a_folder_that_cannot_be_written_can_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = learn(tmp_path / "lessons")
    gone(store.folder / "register.sqlite")
    before = sorted(os.listdir(store.folder))
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)  # root may write everywhere
    assert len(store.list_lessons()) == 3 and len(store.search("migrate")) == 3
    assert "without an index" in store.notices[0]
    assert sorted(os.listdir(store.folder)) == before
