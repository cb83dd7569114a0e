"""JSON Patch, keys and whole contents: what is not changed stays as it is written."""

from __future__ import annotations

import pytest

from chronos.errors import UnsupportedError, UsageError
from historian.errors import PatchRejectedError
from historian.formats import Change, change_content, find_fault


def patched(old: str, *operations: dict[str, object], path: str = "x.json") -> str:
    return change_content(path, old.encode(), Change(json_patch=operations)).decode()


def keyed(path: str, old: str, **values: object) -> str:
    return change_content(
        path, old.encode(), Change(keys={k.replace("__", "."): v for k, v in values.items()})
    ).decode()


def test_a_json_patch_keeps_indent_order_digits_and_the_end() -> None:
    old = '{\n    "b": 1.10,\n    "a": {"x": 1E5, "s": "\\u00e9"},\n    "l": [1]\n}'
    new = patched(old, {"op": "replace", "path": "/a/s", "value": "new"}, {"op": "add", "path": "/z", "value": None})
    assert new == '{\n    "b": 1.10,\n    "a": {"x": 1E5, "s": "new"},\n    "l": [1],\n    "z": null\n}'


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_list_at_the_root_is_written_as_it_was_indented(end: str) -> None:
    line = "\r\n" if end == "\r\n" else "\n"
    old = f"[{line}\t1.50,{line}\t2{line}]{end}"
    assert patched(old, {"op": "add", "path": "/-", "value": 3}) == f"[{line}\t1.50,{line}\t2,{line}\t3{line}]{end}"
    assert patched("[1, 2]", {"op": "remove", "path": "/0"}) == "[2]"


@pytest.mark.parametrize(
    ("old", "operation", "message"),
    [
        ('{"a": 1}', {"op": "remove", "path": "/b"}, "does not fit"),
        ('{"a": 1}', {"op": "test", "path": "/a", "value": 2}, "does not fit"),
        ('{"a": 2.50}', {"op": "test", "path": "/a", "value": 9}, "2.5 is not equal to tested value 9"),
        ('{"a": 1}', {"op": "fly", "path": "/a"}, "does not fit"),
        ('{"a": 1}', {"path": "/a"}, "does not fit"),
        ('{"a": 1', {"op": "remove", "path": "/a"}, "no valid JSON"),
        ('{"a": 1, "b": 2, "a": 3}', {"op": "remove", "path": "/b"}, "the key 'a' twice"),
        ('{"a": 1}', {"op": "add", "path": "/b", "value": float("nan")}, "not JSON"),
        ('{"a": 1}', {"op": "add", "path": "/b", "value": {1, 2}}, "not JSON"),
    ],
)
def test_a_json_patch_that_does_not_fit_is_refused(old: str, operation: dict[str, object], message: str) -> None:
    with pytest.raises(PatchRejectedError, match=message):
        patched(old, operation)


def test_a_json_patch_as_text_is_read_and_is_for_json_only() -> None:
    text = '[{"op": "replace", "path": "/a", "value": 2}]'
    assert change_content("x.json", b'{"a": 1}', Change(json_patch=text)) == b'{"a": 2}'
    deep = "[" * 5000 + "]" * 5000
    values = (f'[{{"op": "add", "path": "/b", "value": {value}}}]' for value in ("NaN", "-Infinity", deep, "9" * 5000))
    for wrong in ("[", "{}", '"x"', "[1]", *values):
        with pytest.raises(PatchRejectedError):
            change_content("x.json", b'{"a": 1}', Change(json_patch=wrong))
    with pytest.raises(UnsupportedError):
        change_content("x.yaml", b"a: 1\n", Change(json_patch=text))


def test_numbers_of_a_json_patch_are_written_as_they_were_given() -> None:
    text = '[{"op": "add", "path": "/b", "value": [1.10, 1e400]}]'
    assert change_content("x.json", b'{"a": 1}', Change(json_patch=text)) == b'{"a": 1, "b": [1.10, 1e400]}'


def test_yaml_keys_keep_comments_quotes_and_line_ends() -> None:
    old = "# top\r\non: 'push' # why\r\njobs:\r\n  test: # the test\r\n    image: \"a\"\r\n"
    assert keyed("ci.yml", old, jobs__test__image="b", jobs__lint={"run": True}, version="3.10") == (
        "# top\r\non: 'push' # why\r\njobs:\r\n  test: # the test\r\n    image: b\r\n  lint:\r\n    run: true\r\n"
        "version: '3.10'\r\n"
    )


def test_toml_and_json_keys_keep_what_is_there() -> None:
    assert keyed("x.toml", "# c\n[a]\nb = 1 # one\nc = 2\n", a__b=5) == "# c\n[a]\nb = 5 # one\nc = 2\n"
    assert keyed("x.json", '{\n  "a": {"b": 1.0}\n}\n', a__c="x") == '{\n  "a": {"b": 1.0, "c": "x"}\n}\n'
    assert change_content("x.json", b'{"a.b": 1}', Change(keys={r"a\.b": 2})) == b'{"a.b": 2}'


@pytest.mark.parametrize(
    ("path", "old", "key", "error"),
    [
        ("x.yaml", "a: &x 1\nb: *x\n", "a", UnsupportedError), ("x.yaml", "a: 1\n---\nb: 2\n", "a", UnsupportedError),
        ("x.yaml", "a: [\n", "a", UnsupportedError), ("x.txt", "a: 1\n", "a", UnsupportedError),
        ("x.yaml", "a: 1\n", "a.b", UnsupportedError), ("x.yaml", "a: 1\n", "a..b", UsageError),
        ("x.json", "[1]", "a", UnsupportedError),
    ],
)  # fmt: skip
def test_keys_that_cannot_be_set_without_loss_are_refused(
    path: str, old: str, key: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        change_content(path, old.encode(), Change(keys={key: 1}))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("", "a:\n  b: 1\n"), ("\n", "\na:\n  b: 1\n"), ("# only this", "# only this\na:\n  b: 1"),
        ("# this\n\n# and that\n", "# this\n\n# and that\na:\n  b: 1\n"),
    ],
)  # fmt: skip
def test_a_yaml_file_that_says_nothing_gets_its_first_key(old: str, new: str) -> None:
    assert keyed("x.yaml", old, a__b=1) == new


@pytest.mark.parametrize(
    ("path", "old", "value"),
    [
        ("x.toml", "a = 1\n", None), ("x.toml", "a = 1\n", [None]), ("x.json", '{"a": 1}', float("inf")),
        ("x.json", '{"a": 1}', {1, 2}), ("x.yaml", "a: 1\n", object()), ("x.json", '{"a": 1}', "\ud800"),
        ("x.yaml", "a: 1\n", "\ud800"), ("x.toml", "a = 1\n", "\ud800"),
    ],
)  # fmt: skip
def test_a_value_that_the_format_does_not_have_is_refused(path: str, old: str, value: object) -> None:
    with pytest.raises(UnsupportedError, match="without loss"):
        change_content(path, old.encode(), Change(keys={"b": value}))


def test_text_that_cannot_be_encoded_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="cannot be written in utf-8"):
        change_content("f", b"x\n", Change(content="\ud800\n"))
    with pytest.raises(UnsupportedError, match="cannot be written in utf-8"):
        change_content("f", b"x\n", Change(diff="@@ -1 +1 @@\n-x\n+\ud800\n"))


def test_text_takes_on_how_the_file_is_written_and_bytes_do_not() -> None:
    new = "a\nb\n"
    for old, expected in (
        (b"x\r\n", b"a\r\nb\r\n"), (b"x\n", b"a\nb\n"), (b"x\r\ny\n", b"a\nb\n"), (None, b"a\nb\n"),
        (b"\xef\xbb\xbfx\n", b"\xef\xbb\xbfa\nb\n"),
        ("\ufeffx\r\n".encode("utf-16-le"), "\ufeffa\r\nb\r\n".encode("utf-16-le")),
    ):  # fmt: skip
        assert change_content("f", old, Change(content=new)) == expected
        assert change_content("f", old, Change(content=new.encode())) == new.encode()
    assert change_content("f", b"\xef\xbb\xbfx\n", Change(content="\ufeffa\n")) == b"\xef\xbb\xbfa\n"


def test_a_change_is_said_in_one_way() -> None:
    for given in ({}, {"content": "x", "diff": "y"}):
        with pytest.raises(UsageError, match="exactly one way"):
            Change(**given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("path", "good", "bad"),
    [
        ("a.json", b'{"a": 1}', b'{"a": 1,}'), ("a.json", b"[1]", b"[NaN]"), ("a.ipynb", b"{}", b"{"),
        ("a.toml", b"a = 1", b"a = "), ("a.yaml", b"a: !x 1\n---\nb: 2", b"a: [1"), ("a.yml", b"on: x", b"\tx: 1"),
        ("a.py", b"import os; os._exit(9)", b"def f(:"),
        ("a.py", "# coding: latin-1\nx = 'é'".encode("latin-1"), b"x = '\xe9'"),
        ("a.svg", b"<a/>", b"<a>"), ("a.xml", b"<?xml version='1.0'?><a/>", b"<a/><b/>"), ("a.json", b"1", b"\0"),
        ("a.json", b"[" * 50 + b"]" * 50, b"[" * 100_000), ("a.py", b"x = 1", b"(" * 5000),
    ],
)  # fmt: skip
def test_a_fault_is_found_without_running_anything(path: str, good: bytes, bad: bytes) -> None:
    assert find_fault(path, good) is None
    assert find_fault(path, bad)
    assert find_fault("a.txt", bad) is None
