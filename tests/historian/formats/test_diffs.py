"""Unified diffs are applied to the letter: as git does where git does, and refused where anything would be guessed."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

import pytest

from historian.errors import PatchRejectedError
from historian.formats import Change, change_content

TEXT = b"one\ntwo\nthree\nfour\nfive\n"
DIFF = "--- a/x.txt\n+++ b/x.txt\n@@ -1,3 +1,3 @@\n one\n-two\n+2\n three\n"


def apply(old: bytes | None, diff: str | bytes, path: str = "x.txt") -> bytes:
    return change_content(path, old, Change(diff=diff))


def test_a_hunk_goes_where_it_says() -> None:
    assert apply(TEXT, DIFF) == b"one\n2\nthree\nfour\nfive\n"


def test_a_hunk_with_other_line_numbers_goes_to_the_only_place_where_it_fits() -> None:
    assert apply(b"zero\n" + TEXT, DIFF) == b"zero\none\n2\nthree\nfour\nfive\n"


@pytest.mark.parametrize(
    ("old", "diff", "message"),
    [
        (b"0\n" + TEXT + TEXT, DIFF, "more than one line"),
        (b"one\nTWO\nthree\n", DIFF, r"line 2 should be 'two\\n', the file has 'TWO\\n'"),
        (b"one\ntwo\n", DIFF, "the file ends before"),
        (TEXT, DIFF.replace("x.txt", "y.txt"), "of b/y.txt, not of x.txt"),
        (TEXT, DIFF + DIFF, "more than one file"),
        (TEXT, DIFF.replace("1,3 +", "1,4 +"), "cut short|other lines"),
        (TEXT, DIFF.replace("@@ -1,3", "@@ -a,3"), "no hunk header"),
        (TEXT, "hello", "no hunk"),
        (TEXT, "", "no hunk"),
        (TEXT, DIFF + "rubbish\n", "belongs to no hunk"),
        (TEXT, DIFF.replace("a/x.txt", "/").replace("b/x.txt", "/"), "the diff is of /"),
        (TEXT, f"rename from x.txt\nrename to y.txt\n{DIFF}", "renames"),
        (TEXT, f"copy from y.txt\ncopy to x.txt\n{DIFF}", "copies"),
        (TEXT, DIFF.replace("--- a/x.txt", "--- /dev/null"), "there already"),
        (None, DIFF, "not there"),
        (TEXT, DIFF.replace("+++ b/x.txt", "+++ /dev/null"), "deletes the file"),
        (b"\0\1", DIFF, "no text"),
        (TEXT, b"\xff\xfe\xfd", "no text in UTF-8"),
        (TEXT, "GIT binary patch\n", "binary"),
        (b"one\ntwo\nthree", DIFF, r"should be 'three\\n'"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_with_the_place(old: bytes | None, diff: str | bytes, message: str) -> None:
    with pytest.raises(PatchRejectedError, match=message):
        apply(old, diff)


def test_lines_keep_their_ends() -> None:
    returns = TEXT.replace(b"\n", b"\r\n")
    assert apply(returns, DIFF) == b"one\r\n2\r\nthree\r\nfour\r\nfive\r\n"
    assert apply(returns, DIFF.replace("\n", "\r\n")) == b"one\r\n2\r\nthree\r\nfour\r\nfive\r\n"
    with pytest.raises(PatchRejectedError):  # of a file with both kinds a line must be as it is
        apply(b"one\r\ntwo\nthree\n", DIFF)
    assert apply(b"\xef\xbb\xbf" + TEXT, DIFF).startswith(b"\xef\xbb\xbfone\n2\n")


def test_a_file_without_a_last_newline_keeps_and_gets_none() -> None:
    mark = "\\ No newline at end of file\n"
    assert apply(b"one\ntwo", f"@@ -1,2 +1,2 @@\n one\n-two\n{mark}+2\n{mark}") == b"one\n2"
    assert apply(b"one\ntwo", f"@@ -1,2 +1,2 @@\n one\n-two\n{mark}+two\n") == b"one\ntwo\n"
    with pytest.raises(PatchRejectedError, match="ends the file"):
        apply(b"one\ntwo\n", f"@@ -1 +1 @@\n-one\n+1\n{mark}")


def test_a_diff_that_makes_a_file_makes_it() -> None:
    assert apply(None, "--- /dev/null\n+++ b/x.txt\n@@ -0,0 +1,2 @@\n+a\n+b\n") == b"a\nb\n"


def test_a_formatted_patch_of_git_is_read() -> None:
    assert apply(TEXT, f"From 123\nSubject: x\n---\n x.txt | 2 +-\n\ndiff --git a/x.txt b/x.txt\n{DIFF}-- \n2.39.0\n")


@pytest.mark.parametrize("seed", range(12))
def test_what_git_writes_is_applied_as_git_applies_it(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    lines = [dice.choice(["a", "b", "", "\u2028x", "long line", "tab\t"]) for _ in range(dice.randrange(60))]
    old = list(lines)
    for _ in range(dice.randrange(1, 8)):
        place = dice.randrange(len(lines) + 1)
        lines[place : place + dice.randrange(3)] = [f"new {dice.random()}"] * dice.randrange(3)
    end = dice.choice(["\n", ""])
    texts = ["\n".join(one) + (end if one else "") for one in (old, lines)]
    for name, text in zip(("old", "new"), texts, strict=True):
        (tmp_path / name).write_bytes(text.encode())
    done = subprocess.run(
        ["git", "diff", "--no-index", f"-U{dice.randrange(4)}", "old", "new"],
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )
    if done.stdout:
        assert apply(texts[0].encode(), done.stdout, path="new") == texts[1].encode()
