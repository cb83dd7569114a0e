"""The floor's door to the file system: names of paths, durable writes, and one contained root for trees."""

from chronos.files.databases import (
    SQLITE_MAGIC,
    DatabaseFileError,
    holds_database,
    is_database,
    open_regular,
)
from chronos.files.durable import (
    is_our_own,
    link_or_copy,
    publish_folder,
    read_limited,
    remove_tree,
    replace_durably,
    sweep_drafts,
    sync_file_system,
    sync_folder,
    translate_os_errors,
    write_new,
)
from chronos.files.moving import discard, move_away
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
)
from chronos.files.safe_root import FileStat, PathKind, SafeRoot, stat_of

__all__ = [
    "SQLITE_MAGIC",
    "DatabaseFileError",
    "FileStat",
    "PathKind",
    "SafeRoot",
    "TreePath",
    "check_tree_path",
    "discard",
    "display",
    "from_text",
    "holds_database",
    "is_database",
    "is_inside",
    "is_our_own",
    "is_tree_path",
    "link_or_copy",
    "move_away",
    "open_regular",
    "parse_tree_path",
    "publish_folder",
    "read_limited",
    "remove_tree",
    "replace_durably",
    "stat_of",
    "sweep_drafts",
    "sync_file_system",
    "sync_folder",
    "to_text",
    "translate_os_errors",
    "unescape",
    "write_new",
]
