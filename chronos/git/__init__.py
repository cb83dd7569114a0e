"""The only room that runs git or imports pygit2 and GitPython."""

from chronos.git.command import GitCommand
from chronos.git.conversion import attributes_fingerprint, is_converting, list_converted
from chronos.git.index import (
    HiddenEntry,
    IndexFacts,
    identity_of,
    list_index_paths,
    read_index_facts,
    refresh_private_copy,
)
from chronos.git.intents import settle_intents
from chronos.git.objects import (
    EXECUTABLE_MODE,
    GITLINK_MODE,
    LINK_MODE,
    BlobReader,
    TreeEntry,
    diff_trees,
    find_tree_entries,
    has_tree_path,
    hash_blob,
    list_tree,
)
from chronos.git.patch import TextPatch, diff_contents, diff_from_base, new_file_patch
from chronos.git.refs import (
    BranchMove,
    Head,
    create_base_ref,
    find_ref,
    has_base_ref,
    head_fingerprint,
    list_base_refs,
    move_head,
    read_head,
    sweep_base_ref_locks,
)
from chronos.git.repository import (
    Repository,
    common_dir_of,
    find_work_tree,
    is_tracked,
    list_ignored,
    open_repository,
    plain_folder,
)
from chronos.git.staging import IndexState, restore_blobs, wait_for_index, write_index
from chronos.git.status import ARGUMENTS as STATUS_ARGUMENTS
from chronos.git.status import StagedRow, Status, parse_status, settle_conflicts

__all__ = [
    "EXECUTABLE_MODE",
    "GITLINK_MODE",
    "LINK_MODE",
    "STATUS_ARGUMENTS",
    "BlobReader",
    "BranchMove",
    "GitCommand",
    "Head",
    "HiddenEntry",
    "IndexFacts",
    "IndexState",
    "Repository",
    "StagedRow",
    "Status",
    "TextPatch",
    "TreeEntry",
    "attributes_fingerprint",
    "common_dir_of",
    "create_base_ref",
    "diff_contents",
    "diff_from_base",
    "diff_trees",
    "find_ref",
    "find_tree_entries",
    "find_work_tree",
    "has_base_ref",
    "has_tree_path",
    "hash_blob",
    "head_fingerprint",
    "identity_of",
    "is_converting",
    "is_tracked",
    "list_base_refs",
    "list_converted",
    "list_ignored",
    "list_index_paths",
    "list_tree",
    "move_head",
    "new_file_patch",
    "open_repository",
    "parse_status",
    "plain_folder",
    "read_head",
    "read_index_facts",
    "refresh_private_copy",
    "restore_blobs",
    "settle_conflicts",
    "settle_intents",
    "sweep_base_ref_locks",
    "wait_for_index",
    "write_index",
]
