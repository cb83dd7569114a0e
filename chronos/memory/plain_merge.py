"""A three-way merge of plain files: what one side changed is taken, texts that both changed are merged by lines."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from chronos.errors import UnreadableStoreError
from chronos.files import FileStat, PathKind, TreePath, discard, display
from chronos.memory.folders import list_entries, open_place
from chronos.memory.rows import LARGE_BYTES
from chronos.memory.store_merge import Decisions, MergedText, MergeWork, StoreMerge, TableMerge, move_in
from chronos.merging import Choice, Conflict, ConflictKind, Resolution
from chronos.pool import HashingSink, digest

_PIECE_BYTES = 1 << 20
# As much as git looks at to tell a text from other bytes.
_LOOKED_AT_BYTES = 8000
_BYTES_ONLY = "both changed it, and it is no text"


class _Version(msgspec.Struct, frozen=True):
    """A file or link of one side."""

    is_link: bool
    executable: bool
    id: bytes
    size: int


class Copy:
    """A copy of a store, as far as `is_meant` says: a folder, or a single file, which has the empty path."""

    def __init__(self, place: Path | None, is_meant: Callable[[TreePath], bool] = lambda path: True) -> None:
        self._place = place or Path()
        self.is_folder = place is not None and place.is_dir() and not place.is_symlink()
        self.versions: dict[TreePath, _Version] = {}
        for path, seen in list_entries(place).items() if place is not None else ():
            if not is_meant(path):
                continue
            if not isinstance(seen, FileStat) or seen.kind not in (PathKind.FILE, PathKind.LINK):
                raise UnreadableStoreError(f"{display(path)} in the copy {place} is neither a file nor a link")
            is_link = seen.kind is PathKind.LINK
            own = digest(os.readlink(os.fsencode(self._own(path)))) if is_link else self._hash(path)
            self.versions[path] = _Version(is_link, not is_link and seen.is_executable, own, seen.size)

    def pieces(self, path: TreePath) -> Iterator[bytes]:
        """Give the bytes of a file, or the target of a link."""
        if self.versions[path].is_link:
            yield os.readlink(os.fsencode(self._own(path)))
            return
        with open(self._own(path), "rb") as stream:
            while piece := stream.read(_PIECE_BYTES):
                yield piece

    def side(self, path: TreePath) -> bytes | None:
        """Return the bytes of a file, or the hash of many, or None for no file."""
        version = self.versions.get(path)
        if version is None:
            return None
        return version.id.hex().encode() if version.size > LARGE_BYTES else b"".join(self.pieces(path))

    def is_large(self, path: TreePath) -> bool:
        """Tell whether `side` gives a hash."""
        version = self.versions.get(path)
        return version is not None and version.size > LARGE_BYTES

    def _own(self, path: TreePath) -> Path:
        return self._place / os.fsdecode(path) if path else self._place

    def _hash(self, path: TreePath) -> bytes:
        with open(self._own(path), "rb") as stream:
            return HashingSink().add_file(stream.fileno(), os.fstat(stream.fileno()).st_size).id


class _Write(msgspec.Struct, frozen=True):
    """What a path becomes: a version with its bytes, or nothing."""

    version: _Version | None
    content: bytes | None = None  # None: as in theirs


def merge(base: Path | None, ours: Path, theirs: Path, work: MergeWork) -> StoreMerge:
    """See MemoryKind."""
    decisions = Decisions(work)
    copies = Copy(base), Copy(ours), Copy(theirs)
    if copies[1].is_folder != copies[2].is_folder:
        place = _take_whole(copies, ours, theirs, work, decisions)
        return StoreMerge(place, [], decisions.open, decisions.notes)
    merging = Files(*copies, work, decisions)
    merging.decide()
    place = move_in(ours, work.folder)
    merging.write(place)
    return StoreMerge(place, merging.tables(place), decisions.open, decisions.notes)


class Files:
    """The merge of all files of a store: first everything is decided, then written into the copy of ours."""

    def __init__(self, base: Copy, ours: Copy, theirs: Copy, work: MergeWork, decisions: Decisions) -> None:
        self._base = base
        self._ours = ours
        self._theirs = theirs
        self._work = work
        self._decisions = decisions
        self._writes: dict[TreePath, _Write] = {}
        self._rows: dict[TreePath, tuple[int, int, int]] = {}
        self._decided: dict[TreePath, Conflict] = {}

    def decide(self) -> None:
        """Find what each path becomes, asking where both changed it."""
        for path in sorted(self._base.versions.keys() | self._ours.versions.keys() | self._theirs.versions.keys()):
            base, ours, theirs = (copy.versions.get(path) for copy in (self._base, self._ours, self._theirs))
            if theirs in (ours, base):
                continue
            write = _Write(theirs) if ours == base else self._decide_both(path, base, ours, theirs)
            if write is not None:
                self._writes[path] = write
        self._clear_way()

    def write(self, place: Path) -> None:
        """Carry it out in the copy of ours at `place`. Raises OSError."""
        is_single = b"" in self._ours.versions
        with open_place(place.parent if is_single else place) as tree:
            for path, write in sorted(self._writes.items(), reverse=True):
                if path in self._ours.versions and not self._is_mode_only(path):
                    discard(place / os.fsdecode(path) if path else place)
                    if path and write.version is None:
                        tree.remove_empty_folders(path)
            for path, write in sorted(self._writes.items()):
                before, after = path in self._ours.versions, write.version is not None
                self._rows[path] = int(after and not before), int(after and before), int(before and not after)
                if write.version is None:
                    continue
                own = path or os.fsencode(place.name)
                if self._is_mode_only(path):
                    target = place / os.fsdecode(path) if path else place
                    mode = target.stat().st_mode & 0o666
                    target.chmod(mode | (mode >> 2 & 0o111 if write.version.executable else 0))
                    continue
                pieces = self._theirs.pieces(path) if write.content is None else iter([write.content])
                tree.make_parents(own)
                if write.version.is_link:
                    tree.write_link(own, b"".join(pieces))
                else:
                    tree.write_file(own, pieces, executable=write.version.executable)

    def tables(self, place: Path) -> list[TableMerge]:
        """Return what was written: each file is a table of one row."""
        return [TableMerge(display(path or os.fsencode(place.name)), *row) for path, row in sorted(self._rows.items())]

    def _is_mode_only(self, path: TreePath) -> bool:
        """Tell whether a file stays as it is but for who may run it."""
        ours, write = self._ours.versions.get(path), self._writes[path]
        if ours is None or write.version is None or write.content is not None or ours.is_link or write.version.is_link:
            return False
        return ours.id == write.version.id

    def _decide_both(
        self, path: TreePath, base: _Version | None, ours: _Version | None, theirs: _Version | None
    ) -> _Write | None:
        """Decide about a path that both changed, and not alike."""
        if ours is None or theirs is None:
            who = "ours deleted it, theirs changed it" if ours is None else "theirs deleted it, ours changed it"
            return self._ask(path, ConflictKind.DELETED, who)
        if ours.is_link or theirs.is_link:
            kind = ConflictKind.CONTENT if ours.is_link and theirs.is_link else ConflictKind.MODE
            return self._ask(path, kind, "both changed where it leads" if ours.is_link else "a file here, a link there")
        executable = theirs.executable if base is not None and ours.executable == base.executable else ours.executable
        if base is None and ours.executable != theirs.executable:
            return self._ask(path, ConflictKind.MODE, "executable on one side only")
        version = msgspec.structs.replace(theirs, executable=executable)
        if ours.id == theirs.id:
            return _Write(version)
        if base is not None and theirs.id == base.id:
            return _Write(msgspec.structs.replace(ours, executable=executable))
        if base is not None and ours.id == base.id:
            return _Write(version)
        return self._merge_texts(path, version)

    def _merge_texts(self, path: TreePath, version: _Version) -> _Write | None:
        copies = (self._base, self._ours, self._theirs)
        kind = ConflictKind.CONTENT if path in self._base.versions else ConflictKind.ADDED
        if any(copy.is_large(path) for copy in copies):
            return self._ask(path, ConflictKind.BINARY, "both changed it, and it is too large to be merged")
        texts = [copy.side(path) or b"" for copy in copies]
        if any(b"\0" in text[:_LOOKED_AT_BYTES] for text in texts):
            return self._ask(path, ConflictKind.BINARY, _BYTES_ONLY)
        merge_text = self._work.merge_text
        merged = merge_text(path or self._work.path, texts[0], texts[1], texts[2]) if merge_text is not None else None
        if merged is not None and merged.is_clean:
            return _Write(version, merged.content)
        return self._ask(path, kind, "both changed the same of it", merged)

    def _ask(self, path: TreePath, kind: ConflictKind, reason: str, merged: MergedText | None = None) -> _Write | None:
        copies = {"base": self._base, "ours": self._ours, "theirs": self._theirs}
        conflict = self._decisions.conflict(
            kind,
            reason,
            {name: copy.side(path) for name, copy in copies.items()},
            path=path,
            merged=None if merged is None else merged.content,
            is_large=any(copy.is_large(path) for copy in copies.values()),
        )
        resolution = self._decisions.decide(conflict, may_be_content=True)
        if resolution is not None:
            self._decided[path] = conflict
        return self._carry_out(path, conflict, resolution)

    def _carry_out(self, path: TreePath, conflict: Conflict, resolution: Resolution | None) -> _Write | None:
        ours, theirs = self._ours.versions.get(path), self._theirs.versions.get(path)
        if resolution is None or resolution.choice is Choice.OURS:
            return None
        if resolution.choice is Choice.THEIRS:
            return _Write(theirs)
        model = next((side for side in (ours, theirs) if side is not None and not side.is_link), None)
        executable = model is not None and model.executable
        return _Write(_Version(False, executable, b"", len(resolution.content)), resolution.content)

    def _clear_way(self) -> None:
        """See to it that no path to be written lies below a file, or is a folder that stays."""
        files, folders = self._outcome()
        for path in sorted(path for path, write in self._writes.items() if write.version is not None):
            above = _folders_of(path) & files
            below = {other for other in files if other.startswith(path + b"/")} if path in folders else set()
            if path not in self._writes or not (above or below):
                continue
            conflict = self._decisions.conflict(
                ConflictKind.PLACE,
                f"ours has {display(min(above | below))} in its place",
                {"base": self._base.side(path), "ours": None, "theirs": self._theirs.side(path)},
                path=path,
                is_large=self._theirs.is_large(path),
            )
            resolution = self._decisions.decide(conflict)
            kept = [self._decided[other] for other in sorted(above | below) if other in self._decided]
            is_theirs = resolution is not None and resolution.choice is Choice.THEIRS
            if is_theirs and not kept:
                self._writes |= {other: _Write(None) for other in above | below}
            else:
                del self._writes[path]
            for refused in (conflict, *kept) if is_theirs and kept else ():
                reason = "what was decided about a file and about a folder of its name cannot both be"
                self._decisions.keep(msgspec.structs.replace(refused, reason=reason))
            files, folders = self._outcome()

    def _outcome(self) -> tuple[set[TreePath], set[TreePath]]:
        """Return the files that there will be, and the folders that they lie in."""
        files = {path for path in self._ours.versions if path not in self._writes}
        files |= {path for path, write in self._writes.items() if write.version is not None}
        return files, {folder for path in files for folder in _folders_of(path)}


def _folders_of(path: TreePath) -> set[TreePath]:
    return {path[:at] for at, byte in enumerate(path) if byte == ord("/")}


def _take_whole(
    copies: tuple[Copy, Copy, Copy], ours: Path, theirs: Path, work: MergeWork, decisions: Decisions
) -> Path:
    """Take a folder or a file, where only one of them can be had."""
    is_theirs = copies[0].versions == copies[1].versions
    if not is_theirs and copies[0].versions != copies[2].versions:
        sides = dict(zip(("base", "ours", "theirs"), (copy.side(b"") for copy in copies), strict=True))
        conflict = decisions.conflict(ConflictKind.STORE, "one side has a file, the other a folder", sides)
        resolution = decisions.decide(conflict)
        is_theirs = resolution is not None and resolution.choice is Choice.THEIRS
    return move_in(theirs if is_theirs else ours, work.folder)
