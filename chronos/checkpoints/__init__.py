"""Checkpoints: capturing a state, sealing it, and planning and applying the way back to it."""

from importlib import import_module
from typing import TYPE_CHECKING

from chronos.checkpoints.apply import Applied, Applier
from chronos.checkpoints.capture import Capture
from chronos.checkpoints.changes import (
    ABSENT,
    JOURNAL_FORMAT,
    LARGEST_JOURNAL_BYTES,
    Change,
    ChangeSet,
    IndexChange,
    Journal,
    JournalKind,
    Side,
    SideKind,
    StagedState,
    SubmoduleLink,
    decode_journal,
    encode_journal,
)
from chronos.checkpoints.create import (
    Created,
    PendingCheckpoint,
    capture_in_memory,
    check_description,
    check_name,
    open_checkpoint,
)
from chronos.checkpoints.diff import Difference, StateDiff
from chronos.checkpoints.environment import describe_environment
from chronos.checkpoints.manifest import (
    LARGEST_MANIFEST_BYTES,
    UNCAPTURED,
    Component,
    Entry,
    EntryKind,
    Grade,
    Manifest,
    MemoryRecord,
    Reason,
    ReceiptRow,
    Trigger,
    decode_manifest,
    decode_memory_dump,
    is_checkpoint_id,
)
from chronos.checkpoints.omissions import Omissions, decode_omissions, encode_omissions, read_omissions
from chronos.checkpoints.owner import find_record, is_claimed, is_for_imports
from chronos.checkpoints.plan import Judge, Kept, Options, Plan, Planner, drop_blocked
from chronos.checkpoints.policy import CapturePolicy
from chronos.checkpoints.reconcile import list_checkpoint_folders, list_timelines
from chronos.checkpoints.rules import StateRules
from chronos.checkpoints.seal import Request
from chronos.checkpoints.secrets import find_secret, is_secret_name
from chronos.checkpoints.set_up import find_store, set_up_store
from chronos.checkpoints.sides import BlobSource, Sides, absorbed_repositories, linked_repository, side_on_disk
from chronos.checkpoints.states import MemoryState, State
from chronos.checkpoints.store import Store, read_memory_records

if TYPE_CHECKING:
    from chronos.checkpoints.adopt import SealedElsewhere, complete, take_in
    from chronos.checkpoints.contents import ContentWalk, HeldContent

__all__ = [
    "ABSENT",
    "JOURNAL_FORMAT",
    "LARGEST_JOURNAL_BYTES",
    "LARGEST_MANIFEST_BYTES",
    "UNCAPTURED",
    "Applied",
    "Applier",
    "BlobSource",
    "Capture",
    "CapturePolicy",
    "Change",
    "ChangeSet",
    "Component",
    "ContentWalk",
    "Created",
    "Difference",
    "Entry",
    "EntryKind",
    "Grade",
    "HeldContent",
    "IndexChange",
    "Journal",
    "JournalKind",
    "Judge",
    "Kept",
    "Manifest",
    "MemoryRecord",
    "MemoryState",
    "Omissions",
    "Options",
    "PendingCheckpoint",
    "Plan",
    "Planner",
    "Reason",
    "ReceiptRow",
    "Request",
    "SealedElsewhere",
    "Side",
    "SideKind",
    "Sides",
    "StagedState",
    "State",
    "StateDiff",
    "StateRules",
    "Store",
    "SubmoduleLink",
    "Trigger",
    "absorbed_repositories",
    "capture_in_memory",
    "check_description",
    "check_name",
    "complete",
    "decode_journal",
    "decode_manifest",
    "decode_memory_dump",
    "decode_omissions",
    "describe_environment",
    "drop_blocked",
    "encode_journal",
    "encode_omissions",
    "find_record",
    "find_secret",
    "find_store",
    "is_checkpoint_id",
    "is_claimed",
    "is_for_imports",
    "is_secret_name",
    "linked_repository",
    "list_checkpoint_folders",
    "list_timelines",
    "open_checkpoint",
    "read_memory_records",
    "read_omissions",
    "set_up_store",
    "side_on_disk",
    "take_in",
]

# Only exports and imports need these: they load when they are asked for (PEP 562).
_HOMES = {
    "ContentWalk": "contents", "HeldContent": "contents",
    "SealedElsewhere": "adopt", "take_in": "adopt", "complete": "adopt",
}  # fmt: skip


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(name)
    found: object = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = found
    return found
