"""Any name that git can hold is captured under exactly that name."""

from __future__ import annotations

import os

import pytest

from tests.support import RepoBuilder, check_round_trip

NAMES: list[bytes] = [
    b"with space",
    b" leading space",
    b"trailing space ",
    b"new\nline",
    b"tab\there",
    b"carriage\rreturn",
    b"-leading-dash",
    b"--option=value",
    b"non-utf8-\xff\xfe",
    b"latin-\xe9t\xe9",
    "ünïcode-\N{SNOWMAN}".encode(),
    "decomposed-u\N{COMBINING DIAERESIS}".encode(),
    b"back\\slash",
    b"back\\x41slash",
    b'double"quote',
    b"single'quote",
    b"control-\x01\x1b[31m\x7f",
    b"star*[a]?",
    b":(top)magic",
    b"!bang",
    b"#hash",
    b"~",
    b"$HOME",
    b"%41",
    b"a:b",
    b"CON",
    b".hidden",
    b"...",
    b".gitkeep",
    b".gitfoo",
    b"x" * 255,
    b"/".join([b"deep" * 20] * 12),
]


def test_the_list_of_names_has_no_repetition() -> None:
    assert len(set(NAMES)) == len(NAMES)


@pytest.mark.parametrize("is_tracked", [True, False], ids=["tracked", "untracked"])
def test_files_of_every_name_come_back(repo: RepoBuilder, is_tracked: bool) -> None:
    # pains.md row 23 (hermes#103995): names that are not ASCII or begin with a space were skipped.
    repo.write("anchor", "anchor\n")
    if not is_tracked:
        repo.commit()
    for number, name in enumerate(NAMES):
        repo.write(b"names/" + name, f"content {number}\n")
    if is_tracked:
        repo.commit()
        for number, name in enumerate(NAMES[::2]):
            repo.write(b"names/" + name, f"changed {number}\n")
    assert {path for path in repo.paths() if path.startswith("names/")} == {
        os.fsdecode(b"names/" + name) for name in NAMES
    }
    check_round_trip(repo, lambda tree: tree.remove("names"))


def test_one_path_of_any_name_can_be_restored_by_itself(repo: RepoBuilder) -> None:
    for name in NAMES:
        repo.write(name, "wanted\n")
    repo.commit()
    engine = repo.engine()
    checkpoint = engine.create_checkpoint("wanted")
    for name in NAMES:
        repo.write(name, "wrecked\n")
    wrecked = set(NAMES)
    for name in NAMES:
        engine.restore_checkpoint(checkpoint, paths=[os.fsdecode(name)])
        wrecked.discard(name)
        assert {path for path in NAMES if repo.read(path) == b"wrecked\n"} == wrecked


def test_folders_of_odd_names_come_back(repo: RepoBuilder) -> None:
    repo.write("anchor", "anchor\n")
    repo.commit()
    for name in NAMES[:20]:
        repo.write(name + b" folder/" + name, "inside\n")
    check_round_trip(repo, lambda tree: [tree.remove(name + b" folder") for name in NAMES[:20]])


def test_links_of_odd_names_come_back(repo: RepoBuilder) -> None:
    repo.link(b"-link\n\xff", b"-target\n\xff")
    repo.commit()
    repo.link(b" other\\ ", b"\\")
    check_round_trip(repo, lambda tree: tree.remove(b"-link\n\xff", b" other\\ "))


def test_names_that_differ_only_in_case_stay_apart(repo: RepoBuilder) -> None:
    repo.write("Readme", "upper\n")
    repo.write("readme", "lower\n")
    repo.commit()
    repo.write("README", "shouting\n")
    check_round_trip(repo, lambda tree: tree.write("readme", "wrecked\n"))
