"""Asking git what differs in a repository: begun as soon as the locks are held, and waited for when it is needed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

from chronos.checkpoints.store import Store
from chronos.errors import ChronosError
from chronos.files import TreePath
from chronos.git import Repository, begin_status, head_fingerprint, identity_of, refresh_private_copy
from chronos.pool import digest


class AskedStatus:
    """One `git status` on our copy of the user's index, which runs from the moment that this is made until `wait`.

    `moment` says where HEAD and the index were before, `key` is what the store calls the repository, and `index` is the
    copy of the user's index, which had the identity `identity`. Raises GitFailedError, LockedError, StorageError.
    """

    def __init__(self, store: Store, repository: Repository) -> None:
        self.repository = repository
        self.moment = moment_of(repository)
        self.key = digest(os.fsencode(repository.root)).hex()[:16]
        self._held = ExitStack()
        try:
            self.index = self._held.enter_context(store.private_index(self.key))
            self.identity = refresh_private_copy(repository, self.index)
            self._answer = begin_status(repository, self.index)
        except BaseException:
            self._held.close()
            raise

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Wait at the end of the block, whatever became of it: git must not work on where the locks are let go."""
        try:
            yield
        finally:
            with suppress(ChronosError):  # whoever needed the answer has seen it
                self.wait()

    def wait(self) -> tuple[bytes, list[TreePath], list[TreePath]]:
        """Return what status prints, what it cannot look at, and what lies below links that lead to themselves.

        It may be called again. Raises GitFailedError.
        """
        with self._held:
            return self._answer()


def moment_of(repository: Repository) -> object:
    """Return what tells whether HEAD or the index moved."""
    return head_fingerprint(repository), identity_of(repository.index)
