"""Setting aside what cannot be read: renamed with a note of what it was, and never removed by us."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from chronos import clock
from chronos.files import link_or_copy, sync_folder, translate_os_errors, write_new


def set_aside(path: Path, folder: Path, why: str, *, keep: bool = False) -> Path:
    """Move `path` into `folder` under a new name, with a note beside it; return where it is. Raises StorageError.

    With `keep` a file stays at its place too, until something else takes it.
    """
    stamp = clock.now().strftime("%Y%m%dT%H%M%S.%f")
    target = folder / f"{stamp}-{path.name}"
    with translate_os_errors(f"cannot set {path} aside"):
        folder.mkdir(mode=0o700, exist_ok=True)
        if keep and path.is_file():
            link_or_copy(path, target)
        else:
            os.rename(path, target)
    with suppress(OSError):
        note = f"{path.name} was set aside at {clock.to_text(clock.now())} because {why}\nNothing of it was removed.\n"
        write_new(folder / f"{target.name}.txt", note.encode("utf-8", "backslashreplace"))
    sync_folder(folder)
    return target
