"""Verifying a store from its truth, the folders: what is plain to see, or (`deep`) every stored byte by hash.

A plain verification reads manifests, lists and the indexes of packs, and looks for every chunk that a checkpoint needs;
a deep one also reads all packs and members, and applies every complete patch to its base. The catalog is not asked
where something lies: it is compared with a fresh index, which is. Nothing stops at the first problem.
"""

from __future__ import annotations

import shlex
from contextlib import suppress
from pathlib import Path

from chronos.checkpoints import Manifest, State, Store, is_for_imports, list_checkpoint_folders, list_timelines
from chronos.errors import ChronosError, IntegrityError
from chronos.files import TreePath, display
from chronos.git import Repository, has_commit, list_base_refs
from chronos.maintenance.checkpoint_check import CheckpointCheck
from chronos.maintenance.findings import Finding, Severity
from chronos.maintenance.own_files import check_own_files
from chronos.maintenance.patch_check import PatchCheck
from chronos.maintenance.survey import BadPack, Survey
from chronos.operations import Workspace, find_repositories
from chronos.pool import check_ends, check_pack

_ATTEMPTS = 3


def verify(workspace: Workspace, *, deep: bool = False) -> list[Finding]:
    """Return everything that is wrong with the store, errors first. Only the catalog is changed: it is a cache.

    Progress counts packs and checkpoints, each time that everything is looked at.
    Nobody is kept out meanwhile; when something came or went and an error was found, everything is looked at again.
    """
    store = workspace.store
    for _ in range(_ATTEMPTS):
        before = store.marks()
        survey = take_survey(workspace, deep=deep)
        if not survey.has_errors or store.marks() == before:
            break
    if survey.lost or survey.has_errors:
        store.distrust(list(survey.lost))
    return survey.worst_first()


def take_survey(workspace: Workspace, *, deep: bool, is_exclusive: bool = False) -> Survey:
    """Look at everything once. `is_exclusive` says that the caller holds the store's lock."""
    return _Verification(workspace, deep=deep).run(is_exclusive=is_exclusive)


class _Verification:
    def __init__(self, workspace: Workspace, *, deep: bool) -> None:
        self._workspace = workspace
        self._store: Store = workspace.store
        self._is_deep = deep
        self._survey = Survey()
        self._whole: set[bytes] = set()
        self._repositories: dict[TreePath, Repository | None] = {b"": workspace.repository}
        self._bases: dict[TreePath, set[str]] = {b"": set()}
        self._steps_done = self._steps = 0
        self._own_bases: set[str] = set()  # those of the root that more than imported checkpoints need
        # Before the packs are listed: whoever seals a checkpoint meanwhile has published its packs before.
        layout = self._store.layout
        self._folders = {
            timeline: [list_checkpoint_folders(part) for part in (layout.timeline(timeline), layout.deleted(timeline))]
            for timeline in list_timelines(layout)
        }

    def run(self, *, is_exclusive: bool) -> Survey:
        """Check everything."""
        survey = self._survey
        with self._store.fresh_index(is_exclusive=is_exclusive) as is_true:
            if not is_true:
                survey.note("catalog", "it did not say what the folders say", "it is built again by itself")
            check_own_files(survey, self._store, list(self._folders))
            packs = {timeline: sorted(self._store.layout.packs(timeline).glob("*.pack")) for timeline in self._folders}
            self._steps = sum(map(len, packs.values())) + sum(
                len(part) for parts in self._folders.values() for part in parts
            )
            for timeline, paths in packs.items():
                self._check_packs(timeline, paths)
            is_held = self._whole.__contains__ if self._is_deep else self._store.catalog.has_chunk
            check = CheckpointCheck(survey, self._store, is_held, is_deep=self._is_deep)
            patches = PatchCheck(survey, self._workspace) if self._is_deep else None
            for timeline, (live, deleted) in self._folders.items():
                for folder in live:
                    self._check_checkpoint(check, patches, timeline, folder)
                self._check_deleted(check, timeline, deleted)
            for component, commits in sorted(self._bases.items()):
                self._check_base_refs(component, commits)
        survey.repositories = self._repositories
        return survey

    def _step(self) -> None:
        self._steps_done += 1
        if self._workspace.progress is not None:
            self._workspace.progress(self._steps_done, self._steps)

    def _check_packs(self, timeline: str, paths: list[Path]) -> None:
        """The index was built from every pack that has a sound one; here all are read, or their ends, and named."""
        for path in paths:
            self._step()
            try:
                if self._is_deep:
                    whole, _, problem = check_pack(path)
                    self._whole.update(whole)
                    self._survey.sound.update(() if problem else whole)
                else:
                    problem = check_ends(path)
            except ChronosError as cause:
                problem = cause.message
            if problem:
                self._survey.packs.append(BadPack(timeline, path, problem))
                remedy = "`chrono verify --repair` rescues what is whole in it; or restore the file from a backup"
                self._survey.error(f"pack {timeline}/{path.name}", problem, remedy)

    def _check_checkpoint(
        self, check: CheckpointCheck, patches: PatchCheck | None, timeline: str, folder: Path
    ) -> None:
        self._step()
        if not folder.is_dir():  # it was deleted meanwhile, or brought back
            return
        found = check.check(timeline, folder)
        if found is None:
            return
        manifest, state = found
        self._note_bases(timeline, manifest, state)
        if patches is not None and patches.is_new(folder, manifest):
            here = self._repositories if timeline == self._workspace.timeline else {b"": self._workspace.repository}
            with suppress(IntegrityError):  # what cannot be read has been named
                patches.check(folder, manifest, state or self._store.read_state(manifest, folder), here)

    def _check_deleted(self, check: CheckpointCheck, timeline: str, folders: list[Path]) -> None:
        """What is deleted can be brought back by undo, but nobody counts on it."""
        start = len(self._survey.findings)
        for folder in folders:
            self._step()
            found = check.check(timeline, folder) if folder.is_dir() else None
            if found is not None:
                self._note_bases(timeline, *found)
        self._survey.findings[start:] = [
            Finding(Severity.NOTE, finding.subject, finding.problem, "it is deleted already")
            for finding in self._survey.findings[start:]
        ]

    def _note_bases(self, timeline: str, manifest: Manifest, state: State | None) -> None:
        root = {part.base for part in manifest.code if part.base and not part.path}
        self._bases[b""] |= root
        if not is_for_imports(self._store.layout, timeline):
            self._own_bases |= root
        if timeline != self._workspace.timeline:  # another worktree has its own submodules
            return
        paths = {part.tree_path for part in manifest.code}
        if state is not None and not paths <= self._repositories.keys():
            found = find_repositories(self._workspace, state)
            self._repositories |= {path: found.get(path) for path in state.components}
        for part in manifest.code:
            if part.base and part.tree_path in self._repositories:
                self._bases.setdefault(part.tree_path, set()).add(part.base)

    def _check_base_refs(self, component: TreePath, bases: set[str]) -> None:
        repository = self._repositories.get(component)
        where = f" of {display(component)}" if component else ""
        inside = f"-C {shlex.quote(display(component))} " if component else ""
        if repository is None:
            for commit in sorted(bases):
                remedy = "only what was captured comes back; get the submodule again"
                self._survey.warn(f"base {commit}{where}", "its repository is gone", remedy)
            return
        if repository.is_plain:
            return
        refs = list_base_refs(repository, self._store.id)
        for commit in sorted(bases):
            if refs.get(commit) == commit:
                continue
            if not has_commit(repository, commit) and not component and commit not in self._own_bases:
                self._survey.warn(
                    f"base {commit}", "an imported checkpoint needs the commit, which is not here",
                    "fetch it, or import a file that was exported with --base",
                )  # fmt: skip
            elif not has_commit(repository, commit):
                self._survey.error(
                    f"base {commit}{where}", "the commit is gone from the repository",
                    "fetch it again, or restore what checkpoints on it captured with --path",
                )  # fmt: skip
            else:
                self._survey.bases.append((component, commit))
                self._survey.warn(
                    f"base {commit}{where}", "its base ref is missing or was rewritten",
                    f"git {inside}update-ref refs/chronos/base/{self._store.id}/{commit} {commit}",
                )  # fmt: skip
