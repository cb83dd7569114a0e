"""Every kind of file that git can hold comes back byte for byte, and so does each change from one kind to another."""

from __future__ import annotations

import os

import pytest

from tests.support import RepoBuilder, check_round_trip, receipt_of, wreck

BINARY = bytes(range(256)) * 64
LARGE = b"".join(b"%07d\n" % number for number in range(400_000))


def fill(repo: RepoBuilder, folder: str) -> None:
    """Write one of each kind below `folder`."""
    repo.write(f"{folder}/text.txt", "one\ntwo\n")
    repo.write(f"{folder}/no newline.txt", "one\ntwo")
    repo.write(f"{folder}/crlf.txt", b"one\r\ntwo\r\n")
    repo.write(f"{folder}/empty", "")
    repo.write(f"{folder}/binary.bin", BINARY)
    repo.write(f"{folder}/run.sh", "#!/bin/sh\n", executable=True)
    repo.write(f"{folder}/deep/er/and/deeper.txt", "deep\n")
    repo.link(f"{folder}/to file", "text.txt")
    repo.link(f"{folder}/to folder", "deep/er")
    repo.link(f"{folder}/dangling", "nowhere/at all")
    repo.link(f"{folder}/absolute", "/etc/hostname")
    repo.link(f"{folder}/not utf-8", b"\xff\xfe")


def test_committed_files_of_every_kind_come_back(repo: RepoBuilder) -> None:
    fill(repo, "tracked")
    repo.commit()
    check_round_trip(repo)


def test_untracked_files_of_every_kind_come_back(repo: RepoBuilder) -> None:
    repo.write("tracked.txt", "tracked\n")
    repo.commit()
    fill(repo, "untracked")
    check_round_trip(repo)


def test_modified_files_of_every_kind_come_back_as_modified(repo: RepoBuilder) -> None:
    fill(repo, "tracked")
    repo.commit()
    wreck(repo)
    check_round_trip(repo)


def test_a_deleted_file_stays_deleted_after_restore(repo: RepoBuilder) -> None:
    repo.write("kept.txt", "kept\n")
    repo.write("gone/away.txt", "gone\n")
    repo.commit()
    repo.remove("gone/away.txt")
    check_round_trip(repo, lambda tree: tree.write("gone/away.txt", "back again\n"))


def test_a_file_of_several_chunks_comes_back(repo: RepoBuilder) -> None:
    repo.write("large.txt", LARGE)
    repo.commit()
    repo.write("large.txt", LARGE[:1_500_000] + b"an insertion" + LARGE[1_500_000:])
    repo.write("large copy.bin", LARGE[::-1])
    check_round_trip(repo, lambda tree: tree.remove("large.txt", "large copy.bin"))


@pytest.mark.parametrize("executable", [True, False])
def test_an_executable_bit_comes_back(repo: RepoBuilder, executable: bool) -> None:
    repo.write("clean", "clean\n", executable=executable)
    repo.write("flipped", "flipped\n", executable=not executable)
    repo.commit()
    repo.path("flipped").chmod(0o755 if executable else 0o644)
    repo.write("fresh", "fresh\n", executable=executable)

    def flip(tree: RepoBuilder) -> None:
        for name in ("clean", "flipped", "fresh"):
            tree.path(name).chmod(0o644 if executable else 0o755)

    check_round_trip(repo, flip)


def test_with_core_filemode_off_the_executable_bit_on_disk_comes_back(repo: RepoBuilder) -> None:
    repo.git("config", "core.fileMode", "false")
    repo.write("tool", "old\n")
    repo.commit()
    repo.write("tool", "new\n", executable=True)
    check_round_trip(repo, lambda tree: tree.remove("tool"))


KINDS = {
    "file": lambda repo, path: repo.write(path, "a file\n"),
    "executable": lambda repo, path: repo.write(path, "a program\n", executable=True),
    "link": lambda repo, path: repo.link(path, "elsewhere"),
    "folder": lambda repo, path: repo.write(f"{path}/inside", "in a folder\n"),
    "nothing": lambda repo, path: repo.remove(path) if repo.exists(path) else None,
}
CHANGES = [(old, new) for old in KINDS for new in KINDS if old != new and old != "nothing"]


@pytest.mark.parametrize(("old", "new"), CHANGES)
def test_a_change_of_type_is_captured_and_undone(repo: RepoBuilder, old: str, new: str) -> None:
    repo.write("beside", "beside\n")
    KINDS[old](repo, "thing")
    repo.commit()
    KINDS[new](repo, "thing")  # the state to capture: the base says `old`, the disk says `new`
    other = next(kind for kind in KINDS if kind not in (old, new, "nothing"))
    check_round_trip(repo, lambda tree: KINDS[other](tree, "thing"))


@pytest.mark.parametrize(("old", "new"), [(old, new) for old, new in CHANGES if new != "nothing"])
def test_a_clean_path_comes_back_from_another_type(repo: RepoBuilder, old: str, new: str) -> None:
    repo.write("beside", "beside\n")
    KINDS[old](repo, "thing")
    repo.commit()
    check_round_trip(repo, lambda tree: KINDS[new](tree, "thing"))


@pytest.mark.parametrize("is_staged", [False, True], ids=["committed", "staged"])
def test_what_lies_below_a_link_to_itself_is_gone_and_said_to_be(repo: RepoBuilder, is_staged: bool) -> None:
    repo.write("folder/inside.txt", "inside\n")
    if is_staged:
        repo.write("anchor", "anchor\n")
        repo.commit("anchor")
        repo.git("add", "folder")
    else:
        repo.commit()
    engine = repo.engine()
    before = engine.create_checkpoint("before")
    repo.remove("folder")
    repo.link("folder", "folder/inside.txt")
    looped = engine.create_checkpoint("looped")
    assert receipt_of(engine, looped) == {}
    assert {(row.path, row.status) for row in engine.diff(before, looped)} == {
        (b"folder", "A"),
        (b"folder/inside.txt", "D"),
    }
    check_round_trip(repo, lambda tree: [tree.remove("folder"), tree.write("folder/inside.txt", "inside\n")])


def test_files_are_never_written_through_a_link_that_replaced_their_folder(repo: RepoBuilder) -> None:
    repo.write("folder/inside.txt", "inside\n")
    repo.commit()
    repo.write("folder/fresh.txt", "fresh\n")
    outside = repo.root.parent / "outside"
    outside.mkdir()
    (outside / "inside.txt").write_text("not ours\n")
    check_round_trip(repo, lambda tree: tree.link("folder", str(outside)))
    assert os.listdir(outside) == ["inside.txt"]
    assert (outside / "inside.txt").read_text() == "not ours\n"


def test_a_fifo_over_a_tracked_file_is_said_and_never_read(repo: RepoBuilder) -> None:
    # Measured trap: status calls it `.M`, and opening it for reading would block for ever.
    repo.write("tracked.txt", "tracked\n")
    repo.commit()
    engine = repo.engine()
    clean = engine.create_checkpoint("clean")
    repo.remove("tracked.txt")
    os.mkfifo(repo.path("tracked.txt"))
    created = engine.take_checkpoint("with a fifo")
    assert created.grade.value == "partial"
    assert [(row.path, row.reason.value) for row in created.receipt] == [(b"tracked.txt", "not a file")]
    kept = engine.restore_checkpoint(clean).kept
    assert [row.path for row in kept] == [b"tracked.txt"], "a FIFO is not held by anything, so it stays"


def test_an_untracked_fifo_and_socket_stop_nothing(repo: RepoBuilder) -> None:
    repo.write("a.txt", "a\n")
    repo.commit()
    os.mkfifo(repo.path("pipe"))
    repo.write("a.txt", "changed\n")
    check_round_trip(repo, lambda tree: tree.write("a.txt", "wrecked\n"))
