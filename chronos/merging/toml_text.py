"""TOML that is edited by tomlkit, which keeps comments, spaces and order of what is not edited."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from chronos.merging.keys import DEEPEST, DocumentError, Edit


class _Leaf(msgspec.Struct, frozen=True):
    """A number, time or truth as it is written."""

    kind: str
    text: str


class TomlDocument:
    """A TOML text and what it says. Raises DocumentError when it is not valid."""

    def __init__(self, text: str) -> None:
        import tomlkit  # 30 ms, and few merges need it
        from tomlkit.exceptions import TOMLKitError

        try:
            self._document = tomlkit.parse(text)
            self.data: dict[str, Any] = _data_of(self._document, 0)
        except (TOMLKitError, ValueError) as cause:
            raise DocumentError(str(cause)) from cause

    def edited(self, edits: Iterable[Edit], theirs: TomlDocument) -> str:
        """Return the text with the edits made. The document is used up by it."""
        from tomlkit.exceptions import TOMLKitError

        try:
            for edit in edits:
                ours: Any = self._document
                other: Any = theirs._document
                for key in edit.keys[:-1]:
                    ours, other = ours[key], other[key]
                if edit.is_removal:
                    del ours[edit.keys[-1]]
                else:
                    ours[edit.keys[-1]] = other[edit.keys[-1]]
            return self._document.as_string()
        except (TOMLKitError, ValueError, KeyError, IndexError, AttributeError, TypeError, AssertionError) as cause:
            raise DocumentError(f"cannot be edited: {cause}") from cause  # tomlkit's own bugs in odd documents


def _data_of(item: Any, depth: int) -> Any:
    if depth > DEEPEST:
        raise DocumentError("nested too deeply")
    if isinstance(item, Mapping):
        return {str(key): _data_of(value, depth + 1) for key, value in item.items()}
    if isinstance(item, list):
        return tuple(_data_of(value, depth + 1) for value in item)
    if isinstance(item, str):
        return str(item)
    return _Leaf(type(item).__name__, item.as_string() if hasattr(item, "as_string") else repr(item))
