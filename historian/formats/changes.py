"""A change of one file's content: whole, as a unified diff, as JSON Patch (RFC 6902), or by keys. Owns jsonpatch."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from chronos.errors import UnsupportedError, UsageError
from chronos.merging import merge_structured, set_key
from historian.errors import PatchRejectedError
from historian.formats.diffs import apply_diff, creates, deletes, is_about, parse_diff
from historian.formats.texts import TextStyle

_JSON_ENDINGS = (".json", ".ipynb", ".geojson", ".webmanifest")
_USUAL_INDENT = 2
_MARK = "\0#"


class Change(msgspec.Struct, frozen=True, kw_only=True):
    r"""How a file is to change, in exactly one way.

    Text takes on the encoding, the byte order mark and the line ends of the file; bytes are taken as they are. `keys`
    gives values as JSON has them by `.`-separated keys, a dot in a key written as `\.`.
    """

    content: str | bytes | None = None
    diff: str | bytes | None = None
    json_patch: str | Sequence[Mapping[str, Any]] | None = None
    keys: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        given = [one for one in (self.content, self.diff, self.json_patch, self.keys) if one is not None]
        if len(given) != 1:
            raise UsageError("say how the file is to change in exactly one way: content, diff, JSON Patch or keys")


def change_content(path: str, old: bytes | None, change: Change) -> bytes:
    """Return the new content of the file at `path`; `old` is None where none is there.

    Raises PatchRejectedError when the change does not fit, UnsupportedError when the format does not allow it.
    """
    style = TextStyle.of(old or b"")
    if change.content is not None:
        if isinstance(change.content, bytes):
            return change.content
        style = style or TextStyle()
        return _encoded(path, style, change.content.removeprefix("\ufeff") if style.mark else change.content)
    if change.diff is not None:
        return _patched(path, old, style, change.diff)
    if old is None:
        raise PatchRejectedError(f"there is no {path} whose keys could change", hint="give the whole content")
    if style is None or style.encoding != "utf-8":
        raise UnsupportedError(f"{path} is no text in UTF-8", hint="give the whole content")
    body = old[len(style.mark) :]
    if change.json_patch is not None:
        return style.mark + _json_patched(path, body, change.json_patch)
    for key, value in (change.keys or {}).items():
        body = set_key(path.encode("utf-8", "surrogateescape"), body, split_key(key), value)
    return style.mark + body


def split_key(text: str) -> tuple[str, ...]:
    r"""Return the parts of `a.b.c`; `\.` is a dot in a part. Raises UsageError for an empty part."""
    parts = tuple(part.replace("\\.", ".") for part in re.split(r"(?<!\\)\.", text))
    if not all(parts):
        raise UsageError(f"{text!r} has an empty key in it", hint=r"write a.b.c, and \. for a dot in a key")
    return parts


def _patched(path: str, old: bytes | None, style: TextStyle | None, diff: str | bytes) -> bytes:
    if isinstance(diff, bytes):
        try:
            diff = diff.decode("utf-8")
        except UnicodeDecodeError as cause:
            raise PatchRejectedError("the diff is no text in UTF-8", hint="give the whole content") from cause
    if style is None:
        raise PatchRejectedError(f"{path} is no text that a diff could change", hint="give the whole content")
    found = parse_diff(diff.replace("\r\n", "\n") if style.has_returns else diff)
    if deletes(found):
        raise PatchRejectedError("the diff deletes the file", hint="remove it yourself, under `chrono run -- rm`")
    if not is_about(found, path):
        raise PatchRejectedError(f"the diff is of {found.new_name or found.old_name}, not of {path}")
    if creates(found) != (old is None):
        there = "is there already" if old is not None else "is not there"
        raise PatchRejectedError(f"the diff {'makes' if old is not None else 'changes'} {path}, which {there}")
    return _encoded(path, style, apply_diff(style.decode(old or b""), found.hunks))


def _encoded(path: str, style: TextStyle, text: str) -> bytes:
    try:
        return style.encode(text)
    except UnicodeEncodeError as cause:
        raise UnsupportedError(f"the text for {path} cannot be written in {style.encoding}: {cause}") from cause


class _Number(float):
    """A number with the text that it is written as, so that none of its digits is lost."""

    text = ""


def _json_patched(path: str, data: bytes, patch: str | Sequence[Mapping[str, Any]]) -> bytes:
    import jsonpatch  # 10 ms, and few changes are one

    if not path.lower().endswith(_JSON_ENDINGS):
        raise UnsupportedError(f"JSON Patch is for JSON, which {path} is not by its name", hint="use keys, or a diff")
    text = data.decode("utf-8")
    try:
        document = _read_json(text)
    except (ValueError, RecursionError) as cause:
        raise PatchRejectedError(f"{path} is no valid JSON: {cause}") from cause
    try:
        operations = _read_json(patch) if isinstance(patch, str) else [dict(one) for one in patch]
        wanted = jsonpatch.JsonPatch(operations).apply(document, in_place=False)
        plain = _write_json(wanted, text)
    except (
        jsonpatch.JsonPatchException, jsonpatch.JsonPointerException, ValueError, TypeError, KeyError, RecursionError,
    ) as cause:  # fmt: skip
        told = re.sub(r" \(<class '[^']*'>\)", "", " ".join(str(cause).split()))
        raise PatchRejectedError(f"the JSON Patch does not fit: {told[:300]}") from cause
    merged = merge_structured(b"x.json", data, data, plain.encode("utf-8"))
    return merged if merged is not None else plain.encode("utf-8")


def _read_json(text: str) -> Any:
    """Read JSON. Raises ValueError, also for a key that stands twice and for NaN; RecursionError."""

    def number(written: str) -> _Number:
        found = _Number(written)
        found.text = written
        return found

    def refuse(word: str) -> Any:
        raise ValueError(f"{word} is no JSON")

    return json.loads(text, parse_float=number, parse_constant=refuse, object_pairs_hook=_table_of)


def _table_of(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table: dict[str, Any] = {}
    for name, value in pairs:
        if name in table:
            raise ValueError(f"it has the key {name!r} twice")
        table[name] = value
    return table


def _write_json(data: Any, like: str) -> str:
    """Write `data` indented and ended as `like` is. Numbers pass through the writer as strings that nobody has."""
    found = re.search(r"\n([ \t]+)\S", like)
    is_flat = "\n" not in like.strip()
    indent: str | int | None = None if is_flat else found[1] if found else _USUAL_INDENT
    written = json.dumps(_with_texts(data), indent=indent, ensure_ascii=like.isascii(), allow_nan=False)
    text = re.sub(r'"\\u0000#([^"]+)"', r"\1", written)
    end = re.search(r"\s*\Z", like)
    if "\r\n" in like:
        text = text.replace("\n", "\r\n")
    return text + (end[0] if end else "")


def _with_texts(data: Any) -> Any:
    if isinstance(data, _Number):
        return f"{_MARK}{data.text}"
    if isinstance(data, str) and data.startswith(_MARK):
        raise UnsupportedError("a text in it begins with a NUL", hint="give a diff or the whole content")
    if isinstance(data, dict):
        return {key: _with_texts(value) for key, value in data.items()}
    return [_with_texts(value) for value in data] if isinstance(data, list) else data
