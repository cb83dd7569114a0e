"""Capturing the code: one `git status` for each repository under the root, then only the differing paths are read.

Nothing is written into the user's repository, index or tree. When HEAD or an index moves during a capture it starts
over; after three times the state is graded torn, loudly.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from chronos.checkpoints.component import CaptureContext, CapturedComponent, ComponentCapture
from chronos.checkpoints.manifest import UNCAPTURED, ComponentKind, Grade, Reason, ReceiptRow
from chronos.checkpoints.policy import CapturePolicy
from chronos.checkpoints.reading import Budget
from chronos.checkpoints.states import State
from chronos.checkpoints.store import Store
from chronos.config import Config
from chronos.errors import GitFailedError
from chronos.files import TreePath, display
from chronos.git import Repository, head_fingerprint, identity_of, open_repository
from chronos.pool import ContentSink

_ATTEMPTS = 3


class Capture(msgspec.Struct):
    """A captured state with what a checkpoint keeps beside it. Components are keyed like those of the state."""

    state: State
    components: dict[TreePath, CapturedComponent] = msgspec.field(default_factory=dict)
    store_is_visible: bool = False

    @property
    def repositories(self) -> dict[TreePath, Repository]:
        """The repositories of the components."""
        return {path: part.repository for path, part in self.components.items()}


def capture_code(store: Store, repository: Repository, policy: CapturePolicy, sink: ContentSink) -> Capture:
    """Capture the working tree at the repository's root, and every repository below it.

    Raises GitFailedError, or StorageError when the sink cannot take the bytes.
    """
    for _ in range(_ATTEMPTS):
        capture, moved = _attempt(store, repository, policy, sink)
        if not moved:
            break
    else:
        capture.state.grade = Grade.TORN
        capture.state.warnings.append(f"torn: HEAD or the index of {moved} kept moving during the capture")
    return capture


def _own_folders(store: Store, repository: Repository) -> tuple[list[TreePath], list[TreePath]]:
    """Return the paths of the root that are never captured or written: of the store, and of the lessons."""
    data = store.layout.root.parent
    of_store = [store.layout.root, *([data / ".gitignore"] if repository.is_plain else [])]
    # Elsewhere a folder of that name beside the store is the user's.
    lessons = [data / "lessons"] if store.config.timelines_dir == Config().timelines_dir else []
    return _inside(repository.root, of_store), _inside(repository.root, lessons)


def _inside(root: Path, paths: list[Path]) -> list[TreePath]:
    return [os.fsencode(path.relative_to(root).as_posix()) for path in paths if path.is_relative_to(root)]


def _attempt(store: Store, repository: Repository, policy: CapturePolicy, sink: ContentSink) -> tuple[Capture, str]:
    budget = Budget(policy.config.max_capture_bytes)
    context = CaptureContext(store, policy, sink, budget, *_own_folders(store, repository))
    kind = ComponentKind.FOLDER if repository.is_plain else ComponentKind.REPOSITORY
    pending = [_Found(b"", kind, repository)]
    seen = {repository.common_dir}
    capture, moved = Capture(State({})), ""
    while pending:
        found = pending.pop(0)
        try:
            part, has_moved = _capture_one(context, found)
        except GitFailedError as cause:
            if found.above is None:
                raise
            found.above.receipt.append(_broken(found.path, cause))
            continue
        if has_moved:
            moved = moved or display(found.path) or "the repository"
        capture.components[found.path] = part
        capture.store_is_visible |= part.store_is_visible
        pending += [nested for folder in part.nested if (nested := _find_nested(part, folder, seen)) is not None]
    _assemble(capture)
    return capture, moved


class _Found(msgspec.Struct, frozen=True):
    """A repository that is to be captured, and the component that it was found in."""

    path: TreePath
    kind: ComponentKind
    repository: Repository
    above: CapturedComponent | None = None


def _capture_one(context: CaptureContext, found: _Found) -> tuple[CapturedComponent, bool]:
    """Capture one repository, and tell whether its HEAD or index moved meanwhile."""
    current = found.repository
    before = head_fingerprint(current), identity_of(current.index)
    part = ComponentCapture(context, found.path, found.kind, current).run()
    if found.kind is ComponentKind.EMBEDDED:
        part.receipt.append(ReceiptRow(found.path + b"/.git/", Reason.HISTORY))
    return part, (head_fingerprint(current), identity_of(current.index)) != before


def _find_nested(part: CapturedComponent, folder: TreePath, seen: set[Path]) -> _Found | None:
    """Return the repository at `folder`, or note why it is not captured and return None."""
    path = part.state.from_root(folder)
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


def _assemble(capture: Capture) -> None:
    state = capture.state
    for path, part in sorted(capture.components.items()):
        state.components[path] = part.state
        state.receipt += part.receipt
        if part.torn:
            state.grade = Grade.TORN
            names = [display(part.state.from_root(name)) for name in part.torn]
            state.warnings += [f"torn: {name} kept changing while it was read" for name in names]
    rows: dict[tuple[TreePath, Reason], ReceiptRow] = {}
    for row in state.receipt:
        rows.setdefault((row.path, row.reason), row)
    state.receipt = sorted(rows.values(), key=lambda row: row.path)
    if state.grade is Grade.COMPLETE and any(row.reason in UNCAPTURED for row in state.receipt):
        state.grade = Grade.PARTIAL
