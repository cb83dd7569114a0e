"""The patch of a checkpoint, where it says that it is complete, makes the captured tree out of its base."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest
from hypothesis import event, given

from chronos.layout import PATCH
from chronos.pool import decompress_text
from tests.properties.profiles import examples
from tests.properties.scenes import Scene, Stages, scenes, set_up
from tests.support import RepoBuilder, tree_digest

_LIMIT_BYTES = 64 * 1024 * 1024


@pytest.fixture(scope="module")
def stages(tmp_path_factory: pytest.TempPathFactory) -> Stages:
    return Stages(tmp_path_factory.mktemp("stages"))


@examples(40)
@given(scene=scenes())
def test_git_apply_makes_the_captured_tree_out_of_a_checkout_of_the_base(stages: Stages, scene: Scene) -> None:
    repo = stages.open()
    set_up(repo, scene)
    base = _check_out_base(repo)
    with repo.engine() as engine:
        found = engine.show_checkpoint(engine.create_checkpoint("wanted"))
    member = found.manifest.members[PATCH]
    event(f"complete: {member.complete}")
    if not member.complete:
        return
    patch = decompress_text((found.folder / PATCH).read_bytes(), _LIMIT_BYTES)
    command = ["git", "apply", "--allow-empty", "--whitespace=nowarn", "-"]
    environment = {**repo.environment, "GIT_CEILING_DIRECTORIES": os.fspath(base.root.parent)}
    done = subprocess.run(command, cwd=base.root, env=environment, input=patch, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b""), patch
    assert tree_digest(base.root) == tree_digest(repo.root), patch


def _check_out_base(repo: RepoBuilder) -> RepoBuilder:
    """Return a fresh checkout of HEAD in a folder beside the repository, without its `.git`."""
    root = repo.root.parent / "base"
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(repo.root / ".git", root / ".git")
    (root / ".git/index").unlink(missing_ok=True)
    base = RepoBuilder(root, repo.environment)
    if (root / ".git/refs/heads/main").exists():
        base.git("reset", "-q", "--hard")
    shutil.rmtree(root / ".git")
    return base
