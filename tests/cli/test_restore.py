"""Restore, undo and redo from the command line, without a terminal."""

from __future__ import annotations

from tests.cli.conftest import Program
from tests.support import RepoBuilder


def damaged(chrono: Program, repo: RepoBuilder) -> None:
    """Take `one`, then change, delete and add a file."""
    repo.write("a.txt", "captured\n")
    chrono.create("one")
    repo.write("a.txt", "damaged\n")
    repo.remove("b.txt")
    repo.write("c.txt", "later\n")


def test_plan_shows_everything_and_changes_nothing(chrono: Program, repo: RepoBuilder) -> None:
    damaged(chrono, repo)
    before = repo.state()
    document = chrono.good("checkpoint", "restore", "one", "--plan", "--json").json
    assert {"plan_id", "grade", "writes", "deletes", "stores", "kept", "warnings"} <= document.keys()
    assert [(row["path"], row["replaces"]) for row in document["writes"]] == [("a.txt", "file"), ("b.txt", "absent")]
    assert [row["path"] for row in document["deletes"]] == ["c.txt"]
    assert (document["stores"], document["kept"], document["grade"]) == ([], [], "complete")
    text = chrono.good("checkpoint", "restore", "one", "--plan").out.split("\n")
    assert [line.split()[:2] for line in text[:3]] == [["delete", "c.txt"], ["write", "a.txt"], ["write", "b.txt"]]
    assert text[3] == f"plan {document['plan_id']}: 2 to write, 1 to delete, 0 to keep"
    assert repo.state() == before


def test_without_a_terminal_and_yes_nothing_is_touched(chrono: Program, repo: RepoBuilder) -> None:
    damaged(chrono, repo)
    before = repo.state()
    result = chrono.run("checkpoint", "restore", "one", "--json")
    assert (result.code, result.error["code"], result.out) == (7, "confirmation_needed", "")
    assert "--yes" in result.error["hint"]
    assert repo.state() == before


def test_an_unknown_checkpoint_is_named_before_a_terminal_is_asked_for(chrono: Program, repo: RepoBuilder) -> None:
    damaged(chrono, repo)
    result = chrono.run("checkpoint", "restore", "nope", "--json")
    assert (result.code, result.error["code"]) == (2, "unknown_checkpoint")


def test_yes_restores_and_undo_and_redo_walk_both_ways(chrono: Program, repo: RepoBuilder) -> None:
    damaged(chrono, repo)
    before = repo.state()
    document = chrono.good("checkpoint", "restore", "one", "--yes", "--json").json
    assert (document["written"], document["deleted"], document["kept"]) == (2, 1, [])
    assert {"operation", "summary", "safety", "warnings", "plan_id"} <= document.keys()
    assert repo.read("a.txt") == b"captured\n"
    after = repo.state()
    refused = chrono.run("undo")
    assert refused.code == 7
    assert repo.state() == after
    assert chrono.good("undo", "--plan", "--json").json["summary"] == "undo restore one"
    assert repo.state() == after
    assert "`chrono redo` goes back" in chrono.good("undo", "--yes").out
    assert repo.state() == before
    assert "`chrono undo` goes back" in chrono.good("redo", "--yes").out
    assert repo.state() == after


def test_undo_of_a_create_touches_no_file_and_has_a_redo(chrono: Program, repo: RepoBuilder) -> None:
    chrono.create("one")
    before = repo.state()
    assert chrono.good("undo", "--yes").out == "undo create one\n"
    assert chrono.run("checkpoint", "show", "one").code == 2
    chrono.good("redo")
    chrono.good("checkpoint", "show", "one")
    assert repo.state() == before


def test_undo_with_nothing_to_undo_is_the_wrong_moment(chrono: Program) -> None:
    for verb in ("undo", "redo"):
        result = chrono.run(verb, "--yes", "--json")
        assert (result.code, result.error["code"]) == (3, "nothing_to_undo")


def test_undo_keeps_what_was_edited_since_unless_told_otherwise(chrono: Program, repo: RepoBuilder) -> None:
    damaged(chrono, repo)
    chrono.good("checkpoint", "restore", "one", "--yes")
    repo.write("a.txt", "edited since\n")
    kept = chrono.good("undo", "--plan", "--json").json["kept"]
    assert [row["path"] for row in kept] == ["a.txt"]
    assert [row["path"] for row in chrono.good("undo", "--plan", "--overwrite", "--json").json["kept"]] == []
    assert "edited since" in chrono.good("undo", "--yes").out
    assert repo.read("a.txt") == b"edited since\n"


def test_a_plan_id_that_is_no_longer_true_is_refused(chrono: Program, repo: RepoBuilder) -> None:
    damaged(chrono, repo)
    plan_id = chrono.good("checkpoint", "restore", "one", "--plan", "--json").json["plan_id"]
    repo.write("d.txt", "meanwhile\n")
    before = repo.state()
    result = chrono.run("checkpoint", "restore", "one", "--yes", "--plan-id", plan_id, "--json")
    assert (result.code, result.error["code"]) == (3, "changed_meanwhile")
    assert repo.state() == before
    repo.remove("d.txt")
    chrono.good("checkpoint", "restore", "one", "--yes", "--plan-id", plan_id)
    assert repo.read("a.txt") == b"captured\n"


def test_path_restores_only_what_is_named(chrono: Program, repo: RepoBuilder) -> None:
    damaged(chrono, repo)
    chrono.good("checkpoint", "restore", "one", "--yes", "--path", "./a.txt", "--path", "b.txt")
    assert repo.read("a.txt") == b"captured\n"
    assert repo.exists("b.txt")
    assert repo.exists("c.txt")


def test_what_no_checkpoint_holds_is_kept_and_listed_unless_included(chrono: Program, repo: RepoBuilder) -> None:
    repo.write(".env", "OLD=1\n")
    repo.git("add", "-f", ".env")
    repo.commit("a secret, alas")
    chrono.create("one")
    repo.write(".env", "NEW=1\n")
    repo.write("a.txt", "damaged\n")
    result = chrono.good("checkpoint", "restore", "one", "--yes")
    assert "keep  .env  not captured: secret" in result.out
    assert repo.read(".env") == b"NEW=1\n"
    chrono.good("checkpoint", "restore", "one", "--yes", "--include", ".env")
    assert repo.read(".env") == b"OLD=1\n"
    chrono.good("undo", "--yes")
    assert repo.read(".env") == b"NEW=1\n"


def test_into_writes_a_new_folder_and_touches_nothing_else(chrono: Program, repo: RepoBuilder) -> None:
    damaged(chrono, repo)
    before = repo.state()
    target = repo.root.parent / "copy"
    document = chrono.good("checkpoint", "restore", "one", "--into", str(target), "--json").json
    assert (document["written"], document["into"]) == (2, str(target))
    assert (target / "a.txt").read_text() == "captured\n"
    assert repo.state() == before
    again = chrono.run("checkpoint", "restore", "one", "--into", str(target), "--json")
    assert (again.code, again.error["code"]) == (7, "target_not_empty")


def test_into_with_options_that_make_no_sense_there_is_a_usage_error(chrono: Program) -> None:
    for words in (("--head",), ("--plan",), ("--plan-id", "x"), ("--include", "x")):
        assert chrono.run("checkpoint", "restore", "@", "--into", "x", *words).code == 2


def test_head_moves_back_only_when_asked(chrono: Program, repo: RepoBuilder) -> None:
    chrono.create("one")
    old = repo.head()
    repo.write("a.txt", "committed\n")
    new = repo.commit("later")
    chrono.good("checkpoint", "restore", "one", "--yes")
    assert repo.head() == new
    chrono.good("undo", "--yes")
    head = chrono.good("checkpoint", "restore", "one", "--plan", "--head", "--json").json["head"]
    main = "refs/heads/main"
    assert head == {"from": {"branch": main, "commit": new}, "to": {"branch": main, "commit": old}}
    assert f"main at {old[:12]}" in chrono.good("checkpoint", "restore", "one", "--plan", "--head").out
    chrono.good("checkpoint", "restore", "one", "--yes", "--head")
    assert repo.head() == old
    chrono.good("undo", "--yes")
    assert repo.head() == new


def test_restoring_what_is_there_already_does_nothing(chrono: Program) -> None:
    chrono.create("one")
    assert chrono.good("checkpoint", "restore", "one", "--yes").out.startswith("nothing to do")
    assert chrono.good("checkpoint", "restore", "one", "--yes", "--json").json["operation"] is None


def test_paths_are_relative_to_the_folder_one_stands_in(chrono: Program, repo: RepoBuilder) -> None:
    repo.write("sub/a.txt", "first\n")
    repo.write("a.txt", "first\n")
    repo.commit()
    chrono.create("here")
    repo.write("sub/a.txt", "broken\n")
    repo.write("a.txt", "broken\n")
    done = chrono.run("checkpoint", "restore", "here", "--path", "a.txt", "--yes", folder=repo.path("sub"))
    assert done.code == 0
    assert (repo.read("sub/a.txt"), repo.read("a.txt")) == (b"first\n", b"broken\n")


def test_paths_may_be_dots_and_absolute_as_long_as_they_stay_inside(chrono: Program, repo: RepoBuilder) -> None:
    repo.write("sub/a.txt", "first\n")
    repo.commit()
    chrono.create("here")
    sub = repo.path("sub")
    for path, folder in (
        (".", sub), ("../sub//a.txt", sub), (str(sub / "a.txt"), sub), (str(sub), repo.root), ("sub/../sub/", repo.root)
    ):  # fmt: skip
        repo.write("sub/a.txt", "broken\n")
        repo.write("b.txt", "kept\n")
        done = chrono.run("checkpoint", "restore", "here", "--yes", "--path", path, folder=folder)
        assert (done.code, repo.read("sub/a.txt"), repo.read("b.txt")) == (0, b"first\n", b"kept\n"), done.err
    for path, folder in (("..", sub), (".", repo.root), (str(repo.root), repo.root)):
        repo.write("b.txt", "broken\n")
        done = chrono.run("checkpoint", "restore", "here", "--yes", "--path", path, folder=folder)
        assert (done.code, repo.read("b.txt")) == (0, b"two\n"), done.err
    assert chrono.run("checkpoint", "restore", "here", "--yes", "--path", "../..", folder=sub).code == 2


def test_an_included_folder_may_hold_a_repository(chrono: Program, repo: RepoBuilder) -> None:
    repo.write(".gitignore", "out/\n")
    repo.write("out/x", "old\n")
    chrono.create("one")
    RepoBuilder(repo.path("out/inner"), repo.environment).write("y", "y\n")
    assert chrono.run("checkpoint", "restore", "one", "--yes", "--include", "out").code == 0
    assert repo.read("out/inner/y") == b"y\n"
