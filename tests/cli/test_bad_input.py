"""Bad names, ids, paths and roots get a clear error, and nothing happens."""

from __future__ import annotations

from pathlib import Path

import pytest

from chronos.cli import output
from tests.cli.conftest import Program
from tests.support import RepoBuilder

BAD_NAMES = [
    "", " ", "main@", "v1@~2", "../x", "a/../b", "-x", "--json", "@", "@x", "x" * 121, "x" * 300, "a\nb",
    "a\x1b[2J", "a\x07", "a\\b", "$(touch x)", "`x`", "a;b", "a|b", "*", "~root",
]  # fmt: skip
BAD_IDS = [
    "../x",
    "../../etc/passwd",
    "/etc/passwd",
    "x" * 300,
    "a\x1b[2J",
    "@~99",
    "nope@",
    "@~",
    "%",
    "_",
    "*",
    "main/..",
]


@pytest.mark.parametrize("name", BAD_NAMES, ids=repr)
def test_bad_checkpoint_names_are_refused_and_nothing_is_taken(chrono: Program, repo: RepoBuilder, name: str) -> None:
    before = repo.paths()
    result = chrono.run("checkpoint", "create", "--json", "--", name)
    assert result.code == 2
    assert chrono.good("checkpoint", "list").out == "no checkpoints\n"
    assert repo.paths() == before


def test_a_refused_name_leaves_no_store_behind(chrono: Program, repo: RepoBuilder) -> None:
    before = repo.state()
    chrono.run("checkpoint", "create", "--", "../x")
    assert not repo.exists("data")
    assert repo.state() == before


@pytest.mark.parametrize("words", [("status",), ("doctor",), ("init",)])
def test_looking_leaves_nothing_in_the_status_of_git(
    chrono: Program, repo: RepoBuilder, words: tuple[str, ...]
) -> None:
    before = repo.status()
    chrono.good(*words)
    assert repo.status() == before


@pytest.mark.parametrize("tag", ["", "../x", "-x", "x" * 300, "a\x1b"], ids=repr)
def test_bad_tags_are_refused(chrono: Program, tag: str) -> None:
    result = chrono.run("checkpoint", "create", "one", f"--tag={tag}", "--json")
    assert (result.code, result.error["code"]) == (2, "bad_name")


def test_a_name_that_looks_like_an_option_is_a_usage_error(chrono: Program) -> None:
    assert chrono.run("checkpoint", "create", "-x").code == 2
    assert chrono.run("checkpoint", "create", "--rm").code == 2


@pytest.mark.parametrize("wanted", BAD_IDS, ids=repr)
def test_unknown_and_malicious_ids_are_refused(chrono: Program, repo: RepoBuilder, wanted: str) -> None:
    chrono.create("one")
    repo.write("a.txt", "edited\n")
    before = repo.state()
    for words in (("restore", "--yes"), ("delete", "--yes")):
        result = chrono.run("checkpoint", *words, "--json", "--", wanted)
        assert result.code == 2, words
        assert result.error["code"] == "unknown_checkpoint"
        assert len(result.error["message"]) < 400
    assert repo.state() == before


def test_an_id_before_the_first_checkpoint_is_unknown(chrono: Program) -> None:
    for words in (("show", "x"), ("diff", "x"), ("restore", "x", "--yes"), ("delete", "x", "--yes")):
        result = chrono.run("checkpoint", *words, "--json")
        assert (result.code, result.error["code"]) == (2, "unknown_checkpoint")


def test_an_ambiguous_prefix_names_the_candidates(chrono: Program, repo: RepoBuilder) -> None:
    engine = repo.engine()
    ids = [engine.create_checkpoint(f"number {number}") for number in range(17)]  # two of them share a first digit
    prefix = next(one[0] for one in ids if sum(other.startswith(one[0]) for other in ids) > 1)
    result = chrono.run("checkpoint", "show", prefix, "--json")
    assert (result.code, result.error["code"]) == (2, "ambiguous_checkpoint")
    named = [checkpoint_id for checkpoint_id in ids if checkpoint_id in result.error["message"]]
    assert len(named) >= 2


@pytest.mark.parametrize(
    "path", ["..", "../x", "/etc/passwd", "", ".git", "a/.git/config", ".GIT/x", "a/../../b", "x" * 5000]
)
def test_paths_that_leave_the_tree_are_refused(chrono: Program, repo: RepoBuilder, path: str) -> None:
    chrono.create("one")
    repo.write("a.txt", "edited\n")
    before = repo.state()
    result = chrono.run("checkpoint", "restore", "one", "--yes", f"--path={path}", "--json")
    assert (result.code, result.error["code"]) == (2, "bad_path")
    assert repo.state() == before


def test_a_plain_folder_works_like_a_repository(folder: RepoBuilder) -> None:
    chrono = Program(folder.root, folder.environment)
    folder.write("a.txt", "one\n")
    chrono.create("one")
    folder.write("a.txt", "two\n")
    assert chrono.good("checkpoint", "diff", "one").out == "M  a.txt\n"
    chrono.good("checkpoint", "restore", "one", "--yes")
    assert folder.read("a.txt") == b"one\n"
    chrono.good("undo", "--yes")
    assert folder.read("a.txt") == b"two\n"
    assert chrono.good("verify", "--deep").out == "nothing is wrong\n"


@pytest.mark.parametrize("command", [("status",), ("checkpoint", "create", "x"), ("init",), ("checkpoint", "list")])
def test_home_and_system_folders_are_refused(sealed: dict[str, str], tmp_path: Path, command: tuple[str, ...]) -> None:
    home = Path(sealed["HOME"])
    before = sorted(home.rglob("*"))
    for root in (home, home.parent, Path("/"), Path("/etc")):
        result = Program(tmp_path, sealed).run("--root", str(root), *command, "--json")
        assert (result.code, result.error["code"]) == (7, "dangerous_root"), root
    assert sorted(home.rglob("*")) == before


def test_a_root_that_does_not_exist_is_named(chrono: Program) -> None:
    result = chrono.run("--root", "/no/such/folder", "status", "--json")
    assert result.code == 5
    assert "/no/such/folder" in result.error["message"]


@pytest.mark.parametrize("words", [("checkpoint", "list"), ("checkpoint", "search", "one"), ("log",)])
def test_an_unknown_timeline_is_named(chrono: Program, words: tuple[str, ...]) -> None:
    chrono.create("one")
    result = chrono.run(*words, "--timeline", "nope", "--json")
    assert (result.code, result.error["code"]) == (2, "unknown_timeline")
    assert "timeline list" in result.error["hint"]
    assert "'nope'" in chrono.run("checkpoint", "show", "nope@~1", "--json").error["message"]


def test_arguments_that_are_no_utf8_give_valid_json(chrono: Program) -> None:
    chrono.create("one")
    result = chrono.run("checkpoint", "show", b"caf\xe9", "--json")
    assert result.error["code"] == "unknown_checkpoint"
    assert chrono.run("checkpoint", "search", b"caf\xe9", "--json").code in (0, 2)


def test_wrong_commands_that_are_no_utf8_give_valid_json(chrono: Program) -> None:
    assert chrono.run("checkpoint", b"caf\xe9", "--json").error["code"] == "usage"


DIGITS = "9" * 5000  # more than Python makes a number of


@pytest.mark.parametrize("number", [DIGITS, "9" * 23])
@pytest.mark.parametrize(
    "words",
    [
        ("watch", "--quota"), ("watch", "--settle"), ("checkpoint", "list", "--limit"), ("log", "--limit"),
        ("lessons", "search", "x", "--limit"), ("mcp", "--http"),
    ],
)  # fmt: skip
def test_a_number_that_is_too_long_is_a_usage_error(chrono: Program, words: tuple[str, ...], number: str) -> None:
    chrono.good("checkpoint", "create", "one")
    assert chrono.run(*words, number).code == 2


@pytest.mark.parametrize("name", ["CHRONOS_QUOTA_BYTES", "CHRONOS_CHECKPOINT_RETENTION_DAYS", "CHRONOS_LOCK_TIMEOUT"])
def test_a_setting_that_is_too_long_a_number_is_a_usage_error(chrono: Program, name: str) -> None:
    assert chrono.run("checkpoint", "create", "one", **{name: DIGITS}).code == 2


@pytest.mark.parametrize("days", ["9" * 23, DIGITS[:400]])
def test_a_lease_of_any_length_keeps_a_tree(chrono: Program, repo: RepoBuilder, days: str) -> None:
    repo.write("a.txt", "a\n")
    repo.commit()
    chrono.good("timeline", "branch", "other")
    assert chrono.good("timeline", "prune", "--plan", "--idle", days).out.startswith("keep  other  used lately")


def test_a_terminal_of_any_width_is_not_too_wide_for_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "is_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", DIGITS)
    width = output.find_width()
    assert width is not None
    assert 0 < width < 10_000
