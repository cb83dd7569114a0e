"""Opening a checkpoint: git looks at the tree from the first moment, while what captures and seals is being loaded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec

from chronos.checkpoints.asking import AskedStatus
from chronos.checkpoints.decoding import prepare_decoding
from chronos.checkpoints.manifest import Trigger
from chronos.checkpoints.store import Store
from chronos.git import Repository

if TYPE_CHECKING:
    from chronos.checkpoints.create import PendingCheckpoint
    from chronos.checkpoints.policy import CapturePolicy
    from chronos.secrets import SecretScanner


class Request(msgspec.Struct, frozen=True):
    """What a checkpoint is to be called, why it is taken, and the `env_config.json` that goes with it.

    `parents` are checkpoints of other timelines whose state it takes in, after the newest one of its own. With
    `is_needed` it is taken even if the newest one has the same state; without, memory stores whose paths are `aside`
    are no reason to take one.
    """

    name: str
    description: str
    timeline: str
    trigger: Trigger
    environment: bytes
    tags: tuple[str, ...] = ()
    parents: tuple[str, ...] = ()
    is_needed: bool = False
    aside: tuple[str, ...] = ()


@contextmanager
def open_checkpoint(
    store: Store, repository: Repository, policy: CapturePolicy, request: Request, scanner: SecretScanner | None = None
) -> Iterator[PendingCheckpoint]:
    """Capture the state, to be sealed inside the block or not at all. The locks of `Store.working_on` must be held.

    `scanner` looks for secrets in it, by default as the settings say. Raises QuotaExceededError or LowSpaceError, here
    or in `seal`, and then nothing has become visible.
    """
    asked = AskedStatus(store, repository)
    with asked.waiting():
        from chronos.checkpoints.create import capturing

        prepare_decoding()
        with capturing(store, asked, policy, request, scanner) as pending:
            yield pending
