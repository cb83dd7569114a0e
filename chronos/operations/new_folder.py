"""A new folder that is whole or not there: what is written out of the store is written beside it and renamed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from chronos.errors import RefusedError, TargetNotEmptyError
from chronos.files import remove_tree, sync_file_system, translate_os_errors
from chronos.operations.workspace import Workspace


@contextmanager
def new_folder(workspace: Workspace, folder: Path) -> Iterator[Path]:
    """Give an empty folder that takes the place of `folder` when the block ends well, and goes otherwise.

    Raises TargetNotEmptyError unless `folder` is new or empty, RefusedError as `check_outside`, StorageError.
    """
    folder = Path(os.path.abspath(folder))
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise TargetNotEmptyError(f"{folder} is not empty")
    check_outside(workspace, folder)
    scratch = folder.with_name(f".{folder.name}.{os.getpid()}.chronos")
    try:
        with translate_os_errors(f"cannot write {folder}"):
            folder.parent.mkdir(parents=True, exist_ok=True)
            scratch.mkdir()
            yield scratch
            sync_file_system(scratch)
            if folder.exists():
                folder.rmdir()
            os.rename(scratch, folder)
    finally:
        remove_tree(scratch)


def check_outside(workspace: Workspace, folder: Path) -> None:
    """Refuse a place where git or chrono keep their own. Raises RefusedError."""
    place, store = folder.resolve(), workspace.store.layout.root.resolve()
    is_in_branched = workspace.root.is_relative_to(store) and place.is_relative_to(workspace.root)
    is_in_store = place.is_relative_to(store) and not is_in_branched
    if ".git" in place.parts or is_in_store or place.is_relative_to(workspace.repository.common_dir.resolve()):
        raise RefusedError(f"{folder} lies in the store or in git's own folder", hint="give a folder elsewhere")
