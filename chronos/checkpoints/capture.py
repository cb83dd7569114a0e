"""Capturing a state: one `git status` for each repository, then the differing paths, then the memory stores.

Nothing is written into the user's repository, index or tree. When HEAD or an index moves during a capture it starts
over; after three times the state is graded torn, loudly.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from chronos.catalog import StatRow
from chronos.checkpoints.asking import AskedStatus
from chronos.checkpoints.component import CaptureContext, CapturedComponent, ComponentCapture
from chronos.checkpoints.manifest import UNCAPTURED, ComponentKind, Entry, Grade, Reason, ReceiptRow
from chronos.checkpoints.memory import CapturedStore, MemoryCapture, fact_key
from chronos.checkpoints.policy import CapturePolicy
from chronos.checkpoints.reading import Budget
from chronos.checkpoints.states import State
from chronos.checkpoints.store import Store
from chronos.errors import GitFailedError
from chronos.files import TreePath, display
from chronos.git import Repository, is_inner_repository, open_repository
from chronos.pool import ContentSink

if TYPE_CHECKING:
    from chronos.checkpoints.memory_loose import LooseFiles

_ATTEMPTS = 3


class Capture(msgspec.Struct):
    """A captured state with what a checkpoint keeps beside it. Components are keyed like those of the state."""

    state: State
    components: dict[TreePath, CapturedComponent] = msgspec.field(default_factory=dict)
    stores: dict[str, CapturedStore] = msgspec.field(default_factory=dict)
    store_is_visible: bool = False
    loose: LooseFiles | None = None

    @property
    def repositories(self) -> dict[TreePath, Repository]:
        """The repositories of the components."""
        return {path: part.repository for path, part in self.components.items()}

    def find_read(self, path: TreePath) -> Entry | None:
        """Return the entry at `path` when this capture has read its bytes, and not believed its stat."""
        owner = self.state.owner(path)
        own = owner.own_path(path)
        return None if own in self.components[owner.path].known else owner.entries.get(own)

    @property
    def read_stores(self) -> frozenset[str]:
        """The names of the stores whose bytes this capture has read, when a later write could not fail to show."""
        return frozenset(name for name, store in self.stores.items() if store.stats[0])

    @property
    def waited_s(self) -> dict[str, float]:
        """For how long this capture had to wait for the users of each store, by its path."""
        return {store.memory.record.path: store.waited_s for store in self.stores.values()}

    @property
    def stats(self) -> Iterator[tuple[str, list[StatRow], list[bytes]]]:
        """What the stat cache learns: for each key its new rows, and the paths that it forgets."""
        for component in self.components.values():
            yield component.key, *component.stats
        for store in self.stores.values():
            if any(store.stats):
                yield store.key, *store.stats
            if store.fact is not None:
                yield fact_key(store.key), [store.fact.row()], []
        if self.loose is not None:
            yield self.loose.key, *self.loose.changes()


def capture_state(
    store: Store, repository: Repository, policy: CapturePolicy, sink: ContentSink, asked: AskedStatus | None = None
) -> Capture:  # fmt: skip
    """Capture the working tree at the repository's root, every repository below it, and the memory stores.

    `asked` is the status of that tree, if somebody has begun it under the locks that are held.
    The stores are read when the code has been. What moved meanwhile is read again, so that all is as of one instant.
    Raises GitFailedError, or StorageError when the sink cannot take the bytes.
    """
    memory = MemoryCapture(store, policy, sink, policy.places)
    capture, moved_code, moved_stores = None, "", memory.places
    for _ in range(_ATTEMPTS):
        if capture is None or moved_code:
            asked = asked if capture is None else None
            capture = _capture_code(store, repository, policy, sink, memory, asked)
            known = {place.path for place in memory.places}
            memory.add_found(path for part in capture.components.values() for path in part.databases)
            moved_stores = moved_stores + [place for place in memory.places if place.path not in known]
        memory.read(moved_stores)
        moved_code, moved_stores = _moved_code(capture, is_thorough=bool(memory.stores)), memory.moved()
        if not moved_code and not moved_stores:
            break
    assert capture is not None
    memory.mark_torn(moved_stores)
    _assemble(capture, memory)
    if moved_code:
        capture.state.grade = Grade.TORN
        capture.state.warnings.append(f"torn: {moved_code} kept moving during the capture")
    return capture


def _own_folders(store: Store, repository: Repository, lessons: Path | None) -> tuple[list[TreePath], list[TreePath]]:
    """Return the paths of the root that are never captured or written: of the store, and of the lessons."""
    data = store.layout.root.parent
    of_store = [store.layout.root, *([data / ".gitignore"] if repository.is_plain else [])]
    return _inside(repository.root, of_store), _inside(repository.root, [lessons] if lessons else [])


def _inside(root: Path, paths: list[Path]) -> list[TreePath]:
    return [os.fsencode(path.relative_to(root).as_posix()) for path in paths if path.is_relative_to(root)]


def _capture_code(
    store: Store, repository: Repository, policy: CapturePolicy, sink: ContentSink, memory: MemoryCapture,
    asked: AskedStatus | None,
) -> Capture:  # fmt: skip
    budget = Budget(policy.config.max_capture_bytes)
    own = _own_folders(store, repository, policy.lessons)
    context = CaptureContext(store, policy, sink, budget, *own, memory.tree_paths)
    kind = ComponentKind.FOLDER if repository.is_plain else ComponentKind.REPOSITORY
    pending = [_Found(b"", kind, repository)]
    seen = {repository.common_dir}
    capture = Capture(State({}))
    while pending:
        found = pending.pop(0)
        try:
            part = _capture_one(context, found, asked if found.above is None else None)
        except GitFailedError as cause:
            if found.above is None:
                raise
            found.above.receipt.append(_broken(found.path, cause))
            continue
        capture.components[found.path] = part
        capture.store_is_visible |= part.store_is_visible
        pending += [nested for folder in part.nested if (nested := _find_nested(part, folder, seen)) is not None]
    return capture


def _moved_code(capture: Capture, *, is_thorough: bool) -> str:
    """Return a name for what moved since it was read, or nothing."""
    for path, part in capture.components.items():
        if part.has_moved(is_thorough=is_thorough):
            return f"HEAD, the index or a file of {display(path) or 'the repository'}"
    return ""


class _Found(msgspec.Struct, frozen=True):
    """A repository that is to be captured, and the component that it was found in."""

    path: TreePath
    kind: ComponentKind
    repository: Repository
    above: CapturedComponent | None = None


def _capture_one(context: CaptureContext, found: _Found, asked: AskedStatus | None) -> CapturedComponent:
    asked = asked or AskedStatus(context.store, found.repository)
    part = ComponentCapture(context, found.path, found.kind, asked).run()
    if found.kind is ComponentKind.EMBEDDED:
        part.receipt.append(ReceiptRow(found.path + b"/.git/", Reason.HISTORY))
    return part


def _find_nested(part: CapturedComponent, folder: TreePath, seen: set[Path]) -> _Found | None:
    """Return the repository at `folder`, or note why it is not captured and return None."""
    path = part.state.from_root(folder)
    if is_inner_repository(part.repository.root / os.fsdecode(folder) / ".git"):  # trees of timelines are in it
        part.receipt.append(ReceiptRow(path + b"/", Reason.OTHER_WORKTREE))
        return None
    try:
        repository = open_repository(part.repository.root / os.fsdecode(folder), part.repository.base_command)
    except GitFailedError as cause:
        part.receipt.append(_broken(path, cause))
        return None
    if repository.common_dir in seen:
        part.receipt.append(ReceiptRow(path + b"/", Reason.OTHER_WORKTREE))
        return None
    seen.add(repository.common_dir)
    is_absorbed = part.repository.absorbs(repository.common_dir)
    return _Found(path, ComponentKind.SUBMODULE if is_absorbed else ComponentKind.EMBEDDED, repository, part)


def _broken(path: TreePath, cause: GitFailedError) -> ReceiptRow:
    """Say that git refuses a repository below the root: the rest of the tree is captured all the same."""
    return ReceiptRow(path + b"/", Reason.UNREADABLE, 0, cause.message)


def _assemble(capture: Capture, memory: MemoryCapture) -> None:
    state = capture.state
    for path, part in sorted(capture.components.items()):
        state.components[path] = part.state
        state.add_rows(part.receipt)
        if part.torn:
            state.grade = Grade.TORN
            names = [display(part.state.from_root(name)) for name in part.torn]
            state.warnings += [f"torn: {name} kept changing while it was read" for name in names]
    capture.stores, capture.loose = memory.stores, memory.loose
    memory.add_to(state)
    if state.grade is Grade.COMPLETE and any(row.reason in UNCAPTURED for row in state.receipt):
        state.grade = Grade.PARTIAL
