"""Conflicts on the command line: listed, decided in every way, given up; and nothing changes before all are decided."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Program
from tests.merging.chat_server import says, serving
from tests.support import RepoBuilder
from tests.timelines.facts import BOTH, DB, make_facts, read_facts, set_fact
from tests.timelines.pairs import has, text, write


class Divided:
    """Two timelines with a text, a binary file and a row that both changed, and one more text that only `exp` did."""

    def __init__(self, repo: RepoBuilder) -> None:
        write(repo, {"sub/a.txt": text(), "data.bin": b"\0base", "c.txt": "c\n", ".gitignore": "data/\n"})
        repo.commit()
        make_facts(repo.path(DB), BOTH)
        self.here = repo
        self.chrono = Program(repo.root, repo.environment)
        self.there = RepoBuilder(
            Path(self.chrono.good("timeline", "branch", "exp", "--json").json["path"]), repo.environment
        )
        for tree, who in ((self.here, "ours"), (self.there, "theirs")):
            write(tree, {"sub/a.txt": text(l2=who, **{"l10" if who == "ours" else "l19": who})})
            write(tree, {"data.bin": b"\0" + who.encode()})
            set_fact(tree.path(DB), 1, who)
        write(self.there, {"c.txt": "only theirs\n"})
        self.before = self.files()

    def files(self) -> object:
        return self.here.state(), read_facts(self.here.path(DB))

    def merge(self, *words: str) -> int:
        return self.chrono.run("timeline", "merge", "exp", *words).code

    def is_untouched(self) -> bool:
        return self.files() == self.before


@pytest.fixture
def divided(repo: RepoBuilder) -> Divided:
    return Divided(repo)


def test_a_plan_shows_conflicts_and_row_counts_and_leaves_nothing_to_decide(divided: Divided) -> None:
    found = divided.chrono.run("timeline", "merge", "exp", "--plan", "--json")
    assert found.code == 1
    document = found.json
    assert (document["merged"], document["into"], document["checkpoint"]) == (False, "main", None)
    assert {one["path"]: one["kind"] for one in document["conflicts"]} == {
        "sub/a.txt": "content",
        "data.bin": "binary",
        DB: "row",
    }
    row = next(one for one in document["conflicts"] if one["kind"] == "row")
    assert (row["store"], row["table"], row["key"]) == ("facts.db", "facts", '{"id": 1}')
    assert [side in row["base"]["text"] for side in ("one", "ours", "theirs")] == [True, False, False]
    assert '"ours"' in row["ours"]["text"]
    assert '"theirs"' in row["theirs"]["text"]
    assert divided.is_untouched()
    assert divided.chrono.good("conflicts").out == "no merge waits for decisions\n"
    shown = divided.chrono.run("timeline", "merge", "exp", "--plan")
    assert shown.code == 1
    for part in ("sub/a.txt", "data.bin", "facts", "until they are decided nothing is changed"):
        assert part in shown.out


def test_conflicts_are_listed_with_their_sides(divided: Divided) -> None:
    assert divided.merge("--yes") == 1
    assert divided.is_untouched()
    listed = divided.chrono.run("conflicts")
    assert listed.code == 1
    assert "3 of 3 conflicts to decide" in listed.out
    document = divided.chrono.run("conflicts", "--json").json
    assert (document["open"], document["command"]) == (3, "chrono timeline merge exp")
    assert [one["resolution"] for one in document["conflicts"]] == [None, None, None]
    patch = divided.chrono.run("conflicts", "--patch").out
    for part in ("<<<<<<< ours", ">>>>>>> theirs", '"body": "one"', '"body": "ours"', '"body": "theirs"'):
        assert part in patch
    assert "waits" in divided.chrono.good("status").err


def test_a_merge_is_made_once_everything_is_decided(divided: Divided) -> None:
    divided.merge("--yes")
    assert divided.chrono.run("resolve", "sub/a.txt", "--theirs").code == 1
    assert divided.merge("--yes") == 1
    assert divided.is_untouched()
    assert divided.chrono.run("conflicts", "--json").json["open"] == 2
    assert divided.chrono.run("resolve", "data.bin", "--ours", "--json").json["open"] == 1
    last = divided.chrono.good("resolve", "facts.db", "--table", "facts", "--key", '{"id": 1}', "--theirs")
    assert "all is decided: `chrono timeline merge exp` makes it" in last.out
    assert divided.chrono.good("conflicts", "--json").json["open"] == 0
    assert divided.is_untouched()
    done = divided.chrono.good("timeline", "merge", "exp", "--yes", "--json").json
    assert done["merged"]
    has(divided.here, {"sub/a.txt": text(l2="theirs", l19="theirs"), "data.bin": b"\0ours", "c.txt": "only theirs\n"})
    assert read_facts(divided.here.path(DB)) == {**BOTH, 1: "theirs"}
    assert divided.chrono.good("conflicts", "--json").json == {
        "summary": None,
        "command": None,
        "conflicts": [],
        "open": 0,
        "notices": [],
    }
    divided.chrono.good("undo", "--yes")
    assert divided.is_untouched()


def test_an_editor_writes_what_becomes_of_a_file(divided: Divided, tmp_path: Path) -> None:
    divided.merge("--yes")
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\ngrep -q "<<<<<<< ours" "$1" && printf "edited\\n" > "$1"\n')
    editor.chmod(0o755)
    assert divided.chrono.run("resolve", "sub/a.txt", "--edit", EDITOR=str(editor)).code == 1
    for path in ("data.bin", "facts.db"):
        divided.chrono.run("resolve", path, "--ours")
    assert divided.merge("--yes") == 0
    has(divided.here, {"sub/a.txt": "edited\n", "data.bin": b"\0ours"})


def test_a_command_finds_the_sides_and_writes_the_result(divided: Divided) -> None:
    divided.merge("--yes")
    command = (
        'cat "$BASE" "$OURS" "$THEIRS" > /dev/null && git merge-file -p --union "$OURS" "$BASE" "$THEIRS" > "$MERGED"'
    )
    divided.chrono.run("resolve", "sub/a.txt", "--with", command)
    divided.chrono.run(
        "resolve", "facts.db", "--with", 'printf \'{"id": 1, "body": "by a tool", "weight": 3}\' > "$MERGED"'
    )
    divided.chrono.good("resolve", "data.bin", "--with", 'cat "$REMOTE" "$LOCAL" > "$MERGED"')
    assert divided.merge("--yes") == 0
    has(divided.here, {"sub/a.txt": text(l2="ours\ntheirs", l10="ours", l19="theirs")})
    has(divided.here, {"data.bin": b"\0theirs\0ours"})
    assert read_facts(divided.here.path(DB))[1] == "by a tool"


@pytest.mark.parametrize("also", ["--plan", "--yes"])
def test_a_resolver_that_there_is_not_is_refused_before_anything_is_planned(divided: Divided, also: str) -> None:
    refused = divided.chrono.run("timeline", "merge", "exp", "--resolver", "nobody", also, "--json")
    assert (refused.code, refused.error["code"]) == (2, "unknown_resolver")


def test_a_command_that_writes_what_stood_there_has_decided(divided: Divided) -> None:
    divided.merge("--yes")
    decided = divided.chrono.run("resolve", "data.bin", "--with", 'cat "$OURS" > "$MERGED"', "--json")
    assert decided.json["open"] == 2


@pytest.mark.parametrize(
    ("words", "variables", "code", "error"),
    [
        (("sub/a.txt", "--with", "exit 3"), {}, 5, "tool_failed"),
        (("sub/a.txt", "--with", "true"), {}, 5, "tool_failed"),  # the markers are still there
        (("data.bin", "--with", "true"), {}, 5, "tool_failed"),  # what stands there is ours, and nobody said so
        (("facts.db", "--with", "true"), {}, 5, "tool_failed"),
        (("sub/a.txt", "--with", 'rm "$MERGED"'), {}, 5, "tool_failed"),
        (("sub/a.txt", "--edit"), {"EDITOR": "false"}, 5, "tool_failed"),
        (("sub/a.txt", "--edit"), {}, 2, "usage"),  # no editor is set
        (("sub/a.txt",), {}, 2, "usage"),
        (("sub/a.txt", "--ours", "--theirs"), {}, 2, "usage"),
        (("sub/a.txt", "--resolver", "nobody"), {}, 2, "unknown_resolver"),
        (("nothing.txt", "--ours"), {}, 2, "unknown_conflict"),
        (("../outside", "--ours"), {}, 2, "unknown_conflict"),
        (("facts.db", "--ours", "--table", "nothing"), {}, 2, "unknown_conflict"),
        (("facts.db", "--ours", "--key", '{"id": 99}'), {}, 2, "unknown_conflict"),
    ],
)
def test_what_decides_nothing_leaves_everything_as_it_was(
    divided: Divided, words: tuple[str, ...], variables: dict[str, str], code: int, error: str
) -> None:
    divided.merge("--yes")
    refused = divided.chrono.run("resolve", *words, "--json", **{"EDITOR": "", "VISUAL": "", **variables})
    assert (refused.code, refused.error["code"]) == (code, error)
    assert divided.chrono.run("conflicts", "--json").json["open"] == 3
    assert divided.is_untouched()


def test_without_a_merge_that_waits_there_is_nothing_to_decide(divided: Divided) -> None:
    assert divided.chrono.run("resolve", "sub/a.txt", "--ours", "--json").error["code"] == "wrong_moment"
    assert divided.chrono.run("conflicts", "--forget", "--json").error["code"] == "wrong_moment"
    assert divided.chrono.good("conflicts", "--json").json["conflicts"] == []


def test_a_merge_is_given_up(divided: Divided) -> None:
    divided.merge("--yes")
    divided.chrono.run("resolve", "sub/a.txt", "--theirs")
    assert "given up" in divided.chrono.good("conflicts", "--forget").out
    assert divided.chrono.good("conflicts", "--json").json["conflicts"] == []
    divided.merge("--yes")
    assert divided.chrono.run("conflicts", "--json").json["open"] == 3, "what was decided is forgotten, too"
    assert divided.is_untouched()


@pytest.mark.parametrize("side", ["here", "there"])
def test_a_decision_about_what_has_changed_since_does_not_count(divided: Divided, side: str) -> None:
    divided.merge("--yes")
    for path in ("sub/a.txt", "data.bin", "facts.db"):
        divided.chrono.run("resolve", path, "--theirs")
    tree = divided.here if side == "here" else divided.there
    write(tree, {"sub/a.txt": text(l2="changed again")})
    again = divided.chrono.run("timeline", "merge", "exp", "--yes", "--json")
    assert again.code == 1
    assert [one["path"] for one in again.json["conflicts"]] == ["sub/a.txt"], "the other decisions still fit"
    divided.chrono.good("resolve", "sub/a.txt", "--theirs")
    assert divided.merge("--yes") == 0
    has(divided.here, {"sub/a.txt": divided.there.read("sub/a.txt"), "data.bin": b"\0theirs"})


def test_a_path_is_named_from_the_working_folder_and_by_the_id(divided: Divided) -> None:
    divided.merge("--yes")
    assert divided.chrono.run("resolve", "a.txt", "--ours", folder=divided.here.path("sub")).code == 1
    rest = [one for one in divided.chrono.run("conflicts", "--json").json["conflicts"] if one["resolution"] is None]
    assert {one["path"] for one in rest} == {"data.bin", DB}
    for one in rest:
        divided.chrono.run("resolve", one["id"][:8], "--ours")
    assert divided.chrono.good("conflicts", "--json").json["open"] == 0


def test_what_is_decided_counts_before_the_strategy(divided: Divided) -> None:
    divided.merge("--yes")
    for path in ("sub/a.txt", "facts.db"):
        divided.chrono.run("resolve", path, "--theirs")
    assert divided.merge("--yes", "--strategy", "ours") == 0
    has(divided.here, {"sub/a.txt": text(l2="theirs", l19="theirs"), "data.bin": b"\0ours"})
    assert read_facts(divided.here.path(DB))[1] == "theirs"


def test_the_command_that_makes_the_merge_asks_for_the_same(divided: Divided) -> None:
    divided.merge("--yes", "--path", "sub", "--strategy", "union")  # decided by the strategy
    divided.chrono.good("undo", "--yes")
    divided.merge("--yes", "--path", "sub")
    command = divided.chrono.run("conflicts", "--json").json["command"]
    assert command == "chrono timeline merge exp --path sub"
    divided.chrono.good("resolve", "sub/a.txt", "--ours")
    divided.chrono.good(*command.split()[1:], "--yes")
    has(divided.here, {"c.txt": "c\n", "data.bin": b"\0ours"})


def test_conflicts_of_a_merge_into_another_timeline_are_decided_from_here(divided: Divided) -> None:
    divided.chrono.good("timeline", "branch", "other")
    refused = divided.chrono.run("timeline", "merge", "exp", "--into", "other", "--yes")
    assert refused.code == 1
    assert "--into other" in refused.out
    assert divided.chrono.good("conflicts", "--json").json["conflicts"] == [], "none waits here"
    assert divided.chrono.run("conflicts", "--into", "other", "--json").json["open"] == 3
    for path in ("sub/a.txt", "data.bin", "facts.db"):
        divided.chrono.run("resolve", path, "--theirs", "--into", "other")
    found = divided.chrono.good("conflicts", "--into", "other", "--json").json
    assert (found["open"], found["command"]) == (0, "chrono timeline merge exp --into other")
    divided.chrono.good(*found["command"].split()[1:], "--yes")
    assert divided.is_untouched()
    assert (divided.here.store / "other/.worktree/data.bin").read_bytes() == b"\0theirs"


def test_without_a_terminal_nothing_is_merged_unless_it_is_said(divided: Divided) -> None:
    divided.chrono.run("timeline", "merge", "exp", "--path", "c.txt")
    refused = divided.chrono.run("timeline", "merge", "exp", "--path", "c.txt", "--json")
    assert (refused.code, refused.error["code"]) == (7, "confirmation_needed")
    assert divided.is_untouched()
    checkpoint = divided.chrono.good("timeline", "merge", "exp", "--path", "c.txt", "--yes", "--json").json["safety"]
    assert checkpoint
    has(divided.here, {"c.txt": "only theirs\n"})


def test_a_merge_is_shown_and_asked_about_on_a_terminal(divided: Divided) -> None:
    words = ("timeline", "merge", "exp", "--strategy", "theirs")
    no = divided.chrono.on_terminal(*words, answers=[("Merge exp?", "n\r")])
    assert no.code == 7
    assert "c.txt" in no.out
    assert divided.is_untouched()
    yes = divided.chrono.on_terminal(*words, answers=[("Merge exp?", "y\r")])
    assert yes.code == 0, yes.out
    has(divided.here, {"c.txt": "only theirs\n", "data.bin": b"\0theirs"})
    assert read_facts(divided.here.path(DB))[1] == "theirs"


def test_what_a_resolver_decides_is_asked_about_before_anything_changes(divided: Divided) -> None:
    written = text(l2="both", l10="ours", l19="theirs")
    with serving(says(written)) as chat:
        variables = {"CHRONOS_MERGE_RESOLVER_URL": chat.url, "CHRONOS_MERGE_RESOLVER_MODEL": "small"}
        words = ("timeline", "merge", "exp", "--resolver", "openai", "--path", "sub")
        refused = divided.chrono.run(*words, "--json", **variables)
        assert (refused.code, refused.error["code"]) == (7, "confirmation_needed")
        assert divided.is_untouched()
        yes = divided.chrono.on_terminal(*words, answers=[("Merge exp?", "y\r")], **variables)
        assert yes.code == 0, yes.out
    assert len(chat.asked) == 2, "each run asked once"
    has(divided.here, {"sub/a.txt": written})


def test_a_plan_asks_no_resolver(divided: Divided) -> None:
    with serving(says("")) as chat:
        variables = {"CHRONOS_MERGE_RESOLVER_URL": chat.url, "CHRONOS_MERGE_RESOLVER_MODEL": "small"}
        words = ("timeline", "merge", "exp", "--resolver", "openai")
        assert divided.chrono.run(*words, "--plan", **variables).code == 1
    assert chat.asked == []


def test_conflicts_are_left_to_a_model_one_by_one(divided: Divided) -> None:
    divided.merge("--yes")
    written = text(l2="both", l10="ours", l19="theirs")
    with serving(says(written)) as chat:
        variables = {"CHRONOS_MERGE_RESOLVER_URL": chat.url, "CHRONOS_MERGE_RESOLVER_MODEL": "small"}
        assert divided.chrono.run("resolve", "sub/a.txt", "--resolver", "openai", **variables).code == 1
        undecided = divided.chrono.run("resolve", "data.bin", "--resolver", "openai", "--json", **variables)
    assert len(chat.asked) == 1, "what is binary is for people"
    assert (undecided.code, undecided.json["open"]) == (1, 2)
    for path in ("data.bin", "facts.db"):
        divided.chrono.run("resolve", path, "--ours")
    assert divided.merge("--yes") == 0
    has(divided.here, {"sub/a.txt": written})


def test_what_a_model_decided_is_listed_and_can_be_decided_otherwise(divided: Divided) -> None:
    with serving(says(text(l2="both", l10="ours", l19="theirs"))) as chat:
        variables = {"CHRONOS_MERGE_RESOLVER_URL": chat.url, "CHRONOS_MERGE_RESOLVER_MODEL": "small"}
        words = ("timeline", "merge", "exp", "--resolver", "openai", "--yes")
        assert divided.chrono.run(*words, **variables).code == 1
    assert "2 of 3 conflicts to decide" in divided.chrono.run("conflicts").out
    listed = divided.chrono.run("conflicts", "--json").json["conflicts"]
    assert {one["path"]: one["resolution"] for one in listed} == {"sub/a.txt": "content", "data.bin": None, DB: None}
    for path in ("sub/a.txt", "data.bin", "facts.db"):
        divided.chrono.run("resolve", path, "--theirs")
    assert divided.merge("--yes") == 0
    has(divided.here, {"sub/a.txt": text(l2="theirs", l19="theirs")})


def test_what_waits_is_not_forgotten_when_something_else_is_merged(divided: Divided) -> None:
    divided.merge("--yes")
    divided.chrono.run("resolve", "sub/a.txt", "--theirs")
    divided.chrono.good("timeline", "branch", "other")
    (divided.here.store / "other/.worktree/new.txt").write_text("new\n")
    divided.chrono.good("timeline", "merge", "other", "--yes")
    divided.chrono.good("timeline", "merge", "exp", "--path", "c.txt", "--yes")
    assert divided.chrono.run("conflicts", "--json").json["open"] == 2
    for path in ("data.bin", "facts.db"):
        divided.chrono.run("resolve", path, "--ours")
    assert divided.merge("--yes") == 0
    assert divided.chrono.good("conflicts", "--json").json["conflicts"] == []


def test_a_new_timeline_has_nothing_to_decide_of_an_old_one_of_its_name(divided: Divided) -> None:
    assert divided.chrono.run("timeline", "merge", "main", "--into", "exp", "--yes").code == 1
    divided.chrono.good("timeline", "delete", "exp", "--yes")
    divided.chrono.good("timeline", "branch", "exp")
    assert divided.chrono.good("conflicts", "--into", "exp", "--json").json["conflicts"] == []


def test_bad_names_are_usage_errors(divided: Divided) -> None:
    for words in (("nobody",), ("main",), ("exp", "--strategy", "best"), ("exp", "--into", "nobody")):
        assert divided.chrono.run("timeline", "merge", *words, "--yes").code == 2
    assert divided.chrono.run("revert", "nothing", "--yes").code == 2
    assert divided.chrono.run("timeline", "merge", "exp", "--base", "nothing", "--yes").code == 2
    assert divided.is_untouched()


def test_a_revert_is_planned_refused_and_made_on_the_command_line(divided: Divided) -> None:
    divided.chrono.create("good")
    write(divided.here, {"c.txt": "bad\n"})
    bad = divided.chrono.create("bad")
    write(divided.here, {"later.txt": "later\n"})
    plan = divided.chrono.good("revert", bad, "--plan", "--json").json
    assert [change["path"] for change in plan["plan"]["writes"]] == ["c.txt"]
    assert divided.chrono.run("revert", bad).code == 7
    assert "written" in divided.chrono.good("revert", bad, "--yes").out or divided.here.read("c.txt") == b"c\n"
    has(divided.here, {"c.txt": "c\n", "later.txt": "later\n"})
    write(divided.here, {"c.txt": "changed again\n"})
    assert divided.chrono.run("revert", bad, "--yes").code == 1
    assert divided.chrono.run("conflicts", "--json").json["command"] == f"chrono revert {bad}"


def test_decisions_that_contradict_each_other_are_to_be_made_again(repo: RepoBuilder) -> None:
    write(repo, {"dir/f": "f\n"})
    repo.commit()
    chrono = Program(repo.root, repo.environment)
    there = RepoBuilder(Path(chrono.good("timeline", "branch", "exp", "--json").json["path"]), repo.environment)
    write(repo, {"dir/f": "edited\n"})
    write(there, {"dir/f": None})
    there.remove("dir")
    write(there, {"dir": "a file\n"})
    assert chrono.run("timeline", "merge", "exp", "--yes").code == 1
    chrono.run("resolve", "dir/f", "--ours")
    chrono.run("resolve", "dir", "--theirs")
    refused = chrono.run("timeline", "merge", "exp", "--yes")
    assert refused.code == 1
    assert "decide both again" in refused.out
    has(repo, {"dir/f": "edited\n"})
    assert chrono.run("conflicts", "--json").json["open"] == 2
    chrono.run("resolve", "dir/f", "--ours")
    chrono.good("resolve", "dir", "--ours")
    chrono.good("timeline", "merge", "exp", "--yes")
    has(repo, {"dir/f": "edited\n"})


def test_a_decision_that_cannot_be_carried_out_is_open_again(repo: RepoBuilder) -> None:
    write(repo, {"x": "file\n", "y": "y\n"})
    repo.link("link", "x")
    repo.commit()
    chrono = Program(repo.root, repo.environment)
    there = RepoBuilder(Path(chrono.good("timeline", "branch", "exp", "--json").json["path"]), repo.environment)
    for tree, target in ((repo, "ours"), (there, "theirs")):
        tree.remove("link")
        tree.link("link", target)
    chrono.run("timeline", "merge", "exp", "--yes")
    chrono.run("resolve", "link", "--with", 'echo written > "$MERGED"')
    assert chrono.run("timeline", "merge", "exp", "--yes").code == 1
    assert chrono.run("conflicts", "--json").json["open"] == 1


def test_files_of_a_store_are_listed_by_the_paths_that_decide_them(repo: RepoBuilder) -> None:
    write(repo, {"data/memory/notes/a.bin": b"\0base", "data/memory/notes/b.bin": b"\0base", ".gitignore": "data/\n"})
    repo.commit()
    chrono = Program(repo.root, repo.environment)
    there = RepoBuilder(Path(chrono.good("timeline", "branch", "exp", "--json").json["path"]), repo.environment)
    for tree, who in ((repo, b"ours"), (there, b"theirs")):
        write(tree, {f"data/memory/notes/{name}.bin": b"\0" + who for name in "ab"})
    chrono.run("timeline", "merge", "exp", "--yes")
    listed = chrono.run("conflicts").out
    assert chrono.run("resolve", "data/memory/notes/a.bin", "--ours", "--json").json["open"] == 1
    assert all(f"data/memory/notes/{name}.bin" in listed for name in "ab")
