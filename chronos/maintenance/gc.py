"""`gc`: retention, then the sweep of the packs, then base refs that no checkpoint needs; a plan first, then the work.

Nothing is created, restored or read for writing meanwhile: the store's lock is held exclusive, and all is judged under
it. What is stopped half-way is harmless, and the next run finishes it.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

import msgspec

from chronos import clock, locks
from chronos.checkpoints import Manifest, Store, list_checkpoint_folders, list_folders_aside, list_timelines
from chronos.errors import CatalogDamagedError, ChangedMeanwhileError, ChronosError, StorageError
from chronos.files import TreePath, is_full
from chronos.git import Repository, delete_base_refs, list_base_refs
from chronos.maintenance.expiry import (
    ExpiryPlan,
    expire_automatic,
    expire_others,
    folder_of,
    plan_expiry,
    remove_trees,
    rules_of,
    sweep_going,
)
from chronos.maintenance.marking import Marks, key_of, read_manifest_in
from chronos.maintenance.sweep import SweepPlan, plan_sweep, sweep
from chronos.operations import GRACE_DAYS, Workspace, open_repositories
from chronos.pool import digest

# A pack is rewritten when a quarter of it is dead; when space is short, whenever it pays at all.
WORTH_REWRITING = 0.25
SHORT_OF_SPACE = 0.02
_UNNEEDED = "unneeded-bases"
_UNKNOWN = "what checkpoint {0} needs is unknown, so packs stay; `chrono checkpoint delete {0}` gives it up"
_ASIDE = "what checkpoint {0} needs is unknown, so packs stay; removing {1} gives it up"
_UNFINISHED = "what the interrupted `{0}` needs is unknown, so packs stay until `chrono recover` has ended it"
_GRACE_NS = GRACE_DAYS * 24 * 3600 * 10**9


class GcPlan(msgspec.Struct):
    """What a gc would do. While `sweep` is None, packs are left alone, for the reasons in `obstacles`.

    `base_refs` are those that go, by the path of their component.
    """

    expiry: ExpiryPlan
    sweep: SweepPlan | None
    base_refs: dict[TreePath, list[str]]
    obstacles: list[str]
    live: set[int]

    @property
    def plan_id(self) -> str:
        """A short hash of what goes for good, but for packs, which nobody misses."""
        gone = sorted(row.checkpoint_id for row in self.expiry.going)
        trees = sorted(map(str, self.expiry.trees))
        return digest(msgspec.json.encode((gone, sorted(self.expiry.records), trees))).hex()[:16]

    @property
    def is_empty(self) -> bool:
        """Whether nothing would happen."""
        expiry = self.expiry
        does = expiry.going or expiry.endings or expiry.records or expiry.trees or self.base_refs
        return not does and (self.sweep is None or not self.sweep.freed_bytes)


class GcOutcome(msgspec.Struct):
    """What a gc did: its plan, and sentences about what it could not do."""

    plan: GcPlan
    problems: list[str]


def plan_gc(workspace: Workspace, *, named: bool = False, deleted: bool = False) -> GcPlan:
    """Return what `run_gc` with the same arguments would do. Raises LockedError, StorageError."""
    with workspace.store.shared():
        return _plan(workspace, named, deleted, WORTH_REWRITING)


def run_gc(
    workspace: Workspace, *, named: bool = False, deleted: bool = False, expected: str | None = None,
    least_dead: float = WORTH_REWRITING, timeout_s: float | None = None,
) -> GcOutcome:  # fmt: skip
    """Carry out what `plan_gc` says. `expected` is the plan id that was shown.

    Raises LockedError when somebody works on the store for `timeout_s`, ChangedMeanwhileError, StorageError.
    """
    store = workspace.store
    with store.exclusively(timeout_s=timeout_s):
        plan = _plan(workspace, named, deleted, least_dead)
        if expected is not None and plan.plan_id != expected:
            raise ChangedMeanwhileError("other checkpoints would go than the plan said; nothing was removed")
        problems = list(plan.obstacles)
        expire_automatic(store, plan.expiry)
        swept = plan.sweep
        try:
            expire_others(store, plan.expiry)
        except StorageError as cause:  # the log has no room for a line: what goes first may give it some
            if not is_full(cause):
                raise
            problems += _make_room_for_log(workspace, plan, least_dead)
            expire_others(store, plan.expiry)
            swept = None if swept is None else plan_sweep(store, plan.live, least_dead)
        sweep_going(store)
        if swept is not None:
            problems += _sweep(workspace, swept, plan.live)
        _delete_base_refs(workspace, plan.base_refs)
        remove_trees(store, plan.expiry)
        store.refresh()
    return GcOutcome(plan, problems)


def mark_survivors(store: Store, plan: ExpiryPlan) -> tuple[Marks, list[Manifest], list[str]]:
    """Mark what stays needs; return the marks, the manifests, and why they are not all there is to know.

    A checkpoint on the shelf that is damaged is in nobody's way: it could not be restored any more.
    """
    marks, manifests, obstacles = Marks(store), list[Manifest](), list[str]()
    going = {folder_of(store, row) for row in plan.going}
    for journal in plan.journals:
        try:
            marks.add_changes(journal.change_set)
        except ChronosError as cause:
            obstacles.append(f"{cause.message}: {_UNFINISHED.format(journal.summary)}")
    for timeline in list_timelines(store.layout):
        for is_live, parent in ((True, store.layout.timeline(timeline)), (False, store.layout.deleted(timeline))):
            for folder in list_checkpoint_folders(parent):
                if folder in going:
                    continue
                try:
                    manifest = read_manifest_in(folder)
                    manifests.append(manifest)
                    marks.add_checkpoint(manifest, folder)
                except ChronosError as cause:
                    if is_live:
                        obstacles.append(f"{cause.message}: {_UNKNOWN.format(folder.name)}")
    for checkpoint_id, folder in list_folders_aside(store.layout):
        try:
            manifest = read_manifest_in(folder, checkpoint_id)
        except ChronosError as cause:
            obstacles.append(f"{cause.message}: {_ASIDE.format(checkpoint_id, folder)}")
            continue
        with suppress(ChronosError):  # what it has lost, no pack would give back
            marks.add_checkpoint(manifest, folder)
    return marks, manifests, obstacles


def _plan(workspace: Workspace, named: bool, deleted: bool, least_dead: float) -> GcPlan:
    store = workspace.store
    expiry = plan_expiry(store, rules_of(store, named=named, deleted=deleted))
    marks, manifests, obstacles = mark_survivors(store, expiry)
    obstacles = [*expiry.obstacles, *obstacles]
    swept = None if obstacles else plan_sweep(store, marks.keys, least_dead)
    refs = {} if obstacles else _plan_base_refs(workspace, manifests)
    if swept is not None and swept.lost_chunks:
        obstacles.append(f"{swept.lost_chunks} chunks that checkpoints need can be read nowhere: see `chrono verify`")
    return GcPlan(expiry, swept, refs, obstacles, marks.keys)


def _make_room_for_log(workspace: Workspace, plan: GcPlan, least_dead: float) -> list[str]:
    """Give back what is dead while every checkpoint that the log must speak of first still has all its chunks."""
    store = workspace.store
    sweep_going(store)
    if plan.sweep is None:
        return []
    marks, _, obstacles = mark_survivors(store, msgspec.structs.replace(plan.expiry, verdicts=[]))
    return obstacles or _sweep(workspace, plan_sweep(store, marks.keys, least_dead), marks.keys)


def _sweep(workspace: Workspace, plan: SweepPlan, live: set[int]) -> list[str]:
    """Carry a sweep out, once nothing vouches any more for the chunks that go; return what could not be done."""
    _forget_stats(workspace.store, live)
    return sweep(workspace.store, plan, live, workspace.progress)


def _forget_stats(store: Store, live: set[int]) -> None:
    """Forget files whose content is needed no more: a row vouches for all its chunks, and some of them are to go.

    A catalog that has no room for that goes as a whole.
    """
    catalog = store.catalog
    try:
        with catalog.transaction():
            catalog.forget_stats(chunk for chunk in catalog.list_stat_chunks() if chunk and key_of(chunk) not in live)
    except (CatalogDamagedError, StorageError):
        store.discard_catalog()


def _plan_base_refs(workspace: Workspace, manifests: Iterable[Manifest]) -> dict[TreePath, list[str]]:
    """Return the base refs that no checkpoint has needed for as long as an operation can be undone.

    When a ref was first seen to be unneeded is a fact of the catalog: with it lost, the grace begins anew.
    """
    store, found = workspace.store, dict[TreePath, list[str]]()
    needed: dict[TreePath, set[str]] = {b"": set()}
    for manifest in manifests:
        for part in manifest.code:
            needed.setdefault(part.tree_path, set()).update([part.base] if part.base else [])
    unneeded = {
        path: set(list_base_refs(repository, store.id)) - needed[path]
        for path, repository in _repositories(workspace, needed).items()
    }
    now = clock.now_ns()
    known = msgspec.json.decode(store.catalog.find_fact(_UNNEEDED) or b"{}", type=dict[str, int])
    names = [(path, commit, f"{path.hex()}:{commit}") for path in sorted(unneeded) for commit in sorted(unneeded[path])]
    since = {name: min(known.get(name, now), now) for _, _, name in names}
    if since != known:
        store.catalog.set_fact(_UNNEEDED, msgspec.json.encode(since))
    for path, commit, name in names:
        if now - since[name] > _GRACE_NS:
            found.setdefault(path, []).append(commit)
    return found


def _repositories(workspace: Workspace, paths: Iterable[TreePath]) -> dict[TreePath, Repository]:
    found = open_repositories(workspace.repository, workspace.git, paths, workspace.notices)
    return {path: repository for path, repository in found.items() if not repository.is_plain}


def _delete_base_refs(workspace: Workspace, wanted: dict[TreePath, list[str]]) -> None:
    store = workspace.store
    repositories = _repositories(workspace, wanted) if wanted else {}
    for path, commits in wanted.items():
        if path in repositories:
            with locks.hold(store.layout.refs_lock, timeout_s=store.config.lock_timeout_s):
                delete_base_refs(repositories[path], store.id, commits)
