"""SafeRoot: nothing is read or written outside the root, through no link, under no spelling of git's folder."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from chronos.errors import BadPathError
from chronos.files import SafeRoot, check_tree_path, display, from_text, parse_tree_path, to_text
from tests.support import tree_digest

UNSAFE = [
    b"", b"/", b"/etc/passwd", b"..", b"../x", b"a/..", b"a/../b", b".", b"./a", b"a/./b", b"a//b", b"a/", b"//a",
    b"a\0b", b".git", b".git/config", b"a/.git", b"a/.git/hooks/x", b".GIT/x", b".Git", b"a/.gIt/x", b"git~1",
    b"GIT~1/x", b".git ", b".git.", b".git. . /x", b".git::$INDEX_ALLOCATION", b".git:stream", ".g\u200cit".encode(),
    "\ufeff.git/x".encode(), ".gi\u200ft".encode(), ".G\u200dIT/x".encode(), b"x" * 256, b"/".join([b"dd"] * 2000),
]  # fmt: skip
SAFE = [
    b"a", b"a/b", b".gitignore", b".gitattributes", b".gitmodules", b".github/x", b"git", b"git~", b"x.git", b"x.git/y",
    b"...", b"..a", b"a..", b"-rf", b"a\nb", b"\xff\xfe", b" ", b"a:b", b"CON", b"back\\slash", b"x" * 255,
    ".g\u0456t/x".encode(),
]  # fmt: skip


@pytest.fixture
def top(tmp_path: Path) -> Path:
    (tmp_path / "root").mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/secret.txt").write_text("secret\n")
    return tmp_path


@pytest.mark.parametrize("path", UNSAFE, ids=lambda path: ascii(path[:24]))
def test_an_unsafe_path_is_refused_by_every_verb(top: Path, path: bytes) -> None:
    before = tree_digest(top)
    with pytest.raises(BadPathError):
        check_tree_path(path)
    with SafeRoot(top / "root") as tree:
        for call in (
            lambda: tree.find_stat(path),
            lambda: tree.open_file(path),
            lambda: tree.read_link(path),
            lambda: tree.write_file(path, [b"x"], executable=True),
            lambda: tree.write_link(path, b"x"),
            lambda: tree.move_out(path, top / "moved"),
            lambda: tree.remove_folder(path),
        ):
            with pytest.raises(BadPathError):
                call()
    assert tree_digest(top) == before


@pytest.mark.parametrize("path", SAFE, ids=lambda path: ascii(path[:24]))
def test_a_safe_path_is_written_and_read_under_its_own_name(top: Path, path: bytes) -> None:
    with SafeRoot(top / "root") as tree:
        tree.make_parents(path)
        tree.write_file(path, [b"one ", b"two"], executable=False)
        with open(tree.open_file(path), "rb") as stream:
            assert stream.read() == b"one two"
    assert set(tree_digest(top / "root")) == {path}


@pytest.mark.parametrize("target", ["../outside", "absolute", "inside"])
def test_no_folder_on_the_way_may_be_a_link(top: Path, target: str) -> None:
    root = top / "root"
    (root / "real").mkdir()
    (root / "real/secret.txt").write_text("mine\n")
    (root / "link").symlink_to({"absolute": str(top / "outside"), "inside": "real"}.get(target, target))
    before = tree_digest(top)
    with SafeRoot(root) as tree:
        assert tree.find_stat(b"link/secret.txt") is None
        for call in (
            lambda: tree.open_file(b"link/secret.txt"),
            lambda: tree.write_file(b"link/new.txt", [b"x"], executable=False),
            lambda: tree.write_link(b"link/new", b"x"),
            lambda: tree.move_out(b"link/secret.txt", top / "moved"),
            lambda: tree.make_parents(b"link/deeper/x"),
            lambda: tree.list_folder(b"link"),
        ):
            with pytest.raises(OSError):
                call()
    assert tree_digest(top) == before


def test_a_link_itself_is_neither_opened_nor_followed(top: Path) -> None:
    (top / "root/link").symlink_to("../outside/secret.txt")
    with SafeRoot(top / "root") as tree:
        with pytest.raises(OSError):
            tree.open_file(b"link")
        assert tree.read_link(b"link") == b"../outside/secret.txt"
        tree.move_out(b"link", top / "moved")
    assert os.readlink(top / "moved") == "../outside/secret.txt"
    assert (top / "outside/secret.txt").read_text() == "secret\n"


def test_nothing_that_stands_there_is_ever_overwritten(top: Path) -> None:
    root = top / "root"
    (root / "file").write_text("mine\n")
    (root / "folder").mkdir()
    (root / "link").symlink_to("nowhere")
    os.mkfifo(root / "pipe")
    before = tree_digest(top)
    with SafeRoot(root) as tree:
        for name in (b"file", b"folder", b"link", b"pipe"):
            with pytest.raises(FileExistsError):
                tree.write_file(name, [b"x"], executable=False)
            with pytest.raises(FileExistsError):
                tree.write_link(name, b"x")
    assert tree_digest(top) == before, "and no temporary name is left"


def test_a_write_that_fails_half_way_leaves_nothing(top: Path) -> None:
    def pieces() -> object:
        yield b"first"
        raise OSError(28, "No space left on device")

    with SafeRoot(top / "root") as tree, pytest.raises(OSError):
        tree.write_file(b"new.txt", pieces(), executable=False)  # type: ignore[arg-type]
    assert tree_digest(top / "root") == {}


def test_a_folder_that_was_moved_away_is_missed_once_the_root_is_asked_again(top: Path) -> None:
    (top / "root/a/b").mkdir(parents=True)
    (top / "root/a/b/file").write_bytes(b"x")
    with SafeRoot(top / "root") as tree:
        assert tree.find_stat(b"a/b/file") is not None
        (top / "root/a").rename(top / "outside/a")
        tree.forget()
        assert tree.find_stat(b"a/b/file") is None
        tree.make_parents(b"a/b/file")
        tree.write_file(b"a/b/file", [b"y"], executable=False)
    assert (top / "outside/a/b/file").read_bytes() == b"x"


def test_few_folders_are_held_open_however_deep_a_path_is(top: Path) -> None:
    deep = b"/".join([b"d"] * 60)
    before = len(os.listdir("/dev/fd"))
    with SafeRoot(top / "root") as tree:
        for path in (deep + b"/f", deep.removesuffix(b"/d/d/d") + b"/e/f", b"d/x", deep + b"/g"):
            tree.make_parents(path)
            tree.write_file(path, [path], executable=False)
            assert len(os.listdir("/dev/fd")) - before < 10
        assert tree.find_stat(deep.removesuffix(b"/d/d/d") + b"/e/f") is not None
    assert (top / "root" / os.fsdecode(deep) / "g").read_bytes() == deep + b"/g"
    assert (top / "root/d/x").read_bytes() == b"d/x"
    assert len(os.listdir("/dev/fd")) == before


def test_a_fifo_does_not_block(top: Path) -> None:
    os.mkfifo(top / "root/pipe")
    with SafeRoot(top / "root") as tree:
        found = tree.find_stat(b"pipe")
        assert found is not None
        assert found.kind.value == "special"
        with pytest.raises(OSError):
            tree.open_file(b"pipe")


def test_swapping_a_folder_for_a_link_never_lets_a_write_out(top: Path) -> None:
    # faults.md: thousands of writes escaped in five seconds with realpath-then-open.
    root, done = top / "root", threading.Event()
    (root / "folder").mkdir()

    def swap() -> None:
        while not done.is_set():
            os.rename(root / "folder", root / "aside")
            os.symlink("../outside", root / "folder")
            os.unlink(root / "folder")
            os.rename(root / "aside", root / "folder")

    swapper = threading.Thread(target=swap)
    swapper.start()
    written = 0
    try:
        for number in range(3000):
            with SafeRoot(root) as tree:
                try:
                    tree.write_file(b"folder/%d" % number, [b"x"], executable=False)
                    written += 1
                except OSError:
                    continue
    finally:
        done.set()
        swapper.join()
    assert [path.name for path in (top / "outside").iterdir()] == ["secret.txt"]
    assert written, "not one write succeeded, so nothing was tested"


@pytest.mark.parametrize("path", [path for path in SAFE if path], ids=lambda path: ascii(path[:24]))
def test_a_path_written_as_text_reads_back_exactly(path: bytes) -> None:
    text = to_text(path)
    assert from_text(text) == path
    assert text.encode("utf-8")


@pytest.mark.parametrize(
    ("text", "path"),
    [("a", b"a"), ("./a", b"a"), (".//a/", b"a"), ("a/b//", b"a/b"), ("\udcff", b"\xff"), ("-x", b"-x")],
)
def test_what_people_type_is_read_as_a_path(text: str, path: bytes) -> None:
    assert parse_tree_path(text) == path


@pytest.mark.parametrize(
    "name", [b"\x1b[31mred", b"a\nb", b"\x07", "\u202egpj.exe".encode(), b"\xff", b"\x7f", b"\xc2\x9b31m"]
)
def test_no_name_reaches_a_terminal_with_control_characters(name: bytes) -> None:
    shown = display(name)
    assert shown.isprintable()
    assert shown.encode("utf-8")
