"""Looking keeps to its time, says what it did not see, and loses nothing between two pieces of a content."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from chronos.pool import FILE_PROFILE, LIST_PROFILE, PoolWriter, StoredChunk
from chronos.secrets import (
    DETECTOR,
    FORMS,
    Budget,
    LineScan,
    SecretScanner,
    Spot,
    Unlimited,
    find_by_form,
    has_detector,
)

TOKEN = b"gh" + b"p_" + b"a1B2c3" * 6
SHARE = 0.2
ALWAYS_BYTES = 128 * 1024


def read(scanner: SecretScanner, content: bytes, *pieces: bytes, new: Iterable[bool] = ()) -> None:
    """Let the pieces of one content pass."""
    flags = list(new) or [True] * len(pieces)
    scanner.begin()
    for piece, is_new in zip(pieces, flags, strict=True):
        scanner.look(piece, is_new=is_new)
    scanner.end(content, sum(map(len, pieces)))


def patient(*, find: Callable[[bytes], list[Spot]] = find_by_form, load: Callable[[], LineScan | None] | None = None):
    return SecretScanner(Unlimited(), find=find, load=load or (lambda: None))


def lines_of(scanner: SecretScanner, content: bytes = b"a") -> list[int]:
    return [found.line for found in scanner.found.get(content, [])]


@pytest.mark.parametrize("cut", range(0, len(TOKEN) + 1, 3))
def test_a_secret_that_straddles_two_pieces_is_found(cut: int) -> None:
    scanner = patient()
    before, after = b"line\n" * 1000, b"\nline\n" * 1000
    read(scanner, b"a", before + TOKEN[:cut], TOKEN[cut:] + after)
    assert lines_of(scanner) == [1001]


@pytest.mark.parametrize("new", [(True, False), (False, True)])
def test_a_seam_is_looked_at_when_one_side_of_it_is_new(new: tuple[bool, bool]) -> None:
    scanner = patient()
    read(scanner, b"a", b"line\n" * 1000 + TOKEN[:20], TOKEN[20:] + b"\n", new=new)
    assert len(lines_of(scanner)) == 1


def test_of_a_large_content_only_new_pieces_are_looked_at() -> None:
    seen: list[int] = []
    scanner = patient(find=lambda data: seen.append(len(data)) or [])  # type: ignore[func-returns-value]
    read(scanner, b"a", *[b"x" * 100_000] * 5, new=[False, False, True, False, False])
    assert len(seen) == 2 and sum(seen) < 110_000


def test_lines_are_counted_over_windows_and_pieces() -> None:
    scanner = patient()
    text = b"".join(b"%d\n" % number if number % 40_000 else TOKEN + b"\n" for number in range(1, 160_001))
    read(scanner, b"a", text[:300_000], text[300_000:700_000], text[700_000:])
    assert lines_of(scanner) == [40_000, 80_000, 120_000, 160_000]


def test_a_file_of_bytes_is_no_text() -> None:
    scanner = patient()
    read(scanner, b"a", b"\x7fELF\0\0" + TOKEN)
    read(scanner, b"b", b"text " * 2000 + b"\0" + TOKEN)
    scanner.finish({b"a": "a", b"b": "b"})
    assert lines_of(scanner) == []
    assert lines_of(scanner, b"b") == [1]
    assert scanner.unscanned(DETECTOR, [b"a", b"b"]) != []
    assert scanner.unscanned(FORMS, [b"a", b"b"]) == []


def test_a_content_that_broke_off_leaves_nothing_behind() -> None:
    scanner = patient()
    scanner.begin()
    scanner.look(b"line\n" + TOKEN[:20], is_new=True)
    read(scanner, b"a", TOKEN[20:])
    assert lines_of(scanner) == []


def test_findings_of_one_content_are_bounded() -> None:
    scanner = patient()
    read(scanner, b"a", (TOKEN + b"\n") * 5000)
    assert len(lines_of(scanner)) == 20


def test_lists_and_paged_pieces_are_not_looked_at(tmp_path: Path) -> None:
    seen: list[bytes] = []
    scanner = patient(find=lambda data: seen.append(data) or [])  # type: ignore[func-returns-value]
    writer = PoolWriter(tmp_path, lambda _: False, inspector=scanner)
    writer.add_bytes(b"a list", LIST_PROFILE)
    writer.add_paged(5, [[StoredChunk(b"i" * 32, 0, b"pages", 5)]])
    writer.add_bytes(b"a file", FILE_PROFILE)
    writer.settle()
    writer.abandon()
    assert seen == [b"a file"]


# time


class Slow:
    """A scanner that takes its time, and knows what it has seen."""

    def __init__(self, pause_s: float) -> None:
        self.pause_s = pause_s
        self.took_s: list[float] = []

    def __call__(self, data: bytes, name: str = "") -> list:  # type: ignore[type-arg]
        start = time.perf_counter()
        time.sleep(self.pause_s)
        self.took_s.append(time.perf_counter() - start)
        return []


def test_a_slow_scanner_takes_a_fifth_of_the_time_and_the_rest_is_said() -> None:
    slow = Slow(0.004)
    start = time.perf_counter()
    scanner = SecretScanner(Budget(), lines=False, find=slow)
    contents = [bytes([number]) for number in range(100)]
    for content in contents:
        time.sleep(0.004)  # what a capture does besides
        read(scanner, content, bytes([65 + content[0] % 26]) * (ALWAYS_BYTES // 2))
    others = time.perf_counter() - start - sum(slow.took_s)
    assert sum(slow.took_s) <= max(sum(slow.took_s[:2]), SHARE * others) + max(slow.took_s)
    missed = scanner.unscanned(FORMS, contents)
    assert 0 < len(slow.took_s) < len(contents)
    assert len(missed) == len(contents) - len(slow.took_s)


def test_the_first_text_of_a_checkpoint_is_looked_at_however_slow_that_is() -> None:
    clock = [0.0]
    scanner = SecretScanner(Budget(clock=lambda: clock[0]), lines=False, find=_ticking(clock, 1000.0))
    contents = [b"%d" % number for number in range(5)]
    for content in contents:
        read(scanner, content, b"line\n" * (ALWAYS_BYTES // 16) + TOKEN)  # a good quarter of it
    assert [lines_of(scanner, content) for content in contents[:4]] == [[ALWAYS_BYTES // 16 + 1]] * 4
    assert scanner.unscanned(FORMS, contents) == [ALWAYS_BYTES // 16 * 5 + len(TOKEN)]


def test_what_was_missed_is_looked_at_in_the_end_when_there_is_time() -> None:
    clock = [0.0]
    scanner = SecretScanner(Budget(clock=lambda: clock[0]), lines=False, find=_ticking(clock, 1.0))
    read(scanner, b"a", b"x" * ALWAYS_BYTES)
    read(scanner, b"b", TOKEN + b"\n")
    assert scanner.unscanned(FORMS, [b"a", b"b"]) == [len(TOKEN) + 1]
    clock[0] += 1000.0
    scanner.finish({b"a": "a", b"b": "b"})
    assert scanner.unscanned(FORMS, [b"a", b"b"]) == []
    assert lines_of(scanner, b"b") == [1]


def _ticking(clock: list[float], tick_s: float) -> Callable[[bytes], list[Spot]]:
    def find(data: bytes) -> list[Spot]:
        clock[0] += tick_s
        return find_by_form(data)

    return find


def test_detect_secrets_gets_what_is_left_and_the_smallest_first() -> None:
    clock, seen = [0.0], []

    def scan(data: bytes, name: str) -> list[tuple[int, str]]:
        clock[0] += len(data) / 1000
        seen.append(name)
        return [(3, "something")] if name == "small" else []

    scanner = SecretScanner(Budget(clock=lambda: clock[0]), load=lambda: scan)
    sizes = {b"large": 5000, b"small": 10, b"middle": 900}
    for content, size in sizes.items():
        read(scanner, content, b"x" * size)
    clock[0] += 10.0  # two seconds to spare
    scanner.finish({content: content.decode() for content in sizes})
    assert seen == ["small", "middle"]
    assert scanner.unscanned(DETECTOR, sizes) == [5000]
    assert [(found.line, found.scanner) for found in scanner.found[b"small"]] == [(3, DETECTOR)]


def test_without_time_to_load_it_detect_secrets_is_not_even_loaded() -> None:
    def load() -> LineScan | None:
        raise AssertionError("there is no time for that")

    clock = [0.0]
    scanner = SecretScanner(Budget(clock=lambda: clock[0]), load=load)
    read(scanner, b"a", b"x" * 200_000)
    scanner.finish({b"a": "a"})
    assert scanner.unscanned(DETECTOR, [b"a"]) == [200_000]


def test_without_detect_secrets_nothing_fails() -> None:
    scanner = patient(load=lambda: None)
    read(scanner, b"a", b"text\n" + TOKEN)
    scanner.finish({b"a": "a"})
    assert lines_of(scanner) == [2]
    assert scanner.unscanned(DETECTOR, [b"a"]) != []


def test_what_waits_for_the_end_is_bounded() -> None:
    scanner = patient(load=lambda: Slow(0))
    contents = [b"%d" % number for number in range(8)]
    for content in contents:
        read(scanner, content, b"x" * 1_000_000)
    scanner.finish(dict.fromkeys(contents, "a"))
    assert scanner.unscanned(DETECTOR, contents) == [1_000_000] * 4


# detect-secrets itself


@pytest.mark.skipif(not has_detector(), reason="detect-secrets is not installed")
class TestDetectSecrets:
    @pytest.mark.parametrize(
        "line",
        [
            b'password = "' + b'hunter2hunter2"',
            b"db_password: '" + b"w8-Xk29sPq'",
            b'"api_key": "' + b'9f8a7b6c5d4e3f2a1"',
            b"client_secret" + b'="zZ3kq81LmnP0"',
            b"aws_secret_access_" + b"key = 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYzzzzzzzKEY'",
            b"eyJ" + b"hbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
        ],
    )
    def test_what_stands_behind_such_a_word_is_found(self, line: bytes) -> None:
        scanner = SecretScanner(Unlimited())
        read(scanner, b"a", b"one\ntwo\n" + line + b"\nfour\n")
        scanner.finish({b"a": "settings.py"})
        assert [(found.line, found.scanner) for found in scanner.found.get(b"a", [])] == [(3, DETECTOR)]

    @pytest.mark.parametrize(
        "line",
        [
            b'password = "xxx"',
            b'password = "${DB_PASSWORD_1}"',
            b"password = getpass('Password 1: ')",
            b'password = "changeit"',
            b'"integrity": "sha512-' + b"wJalrXUtnFEMI/K7MDENG/bPxRfiCYzzzzzzzKEY" + b'=="',
            b"commit 9f8a7b6c5d4e3f2a19f8a7b6c5d4e3f2a1000000",
            b'password = "' + b'hunter2hunter2"  # pragma: allowlist secret',
            b"x" * 5000 + b' password = "' + b'hunter2hunter2"',
        ],
    )
    def test_hashes_templates_and_words_are_none(self, line: bytes) -> None:
        scanner = SecretScanner(Unlimited())
        read(scanner, b"a", line + b"\n")
        scanner.finish({b"a": "settings.py"})
        assert scanner.found == {}

    def test_lock_files_are_left_alone(self) -> None:
        scanner = SecretScanner(Unlimited())
        read(scanner, b"a", b'password = "' + b'hunter2hunter2"\n')
        scanner.finish({b"a": "package-lock.json"})
        assert scanner.found == {}
