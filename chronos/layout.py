"""Where everything lies in a store: the names of files, and a chunk in its pack. Nothing here opens a file.

The layout is format 1 of `docs/format.md`.
"""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path

import msgspec

FORMAT_VERSION = 1
MAIN_TIMELINE = "main"
IMPORT_TIMELINE = "imported"
# What a branched timeline can be called: a folder and a git branch have that name as well.
TIMELINE_NAME = r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,62}[A-Za-z0-9_-])?"
TIMELINE = "timeline.json"
WORKTREE = ".worktree"
MANIFEST = "checkpoint.json"
PATCH = "fs_diff.patch.zst"
STATUS = "git_status.txt"
ENVIRONMENT = "env_config.json"
MEMORY = "memory_dump/manifest.json"
OMISSIONS = "left_out.json"


class ChunkLocation(msgspec.Struct, frozen=True):
    """Where one chunk lies in a pack: byte offset, stored and raw length in bytes, codec."""

    offset: int
    stored_bytes: int
    raw_bytes: int
    codec: int


class StoreLayout(msgspec.Struct, frozen=True, dict=True):
    """The paths of one store, by default `data/timelines` under the root."""

    root: Path

    @property
    def inner_repository(self) -> Path:
        """A bare repository that makes `git clean -fdx` of the parent skip the store; also serves plain folders."""
        return self.root / ".git"

    @cached_property
    def system(self) -> Path:
        """The folder of the store's own files."""
        return self.root / ".store"

    @property
    def format_file(self) -> Path:
        """Format version and store id."""
        return self.system / "format"

    @property
    def is_set_up(self) -> bool:
        """Whether there is a store: its format file is written last."""
        return os.path.isfile(self.format_file)

    @property
    def catalog(self) -> Path:
        """The rebuildable index."""
        return self.system / "catalog.sqlite"

    @cached_property
    def operations(self) -> Path:
        """The operation log."""
        return self.system / "operations.jsonl"

    @cached_property
    def journals(self) -> Path:
        """Operations in progress."""
        return self.system / "journal"

    @property
    def changes(self) -> Path:
        """What logged operations changed, for undo."""
        return self.system / "changes"

    @property
    def merges(self) -> Path:
        """Merges that wait for decisions, one file for each timeline."""
        return self.system / "merges"

    @property
    def declarations(self) -> Path:
        """The memory stores that were declared on this machine."""
        return self.system / "memory.json"

    @cached_property
    def locks(self) -> Path:
        """Lock files; their content is for messages only."""
        return self.system / "locks"

    @cached_property
    def temporary(self) -> Path:
        """Unfinished work, one folder for each living owner."""
        return self.system / "tmp"

    @property
    def indexes(self) -> Path:
        """Private copies of git indexes, a cache."""
        return self.system / "index"

    @property
    def quarantine(self) -> Path:
        """What a repair set aside, laid out like the store, and the record of it."""
        return self.system / "quarantine"

    @property
    def store_lock(self) -> Path:
        """Shared by most work, exclusive for what removes packs or folders."""
        return self.locks / "store"

    @property
    def log_lock(self) -> Path:
        """Held for the length of one append to the operation log."""
        return self.locks / "operations"

    @property
    def refs_lock(self) -> Path:
        """Held while base refs are made or swept."""
        return self.locks / "refs"

    def index_lock(self, key: str) -> Path:
        """Held while a private index copy is refreshed and status runs on it, by those who only look as well."""
        return self.locks / f"index-{key}"

    def timeline_lock(self, timeline: str) -> Path:
        """The exclusive lock of one timeline."""
        return self.locks / f"timeline-{timeline}"

    def watch_lock(self, timeline: str) -> Path:
        """Held by whoever watches the working tree of a timeline."""
        return self.locks / f"watch-{timeline}"

    def timeline(self, timeline: str) -> Path:
        """The folder of a timeline."""
        return self.root / timeline

    def timeline_record(self, timeline: str) -> Path:
        """Whose working tree a timeline is."""
        return self.root.joinpath(timeline, TIMELINE)

    def worktree(self, timeline: str) -> Path:
        """The working tree of a branched timeline, unless the settings put it elsewhere."""
        return self.root.joinpath(timeline, WORKTREE)

    def timeline_memory(self, timeline: str) -> Path:
        """A branched timeline's own copies of memory stores that lie outside of the project, each by its name."""
        return self.root.joinpath(timeline, "memory")

    def packs(self, timeline: str) -> Path:
        """The packs that were written by a timeline's checkpoints."""
        return self.root.joinpath(timeline, "packs")

    def pack(self, timeline: str, name: str) -> Path:
        """One pack."""
        return self.root.joinpath(timeline, "packs", f"{name}.pack")

    def checkpoint(self, timeline: str, checkpoint_id: str) -> Path:
        """The folder of a sealed checkpoint."""
        return self.root.joinpath(timeline, checkpoint_id)

    def deleted(self, timeline: str) -> Path:
        """Deleted checkpoints, until gc takes them."""
        return self.root.joinpath(timeline, ".deleted")
