"""Writes that replace a file in one step, also when several threads do it at once."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from chronos.errors import ChronosError
from chronos.files import draft_of, remove_tree, replace_durably, sweep_drafts


@pytest.fixture
def place(tmp_path: Path) -> Path:
    found = tmp_path / "place"
    found.mkdir()
    return found


def test_threads_that_replace_one_file_do_not_take_each_others_drafts(place: Path) -> None:
    failures, gate = [], threading.Barrier(6)

    def write(number: int) -> None:
        gate.wait()
        for _ in range(5):
            try:
                replace_durably(place / "file", str(number).encode() * 5000)
            except ChronosError as error:
                failures.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == [] and len(set((place / "file").read_bytes())) == 1 and os.listdir(place) == ["file"]


def test_a_draft_of_a_thread_is_swept_when_its_process_is_gone(place: Path) -> None:
    names: list[Path] = []
    thread = threading.Thread(target=lambda: names.append(draft_of(place / "a.b")))
    thread.start()
    thread.join()
    (ours,) = names
    gone = [place / f".a.b.{2**22 + 1}-77.tmp", place / f".a.b.{2**22 + 1}.tmp"]
    kept = [ours, place / ".a.b.tmp", place / f".a.{2**22 + 1}-77.tmp"]
    for path in (*gone, *kept):
        path.write_bytes(b"")
    assert sweep_drafts(place, "a.b") == 2
    assert sorted(place.iterdir()) == sorted(kept)


@pytest.mark.parametrize("count", [3, 300])
def test_a_folder_goes_with_all_in_it_and_nothing_beside_it(place: Path, count: int) -> None:
    folder, kept = place / "ours", place / "kept"
    (folder / "inner").mkdir(parents=True)
    kept.mkdir()
    for number in range(count):
        for where in (folder, folder / "inner", kept):
            (where / str(number)).write_bytes(b"x")
    (folder / "to-a-folder").symlink_to(kept)
    (folder / "to-a-file").symlink_to(kept / "0")
    (folder / "inner").chmod(0o500)
    folder.chmod(0o500)
    remove_tree(folder)
    (place / "link").symlink_to(kept)
    remove_tree(place / "link")
    assert sorted(os.listdir(place)) == ["kept", "link"]
    assert len(os.listdir(kept)) == count
    remove_tree(folder)
