"""`fs_diff.patch.zst`: a patch that `git apply` accepts on the base and that makes the captured tree."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import zstandard

from chronos import ChronosEngine
from chronos.checkpoints import Capture, members
from chronos.checkpoints.members import render_patch
from chronos.git import diff_from_base
from tests.support import RepoBuilder, tree_digest, wreck

ODD = [
    b"with space",
    b"-dash",
    b"new\nline",
    b"tab\t",
    b'quote"',
    b"back\\slash",
    b"\xff\xfe",
    "ünï".encode(),
    b" lead",
]


def patch_of(engine: ChronosEngine, checkpoint: str) -> tuple[bytes, bool]:
    """Return the text of a checkpoint's patch, and whether the manifest calls it complete."""
    details = engine.show_checkpoint(checkpoint)
    packed = (details.folder / "fs_diff.patch.zst").read_bytes()
    text = zstandard.ZstdDecompressor().stream_reader(packed).read()
    return text, details.manifest.members["fs_diff.patch.zst"].complete


def check_patch(repo: RepoBuilder, tmp_path: Path) -> bytes:
    """Apply the patch of a new checkpoint to a clean checkout of the base and compare the trees."""
    engine = repo.engine()
    text, complete = patch_of(engine, engine.create_checkpoint("wanted"))
    assert complete
    repo.git("worktree", "add", "-q", "--detach", str(tmp_path / "clean"), "HEAD")
    clean = RepoBuilder(tmp_path / "clean", repo.environment)
    assert tree_digest(clean.root) != tree_digest(repo.root)
    clean.git("apply", "--whitespace=nowarn", "-", input=text)
    assert tree_digest(clean.root) == tree_digest(repo.root)
    return text


@pytest.fixture
def work(repo: RepoBuilder) -> RepoBuilder:
    for name in ("a.txt", "b.txt", "gone.txt", "folder/c.txt", "no newline"):
        repo.write(name, "one\ntwo\nthree\n")
    repo.write("run", "#!/bin/sh\n", executable=True)
    repo.write("binary", bytes(range(256)) * 20)
    repo.link("link", "a.txt")
    repo.commit()
    return repo


def test_edits_new_files_and_deletions(work: RepoBuilder, tmp_path: Path) -> None:
    work.write("a.txt", "one\n2\nthree\nfour\n")
    work.write("new/file.txt", "new\n")
    work.write("new/empty", "")
    work.remove("gone.txt")
    text = check_patch(work, tmp_path)
    assert b"+four" in text, "people can read it"


def test_many_files_are_in_the_order_of_their_names(work: RepoBuilder, tmp_path: Path) -> None:
    names = [f"many/{number:03d}.txt" for number in range(300)]
    for name in names:
        work.write(name, f"{name}\n")
    work.commit()
    for name in names[:-1]:
        work.write(name, f"{name}\nmore\n")
    (work.root / names[-1]).unlink()
    text = check_patch(work, tmp_path)
    assert [line.split(b" b/")[1].decode() for line in text.split(b"\n") if line.startswith(b"diff --git")] == names


def test_binary_files(work: RepoBuilder, tmp_path: Path) -> None:
    work.write("binary", bytes(range(255, -1, -1)) * 30)
    work.write("new binary", b"\0\1\2" * 4000)
    work.write("one byte", b"\0")
    check_patch(work, tmp_path)


def test_modes_links_and_changes_of_type(work: RepoBuilder, tmp_path: Path) -> None:
    work.path("run").chmod(0o644)
    work.path("b.txt").chmod(0o755)
    work.write("new run", "#!/bin/sh\n", executable=True)
    work.link("link", "b.txt")
    work.link("new link", "nowhere")
    work.link("a.txt", "b.txt")
    work.link("not utf-8", b"\xff")
    work.write("folder", "a file now\n")
    check_patch(work, tmp_path)


def test_text_without_a_newline_at_its_end(work: RepoBuilder, tmp_path: Path) -> None:
    work.write("no newline", "one\ntwo\nthree")
    work.write("new without", "only line")
    work.write("only newline", "\n")
    work.write("carriage returns", b"one\rtwo\r\nthree\r")
    check_patch(work, tmp_path)


def test_names_that_need_quoting(work: RepoBuilder, tmp_path: Path) -> None:
    for name in ODD:
        work.write(b"odd/" + name, "committed\n")
    work.commit()
    for name in ODD:
        work.write(b"odd/" + name, "edited\n")
        work.write(b"fresh/" + name, "fresh\n")
        work.link(b"links/" + name, name)
    check_patch(work, tmp_path)


def test_staged_files_are_part_of_the_tree(work: RepoBuilder, tmp_path: Path) -> None:
    work.write("staged new.txt", "staged\n")
    work.git("add", "-A")
    work.write("staged new.txt", "edited since\n")
    work.write("intended.txt", "intended\n")
    work.git("add", "-N", "intended.txt")
    work.git("rm", "-q", "--cached", "b.txt")
    work.git("mv", "a.txt", "moved.txt")
    check_patch(work, tmp_path)


def test_a_thorough_wreck(work: RepoBuilder, tmp_path: Path) -> None:
    wreck(work)
    check_patch(work, tmp_path)


def test_a_merge_has_the_pieces_of_both_sides_and_renders_only_what_is_in_neither(
    work: RepoBuilder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work.write("both.txt", "".join(f"{number}\n" for number in range(20)))
    for name in ODD:
        work.write(b"odd/" + name, "committed\n")
    work.commit()
    engine = work.engine()
    theirs = RepoBuilder(engine.branch_timeline("theirs").path, work.environment)
    work.write("both.txt", work.path("both.txt").read_text() + "ours\n")
    theirs.write("both.txt", "theirs\n" + theirs.path("both.txt").read_text())
    work.write("a.txt", "diff --git a/b.txt b/b.txt\n")
    work.write("binary", bytes(range(255, -1, -1)) * 30)
    work.write("new ours", "new\n")
    theirs.path("run").chmod(0o644)
    theirs.link("b.txt", "link")
    theirs.remove("gone.txt")
    theirs.write("new binary", b"\0\1\2" * 4000)
    for number, name in enumerate(ODD):
        (theirs if number % 2 else work).write(b"odd/" + name, "edited\n")
    rendered: list[bytes] = []
    monkeypatch.setattr(members, "diff_from_base", lambda repository, base, scratch, prefix: (
        rendered.extend(entry.path for entry in base), diff_from_base(repository, base, scratch, prefix)
    )[1])  # fmt: skip
    merged = engine.merge_timeline("theirs").checkpoint
    assert merged is not None
    text, complete = patch_of(engine, merged)
    assert complete
    assert rendered[-1] == b"both.txt"
    assert rendered.count(b"a.txt") == rendered.count(b"run") == 1, "each when its own side was sealed"
    work.git("worktree", "add", "-q", "--detach", str(tmp_path / "clean"), "HEAD")
    clean = RepoBuilder(tmp_path / "clean", work.environment)
    clean.git("apply", "--whitespace=nowarn", "-", input=text)
    assert tree_digest(clean.root) == tree_digest(work.root)


def test_a_merge_does_without_the_patch_of_a_side_that_is_damaged(work: RepoBuilder) -> None:
    engine = work.engine()
    theirs = RepoBuilder(engine.branch_timeline("theirs").path, work.environment)
    theirs.write("a.txt", "theirs\n")
    work.write("b.txt", "ours\n")
    with engine.open_timeline("theirs") as there:
        held = there.create_checkpoint("held")
    (engine.show_checkpoint(held).folder / "fs_diff.patch.zst").write_bytes(b"damaged")
    merged = engine.merge_timeline("theirs").checkpoint
    assert merged is not None
    text, complete = patch_of(engine, merged)
    assert complete and b"+theirs" in text and b"+ours" in text


def test_hidden_edits_are_in_the_patch_too(work: RepoBuilder, tmp_path: Path) -> None:
    work.git("update-index", "--assume-unchanged", "a.txt")
    work.write("a.txt", "hidden edit\n")
    check_patch(work, tmp_path)


def test_an_unborn_head_gives_a_patch_that_makes_every_file(repo: RepoBuilder, tmp_path: Path) -> None:
    repo.write("a.txt", "a\n")
    repo.write("b.bin", b"\0b")
    engine = repo.engine()
    text, complete = patch_of(engine, engine.create_checkpoint("wanted"))
    clean = RepoBuilder(tmp_path / "clean", repo.environment)
    clean.git("apply", "-", input=text)
    assert complete
    assert tree_digest(clean.root) == tree_digest(repo.root)


def test_the_patch_does_not_depend_on_the_users_diff_settings(work: RepoBuilder, tmp_path: Path) -> None:
    (tmp_path / "order").write_text("*.txt\n")
    for key, value in (
        ("diff.noprefix", "true"), ("diff.mnemonicPrefix", "true"), ("color.ui", "always"), ("diff.renames", "copies"),
        ("diff.context", "0"), ("diff.algorithm", "patience"), ("diff.suppressBlankEmpty", "true"),
        ("core.quotePath", "false"), ("diff.orderFile", str(tmp_path / "order")), ("diff.relative", "true"),
        ("diff.interHunkContext", "9"), ("diff.wsErrorHighlight", "all"), ("diff.submodule", "log"),
    ):  # fmt: skip
        work.set_global(key, value)
    work.write("a.txt", "one\n\n2\nthree\n")
    work.write("ünï.txt", "new\n")
    work.remove("gone.txt")
    check_patch(work, tmp_path)


def test_above_the_limit_the_patch_says_that_it_is_not_complete(work: RepoBuilder) -> None:
    work.write("long.txt", "line\n" * 1000)
    engine = work.engine(CHRONOS_MAX_PATCH_BYTES="1000")
    checkpoint = engine.create_checkpoint("wanted")
    text, complete = patch_of(engine, checkpoint)
    assert not complete
    assert len(text) <= 1000
    work.remove("long.txt")
    engine.restore_checkpoint(checkpoint)
    assert work.read("long.txt") == b"line\n" * 1000, "restores do not need the patch"


def test_a_converted_file_makes_the_patch_incomplete(repo: RepoBuilder) -> None:
    repo.write(".gitattributes", "* text=auto\n")
    repo.write("a.txt", b"one\r\ntwo\r\n")
    repo.commit()
    repo.write("a.txt", b"one\r\n2\r\n")
    engine = repo.engine()
    assert not patch_of(engine, engine.create_checkpoint("wanted"))[1]


def test_a_conflict_makes_the_patch_incomplete(repo: RepoBuilder) -> None:
    repo.write("a.txt", "base\n")
    repo.commit()
    repo.git("checkout", "-q", "-b", "other")
    repo.write("a.txt", "other\n")
    repo.commit()
    repo.git("checkout", "-q", "main")
    repo.write("a.txt", "main\n")
    repo.commit()
    repo.git("merge", "-q", "other", ok=(1,))
    engine = repo.engine()
    assert not patch_of(engine, engine.create_checkpoint("wanted"))[1]


@pytest.mark.parametrize("age_s", [0, 0.2])
@pytest.mark.parametrize("later", [None, "edited\n", "edxted\n", "longer than before\n"])
def test_a_file_that_is_written_after_its_capture_makes_the_patch_incomplete(
    work: RepoBuilder, monkeypatch: pytest.MonkeyPatch, later: str | None, age_s: float
) -> None:
    def write_and_render(capture: Capture, limit_bytes: int, scratch: Path, held: None) -> tuple[bytes, bool]:
        if later is not None:
            work.write("a.txt", later)
        return render_patch(capture, limit_bytes, scratch, held)

    monkeypatch.setattr("chronos.checkpoints.seal.render_patch", write_and_render)
    work.write("a.txt", "edited\n")
    time.sleep(age_s)  # what was written just now proves nothing by its looks
    engine = work.engine()
    assert patch_of(engine, engine.create_checkpoint("wanted"))[1] == (later in (None, "edited\n"))


def test_nothing_changed_is_an_empty_patch(work: RepoBuilder) -> None:
    engine = work.engine()
    assert patch_of(engine, engine.create_checkpoint("wanted")) == (b"", True)


def test_a_patch_of_a_sparse_checkout_is_not_called_complete(repo: RepoBuilder) -> None:
    """It says nothing of the paths that are kept from the disk, so a full checkout would not become this tree."""
    repo.write("here/a.txt", "a\n")
    repo.write("elsewhere/b.txt", "b\n")
    repo.commit()
    repo.git("sparse-checkout", "set", "here")
    repo.write("here/a.txt", "edited\n")
    engine = repo.engine()
    text, complete = patch_of(engine, engine.create_checkpoint("sparse"))
    assert not complete
    assert b"+edited" in text
    repo.git("sparse-checkout", "disable")
    assert patch_of(engine, engine.create_checkpoint("full"))[1]


def test_the_limit_counts_what_is_taken_away(repo: RepoBuilder) -> None:
    # A deletion is rendered as long as the file was: 5 s and 400 MB for one of 150 MB (git 2.39).
    repo.write("zeros.bin", b"\0" * 50_000)
    repo.commit()
    repo.remove("zeros.bin")
    created = repo.engine(CHRONOS_MAX_PATCH_BYTES="40000").take_checkpoint("wanted")
    member = repo.engine().show_checkpoint(created.checkpoint_id).manifest.members["fs_diff.patch.zst"]
    assert not member.complete


def test_the_patch_of_a_clean_file_that_was_asked_for_does_not_make_it_anew(repo: RepoBuilder) -> None:
    """An undo takes in what the operation touched, clean or not; so does an include rule."""
    repo.write("a.txt", "at the base\n")
    repo.commit()
    repo.write(".chronoinclude", "a.txt\n")
    repo.write("new.txt", "new\n")
    engine = repo.engine()
    engine.create_checkpoint("wanted")
    assert engine.verify(deep=True) == []
