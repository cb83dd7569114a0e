"""Files with keys (JSON, YAML, TOML), merged key by key: two keys side by side are no conflict, as two lines are."""

from __future__ import annotations

from typing import Any

from chronos.files import TreePath
from chronos.merging.keys import DocumentError, apply_edits, find_edits

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
        texts = [side.decode("utf-8") for side in (base, ours, theirs)]
        returns = texts[1].count("\r\n")
        if returns not in (0, texts[1].count("\n")):
            return None
        merged = _merge(path, *(text.replace("\r\n", "\n") for text in texts))
    except (DocumentError, UnicodeDecodeError, RecursionError):
        return None
    return (merged.replace("\n", "\r\n") if returns else merged).encode("utf-8")


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
