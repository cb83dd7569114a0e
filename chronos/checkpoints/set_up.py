"""Finding a store, or setting one up: only where the place is free, empty, or holds what a killed set-up leaves."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from chronos import git, locks
from chronos.checkpoints.manifest import is_checkpoint_id
from chronos.checkpoints.owner import find_record
from chronos.checkpoints.reconcile import list_timelines
from chronos.checkpoints.store import Store
from chronos.config import Config
from chronos.errors import (
    BadConfigError,
    ChronosError,
    DamagedStoreError,
    NewerFormatError,
    StorageError,
    UnsupportedError,
)
from chronos.files import read_limited, replace_durably, sync_folder, translate_os_errors
from chronos.git import GitCommand
from chronos.layout import FORMAT_VERSION, MAIN_TIMELINE, TIMELINE, StoreLayout
from chronos.pool import check_of

_MAGIC = "chronos"
_STORE_ID_BYTES = 6
_STORE_ID = re.compile(r"[0-9a-f]{12}")


def find_store(layout: StoreLayout, config: Config) -> Store | None:
    """Open the store at `layout`, or return None when there is none.

    Raises NewerFormatError, DamagedStoreError when the format file is lost, BadConfigError when the folder is no store.
    """
    if not layout.is_set_up:
        obstacle = _find_obstacle(layout)
        if not layout.is_set_up:  # another process may have finished it meanwhile
            if obstacle is not None:
                raise obstacle
            return None
    store_id, is_sound = _read_format(layout)
    return Store(layout, config, store_id, is_sound=is_sound)


def _find_obstacle(layout: StoreLayout) -> ChronosError | None:
    """Return why no store can be set up: the place must be free, empty, or hold what a killed set-up leaves."""
    names = _names_in(layout.root)
    timelines = {name: _names_in(layout.root / name) for name in names if not name.startswith(".")}
    if layout.system.name in names:
        if any(is_checkpoint_id(name) or name == TIMELINE for found in timelines.values() for name in found):
            return _lost_format(layout, timelines)
        if timelines.get(MAIN_TIMELINE, set()) <= {"packs"} and timelines.keys() <= {MAIN_TIMELINE}:
            return None
    if not names:
        return None
    hint = "set CHRONOS_TIMELINES_DIR to a folder that is new or empty"
    return BadConfigError(f"{layout.root} holds other files and is no store of checkpoints", hint=hint)


def _lost_format(layout: StoreLayout, timelines: Iterable[str]) -> ChronosError:
    """The id is not made up anew: the base refs of every checkpoint carry the old one."""
    store_id = _recorded_id(layout, timelines) or "the store id, as in `git for-each-ref refs/chronos/base`"
    hint = f"write it again, two lines: {_MAGIC} {FORMAT_VERSION}, and {store_id}"
    return DamagedStoreError(f"{layout.format_file} is gone, although there are checkpoints", hint=hint)


def _recorded_id(layout: StoreLayout, timelines: Iterable[str]) -> str | None:
    """Return the store id that the timelines' records agree on."""
    found = set()
    for timeline in timelines:
        with suppress(ChronosError):
            record = find_record(layout, timeline)
            found |= {record.store} if record is not None else set()
    return found.pop() if len(found) == 1 else None


def _names_in(folder: Path) -> set[str]:
    try:
        with translate_os_errors(f"cannot look into {folder}"):
            return set(os.listdir(folder))
    except StorageError as cause:
        if isinstance(cause.__cause__, FileNotFoundError | NotADirectoryError):
            return set()
        raise


def set_up_store(layout: StoreLayout, config: Config, command: GitCommand, *, despite_damage: bool = False) -> bool:
    """Make the store at `layout`, or whatever is missing of it; tell whether it is new.

    The format file comes last: before it is there, the store is not. A folder that was there before keeps its mode. A
    damaged inner repository is set aside and made again, unless that is what somebody wants to see (`despite_damage`).
    """
    is_new = not layout.is_set_up
    if not is_new and not os.access(layout.system, os.W_OK):
        return False
    with translate_os_errors(f"cannot set up {layout.root}"):
        for folder in (
            layout.root, layout.system, layout.locks, layout.temporary, layout.journals, layout.indexes,
            layout.timeline(MAIN_TIMELINE), layout.packs(MAIN_TIMELINE),
        ):  # fmt: skip
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if is_new or not (despite_damage or git.is_inner_repository(layout.inner_repository)):
        _finish_set_up(layout, config, command)
    return is_new


def mend_inner_repository(layout: StoreLayout, command: GitCommand) -> None:
    """Make the inner repository where it is not sound; what stood there is set aside. The store must be locked."""
    if os.path.lexists(layout.inner_repository / "HEAD"):
        from chronos.checkpoints.quarantine import set_aside  # a sound store needs it never

        set_aside(layout, layout.inner_repository, "git takes it for no repository")
    git.make_inner_repository(layout.inner_repository, layout.temporary / "inner.git", command)


def _finish_set_up(layout: StoreLayout, config: Config, command: GitCommand) -> None:
    with locks.hold(layout.store_lock, timeout_s=config.lock_timeout_s):
        if not git.is_inner_repository(layout.inner_repository):
            mend_inner_repository(layout, command)
        for folder in (layout.system, layout.root, layout.root.parent):
            sync_folder(folder)
        if not layout.is_set_up:
            write_format(layout, os.urandom(_STORE_ID_BYTES).hex())


def write_format(layout: StoreLayout, store_id: str) -> None:
    """Write the format file durably: from then on the store is one."""
    replace_durably(layout.format_file, _format_text(store_id))


def _format_text(store_id: str) -> bytes:
    text = f"{_MAGIC} {FORMAT_VERSION}\n{store_id}\n".encode()
    return text + check_of(text) + b"\n"


def _read_format(layout: StoreLayout) -> tuple[str, bool]:
    """Return the store id, and whether the file is as it was written; one wrong byte is read around.

    The records of the timelines hold the id too. Raises UnsupportedError, NewerFormatError.
    """
    path = layout.format_file
    data = read_limited(path, 4096)
    fields = data.decode("utf-8", "replace").split()
    is_whole = len(fields) == 3 or (len(fields) == 4 and data == _checked(data))
    is_whole = is_whole and _STORE_ID.fullmatch(fields[2]) is not None
    if not is_whole or fields[0] != _MAGIC or not fields[1].isdigit():
        store_id = _recorded_id(layout, list_timelines(layout))
        if store_id is not None and _is_nearly(data, _format_text(store_id)):
            return store_id, False
        raise UnsupportedError(f"{path} is not a chronos format file", hint="restore it from a backup of the store")
    if int(fields[1]) > FORMAT_VERSION:
        raise NewerFormatError(f"this store has format {fields[1]}, this release reads {FORMAT_VERSION}")
    return fields[2], True


def _checked(data: bytes) -> bytes:
    """Return what the file must be, by its first two lines: a newer format keeps them, and the third, as they are."""
    text = b"".join(data.splitlines(keepends=True)[:2])
    return text + check_of(text) + b"\n"


def _is_nearly(data: bytes, wanted: bytes) -> bool:
    return len(data) == len(wanted) and sum(one != other for one, other in zip(data, wanted, strict=True)) <= 1
