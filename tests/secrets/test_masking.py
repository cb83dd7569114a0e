"""What is kept for good of a text: everything but what looks like a secret."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chronos.secrets import mask, mask_beginning, masking

TOKEN = "gh" + "p_" + "a1B2c3" * 6
KEY = f"-----BEGIN RSA PRIVATE {'KEY'}-----\n{'A9' * 32}\n{'B9' * 32}\n-----END RSA PRIVATE {'KEY'}-----"


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (f"401 for {TOKEN}, again '{TOKEN}'", "401 for …, again '…'"),
        (f"before\n{KEY}\nafter", "before\n…\nafter"),
        ("psql postgres://me:hunter2@db/x", "psql postgres://db/x"),
        ("deploy --token abc123 now", "deploy --token … now"),
        ("deploy --api-key=abc123 now", "deploy --api-key=… now"),
        ("PGPASSWORD=abc psql", "PGPASSWORD=… psql"),
        ("AUTH_TOKEN='a b' x", "AUTH_TOKEN=… x"),
        ('{"password": "hunter2", "a": 1}', '{"password": …, "a": 1}'),
        ("login failed, password: hunter2", "login failed, password: …"),
        ("-H 'Authorization: Bearer abcdefgh'", "-H 'Authorization: Bearer …'"),
        ("curl -u me:pw http://x", "curl -u me:… http://x"),
        ("mysql -uroot -psecret db", "mysql -uroot -p… db"),
    ],
)
def test_what_looks_like_a_secret_is_left_out(text: str, kept: str) -> None:
    assert mask(text) == kept
    assert mask(kept) == kept


@pytest.mark.parametrize(
    "text",
    [
        "pytest --maxfail=2 -p no:cacheprovider", "make test N=1", "SyntaxError: unexpected token: }",
        "rotate the token now", "assert token == 'abc'", "git clone ssh://git@host/x", "git commit --author=me",
        "docker run -u 1000:1000 -p8080:80 x", "max_tokens=500", "", "odd \udc80 \0 text",
    ],
)  # fmt: skip
def test_anything_else_is_left_alone(text: str) -> None:
    assert mask(text) == text


@pytest.mark.parametrize("piece", ["password", "://", "token=x ", "token ", "-", "a_", "mysql ", f"{TOKEN} ", TOKEN])
def test_a_megabyte_of_anything_takes_a_moment(piece: str) -> None:
    start_s = time.process_time()
    assert TOKEN not in mask(piece * (1024 * 1024 // len(piece)))
    assert time.process_time() - start_s < 10


def test_a_beginning_is_shown_up_to_its_length() -> None:
    assert mask_beginning("a short one", 20) == "a short one"
    assert mask_beginning("a longer one", 8) == "a longer…"
    assert mask_beginning(f"use {TOKEN} twice", 20) == "use … twice"
    assert mask_beginning("", 8) == ""


@pytest.mark.parametrize("lead", ["password=" + "x" * 300 + " ", "x ", "'", f"{KEY}\n", "://" + "u" * 400 + "@"])
def test_a_secret_that_the_end_of_what_is_looked_at_goes_through_is_not_shown(lead: str) -> None:
    for length in range(700, 900):
        text = (lead * length)[:length] + " " + TOKEN
        assert TOKEN[:8] not in mask_beginning(text, 50)


@pytest.mark.parametrize("number", range(1, len(masking._PLACES)))  # of the first they stand before what it takes
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_what_a_place_fits_has_letters_of_it(number: int, data: st.DataObject) -> None:
    letters, pattern = masking._PLACES[number]
    taken = re.sub(r"\(\?<?[!=](?:\[[^]]*\]|[^()])*\)", "", pattern)  # without what has to stand before or after
    ascii_only = st.characters(max_codepoint=127)
    text = data.draw(st.from_regex(re.compile(taken, re.IGNORECASE | re.ASCII), fullmatch=True, alphabet=ascii_only))
    assert any(one in text.lower() for one in letters.split())


def test_letters_beyond_ascii_hide_no_secret() -> None:
    for text in ("paſſword=hunter2", "toKen=hunter2", "PAſSWORD=x", "apiKey=abc"):
        assert "hunter2" not in mask(text)
        assert mask(text) == masking._places().sub(masking._without_value, text)
