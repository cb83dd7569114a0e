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
from chronos.checkpoints.states import CodeState
from chronos.checkpoints.store import Store
from chronos.config import Config
from chronos.files import TreePath, display
from chronos.git import Repository, common_dir_of, head_fingerprint, identity_of, open_repository
from chronos.pool import ContentSink

_ATTEMPTS = 3


class Capture(msgspec.Struct):
    """A captured state with what a checkpoint keeps beside it. Components are keyed like those of the state."""

    state: CodeState
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
    pending: list[tuple[TreePath, ComponentKind, Repository]] = [(b"", kind, repository)]
    seen = {repository.common_dir}
    capture, moved = Capture(CodeState({})), ""
    while pending:
        path, kind, current = pending.pop(0)
        before = head_fingerprint(current), identity_of(current.index)
        part = ComponentCapture(context, path, kind, current).run()
        if (head_fingerprint(current), identity_of(current.index)) != before:
            moved = moved or display(path) or "the repository"
        capture.components[path] = part
        capture.store_is_visible |= part.store_is_visible
        for folder in part.nested:
            _enter_nested(part, folder, seen, pending)
    _assemble(capture)
    return capture, moved


def _enter_nested(
    part: CapturedComponent,
    folder: TreePath,
    seen: set[Path],
    pending: list[tuple[TreePath, ComponentKind, Repository]],
) -> None:
    """Queue the repository at `folder`, or note why it is not captured."""
    root = part.repository.root / os.fsdecode(folder)
    path = part.state.from_root(folder)
    common = common_dir_of(root)
    if common is None:
        part.receipt.append(ReceiptRow(path + b"/", Reason.UNREADABLE, 0, "its .git leads nowhere"))
        return
    if common in seen:
        part.receipt.append(ReceiptRow(path + b"/", Reason.OTHER_WORKTREE))
        return
    seen.add(common)
    is_absorbed = part.repository.common_dir / "modules" in common.parents
    if not is_absorbed:
        part.receipt.append(ReceiptRow(path + b"/.git/", Reason.HISTORY))
    kind = ComponentKind.SUBMODULE if is_absorbed else ComponentKind.EMBEDDED
    pending.append((path, kind, open_repository(root, part.repository.base_command)))


def _assemble(capture: Capture) -> None:
    state = capture.state
    for path, part in sorted(capture.components.items()):
        state.components[path] = part.state
        state.receipt += part.receipt
        if part.torn:
            state.grade = Grade.TORN
            names = [display(part.state.from_root(name)) for name in part.torn]
            state.warnings += [f"torn: {name} kept changing while it was read" for name in names]
    state.receipt.sort(key=lambda row: row.path)
    if state.grade is Grade.COMPLETE and any(row.reason in UNCAPTURED for row in state.receipt):
        state.grade = Grade.PARTIAL
