"""Getting chunks back: those that are whole in damaged packs, and those that are lost and may still exist elsewhere.

They go into new packs, which are durable before a damaged one leaves its place. Until `publish` nothing is changed.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from chronos.checkpoints import link_aside, publish_packs
from chronos.errors import StorageError
from chronos.files import sync_folder, translate_os_errors
from chronos.maintenance.sources import Sources
from chronos.maintenance.survey import BadPack, Survey
from chronos.operations import Workspace
from chronos.pool import PickingSink, PoolWriter, salvage_chunks


class RepairStep(msgspec.Struct, frozen=True):
    """One thing that a repair does: a verb, what it is done to, and what comes of it."""

    action: str
    subject: str
    detail: str


class ChunkRepair:
    """The chunks of one survey that can be had again; with `keep` their bytes are written to packs in `scratch`."""

    def __init__(self, workspace: Workspace, survey: Survey, scratch: Path, *, keep: bool) -> None:
        self._workspace = workspace
        self._survey = survey
        self._scratch = scratch
        self._keep = keep
        self._lost = set(survey.lost)
        self._held = set(survey.sound)
        self._writers: dict[str, PoolWriter] = {}
        self._failure: StorageError | None = None
        self.steps: list[RepairStep] = []
        self.fetched = 0

    def collect(self) -> None:
        """Read damaged packs and, for what is lost then, every other source."""
        for pack in self._survey.packs:
            self._rescue(pack)
        if not self._lost:
            return
        total, timeline = len(self._lost), self._workspace.timeline
        sink = PickingSink(self._lost, lambda chunk_id, data: self._take(timeline, chunk_id, data))
        with self._workspace.store.fresh_index(is_exclusive=True):
            found = Sources(self._workspace, self._survey, sink).ask_all()
        if self._failure is not None:  # a source may fail, a write may not
            raise self._failure
        self.fetched = sum(found.values())
        if found:
            where = ", ".join(f"{count} from {name}" for name, count in found.items())
            self.steps.append(RepairStep("fetch", f"{self.fetched} of {total} lost chunks", where))

    def publish(self) -> None:
        """Make what was collected durable, and set the damaged packs aside."""
        layout = self._workspace.store.layout
        packs = {timeline: writer.finish() for timeline, writer in self._writers.items()}
        for bad in self._survey.packs:
            link_aside(layout, bad.path, bad.problem)
        fresh = set()
        for timeline, written in packs.items():
            publish_packs(layout, timeline, written)
            fresh |= {layout.pack(timeline, pack.name) for pack in written}
        for bad in self._survey.packs:
            if bad.path not in fresh:
                with translate_os_errors(f"cannot set {bad.path} aside"):
                    bad.path.unlink()
                sync_folder(bad.path.parent)

    def abandon(self) -> None:
        """Let go of unfinished packs."""
        for writer in self._writers.values():
            writer.abandon()

    def _rescue(self, pack: BadPack) -> None:
        before = len(self._held)
        for chunk_id, data in salvage_chunks(pack.path, self._lost):
            self._take(pack.timeline, chunk_id, data)
        count = len(self._held) - before
        detail = f"{count} whole chunk{'' if count == 1 else 's'} of it go into a new pack; " if count else ""
        self.steps.append(RepairStep("set aside", f"pack {pack.timeline}/{pack.path.name}", f"{detail}{pack.problem}"))

    def _take(self, timeline: str, chunk_id: bytes, data: bytes) -> None:
        if chunk_id not in self._held and self._keep:
            if timeline not in self._writers:
                folder = self._scratch / f"packs-{len(self._writers)}"
                with translate_os_errors(f"cannot write in {self._scratch}"):
                    folder.mkdir(mode=0o700)
                known, compress = self._survey.sound.__contains__, self._workspace.config.compress
                self._writers[timeline] = PoolWriter(folder, known, compress=compress)
            try:
                self._writers[timeline].add_chunk(chunk_id, data)
            except StorageError as cause:
                self._failure = cause
                raise
        self._held.add(chunk_id)
        self._lost.discard(chunk_id)
