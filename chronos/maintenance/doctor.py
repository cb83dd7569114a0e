"""Looking at the surroundings: what a user should know before it hurts."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

from chronos.checkpoints import stored_bytes
from chronos.git import GitCommand, Repository, is_inner_repository
from chronos.maintenance.findings import Finding, Severity
from chronos.operations import Workspace, list_interrupted, list_notes, repair_trees
from chronos.secrets import has_detector

_MIB = 1024 * 1024
_LOW_SPACE_BYTES = 512 * _MIB
_NEARLY_FULL = 0.9


def examine(git: GitCommand, repository: Repository, workspace: Workspace | None) -> list[Finding]:
    """Return notes and warnings about versions, permissions, space, and what could destroy or show the store.

    Without a store yet there is no workspace, and only the surroundings are looked at.
    """
    findings = list(_git_findings(git, repository))
    if not has_detector():
        findings.append(
            Finding(
                Severity.NOTE, "secrets", "detect-secrets is not installed; only the forms of vendors are looked for",
                "pip install 'chronomancer[files]'",
            )
        )  # fmt: skip
    if workspace is not None:
        findings += _store_findings(workspace)
    else:
        findings.append(Finding(Severity.NOTE, "store", "there is none yet", "chrono checkpoint create NAME"))
    return sorted(findings, key=lambda finding: -finding.severity)


def _git_findings(git: GitCommand, repository: Repository) -> Iterator[Finding]:
    yield Finding(Severity.NOTE, "git", f"{git.binary}, version {git.check_version()}", "")
    if repository.is_plain:
        yield Finding(Severity.NOTE, "root", f"{repository.root} is a plain folder; every file in it is captured", "")
        return
    yield Finding(
        Severity.NOTE, "base refs", "`git log --all` and `git push --mirror` show refs/chronos/base/*",
        "git config log.excludeDecoration refs/chronos; push without --mirror",
    )  # fmt: skip
    if repository.in_progress():
        kinds = ", ".join(repository.in_progress())
        yield Finding(
            Severity.NOTE,
            "repository",
            f"a {kinds} is in progress; checkpoints record it, restores do not resume it",
            "",
        )


def _store_findings(workspace: Workspace) -> Iterator[Finding]:
    layout = workspace.store.layout
    yield Finding(
        Severity.NOTE, "store", f"`git clean -ffdx` and `rm -rf {layout.root}` destroy it; `git clean -fdx` does not",
        "keep a copy of the folder elsewhere for what matters",
    )  # fmt: skip
    mode = layout.root.stat().st_mode & 0o077
    if mode:
        yield Finding(Severity.WARNING, "store", "other users can read it", f"chmod 700 {layout.root}")
    if not os.access(layout.system, os.W_OK):
        yield Finding(Severity.WARNING, "store", "it is read-only: list, show and verify work, create does not", "")
    free = shutil.disk_usage(layout.root).free
    if free < _LOW_SPACE_BYTES:
        yield Finding(Severity.WARNING, "disk", f"only {free // _MIB} MiB are free", "free some space")
    quota, taken = workspace.config.quota_bytes, stored_bytes(workspace.store.catalog, layout)
    if quota and taken > _NEARLY_FULL * quota:
        problem = f"it takes {taken // _MIB:,} MiB of its quota of {quota // _MIB:,} MiB"
        yield Finding(Severity.WARNING, "store", problem, "chrono du, then chrono gc --plan")
    if layout.root.is_relative_to(workspace.root) and not workspace.repository.is_plain:
        path = os.fsencode(layout.root.relative_to(workspace.root).as_posix()) + b"/"
        if not workspace.repository.is_ignored(path):
            yield Finding(Severity.WARNING, "store", "git does not ignore it", "take a checkpoint; it hides the store")
    if layout.quarantine.is_dir():
        yield Finding(
            Severity.NOTE, "quarantine", f"a repair set damaged files aside in {layout.quarantine}",
            "its record.jsonl says what they were; `chrono verify --deep` says whether anything is wrong now",
        )  # fmt: skip
    if not (workspace.store.is_sound and is_inner_repository(layout.inner_repository)):
        yield Finding(Severity.WARNING, "store", "a file of the store itself is damaged", "chrono verify --repair")
    for journal in list_interrupted(workspace.store):
        yield Finding(Severity.WARNING, "journal", f"{journal.stem} was interrupted", "chrono recover")
    for operation in list_notes(workspace.store):
        yield Finding(Severity.WARNING, "journal", f"{operation.summary} was interrupted", "chrono recover")
    for sentence in repair_trees(workspace):
        yield Finding(Severity.NOTE, "timelines", sentence, "")
