"""Keys and tokens are known by their form, and nothing else is taken for one."""

from __future__ import annotations

import sysconfig
from pathlib import Path

import pytest

from chronos.secrets import find_by_form, is_secret_text
from tests.support.planting import planted

PROJECT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", planted())
@pytest.mark.parametrize("size", [0, 100_000])
def test_a_secret_is_found_where_it_stands(name: str, size: int) -> None:
    """In a little text by searching for each form, in more by the automaton."""
    text, what = planted()[name]
    before = b"an ordinary line of text\n" * (size // 25)
    found = find_by_form(before + text)
    assert [spot.what for spot in found] == [what]
    assert len(before) < found[0].offset < len(before + text)


@pytest.mark.parametrize(
    "line",
    [
        b"gh" + b"p_" + b"x" * 36,
        b"AK" + b"IAIOSFODNN7" + b"EXAMPLE",
        b"AK" + b"IA is how such keys begin, ghp_ and sk-ant- too",
        b"-----BEGIN PRIVATE" + b" KEY----- is the first line of a key",
        b"-----BEGIN CERTIFICATE-----\n" + b"MIIC" * 16,
        b"postgres://user:password" + b"@localhost/db",
        b"https://joe:secret99" + b"@example.com/",
        b"https://${USER}:${PASSWORD}" + b"@host.net/",
        b"git@github.com:joe/repo.git",
        b"TASK MASK DISK SK" + b"0123456789abcdef",
        b"sha512-" + b"AK1A" * 20,
        b"gh" + b"p_" + b"a1B2c3" * 6 + b"  # pragma: allowlist secret",
        b"gh" + b"p_" + b"a1B2c3" * 6 + b"  // gitleaks:allow",
    ],
)
def test_what_only_looks_a_little_like_one_is_none(line: bytes) -> None:
    assert find_by_form(line + b"\n") == []
    assert not is_secret_text(line)


def test_the_mark_of_one_line_says_nothing_of_another() -> None:
    token = b"gh" + b"p_" + b"a1B2c3" * 6
    found = find_by_form(token + b"\n" + token + b"  # pragma: allowlist secret\n" + token + b"\n")
    assert [spot.offset for spot in found] == [0, 2 * len(token) + 30]


def test_a_clean_corpus_gives_no_warning() -> None:
    """This project, and Python's own library but for its tests and what is installed: 15 MB without a finding."""
    library = Path(sysconfig.get_path("stdlib"))
    sources = [path for path in library.rglob("*.py") if not {"site-packages", "test", "tests"} & set(path.parts)]
    sources += [
        path for path in PROJECT.rglob("*") if path.suffix in (".py", ".md", ".toml") and ".venv" not in path.parts
    ]
    assert len(sources) > 500
    assert {str(path): found for path in sources if (found := find_by_form(path.read_bytes()))} == {}
