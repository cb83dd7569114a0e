"""The chrono side of a saver: where its database is, whether checkpoints have it, and the files of a graph checkpoint.

An engine is not shared between threads, so each call opens one.
"""

from __future__ import annotations

import os
from pathlib import Path

from chronos.app import open_engine
from chronos.checkpoints import Trigger, check_name, is_checkpoint_id
from chronos.config import Surroundings
from chronos.errors import BadNameError, DisabledError, UnknownCheckpointError
from chronos.files import display, translate_os_errors
from skills.langgraph.rows import Key

DEFAULT_PLACE = "data/memory/langgraph.db"
_COVERED = ("memory", "code")
_NAMELESS = "graph checkpoint"


class FilesOfGraphs:
    """The working tree around a saver's database. `root` may be any folder in it; a `path` is from the current one."""

    def __init__(self, root: Path | str | None, path: Path | str | None) -> None:
        surroundings = Surroundings.current()
        with open_engine(Path(root) if root is not None else None, surroundings=surroundings) as engine:
            self.root = engine.root
            self.timeout_s = engine.config.lock_timeout_s
            self._is_enabled = engine.config.enabled
        place = self.root / DEFAULT_PLACE if path is None else surroundings.folder / path
        self.path = Path(os.path.realpath(place.parent)) / place.name

    @property
    def is_covered(self) -> bool:
        """Whether a checkpoint that is taken now would have the database."""
        with open_engine(self.root) as engine:
            return engine.coverage([self.path])[0].value in _COVERED

    def make_folder(self) -> None:
        """Make the folder of the database, if that is in the working tree. Raises StorageError."""
        if not self.path.is_relative_to(self.root):
            return
        with translate_os_errors(f"cannot make {display(str(self.path.parent))}"):
            self.path.parent.mkdir(parents=True, exist_ok=True)

    def check_enabled(self) -> None:
        """Raise DisabledError where no checkpoint would be taken."""
        if not self._is_enabled:
            raise DisabledError("chronos is switched off (ENABLE_CHRONOS=false), and checkpoint_files is on")

    def take(self, key: Key, step: object) -> str:
        """Return the checkpoint that has the files of now, taking an automatic one when they differ from the newest."""
        about = f"graph checkpoint {display(key.checkpoint[:60])}, thread {display(key.thread[:60])}, step {step}"
        with open_engine(self.root) as engine:
            created = engine.take_checkpoint(_name(key), about, trigger=Trigger.AUTOMATIC, aside=[self.path])
            return created.checkpoint_id

    def find(self, key: Key, chrono_id: str | None) -> str | None:
        """Return the checkpoint that has the files of a graph checkpoint, as long as it is there.

        One whose id is not recorded is found by its name: it has the database from before its id was recorded.
        """
        wanted = chrono_id or _name(key)
        if wanted == _NAMELESS or (chrono_id and not is_checkpoint_id(chrono_id)):
            return None
        with open_engine(self.root) as engine:
            try:
                return engine.find_checkpoint(wanted).checkpoint_id
            except UnknownCheckpointError:
                return None

    def restore(self, chrono_id: str) -> None:
        """Give files and memory stores, but for the graphs' own, the state of a checkpoint. See ChronosEngine."""
        with open_engine(self.root) as engine:
            engine.restore_checkpoint(chrono_id, aside=[self.path])


def _name(key: Key) -> str:
    """Return what the checkpoint of a graph checkpoint is called, in case that this can be a name."""
    try:
        return check_name(f"graph {key.checkpoint}")
    except BadNameError:
        return _NAMELESS
