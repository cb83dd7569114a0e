"""Settings as they are read, whatever is in them: what is wrong is said with file, line and column."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn

from chronos.errors import BadConfigError
from chronos.files import display
from skills.agent_setup import jsonc, toml_table

_KINDS = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "null"}
_HINT = "correct it and run the command again; nothing was changed"


class JsonSettings:
    """A text of settings and where its values are. An empty file counts as `{}`.

    Raises BadConfigError for what is no JSON object.
    """

    def __init__(self, text: str, path: Path) -> None:
        self.text = text if text.strip() else "{}\n"
        self._path = path
        try:
            self.root = jsonc.parse(self.text)
        except jsonc.JsoncError as cause:
            place = f"line {cause.line}, column {cause.column}"
            raise BadConfigError(f"{display(str(path))}, {place}: {cause.problem}", hint=_HINT) from cause
        self._expect(self.root, dict, "the whole of it")
        self.editor = jsonc.Editor(self.text, self.root)

    def member(self, node: jsonc.Node, key: str, kind: type[dict[str, Any]] | type[list[Any]]) -> jsonc.Item | None:
        """Return a member of an object, None where it has none. Raises BadConfigError for another kind of value."""
        found = [item for item in node.items or () if item.key == key]
        if not found:
            return None
        if len(found) > 1:
            self.refuse(found[-1].start, f"{display(key)} is there twice")
        self._expect(found[0].node, kind, display(key))
        return found[0]

    def element(self, item: jsonc.Item, what: str) -> jsonc.Node:
        """Return an element that is an object. Raises BadConfigError."""
        self._expect(item.node, dict, what)
        return item.node

    def refuse(self, position: int, problem: str) -> NoReturn:
        """Raise BadConfigError for something that stands at a place of the text."""
        found = jsonc.JsoncError(problem, self.text, position)
        where = f"{display(str(self._path))}, line {found.line}, column {found.column}"
        raise BadConfigError(f"{where}: {problem}", hint=_HINT)

    def _expect(self, node: jsonc.Node, kind: type, what: str) -> None:
        if not isinstance(node.data, kind):
            found = _KINDS.get(type(node.data), "a number")
            self.refuse(node.start, f"{what} is {found}, not {_KINDS[kind]}")


def read_toml(text: str, path: Path) -> dict[str, Any]:
    """Return what settings in TOML say. Raises BadConfigError."""
    try:
        return toml_table.read(text)
    except toml_table.TomlError as cause:
        raise toml_problem(cause, path) from cause


def toml_problem(cause: toml_table.TomlError, path: Path) -> BadConfigError:
    """Return the error of ours for a TOML text that cannot be read or edited."""
    place = f", line {cause.line}, column {cause.column}" if cause.line else ""
    return BadConfigError(f"{display(str(path))}{place}: {cause.problem}", hint=_HINT)
