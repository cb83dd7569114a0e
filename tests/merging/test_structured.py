"""JSON, YAML and TOML merged key by key: what is merged, what stays as it was written, and what is left to people."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from typing import Any

import pytest
import tomlkit
import yaml
from hypothesis import assume, event, given
from hypothesis import strategies as st

from chronos.merging import merge_structured
from tests.properties.profiles import examples


def merge(name: str, base: str, ours: str, theirs: str) -> str | None:
    merged = merge_structured(name.encode(), base.encode(), ours.encode(), theirs.encode())
    return None if merged is None else merged.decode()


JSON = """{
  "name": "x",
  "version": 1.10,
  "files": ["a", "b"],
  "deep": { "one": 1, "two": {"n": 1e400, "é": "\\u00e9"} },
  "last": null
}
"""
YAML = """# What this is for.
name: x   # not y
version: 1.10
files:
- a
- b  # the second

# All about deep things.
deep:
    one: 0x1F
    two: {n: 1}
text: |
  # no comment
  kept
last: ~
"""
TOML = """# What this is for.
name = "x"   # not y
version = 1.10
files = [
  "a",
  "b", # the second
]

[deep]   # things
one = 0x1F
when = 2024-01-01T00:00:00Z

[deep.two]
n = 1_000
"""


def test_keys_side_by_side_are_no_conflict_and_nothing_else_is_rewritten() -> None:
    ours = JSON.replace('"x"', '"mine"').replace('"last": null', '"last": null,\n  "ours": [1.50]')
    theirs = JSON.replace("1.10", "1.20").replace('"one": 1', '"one": 1.0').replace('"last": null', '"last": 12e0')
    wanted = ours.replace("1.10", "1.20").replace('"one": 1', '"one": 1.0').replace('"last": null', '"last": 12e0')
    assert merge("a.json", JSON, ours, theirs) == wanted


def test_comments_quotes_and_indentation_of_yaml_stay() -> None:
    ours = YAML.replace("name: x ", "name: 'mine' ").replace("last: ~", "last: ~\n# ours\nours: 1")
    theirs = (
        YAML.replace("1.10", "1.20 # theirs").replace("0x1F", "0x20").replace("  kept", "  kept\n  and more")
        .replace("last: ~", "# why\nnew:\n  - 1\nlast: ~")
    )  # fmt: skip
    wanted = (
        ours.replace("1.10", "1.20").replace("0x1F", "0x20").replace("  kept", "  kept\n  and more")
        .replace("last: ~", "# why\nnew:\n  - 1\nlast: ~")
    )  # fmt: skip
    assert merge("a.yaml", YAML, ours, theirs) == wanted


def test_comments_and_numbers_of_toml_stay() -> None:
    ours = TOML.replace('"x" ', '"mine" ').replace("n = 1_000", "n = 1_000\nours = 0.10")
    theirs = TOML.replace("1.10", "1.20").replace("0x1F", "0x20") + "\n[new]\nx = 1e3\n"
    wanted = ours.replace("1.10", "1.20").replace("0x1F", "0x20") + "\n[new]\nx = 1e3\n"
    assert merge("pyproject.toml", TOML, ours, theirs) == wanted


@pytest.mark.parametrize(
    ("base", "ours", "theirs", "wanted"),
    [
        ('{"a": 1, "b": 2, "c": 3}', '{"a": 1, "b": 2, "c": 4}', '{"b": 2, "c": 3}', '{"b": 2, "c": 4}'),
        ('{"a": 1, "b": 2}', '{"a": 1, "b": 3}', '{"b": 2}', '{"b": 3}'),
        ('{"a": 1}', '{"a": 1, "b": 2}', "{}", '{"b": 2}'),
        ('{"a": 1}', '{"a": 1, "b": {}}', '{"a": 1, "b": {}, "c": 1}', '{"a": 1, "b": {}, "c": 1}'),
        ("{}", '{"n": {"x": 1}}', '{"n": {"y": 2}}', '{"n": {"y": 2, "x": 1}}'),
        ('{"a":1,"b":1}', '{"a":2,"b":1}', '{"a":1,"b":2,"c":3}', '{"a":2,"b":2,"c":3}'),
        ('{\n\t"a": 1\n}', '{\n\t"a": 2\n}', '{\n  "a": 1,\n  "b": {\n    "c": 1\n  }\n}',
         '{\n\t"a": 2,\n\t"b": {\n\t\t"c": 1\n\t}\n}'),
        ("{\n}\n", '{\n  "x": {}\n}\n', '{\n  "x": {\n    "y": 1\n  }\n}\n', '{\n  "x": {\n    "y": 1\n  }\n}\n'),
        ('{\r\n  "a": 1\r\n}', '{\r\n  "a": 2\r\n}', '{\n  "a": 1,\n  "b": 1\n}', '{\r\n  "a": 2,\r\n  "b": 1\r\n}'),
    ],
)  # fmt: skip
def test_json_is_written_as_ours_writes_it(base: str, ours: str, theirs: str, wanted: str) -> None:
    assert merge("a.json", base, ours, theirs) == wanted


@pytest.mark.parametrize(
    ("base", "ours", "theirs"),
    [
        ('{"a": 1}', '{"a": 2}', '{"a": 3}'),
        ('{"a": 1}', '{"a": 1.0}', '{"a": 1.00}'),
        ('{"a": 1}', "{}", '{"a": 3}'),
        ('{"a": [1]}', '{"a": [1, 2]}', '{"a": [1, 3]}'),
        ('{"a": {"b": 1}}', '{"a": 1}', '{"a": {"b": 2}}'),
        ('{"a": 1}', '{"a": 1, "a": 1}', '{"a": 1, "b": 1}'),
        ('{"a": 1}', '{"a": NaN}', '{"a": 1, "b": 1}'),
        ('{"a": 1}', '{"a": 1,}', '{"a": 1, "b": 1}'),
        ('{"a": 1}', '// hm\n{"a": 2}', '{"a": 1, "b": 1}'),
        ('{"a": 1}', '\ufeff{"a": 2}', '{"a": 1, "b": 1}'),
        ("[1]", "[1, 2]", "[1, 3]"),
        ('{"a": 1}', '{"a": 01}', '{"a": 1, "b": 1}'),
        ('{"a": 1}', '{"a": "\n"}', '{"a": 1, "b": 1}'),
        ('{"a": 1}', '{"a": 2} {}', '{"a": 1, "b": 1}'),
        ('{"a": 1}', '{"a": ' + "[" * 5000 + "]" * 5000 + "}", '{"a": 1, "b": 1}'),
        ('{"a": 1}', '{\r\n"a":\n2}', '{"a": 1, "b": 1}'),
        ("", "{}", '{"b": 1}'),
    ],
)
def test_json_that_cannot_be_merged_without_loss_is_left_to_people(base: str, ours: str, theirs: str) -> None:
    assert merge("a.json", base, ours, theirs) is None


@pytest.mark.parametrize(
    ("base", "ours", "theirs"),
    [
        ("a: 1\n", "a: 2\n", "a: 3\n"),
        ("a: 1\n", "a: &x 1\nb: *x\n", "a: 1\nc: 2\n"),
        ("a: 1\n", "a: !!str 1\n", "a: 1\nc: 2\n"),
        ("a: 1\n", "a: !mine 1\n", "a: 1\nc: 2\n"),
        ("a: 1\n", "a: 2\n---\nb: 1\n", "a: 1\nc: 2\n"),
        ("a: 1\n", "a: 2\na: 2\n", "a: 1\nc: 2\n"),
        ("a: 1\n", "{a: 2}\n", "a: 1\nc: 2\n"),
        ("a: {b: 1}\n", "a: {b: 1,\n c: 2}\n", "a: {b: 1, d: 2}\n"),
        ("a: {b: 1}\n", "a: {b: 1, c: 2}\n", "a:\n  b: 1\n  d: 2\n"),
        ("a: 1\n", "a: 2\n<<: {}\n", "a: 1\nc: 2\n"),
        ("a: 1\n", "a: [\n", "a: 1\nc: 2\n"),
        ("a: 1\n", "a: " + "[" * 500 + "]" * 500 + "\n", "a: 1\nc: 2\n"),
        ("- 1\n", "- 2\n", "- 3\n"),
        ("a: 1\n", "? [x]\n: 1\n", "a: 1\nc: 2\n"),
    ],
)
def test_yaml_that_cannot_be_merged_without_loss_is_left_to_people(base: str, ours: str, theirs: str) -> None:
    assert merge("a.yml", base, ours, theirs) is None


@pytest.mark.parametrize(
    ("base", "ours", "theirs"),
    [
        ("a = 1\n", "a = 2\n", "a = 3\n"),
        ("a = 1\n", "a = 1\na = 1\n", "a = 1\nb = 1\n"),
        ("a = [1]\n", "a = [1, 2]\n", "a = [1, 3]\n"),
        ("a = 1\n", "a = \n", "a = 1\nb = 1\n"),
        ("[[x]]\na = 1\n", "[[x]]\na = 2\n", "[[x]]\na = 1\n[[x]]\na = 3\n"),
    ],
)
def test_toml_that_cannot_be_merged_without_loss_is_left_to_people(base: str, ours: str, theirs: str) -> None:
    assert merge("a.toml", base, ours, theirs) is None


def test_what_is_too_large_or_no_text_is_left_to_people() -> None:
    large = b'{"a": "' + b"x" * (4 << 20) + b'"}'
    assert merge_structured(b"a.json", b"{}", large, b'{"b": 1}') is None
    assert merge_structured(b"a.json", b"{}", b'{"a": "\xff"}', b'{"b": 1}') is None


def test_yaml_that_says_nothing_is_a_mapping_without_keys() -> None:
    assert merge("a.yaml", "", "", "a: 1\n") == "a: 1\n"
    assert merge("a.yaml", "# c\n", "# c\n\n", "# c\na:\n  b: 1\n") == "# c\n\na:\n  b: 1\n"
    assert merge("a.yaml", "a: 1\n", "a: 1\n# ours\n", "") == "# ours\n"
    assert merge("a.yaml", "a: 1\n", "", "a: 1\nb: 2\n") == "b: 2\n"


def test_yaml_in_flow_style_is_merged_by_keys_as_well() -> None:
    base = "{ a: 1,  b: [1, 2], c: {x: 1, y: 2}}  # why\n"
    ours, theirs = base.replace("a: 1", "a: 'one'"), base.replace("[1, 2]", "[3], new: {n: 1}").replace("x: 1, ", "")
    assert merge("a.yaml", base, ours, theirs) == "{ a: 'one',  b: [3], new: {n: 1}, c: {y: 2}}  # why\n"
    assert merge("a.yml", "a: {b: 1}\n", "a: {b: 1, c: 2}\n", "a: {d: 2, b: 1}\n") == "a: {d: 2, b: 1, c: 2}\n"
    assert merge("a.yml", "a: {b: 1, c: 1}\n", "a: {c: 1}\n", "a: {b: 1}\n") == "a: {}\n"
    assert merge("a.yml", "a: {}\n", "a: {b: 1}\n", "a: {c: 1}\n") == "a: {c: 1, b: 1}\n"
    assert merge("a.yml", "{a: 1}\n", "{a: 1, b: 2}\n", "{a: 3}") == "{a: 3, b: 2}\n"


def test_a_last_line_without_an_end_stays_so() -> None:
    assert merge("a.yaml", "a: 1\nb: 1", "a: 2\nb: 1", "a: 1\nb: 1\nc: 1\n") == "a: 2\nb: 1\nc: 1"
    assert merge("a.json", '{"a": 1}', '{"a": 2}', '{"a": 1, "b": 1}\n') == '{"a": 2, "b": 1}'


# whatever the documents are

_KEYS = st.sampled_from(["a", "b", "c", "key with space", "é", "1", "true", "x.y", "#", "- d"])
_LEAVES = st.one_of(
    st.integers(-5, 5), st.booleans(), st.sampled_from([0.5, 1e100, -0.0]),
    st.sampled_from(["", "t", "two\nlines\n", "# x", "yes", "1", ": ", "é\u2028", "'"]),
)  # fmt: skip
_VALUES = st.recursive(
    st.one_of(_LEAVES, st.lists(_LEAVES, max_size=3)),
    lambda some: st.dictionaries(_KEYS, some, max_size=4),
    max_leaves=8,
)  # fmt: skip
_DOCUMENTS = st.dictionaries(_KEYS, _VALUES, min_size=1, max_size=5)
_FORMATS: dict[str, tuple[Callable[[Any], str], Callable[[str], Any]]] = {
    "a.json": (lambda data: json.dumps(data, indent=2, ensure_ascii=False) + "\n", json.loads),
    "b.json": (json.dumps, json.loads),
    "a.yaml": (
        lambda data: yaml.safe_dump(data, sort_keys=False, allow_unicode=True, default_flow_style=False),
        yaml.safe_load,
    ),
    "b.yaml": (
        lambda data: yaml.safe_dump(data, sort_keys=False, allow_unicode=True, default_flow_style=True, width=10_000),
        yaml.safe_load,
    ),
    "a.toml": (tomlkit.dumps, tomllib.loads),
}  # fmt: skip
_GONE = object()


def merged_by_hand(base: Any, ours: Any, theirs: Any) -> Any:
    """Return what three values come to, or raise LookupError when both changed one."""
    alike = [repr(side) for side in (base, ours, theirs)]
    if alike[2] in alike[:2]:
        return ours
    if all(isinstance(side, dict) for side in (ours, theirs)) and (isinstance(base, dict) or base is _GONE):
        was = {} if base is _GONE else base
        found = {
            key: merged_by_hand(was.get(key, _GONE), ours.get(key, _GONE), theirs.get(key, _GONE))
            for key in (*ours, *theirs)
        }
        return {key: value for key, value in found.items() if value is not _GONE}
    if alike[0] == alike[1]:
        return theirs
    raise LookupError


def _mixed(data: st.DataObject, base: dict[str, Any]) -> dict[str, Any]:
    """Draw a document that has some of the keys of `base`, some changed, and some new."""
    drawn = data.draw(_DOCUMENTS)
    result = {}
    for key in dict.fromkeys((*base, *drawn)):
        what = data.draw(st.sampled_from(["keep", "keep", "keep", "take", "in"]))
        if what == "take" and key in drawn:
            result[key] = drawn[key]
        elif what == "in" and isinstance(base.get(key), dict):
            result[key] = {**base[key], **data.draw(st.dictionaries(_KEYS, _LEAVES, max_size=2))}
        elif what != "take" and key in base:
            result[key] = base[key]
    return result


@pytest.mark.parametrize("name", _FORMATS)
@examples(120)
@given(data=st.data())
def test_what_is_merged_is_what_the_keys_say(name: str, data: st.DataObject) -> None:
    write, read = _FORMATS[name]
    base = data.draw(_DOCUMENTS)
    ours, theirs = _mixed(data, base), _mixed(data, base)
    texts = [write(side) for side in (base, ours, theirs)]
    assume([read(text) for text in texts] == [base, ours, theirs])
    merged = merge(name, *texts)
    try:
        wanted = merged_by_hand(base, ours, theirs)
    except LookupError:
        event("conflict")
        assert merged is None
        return
    event("merged" if merged is not None else "left to people")
    if merged is not None:
        assert repr_of(read(merged)) == repr_of(wanted)
    elif name.endswith(".json"):
        pytest.fail("JSON can always be written")


def repr_of(value: Any) -> Any:
    """Return a value that is equal to another only if that is of the same types, in whatever order."""
    if isinstance(value, dict):
        return {key: repr_of(item) for key, item in value.items()}
    return [repr_of(item) for item in value] if isinstance(value, list) else repr(value)
