"""Checkpoints: capturing a state, sealing it, and planning and applying the way back to it."""

from typing import TYPE_CHECKING

from chronos.checkpoints.allowance import Allowance, kept_bytes, stored_bytes
from chronos.checkpoints.annotations import Annotation, AnnotationKind, is_annotation
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
    StoreChange,
    StoreSide,
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
from chronos.checkpoints.diff import Difference, StateDiff, StorePair, list_changed_stores
from chronos.checkpoints.environment import describe_environment
from chronos.checkpoints.manifest import (
    LARGEST_MANIFEST_BYTES,
    UNCAPTURED,
    Component,
    Entry,
    EntryKind,
    Grade,
    ListRef,
    Manifest,
    MemoryRecord,
    Reason,
    ReceiptRow,
    StagedEntry,
    Trigger,
    Unscanned,
    decode_manifest,
    decode_memory_dump,
    decode_rows,
    encode_rows,
    is_checkpoint_id,
)
from chronos.checkpoints.memory import CapturedStore, MemoryCapture
from chronos.checkpoints.memory_apply import StoreApplier
from chronos.checkpoints.memory_plan import StorePlanner
from chronos.checkpoints.omissions import Omissions, decode_omissions, encode_omissions, is_omitted, read_omissions
from chronos.checkpoints.owner import find_record, is_claimed, is_for_imports, write_imports_record
from chronos.checkpoints.packs import cache_only, drop_packs, publish_packs, replace_packs
from chronos.checkpoints.plan import Kept, Options, Plan
from chronos.checkpoints.planner import Judge, Planner, drop_blocked
from chronos.checkpoints.policy import CapturePolicy
from chronos.checkpoints.quarantine import link_aside, list_folders_aside, quarantined, set_aside
from chronos.checkpoints.reconcile import list_checkpoint_folders, list_timelines
from chronos.checkpoints.rules import StateRules
from chronos.checkpoints.seal import Request, put_lists
from chronos.checkpoints.secrets import FoundSecret, find_secrets
from chronos.checkpoints.set_up import (
    find_store,
    has_inner_repository,
    make_inner_repository,
    set_up_store,
    write_format,
)
from chronos.checkpoints.sides import BlobSource, Sides, absorbed_repositories, linked_repository, side_on_disk
from chronos.checkpoints.states import ComponentState, MemoryState, State
from chronos.checkpoints.store import Store, read_memory_records
from chronos.lazy import loader

if TYPE_CHECKING:
    from chronos.checkpoints.adopt import SealedElsewhere, complete, take_in
    from chronos.checkpoints.contents import ContentWalk, HeldContent

__all__ = [
    "ABSENT",
    "JOURNAL_FORMAT",
    "LARGEST_JOURNAL_BYTES",
    "LARGEST_MANIFEST_BYTES",
    "UNCAPTURED",
    "Allowance",
    "Annotation",
    "AnnotationKind",
    "Applied",
    "Applier",
    "BlobSource",
    "Capture",
    "CapturePolicy",
    "CapturedStore",
    "Change",
    "ChangeSet",
    "Component",
    "ComponentState",
    "ContentWalk",
    "Created",
    "Difference",
    "Entry",
    "EntryKind",
    "FoundSecret",
    "Grade",
    "HeldContent",
    "IndexChange",
    "Journal",
    "JournalKind",
    "Judge",
    "Kept",
    "ListRef",
    "Manifest",
    "MemoryCapture",
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
    "StagedEntry",
    "StagedState",
    "State",
    "StateDiff",
    "StateRules",
    "Store",
    "StoreApplier",
    "StoreChange",
    "StorePair",
    "StorePlanner",
    "StoreSide",
    "SubmoduleLink",
    "Trigger",
    "Unscanned",
    "absorbed_repositories",
    "cache_only",
    "capture_in_memory",
    "check_description",
    "check_name",
    "complete",
    "decode_journal",
    "decode_manifest",
    "decode_memory_dump",
    "decode_omissions",
    "decode_rows",
    "describe_environment",
    "drop_blocked",
    "drop_packs",
    "encode_journal",
    "encode_omissions",
    "encode_rows",
    "find_record",
    "find_secrets",
    "find_store",
    "has_inner_repository",
    "is_annotation",
    "is_checkpoint_id",
    "is_claimed",
    "is_for_imports",
    "is_omitted",
    "kept_bytes",
    "link_aside",
    "linked_repository",
    "list_changed_stores",
    "list_checkpoint_folders",
    "list_folders_aside",
    "list_timelines",
    "make_inner_repository",
    "open_checkpoint",
    "publish_packs",
    "put_lists",
    "quarantined",
    "read_memory_records",
    "read_omissions",
    "replace_packs",
    "set_aside",
    "set_up_store",
    "side_on_disk",
    "stored_bytes",
    "take_in",
    "write_format",
    "write_imports_record",
]

# Only exports and imports need these: they load when they are asked for (PEP 562).
_HOMES = {
    "ContentWalk": "contents", "HeldContent": "contents",
    "SealedElsewhere": "adopt", "take_in": "adopt", "complete": "adopt",
}  # fmt: skip
__getattr__ = loader(__name__, _HOMES)
