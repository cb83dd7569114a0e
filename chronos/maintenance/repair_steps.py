"""What a repair does beside the chunks, each step with the work behind it. Each may be done again after a crash."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

from chronos.checkpoints import (
    LARGEST_MANIFEST_BYTES,
    Store,
    decode_manifest,
    list_checkpoint_folders,
    list_timelines,
    mend_inner_repository,
    set_aside,
    write_format,
    write_imports_record,
)
from chronos.errors import ChronosError
from chronos.files import display, read_limited
from chronos.git import Repository, create_base_ref
from chronos.layout import MANIFEST
from chronos.locks import hold
from chronos.maintenance.chunk_repair import RepairStep
from chronos.maintenance.mending import MemberSources, find_checked, find_manifest, put_in_place
from chronos.maintenance.survey import BadMember, Survey
from chronos.operations import Operation, Workspace, is_unreadable, set_journal_aside, step_over

_SET_ASIDE = "set aside"

Work = tuple[RepairStep, Callable[[], object]]


def list_work(workspace: Workspace, survey: Survey) -> Iterator[Work]:
    """Yield what is to be done: the store itself first, then checkpoints, then records, and what needs git last."""
    yield from _on_set_up(workspace, survey)
    for folder in survey.manifests:
        yield _on_manifest(workspace, folder)
    sources = MemberSources(workspace)
    for bad in survey.members:
        yield from _on_member(workspace, bad, sources)
    yield from _on_records(workspace, survey)
    for component, commit in survey.bases:
        repository = survey.repositories[component]
        if repository is not None:
            where = f" of {display(component)}" if component else ""
            step = RepairStep("pin", f"base {commit}{where}", "its base ref is written again")
            yield step, partial(_pin, workspace, repository, commit)


def _on_set_up(workspace: Workspace, survey: Survey) -> Iterator[Work]:
    store = workspace.store
    if survey.is_format_damaged:
        yield RepairStep("write", "format", f"the store id is {store.id}"), partial(_write_format, workspace)
    if survey.is_inner_damaged:
        step = RepairStep("write", "inner repository", "an empty one takes its place; what stood there is set aside")
        yield step, partial(mend_inner_repository, store.layout, workspace.git)
    if survey.are_declarations_damaged:
        yield _on_declarations(workspace)
    for timeline in survey.timelines:
        is_own = timeline == workspace.timeline
        what = f"it becomes that of {display(str(workspace.root))}" if is_own else "its tree writes it again"
        what = "it is for imports, as before" if _holds_imports(store, timeline) else what
        step = RepairStep(_SET_ASIDE, f"timeline {timeline}", f"its record cannot be read; {what}")
        yield step, partial(_replace_record, workspace, timeline)


def _on_declarations(workspace: Workspace) -> Work:
    path, layout = workspace.store.layout.declarations, workspace.store.layout
    data = find_checked(path)
    if data is not None:
        step = RepairStep("mend", path.name, "one bit of it was wrong")
        return step, partial(put_in_place, workspace, path, data, "it had a wrong bit")
    what = "it cannot be read; `chrono memory add` declares the memory stores of this machine again"
    return RepairStep(_SET_ASIDE, path.name, what), partial(set_aside, layout, path, "it cannot be read")


def _write_format(workspace: Workspace) -> None:
    write_format(workspace.store.layout, workspace.store.id)
    workspace.store.is_sound = True


def _replace_record(workspace: Workspace, timeline: str) -> None:
    store = workspace.store
    set_aside(store.layout, store.layout.timeline_record(timeline), "it cannot be read")
    if _holds_imports(store, timeline):
        write_imports_record(store.layout, store.id, timeline)
    elif timeline == workspace.timeline:
        store.claim(timeline, workspace.root, workspace.home)


def _holds_imports(store: Store, timeline: str) -> bool:
    """Tell whether a manifest in the timeline's folder names another timeline."""
    for shelf in (store.layout.timeline(timeline), store.layout.deleted(timeline)):
        for folder in list_checkpoint_folders(shelf):
            with suppress(ChronosError):
                data = read_limited(folder / MANIFEST, LARGEST_MANIFEST_BYTES)
                return decode_manifest(data, folder.name).timeline != timeline
    return False


def _on_manifest(workspace: Workspace, folder: Path) -> Work:
    subject = f"checkpoint {folder.name}"
    data = find_manifest(folder)
    if data is not None:
        step = RepairStep("mend", subject, "one bit of its manifest was wrong")
        return step, partial(put_in_place, workspace, folder / MANIFEST, data, "its manifest had a wrong bit")
    why = "its manifest cannot be read, and nothing else says what it was"
    return RepairStep(_SET_ASIDE, subject, why), partial(set_aside, workspace.store.layout, folder, why)


def _on_member(workspace: Workspace, bad: BadMember, sources: MemberSources) -> Iterator[Work]:
    """What restores need and nobody has stays where it is: it is no better anywhere else."""
    subject, path = f"{bad.name} of checkpoint {bad.folder.name}", bad.folder / bad.name
    data = sources.find(bad)
    if data is not None:
        yield (
            RepairStep("mend", subject, "the same bytes exist"),
            partial(put_in_place, workspace, path, data, "its bytes are not those of the manifest"),
        )
    elif os.path.lexists(path) and not bad.is_needed:
        step = RepairStep(_SET_ASIDE, subject, "restores do not need it")
        yield step, partial(set_aside, workspace.store.layout, path, "its bytes are not those of the manifest")


def _on_records(workspace: Workspace, survey: Survey) -> Iterator[Work]:
    layout = workspace.store.layout
    for path in survey.journals:
        detail = "as by `chrono recover --abort`: its safety checkpoint holds the state before"
        yield RepairStep(_SET_ASIDE, f"journal {path.name}", detail), partial(set_journal_aside, workspace, path)
    for path in survey.changes:
        why = "it cannot be read, and no operation is known to need it"
        yield RepairStep(_SET_ASIDE, f"changes {path.name}", why), partial(set_aside, layout, path, why)
    for operation in survey.operations:
        what = f"{operation.summary}: what it changed cannot be read"
        summary = operation.summary if is_unreadable(operation) else what
        step = RepairStep("skip", f"operation {operation.operation}", f"{summary}; undo steps over it from now on")
        yield step, partial(_skip, workspace, operation)


def _skip(workspace: Workspace, operation: Operation) -> None:
    store = workspace.store
    record = store.layout.changes / f"{operation.operation}.json"
    if operation.has_changes and os.path.lexists(record):
        set_aside(store.layout, record, "it cannot be read")
    for timeline in list_timelines(store.layout) if is_unreadable(operation) else [operation.timeline]:
        step_over(store, operation, timeline)


def _pin(workspace: Workspace, repository: Repository, commit: str) -> None:
    store = workspace.store
    with hold(store.layout.refs_lock, timeout_s=store.config.lock_timeout_s):
        create_base_ref(repository, store.id, commit)
