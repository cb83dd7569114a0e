"""The floor's door to the file system: names of paths, durable writes, and one contained root for trees."""

from typing import TYPE_CHECKING

from chronos.lazy import loader

if TYPE_CHECKING:
    from chronos.files.databases import (
        JOURNAL_MAGIC,
        SMALLEST_PAGE_BYTES,
        SQLITE_MAGIC,
        DatabaseFileError,
        holds_database,
        is_database,
        is_log,
        kept_descriptors,
        open_regular,
    )
    from chronos.files.durable import (
        draft_of,
        free_bytes,
        is_full,
        is_our_own,
        link_or_copy,
        publish_file,
        publish_folder,
        read_limited,
        remove_tree,
        replace_durably,
        start_writing_back,
        sweep_drafts,
        sync_file_system,
        sync_folder,
        translate_os_errors,
        write_all,
        write_new,
    )
    from chronos.files.moving import discard, move_away, rename
    from chronos.files.paths import (
        TreePath,
        check_tree_path,
        display,
        from_text,
        is_inside,
        is_tree_path,
        parse_tree_path,
        to_text,
        unescape,
        with_siblings,
    )
    from chronos.files.safe_root import FileStat, PathKind, SafeRoot, move_to_free_name, stat_of, temporary_name

__all__ = [
    "JOURNAL_MAGIC",
    "SMALLEST_PAGE_BYTES",
    "SQLITE_MAGIC",
    "DatabaseFileError",
    "FileStat",
    "PathKind",
    "SafeRoot",
    "TreePath",
    "check_tree_path",
    "discard",
    "display",
    "draft_of",
    "free_bytes",
    "from_text",
    "holds_database",
    "is_database",
    "is_full",
    "is_inside",
    "is_log",
    "is_our_own",
    "is_tree_path",
    "kept_descriptors",
    "link_or_copy",
    "move_away",
    "move_to_free_name",
    "open_regular",
    "parse_tree_path",
    "publish_file",
    "publish_folder",
    "read_limited",
    "remove_tree",
    "rename",
    "replace_durably",
    "start_writing_back",
    "stat_of",
    "sweep_drafts",
    "sync_file_system",
    "sync_folder",
    "temporary_name",
    "to_text",
    "translate_os_errors",
    "unescape",
    "with_siblings",
    "write_all",
    "write_new",
]

_HOMES = {
    "JOURNAL_MAGIC": "databases", "SMALLEST_PAGE_BYTES": "databases", "SQLITE_MAGIC": "databases",
    "DatabaseFileError": "databases", "holds_database": "databases", "is_database": "databases",
    "is_log": "databases", "kept_descriptors": "databases",
    "open_regular": "databases",
    "draft_of": "durable", "free_bytes": "durable", "is_full": "durable", "is_our_own": "durable",
    "link_or_copy": "durable", "publish_file": "durable", "publish_folder": "durable", "read_limited": "durable",
    "remove_tree": "durable", "replace_durably": "durable", "start_writing_back": "durable",
    "sweep_drafts": "durable", "sync_file_system": "durable", "sync_folder": "durable",
    "translate_os_errors": "durable", "write_all": "durable", "write_new": "durable",
    "TreePath": "paths", "check_tree_path": "paths", "display": "paths", "from_text": "paths", "is_inside": "paths",
    "is_tree_path": "paths", "parse_tree_path": "paths", "to_text": "paths", "unescape": "paths",
    "with_siblings": "paths",
    "FileStat": "safe_root", "PathKind": "safe_root", "SafeRoot": "safe_root", "move_to_free_name": "safe_root",
    "stat_of": "safe_root", "temporary_name": "safe_root",
    "discard": "moving", "move_away": "moving", "rename": "moving",
}  # fmt: skip

__getattr__ = loader(__name__, _HOMES)
