"""Files with keys (JSON, YAML, TOML), merged key by key: two keys side by side are no conflict, as two lines are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from chronos.errors import UnsupportedError
from chronos.files import TreePath
from chronos.merging.keys import DocumentError, Edit, apply_edits, find_edits

# A merge reads four documents: of 4 MiB of JSON in 9 s, of 1 MiB of YAML in 3 s, of 256 KiB of TOML in 6 s.
LARGEST_DOCUMENT_BYTES = 4 << 20
_LARGEST_BYTES = {b".json": LARGEST_DOCUMENT_BYTES, b".yaml": 1 << 20, b".yml": 1 << 20, b".toml": 256 << 10}


def has_keys(path: TreePath) -> bool:
    """Tell by its name whether a file is written in a format that has keys."""
    return _ending_of(path) in _LARGEST_BYTES


def merge_structured(path: TreePath, base: bytes, ours: bytes, theirs: bytes) -> bytes | None:
    """Return `ours` with what `theirs` changed since `base`, or None when it cannot be had without loss.

    That is when both changed the same key, in the same or another way than deleting it, or the same list; and for
    documents that are not valid, too large, nested deeper than 100, or have what cannot be kept (a key twice; in YAML
    anchors, tags, several documents). What ours has keeps its order, comments, and every character. The result has been
    read again, and says exactly what was merged.
    """
    if max(len(base), len(ours), len(theirs)) > _LARGEST_BYTES.get(_ending_of(path), 0):
        return None
    try:
        others = [side.decode("utf-8").replace("\r\n", "\n") for side in (base, theirs)]
        return _as_text(ours, lambda text: _merge(path, others[0], text, others[1]))
    except (DocumentError, UnicodeDecodeError, RecursionError):
        return None


def set_key(path: TreePath, data: bytes, keys: Sequence[str], value: Any) -> bytes:
    """Return a document with `value` (as JSON has values) at `keys`, and all else as it is written, comments too.

    Mappings that are missing on the way are made; a new key comes last. Raises UnsupportedError for what has no keys,
    also on the way to the last one, is too large or cannot be edited without loss.
    """
    largest = _LARGEST_BYTES.get(_ending_of(path))
    if largest is None:
        raise UnsupportedError("it is neither JSON, YAML nor TOML by its name", hint="give a diff or the whole content")
    if len(data) > largest:
        raise UnsupportedError(f"it is larger than {largest} bytes", hint="give a diff or the whole content")
    try:
        return _as_text(data, lambda text: _with_key(path, text, tuple(keys), value))
    except (DocumentError, UnicodeError, RecursionError) as cause:
        raise UnsupportedError(
            f"it cannot be edited by keys without loss: {cause}", hint="give a diff or the whole content"
        ) from cause


def _as_text(data: bytes, work: Callable[[str], str]) -> bytes:
    """Work on a text with plain line ends, and give it back with its own. Raises DocumentError where they are mixed."""
    text = data.decode("utf-8")
    returns = text.count("\r\n")
    if returns not in (0, text.count("\n")):
        raise DocumentError("its lines end in two ways")
    done = work(text.replace("\r\n", "\n"))
    return (done.replace("\n", "\r\n") if returns else done).encode("utf-8")


def _with_key(path: TreePath, text: str, keys: tuple[str, ...], value: Any) -> str:
    read = _reader_for(path)
    document = read(text)
    sketch: dict[str, Any] = {}
    level, inner = document.data, sketch
    for number, key in enumerate(keys):
        inner.update(dict.fromkeys(level, 0))  # only the order of what is there counts
        if number == len(keys) - 1 or key not in level:
            edit = Edit(keys[: number + 1], False)
            for missing in reversed(keys[number + 1 :]):
                value = {missing: value}
            inner[key] = value
            break
        level = level[key]
        if not isinstance(level, dict):
            raise UnsupportedError(
                f"{'.'.join(keys[: number + 1])} has no keys in it", hint="set that itself, or give the whole content"
            )
        inner[key] = inner = {}
    other = read(_written(path, sketch))
    edited: str = document.edited([edit], other)
    if read(edited).data != apply_edits(document.data, [edit], other.data):
        raise DocumentError("the result is not what was asked for")
    return edited


def _written(path: TreePath, data: dict[str, Any]) -> str:
    """Return a document that says `data`. Raises DocumentError for what is no JSON, and for null in TOML."""
    import json

    ending = _ending_of(path)
    try:
        as_json = json.dumps(data, indent=2, ensure_ascii=False)
        if ending == b".json":
            return as_json
        if ending == b".toml":
            import tomlkit

            return tomlkit.dumps(data)
    except (TypeError, ValueError) as cause:  # tomlkit's ConvertError is both
        raise DocumentError(f"a value that cannot be written: {cause}") from cause
    import yaml

    return str(yaml.safe_dump(data, sort_keys=False, allow_unicode=True, default_flow_style=False, width=10_000))


def _merge(path: TreePath, base: str, ours: str, theirs: str) -> str:
    read = _reader_for(path)
    document, other = read(ours), read(theirs)
    edits = find_edits(read(base).data, document.data, other.data)
    expected = apply_edits(document.data, edits, other.data)
    merged: str = document.edited(edits, other) if edits else ours
    if read(merged).data != expected:
        raise DocumentError("the result is not what was merged")
    return merged


def _ending_of(path: TreePath) -> bytes:
    return b"." + path.rpartition(b".")[2].lower()


def _reader_for(path: TreePath) -> Any:
    """Return the class that reads such a document; it loads when it is needed."""
    ending = _ending_of(path)
    if ending == b".json":
        from chronos.merging.json_text import JsonDocument

        return JsonDocument
    if ending == b".toml":
        from chronos.merging.toml_text import TomlDocument

        return TomlDocument
    from chronos.merging.yaml_text import YamlDocument

    return YamlDocument
