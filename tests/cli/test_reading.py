"""Reading a plain line without typer: whatever is read, typer would have read the same."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chronos.cli.declaring import Argument, Command, Group, Option, Parameter
from chronos.cli.program import BEGIN, COMMANDS
from chronos.cli.reading import read_line
from chronos.cli.session import Session
from chronos.cli.typer_tree import run_with_typer
from chronos.errors import UsageError
from tests.cli.conftest import Program

Calls = list[tuple[str, Mapping[str, Any]]]
WORDS = st.sampled_from(
    ["a", "", "x y", "ü", "\udcff", "-", "--", "-1", "7", "0", "007", "99999999999999999999", "٣", "7.5", "zsh", "a=b",
     "--json", "--json=1", "--yes", "-y", "-yd", "-dx", "-d", "--root", ".", "--limit=3", "--limit", "--nope", "-h",
     "--check", "--no-check", "--help", "--version", "--desc", "--tag=", "--tag", "nothere/x", "create", "checkpoint"],
)  # fmt: skip


def commands(group: Group = COMMANDS, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Command]]:
    for name, found in group.commands.items():
        if isinstance(found, Group):
            yield from commands(found, (*path, name))
        else:
            yield (*path, name), found


EVERY = dict(commands())


def read(words: list[str]) -> Calls | None:
    line = read_line(BEGIN, COMMANDS, words)
    return line and [(BEGIN.name, line.own), (line.command.name, line.values)]


@pytest.fixture(scope="module")
def calls() -> Iterator[Calls]:
    """What typer calls; nothing runs."""
    found: Calls = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Command, "run", lambda self, _session, values: found.append((self.name, values)))
        yield found


def typed(words: list[str], calls: Calls) -> Calls | None:
    calls.clear()
    try:
        run_with_typer(BEGIN, COMMANDS, words, Session())
    except UsageError:
        return None
    return list(calls)


def word_for(parameter: Parameter) -> str:
    return "7" if parameter.kind is int else "bash" if parameter.name == "shell" else "some thing"


def plain_lines(path: tuple[str, ...], command: Command) -> Iterator[list[str]]:
    """Lines with all arguments, and each of the options in each of its forms."""
    parameters = command.parameters
    arguments = [word_for(one) for one in parameters if isinstance(one.about, Argument)]
    yield [*path, *arguments]
    for one in parameters:
        for word in one.about.words if isinstance(one.about, Option) and one.kind is not float else ():
            value = [] if one.kind is bool else [word_for(one)]
            again = [word, *value] if one.is_list else []
            yield [*path, word, *value, *again, *arguments]
            if not command.is_verbatim:
                yield [*path, *arguments, word, *value]
            if value and word.startswith("--"):
                yield [*path, f"{word}={value[0]}", *arguments]


@pytest.mark.parametrize("path", EVERY, ids=" ".join)
def test_plain_lines_of_every_command_are_read_as_typer_reads_them(path: tuple[str, ...], calls: Calls) -> None:
    for words in plain_lines(path, EVERY[path]):
        found = read(words)
        assert found is not None, words
        assert found == typed(words, calls), words
        if EVERY[path].is_verbatim:
            longer = [*words, "--json", "--", "-x", "--help"]
            assert read(longer) == typed(longer, calls) is not None


@given(st.data())
@settings(max_examples=600)
def test_what_is_read_of_any_line_typer_reads_the_same(calls: Calls, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(list(EVERY)))
    options = [word for one in EVERY[path].parameters if isinstance(one.about, Option) for word in one.about.words]
    word = WORDS | st.sampled_from(options or ["a"])
    own = st.sampled_from(["--json", "--root", ".", "--root=x", "--", "-h", "--version"])
    before = data.draw(st.lists(own, max_size=2))
    words = [*before, *path, *data.draw(st.lists(word, max_size=5))]
    found = read(words)
    assert found is None or found == typed(words, calls)


@pytest.mark.parametrize(
    "words",
    ["", "checkpoint", "nope", "checkpoint nope", "checkpoint create", "checkpoint create a b", "--root",
     "checkpoint create a -d", "checkpoint create a --no", "checkpoint create a -d x -d y", "checkpoint list --limit x",
     "checkpoint list --limit 0", "checkpoint create --help", "completion tcsh", "undo --yes=1", "status -"],
)  # fmt: skip
def test_a_line_that_is_not_plain_is_left_to_typer(words: str) -> None:
    assert read(words.split()) is None


@pytest.mark.parametrize("words", ["update a.txt --with -", "risk assess -", "lessons export -", "run - -x"])
def test_a_dash_alone_is_a_word_like_others(words: str, calls: Calls) -> None:
    assert read(words.split()) == typed(words.split(), calls) is not None


def test_an_option_of_the_command_that_is_run_is_not_ours(chrono: Program) -> None:
    words = ("run", "echo", "--json")
    assert chrono.good(*words).out.startswith("--json\n")
    assert chrono.good("--json", *words).json["exit_code"] == 0


def test_a_path_that_may_not_be_read_is_left_to_typer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["--root", str(tmp_path), "status"]
    assert read(words) is not None
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may read everything
    assert read(words) is None
