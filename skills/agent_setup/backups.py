"""What settings files were before we wrote: one folder for each file, below the user's folder for state.

`$XDG_STATE_HOME/chronomancer/agents`, by default `~/.local/state/chronomancer/agents`: beside a settings file a copy
would get into a commit, or be read as settings (all of `.github/hooks/*.json` are). `record.json` says which copy an
install started from, and the hash of what it wrote: as long as that is what stands there, an uninstall gives back the
very bytes, or no file where there was none. After any other edit it is not used.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from chronos.config import expand_home
from chronos.files import read_limited, replace_durably, translate_os_errors, write_new
from skills.agent_setup.settings_file import SettingsFile

_KEPT = 10
_RECORD = "record.json"
_LARGEST_RECORD_BYTES = 64 * 1024
_LARGEST_COPY_BYTES = 16 * 1024 * 1024


class _Record(msgspec.Struct, frozen=True):
    """`copy` is a name in this folder, None where there was no file; `written` is what the install left there."""

    path: str
    copy: str | None
    written: str


class Original(msgspec.Struct, frozen=True):
    """What a file was before the first of our installs that nobody has edited since. `data` is None for no file."""

    data: bytes | None


class Backups:
    """The copies of one settings file."""

    def __init__(self, file: SettingsFile, environment: Mapping[str, str]) -> None:
        state = environment.get("XDG_STATE_HOME", "")
        base = state if os.path.isabs(state) else expand_home("~/.local/state", environment)
        name = hashlib.sha256(os.fsencode(file.target)).hexdigest()[:16]
        self._folder = Path(base, "chronomancer", "agents", name)
        self._file = file

    def find_original(self) -> Original | None:
        """Return what to give back, None where the file was edited since, or nothing is known of it."""
        record = self._read_record()
        if record is None or self._file.data is None or record.written != _hash(self._file.data):
            return None
        if record.copy is None:
            return Original(None)
        copy = self._folder / os.path.basename(record.copy)
        return Original(read_limited(copy, _LARGEST_COPY_BYTES)) if copy.is_file() else None

    def keep(self, new: bytes) -> Path | None:
        """Copy the file before `new` is written, and return the copy. Raises StorageError."""
        with translate_os_errors(f"cannot create {self._folder}"):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        known = self._read_record() if self.find_original() is not None else None
        copy = None
        if self._file.data is not None:
            copy = self._folder / f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}-{self._file.target.name}"
            write_new(copy, self._file.data)
        origin = known.copy if known else copy.name if copy else None
        record = _Record(str(self._file.target), origin, _hash(new))
        replace_durably(self._folder / _RECORD, msgspec.json.encode(record))
        self._thin_out(origin)
        return copy

    def forget(self) -> None:
        """Forget what an install started from: it is there again."""
        with translate_os_errors(f"cannot write into {self._folder}"):
            (self._folder / _RECORD).unlink(missing_ok=True)

    def _read_record(self) -> _Record | None:
        place = self._folder / _RECORD
        if not place.is_file():
            return None
        try:
            record = msgspec.json.decode(read_limited(place, _LARGEST_RECORD_BYTES), type=_Record)
        except msgspec.MsgspecError:
            return None  # it only saves an uninstall the comparing of spaces
        return record if record.path == str(self._file.target) else None

    def _thin_out(self, origin: str | None) -> None:
        with translate_os_errors(f"cannot write into {self._folder}"):
            copies = sorted(name for name in os.listdir(self._folder) if name not in (_RECORD, origin))
            for name in copies[:-_KEPT]:
                (self._folder / name).unlink(missing_ok=True)


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
