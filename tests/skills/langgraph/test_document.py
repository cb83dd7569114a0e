"""The example of docs/agents.md runs as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support import RepoBuilder

DOCUMENT = Path(__file__).resolve().parents[3] / "docs/agents.md"


def test_the_example_brings_files_and_graph_back(repo: RepoBuilder, monkeypatch: pytest.MonkeyPatch) -> None:
    repo.write("a.txt", "first\n")
    repo.commit()
    monkeypatch.chdir(repo.root)
    section = DOCUMENT.read_text("utf-8").split("\n## LangGraph\n")[1].split("\n## ")[0]
    (code,) = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    names: dict[str, object] = {}
    exec(compile(code, "docs/agents.md", "exec", dont_inherit=True), names)
    assert repo.read("report.txt") == b"draft 1\n"
    assert names["graph"].get_state(names["thread"]).values == {"done": ["write"]}  # type: ignore[attr-defined]
