"""Putting a state of files at a place, whole or not at all, and never over anything.

The new state is written beside the place (`.draft`) and checked. A marker in the trash then says which inode is the
new one; from there on a crash is carried forward. What stands at the place steps aside (`.aside`), is compared with
what was expected once more, the new state takes the free name, what no capture can hold goes on living in it, and the
old one goes to the trash.
"""

from __future__ import annotations

import errno
import os
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import msgspec

from chronos.errors import ChronosError, StoreChangedError, StoreInUseError
from chronos.files import (
    FileStat,
    PathKind,
    TreePath,
    discard,
    display,
    kept_descriptors,
    move_away,
    replace_durably,
    sync_file_system,
    write_new,
)
from chronos.memory.folders import Listing, find_place, open_place, walk
from chronos.memory.kinds import ReplaceWork, StoreState
from chronos.memory.writing import take_modes, write_files
from chronos.pool import digest
from chronos.process import FileUser, find_users

_PAUSE_S = 0.1


class PlacingRules(msgspec.Struct, frozen=True):
    """How a kind wants a place to be replaced.

    `look` lists what it sees there. `check(draft)` raises IntegrityError when what was written is no good. `is_user`
    says which processes that have files open stand in the way. With `shares_files` a file whose bytes are proven equal
    is linked, not written: only for files that nobody ever changes.
    """

    look: Callable[[Path], tuple[object, ...]]
    check: Callable[[Path], None]
    is_user: Callable[[FileUser], bool]
    shares_files: bool = False


def replace_place(place: Path, state: StoreState | None, work: ReplaceWork, rules: PlacingRules) -> list[str]:
    """Carry out `MemoryKind.replace` for a kind that is nothing but files."""
    return _Placing(place, state, work, rules).run()


class _Placing:
    def __init__(self, place: Path, state: StoreState | None, work: ReplaceWork, rules: PlacingRules) -> None:
        name = f".chronos-{zlib.crc32(os.fsencode(place.name)):08x}"
        self._place = place
        self._state = state
        self._work = work
        self._rules = rules
        self._draft = place.with_name(f"{name}.draft")
        self._aside = place.with_name(f"{name}.aside")
        self._marker = work.trash / "placing"
        self._verified = work.trash / "verified"
        self._old = work.trash / "old"
        self._notes: list[str] = []

    def run(self) -> list[str]:
        if not self._marker.exists():
            if self._state is None and not os.path.lexists(self._place):
                self._check_unchanged()
                return []
            discard(self._draft)
            if os.path.lexists(self._aside):
                self._save(self._aside, "an older state, left by an operation that was cut short,")
            self._prepare()
        if not self._is_switched():
            self._step_aside()
            self._take_place()
        if os.path.lexists(self._aside):
            self._keep_uncaptured()
            sync_file_system(self._place.parent)
            move_away(self._aside, self._old)
        sync_file_system(self._place.parent)
        return self._notes

    def _prepare(self) -> None:
        """Write and check the new state, make it durable, and leave the marker: the new inode, and what it replaces."""
        before = self._listing(self._place)
        self._check_unchanged()
        self._check_unused()
        self._place.parent.mkdir(parents=True, exist_ok=True)
        linked: set[TreePath] = set()
        try:
            if self._state is not None:
                is_folder = self._place.is_dir() and not self._place.is_symlink()
                shared = self._place if self._rules.shares_files and is_folder else None
                linked = write_files(self._draft, self._state.files, self._work.pieces, shared=shared)
                self._rules.check(self._draft)
                take_modes(self._place, self._draft, self._state.files)
            now = self._listing(self._place)
            if _without_change_times(now, linked) != _without_change_times(before, linked):
                raise self._changed("it was written to")
        except BaseException:
            discard(self._draft)
            raise
        sync_file_system(self._place.parent)
        replace_durably(self._marker, b"%s\n%s" % (_inode(self._draft), _digest(now)))

    def _is_switched(self) -> bool:
        """Tell whether the new state (or, to remove, nothing) has the place already."""
        if self._state is None:
            return self._verified.exists()
        if _inode(self._place) == self._marked(0):
            discard(self._draft)  # the other name of the new file, which is linked before it is renamed
        return not os.path.lexists(self._draft)

    def _step_aside(self) -> None:
        """Move what stands at the place aside, if it is what was expected, before and after; else call all off."""
        if self._verified.exists():
            return
        try:
            if not os.path.lexists(self._aside):
                self._check_marked(self._place)
                self._check_unused()
                if os.path.lexists(self._place):
                    os.rename(self._place, self._aside)
            if os.path.lexists(self._aside):
                self._check_marked(self._aside)
            write_new(self._verified, b"")
        except (ChronosError, OSError):
            self._call_off()
            raise

    def _take_place(self) -> None:
        if self._state is None:
            return
        try:
            _rename_to_free_name(self._draft, self._place)
        except OSError as cause:
            is_taken = os.path.lexists(self._place)
            self._call_off()
            if not is_taken:
                raise
            where = f"; {self._notes[-1]}" if self._notes else ""
            raise self._changed(f"something took its place in the moment of the change{where}") from cause

    def _call_off(self) -> None:
        """Put back what stepped aside, or where something new stands, save it; forget the draft."""
        if os.path.lexists(self._aside):
            try:
                _rename_to_free_name(self._aside, self._place)
            except (FileExistsError, NotADirectoryError):
                self._save(self._aside, "the old state")
        for path in (self._verified, self._marker):  # before the draft: with it gone they would say that all is done
            path.unlink(missing_ok=True)
        discard(self._draft)

    def _marked(self, line: int) -> bytes:
        return self._marker.read_bytes().split(b"\n")[line]

    def _check_marked(self, place: Path) -> None:
        if _digest(self._listing(place)) != self._marked(1):
            raise self._changed("it was written to")

    def _check_unchanged(self) -> None:
        expected = self._work.expected
        if expected is not None and tuple(self._rules.look(self._place)) != tuple(expected):
            raise self._changed("it was written to")

    def _changed(self, why: str) -> StoreChangedError:
        return StoreChangedError(f"{self._place} was left alone: {why}")

    def _check_unused(self) -> None:
        """Wait for other processes that use a file of the store, and refuse; of this very one, a note says so."""
        if (found := find_place(self._place)) is None:
            return
        paths = [self._place]
        if found.kind is PathKind.FOLDER:
            with open_place(self._place) as tree:
                paths = [self._place / os.fsdecode(path) for path in walk(tree)]
        deadline = time.monotonic() + self._work.timeout_s
        while True:
            users = [user for user in find_users(paths, kept_descriptors()) if self._rules.is_user(user)]
            other = next((user for user in users if not user.is_self), None)
            if other is None:
                break
            if time.monotonic() >= deadline:
                who = f"process {other.process_id} ({other.name})"
                raise StoreInUseError(f"{self._place} is in use: {who} has {other.path.name} open")
            time.sleep(_PAUSE_S)
        for name in sorted({user.path.name for user in users}):
            note = f"this process has {name} open, and goes on with what was replaced"
            self._notes += [note] if note not in self._notes else []

    def _listing(self, place: Path) -> Listing:
        """Return what stands at `place`, the folder itself included; not its change time, which a rename sets."""
        found = find_place(place)
        if found is None:
            return {}
        own: Listing = {b"": msgspec.structs.replace(found, ctime_ns=0)}
        if found.kind is not PathKind.FOLDER:
            return own
        with open_place(place) as tree:
            return own | walk(tree)

    def _keep_uncaptured(self) -> None:
        """Move what no capture would have taken from the old folder into the new one: it is in no checkpoint."""
        found = find_place(self._aside)
        if found is None or found.kind is not PathKind.FOLDER:
            return
        with open_place(self._aside) as tree:
            listing = walk(tree)
        for path in [path for path, seen in listing.items() if self._is_uncaptured(path, seen)]:
            source, target = self._aside / os.fsdecode(path), self._place / os.fsdecode(path)
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                _rename_to_free_name(source, target)
                self._notes.append(f"{display(path)} is in no checkpoint and was kept")
            except (FileExistsError, NotADirectoryError):
                self._save(source, f"{display(path)}, which is in no checkpoint,")

    def _is_uncaptured(self, path: TreePath, seen: FileStat | str) -> bool:
        if isinstance(seen, str) or seen.kind is PathKind.SPECIAL:
            return True
        is_readable = seen.kind is PathKind.LINK or os.access(self._aside / os.fsdecode(path), os.R_OK)
        return not is_readable or self._work.may_take(path, seen.size) is not None

    def _save(self, source: Path, what: str) -> None:
        """Put what cannot stay where it is into a folder that nobody deletes, and say so."""
        folder = self._work.trash.with_suffix(".saved")
        folder.mkdir(mode=0o700, exist_ok=True)
        saved = folder / f"{len(os.listdir(folder))}"
        move_away(source, saved)
        self._notes.append(f"{what} was moved to {saved}")


def _without_change_times(listing: Listing, paths: set[TreePath]) -> Listing:
    """Leave out the change times of `paths`, which a new link to them sets."""
    return {
        path: msgspec.structs.replace(seen, ctime_ns=0) if path in paths and isinstance(seen, FileStat) else seen
        for path, seen in listing.items()
    }


def _digest(listing: Listing) -> bytes:
    return digest(msgspec.msgpack.encode(list(listing.items()))).hex().encode()


def _inode(path: Path) -> bytes:
    try:
        about = os.lstat(path)
    except FileNotFoundError:
        return b"nothing"
    return b"%d %d" % (about.st_dev, about.st_ino)


def _rename_to_free_name(source: Path, target: Path) -> None:
    """Rename without replacing anything. Raises FileExistsError, or NotADirectoryError."""
    if source.is_dir() and not source.is_symlink():
        if os.path.lexists(target):  # an empty folder made in this very moment is all that could be replaced
            raise FileExistsError(errno.EEXIST, "something stands there", str(target))
        os.rename(source, target)
        return
    os.link(source, target, follow_symlinks=False)
    source.unlink()
