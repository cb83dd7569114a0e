"""`chrono-hook` with recorded payloads: in this process, or as the real one."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from skills.agent_hooks.front import Said, main
from tests.support import RepoBuilder

PROJECT = Path(__file__).resolve().parents[3]
PAYLOADS = Path(__file__).with_name("payloads")
COMMAND = (sys.executable, "-c", "from skills.agent_hooks.front import run; run()")


def read_payload(name: str, root: Path) -> bytes:
    """Return a recorded payload, `claude/Stop`, of an agent that works in `root`."""
    return (PAYLOADS / f"{name}.json").read_bytes().replace(b"/project", os.fsencode(root))


class Hook:
    """`chrono-hook` in a tree. `variables` are added to the environment."""

    def __init__(self, tree: RepoBuilder) -> None:
        self.tree = tree

    def say(self, agent: str, data: bytes, *options: str, **variables: str) -> Said:
        """Answer in this process; what would go on in the background is done at once."""
        with pytest.MonkeyPatch.context() as patch:
            for name, value in variables.items():
                patch.setenv(name, value)
            patch.chdir(self.tree.root)
            return main([*options, agent], io.BytesIO(data), os.environ, lambda: False)

    def send(self, name: str, **variables: str) -> Said:
        """Answer a recorded payload in this process."""
        return self.say(name.partition("/")[0], read_payload(name, self.tree.root), **variables)

    def answer(self, name: str, **variables: str) -> Any:
        """Return the document that a recorded payload is answered with, None where there is none."""
        output = self.send(name, **variables).output
        return json.loads(output) if output else None

    def start(self, agent: str, **variables: str) -> subprocess.Popen[bytes]:
        """Start the real process."""
        return subprocess.Popen(
            [*COMMAND, agent], cwd=self.tree.root, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, env={**self.tree.environment, "PYTHONPATH": str(PROJECT), **variables},
        )  # fmt: skip

    def run(self, agent: str, data: bytes, **variables: str) -> tuple[str, str]:
        """Be answered by the real process, which ends well whatever happens; return both its outputs."""
        with self.start(agent, **variables) as process:
            output, errors = process.communicate(data, timeout=60)
        assert process.returncode == 0, errors
        assert b"Traceback" not in errors
        return output.decode(), errors.decode()

    def names(self) -> list[str]:
        """Return the names of the checkpoints, the newest first."""
        with self.tree.engine() as engine:
            return [row.name for row in engine.list_checkpoints()]


@pytest.fixture
def tree(repo: RepoBuilder) -> RepoBuilder:
    """A repository with one commit and something uncommitted; `build/` is ignored."""
    furnish(repo)
    return repo


@pytest.fixture
def hook(tree: RepoBuilder) -> Hook:
    """The hook in `tree`."""
    return Hook(tree)


def furnish(repo: RepoBuilder) -> None:
    """Write what the payloads speak of."""
    repo.write("a.txt", "one\n")
    repo.write("b.txt", "two\n")
    repo.write(".gitignore", "build/\n")
    repo.commit()
    repo.write("build/out.o", "made\n")
    repo.write("a.txt", "uncommitted\n")
