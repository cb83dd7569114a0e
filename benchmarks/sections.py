"""Sections of a generated document that another command writes: found by their marks, kept when the rest is new."""

from __future__ import annotations

import re
from pathlib import Path

_SECTION = re.compile(r"<!-- (?P<name>[a-z-]+): begin -->\n.*?<!-- (?P=name): end -->\n", re.DOTALL)


def write_section(path: Path, name: str, body: str) -> None:
    """Write `body` as section `name` of the document at `path`: at its old place, or at the end."""
    document = _read(path)
    section = f"<!-- {name}: begin -->\n{body.strip()}\n<!-- {name}: end -->\n"
    found = next((one for one in _SECTION.finditer(document) if one["name"] == name), None)
    if found is not None:
        document = document[: found.start()] + section + document[found.end() :]
    else:
        document = f"{document.rstrip()}\n\n{section}".lstrip()
    path.write_text(document, "utf-8")


def write_around_sections(path: Path, document: str) -> None:
    """Write `document` to `path`, with the sections that were there at its end."""
    kept = [found[0] for found in _SECTION.finditer(_read(path))]
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join([document, *kept]), "utf-8")


def _read(path: Path) -> str:
    return path.read_text("utf-8") if path.exists() else ""
