"""A restore never destroys what nothing holds, and never takes "not captured" for "was not there"."""

from __future__ import annotations

import os

import pytest

from tests.support import RepoBuilder, kept_paths, tree_digest


@pytest.fixture
def work(repo: RepoBuilder) -> RepoBuilder:
    repo.write(".gitignore", "*.log\nbuild/\n")
    repo.write("a.txt", "a\n")
    repo.write("b.txt", "b\n")
    repo.commit()
    return repo


def test_formerly_ignored_data_survives_the_restore_of_a_gitignore(work: RepoBuilder) -> None:
    # pains.md row 1 (cline#14367): the restore reverted .gitignore, and then cleaned what had been ignored.
    engine = work.engine()
    checkpoint = engine.create_checkpoint("wanted")
    work.write(".gitignore", "*.log\nbuild/\nmodels/\n")
    work.write("models/weights.bin", "hours of training\n")
    work.write("a.txt", "wrecked\n")
    engine.restore_checkpoint(checkpoint)
    assert work.read(".gitignore") == b"*.log\nbuild/\n"
    assert work.read("a.txt") == b"a\n"
    assert work.read("models/weights.bin") == b"hours of training\n"


def test_a_file_that_was_ignored_at_the_checkpoint_is_not_deleted_though_it_is_not_ignored_now(
    work: RepoBuilder,
) -> None:
    # pains.md row 1: the ignore rules of both states count.
    work.write("trace.log", "ignored at the checkpoint\n")
    engine = work.engine()
    checkpoint = engine.create_checkpoint("wanted")
    work.write(".gitignore", "build/\n")
    work.write("later.log", "would have been ignored then\n")
    work.write("new.txt", "would have been captured then\n")
    outcome = engine.restore_checkpoint(checkpoint)
    assert work.read("trace.log") == b"ignored at the checkpoint\n"
    assert work.read("later.log") == b"would have been ignored then\n"
    assert not work.exists("new.txt")
    assert kept_paths(outcome.kept) >= {"later.log"}


def test_a_file_in_a_folder_that_was_ignored_at_the_checkpoint_is_not_deleted(work: RepoBuilder) -> None:
    work.write("sub/.gitignore", "cache/\n")
    engine = work.engine()
    checkpoint = engine.create_checkpoint("wanted")
    work.remove("sub/.gitignore")
    work.write("sub/cache/entry", "precious\n")
    engine.restore_checkpoint(checkpoint)
    assert work.read("sub/cache/entry") == b"precious\n"
    assert work.read("sub/.gitignore") == b"cache/\n"


def test_outputs_that_came_after_the_checkpoint_go_to_where_undo_finds_them(work: RepoBuilder) -> None:
    # pains.md row 2 (copilot-cli#1675): outputs that the agent never touched were gone for good.
    engine = work.engine()
    checkpoint = engine.create_checkpoint("wanted")
    for number in range(5):
        work.write(f"output/{number}.bin", os.urandom(1000))
    work.write("results.log", "ignored output\n")
    before = tree_digest(work.root)
    plan = engine.plan_restore(checkpoint)
    assert {change.path for change in plan.deletes} == {f"output/{number}.bin".encode() for number in range(5)}
    assert tree_digest(work.root) == before, "a plan changes nothing"
    outcome = engine.restore_checkpoint(checkpoint)
    assert outcome.deleted == 5
    assert work.read("results.log") == b"ignored output\n"
    assert not work.exists("output")
    engine.undo()
    assert tree_digest(work.root) == before


def test_a_folder_of_ignored_files_where_a_file_must_go_is_kept_and_listed(work: RepoBuilder) -> None:
    # Measured trap: replacing the folder would destroy what nothing holds.
    work.write("build", "a file called build\n")
    work.git("add", "-f", "build")
    work.commit()
    engine = work.engine()
    checkpoint = engine.create_checkpoint("wanted")
    work.remove("build")
    work.write("build/result.o", "hours of compiling\n")
    outcome = engine.restore_checkpoint(checkpoint)
    assert work.read("build/result.o") == b"hours of compiling\n"
    assert kept_paths(outcome.kept) == {"build"}


def test_a_folder_of_ignored_files_is_replaced_by_request_and_undo_brings_it_back(work: RepoBuilder) -> None:
    work.write("build", "a file called build\n")
    work.git("add", "-f", "build")
    work.commit()
    engine = work.engine()
    checkpoint = engine.create_checkpoint("wanted")
    work.remove("build")
    work.write("build/result.o", "hours of compiling\n")
    work.write("build/deep/other.o", "more hours\n")
    before = tree_digest(work.root)
    outcome = engine.restore_checkpoint(checkpoint, include=["build"])
    assert work.read("build") == b"a file called build\n"
    assert outcome.kept == ()
    engine.undo()
    assert tree_digest(work.root) == before
    engine.redo()
    assert work.read("build") == b"a file called build\n"


def test_an_ignored_file_where_a_captured_file_must_go_is_kept_and_listed(work: RepoBuilder) -> None:
    work.write("note.txt", "captured\n")
    engine = work.engine()
    checkpoint = engine.create_checkpoint("wanted")
    work.write(".gitignore", "note.txt\n")
    work.write("note.txt", "edited, and ignored now\n")
    outcome = engine.restore_checkpoint(checkpoint)
    assert work.read("note.txt") == b"edited, and ignored now\n"
    assert "note.txt" in kept_paths(outcome.kept)
    assert work.read(".gitignore") == b"*.log\nbuild/\n"


def test_an_ignored_file_is_replaced_by_request_and_undo_brings_it_back(work: RepoBuilder) -> None:
    work.write("note.txt", "captured\n")
    engine = work.engine()
    checkpoint = engine.create_checkpoint("wanted")
    work.write(".gitignore", "note.txt\n")
    work.write("note.txt", "edited, and ignored now\n")
    engine.restore_checkpoint(checkpoint, include=["note.txt"])
    assert work.read("note.txt") == b"captured\n"
    engine.undo()
    assert work.read("note.txt") == b"edited, and ignored now\n"


def test_a_clean_tracked_file_that_rules_now_ignore_is_restored(work: RepoBuilder) -> None:
    work.write("a.txt", "edited\n")
    engine = work.engine()
    checkpoint = engine.create_checkpoint("wanted")
    work.write(".gitignore", "a.txt\n")
    work.write("a.txt", "wrecked\n")
    engine.restore_checkpoint(checkpoint)
    assert work.read("a.txt") == b"edited\n"


def test_an_ignored_folder_above_a_new_file_does_not_hide_it_from_the_plan(work: RepoBuilder) -> None:
    work.write("thing/inside.txt", "captured\n")
    engine = work.engine()
    checkpoint = engine.create_checkpoint("wanted")
    work.remove("thing")
    work.write(".gitignore", "*.log\nbuild/\nthing\n")
    work.write("thing", "an ignored file where a folder must go\n")
    outcome = engine.restore_checkpoint(checkpoint)
    assert work.read("thing") == b"an ignored file where a folder must go\n"
    assert kept_paths(outcome.kept) == {"thing/inside.txt"}


def test_an_edit_made_while_the_restore_runs_is_never_overwritten(
    work: RepoBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    # pains.md row 11 (hermes PR #80751): a rollback clobbered hand-made fixes.
    from chronos.checkpoints import Applier

    engine = work.engine()
    checkpoint = engine.create_checkpoint("wanted")
    work.write("a.txt", "wrecked\n")
    work.write("b.txt", "wrecked\n")
    apply = Applier.apply

    def interfered(self: Applier, *arguments: object, **options: object) -> object:
        work.path("a.txt").write_text("an edit by hand, just now\n")
        return apply(self, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Applier, "apply", interfered)
    outcome = engine.restore_checkpoint(checkpoint)
    monkeypatch.undo()
    assert work.read("a.txt") == b"an edit by hand, just now\n"
    assert work.read("b.txt") == b"b\n"
    assert kept_paths(outcome.kept) == {"a.txt"}


def test_empty_folders_that_a_restore_leaves_are_removed_and_others_stay(work: RepoBuilder) -> None:
    work.path("mine/empty").mkdir(parents=True)
    engine = work.engine()
    checkpoint = engine.create_checkpoint("wanted")
    work.write("new/deep/er/file.txt", "new\n")
    engine.restore_checkpoint(checkpoint)
    assert not work.exists("new")
    assert work.path("mine/empty").is_dir()


def test_hard_linked_files_do_not_change_each_other(work: RepoBuilder) -> None:
    work.write("b.txt", "captured\n")
    engine = work.engine()
    checkpoint = engine.create_checkpoint("wanted")
    outside = work.root.parent / "outside.txt"
    work.write("b.txt", "wrecked\n")
    os.link(work.path("b.txt"), outside)
    engine.restore_checkpoint(checkpoint)
    assert work.read("b.txt") == b"captured\n"
    assert outside.read_bytes() == b"wrecked\n"


def test_nothing_to_do_is_no_operation(work: RepoBuilder) -> None:
    # pains.md row 22 (gemini-cli#4115): undoing a turn without changes altered the tree.
    work.write("a.txt", "edited\n")
    engine = work.engine()
    checkpoint = engine.create_checkpoint("wanted")
    before, operations = work.state(), len(engine.list_operations())
    outcome = engine.restore_checkpoint(checkpoint)
    assert (outcome.written, outcome.deleted, outcome.kept, outcome.warnings) == (0, 0, (), ())
    assert work.state() == before
    assert len(engine.list_operations()) == operations


def test_a_gitignore_that_was_a_symlink_ignored_nothing(repo: RepoBuilder) -> None:
    """git does without such a file, so what came later was absent then and goes; its target is no list of rules."""
    repo.write("a.txt", "a\n")
    repo.link(".gitignore", "later.txt")
    repo.commit()
    engine = repo.engine()
    checkpoint = engine.create_checkpoint("wanted")
    repo.write("later.txt", "later\n")
    outcome = engine.restore_checkpoint(checkpoint)
    assert outcome.kept == ()
    assert not repo.path("later.txt").exists()


@pytest.mark.parametrize("way", ["large", "secret", "fifo"])
def test_a_tracked_path_that_the_checkpoint_left_out_is_kept_and_not_made_up(repo: RepoBuilder, way: str) -> None:
    """Its base content is not what it had then: exclusion is not absence, and not the base either."""
    name = ".env" if way == "secret" else "big.bin"
    repo.write(name, "committed\n")
    repo.commit()
    engine = repo.engine(CHRONOS_MAX_FILE_BYTES="1000")
    if way == "fifo":
        repo.remove(name)
        os.mkfifo(repo.path(name))
    else:
        repo.write(name, "y" * 5000)
    checkpoint = engine.create_checkpoint("left out")
    repo.remove(name)
    repo.write(name, "what I have now\n")
    outcome = engine.restore_checkpoint(checkpoint)
    assert repo.read(name) == b"what I have now\n"
    assert kept_paths(outcome.kept) == {name}


def test_a_path_that_the_checkpoint_left_out_and_that_is_gone_is_said(repo: RepoBuilder) -> None:
    repo.write("a.txt", "a\n")
    repo.commit()
    repo.write("big.bin", "y" * 5000)
    engine = repo.engine(CHRONOS_MAX_FILE_BYTES="1000")
    checkpoint = engine.create_checkpoint("left out")
    repo.remove("big.bin")
    assert [row.reason for row in engine.plan_restore(checkpoint).kept] == [
        "the checkpoint does not hold it: too large"
    ]


def test_an_included_folder_gives_way_to_the_file_that_was_there(repo: RepoBuilder) -> None:
    repo.write(".gitignore", "out/\n")
    repo.commit()
    repo.write("out", "a file then\n")
    engine = repo.engine()
    checkpoint = engine.create_checkpoint("a file")
    repo.remove("out")
    repo.write("out/made", "ignored\n")
    kept = engine.restore_checkpoint(checkpoint)
    assert kept_paths(kept.kept) == {"out"}
    assert repo.read("out/made") == b"ignored\n"
    engine.restore_checkpoint(checkpoint, include=["out"])
    assert repo.read("out") == b"a file then\n"
    engine.undo()
    assert repo.read("out/made") == b"ignored\n"


@pytest.mark.parametrize(("before", "after"), [(0o600, 0o600), (0o640, 0o640), (0o400, 0o400), (0o700, 0o600)])
def test_whom_a_file_shuts_out_a_restore_does_not_let_in(repo: RepoBuilder, before: int, after: int) -> None:
    repo.write("private", "one\n")
    repo.commit()
    engine = repo.engine()
    checkpoint = engine.create_checkpoint("one")
    repo.path("private").chmod(0o644)
    repo.write("private", "two\n")
    repo.path("private").chmod(before)
    engine.restore_checkpoint(checkpoint)
    assert repo.path("private").read_text() == "one\n"
    assert repo.path("private").stat().st_mode & 0o777 == after
    engine.undo()
    assert repo.path("private").read_text() == "two\n"
    assert repo.path("private").stat().st_mode & 0o777 == before


def test_secrets_and_unreadable_files_that_came_later_are_listed_as_kept(work: RepoBuilder) -> None:
    work.write("before/.env", "TOKEN=0")
    engine = work.engine()
    checkpoint = engine.create_checkpoint("first")
    work.write(".env", "TOKEN=1")
    work.write("later/id_rsa", "KEY")
    os.mkfifo(work.path("later/pipe"))
    work.write("later/work.txt", "1")
    plan = engine.plan_restore(checkpoint)
    reasons = {row.path: row.reason for row in plan.kept}
    assert reasons == {b".env": "not captured: secret", b"later/id_rsa": "not captured: secret"}
    outcome = engine.restore_checkpoint(checkpoint)
    assert kept_paths(outcome.kept) == {".env", "later/id_rsa"}
    assert (work.read(".env"), work.exists("later/id_rsa"), work.exists("later/work.txt")) == (b"TOKEN=1", True, False)
    assert kept_paths(engine.plan_restore(checkpoint, paths=["before"]).kept) == set()
