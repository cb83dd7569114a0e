"""The grammar of shells: tree-sitter-bash, loaded when the first command is judged."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tree_sitter import Parser


@cache
def open_parser() -> Parser:
    """Return the parser of this process."""
    from tree_sitter import Language, Parser

    return Parser(Language(_load()))


def _load() -> object:
    """Return the grammar out of its extension module: loading the package around it takes 5 ms, for its texts."""
    from importlib.machinery import ExtensionFileLoader, PathFinder

    package = PathFinder.find_spec("tree_sitter_bash")
    within = PathFinder.find_spec("tree_sitter_bash._binding", package.submodule_search_locations) if package else None
    if within is None or not isinstance(within.loader, ExtensionFileLoader):
        import tree_sitter_bash

        return tree_sitter_bash.language()
    module = within.loader.create_module(within)
    within.loader.exec_module(module)
    return module.language()
