"""An endpoint that fails, in every way: what concerns one conflict leaves it, what concerns all of them is an error."""

from __future__ import annotations

import gzip
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from datetime import timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import SimpleNamespace

import pytest

from chronos import clock
from chronos.errors import ResolverFailedError
from chronos.merging import (
    Choice,
    Conflict,
    ConflictKind,
    Resolution,
    Resolver,
    ResolverSettings,
    endpoint,
    open_resolver,
)
from tests.merging.chat_server import Asked, ChatServer, Reply, fails, says, send, serving

CONFLICT = Conflict(ConflictKind.CONTENT, b"a.txt", "both", b"0\n", b"1\n", b"2\n")
GOOD = says("1 2\n")
MERGED = Resolution(Choice.CONTENT, b"1 2\n")
KEY = "k3y-of-mine"


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long was waited for; nobody waits in truth."""
    waited: list[float] = []
    monkeypatch.setattr(endpoint, "time", SimpleNamespace(sleep=waited.append, monotonic=time.monotonic))
    return waited


@pytest.fixture
def notices() -> list[str]:
    return []


@pytest.fixture
def chat() -> Iterator[ChatServer]:
    with serving(GOOD) as server:
        yield server


@pytest.fixture
def resolver(chat: ChatServer, notices: list[str]) -> Iterator[Resolver]:
    with open_resolver("openai", ResolverSettings(notices.append, chat.url, "small", KEY, 0.6)) as opened:
        yield opened


def breaks(handler: BaseHTTPRequestHandler, asked: Asked) -> None:
    """Promise more than what comes, and hang up."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"choices": [')
    handler.close_connection = True


def sleeps(handler: BaseHTTPRequestHandler, asked: Asked) -> None:
    time.sleep(1.2)


def drips(handler: BaseHTTPRequestHandler, asked: Asked) -> None:
    """Send a byte every now and then, without end."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000000")
    handler.end_headers()
    for _ in range(60):
        handler.wfile.write(b" ")
        time.sleep(0.1)


def floods(handler: BaseHTTPRequestHandler, asked: Asked) -> None:
    """Send 1 GiB, as long as somebody takes it."""
    handler.send_response(200)
    handler.send_header("Content-Length", str(1 << 30))
    handler.end_headers()
    for _ in range(1 << 14):
        handler.wfile.write(b"x" * (1 << 16))


def packs(handler: BaseHTTPRequestHandler, asked: Asked) -> None:
    assert asked.headers["Accept-Encoding"] == "identity"
    send(handler, 200, gzip.compress(b" " * (1 << 24)), Content_Encoding="gzip")


def sends(body: bytes) -> Reply:
    return lambda handler, asked: send(handler, 200, body)


# what concerns this conflict


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (sleeps, r"did not answer within 0\.6 s"),
        (drips, r"did not answer within 0\.6 s"),
        (floods, "larger than"),
        (packs, "packed"),
        (sends(b""), "no chat completion"),
        (sends(b'{"choices": [{"message": {"content": "ANSW'), "no chat completion"),
        (sends(b"<html>welcome</html>"), "no chat completion"),
        (sends(b'{"choices": []}'), "no chat completion"),
        (sends(b'{"choices": [{"message": {"content": 5}}]}'), "no chat completion"),
        (sends(b'{"choices": [{"message": {"content": "\\ud800"}}]}'), "no chat completion"),
        (sends(b"[" * 100_000), "no chat completion"),
        (sends(b'{"choices": [{"message": {"role": "assistant", "content": null, "refusal": "no"}}]}'), "said nothing"),
        (says("1 2\n", finish_reason="length"), "cut off"),
        (fails(400, b'{"error": {"message": "too\\nlong"}}'), r"answers 400: too long"),
        (fails(413), "answers 413"),
        (fails(422, b'{"detail": "?"}'), "answers 422"),
    ],
)  # fmt: skip
def test_one_conflict_without_an_answer_stays_and_the_next_is_asked(
    chat: ChatServer, resolver: Resolver, notices: list[str], pauses: list[float], reply: Reply, why: str
) -> None:
    chat.replies = [reply, GOOD]
    start = time.monotonic()
    assert resolver(CONFLICT) is None
    assert time.monotonic() - start < 5
    assert resolver(CONFLICT) == MERGED
    (notice,) = notices
    assert re.search(why, notice)
    assert pauses == []
    assert len(chat.asked) == 2


def test_three_faults_in_a_row_are_the_endpoints(chat: ChatServer, resolver: Resolver, notices: list[str]) -> None:
    chat.replies = [sends(b""), sends(b""), GOOD, sends(b""), sends(b""), sends(b"")]
    answers = [resolver(CONFLICT) for _ in range(5)]
    assert answers == [None, None, MERGED, None, None]
    with pytest.raises(ResolverFailedError, match="3 times in a row"):
        resolver(CONFLICT)
    assert len(notices) == 4


# trying again


@pytest.mark.parametrize("reply", [breaks, *map(fails, (408, 429, 500, 502, 503, 504))])
def test_what_may_pass_is_tried_twice_more(
    chat: ChatServer, resolver: Resolver, pauses: list[float], reply: Reply
) -> None:
    chat.replies = [reply, reply, GOOD]
    assert resolver(CONFLICT) == MERGED
    assert pauses == [1.0, 2.0]
    assert [asked.body for asked in chat.asked] == [chat.asked[0].body] * 3


@pytest.mark.parametrize(("status", "error"), [(429, "answers 429: busy"), (503, "answers 503: busy")])
def test_what_does_not_pass_ends_the_asking(
    chat: ChatServer, resolver: Resolver, pauses: list[float], status: int, error: str
) -> None:
    chat.replies = [fails(status, b'{"error": "busy"}')]
    with pytest.raises(ResolverFailedError, match=error) as failed:
        resolver(CONFLICT)
    assert failed.value.exit_code == 5
    assert failed.value.hint
    assert len(chat.asked) == 3
    assert len(pauses) == 2


@pytest.mark.parametrize(
    ("reply", "why"), [(fails(500, b"oops"), "answers 500: oops"), (breaks, "the connection broke")]
)
def test_a_question_that_the_server_cannot_take_is_left(
    chat: ChatServer, resolver: Resolver, pauses: list[float], notices: list[str], reply: Reply, why: str
) -> None:
    chat.replies = [reply]
    assert resolver(CONFLICT) is None
    assert len(chat.asked) == 3
    assert why in notices[0]


def test_the_wait_that_the_server_asks_for_is_kept(chat: ChatServer, resolver: Resolver, pauses: list[float]) -> None:
    date = format_datetime(clock.now() + timedelta(seconds=20), usegmt=True)
    chat.replies = [fails(429, Retry_After="7"), fails(503, Retry_After=date), GOOD]
    assert resolver(CONFLICT) == MERGED
    assert pauses[0] == 7.0
    assert 10 < pauses[1] <= 20


@pytest.mark.parametrize("wait", ["soon", "-1", "", "1.5"])
def test_a_wait_that_is_none_is_passed_over(
    chat: ChatServer, resolver: Resolver, pauses: list[float], wait: str
) -> None:
    chat.replies = [fails(429, Retry_After=wait), GOOD]
    assert resolver(CONFLICT) == MERGED
    assert pauses == [1.0]


@pytest.mark.parametrize("wait", ["3600", "9" * 400, "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_nobody_waits_for_an_hour(chat: ChatServer, resolver: Resolver, pauses: list[float], wait: str) -> None:
    chat.replies = [fails(429, Retry_After=wait)]
    with pytest.raises(ResolverFailedError, match="s of peace"):
        resolver(CONFLICT)
    assert pauses == []
    assert len(chat.asked) == 1


# what concerns every conflict


@pytest.mark.parametrize(
    ("status", "hint"),
    [
        (401, "CHRONOS_MERGE_RESOLVER_KEY"),
        (403, "CHRONOS_MERGE_RESOLVER_KEY"),
        (404, "CHRONOS_MERGE_RESOLVER_URL"),
        (402, "no conflict was touched"),
        (204, "no conflict was touched"),
    ],
)
def test_a_refusal_is_an_error_with_what_to_do_and_without_the_key(
    chat: ChatServer, resolver: Resolver, pauses: list[float], status: int, hint: str
) -> None:
    body = b"" if status == 204 else b'{"error": {"message": "Incorrect key: \\u001b[31m' + KEY.encode() + b'"}}'
    chat.replies = [fails(status, body)]
    with pytest.raises(ResolverFailedError, match=f"answers {status}") as failed:
        resolver(CONFLICT)
    assert (failed.value.exit_code, failed.value.code) == (5, "resolver_failed")
    assert hint in failed.value.hint
    assert KEY not in failed.value.message
    assert "\x1b" not in failed.value.message
    assert len(chat.asked) == 1
    assert pauses == []


def test_an_endpoint_that_wants_a_key_and_gets_none_is_quoted_as_it_is(chat: ChatServer, notices: list[str]) -> None:
    chat.replies = [fails(401, b"who is it?")]
    settings = ResolverSettings(notices.append, chat.url, "small")
    with open_resolver("openai", settings) as resolver, pytest.raises(ResolverFailedError) as failed:
        resolver(CONFLICT)
    assert failed.value.message.endswith("answers 401: who is it?")


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_no_redirect_is_followed(chat: ChatServer, resolver: Resolver, status: int) -> None:
    with serving(GOOD) as elsewhere:
        chat.replies = [fails(status, Location=elsewhere.url + "/chat/completions")]
        with pytest.raises(ResolverFailedError, match="leads to http") as failed:
            resolver(CONFLICT)
        assert elsewhere.asked == []
    assert "not followed" in failed.value.hint


def test_an_endpoint_that_is_not_there_is_an_error_at_once(notices: list[str], pauses: list[float]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, and nobody listens
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        settings = ResolverSettings(notices.append, url, "small")
        with open_resolver("openai", settings) as resolver, pytest.raises(ResolverFailedError) as failed:
            resolver(CONFLICT)
    assert "cannot be reached" in failed.value.message
    assert "CHRONOS_MERGE_RESOLVER_URL" in failed.value.hint
    assert failed.value.exit_code == 5
    assert (notices, pauses) == ([], [])


def test_a_server_that_cannot_encrypt_is_told_nothing(chat: ChatServer, notices: list[str]) -> None:
    url = chat.url.replace("http:", "https:")
    settings = ResolverSettings(notices.append, url, "small", KEY, 2.0)
    with open_resolver("openai", settings) as resolver, pytest.raises(ResolverFailedError, match="cannot be reached"):
        resolver(CONFLICT)
    assert chat.asked == []


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate for this machine that nobody vouches for, and its key."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    place = tmp_path / "own.pem"
    form = ["-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    name = ["-subj", "/CN=here", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", place, "-out", tmp_path / "c"]
    subprocess.run(["openssl", "req", *form, *name, *files], check=True, capture_output=True)
    place.write_bytes(place.read_bytes() + (tmp_path / "c").read_bytes())
    return place


def test_a_host_that_nobody_vouches_for_is_told_nothing_unless_this_machine_trusts_it(
    certificate: Path, notices: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(GOOD, certificate=certificate) as chat:
        settings = ResolverSettings(notices.append, chat.url, "small", KEY, 5.0)
        with open_resolver("openai", settings) as resolver, pytest.raises(ResolverFailedError, match="certificate"):
            resolver(CONFLICT)
        assert chat.asked == []
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))  # OpenSSL's own
        with open_resolver("openai", settings) as resolver:
            assert resolver(CONFLICT) == MERGED


def test_the_environments_proxies_and_password_files_are_not_used(
    chat: ChatServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, notices: list[str]
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password hunter2\n")
    (tmp_path / "netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with serving(GOOD) as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url.removesuffix("/v1"))
        with open_resolver("openai", ResolverSettings(notices.append, chat.url, "small")) as resolver:
            assert resolver(CONFLICT) == MERGED
        assert proxy.asked == []
    assert "Authorization" not in chat.asked[0].headers
