"""The README's examples run as they stand, and what documents name exists."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from chronos.config import ENVIRONMENT_NAMES, Config
from tests.cli.conftest import Program
from tests.support import RepoBuilder

PROJECT = Path(__file__).resolve().parents[2]
README = (PROJECT / "README.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_commands_of_the_readme_do_the_main_job(chrono: Program, repo: RepoBuilder) -> None:
    repo.write("a.txt", "first\n")
    repo.commit()
    repo.write("a.txt", "work\n")
    for number, line in enumerate(re.findall(r"^\$ chrono (.*)$", blocks("console")[0], re.MULTILINE)):
        if number == 1:
            repo.write("a.txt", "broken\n")
        chrono.good(*shlex.split(line))
    assert repo.read("a.txt") == b"work\n"


def test_the_python_example_of_the_readme_runs(repo: RepoBuilder, monkeypatch: pytest.MonkeyPatch) -> None:
    repo.write("a.txt", "first\n")
    repo.commit()
    repo.write("a.txt", "work\n")
    monkeypatch.chdir(repo.root)
    code = blocks("python")[0].replace("# ... an agent works ...", "open('a.txt', 'w').write('broken')")
    exec(compile(code, "README.md", "exec"), {})
    assert repo.read("a.txt") == b"broken", "the example ends with an undo"


def test_the_settings_of_the_readme_are_all_there_are() -> None:
    rows = re.findall(r"^\| `(\w+)` \| `(\w+)` \|", README, re.MULTILINE)
    assert dict(rows) == ENVIRONMENT_NAMES
    assert [name for name, _ in rows] == [name for name in Config.__struct_fields__ if name != "memory"]


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\((docs/[^)#]+)\)", README))))
def test_the_readme_links_to_what_exists(link: str) -> None:
    assert (PROJECT / link).exists(), link
