"""Staged content is kept apart from the working tree: entries, stages, flags and intents come back as they were."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable

import pytest

from tests.support import RepoBuilder, check_round_trip


def start(repo: RepoBuilder) -> None:
    for name in ("a.txt", "b.txt", "c.txt"):
        repo.write(name, f"{name} at the base\n")
    repo.commit()


def stage_modified_and_edit_again(repo: RepoBuilder) -> None:
    repo.write("a.txt", "staged\n")
    repo.git("add", "a.txt")
    repo.write("a.txt", "staged and edited again\n")


def stage_new_and_edit_again(repo: RepoBuilder) -> None:
    repo.write("new.txt", "staged\n")
    repo.git("add", "new.txt")
    repo.write("new.txt", "edited since\n")


def stage_new_and_delete(repo: RepoBuilder) -> None:
    repo.write("new.txt", "only in the index\n")
    repo.git("add", "new.txt")
    repo.remove("new.txt")


def stage_modified_and_delete(repo: RepoBuilder) -> None:
    repo.write("a.txt", "only in the index\n")
    repo.git("add", "a.txt")
    repo.remove("a.txt")


def stage_deletion_and_create_again(repo: RepoBuilder) -> None:
    repo.git("rm", "-q", "a.txt")
    repo.write("a.txt", "untracked again\n")


def unstage_from_index_only(repo: RepoBuilder) -> None:
    repo.git("rm", "-q", "--cached", "a.txt")


def stage_rename(repo: RepoBuilder) -> None:
    repo.git("mv", "a.txt", "renamed.txt")


def stage_intent(repo: RepoBuilder) -> None:
    repo.write("intended.txt", "not yet staged\n")
    repo.git("add", "-N", "intended.txt")


def intend(repo: RepoBuilder, *names: str) -> None:
    for name in names:
        repo.write(name, "not yet staged\n")
        repo.git("add", "-N", name)


def stage_intent_of_a_file_that_is_gone(repo: RepoBuilder) -> None:
    intend(repo, "intended.txt", "folder/intended.txt")
    repo.remove("intended.txt")
    repo.remove("folder/intended.txt")


def stage_intent_and_change_its_type(repo: RepoBuilder) -> None:
    intend(repo, "to run", "to link", "to folder")
    repo.write("to run", "not yet staged\n", executable=True)
    repo.link("to link", "a.txt")
    repo.remove("to folder")
    repo.write("to folder/inner", "untracked\n")


def stage_intent_of_a_link_and_of_a_program(repo: RepoBuilder) -> None:
    repo.link("link", "nowhere")
    repo.write("program", "#!/bin/sh\n", executable=True)
    repo.git("add", "-N", "link", "program")
    repo.write("link", "a file now\n")
    repo.write("program", "#!/bin/sh\n", executable=False)


def stage_intent_over_a_tracked_path(repo: RepoBuilder) -> None:
    repo.git("rm", "-q", "--cached", "a.txt", "b.txt")
    repo.git("add", "-N", "a.txt", "b.txt")
    repo.remove("b.txt")


def stage_intent_with_flags(repo: RepoBuilder) -> None:
    intend(repo, "skipped", "assumed")
    repo.git("update-index", "--skip-worktree", "skipped")
    repo.git("update-index", "--assume-unchanged", "assumed")


def delete_an_empty_tracked_file(repo: RepoBuilder) -> None:
    repo.write("empty", "")
    repo.write("other empty", "")
    repo.commit()
    repo.remove("empty")
    repo.git("update-index", "--assume-unchanged", "other empty")


def stage_mode_only(repo: RepoBuilder) -> None:
    repo.git("update-index", "--chmod=+x", "a.txt")


def stage_link(repo: RepoBuilder) -> None:
    repo.link("a.txt", "elsewhere")
    repo.git("add", "a.txt")
    repo.write("a.txt", "a file again\n")


def stage_and_put_back(repo: RepoBuilder) -> None:
    old = repo.read("a.txt")
    repo.write("a.txt", "staged\n")
    repo.git("add", "a.txt")
    repo.write("a.txt", old)


def stage_odd_names(repo: RepoBuilder) -> None:
    for name in (b"-dash", b"new\nline", b"\xff\xfe", b" space "):
        repo.write(name, "odd\n")
    repo.git("add", "-A")


def stage_empty_file(repo: RepoBuilder) -> None:
    repo.write("empty", "")
    repo.git("add", "empty")


STAGINGS: list[Callable[[RepoBuilder], None]] = [
    stage_modified_and_edit_again,
    stage_new_and_edit_again,
    stage_new_and_delete,
    stage_modified_and_delete,
    stage_deletion_and_create_again,
    unstage_from_index_only,
    stage_rename,
    stage_intent,
    stage_intent_of_a_file_that_is_gone,
    stage_intent_and_change_its_type,
    stage_intent_of_a_link_and_of_a_program,
    stage_intent_over_a_tracked_path,
    delete_an_empty_tracked_file,
    stage_mode_only,
    stage_link,
    stage_and_put_back,
    stage_odd_names,
    stage_empty_file,
]


def unstage(repo: RepoBuilder) -> None:
    repo.git("reset", "-q")
    repo.write("b.txt", "damaged\n")


def reset_hard(repo: RepoBuilder) -> None:
    repo.git("reset", "-q", "--hard")
    repo.write("b.txt", "damaged\n")


def stage_everything(repo: RepoBuilder) -> None:
    repo.write("c.txt", "damaged\n")
    repo.git("add", "-A")


def remove_the_index(repo: RepoBuilder) -> None:
    (repo.root / ".git/index").unlink()
    repo.write("b.txt", "damaged\n")


OTHER_DAMAGES = itertools.cycle([unstage, stage_everything, remove_the_index])
CASES = [*((staging, reset_hard) for staging in STAGINGS), *zip(STAGINGS, OTHER_DAMAGES, strict=False)]


@pytest.mark.parametrize(("staging", "damage"), CASES)
def test_staged_state_comes_back(
    repo: RepoBuilder, staging: Callable[[RepoBuilder], None], damage: Callable[[RepoBuilder], None]
) -> None:
    start(repo)
    staging(repo)
    check_round_trip(repo, damage)


@pytest.mark.parametrize("damage", [unstage, remove_the_index])
def test_an_intent_that_a_flag_hides_from_status_comes_back(
    repo: RepoBuilder, damage: Callable[[RepoBuilder], None]
) -> None:
    start(repo)
    stage_intent_with_flags(repo)
    check_round_trip(repo, damage)


def test_an_intent_over_an_empty_tracked_file_is_taken_back(repo: RepoBuilder) -> None:
    repo.write("empty", "")
    repo.commit()

    def damage(tree: RepoBuilder) -> None:
        tree.git("rm", "-q", "--cached", "empty")
        tree.git("add", "-N", "empty")

    check_round_trip(repo, damage)


def test_all_staged_states_at_once_come_back(repo: RepoBuilder) -> None:
    start(repo)
    repo.write("d.txt", "d\n")
    repo.write("e.txt", "e\n")
    repo.commit()
    stage_odd_names(repo)
    stage_intent(repo)
    stage_new_and_delete(repo)
    repo.git("mv", "d.txt", "moved.txt")
    repo.git("rm", "-q", "--cached", "e.txt")
    stage_modified_and_edit_again(repo)
    check_round_trip(repo, reset_hard)


def conflict(repo: RepoBuilder) -> None:
    """Leave a merge half done: both modified, deleted by us, deleted by them, both added."""
    for name in ("both", "ours gone", "theirs gone"):
        repo.write(name, "base\n")
    repo.commit("base")
    repo.git("checkout", "-q", "-b", "theirs")
    repo.write("both", "theirs\n")
    repo.write("ours gone", "theirs\n")
    repo.remove("theirs gone")
    repo.write("added by both", "theirs\n")
    repo.commit("theirs")
    repo.git("checkout", "-q", "main")
    repo.write("both", "ours\n")
    repo.remove("ours gone")
    repo.write("theirs gone", "ours\n")
    repo.write("added by both", "ours\n")
    repo.commit("ours")
    repo.git("merge", "-q", "theirs", ok=(1,))


def test_a_merge_conflict_comes_back_with_all_its_stages(repo: RepoBuilder) -> None:
    conflict(repo)
    assert {row.split(b"\t")[0][-1:] for row in repo.git_bytes("ls-files", "-u", "-z").split(b"\0") if row} == {
        b"1",
        b"2",
        b"3",
    }

    def resolve_badly(tree: RepoBuilder) -> None:
        tree.write("both", "resolved badly\n")
        tree.git("add", "-A")

    check_round_trip(repo, resolve_badly)


def test_a_merge_in_progress_is_recorded(repo: RepoBuilder) -> None:
    conflict(repo)
    engine = repo.engine()
    details = engine.show_checkpoint(engine.create_checkpoint("half merged"))
    assert details.manifest.code[0].in_progress == ("merge",)


def test_a_merge_that_was_in_progress_is_not_resumed_and_that_is_said(repo: RepoBuilder) -> None:
    conflict(repo)
    engine = repo.engine()
    checkpoint = engine.create_checkpoint("half merged")
    repo.git("merge", "--abort")
    assert engine.restore_checkpoint(checkpoint).warnings == (
        "a merge was in progress; its content comes back, the merge does not",
    )


def test_a_staged_blob_comes_back_after_git_threw_it_away(repo: RepoBuilder) -> None:
    start(repo)
    stage_new_and_delete(repo)

    def prune(tree: RepoBuilder) -> None:
        tree.git("reset", "-q", "--hard")
        tree.git("reflog", "expire", "--expire=now", "--all")
        tree.git("gc", "-q", "--prune=now")

    check_round_trip(repo, prune)


def test_a_staged_secret_stays_out_of_the_pool_and_is_said(repo: RepoBuilder) -> None:
    start(repo)
    repo.write(".env", "TOKEN=do-not-keep-me-1234567890\n")
    repo.git("add", "-f", ".env")
    engine = repo.engine(CHRONOS_COMPRESS_SNAPSHOTS="false")
    created = engine.take_checkpoint("with a staged secret")
    assert [(row.path, row.reason.value) for row in created.receipt] == [(b".env", "secret")]
    for path in repo.store.rglob("*"):
        assert not path.is_file() or b"do-not-keep-me" not in path.read_bytes(), f"the secret is in {path}"


def test_more_intents_than_fit_one_command_line_come_back(repo: RepoBuilder) -> None:
    repo.write("a.txt", "a\n")
    repo.commit()
    names = [f"{number:05}{'x' * 240}" for number in range(9000)]
    for name in names:
        repo.path(name).write_bytes(b"")
    repo.git("add", "-N", ".")
    intents = repo.git_bytes("diff", "--name-only", "--diff-filter=A", "-z")
    engine = repo.engine()
    checkpoint = engine.create_checkpoint("wanted")
    repo.git("rm", "-q", "--cached", "-r", ".")
    repo.git("reset", "-q")
    engine.restore_checkpoint(checkpoint)
    assert repo.git_bytes("diff", "--name-only", "--diff-filter=A", "-z") == intents
    assert intents.count(b"\0") == len(names)


@pytest.mark.parametrize("limit", ["CHRONOS_MAX_FILE_BYTES", "CHRONOS_MAX_CAPTURE_BYTES"])
def test_staged_content_obeys_the_limits_of_files_and_is_said(repo: RepoBuilder, limit: str) -> None:
    start(repo)
    repo.write("big.bin", os.urandom(5000))
    repo.git("add", "big.bin")
    repo.write("big.bin", "small now\n")
    engine = repo.engine(**{limit: "3000"})
    created = engine.take_checkpoint("wanted")
    (row,) = created.receipt
    assert (row.path, row.size, row.detail) == (b"big.bin", 5000, "staged")
    assert row.reason.value in ("too large", "over the capture limit")
    assert created.grade.value == "partial"
    assert sum(pack.stat().st_size for pack in repo.store.glob("main/packs/*.pack")) < 3000
    repo.write("big.bin", "wrecked\n")
    engine.restore_checkpoint(created.checkpoint_id)
    assert repo.read("big.bin") == b"small now\n", "the row is about the index, not about the file"
