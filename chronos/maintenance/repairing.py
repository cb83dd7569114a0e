"""Repairing a store: what is whole is kept, what is lost is fetched again, what is damaged is set aside.

Nothing is removed: a damaged file is in the quarantine before its place is taken or left. Everything is in an order in
which a second run finishes what a first began. Whether it helped is for the verification at the end to say.
"""

from __future__ import annotations

import msgspec

from chronos.errors import ChangedMeanwhileError
from chronos.maintenance.chunk_repair import ChunkRepair, RepairStep
from chronos.maintenance.findings import Finding
from chronos.maintenance.repair_steps import list_work
from chronos.maintenance.survey import Survey
from chronos.maintenance.verification import take_survey
from chronos.operations import Workspace
from chronos.pool import digest

# A list that comes back shows which contents are lost, too; those may have lists of chunks.
_ROUNDS = 4


class RepairPlan(msgspec.Struct, frozen=True):
    """What a repair would do, and the findings that it is for. What comes to light later is repaired as well."""

    steps: tuple[RepairStep, ...]
    findings: tuple[Finding, ...]

    @property
    def plan_id(self) -> str:
        """A short hash of the steps."""
        return digest(msgspec.msgpack.encode(self.steps)).hex()[:16]


class RepairOutcome(msgspec.Struct, frozen=True):
    """What a repair did, and what a deep verification finds afterwards."""

    steps: tuple[RepairStep, ...]
    findings: tuple[Finding, ...]


def plan_repair(workspace: Workspace) -> RepairPlan:
    """Read the whole store and say what a repair would do. Nothing is changed but the catalog, which is a cache.

    Raises LockedError, StorageError.
    """
    with workspace.store.exclusively():
        return _plan(workspace, take_survey(workspace, deep=True, is_exclusive=True))


def repair(workspace: Workspace, plan_id: str | None = None) -> RepairOutcome:
    """Repair the store, with everybody else kept out, and verify it. With `plan_id` only what was shown.

    Killed at any point nothing is lost, and the next run goes on. Raises ChangedMeanwhileError, LockedError,
    StorageError, GitFailedError; then some of the steps may have been done.
    """
    store = workspace.store
    with store.exclusively():
        survey = take_survey(workspace, deep=True, is_exclusive=True)
        if plan_id is not None and _plan(workspace, survey).plan_id != plan_id:
            raise ChangedMeanwhileError("the store changed since the plan was made; nothing was touched")
        done: list[RepairStep] = []
        for _ in range(_ROUNDS):
            survey, is_over = _repair_once(workspace, survey, done)
            if is_over:
                break
        if done:
            store.discard_catalog()
            store.refresh()
        store.distrust(list(survey.lost))
    return RepairOutcome(tuple(done), tuple(survey.worst_first()))


def _plan(workspace: Workspace, survey: Survey) -> RepairPlan:
    with workspace.store.temporary_folder() as scratch:
        chunks = ChunkRepair(workspace, survey, scratch, keep=False)
        chunks.collect()
    steps = (*chunks.steps, *(step for step, _ in list_work(workspace, survey)))
    return RepairPlan(steps, tuple(survey.worst_first()))


def _repair_once(workspace: Workspace, survey: Survey, done: list[RepairStep]) -> tuple[Survey, bool]:
    """Do everything that the survey gives reason for; return the next survey, and whether nothing was done."""
    with workspace.store.temporary_folder() as scratch:
        chunks = ChunkRepair(workspace, survey, scratch, keep=True)
        try:
            chunks.collect()
            chunks.publish()
        finally:
            chunks.abandon()
    steps = list(chunks.steps)
    for step, work in list_work(workspace, survey):
        work()
        steps.append(step)
    if not steps:
        return survey, True
    done += steps
    return take_survey(workspace, deep=True, is_exclusive=True), False
