"""Whose working tree a timeline is: `timeline.json`, written at the timeline's first use.

Two trees must never share a timeline, or an undo in one would write the files of the other. A tree that was moved or
removed leaves its timeline to the one that comes next.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from chronos.checkpoints.manifest import check_format, is_checkpoint_id
from chronos.errors import DamagedStoreError, ForeignTimelineError, IntegrityError, StorageError, UnsupportedError
from chronos.files import display, read_limited, replace_durably, to_text, translate_os_errors, unescape
from chronos.layout import FORMAT_VERSION, StoreLayout
from chronos.pool import add_check, strip_check

_LARGEST_RECORD_BYTES = 64 * 1024


class TimelineRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What `timeline.json` says. `tree` is absolute, or relative to the store's folder; as text, see `to_text`.

    A timeline of imported checkpoints is no tree's, and has `imported` instead.
    """

    format: int
    store: str
    tree: str = ""
    imported: bool = False


def find_record(layout: StoreLayout, timeline: str) -> TimelineRecord | None:
    """Read a timeline's record, None when it has none yet. Raises DamagedStoreError, NewerFormatError, StorageError."""
    path = layout.timeline_record(timeline)
    if not os.path.lexists(path):
        return None
    data = read_limited(path, _LARGEST_RECORD_BYTES, too_large=DamagedStoreError)
    try:
        check_format(data, f"timeline {timeline}")
        record = msgspec.json.decode(strip_check(data), type=TimelineRecord)
        if bool(record.tree) == record.imported:
            raise msgspec.ValidationError("it must name a tree, or be for imports")
        return record
    except (msgspec.MsgspecError, ValueError, RecursionError) as cause:
        raise DamagedStoreError(
            f"{path} is damaged: {cause}",
            hint="in the working tree of that timeline, `chrono verify --repair` sets it aside and writes it again",
        ) from cause


def tree_of(layout: StoreLayout, record: TimelineRecord) -> Path | None:
    """Return the working tree that a record names, which may be gone; a timeline of imports has none."""
    if record.imported:
        return None
    return Path(os.fsdecode(os.path.normpath(os.path.join(os.fsencode(layout.root), unescape(record.tree)))))


def is_claimed(layout: StoreLayout, timeline: str, root: Path) -> bool:
    """Tell whether a timeline is recorded as that of the tree at `root`; a recorded tree that is no more has no claim.

    Raises ForeignTimelineError, and see `find_record`.
    """
    record = find_record(layout, timeline)
    if record is None:
        return False
    if record.imported:
        raise ForeignTimelineError(
            f"timeline {timeline} holds imported checkpoints and is no working tree's",
            hint="give this working tree another name, with `git worktree move` and `git worktree repair`",
        )
    tree = str(tree_of(layout, record))
    with translate_os_errors(f"cannot look at {display(tree)}"):
        try:
            if os.path.samefile(tree, root):
                return True
        except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: no path at all
            return False
    if not os.path.isdir(tree):
        return False
    raise ForeignTimelineError(
        f"timeline {timeline} in {layout.root} is that of {display(tree)}, not of this working tree",
        hint="give each project its own CHRONOS_TIMELINES_DIR; if that tree uses this store no more, "
        f"remove {layout.timeline_record(timeline)}",
    )


def is_for_imports(layout: StoreLayout, timeline: str) -> bool:
    """Tell whether a timeline holds imported checkpoints, whose manifests name other timelines.

    One whose record cannot be read counts as none; verify names it.
    """
    try:
        record = find_record(layout, timeline)
    except (IntegrityError, UnsupportedError, StorageError):
        return False
    return record is not None and record.imported


def claim_for_imports(layout: StoreLayout, store_id: str, timeline: str) -> None:
    """Record durably that `timeline` is for imports, unless it is so recorded. The timeline's lock must be held.

    Raises ForeignTimelineError when a working tree has it, or there are checkpoints in it already.
    """
    record = find_record(layout, timeline)
    if record is not None and record.imported:
        return
    place = layout.timeline(timeline)
    if record is not None or (place.is_dir() and any(is_checkpoint_id(name) for name in os.listdir(place))):
        raise ForeignTimelineError(
            f"timeline {timeline} is that of a working tree: an import would become its newest checkpoint",
            hint="leave out --timeline, or give a name that no timeline has",
        )
    write_imports_record(layout, store_id, timeline)


def write_imports_record(layout: StoreLayout, store_id: str, timeline: str) -> None:
    """Record durably that `timeline` is for imports. The timeline's lock must be held."""
    _write(layout, timeline, TimelineRecord(FORMAT_VERSION, store_id, imported=True))


def write_record(layout: StoreLayout, store_id: str, timeline: str, root: Path, home: Path) -> None:
    """Record durably that `timeline` is the tree at `root`. The timeline's lock must be held."""
    _write(layout, timeline, TimelineRecord(FORMAT_VERSION, store_id, tree_text(layout, root, home)))


def tree_text(layout: StoreLayout, root: Path, home: Path) -> str:
    """Return how a record names the tree at `root`.

    A store inside the `home` tree of its repository is copied and moved with it, so there the path is relative.
    """
    return to_text(os.fsencode(os.path.relpath(root, layout.root) if layout.root.is_relative_to(home) else root))


def _write(layout: StoreLayout, timeline: str, record: TimelineRecord) -> None:
    path = layout.timeline_record(timeline)
    with translate_os_errors(f"cannot write {path}"):
        path.parent.mkdir(mode=0o700, exist_ok=True)
    replace_durably(path, add_check(msgspec.json.encode(record)) + b"\n")
