"""Plain files and folders as a store: bytes as they lie, nothing opened that could do harm, nothing lost on the way."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from chronos.errors import StoreChangedError, StoreInUseError
from chronos.memory.plain import FilesKind
from tests.memory.stores import MemoryPool, capture, marks, replace

KIND = FilesKind()
PROJECT = Path(__file__).parents[2]


@pytest.fixture
def pool() -> MemoryPool:
    return MemoryPool()


@pytest.fixture
def place(tmp_path: Path) -> Path:
    folder = tmp_path / "memory" / "notes"
    folder.mkdir(parents=True)
    (folder / "a.txt").write_text("a")
    return folder


def no_secrets(path: bytes, _size: int) -> str | None:
    return "secret" if path.rpartition(b"/")[2].startswith(b".env") else None


class Canary:
    """A pickle that tells on whoever loads it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return open, (str(self.path), "w")


def test_a_pickle_is_bytes_and_is_never_loaded(place: Path, pool: MemoryPool, tmp_path: Path) -> None:
    canary = tmp_path / "loaded"
    state_file = place / "agent.pkl"
    state_file.write_bytes(pickle.dumps(Canary(canary)))
    before = state_file.read_bytes()
    for own in (place, state_file):
        state = capture(KIND, own, pool)
        state_file.write_bytes(b"else")
        old = tmp_path / own.name
        old.mkdir()
        copy = KIND.write_out(old, state, pool.pieces)
        assert KIND.summarise(own)
        assert KIND.compare(copy, own, limit_s=5)
        replace(KIND, own, state, pool, tmp_path / f"trash-{own.name}")
        assert state_file.read_bytes() == before
    assert not canary.exists()


def test_links_are_links_and_are_never_followed(place: Path, pool: MemoryPool, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "private").write_text("not yours")
    (place / "to-folder").symlink_to(outside)
    (place / "dangling").symlink_to("nowhere")
    linked = place.with_name("linked")
    linked.symlink_to(outside)
    state = capture(KIND, place, pool)
    assert [(file.path, file.is_link) for file in state.files] == [
        (b"a.txt", False),
        (b"dangling", True),
        (b"to-folder", True),
    ]
    own = capture(KIND, linked, pool)
    assert [(file.path, file.is_link) for file in own.files] == [(b"", True)]
    linked.unlink()
    replace(KIND, linked, own, pool, tmp_path / "trash", expected=())
    assert os.readlink(linked) == str(outside)
    (place / "to-folder").unlink()
    (place / "to-folder").mkdir()
    replace(KIND, place, state, pool, tmp_path / "trash2")
    assert os.readlink(place / "to-folder") == str(outside)
    assert (outside / "private").read_text() == "not yours"


def test_what_cannot_be_captured_is_listed_and_survives_a_restore(
    place: Path, pool: MemoryPool, tmp_path: Path
) -> None:
    os.mkfifo(place / "fifo")
    (place / "deep").mkdir()
    channel = socket.socket(socket.AF_UNIX)
    channel.bind(str(place / "deep" / "s"))
    (place / ".env").write_text("TOKEN=1")
    (place / ".git").mkdir()
    (place / ".git" / "config").write_text("[core]")
    state = capture(KIND, place, pool, may_take=no_secrets)
    assert {(row.path, row.reason) for row in state.left_out} == {
        (b"fifo", "not a file"),
        (b"deep/s", "not a file"),
        (b".env", "secret"),
        (b".git", "unreadable"),
    }
    assert [file.path for file in state.files] == [b"a.txt"]
    assert not state.is_torn
    (place / "a.txt").write_text("b")
    (place / ".env.local").write_text("TOKEN=2")  # came later: no checkpoint has it either
    notes = replace(KIND, place, state, pool, tmp_path / "trash", expected=KIND.look(place), may_take=no_secrets)
    assert (place / "a.txt").read_text() == "a"
    assert (place / "fifo").is_fifo()
    assert (place / "deep" / "s").is_socket()
    assert (place / ".env").read_text() == "TOKEN=1"
    assert (place / ".env.local").read_text() == "TOKEN=2"
    assert (place / ".git" / "config").read_text() == "[core]"
    assert len([note for note in notes if note.endswith("is in no checkpoint and was kept")]) == 5
    replace(KIND, place, None, pool, tmp_path / "trash2", may_take=no_secrets)
    assert sorted(os.listdir(place)) == [".env", ".env.local", ".git", "deep", "fifo"]
    channel.close()


def test_what_has_no_room_any_more_is_put_aside_for_good(place: Path, pool: MemoryPool, tmp_path: Path) -> None:
    state = capture(KIND, place, pool)
    (place / "a.txt").unlink()
    os.mkfifo(place / "a.txt")
    (note,) = replace(KIND, place, state, pool, tmp_path / "trash")
    assert (place / "a.txt").read_text() == "a"
    assert (tmp_path / "trash.saved" / "0").is_fifo()
    assert str(tmp_path / "trash.saved" / "0") in note


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
def test_unreadable_files_are_listed_with_the_reason(place: Path, pool: MemoryPool, tmp_path: Path) -> None:
    for folder in (tmp_path, *tmp_path.parents):
        if folder != Path("/") and folder.stat().st_mode & 0o77 == 0:
            folder.chmod(0o711)
    (place / "mine").write_text("x")
    (place / "mine").chmod(0o600)
    (place / "shut").mkdir(mode=0o700)
    for path in (place.parent, place, place / "a.txt"):
        os.chown(path, 65534, 65534)
    os.seteuid(65534)
    try:
        state = capture(KIND, place, pool)
    finally:
        os.seteuid(0)
    denied = "Permission denied"
    assert [(row.path, row.reason, row.detail) for row in state.left_out] == [
        (b"mine", "unreadable", denied),
        (b"shut", "unreadable", denied),
    ]
    assert [file.path for file in state.files] == [b"a.txt"]


def test_odd_names_survive_the_trip(place: Path, pool: MemoryPool, tmp_path: Path) -> None:
    names = [b"new\nline", b"\xff\xfe", b" leading", b"-rf", b"tab\t", "naïve-ß".encode(), b"x" * 255, b"a\\b"]
    for name in names:
        with open(os.path.join(os.fsencode(place), name), "wb") as stream:
            stream.write(name)
    state = capture(KIND, place, pool)
    shutil.rmtree(place)
    replace(KIND, place, state, pool, tmp_path / "trash", expected=())
    for name in names:
        assert Path(os.fsdecode(os.path.join(os.fsencode(place), name))).read_bytes() == name
    assert len(KIND.summarise(place)) == len(names) + 1
    assert all(summary.name.isprintable() for summary in KIND.summarise(place))


def test_permissions_stay_those_of_what_is_replaced(place: Path, pool: MemoryPool, tmp_path: Path) -> None:
    place.chmod(0o700)
    (place / "a.txt").chmod(0o600)
    state = capture(KIND, place, pool)
    (place / "a.txt").write_text("b")
    replace(KIND, place, state, pool, tmp_path / "trash")
    assert (place.stat().st_mode & 0o777, (place / "a.txt").stat().st_mode & 0o777) == (0o700, 0o600)


def test_a_file_that_moves_while_it_is_read_is_read_again(place: Path, pool: MemoryPool, tmp_path: Path) -> None:
    writes = iter(range(2))

    def grow() -> None:
        if next(writes, None) is not None:
            with (place / "a.txt").open("a") as stream:
                stream.write("+")

    pool.on_file = grow
    state = capture(KIND, place, pool)
    assert (state.is_torn, state.notes) == (False, [])
    copy = tmp_path / "copy"
    copy.mkdir()
    KIND.write_out(copy, state, pool.pieces)
    assert (copy / "a.txt").read_text() == "a++"


def test_a_file_that_never_holds_still_is_torn_and_named(place: Path, pool: MemoryPool) -> None:
    def grow() -> None:
        with (place / "a.txt").open("a") as stream:
            stream.write("+")

    pool.on_file = grow
    state = capture(KIND, place, pool)
    assert (state.is_torn, state.notes) == (True, ["a.txt was written to all the while"])
    assert [file.path for file in state.files] == [b"a.txt"]


def test_files_that_come_and_go_meanwhile_are_seen(place: Path, pool: MemoryPool) -> None:
    (place / "b.txt").write_text("b")
    steps = iter([lambda: (place / "new").write_text("n"), (place / "b.txt").unlink])
    pool.on_file = lambda: next(steps, lambda: None)()
    state = capture(KIND, place, pool)
    assert not state.is_torn
    assert [file.path for file in state.files] == [b"a.txt", b"new"]


@pytest.mark.parametrize("is_replaced", [False, True])
def test_a_folder_that_is_removed_while_it_is_read_is_an_error(
    place: Path, pool: MemoryPool, is_replaced: bool
) -> None:
    def remove() -> None:
        place.rename(place.with_name("elsewhere"))
        if is_replaced:
            place.mkdir()

    pool.on_file = remove
    with pytest.raises(FileNotFoundError):
        capture(KIND, place, pool)


def test_an_empty_folder_is_an_empty_store(place: Path, pool: MemoryPool, tmp_path: Path) -> None:
    (place / "a.txt").unlink()
    assert KIND.look(place) != ()
    state = capture(KIND, place, pool)
    (place / "later").write_text("x")
    replace(KIND, place, state, pool, tmp_path / "trash")
    assert (place.is_dir(), os.listdir(place)) == (True, [])


def test_a_file_that_another_process_writes_is_refused_with_that_process(
    place: Path, pool: MemoryPool, tmp_path: Path
) -> None:
    state = capture(KIND, place, pool)
    script = "import sys, time\nwith open(sys.argv[1], 'a') as f:\n print('open', flush=True); sys.stdin.read()"
    argv = [sys.executable, "-c", script, str(place / "a.txt")]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout and process.stdin
        process.stdout.readline()
        before = marks(place)
        with pytest.raises(StoreInUseError) as refused:
            replace(KIND, place, state, pool, tmp_path / "trash", expected=state.looks)
        assert str(process.pid) in refused.value.message
        assert marks(place) == before
    with (place / "a.txt").open("rb"):  # reading is no use, and our own process is only told
        assert replace(KIND, place, state, pool, tmp_path / "trash") == []
    with (place / "a.txt").open("ab"):
        (note,) = replace(KIND, place, state, pool, tmp_path / "trash2")
    assert note.startswith("this process has a.txt open")


def test_a_change_in_the_moment_of_the_move_puts_everything_back(
    place: Path, pool: MemoryPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = capture(KIND, place, pool)
    rename = os.rename

    def write_first(source: Path, target: Path) -> None:
        if str(target).endswith(".aside"):
            (place / "a.txt").write_text("the last word")
        rename(source, target)

    monkeypatch.setattr(os, "rename", write_first)
    with pytest.raises(StoreChangedError):
        replace(KIND, place, state, pool, tmp_path / "trash", expected=state.looks)
    assert (place / "a.txt").read_text() == "the last word"
    assert os.listdir(place.parent) == [place.name]


def test_somebody_who_takes_the_place_in_the_moment_of_the_change_keeps_it(
    place: Path, pool: MemoryPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = capture(KIND, place, pool)
    (place / "a.txt").write_text("old")
    rename = os.rename

    def take_place(source: Path, target: Path) -> None:
        rename(source, target)
        if str(target).endswith(".aside"):
            place.mkdir()
            (place / "newcomer").write_text("mine")

    monkeypatch.setattr(os, "rename", take_place)
    with pytest.raises(StoreChangedError) as refused:
        replace(KIND, place, state, pool, tmp_path / "trash")
    assert (place / "newcomer").read_text() == "mine"
    assert os.listdir(place.parent) == [place.name]
    saved = tmp_path / "trash.saved" / "0"
    assert str(saved) in refused.value.message
    assert (saved / "a.txt").read_text() == "old"


def test_each_file_is_compared_by_its_bytes(place: Path, tmp_path: Path) -> None:
    old = tmp_path / "old"
    shutil.copytree(place, old)
    (place / "a.txt").write_text("b")
    (place / "new").write_text("n")
    (old / "gone").write_text("g")
    (old / "link").symlink_to("x")
    (place / "link").symlink_to("y")
    found = {d.name: (d.status, d.added, d.removed, d.changed) for d in KIND.compare(old, place, limit_s=5)}
    assert found == {
        "a.txt": ("M", 0, 0, 1),
        "gone": ("D", 0, 1, 0),
        "link": ("M", 0, 0, 1),
        "new": ("A", 1, 0, 0),
    }
    late = {d.name: d.changed for d in KIND.compare(old, place, limit_s=-1)}
    assert late == {"a.txt": None, "gone": 0, "link": None, "new": 0}


class TestDatabasesInside:
    """A SQLite database in a folder store: we must not take its locks away by closing it."""

    @pytest.fixture
    def database(self, place: Path) -> Path:
        path = place / "inner.db"
        connection = sqlite3.connect(path)
        connection.executescript("CREATE TABLE t (x); INSERT INTO t VALUES (1);")
        connection.close()
        return path

    def test_it_is_said_every_time(self, place: Path, database: Path, pool: MemoryPool) -> None:
        from chronos.stat_cache import StatCache

        stats = StatCache({}, started_ns=2**62)
        for known in ({}, stats.fresh):
            state = capture(KIND, place, pool, stats=StatCache(known, stats.fresh, started_ns=2**62))
            assert state.notes == [
                "inner.db is a SQLite database: declare it as a store of its own (`chrono memory add`)"
            ]
        assert stats.fresh

    @pytest.mark.parametrize("mode", ["delete", "wal"])
    def test_the_locks_of_the_same_process_outlive_every_step(
        self, place: Path, database: Path, pool: MemoryPool, tmp_path: Path, mode: str
    ) -> None:
        script = """
import sqlite3, subprocess, sys
from pathlib import Path
from tests.memory.stores import *
place, scratch, mode = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
own = sqlite3.connect(place / "inner.db", isolation_level=None)
own.execute(f"PRAGMA journal_mode={mode}")
own.execute("BEGIN IMMEDIATE"); own.execute("INSERT INTO t VALUES (2)")
kind, pool = get_kind("files"), MemoryPool()
for _ in range(3):
    state = capture(kind, place, pool)
    assert kind.compare(place, place, limit_s=5) == [] and kind.summarise(place)
foreign = "import sqlite3, sys; sqlite3.connect(sys.argv[1], timeout=0).execute('INSERT INTO t VALUES (3)')"
done = subprocess.run([sys.executable, "-c", foreign, str(place / "inner.db")], capture_output=True, text=True)
assert "database is locked" in done.stderr, done.stderr
own.execute("COMMIT")
files = [(file.path, file.fd) for file in __import__("psutil").Process().open_files()]
print(sum(path.endswith("inner.db") for path, _ in files))
"""
        argv = [sys.executable, "-c", script, str(place), str(tmp_path), mode]
        done = subprocess.run(argv, cwd=PROJECT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert int(done.stdout) == 2  # the application's and ours, however often it was read

    def test_a_file_that_is_none_is_closed(self, place: Path, pool: MemoryPool) -> None:
        (place / "big").write_bytes(b"SQLite format 4\0" * 4096)
        before = len(os.listdir("/proc/self/fd"))
        state = capture(KIND, place, pool)
        assert (len(os.listdir("/proc/self/fd")), state.notes) == (before, [])


def test_a_state_file_that_is_written_by_rename_is_one_of_its_versions(tmp_path: Path, pool: MemoryPool) -> None:
    place = tmp_path / "state.json"
    script = (
        "import json, os, sys\n"
        "n = 0\n"
        "while not os.path.exists(sys.argv[1] + '.stop'):\n"
        "    n += 1\n"
        "    with open(sys.argv[1] + '.new', 'w') as f: json.dump({'n': n, 'list': [n] * 5000}, f)\n"
        "    os.rename(sys.argv[1] + '.new', sys.argv[1])\n"
        "    if n == 1: print('go', flush=True)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script, str(place)], stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        states = [capture(KIND, place, pool) for _ in range(50)]
        Path(f"{place}.stop").touch()
    for state in states:
        (file,) = state.files
        assert file.content is not None
        document = json.loads(b"".join(pool.pieces(file.content)))
        assert document["list"] == [document["n"]] * 5000
