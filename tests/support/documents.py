"""The examples in documents, which tests run as they stand."""

from __future__ import annotations

import re
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]


def read_section(document: str, heading: str) -> str:
    """Return what stands below a `## heading` of a document, up to the next one."""
    text = (PROJECT / document).read_text("utf-8")
    return text.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]


def read_blocks(section: str, language: str) -> list[str]:
    """Return the code blocks of a language."""
    return re.findall(rf"```{language}\n(.*?)```", section, re.DOTALL)
