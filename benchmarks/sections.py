"""Sections of a generated document that another command writes: found by their marks, kept when the rest is new."""

from __future__ import annotations

import re

_SECTION = re.compile(r"<!-- (?P<name>[a-z-]+): begin -->\n.*?<!-- (?P=name): end -->\n", re.DOTALL)


def replace_section(document: str, name: str, body: str) -> str:
    """Return `document` with `body` as its section `name`, at its old place or at the end."""
    section = f"<!-- {name}: begin -->\n{body.strip()}\n<!-- {name}: end -->\n"
    found = next((one for one in _SECTION.finditer(document) if one["name"] == name), None)
    if found is not None:
        return document[: found.start()] + section + document[found.end() :]
    return f"{document.rstrip()}\n\n{section}" if document else section


def keep_sections(document: str, old: str) -> str:
    """Return `document` with the sections of `old` at its end."""
    kept = [found[0] for found in _SECTION.finditer(old)]
    return "\n".join([document, *kept])
