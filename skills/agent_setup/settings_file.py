"""One settings file of an agent: read once, and replaced in one step if it is still what was read.

A link is followed and stays a link: dotfile managers keep the file elsewhere. The mode is kept, a byte order mark too.
Another program that writes between the last look and the rename would be overwritten; nobody locks these files.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

import msgspec

from chronos.errors import BadConfigError, ChangedMeanwhileError, RefusedError, StorageError, UnsupportedError
from chronos.files import display, read_limited, replace_durably, sweep_drafts, translate_os_errors

_LARGEST_BYTES = 16 * 1024 * 1024
_MARK = b"\xef\xbb\xbf"
_OTHER_MARKS = (b"\xff\xfe", b"\xfe\xff")
_PROJECT_MODE, _USER_MODE = 0o644, 0o600


class SettingsFile(msgspec.Struct, frozen=True):
    """What a file was when it was read. `target` is where its bytes are, `data` None where there is no file yet."""

    path: Path
    target: Path
    data: bytes | None
    mode: int

    @property
    def text(self) -> str:
        """The content without its byte order mark. Raises BadConfigError when it is not UTF-8."""
        data = self.data or b""
        if data.startswith(_OTHER_MARKS):
            raise BadConfigError(f"{display(str(self.path))} is UTF-16", hint="save it as UTF-8 and run it again")
        try:
            return data.removeprefix(_MARK).decode("utf-8")
        except UnicodeDecodeError as cause:
            line = data.count(b"\n", 0, cause.start) + 1
            raise BadConfigError(
                f"{display(str(self.path))}, line {line}: not UTF-8", hint="save it as UTF-8; nothing was changed"
            ) from cause

    def encoded(self, text: str) -> bytes:
        """Return the bytes of the file with another text."""
        return (_MARK if (self.data or b"").startswith(_MARK) else b"") + text.encode("utf-8")


def read_settings(path: Path, within: Path | None = None) -> SettingsFile:
    """Read a settings file. With `within` a link may not lead out of that folder: it could have come with a clone.

    Raises RefusedError for such a link, BadConfigError for what is no file or larger than 16 MiB, StorageError.
    """
    target = Path(os.path.realpath(path))
    if within is not None and not target.is_relative_to(os.path.realpath(within)):
        raise RefusedError(
            f"{display(str(path))} is a link that leads out of the project, to {display(str(target))}",
            hint="set up the agent there, or with --user; nothing was changed",
        )
    try:
        found = os.stat(target)
    except (FileNotFoundError, NotADirectoryError):
        _check_parents(target)
        return SettingsFile(path, target, None, _USER_MODE if within is None else _PROJECT_MODE)
    except OSError as cause:
        raise StorageError(f"cannot read {display(str(path))}: {cause.strerror}") from cause
    if not stat.S_ISREG(found.st_mode):
        what = "a folder" if stat.S_ISDIR(found.st_mode) else "no plain file"
        raise BadConfigError(f"{display(str(path))} is {what}", hint="move it away; nothing was changed")
    data = read_limited(target, _LARGEST_BYTES, too_large=UnsupportedError)
    return SettingsFile(path, target, data, stat.S_IMODE(found.st_mode))


def write_settings(file: SettingsFile, data: bytes) -> None:
    """Replace a file, or make it, if it is as it was read. Raises ChangedMeanwhileError, StorageError."""
    check_unchanged(file)
    with translate_os_errors(f"cannot create {file.target.parent}"):
        file.target.parent.mkdir(parents=True, exist_ok=True)
    sweep_drafts(file.target.parent, file.target.name)
    replace_durably(file.target, data, mode=file.mode)


def remove_settings(file: SettingsFile) -> None:
    """Remove a file that is as it was read. Raises ChangedMeanwhileError, StorageError."""
    check_unchanged(file)
    with translate_os_errors(f"cannot remove {file.target}"):
        file.target.unlink(missing_ok=True)


def check_unchanged(file: SettingsFile) -> None:
    """Raise ChangedMeanwhileError when a file is not what was read any more, StorageError when it cannot be written."""
    now = read_limited(file.target, _LARGEST_BYTES, too_large=UnsupportedError) if file.target.exists() else None
    if now != file.data or Path(os.path.realpath(file.path)) != file.target:
        raise ChangedMeanwhileError(f"{display(str(file.path))} was changed meanwhile", hint="run the command again")
    folder = next((place for place in file.target.parents if place.exists()), file.target.parent)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise StorageError(
            f"cannot write into {display(str(folder))}", hint="check its permissions; nothing was changed"
        )


def _check_parents(target: Path) -> None:
    above = next((place for place in target.parents if place.exists()), None)
    if above is not None and not above.is_dir():
        raise BadConfigError(f"{display(str(above))} is no folder", hint="move it away; nothing was changed")
