"""How a conflict is decided: key by key, by a strategy, or as a resolver says; and how it is described to him.

A verdict is about one path of ours: it stays, goes, or becomes something else.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Iterable
from pathlib import Path

import msgspec

from chronos.files import translate_os_errors
from chronos.git import TreeEntry, TreeMerge
from chronos.merging.clashes import BASE, OURS, THEIRS, Clash
from chronos.merging.conflicts import Choice, Conflict, ConflictKind, Resolution, Strategy
from chronos.merging.contents import Contents, MergedFile
from chronos.merging.structured import LARGEST_DOCUMENT_BYTES, has_keys, merge_structured

LARGEST_SHOWN_BYTES = 1 << 20
_BINARY_PROBE_BYTES = 8000  # as git looks for a NUL (xdiff-interface.c)
_MARKED = re.compile(rb"^<{7,} ours.*^>{7,} theirs", re.MULTILINE | re.DOTALL)


class Verdict(msgspec.Struct, frozen=True):
    """What becomes of the path: nothing when it is no change, else `file`, or its end when that is None.

    `is_file` tells, where a file and a folder want the path, that a file has it from now on; `is_ours` that ours was
    taken.
    """

    is_change: bool
    file: MergedFile | None = None
    is_file: bool = False
    is_ours: bool = False


class Decider:
    """Decides the clashes of one merge."""

    def __init__(self, merge: TreeMerge, contents: Contents, scratch: Path) -> None:
        self._merge = merge
        self._contents = contents
        self._scratch = scratch
        self._sizes: dict[str, int] = {}

    def prepare(self, clashes: Iterable[Clash]) -> None:
        """Learn in one go how large everything is that the clashes are about."""
        entries = [entry for clash in clashes for entry in clash.stages.values()]
        if entries:
            self._sizes = self._contents.find_sizes(entries)

    def by_keys(self, clash: Clash) -> Verdict | None:
        """Decide about a structured file that git could not merge line by line, when no key was changed twice."""
        if clash.kind is not ConflictKind.CONTENT or not clash.has_lines or not has_keys(clash.path):
            return None
        if any(self._size(entry) > LARGEST_DOCUMENT_BYTES for entry in clash.stages.values()):
            return None
        base, ours, theirs = (self._read(clash, stage) for stage in (BASE, OURS, THEIRS))
        merged = merge_structured(clash.path, base or b"", ours or b"", theirs or b"")
        return None if merged is None else self._made(clash, merged)

    def by_strategy(self, clash: Clash, strategy: Strategy) -> Verdict | None:
        """Decide as `strategy` says, or not at all."""
        if strategy is Strategy.CONFLICT:
            return None
        if clash.has_lines:
            merged = self._favor(clash, strategy)
            if merged is not None:
                return self._made(clash, merged)
        if strategy is Strategy.UNION:
            is_there = clash.kind in (ConflictKind.DELETED, ConflictKind.RENAMED)
            return self._take(clash, Choice.OURS if OURS in clash.stages else Choice.THEIRS) if is_there else None
        return self._take(clash, Choice(strategy.value))

    def by_resolution(self, clash: Clash, resolution: Resolution) -> Verdict | None:
        """Decide as somebody said; not at all when a link or a submodule should become bytes that somebody wrote."""
        if resolution.choice is not Choice.CONTENT:
            return self._take(clash, resolution.choice)
        entry = clash.stages.get(OURS) or clash.stages[THEIRS]
        return self._made(clash, resolution.content) if stat.S_ISREG(entry.mode) else None

    def describe(self, clash: Clash) -> Conflict:
        """Return the conflict as it is shown and asked about."""
        is_large = any(self._size(entry) > LARGEST_SHOWN_BYTES for entry in clash.stages.values())
        base, ours, theirs = (self._show(clash, stage, is_large) for stage in (BASE, OURS, THEIRS))
        merged = None if is_large else self._read_merged(clash)
        return Conflict(clash.kind, clash.path, clash.reason, base, ours, theirs, merged, is_large=is_large)

    def _take(self, clash: Clash, side: Choice) -> Verdict:
        if clash.is_moved and clash.merged is not None:
            return Verdict(True, self._contents.file_of(clash.merged))
        entry = self._own(clash, OURS if side is Choice.OURS else THEIRS)
        if side is Choice.OURS:
            is_file = clash.folder is Choice.THEIRS
            if entry is None or clash.path not in self._merge.changed or self._merge.replaced[clash.path] == entry:
                return Verdict(False, is_file=is_file, is_ours=True)
            return Verdict(True, self._contents.file_of(entry), is_file=is_file, is_ours=True)
        if entry is not None:
            return Verdict(True, self._contents.file_of(entry), is_file=clash.folder is Choice.OURS)
        is_there = self._merge.replaced.get(clash.path) if clash.path in self._merge.changed else clash.stages.get(OURS)
        return Verdict(is_there is not None)

    def _made(self, clash: Clash, data: bytes) -> Verdict:
        entry = clash.merged or clash.stages.get(OURS) or clash.stages[THEIRS]
        return Verdict(True, MergedFile(entry.mode, data=data), is_file=True)

    def _own(self, clash: Clash, stage: int) -> TreeEntry | None:
        """Return what a side has. What git merged into it counts when it was merged well, else the side's own does.

        Where both renamed, a stage is the merge of contents, with markers if they could not be merged.
        """
        entry = clash.stages.get(stage)
        if entry is None or stage == BASE or self._contents.find_origin(entry) is not None:
            return entry
        own = (self._merge.by_ours if stage == OURS else self._merge.by_theirs).get(clash.path)
        if own is None:
            return entry
        data = self._contents.read(clash.path, MergedFile(entry.mode, entry.oid))
        return own if _MARKED.search(data) else entry

    def _show(self, clash: Clash, stage: int, is_large: bool) -> bytes | None:
        entry = clash.stages.get(stage)
        return entry.oid.encode("ascii") if is_large and entry is not None else self._read(clash, stage)

    def _read(self, clash: Clash, stage: int) -> bytes | None:
        entry = self._own(clash, stage)
        return None if entry is None else self._contents.read(clash.path, self._contents.file_of(entry))

    def _read_merged(self, clash: Clash) -> bytes | None:
        entry = clash.merged
        if entry is None or entry.oid in (stage.oid for stage in clash.stages.values()):
            return None
        return self._contents.read(clash.path, MergedFile(entry.mode, entry.oid))

    def _size(self, entry: TreeEntry) -> int:
        return self._sizes.get(entry.oid, 0)

    def _favor(self, clash: Clash, strategy: Strategy) -> bytes | None:
        """Merge line by line with conflicts decided by the strategy; return None when there are no lines."""
        sides = [self._read(clash, stage) or b"" for stage in (OURS, BASE, THEIRS)]
        if any(b"\0" in side[:_BINARY_PROBE_BYTES] for side in sides):
            return None
        has_returns = b"\r\n" in sides[0] and b"\r\n" not in (self._read_normal(clash) or b"\r\n")
        names = [self._scratch / name for name in ("ours", "base", "theirs")]
        with translate_os_errors(f"cannot write in {self._scratch}"):
            for name, side in zip(names, sides, strict=True):
                name.write_bytes(side.replace(b"\r\n", b"\n") if has_returns else side)
        merged = self._merge.command.output("merge-file", "-p", "-q", f"--{strategy.value}", *map(str, names))
        return merged.replace(b"\n", b"\r\n") if has_returns else merged

    def _read_normal(self, clash: Clash) -> bytes | None:
        """Return what git merged as it keeps it: without the carriage returns of a file that it converts."""
        return None if clash.merged is None else self._contents.read_object(clash.merged.oid)
