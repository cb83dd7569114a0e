"""Taking in, for one checkpoint, what it would leave out: ignored files, databases, what lies outside of the root.

Nothing is opened but to see whether it is a database. A secret by its name stays out, as everywhere, unless a rule
names it exactly; so does what is larger than `guard_include_bytes` all together.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from chronos import memory
from chronos.checkpoints import CapturePolicy, Options, Reason, ReceiptRow, State, StateRules
from chronos.errors import BadPathError, GitFailedError
from chronos.files import PathKind, SafeRoot, TreePath, is_inside, is_tree_path, to_text
from chronos.git import list_ignored
from chronos.memory import COMPANION_ENDINGS, StorePlace
from chronos.operations.looking import find_repositories
from chronos.operations.workspace import Workspace

_MOST_FILES = 20_000
_SMALLEST_DATABASE_BYTES = 512  # one page of the smallest size
_NOT_OURS = "neither a project's nor its memory"


class Inclusion(msgspec.Struct):
    """What a checkpoint takes in besides: files of the root, and places as memory stores; and what it cannot."""

    forced: frozenset[TreePath] = frozenset()
    places: tuple[StorePlace, ...] = ()
    left_out: tuple[ReceiptRow, ...] = ()


def plan_inclusion(workspace: Workspace, paths: Sequence[Path | str]) -> Inclusion:
    """Return what there is to take in at `paths`, absolute or from the root. What does not exist is nothing to lose."""
    found = _Finder(workspace)
    with SafeRoot(workspace.root) as tree:
        for path in dict.fromkeys(Path(os.path.normpath(workspace.root / path)) for path in paths):
            if not os.path.lexists(path):
                continue
            if path.is_relative_to(workspace.root):
                found.take_inside(tree, path)
            else:
                found.take_outside(path)
    return Inclusion(frozenset(found.forced), tuple(found.places.values()), tuple(found.left_out))


def list_held_ignored(workspace: Workspace, state: State, options: Options) -> frozenset[TreePath]:
    """Return the files that a checkpoint was made to take in, and that a capture would pass over now as ignored.

    They were ignored then, too. With these in the safety checkpoint a restore can replace them. A secret by its name
    is none of them.
    """
    entries = (part.from_root(own) for part in state.components.values() for own in part.entries)
    wanted = [path for path in entries if options.covers(path)] if options.has_code else []
    policy = workspace.policy()
    found = []
    with SafeRoot(workspace.root) as tree:
        for path in sorted(_list_ignored(workspace, wanted)):
            stat = tree.find_stat(path)
            if stat is None or stat.kind not in (PathKind.FILE, PathKind.LINK):
                continue
            if policy.refusal(path, stat.size, included=True) is None:
                found.append(path)
    if not found:
        return frozenset()
    store = workspace.store
    with store.temporary_folder() as scratch:
        rules = StateRules(state, find_repositories(workspace, state), store.pool, lambda: scratch)
        return frozenset(rules.ignored(found))


def find_unheard(workspace: Workspace, paths: Sequence[TreePath]) -> set[TreePath]:
    """Return those of `paths` (from the root) that a capture would not look at.

    With include rules in force every ignored path counts as looked at: which of them the rules name only git can tell,
    and for less than all of them it would have to walk the tree.
    """
    own = _own_paths(workspace)
    heard = [path for path in paths if _is_users(path, own)]
    ignored = set() if workspace.policy().patterns else _list_ignored(workspace, heard)
    places = {path for place in workspace.places() for path in place.tree_paths()} if ignored else set()
    memory_paths = {path for path in ignored if any(is_inside(path, place) for place in places)}
    return (set(paths) - set(heard)) | (ignored - memory_paths)


def _own_paths(workspace: Workspace) -> list[TreePath]:
    """Return the folders in the root that no checkpoint holds: the store, and the lessons."""
    own = filter(None, (workspace.store.layout.root, workspace.lessons))
    return [_from_root(workspace.root, folder) for folder in own if folder.is_relative_to(workspace.root)]


def _is_users(path: TreePath, own: Sequence[TreePath]) -> bool:
    """Tell whether a path of the root is neither git's nor our own."""
    return is_tree_path(path) and not any(is_inside(path, folder) for folder in own)


def _from_root(root: Path, path: Path) -> TreePath:
    return os.fsencode(path.relative_to(root).as_posix())


def _list_ignored(workspace: Workspace, paths: list[TreePath]) -> set[TreePath]:
    try:
        return list_ignored(workspace.repository, workspace.root, paths) if paths else set()
    except GitFailedError:  # git says nothing of what lies in a submodule
        return set()


class _Finder:
    def __init__(self, workspace: Workspace) -> None:
        self.forced: set[TreePath] = set()
        self.places: dict[str, StorePlace] = {}
        self.left_out: list[ReceiptRow] = []
        self._workspace = workspace
        self._policy: CapturePolicy = workspace.policy()
        self._left_bytes = workspace.config.guard_include_bytes
        self._known = workspace.places()

    def take_inside(self, tree: SafeRoot, path: Path) -> None:
        """Take what stands at a path of the root, a folder with all that is in it."""
        where = _from_root(self._workspace.root, path)
        own = _own_paths(self._workspace)
        try:
            tops = [one for one in tree.list_folder(b"") if one not in own] if where == b"." else [where]
            files = [one for top in tops for one in tree.list_files(top)]
        except BadPathError:
            return
        inner = {one.rpartition(b"/")[0]: one for one in files if b"/" in one and not is_tree_path(one)}
        for folder in sorted(self._ignored([one for one in inner if _is_users(one, own)])):
            self._leave_out(inner[folder], Reason.HISTORY, 0, "")
        ignored = self._ignored([one for one in files if _is_users(one, own)])
        if len(ignored) > _MOST_FILES:
            self._leave_out(where, Reason.OVER_LIMIT, 0, f"more than {_MOST_FILES:,} ignored files")
            return
        for file in sorted(ignored):
            self._take_file(tree, file)

    def take_outside(self, path: Path) -> None:
        """Take what stands outside of the root, as a memory store of this one checkpoint."""
        place = Path(os.path.realpath(path))
        text = to_text(os.fsencode(place))
        if not memory.is_allowed(self._workspace.root, self._workspace.store.layout, text, self._workspace.lessons):
            self._leave_out(os.fsencode(path), Reason.IGNORED, 0, _NOT_OURS)
            return
        size = sum(_sizes(place, _MOST_FILES))
        if size > self._left_bytes:
            self._leave_out(os.fsencode(path), Reason.OVER_LIMIT, size, "larger than guard_include_bytes")
            return
        self._left_bytes -= size
        self._add_place(place, text)

    def _take_file(self, tree: SafeRoot, path: TreePath) -> None:
        stat = tree.find_stat(path)
        if stat is None or stat.kind not in (PathKind.FILE, PathKind.LINK):
            return
        is_database = stat.size >= _SMALLEST_DATABASE_BYTES and tree.is_database(path)
        if any(path.endswith(end) and tree.is_database(path[: -len(end)]) for end in COMPANION_ENDINGS):
            return
        reason = None if is_database else self._policy.refusal(path, stat.size, included=False)
        if reason is None and stat.size > self._left_bytes:
            reason = Reason.OVER_LIMIT
        if reason is not None:
            self._leave_out(path, reason, stat.size, "")
            return
        self._left_bytes -= stat.size
        if is_database:
            self._add_place(self._workspace.root / os.fsdecode(path), to_text(path))
        else:
            self.forced.add(path)

    def _add_place(self, place: Path, text: str) -> None:
        if any(memory.overlap(text, other.path) for other in (*self._known, *self.places.values())):
            return
        taken = {other.name for other in (*self._known, *self.places.values())}
        name = memory.free_name(text if not os.path.isabs(text) else text.rpartition("/")[2], text, taken)
        kind = memory.detect_kind(place).name
        self.places[text] = StorePlace(name, kind, place, text, is_found=True)

    def _ignored(self, files: list[TreePath]) -> set[TreePath]:
        try:
            return list_ignored(self._workspace.repository, self._workspace.root, files) if files else set()
        except GitFailedError:  # git says nothing of what lies in a submodule
            return set(files)

    def _leave_out(self, path: TreePath, reason: Reason, size: int, detail: str) -> None:
        self.left_out.append(ReceiptRow(path, reason, size, detail))


def _sizes(place: Path, most: int) -> Iterator[int]:
    """Yield the sizes of the files at and below a place, one that no limit allows when they are too many."""
    if not place.is_dir():
        yield place.lstat().st_size
        return
    count = 0
    for folder, _, names in os.walk(place):
        for name in names:
            count += 1
            if count > most:
                yield 1 << 62
                return
            path = os.path.join(folder, name)
            if os.path.lexists(path):
                yield os.lstat(path).st_size
