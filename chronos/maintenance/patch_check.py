"""Does a complete patch, applied to its base, make the captured tree? Asked in scratch, compared by hash.

The same trial gives bytes back to a repair: what the patch makes can be what a lost chunk held.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec

from chronos.checkpoints import ComponentState, Entry, EntryKind, Manifest, State
from chronos.config import Config
from chronos.errors import GitFailedError, IntegrityError
from chronos.files import TreePath, display, read_limited, translate_os_errors
from chronos.git import (
    EXECUTABLE_MODE,
    GITLINK_MODE,
    LINK_MODE,
    PatchedTree,
    Repository,
    TreeEntry,
    apply_patch,
    find_tree_entries,
)
from chronos.layout import OMISSIONS, PATCH
from chronos.maintenance.survey import Survey
from chronos.operations import Workspace
from chronos.pool import HashingSink, decompress_text, digest

# More text than any patch that a capture with the default limit can make.
_LEAST_BUDGET_BYTES = 4 * Config().max_patch_bytes
_NOT_NEEDED = "restores read the pool and do not need it"

Repositories = Mapping[TreePath, Repository | None]


class PatchCheck:
    """Check the patches of checkpoints into one survey; those that several share are tried once."""

    def __init__(self, survey: Survey, workspace: Workspace) -> None:
        self._survey = survey
        self._workspace = workspace
        self._seen: set[bytes] = set()

    def is_new(self, folder: Path, manifest: Manifest) -> bool:
        """Tell whether the patch in `folder` is whole, says that it is complete, and was not tried before.

        One of a checkpoint that came without something may be missing, or make what is left out.
        """
        member = manifest.members.get(PATCH)
        if member is None or not member.complete or os.path.lexists(folder / OMISSIONS):
            return False
        if any(bad.folder == folder for bad in self._survey.members):
            return False
        key = digest(msgspec.json.encode((member.blake3, manifest.code)))
        is_new = key not in self._seen
        self._seen.add(key)
        return is_new

    def check(self, folder: Path, manifest: Manifest, state: State, repositories: Repositories) -> None:
        """Try the patch in `folder`, which is new, if every base is there."""
        if not has_bases(state, repositories):
            return
        subject = f"checkpoint {folder.name}"
        try:
            patch = read_patch(folder, manifest.members[PATCH].bytes, self._workspace.config)
            base = base_entries(state, repositories, _at_entries)
            with patched_tree(self._workspace, repositories, base, patch) as found:
                wrong = list(_differences(state, found, repositories))
        except (IntegrityError, GitFailedError) as cause:
            self._survey.warn(subject, f"{PATCH} cannot be tried on its base: {cause.message}", _NOT_NEEDED)
            return
        if wrong:
            more = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
            problem = f"{PATCH} says that it is complete, and does not make {display(wrong[0])}{more}"
            self._survey.warn(subject, problem, _NOT_NEEDED)


def read_patch(folder: Path, size: int, config: Config) -> bytes:
    """Return the text of a checkpoint's patch. Raises StorageError, or IntegrityError for a damaged one."""
    data = read_limited(folder / PATCH, size)
    return decompress_text(data, max(_LEAST_BUDGET_BYTES, config.max_patch_bytes))


def has_bases(state: State, repositories: Repositories) -> bool:
    """Tell whether the repository of every component that has a base is there."""
    return all(part.base is None or repositories.get(path) for path, part in state.components.items())


def base_entries(
    state: State, repositories: Repositories, find: Callable[[Repository, ComponentState], Iterable[TreeEntry]]
) -> list[TreeEntry]:
    """Return what the bases of a state hold, by the path from the root: all that `find` finds in each, but gitlinks."""
    base = []
    for path, part in state.components.items():
        repository = repositories.get(path)
        if part.base is not None and repository is not None:
            for entry in find(repository, part):
                if entry.mode != GITLINK_MODE:
                    base.append(TreeEntry(part.from_root(entry.path), entry.mode, entry.oid))
    return base


@contextmanager
def patched_tree(
    workspace: Workspace, repositories: Repositories, base: Sequence[TreeEntry], patch: bytes
) -> Iterator[PatchedTree]:
    """Give what `patch` makes of the `base` entries. Raises GitFailedError when it does not apply."""
    found = [repository for repository in repositories.values() if repository is not None]
    with ExitStack() as stack:
        scratch = stack.enter_context(workspace.store.temporary_folder()) / "trial"
        with translate_os_errors(f"cannot write in {scratch}"):
            scratch.mkdir(mode=0o700)
        yield stack.enter_context(apply_patch(workspace.repository, found, base, patch, scratch))


def _at_entries(repository: Repository, part: ComponentState) -> Iterable[TreeEntry]:
    return find_tree_entries(repository, part.base, list(part.entries)).values()


def _differences(state: State, found: PatchedTree, repositories: Repositories) -> Iterator[TreePath]:
    """Yield the paths where the patch made something else than what was captured."""
    wanted: dict[TreePath, Entry] = {}
    for component in state.components.values():
        wanted |= {component.from_root(path): entry for path, entry in component.entries.items()}
    for path in sorted(wanted.keys() | found.entries.keys()):
        entry, made = wanted.get(path), found.entries.get(path)
        repository = repositories.get(state.owner(path).path)
        if not _is_same(entry, made, found, has_modes=_has_modes(repository)):
            yield path


def _is_same(entry: Entry | None, made: TreeEntry | None, found: PatchedTree, *, has_modes: bool) -> bool:
    if entry is None or entry.content is None:
        return made is None
    if made is None or (made.mode == LINK_MODE) != (entry.kind is EntryKind.LINK):
        return False
    if has_modes and entry.kind is EntryKind.FILE and (made.mode == EXECUTABLE_MODE) != entry.executable:
        return False
    return HashingSink().add_bytes(found.blobs.read(made.oid)).id == entry.content.id


def _has_modes(repository: Repository | None) -> bool:
    return repository is None or repository.setting(b"core.filemode") != b"false"
