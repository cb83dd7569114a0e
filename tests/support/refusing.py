"""What a refusal has to be: an error of its kind, and nothing touched."""

from __future__ import annotations

import pytest

from chronos.errors import ChronosError
from tests.support.digests import tree_digest
from tests.support.repository import RepoBuilder


def refuses(repo: RepoBuilder, kind: type[ChronosError], **variables: str) -> ChronosError:
    """Creating and listing are refused, and nothing is written or changed, modes included."""

    def look() -> object:
        files = tree_digest(repo.root.parent, without=())
        modes = {path: path.stat().st_mode for path in repo.root.rglob("*") if path.is_dir()}
        return files, modes, repo.root.stat().st_mode

    before = look()
    with pytest.raises(kind):
        repo.engine(**variables).list_checkpoints()
    with pytest.raises(kind) as caught:
        repo.engine(**variables).create_checkpoint("wanted")
    assert look() == before
    return caught.value
