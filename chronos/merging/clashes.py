"""What git could not merge, path by path: its stages and messages put together again where it had to give new names."""

from __future__ import annotations

import stat

import msgspec

from chronos.files import TreePath, display
from chronos.git import GITLINK_MODE, MergeMessage, TreeEntry, TreeMerge
from chronos.merging.conflicts import Choice, ConflictKind

BASE, OURS, THEIRS = 1, 2, 3
_PLACE = "CONFLICT (file/directory)"
_TYPES = "CONFLICT (distinct modes)"
_CONTENTS = "CONFLICT (contents)"
_DELETED = "CONFLICT (modify/delete)"
_BINARY = "CONFLICT (binary)"
_RENAMED = "CONFLICT (rename/rename)"
_SUGGESTED = "CONFLICT (directory rename suggested)"


class Clash(msgspec.Struct):
    """One path that is not decided: what each side has there, what git left there, and which side has a folder.

    `is_moved` says that only the place is asked about: git put the file into a folder that the other side had renamed.
    """

    path: TreePath
    kind: ConflictKind
    reason: str
    stages: dict[int, TreeEntry]
    merged: TreeEntry | None
    folder: Choice | None = None
    is_moved: bool = False

    @property
    def has_lines(self) -> bool:
        """Whether both sides have a regular file here that could be merged line by line."""
        both = (self.stages.get(OURS), self.stages.get(THEIRS))
        is_text = self.kind in (ConflictKind.CONTENT, ConflictKind.ADDED)
        return is_text and all(entry is not None and stat.S_ISREG(entry.mode) for entry in both)


def find_clashes(merge: TreeMerge) -> tuple[list[Clash], set[TreePath]]:
    """Return what is not decided, folders before what is in them, and all paths that git gave to it.

    A path that both sides took away in different ways is decided: it is gone.
    """
    homes = _find_homes(merge.messages)
    stages: dict[TreePath, dict[int, TreeEntry]] = {}
    for path, found in merge.stages.items():
        home = homes.get(path, path)
        here = {number: msgspec.structs.replace(entry, path=home) for number, entry in found.items()}
        stages[home] = here | stages.get(home, {})
    said: dict[TreePath, list[MergeMessage]] = {}
    for message in merge.messages:
        for path in message.paths:
            said.setdefault(homes.get(path, path), []).append(message)
    undecided = {path: found for path, found in stages.items() if set(found) != {BASE}}
    clashes = [_clash_of(merge, path, found, said.get(path, [])) for path, found in sorted(undecided.items())]
    return clashes, {*stages, *merge.stages}


def find_notes(merge: TreeMerge) -> tuple[str, ...]:
    """Return what git says of conflicts that are about no path, such as a folder that was split when it was renamed."""
    homes = _find_homes(merge.messages)
    known = {*merge.stages, *(homes.get(path, path) for path in merge.stages)}
    grave = (one for one in merge.messages if one.kind.startswith(("CONFLICT", "warning")))
    of_none = (one for one in grave if known.isdisjoint(one.paths))
    return tuple(message.text for message in of_none)


def _find_homes(messages: list[MergeMessage]) -> dict[TreePath, TreePath]:
    """Return, for each name that git made up because a path was taken twice, that path."""
    homes = {}
    for message in messages:
        if message.kind == _PLACE:
            homes[message.paths[0]] = message.paths[1]
        elif message.kind == _TYPES:
            homes |= dict.fromkeys(message.paths[1:], message.paths[0])
    return {made_up: homes.get(path, path) for made_up, path in homes.items()}


def _clash_of(merge: TreeMerge, path: TreePath, stages: dict[int, TreeEntry], messages: list[MergeMessage]) -> Clash:
    said = {message.kind for message in messages}
    kind = _kind_of(stages, said)
    is_left = kind in (ConflictKind.CONTENT, ConflictKind.ADDED, ConflictKind.RENAMED)
    merged = merge.changed.get(path) if is_left else None
    folder = None
    if kind is ConflictKind.PLACE:
        folder = Choice.OURS if merge.replaced.get(path) is None else Choice.THEIRS
    is_moved = kind is ConflictKind.RENAMED and _SUGGESTED in said and _RENAMED not in said
    return Clash(path, kind, _reason_of(kind, stages, folder, messages), stages, merged, folder, is_moved)


def _kind_of(stages: dict[int, TreeEntry], said: set[str]) -> ConflictKind:
    ours, theirs = stages.get(OURS), stages.get(THEIRS)
    if _PLACE in said:
        return ConflictKind.PLACE
    if _SUGGESTED in said and said.isdisjoint((_CONTENTS, _BINARY, _DELETED, _TYPES)):
        return ConflictKind.RENAMED
    if ours is None or theirs is None:
        return ConflictKind.DELETED if BASE in stages else ConflictKind.RENAMED
    if ours.mode == theirs.mode == GITLINK_MODE:
        return ConflictKind.SUBMODULE
    if stat.S_IFMT(ours.mode) != stat.S_IFMT(theirs.mode) or ours.oid == theirs.oid:
        return ConflictKind.MODE
    if BASE not in stages:
        return ConflictKind.ADDED
    return ConflictKind.BINARY if _BINARY in said or stat.S_ISLNK(ours.mode) else ConflictKind.CONTENT


def _reason_of(
    kind: ConflictKind, stages: dict[int, TreeEntry], folder: Choice | None, messages: list[MergeMessage]
) -> str:
    there, elsewhere = ("ours", "theirs") if OURS in stages else ("theirs", "ours")
    if kind is ConflictKind.DELETED:
        return f"{there} changed it, {elsewhere} deleted it"
    if folder is not None:
        return f"{'ours' if folder is Choice.THEIRS else 'theirs'} has a file here, {folder.value} a folder"
    if kind is ConflictKind.MODE:
        return f"ours has {_noun(stages[OURS])} here, theirs {_noun(stages[THEIRS])}"
    if kind is ConflictKind.RENAMED:
        return _reason_of_rename(there, elsewhere, messages)
    return {
        ConflictKind.BINARY: "both changed it, and it cannot be merged line by line",
        ConflictKind.ADDED: "both have something new here, and not the same",
        ConflictKind.SUBMODULE: "both moved the submodule, to commits of which neither is known to follow the other",
    }.get(kind, "both changed the same lines")


def _reason_of_rename(there: str, elsewhere: str, messages: list[MergeMessage]) -> str:
    for message in messages:
        if message.kind == _RENAMED and len(message.paths) == 3:
            old, ours, theirs = map(display, message.paths)
            return f"{old} became {ours} in ours and {theirs} in theirs"
        if message.kind == _SUGGESTED:
            return f"{there} added it to a folder that {elsewhere} renamed"
    return f"only {there} has it under this name"


def _noun(entry: TreeEntry) -> str:
    if stat.S_ISREG(entry.mode):
        return "an executable file" if entry.mode & 0o111 else "a file"
    return "a link" if stat.S_ISLNK(entry.mode) else "a submodule"
