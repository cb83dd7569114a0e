"""The only room that runs git or imports pygit2 and GitPython."""

from typing import TYPE_CHECKING

from chronos.lazy import loader

if TYPE_CHECKING:
    from chronos.git.bundle import check_bundle, create_bundle, has_commit, take_bundle
    from chronos.git.command import GitCommand
    from chronos.git.conversion import attributes_fingerprint, converts_any, is_converting, list_converted
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
        list_blobs,
        list_tree,
        matches_blob,
        mode_of,
        object_format_of,
    )
    from chronos.git.patch import TextPatch, diff_contents, diff_from_base, new_file_patch
    from chronos.git.refs import (
        BranchMove,
        Head,
        create_base_ref,
        delete_base_refs,
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
    from chronos.git.status import StagedRow, Status, parse_status, run_status, settle_conflicts, settle_loops
    from chronos.git.trial import PatchedTree, apply_patch

__all__ = [
    "EXECUTABLE_MODE",
    "GITLINK_MODE",
    "LINK_MODE",
    "BlobReader",
    "BranchMove",
    "GitCommand",
    "Head",
    "HiddenEntry",
    "IndexFacts",
    "IndexState",
    "PatchedTree",
    "Repository",
    "StagedRow",
    "Status",
    "TextPatch",
    "TreeEntry",
    "apply_patch",
    "attributes_fingerprint",
    "check_bundle",
    "common_dir_of",
    "converts_any",
    "create_base_ref",
    "create_bundle",
    "delete_base_refs",
    "diff_contents",
    "diff_from_base",
    "diff_trees",
    "find_ref",
    "find_tree_entries",
    "find_work_tree",
    "has_base_ref",
    "has_commit",
    "has_tree_path",
    "hash_blob",
    "head_fingerprint",
    "identity_of",
    "is_converting",
    "is_tracked",
    "list_base_refs",
    "list_blobs",
    "list_converted",
    "list_ignored",
    "list_index_paths",
    "list_tree",
    "matches_blob",
    "mode_of",
    "move_head",
    "new_file_patch",
    "object_format_of",
    "open_repository",
    "parse_status",
    "plain_folder",
    "read_head",
    "read_index_facts",
    "refresh_private_copy",
    "restore_blobs",
    "run_status",
    "settle_conflicts",
    "settle_intents",
    "settle_loops",
    "sweep_base_ref_locks",
    "take_bundle",
    "wait_for_index",
    "write_index",
]

_HOMES = {
    "check_bundle": "bundle", "create_bundle": "bundle", "has_commit": "bundle", "take_bundle": "bundle",
    "GitCommand": "command",
    "attributes_fingerprint": "conversion", "converts_any": "conversion", "is_converting": "conversion",
    "list_converted": "conversion",
    "HiddenEntry": "index", "IndexFacts": "index", "identity_of": "index", "list_index_paths": "index",
    "read_index_facts": "index", "refresh_private_copy": "index",
    "settle_intents": "intents",
    "EXECUTABLE_MODE": "objects", "GITLINK_MODE": "objects", "LINK_MODE": "objects", "BlobReader": "objects",
    "TreeEntry": "objects", "diff_trees": "objects", "find_tree_entries": "objects", "has_tree_path": "objects",
    "hash_blob": "objects", "list_blobs": "objects", "list_tree": "objects", "matches_blob": "objects",
    "mode_of": "objects", "object_format_of": "objects",
    "TextPatch": "patch", "diff_contents": "patch", "diff_from_base": "patch", "new_file_patch": "patch",
    "BranchMove": "refs", "Head": "refs", "create_base_ref": "refs", "delete_base_refs": "refs", "find_ref": "refs",
    "has_base_ref": "refs", "head_fingerprint": "refs", "list_base_refs": "refs", "move_head": "refs",
    "read_head": "refs", "sweep_base_ref_locks": "refs",
    "Repository": "repository", "common_dir_of": "repository", "find_work_tree": "repository",
    "is_tracked": "repository", "list_ignored": "repository", "open_repository": "repository",
    "plain_folder": "repository",
    "IndexState": "staging", "restore_blobs": "staging", "wait_for_index": "staging", "write_index": "staging",
    "StagedRow": "status", "Status": "status", "parse_status": "status", "run_status": "status",
    "settle_conflicts": "status", "settle_loops": "status",
    "PatchedTree": "trial", "apply_patch": "trial",
}  # fmt: skip
__getattr__ = loader(__name__, _HOMES)
