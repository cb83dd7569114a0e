"""What stands at any path of a state, with the hash of its bytes: entries from the pool, everything else from git."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeAlias

from chronos.checkpoints.changes import ABSENT, Side, SideKind
from chronos.checkpoints.manifest import ComponentKind, Entry, EntryKind, Reason
from chronos.checkpoints.reading import is_clean_blob
from chronos.checkpoints.states import State
from chronos.files import PathKind, SafeRoot, TreePath, is_inside, unescape
from chronos.git import (
    EXECUTABLE_MODE,
    GITLINK_MODE,
    LINK_MODE,
    BlobReader,
    Repository,
    TreeEntry,
    diff_trees,
    find_ref,
    find_tree_entries,
    has_tree_path,
    hash_blob,
    object_format_of,
)
from chronos.pool import Content, ContentSink, HashingSink

_READ_ONCE_BYTES = 4 * 1024 * 1024
ReadableBases: TypeAlias = dict[tuple[TreePath, str | None], bool]


class Sides:
    """Look up sides of one state. `repositories` are the components' repositories, by component path.

    `readable` says of which bases, by component, it is known already whether they are there; what is asked is added.
    """

    def __init__(
        self, state: State, repositories: dict[TreePath, Repository], readable: ReadableBases | None = None
    ) -> None:
        self.state = state
        self._repositories = repositories
        self._blobs: dict[TreePath, TreeEntry] = {}
        self._skipped: set[TreePath] = set()
        self._readable: ReadableBases = {} if readable is None else readable

    def can_read_base(self, component: TreePath) -> bool:
        """Tell whether the base commit of a component is (still) in its repository; without a base, yes."""
        base = self.state.components[component].base
        known = self._readable.get((component, base))
        if known is None:
            repository = self._repositories.get(component)
            known = base is None or (repository is not None and find_ref(repository, f"{base}^{{tree}}") is not None)
            self._readable[component, base] = known
        return known

    def why_unknown(self, path: TreePath) -> str | None:
        """Return why nothing can be said of `path`: left out by its capture, or as in a base that is gone; or None."""
        if self.state.find_entry(path) is not None:
            return None
        row = self.state.is_left_out(path)
        if row is not None and row.reason is not Reason.GIT_ONLY:
            return str(row.reason.value)
        return None if self.can_read_base(self.component_of(path)) else "its base commit is gone"

    def load(self, paths: Iterable[TreePath]) -> None:
        """Ask git, in few calls, for what the bases hold at those `paths` that have no entry."""
        wanted: dict[TreePath, list[TreePath]] = {}
        for path in paths:
            owner = self.state.owner(path)
            own = owner.own_path(path)
            if own not in owner.entries and owner.base and self.can_read_base(owner.path):
                wanted.setdefault(owner.path, []).append(own)
        for component, own_paths in wanted.items():
            state = self.state.components[component]
            found = find_tree_entries(self._repositories[component], state.base, own_paths)
            self._blobs |= {state.from_root(path): entry for path, entry in found.items()}
            self._skipped |= {state.from_root(own) for own in state.skipped}

    def find(self, path: TreePath) -> Side:
        """Return what stands at `path`. A side from git has no content hash yet; see `resolve`."""
        entry = self.state.find_entry(path)
        if entry is not None:
            return side_of_entry(entry)
        found = self._blobs.get(path)
        if found is None or found.mode == GITLINK_MODE or path in self._skipped:
            return ABSENT
        component = self.component_of(path)
        is_link = found.mode == LINK_MODE and self._repositories[component].setting(b"core.symlinks") != b"false"
        kind = SideKind.LINK if is_link else SideKind.FILE
        return Side(kind, found.mode == EXECUTABLE_MODE, None, found.oid, component)

    def has_anything_at(self, path: TreePath) -> bool:
        """Tell whether the state has a file at `path` or below it."""
        owner = self.state.owner(path)
        components = [component for folder, component in self.state.components.items() if is_inside(folder, path)]
        if any(component.path for component in components):
            return True
        own = owner.own_path(path)
        if any(is_inside(entry, own) for entry in owner.entries):
            return True
        repository = self._repositories.get(owner.path)
        return bool(repository and owner.base and has_tree_path(repository, owner.base, own))

    def has_anything_in(self, folder: TreePath) -> bool:
        """Tell whether the state has a file below `folder`."""
        owner = self.state.owner(folder)
        inside = owner.own_path(folder) + b"/"
        entries = (entry for own, entry in owner.entries.items() if own.startswith(inside))
        if any(is_inside(path, folder) for path in self.state.components if path):
            return True
        if any(entry.kind is not EntryKind.DELETED for entry in entries):
            return True
        repository = self._repositories.get(owner.path)
        return bool(repository and owner.base and has_tree_path(repository, owner.base, inside))

    def component_of(self, path: TreePath) -> TreePath:
        """Return the path of the component that owns `path`."""
        return self.state.owner(path).path


class BlobSource:
    """Bytes of blobs as a checkout would write them, one running git for each component.

    Attributes come from the working tree, or from `attributes`, a folder that is laid out like the root.
    """

    def __init__(self, repositories: dict[TreePath, Repository], attributes: Path | None = None) -> None:
        self._repositories = repositories
        self._attributes = attributes
        self._readers: dict[tuple[TreePath, bool], BlobReader] = {}

    def __enter__(self) -> BlobSource:
        return self

    def __exit__(self, *_: object) -> None:
        for reader in self._readers.values():
            reader.__exit__()
        self._readers.clear()

    def can_read(self, side: Side) -> bool:
        """Tell whether the repository that holds the side's bytes is there."""
        return side.blob is None or side.component in self._repositories

    def read(self, path: TreePath, side: Side) -> bytes:
        """Return the bytes of a side that comes from git; `path` is from the root and picks the attributes."""
        assert side.blob is not None
        component = side.component
        repository = self._repositories[component]
        filters = side.kind is SideKind.FILE
        key = component, filters
        if key not in self._readers:
            command = repository.checkout_command if filters else repository.command
            if filters and self._attributes is not None:
                folder = self._attributes / os.fsdecode(component)
                folder.mkdir(parents=True, exist_ok=True)
                command = command.at(folder, git_dir=repository.git_dir, work_tree=folder)
            self._readers[key] = BlobReader(command, filters=filters)
        own = path[len(component) + 1 :] if component else path
        return self._readers[key].read(side.blob, own)

    def resolve(self, path: TreePath, side: Side, sink: ContentSink | None = None) -> Side:
        """Return `side` with the hash of its bytes. With `sink` the bytes go there, and git is not asked again."""
        if side.blob is None or side.content is not None:
            return side
        if sink is not None:
            return Side(side.kind, side.executable, sink.add_bytes(self.read(path, side)))
        content = HashingSink().add_bytes(self.read(path, side))
        return Side(side.kind, side.executable, content, side.blob, side.component)


def side_on_disk(tree: SafeRoot, path: TreePath) -> Side | None:
    """Return what stands at `path` on disk; None for a folder or special file. Raises OSError."""
    stat = tree.find_stat(path)
    if stat is None:
        return ABSENT
    if stat.kind.value == SideKind.LINK.value:
        return Side(SideKind.LINK, False, HashingSink().add_bytes(tree.read_link(path)))
    if stat.kind.value != SideKind.FILE.value:
        return None
    if stat.size == 0:  # a database may be being born in it, and must not be opened
        return Side(SideKind.FILE, stat.is_executable, HashingSink().add_bytes(b""))
    with tree.reading(path) as descriptor:
        return Side(SideKind.FILE, stat.is_executable, HashingSink().add_file(descriptor, stat.size))


def clean_content(tree: SafeRoot, path: TreePath, oid: str) -> Content | None:
    """Return the content at `path` when its bytes are exactly those of the blob: the proof that git holds them."""
    stat = tree.find_stat(path)
    if stat is None or stat.kind is not PathKind.FILE or not 0 < stat.size <= _READ_ONCE_BYTES:
        if not is_clean_blob(tree, path, oid):
            return None
        side = side_on_disk(tree, path)
        return side.content if side is not None else None
    try:
        with tree.reading(path) as descriptor, open(descriptor, "rb", buffering=0, closefd=False) as stream:
            data = stream.readall()
    except OSError:
        return None
    return HashingSink().add_bytes(data) if hash_blob(object_format_of(oid), [data]) == oid else None


def list_differing(old: State, new: State, repositories: dict[TreePath, Repository]) -> set[TreePath]:
    """Return the paths from the root at which the code of two states may differ, of the repositories that both have.

    Where the base of one is gone, only what was captured counts.
    """
    sides, found = (Sides(old, repositories), Sides(new, repositories)), set[TreePath]()
    for path in old.components.keys() & new.components.keys():
        one, other = old.components[path], new.components[path]
        found |= one.list_differing(other) | other.list_differing(one)
        if one.base != other.base and all(side.can_read_base(path) for side in sides):
            found |= {one.from_root(name) for name in diff_trees(repositories[path], one.base, other.base)}
    return found


def absorbed_repositories(state: State, known: Mapping[TreePath, Repository]) -> dict[TreePath, Repository]:
    """Return `known` and the repositories of absorbed submodules of `state` whose folders lost their `.git`."""
    root = known[b""]
    found = dict(known)
    for path, component in state.components.items():
        if path not in found and component.kind is ComponentKind.SUBMODULE and component.git_dir is not None:
            repository = linked_repository(root, path, component.git_dir)
            if repository is not None:
                found[path] = repository
    return found


def linked_repository(parent: Repository, component: TreePath, git_dir: str) -> Repository | None:
    """Return the repository that a `.git` file at `component` with `gitdir: GIT_DIR` leads to, if `parent` has it."""
    root = parent.root / os.fsdecode(component)
    place = (root / os.fsdecode(unescape(git_dir))).resolve()
    if not (place / "HEAD").is_file() or not parent.absorbs(place):
        return None
    return Repository(root, place, place, parent.base_command)


def side_of_entry(entry: Entry) -> Side:
    """Return what an entry says, as a look at the disk would give it."""
    if entry.kind is EntryKind.DELETED:
        return ABSENT
    kind = SideKind.LINK if entry.kind is EntryKind.LINK else SideKind.FILE
    return Side(kind, entry.executable, entry.content)
