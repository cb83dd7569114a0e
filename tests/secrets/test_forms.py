"""Keys and tokens are known by their form, and nothing else is taken for one."""

from __future__ import annotations

import sysconfig
import time
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


def test_an_encrypted_key_with_headers_is_found() -> None:
    headers = b"\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,0123456789ABCDEF\n\n"
    text = b"-----BEGIN RSA PRIVATE" + b" KEY-----" + headers + b"MIIC" * 16
    assert [spot.what for spot in find_by_form(text)] == ["a private key"]
    assert find_by_form(text.replace(b"\n", b"\r\n")) == find_by_form(text.replace(b"\n", b"\\n")) != []


@pytest.mark.parametrize(
    "piece",
    [b"a: ", b"a-", b"\\n", b"a: \\", b"x:1a", b"-----BEGIN A ", b"SK", b"://a:1a", b"tskey-auth-", b"xapp-1-A-1"],
)
@pytest.mark.parametrize("start", [b"-----BEGIN PRIVATE" + b" KEY-----", b"https://a:", b"xapp-1-", b""])
def test_text_that_was_made_to_be_slow_is_not(start: bytes, piece: bytes) -> None:
    """Every form takes time in proportion to the text: a hundred times the text is no more than that much dearer."""
    text = start + piece * (20_000 // len(piece))
    small, large = (min(_effort(text[:size]) for _ in range(5)) for size in (len(text) // 100, len(text)))
    assert large <= 400 * max(small, 50e-6)


def _effort(text: bytes) -> float:
    begun = time.thread_time()
    find_by_form(text)
    return time.thread_time() - begun


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
