"""Descriptors that must stay open, who has a file open, and moves to another file system."""

from __future__ import annotations

import errno
import os
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from chronos.file_users import find_users, name_users
from chronos.files import SafeRoot, is_database, move_away
from chronos.locks import is_unwritten


def open_descriptors(path: Path) -> int:
    about, count = path.stat(), 0
    for name in os.listdir("/proc/self/fd"):
        try:
            found = os.stat(f"/proc/self/fd/{name}")
        except OSError:
            continue
        count += (found.st_dev, found.st_ino) == (about.st_dev, about.st_ino)
    return count


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "own.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE t (x)")
    connection.close()
    return path


def test_a_database_is_opened_once_for_good_and_read_from_its_start(database: Path) -> None:
    with SafeRoot(database.parent) as tree:
        for _ in range(5):
            with tree.reading(b"own.db") as descriptor:
                assert is_database(descriptor)
                assert os.read(descriptor, 1 << 20) == database.read_bytes()
    # reading it here with Path closed descriptors: nobody has locks in this test
    assert open_descriptors(database) == 1


def test_threads_take_turns_with_one_that_is_kept(database: Path) -> None:
    whole = database.read_bytes()
    wrong: list[int] = []

    def read() -> None:
        with SafeRoot(database.parent) as tree:
            for _ in range(50):
                with tree.reading(b"own.db") as descriptor:
                    data = b"".join(iter(lambda: os.read(descriptor, 1000), b""))
                    wrong.extend([len(data)] if data != whole else [])

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_an_empty_file_that_becomes_a_database_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "new.db"
    path.touch()
    with SafeRoot(tmp_path) as tree, tree.reading(b"new.db") as descriptor:
        assert not is_database(descriptor)
        connection = sqlite3.connect(path)
        connection.execute("CREATE TABLE t (x)")
        connection.close()
    assert open_descriptors(path) == 1


def test_other_files_are_closed_and_what_is_no_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"text")
    (tmp_path / "link").symlink_to("file")
    os.mkfifo(tmp_path / "fifo")
    with SafeRoot(tmp_path) as tree:
        with tree.reading(b"file") as descriptor:
            assert os.read(descriptor, 10) == b"text"
        assert open_descriptors(tmp_path / "file") == 0
        for name, code in ((b"link", errno.ELOOP), (b"fifo", errno.EINVAL), (b"none", errno.ENOENT)):
            with pytest.raises(OSError) as refused, tree.reading(name):
                pass
            assert refused.value.errno == code


def test_users_of_a_file_are_told_by_its_inode(tmp_path: Path) -> None:
    path, alias = tmp_path / "file", tmp_path / "alias"
    path.write_bytes(b"x")
    alias.hardlink_to(path)
    script = "import sys\nwith open(sys.argv[1], sys.argv[2]): print('open', flush=True); sys.stdin.read()"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    argv = [sys.executable, "-c", script, str(alias)]
    with subprocess.Popen([*argv, "ab"], **pipes) as writer, subprocess.Popen([*argv, "rb"], **pipes) as reader:
        for process in (writer, reader):
            assert process.stdout
            process.stdout.readline()
        with path.open("rb"):
            found = find_users([path, tmp_path / "nothing"])
        assert {(user.process_id, user.is_writing, user.is_self) for user in found} == {
            (writer.pid, True, False),
            (reader.pid, False, False),
            (os.getpid(), False, True),
        }
        assert {user.path for user in found} == {path}
        for process in (writer, reader):
            process.communicate()
    assert find_users([path]) == []


def test_a_file_is_unwritten_while_nobody_can_write_to_it(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 4096)
    script = """
import mmap, sys
with open(sys.argv[1], "rb" if sys.argv[2] == "reads" else "r+b") as file:
    mapped = mmap.mmap(file.fileno(), 0) if sys.argv[2] == "maps" else None
    if mapped:
        file.close()
    print("open", flush=True)
    sys.stdin.read()
"""
    found = {}
    for deed in ("reads", "writes", "maps"):
        argv = [sys.executable, "-c", script, str(path), deed]
        with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            assert process.stdout
            process.stdout.readline()
            with path.open("rb") as file:
                found[deed] = is_unwritten(file.fileno())
            process.communicate()
    assert (found["writes"], found["maps"]) == (False, False)
    with path.open("rb") as file, path.open("ab"):
        assert not is_unwritten(file.fileno())
    if sys.platform == "linux":
        assert found["reads"]


def test_a_process_is_named_once_however_often_it_has_files_open(tmp_path: Path) -> None:
    paths = [tmp_path / "one", tmp_path / "two"]
    for path in paths:
        path.write_bytes(b"x")
    with paths[0].open("rb"), paths[1].open("rb"), paths[1].open("ab"):
        found = find_users(paths)
    assert [(user.process_id, user.path, user.is_writing) for user in found] == [(os.getpid(), paths[1], True)]
    assert name_users(found).count(str(os.getpid())) == 1


def test_a_move_to_another_file_system_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    (source / ".git" / "deep").mkdir(parents=True)
    (source / ".git" / "deep" / "file").write_bytes(os.urandom(3 << 20))
    (source / ".git" / "deep").chmod(0o750)
    (source / "tool").write_text("x")
    (source / "tool").chmod(0o711)
    (source / "link").symlink_to("nowhere")
    os.mkfifo(source / "fifo")
    whole = (source / ".git" / "deep" / "file").read_bytes()
    rename = os.rename

    def refuse(old: Path, new: Path) -> None:
        if Path(old) == source:
            raise OSError(errno.EXDEV, "another file system")
        rename(old, new)

    monkeypatch.setattr(os, "rename", refuse)
    move_away(source, target)
    assert not source.exists()
    assert (target / ".git" / "deep" / "file").read_bytes() == whole
    assert (target / ".git" / "deep").stat().st_mode & 0o777 == 0o750
    assert (target / "tool").stat().st_mode & 0o777 == 0o711
    assert os.readlink(target / "link") == "nowhere"
    assert sorted(os.listdir(target)) == [".git", "link", "tool"]
