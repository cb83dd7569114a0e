"""Checking a store by hash, from its truth: manifests, members, lists, chunks, packs, base refs, log and journals.

The catalog is not asked where something lies: it is compared with a fresh index, which is. Checking does not stop at
the first problem, and names what each one costs.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

from chronos.checkpoints import (
    LARGEST_JOURNAL_BYTES,
    LARGEST_MANIFEST_BYTES,
    Manifest,
    Reason,
    State,
    Store,
    decode_journal,
    decode_manifest,
    find_record,
    is_for_imports,
    list_checkpoint_folders,
    list_timelines,
    read_omissions,
)
from chronos.errors import ChronosError
from chronos.files import TreePath, display, read_limited, to_text
from chronos.git import Repository, has_commit, list_base_refs
from chronos.layout import MANIFEST, MEMORY
from chronos.maintenance.findings import Finding, Severity
from chronos.operations import (
    OperationKind,
    Workspace,
    find_repositories,
    is_unreadable,
    list_interrupted,
    read_changes,
    read_operations,
)
from chronos.pool import check_pack, digest

_Bases: TypeAlias = dict[TreePath, set[str]]
_RESTORE_OTHERS = "every checkpoint not named here still restores; get this one back from a backup or delete it"


def verify(workspace: Workspace) -> list[Finding]:
    """Return everything that is wrong with the store, errors first."""
    check = _Check(workspace)
    findings = list(_catalog(workspace.store))
    with workspace.store.fresh_index():
        findings += check.run()
    damaged = check.damaged_chunks()
    if damaged or any(finding.severity is Severity.ERROR for finding in findings):
        workspace.store.distrust(damaged)
    return sorted(findings, key=lambda finding: -finding.severity)


def _catalog(store: Store) -> Iterator[Finding]:
    if not store.check_catalog():
        yield Finding(Severity.NOTE, "catalog", "it did not say what the folders say", "it is built again by itself")


def _left_out(subject: str, state: State) -> Iterator[Finding]:
    """Name what an export left out: missing, and no damage."""
    for row in state.receipt:
        if row.reason is Reason.EXPORT:
            problem = f"{to_text(row.path)} was left out by the export: {row.detail}"
            yield Finding(Severity.NOTE, subject, problem, "import a file that was exported with --include-secrets")


class _Check:
    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._store: Store = workspace.store
        self._good: dict[bytes, bool] = {}
        self._for_imports: set[str] = set()
        self._own_bases: set[str] = set()
        self._repositories: dict[TreePath, Repository | None] = {b"": workspace.repository}
        # Before the packs are listed: whoever seals a checkpoint meanwhile has published its packs before.
        layout = self._store.layout
        self._folders = {
            timeline: [list_checkpoint_folders(part) for part in (layout.timeline(timeline), layout.deleted(timeline))]
            for timeline in list_timelines(layout)
        }

    def run(self) -> Iterator[Finding]:
        """Check everything."""
        bases: _Bases = {b"": set()}
        for timeline, (live, deleted) in self._folders.items():
            yield from self._record(timeline)
            yield from self._packs(timeline)
            for folder in live:
                yield from self._checkpoint(timeline, folder, bases)
            for folder in deleted:
                for finding in self._checkpoint(timeline, folder, bases):
                    yield Finding(Severity.NOTE, finding.subject, finding.problem, "it is deleted already")
        for component, commits in sorted(bases.items()):
            yield from self._base_refs(component, commits)
        yield from self._journals()
        yield from self._operations()

    def _record(self, timeline: str) -> Iterator[Finding]:
        try:
            find_record(self._store.layout, timeline)
        except ChronosError as cause:
            yield Finding(Severity.ERROR, f"timeline {timeline}", cause.message, cause.hint)
            return
        if is_for_imports(self._store.layout, timeline):
            self._for_imports.add(timeline)

    def _packs(self, timeline: str) -> Iterator[Finding]:
        folder = self._store.layout.packs(timeline)
        for path in sorted(folder.glob("*.pack")) if folder.is_dir() else []:
            try:
                check_pack(path)
            except ChronosError as cause:
                subject = f"pack {timeline}/{path.name}"
                yield Finding(Severity.ERROR, subject, cause.message, "restore the file from a backup")

    def _checkpoint(self, timeline: str, folder: Path, bases: _Bases) -> Iterator[Finding]:
        subject = f"checkpoint {folder.name}"
        if not folder.is_dir():  # it was deleted meanwhile, or brought back
            return
        try:
            manifest = decode_manifest(read_limited(folder / MANIFEST, LARGEST_MANIFEST_BYTES), folder.name)
        except ChronosError as cause:
            yield Finding(Severity.ERROR, subject, cause.message, _RESTORE_OTHERS)
            return
        if manifest.timeline != timeline and timeline not in self._for_imports:
            yield Finding(
                Severity.ERROR, subject, f"it belongs to timeline {manifest.timeline}", "move its folder back"
            )
        yield from self._members(subject, folder, manifest)
        root = {component.base for component in manifest.code if component.base and not component.path}
        bases[b""] |= root
        if timeline not in self._for_imports:
            self._own_bases |= root
        try:
            state = self._store.read_state(manifest, folder)
        except ChronosError as cause:
            yield Finding(Severity.ERROR, subject, cause.message, _RESTORE_OTHERS)
            return
        yield from _left_out(subject, state)
        if timeline == self._workspace.timeline:  # another worktree has its own submodules
            self._find_repositories(state)
            for path, component in state.components.items():
                bases.setdefault(path, set()).update([component.base] if component.base else [])
        yield from self._contents(subject, state)

    def _find_repositories(self, state: State) -> None:
        if not state.components.keys() <= self._repositories.keys():
            found = find_repositories(self._workspace, state)
            self._repositories |= {path: found.get(path) for path in state.components}

    def _members(self, subject: str, folder: Path, manifest: Manifest) -> Iterator[Finding]:
        try:
            omitted = read_omissions(folder).members
        except ChronosError:
            omitted = {}  # reading the state says it
        for name, member in manifest.members.items():
            if name in omitted and not (folder / name).exists():
                problem = f"{name} was left out by the export: {omitted[name]}"
                yield Finding(Severity.NOTE, subject, problem, "restores do not need it")
                continue
            path = folder / (name if name == MEMORY else os.path.basename(name))
            try:
                data = read_limited(path, member.bytes + 1)
            except ChronosError as cause:
                yield Finding(Severity.WARNING, subject, cause.message, "restores do not need it")
                continue
            if digest(data).hex() != member.blake3:
                yield Finding(Severity.WARNING, subject, f"{name} is damaged", "restores do not need it")

    def _contents(self, subject: str, state: State) -> Iterator[Finding]:
        for component in state.components.values():
            rows = [(entry.path, entry.content) for entry in component.entries.values() if entry.content]
            rows += [(row.path, row.content) for row in component.staged if row.content]
            for path, content in rows:
                try:
                    damaged = [chunk for chunk in self._store.pool.chunk_ids(content) if not self._is_good(chunk)]
                except ChronosError:
                    damaged = [content.id]
                if damaged:
                    name = to_text(component.from_root(path))
                    yield Finding(Severity.ERROR, subject, f"the content of {name} is lost or damaged", _RESTORE_OTHERS)

    def _base_refs(self, component: TreePath, bases: set[str]) -> Iterator[Finding]:
        repository = self._repositories.get(component)
        where = f" of {display(component)}" if component else ""
        inside = f"-C {shlex.quote(display(component))} " if component else ""
        if repository is None:
            for commit in sorted(bases):
                yield Finding(
                    Severity.WARNING, f"base {commit}{where}", "its repository is gone",
                    "only what was captured comes back; get the submodule again",
                )  # fmt: skip
            return
        if repository.is_plain:
            return
        refs = list_base_refs(repository, self._store.id)
        for commit in sorted(bases):
            if refs.get(commit) == commit:
                continue
            if not has_commit(repository, commit) and not component and commit not in self._own_bases:
                yield Finding(
                    Severity.WARNING, f"base {commit}", "an imported checkpoint needs the commit, which is not here",
                    "fetch it, or import a file that was exported with --base",
                )  # fmt: skip
            elif not has_commit(repository, commit):
                yield Finding(
                    Severity.ERROR, f"base {commit}{where}", "the commit is gone from the repository",
                    "fetch it again, or restore what checkpoints on it captured with --path",
                )  # fmt: skip
            else:
                yield Finding(
                    Severity.WARNING, f"base {commit}{where}", "its base ref is missing or was rewritten",
                    f"git {inside}update-ref refs/chronos/base/{self._store.id}/{commit} {commit}",
                )  # fmt: skip

    def _journals(self) -> Iterator[Finding]:
        for folder in sorted(self._store.layout.journals.glob("*.saved")):
            yield Finding(
                Severity.NOTE, f"saved {folder.name}", "files that were edited while a restore replaced them",
                f"look at {folder}, and remove it when you need them no more",
            )  # fmt: skip
        for path in list_interrupted(self._store):
            try:
                journal = decode_journal(read_limited(path, LARGEST_JOURNAL_BYTES), path.name)
            except ChronosError as cause:
                yield Finding(
                    Severity.ERROR,
                    f"journal {path.name}",
                    cause.message,
                    "its safety checkpoint holds the state before",
                )
                continue
            yield Finding(
                Severity.WARNING, f"journal {path.name}", f"{journal.summary} was interrupted", "chrono recover"
            )

    def _operations(self) -> Iterator[Finding]:
        try:
            operations = read_operations(self._store)
        except ChronosError as cause:
            yield Finding(Severity.ERROR, "operations.jsonl", cause.message, "restore the file from a backup")
            return
        skipped = {operation.undoes for operation in operations if operation.kind is OperationKind.SKIP}
        for operation in operations:
            severity = Severity.NOTE if operation.operation in skipped else Severity.WARNING
            if is_unreadable(operation):
                yield Finding(
                    severity, "operations.jsonl", operation.summary,
                    "undo stops there; `chrono undo --skip` steps over it",
                )  # fmt: skip
            try:
                read_changes(self._store, operation)
            except ChronosError as cause:
                yield Finding(severity, f"operation {operation.operation}", cause.message, cause.hint)

    def damaged_chunks(self) -> list[bytes]:
        """Return the ids of chunks that checkpoints need and that could not be read."""
        return [chunk_id for chunk_id, good in self._good.items() if not good]

    def _is_good(self, chunk_id: bytes) -> bool:
        known = self._good.get(chunk_id)
        if known is None:
            try:
                self._store.pool.read_chunk(chunk_id)
                known = True
            except ChronosError:
                known = False
            self._good[chunk_id] = known
        return known
