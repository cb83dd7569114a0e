"""Putting a state of files at a place, whole or not at all, and never over anything.

The new state is written beside the place (`.draft`) and checked. A mark in the trash, `placing`, then says which inode
is the new one. What stands at the place steps aside (`.aside`) and is compared with what was expected once more; with
the mark `verified` the change is decided. The new state takes the free name, what no capture can hold goes on living in
it, the old one goes to the trash, and `placing` becomes `placed`.

What fails or crashes before the change is decided leads back, and nothing has happened; after that it is carried on.
As long as there is `placing`, neither has come to its end: `settle_place` brings it there.

Nothing is synced here: the steps pause where they need it (see `steps`), so that many places share one sync.
"""

from __future__ import annotations

import errno
import os
import stat
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec

from chronos import locks
from chronos.errors import StoreChangedError, StoreInUseError
from chronos.file_users import FileUser, find_users
from chronos.files import (
    FileStat,
    PathKind,
    TreePath,
    discard,
    display,
    kept_descriptors,
    move_away,
    rename,
    temporary_name,
    write_new,
)
from chronos.memory.folders import Listing, find_place, list_entries, open_place, walk
from chronos.memory.kinds import ReplaceWork, StoreState
from chronos.memory.steps import Pause, Steps, carry_out_one
from chronos.memory.writing import take_modes, write_files

_PAUSE_S = 0.1
_PLACING = "placing"


class PlacingRules(msgspec.Struct, frozen=True):
    """How a kind wants a place to be replaced.

    `look` lists what it sees there. `check(draft)` raises IntegrityError when what was written is no good. Processes
    that have files open stand in the way, with `minds_readers` also those that only read. With `shares_files` a file
    whose bytes are proven equal is linked, not written: only for files that nobody ever changes.
    """

    look: Callable[[Path], tuple[object, ...]]
    check: Callable[[Path], None]
    minds_readers: bool = False
    shares_files: bool = False


def replace_place(place: Path, state: StoreState | None, work: ReplaceWork, rules: PlacingRules) -> Steps[list[str]]:
    """Carry out `SteppedKind.replacing` for a kind that is nothing but files."""
    return _Replacement(place, state, work, rules).steps()


def draft_beside(place: Path) -> Path:
    """Return under which name the new state of `place` is written; another place beside it may have the same."""
    return _Placing.name_beside(place, "draft")


def is_unsettled(trash: Path) -> bool:
    """Tell whether a replacement that was given this trash has left its place on the way, neither old nor new."""
    return os.path.lexists(trash / _PLACING)


def settle_place(place: Path, works: Iterable[ReplaceWork]) -> list[str]:
    """Bring replacements of `place` whose trash is unsettled to their end, forward or back; return notes for people.

    Drafts that were not finished are removed, whatever the kind. Raises StorageError, OSError.
    """
    notes: list[str] = []
    for work in works:
        placing = _Placing(place, work)
        try:
            placing.settle()
        except StoreChangedError as cause:
            placing.notes.append(cause.message)
        notes += placing.notes
    draft = draft_beside(place)
    unfinished = [path.with_name(os.fsdecode(temporary_name(os.fsencode(path.name)))) for path in (place, draft)]
    for path in (draft, *unfinished):
        if os.path.lexists(path):
            discard(path)
    return notes


class _Placing:
    """The moves from one state to the other, each of which may be made again after a crash."""

    def __init__(self, place: Path, work: ReplaceWork) -> None:
        self.place = place
        self.draft = self.name_beside(place, "draft")
        self.aside = self.name_beside(place, "aside")
        self.notes: list[str] = []
        self._work = work
        self._marker = work.trash / _PLACING
        self._verified = work.trash / "verified"
        self._placed = work.trash / "placed"
        self._old = work.trash / "old"

    @staticmethod
    def name_beside(place: Path, ending: str) -> Path:
        """Return one of our names beside the place."""
        return place.with_name(f".chronos-{zlib.crc32(os.fsencode(place.name)):08x}.{ending}")

    def settle(self) -> None:
        """Go on from wherever an earlier run was cut short."""
        new = self._marker.read_bytes()
        if self._verified.exists() or (new and new == _inode(self.place)):
            self.take_place()
            carry_out_one(self.finish())
        else:
            self.call_off()

    def is_done(self) -> bool:
        """Tell whether an earlier run came to its end, and what it placed is still there."""
        return self._placed.exists() and self._placed.read_bytes() == _inode(self.place)

    def begin(self) -> None:
        """Make room: what earlier replacements left keeps another name."""
        if self._placed.exists():
            if os.path.lexists(self._old):
                os.rename(self._old, self._old.with_suffix(f".{len(os.listdir(self._old.parent))}"))
            self._placed.unlink()
        self._verified.unlink(missing_ok=True)
        discard(self.draft)
        if os.path.lexists(self.aside):
            self._save(self.aside, "an older state, left by an operation that was cut short,")

    def announce(self) -> Iterator[Pause]:
        """Leave the mark, durable like the draft: from here on the place is on its way. One cut short leads back."""
        write_new(self._marker, _inode(self.draft), sync=False)
        yield Pause((self.place.parent, self._work.trash))

    def decide(self) -> None:
        """Note that what stepped aside is what was expected: from here on there is no way but forward.

        Should a power cut take the note, the way leads back, or forward where the new state is at the place.
        """
        write_new(self._verified, b"", sync=False)

    def take_place(self) -> None:
        """Move the draft, if there is one, to the place. Raises StoreChangedError when that is taken; see call_off."""
        if not os.path.lexists(self.draft):
            return
        try:
            _rename_to_free_name(self.draft, self.place)
        except OSError as cause:
            if _inode(self.draft) == _inode(self.place):
                raise  # it has its place, and only the other name could not be removed
            is_taken = os.path.lexists(self.place)
            self.call_off()
            if not is_taken:
                raise
            where = f"; {self.notes[-1]}" if self.notes else ""
            raise _changed(self.place, f"something took its place in the moment of the change{where}") from cause

    def finish(self) -> Steps[None]:
        """Move what stepped aside to the trash, but for what no capture can hold."""
        durable = Pause((self.place.parent,), is_decided=True)
        if os.path.lexists(self.aside):
            self._keep_uncaptured()
            yield durable
        if os.path.lexists(self.aside):  # all of it may have been kept
            move_away(self.aside, self._old)
        yield durable
        os.rename(self._marker, self._placed)

    def call_off(self) -> None:
        """Put back what stepped aside, or where something new stands, save it; forget the draft, the mark last."""
        if os.path.lexists(self.aside):
            try:
                _rename_to_free_name(self.aside, self.place)
            except (FileExistsError, NotADirectoryError):
                self._save(self.aside, "the old state")
        self._verified.unlink(missing_ok=True)
        discard(self.draft)
        self._marker.unlink(missing_ok=True)

    def _keep_uncaptured(self) -> None:
        """Move what no capture would have taken from the old state into the new one: it is in no checkpoint."""
        for path in [path for path, seen in list_entries(self.aside).items() if self._is_uncaptured(path, seen)]:
            source, target = (_own(place, path) for place in (self.aside, self.place))
            what = display(path) or self.place.name
            with _writable_above(self.aside, path), _writable_above(self.place, path):
                try:
                    target.parent.mkdir(parents=True, exist_ok=True)
                    _rename_to_free_name(source, target)
                    self.notes.append(f"{what} is in no checkpoint and was kept")
                except (FileExistsError, NotADirectoryError):
                    self._save(source, f"{what}, which is in no checkpoint,")

    def _is_uncaptured(self, path: TreePath, seen: FileStat | str) -> bool:
        if isinstance(seen, str) or seen.kind is PathKind.SPECIAL:
            return True
        is_readable = seen.kind is PathKind.LINK or os.access(_own(self.aside, path), os.R_OK)
        return not is_readable or self._work.may_take(path, seen.size) is not None

    def _save(self, source: Path, what: str) -> None:
        """Put what cannot stay where it is into a folder that nobody deletes, and say so."""
        folder = self._work.trash.with_suffix(".saved")
        folder.mkdir(mode=0o700, exist_ok=True)
        saved = folder / f"{len(os.listdir(folder))}"
        move_away(source, saved)
        self.notes.append(f"{what} was moved to {(self._work.saved or folder) / saved.name}")


class _Replacement:
    """One replacement from its beginning: what is written, and what has to hold before the place may change."""

    def __init__(self, place: Path, state: StoreState | None, work: ReplaceWork, rules: PlacingRules) -> None:
        self._place = place
        self._state = state
        self._work = work
        self._rules = rules
        self._moves = _Placing(place, work)

    def steps(self) -> Steps[list[str]]:
        moves = self._moves
        if moves.is_done():
            return moves.notes
        if self._state is None and not os.path.lexists(self._place):
            self._check_unchanged()
            return moves.notes
        moves.begin()
        try:
            seen = self._prepare()
            yield from moves.announce()
            self._step_aside(seen)
        except BaseException:
            moves.call_off()
            raise
        moves.take_place()
        yield from moves.finish()
        return moves.notes

    def _prepare(self) -> Listing:
        """Write and check the new state; return what stands at the place."""
        before = self._listing(self._place)
        self._check_unchanged()
        self._check_unused()
        self._place.parent.mkdir(parents=True, exist_ok=True)
        linked: set[TreePath] = set()
        if self._state is not None:
            is_folder = self._place.is_dir() and not self._place.is_symlink()
            shared = self._place if self._rules.shares_files and is_folder else None
            linked = write_files(self._moves.draft, self._state.files, self._work.pieces, shared=shared)
            self._rules.check(self._moves.draft)
            take_modes(self._place, self._moves.draft, self._state.files)
        now = self._listing(self._place)
        if _without_change_times(now, linked) != _without_change_times(before, linked):
            raise _changed(self._place, "it was written to")
        return now

    def _step_aside(self, seen: Listing) -> None:
        """Move what stands at the place aside, if it is what was `seen`, before and after."""
        self._check_seen(self._place, seen)
        self._check_unused()
        if os.path.lexists(self._place):
            os.rename(self._place, self._moves.aside)
            self._check_seen(self._moves.aside, seen)
        self._moves.decide()

    def _check_seen(self, place: Path, seen: Listing) -> None:
        if self._listing(place) != seen:
            raise _changed(self._place, "it was written to")

    def _check_unchanged(self) -> None:
        expected = self._work.expected
        if expected is not None and tuple(self._rules.look(self._place)) != tuple(expected):
            raise _changed(self._place, "it was written to")

    def _check_unused(self) -> None:
        """Wait for other processes that use a file of the store, and refuse; of this very one, a note says so."""
        if (found := find_place(self._place)) is None:
            return
        if found.kind is PathKind.FILE and not self._rules.minds_readers and self._is_unwritten():
            return
        paths = [self._place]
        if found.kind is PathKind.FOLDER:
            with open_place(self._place) as tree:
                paths = [self._place / os.fsdecode(path) for path in walk(tree)]
        with self._work.waiting() as timeout_s:
            users = self._wait_for_users(paths, time.monotonic() + timeout_s)
        for name in sorted({user.path.name for user in users}):
            note = f"this process has {name} open, and goes on with what was replaced"
            self._moves.notes += [note] if note not in self._moves.notes else []

    def _wait_for_users(self, paths: list[Path], deadline: float) -> list[FileUser]:
        """Return who of this very process uses a path when nobody else does any more. Raises StoreInUseError."""
        minds_readers = self._rules.minds_readers
        while True:
            users = [user for user in find_users(paths, kept_descriptors()) if minds_readers or user.is_writing]
            other = next((user for user in users if not user.is_self), None)
            if other is None:
                return users
            if time.monotonic() >= deadline:
                who = f"process {other.process_id} ({other.name})"
                raise StoreInUseError(f"{self._place} is in use: {who} has {other.path.name} open")
            time.sleep(_PAUSE_S)

    def _is_unwritten(self) -> bool:
        with open_place(self._place.parent) as tree, tree.reading(os.fsencode(self._place.name)) as descriptor:
            return locks.is_unwritten(descriptor)

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


def _without_change_times(listing: Listing, paths: set[TreePath]) -> Listing:
    """Leave out the change times of `paths`, which a new link to them sets."""
    return {
        path: msgspec.structs.replace(seen, ctime_ns=0) if path in paths and isinstance(seen, FileStat) else seen
        for path, seen in listing.items()
    }


def _own(place: Path, path: TreePath) -> Path:
    return place / os.fsdecode(path) if path else place


@contextmanager
def _writable_above(place: Path, path: TreePath) -> Iterator[None]:
    """Let the folders of `place` above `path` be written to meanwhile, whatever their modes."""
    with ExitStack() as stack:
        for at in (0, *(at for at, byte in enumerate(path) if byte == ord("/"))):
            folder = place / os.fsdecode(path[:at])
            found = find_place(folder) if path else None
            if found is not None and found.kind is PathKind.FOLDER and not os.access(folder, os.W_OK | os.X_OK):
                mode = stat.S_IMODE(os.lstat(folder).st_mode)
                os.chmod(folder, mode | stat.S_IRWXU)
                stack.callback(os.chmod, folder, mode)
        yield


def _changed(place: Path, why: str) -> StoreChangedError:
    return StoreChangedError(f"{place} was left alone: {why}")


def _inode(path: Path) -> bytes:
    try:
        about = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return b""
    return b"%d %d" % (about.st_dev, about.st_ino)


def _rename_to_free_name(source: Path, target: Path) -> None:
    """Rename without replacing anything. Raises FileExistsError, or NotADirectoryError."""
    if source.is_dir() and not source.is_symlink():
        if os.path.lexists(target):  # an empty folder made in this very moment is all that could be replaced
            raise FileExistsError(errno.EEXIST, "something stands there", str(target))
        rename(source, target)
        return
    if _inode(source) != _inode(target):  # else a run before was cut short right here
        os.link(source, target, follow_symlinks=False)
    source.unlink()
