"""Repositories where git converts files (line endings, ident, filters): the bytes on disk are what comes back."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import RepoBuilder, check_round_trip, wreck

TEXT = b"one\r\ntwo\r\nthree\r\n"


def remove_all(*names: str):  # type: ignore[no-untyped-def]
    return lambda tree: tree.remove(*names)


def test_a_crlf_file_committed_under_text_auto_comes_back_exactly(repo: RepoBuilder) -> None:
    # Measured trap and pains.md row 23 (Roo PR #914): git calls it clean, and a checkout would write LF.
    repo.write(".gitattributes", "* text=auto\n")
    repo.write("crlf.txt", TEXT)
    repo.write("lf.txt", "one\ntwo\n")
    repo.write("mixed.txt", b"one\r\ntwo\nthree\r\n")
    repo.commit()
    assert b"crlf.txt" not in repo.status()
    check_round_trip(repo, remove_all("crlf.txt", "lf.txt", "mixed.txt"))
    assert repo.read("crlf.txt") == TEXT


@pytest.mark.parametrize("autocrlf", ["true", "input"])
def test_with_autocrlf_both_line_endings_come_back_exactly(repo: RepoBuilder, autocrlf: str) -> None:
    repo.write("lf committed before.txt", "one\ntwo\n")
    repo.commit()
    repo.git("config", "core.autocrlf", autocrlf)
    repo.write("crlf.txt", TEXT)
    repo.write("lf.txt", "one\ntwo\n")
    repo.commit()
    repo.write("edited.txt", TEXT)
    repo.write("lf.txt", b"edited\r\nwith CRLF\r\n")
    check_round_trip(repo, remove_all("crlf.txt", "lf.txt", "edited.txt", "lf committed before.txt"))


def test_autocrlf_of_the_users_own_configuration_is_honoured(repo: RepoBuilder) -> None:
    repo.set_global("core.autocrlf", "true")
    repo.write("crlf.txt", TEXT)
    repo.write("lf.txt", "one\n")
    repo.commit()
    check_round_trip(repo, remove_all("crlf.txt", "lf.txt"))


def test_files_with_eol_crlf_come_back_as_a_checkout_leaves_them(repo: RepoBuilder) -> None:
    repo.write(".gitattributes", "*.bat text eol=crlf\n*.sh text eol=lf\n")
    repo.write("run.bat", b"echo one\r\necho two\r\n")
    repo.write("lf.bat", b"echo one\necho two\n")
    repo.write("run.sh", "echo\n")
    repo.commit()
    check_round_trip(repo, remove_all("run.bat", "run.sh", "lf.bat"))


def test_ident_comes_back_expanded_where_it_was_and_plain_where_not(repo: RepoBuilder) -> None:
    repo.write(".gitattributes", "*.c ident\n")
    repo.write("plain.c", "/* $Id$ */\n")
    repo.write("checked out.c", "/* $Id$ */\n")
    repo.commit()
    repo.remove("checked out.c")
    repo.git("checkout", "-q", "--", "checked out.c")
    assert b"$Id: " in repo.read("checked out.c")
    check_round_trip(repo, remove_all("plain.c", "checked out.c"))


def test_working_tree_encoding_comes_back(repo: RepoBuilder) -> None:
    repo.write(".gitattributes", "*.utf16 text working-tree-encoding=UTF-16LE\n")
    repo.write("a.utf16", "héllo\n".encode("utf-16-le"))
    repo.commit()
    repo.write("b.utf16", "wörld\n".encode("utf-16-le"))
    check_round_trip(repo, remove_all("a.utf16", "b.utf16"))


@pytest.fixture
def filtered(repo: RepoBuilder, tmp_path: Path) -> tuple[RepoBuilder, Path]:
    """A repository like one of git LFS: what is committed is a pointer, and its filter leaves a trace when it runs."""
    canary = tmp_path / "the filter ran"
    driver = tmp_path / "filter.sh"
    driver.write_text(f'#!/bin/sh\ntouch "{canary}"\ncat\n')
    driver.chmod(0o755)
    repo.write(".gitattributes", "*.big filter=lfs diff=lfs merge=lfs -text\n")
    repo.write("pointer.big", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n")
    repo.write("small.txt", "small\n")
    repo.commit()
    for kind in ("clean", "smudge"):
        repo.git("config", f"filter.lfs.{kind}", f"'{driver}'")
    repo.git("config", "filter.lfs.required", "true")
    repo.git("config", "diff.lfs.textconv", str(driver))
    repo.git("config", "diff.lfs.command", str(driver))
    repo.write("pointer.big", b"the real content\x00" * 5000)
    return repo, canary


def test_a_filter_of_the_repository_never_runs_and_the_bytes_come_back(filtered: tuple[RepoBuilder, Path]) -> None:
    # pains.md row 20 (codex#34953): a clean filter leaked full-size copies on every capture.
    repo, canary = filtered
    repo.write("fresh.big", b"fresh content\x00" * 1000)
    wanted = {name: repo.read(name) for name in ("pointer.big", "fresh.big", "small.txt")}
    engine = repo.engine()
    checkpoint = engine.create_checkpoint("with large files")
    repo.remove("pointer.big", "small.txt")
    repo.write("fresh.big", "wrecked")
    engine.restore_checkpoint(checkpoint)
    engine.undo()
    assert repo.read("fresh.big") == b"wrecked"
    engine.redo()
    assert {name: repo.read(name) for name in wanted} == wanted
    list(engine.diff_patches("@"))
    engine.status()
    assert not canary.exists(), "a filter, textconv or diff driver of the repository was run"


def test_a_clean_filtered_file_comes_back_with_its_bytes_on_disk(filtered: tuple[RepoBuilder, Path]) -> None:
    repo, canary = filtered
    repo.git("add", "pointer.big")
    repo.git("commit", "-q", "-m", "clean now")
    assert repo.git("diff", "--name-only") == ""
    canary.unlink()
    wanted = repo.read("pointer.big")
    engine = repo.engine()
    checkpoint = engine.create_checkpoint("clean")
    repo.remove("pointer.big")
    engine.restore_checkpoint(checkpoint)
    assert repo.read("pointer.big") == wanted
    assert not canary.exists()


def test_a_required_filter_that_fails_stops_nothing(repo: RepoBuilder) -> None:
    repo.write(".gitattributes", "*.big filter=missing\n")
    repo.write("a.big", "a\n")
    repo.commit()
    repo.git("config", "filter.missing.clean", "/nowhere/at-all")
    repo.git("config", "filter.missing.smudge", "/nowhere/at-all")
    repo.git("config", "filter.missing.required", "true")
    repo.write("a.big", "edited\n")
    repo.write("b.big", "new\n")
    engine = repo.engine()
    checkpoint = engine.create_checkpoint("wanted")
    repo.remove("a.big", "b.big")
    engine.restore_checkpoint(checkpoint)
    assert (repo.read("a.big"), repo.read("b.big")) == (b"edited\n", b"new\n")


def test_no_program_that_the_repository_configures_is_run(repo: RepoBuilder, tmp_path: Path) -> None:
    # A repository's own configuration is not trusted: it may come out of an archive.
    canary = tmp_path / "it ran"
    program = tmp_path / "program.sh"
    program.write_text(f'#!/bin/sh\ntouch "{canary}"\ncat\n')
    program.chmod(0o755)
    repo.write("a.txt", "a\n")
    repo.commit()
    for key in ("core.fsmonitor", "diff.external", "core.pager", "core.sshCommand", "gpg.program", "core.editor"):
        repo.git("config", key, str(program))
    hooks = repo.root / ".git/hooks"
    hooks.mkdir(exist_ok=True)
    for hook in ("post-index-change", "pre-commit", "post-checkout", "reference-transaction", "fsmonitor-watchman"):
        (hooks / hook).symlink_to(program)
    engine = repo.engine()
    repo.path("a.txt").write_text("edited\n")
    checkpoint = engine.create_checkpoint("wanted")
    repo.path("a.txt").write_text("wrecked\n")
    engine.restore_checkpoint(checkpoint)
    engine.restore_checkpoint(checkpoint, head=True)
    engine.diff("@")
    engine.verify(deep=True)
    engine.undo()
    assert not canary.exists(), "a program named by the repository was run"


def test_changing_the_attributes_after_a_checkpoint_changes_nothing_that_comes_back(repo: RepoBuilder) -> None:
    repo.write("crlf.txt", TEXT)
    repo.write("lf.txt", "one\ntwo\n")
    repo.commit()
    engine = repo.engine()
    checkpoint = engine.create_checkpoint("without attributes")
    repo.write(".gitattributes", "* text eol=crlf\n")
    repo.commit("attributes")
    repo.remove("lf.txt", "crlf.txt")
    engine.restore_checkpoint(checkpoint)
    assert (repo.read("crlf.txt"), repo.read("lf.txt")) == (TEXT, b"one\ntwo\n")
    assert not repo.exists(".gitattributes")


def test_attributes_that_are_not_committed_yet_are_obeyed(repo: RepoBuilder) -> None:
    repo.write("crlf.txt", TEXT)
    repo.write("lf.txt", "one\ntwo\n")
    repo.commit()
    repo.write(".gitattributes", "* text=auto eol=crlf\n")
    check_round_trip(repo, wreck)


def test_a_clean_but_converted_file_over_the_size_limit_is_said_to_come_from_git_only(repo: RepoBuilder) -> None:
    repo.write(".gitattributes", "* text=auto\n")
    repo.write("long.txt", b"line\r\n" * 1000)
    repo.commit()
    created = repo.engine(CHRONOS_MAX_FILE_BYTES="3000").take_checkpoint("wanted")
    assert {(row.path, row.reason.value) for row in created.receipt} == {(b"long.txt", "from git only")}


@pytest.mark.parametrize("attributes", ["*.txt text eol=crlf\n", "* text=auto\n", "*.txt ident\n"])
def test_the_patch_of_an_edited_file_that_git_converts_is_not_called_exact(repo: RepoBuilder, attributes: str) -> None:
    repo.write(".gitattributes", attributes)
    repo.write("a.txt", TEXT * 100)
    repo.commit()
    repo.write("a.txt", TEXT * 100 + b"$Id$ four\r\n")
    engine = repo.engine()
    engine.create_checkpoint("edited")
    assert engine.verify(deep=True) == []
    assert not engine.show_checkpoint("edited").manifest.members["fs_diff.patch.zst"].complete
