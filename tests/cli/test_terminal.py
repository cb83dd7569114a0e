"""On a terminal: questions, colours, and nothing that a repository says is obeyed."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Program
from tests.support import RepoBuilder

ESCAPE = "\x1b"
COLOUR = "\x1b["


def damaged(chrono: Program, repo: RepoBuilder) -> None:
    """Take `one`, then change a file."""
    chrono.create("one")
    repo.write("a.txt", "damaged\n")


def test_restore_shows_the_plan_asks_and_restores_on_yes(chrono: Program, repo: RepoBuilder) -> None:
    damaged(chrono, repo)
    result = chrono.on_terminal("checkpoint", "restore", "one", answers=[("Restore one? [y/N]", "y\n")])
    assert result.code == 0, result.out
    plan, _, after = result.out.partition("Restore one?")
    assert "a.txt" in plan
    assert "1 to write" in plan
    assert "1 written" in after
    assert repo.read("a.txt") == b"one\n"


@pytest.mark.parametrize("answer", ["n\n", "\n", "yellow\n", "\x04"])
def test_anything_but_yes_changes_nothing(chrono: Program, repo: RepoBuilder, answer: str) -> None:
    damaged(chrono, repo)
    before = repo.state()
    result = chrono.on_terminal("checkpoint", "restore", "one", answers=[("[y/N]", answer)])
    assert result.code == 7
    assert "nothing was changed" in result.out
    assert repo.state() == before


def test_ctrl_c_at_the_question_is_130_and_changes_nothing(chrono: Program, repo: RepoBuilder) -> None:
    damaged(chrono, repo)
    before = repo.state()
    result = chrono.on_terminal("checkpoint", "restore", "one", answers=[("[y/N]", "\x03")])
    assert result.code == 130
    assert "interrupted" in result.out
    assert "Traceback" not in result.out
    assert repo.state() == before


def test_a_tree_that_changed_while_the_question_stood_is_refused(chrono: Program, repo: RepoBuilder) -> None:
    damaged(chrono, repo)

    class Meddling(str):
        def encode(self, *_: object) -> bytes:  # type: ignore[override]
            repo.write("b.txt", "changed while asking\n")
            return b"y\n"

    result = chrono.on_terminal("checkpoint", "restore", "one", answers=[("[y/N]", Meddling())])
    assert result.code == 3
    assert repo.read("a.txt") == b"damaged\n"
    assert repo.read("b.txt") == b"changed while asking\n"


def test_yes_asks_nothing_on_a_terminal(chrono: Program, repo: RepoBuilder) -> None:
    damaged(chrono, repo)
    result = chrono.on_terminal("checkpoint", "restore", "one", "--yes")
    assert "[y/N]" not in result.out
    assert repo.read("a.txt") == b"one\n"


def test_undo_redo_and_delete_ask_too(chrono: Program, repo: RepoBuilder) -> None:
    damaged(chrono, repo)
    chrono.good("checkpoint", "restore", "one", "--yes")
    assert chrono.on_terminal("undo", answers=[("Undo? [y/N]", "y\n")]).code == 0
    assert repo.read("a.txt") == b"damaged\n"
    assert chrono.on_terminal("redo", answers=[("Redo? [y/N]", "yes\n")]).code == 0
    assert repo.read("a.txt") == b"one\n"
    assert chrono.on_terminal("checkpoint", "delete", "one", answers=[("Delete it? [y/N]", "y\n")]).code == 0
    assert chrono.run("checkpoint", "show", "one").code == 2


def test_json_on_a_terminal_never_asks(chrono: Program, repo: RepoBuilder) -> None:
    damaged(chrono, repo)
    result = chrono.on_terminal("checkpoint", "restore", "one", "--json")
    assert result.code == 7
    assert '"confirmation_needed"' in result.out


def test_tables_and_patches_have_colour_only_on_a_terminal(chrono: Program, repo: RepoBuilder) -> None:
    damaged(chrono, repo)
    for words in (
        ("checkpoint", "list"),
        ("checkpoint", "diff", "one"),
        ("checkpoint", "diff", "one", "--patch"),
        ("log",),
    ):
        assert COLOUR in chrono.on_terminal(*words).out, words
        assert ESCAPE not in chrono.good(*words).out, words
        assert ESCAPE not in chrono.on_terminal(*words, NO_COLOR="1").out, words
        assert ESCAPE not in chrono.on_terminal(*words, TERM="dumb").out, words


def test_a_narrow_terminal_loses_no_part_of_an_id_or_name(chrono: Program) -> None:
    checkpoint_id = chrono.create("x" * 110)
    text = chrono.on_terminal("checkpoint", "list", COLUMNS="60").out
    assert checkpoint_id in text
    assert text.count("x") >= 110


def test_a_long_plan_hides_nothing_that_is_deleted_or_kept(chrono: Program, repo: RepoBuilder) -> None:
    for number in range(60):
        repo.write(f"file{number}.txt", "x")
    chrono.create("one")
    for number in range(60):
        repo.remove(f"file{number}.txt")
        repo.write(f"new{number}.tmp", "x")
    text = chrono.on_terminal("checkpoint", "restore", "one", "--plan").out
    assert not [number for number in range(60) if f"new{number}.tmp" not in text], text
    assert "and 60 more to write; a pipe shows all" in text


def test_a_long_plan_is_cut_on_a_terminal_and_whole_in_a_pipe(chrono: Program, repo: RepoBuilder) -> None:
    for number in range(60):
        repo.write(f"file{number}.txt", "x")
    chrono.create("one")
    for number in range(60):
        repo.remove(f"file{number}.txt")
    text = chrono.on_terminal("checkpoint", "restore", "one", "--plan").out
    assert "and 30 more" in text
    assert text.count(".txt") == 30
    assert chrono.good("checkpoint", "restore", "one", "--plan").out.count(".txt") == 60


def test_control_characters_in_names_and_contents_never_reach_the_terminal(chrono: Program, repo: RepoBuilder) -> None:
    chrono.create("one")
    for name in ("evil\x1b]0;owned\x07.txt", "line\nbreak.txt", "right\u202eleft.txt", "bell\x07.txt"):
        repo.write(name, f"content \x1b[31m {name}\n")
    repo.write("a.txt", "patch with \x1b[2J and \x9b and \u202e inside\rover\n")
    for words in (("status",), ("checkpoint", "diff", "one"), ("checkpoint", "diff", "one", "--patch"),
                  ("checkpoint", "diff", "one", "--stat"), ("checkpoint", "restore", "one", "--plan")):  # fmt: skip
        plain = chrono.on_terminal(*words, NO_COLOR="1").out + chrono.good(*words).out
        assert not set(plain) & {ESCAPE, "\x07", "\x9b", "\u202e", "\r"}, words
        coloured = chrono.on_terminal(*words).out
        assert "\x1b]0" not in coloured
        assert "\x1b[2J" not in coloured


def test_markup_in_names_means_nothing(chrono: Program, repo: RepoBuilder) -> None:
    chrono.create("one")
    repo.write("[bold]x[_bold] :smile:.txt", "x")
    assert "[bold]x[_bold] :smile:.txt" in chrono.on_terminal("checkpoint", "diff", "one").out


def test_control_characters_in_arguments_are_not_echoed_raw(chrono: Program) -> None:
    for words in (("checkpoint", "show", "x\x1b[2J"), ("checkpoint", "create", "x\x1b[2J"), ("no\x1b[2J",),
                  ("checkpoint", "list", "--timeline", "x\x1b[2J"), ("--root", "/no/\x1b[2J", "status")):  # fmt: skip
        result = chrono.run(*words)
        assert result.code in (2, 5)
        assert ESCAPE not in result.out + result.err
