"""ChronoSaver: LangGraph's checkpointer on a memory store of the working tree. Owns the langgraph libraries.

What LangGraph defines (which methods there are, what they take and give) is said in `BaseCheckpointSaver`; here is only
said what is ours. Methods may be called from any thread; the async ones do the same work in a thread.
"""

from __future__ import annotations

import asyncio
import random
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, cast

from langgraph.checkpoint.base import WRITES_IDX_MAP, get_checkpoint_metadata
from langgraph.checkpoint.base.id import uuid6

from chronos.errors import UnknownCheckpointError, UsageError
from chronos.files import display
from skills.langgraph import rows
from skills.langgraph.coding import config_of, dump, key_of, load, metadata_of, place_of, tuple_of, wanted_of
from skills.langgraph.contents import Typed
from skills.langgraph.database import GraphDatabase
from skills.langgraph.files import FilesOfGraphs
from skills.langgraph.rows import Key, Row, Write
from skills.langgraph.threads import ThreadedSaver

if TYPE_CHECKING:
    from sqlite3 import Connection

    from langchain_core.runnables import RunnableConfig
    from langgraph.checkpoint.base import (
        ChannelVersions,
        Checkpoint,
        CheckpointMetadata,
        CheckpointTuple,
        DeltaChannelHistory,
    )
    from langgraph.checkpoint.serde.base import SerializerProtocol

_AT_ONCE = 50
# How LangGraph's metadata counts since when a DeltaChannel has no whole value, and how a config says `durability`.
_DELTAS = "counters_since_delta_snapshot"
_DURABILITY = "__pregel_durability"


class ChronoSaver(ThreadedSaver):
    """Keeps graph checkpoints in `data/memory/langgraph.db` of the working tree, or in the database at `path`.

    That is a memory store like any other: every checkpoint of chrono has it, and a restore brings it back together
    with the code. A `path` elsewhere is warned of when no checkpoint of chrono would have it.

    With `checkpoint_files` an automatic checkpoint of chrono is taken with every graph checkpoint, unless nothing but
    the graph's own state has changed; `restore` brings the files of that moment back. They are those of that very
    step with `durability="sync"` only: otherwise LangGraph goes on while a checkpoint is taken, and that is warned of.

    Values are kept once, by content. `serde` is LangGraph's JsonPlusSerializer by default, which runs no pickle.
    """

    def __init__(
        self,
        root: Path | str | None = None,
        *,
        path: Path | str | None = None,
        checkpoint_files: bool = False,
        serde: SerializerProtocol | None = None,
    ) -> None:
        super().__init__(serde=serde)
        self._files = FilesOfGraphs(root, path)
        self._database = GraphDatabase(self._files.path, self._files.timeout_s)
        self.checkpoint_files = checkpoint_files
        if checkpoint_files:
            self._files.check_enabled()
        self._files.make_folder()
        if path is None:
            return
        with self._database.transaction():
            pass  # it has to be there for telling who would hold it
        if not self._files.is_covered:
            shown = display(str(self.path))
            warnings.warn(f"no checkpoint of chrono has {shown}: declare it with `chrono memory add`", stacklevel=2)

    @property
    def path(self) -> Path:
        """The database."""
        return self._database.path

    @property
    def is_covered(self) -> bool:
        """Whether a checkpoint of chrono that is taken now would have the database."""
        return self._files.is_covered

    def close(self) -> None:
        """Let go of the database; the next call opens it again."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self.close)

    # reading

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Return the graph checkpoint that `config` names, or the newest of its thread and namespace."""
        thread, namespace, checkpoint = place_of(config)
        with self._database.transaction() as connection:
            row = rows.find_row(connection, thread, namespace, checkpoint)
            found = rows.load_all(connection, [] if row is None else [row])
        return tuple_of(self.serde, found[0]) if found else None

    def list(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> Iterator[CheckpointTuple]:
        """Yield graph checkpoints, the newest first, over all threads and namespaces that `config` does not name.

        No transaction is open while one is looked at, so what is deleted or comes meanwhile is seen or not.
        """
        wanted, after, left = wanted_of(config, before), None, limit
        while left is None or left > 0:
            at_once = _AT_ONCE if left is None or filter else min(left, _AT_ONCE)
            with self._database.transaction() as connection:
                page = rows.list_rows(connection, wanted, after=after, limit=at_once)
                found = rows.load_all(connection, [row for row in page if self._matches(row, filter)])
            for loaded in found if left is None else found[:left]:
                yield tuple_of(self.serde, loaded)
            if len(page) < at_once:
                return
            after, left = page[-1].key, None if left is None else left - len(found)

    def get_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        """Return for each channel its writes since the nearest stored value, from oldest to newest, and that value."""
        thread, namespace, checkpoint = place_of(config)
        writes: dict[str, list[Write]] = {channel: [] for channel in channels}
        seeds: dict[str, Typed] = {}
        with self._database.transaction() as connection:
            row = rows.find_row(connection, thread, namespace, checkpoint)
            for ancestor in rows.ancestors(connection, row) if row is not None else ():
                missing = writes.keys() - seeds.keys()
                if not missing:
                    break
                for write in reversed(list(rows.read_writes(connection, ancestor.key))):
                    if write.channel in missing:
                        writes[write.channel].append(write)
                seeds |= rows.read_values(connection, ancestor, missing)
        return {channel: self._history(found, seeds.get(channel)) for channel, found in writes.items()}

    # writing

    def put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Store a graph checkpoint durably, and with `checkpoint_files` the files; return the config that names it.

        Raises UsageError for a value that the serializer does not take, and what taking a checkpoint raises: the
        graph checkpoint is stored then all the same.
        """
        thread, namespace, parent = place_of(config)
        key = Key(thread, namespace, checkpoint["id"])
        self._add(key, parent, checkpoint, get_checkpoint_metadata(config, metadata), new_versions)
        if self.checkpoint_files:
            if metadata.get("source") == "loop" and config["configurable"].get(_DURABILITY) not in ("sync", "exit"):
                warnings.warn('files may be ahead of the graph: invoke it with durability="sync"', stacklevel=2)
            chrono_id = self._files.take(key, metadata.get("step", "?"))
            with self._database.transaction(write=True) as connection:
                rows.set_chrono_id(connection, key, chrono_id)
        return config_of(key)

    def put_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Store what a task wrote, durably. Raises UsageError for a value that the serializer does not take."""
        key = key_of(config)
        found = [
            Write(task_id, WRITES_IDX_MAP.get(channel, index), task_path, channel, self._dump(value, channel))
            for index, (channel, value) in enumerate(writes)
        ]
        with self._database.transaction(write=True) as connection:
            rows.add_writes(connection, key, found)

    def get_next_version(self, current: str | int | float | None, channel: None) -> str:
        """Return a version behind `current`. Two forks of one checkpoint do not get the same one."""
        number = 0 if current is None else int(str(current).split(".")[0])
        return f"{number + 1:010}.{random.getrandbits(32):08x}"

    # deleting and copying

    def delete_thread(self, thread_id: str) -> None:
        """Delete a thread, and give its space back."""
        self._delete(lambda connection: rows.delete_thread(connection, str(thread_id)))

    def delete_for_runs(self, run_ids: Sequence[str]) -> None:
        """Delete the graph checkpoints of these runs, and give their space back."""
        self._delete(lambda connection: rows.delete_runs(connection, [str(run) for run in run_ids]))

    def prune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        """Delete all but the newest graph checkpoint of each namespace (or with `delete` all), and give the space back.

        What a DeltaChannel of the newest one is made from stays. Raises UsageError for another strategy.
        """
        if strategy not in ("keep_latest", "delete"):
            raise UsageError(f"{strategy!r} is no way to prune", hint="known: keep_latest, delete")

        def work(connection: Connection) -> None:
            for thread in map(str, thread_ids):
                if strategy == "delete":
                    rows.delete_thread(connection, thread)
                else:
                    rows.keep_newest(connection, thread, self._deltas)

        self._delete(work)

    def copy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """Give one thread all that another has; values and files are shared, not copied."""
        with self._database.transaction(write=True) as connection:
            rows.copy_thread(connection, str(source_thread_id), str(target_thread_id))

    # files

    def find_chrono_checkpoint(self, config: RunnableConfig) -> str | None:
        """Return the id of the checkpoint of chrono that has the files of a graph checkpoint; None without one.

        Without an id in `config` it is that of the newest graph checkpoint. Automatic checkpoints go by retention.
        """
        thread, namespace, checkpoint = place_of(config)
        with self._database.transaction() as connection:
            row = rows.find_row(connection, thread, namespace, checkpoint)
        return self._files.find(row.key, row.chrono_id) if row is not None else None

    def restore(self, config: RunnableConfig, *, graph: bool = True) -> RunnableConfig:
        """Bring the files of a graph checkpoint back, and the graph with them; return the config to go on from.

        Files and memory stores are restored as `chrono checkpoint restore` does it: after a safety checkpoint, so that
        `chrono undo` takes that back. Of the graph nothing goes: a copy of the graph checkpoint becomes the newest of
        its thread, as LangGraph itself does for a fork, and other threads stay as they are. Without `graph` the config
        is returned as it is: invoke the graph with it for LangGraph's own time travel.

        Raises UnknownCheckpointError when no checkpoint of chrono has the files, UsageError for the config of an inner
        graph, which cannot go back without the outer one, and what a restore raises.
        """
        if graph and place_of(config)[1]:
            raise UsageError(
                "the config names an inner graph", hint="give that of the outer one, or graph=False for the files only"
            )
        found = self.get_tuple(config)
        chrono_id = self.find_chrono_checkpoint(config)
        if found is None or chrono_id is None:
            raise UnknownCheckpointError(
                "no checkpoint of chrono has the files of this graph checkpoint",
                hint="they are taken with ChronoSaver(checkpoint_files=True), and kept as long as retention says",
            )
        self._files.restore(chrono_id)
        return self._fork(found, chrono_id) if graph else found.config

    async def arestore(self, config: RunnableConfig, *, graph: bool = True) -> RunnableConfig:
        """See `restore`."""
        return await asyncio.to_thread(self.restore, config, graph=graph)

    def _fork(self, origin: CheckpointTuple, chrono_id: str) -> RunnableConfig:
        """Store a copy of a graph checkpoint beside it, without the writes that wait on it: its tasks run again."""
        key, step = key_of(origin.config), int(origin.metadata.get("step", -1))
        parent = key_of(origin.parent_config).checkpoint if origin.parent_config else None
        copied = {name: value for name, value in origin.metadata.items() if name == _DELTAS}
        metadata = {"source": "fork", "step": step + 1, "parents": origin.metadata.get("parents", {}), **copied}
        checkpoint = cast(
            "Checkpoint",
            {**origin.checkpoint, "id": str(uuid6(clock_seq=step)), "ts": datetime.now(UTC).isoformat()},
        )
        new = key._replace(checkpoint=checkpoint["id"])
        self._add(new, parent, checkpoint, cast("CheckpointMetadata", metadata), {}, chrono_id)
        return config_of(new)

    # serializing

    def _add(
        self, key: Key, parent: str | None, checkpoint: Checkpoint, metadata: CheckpointMetadata, new: ChannelVersions,
        chrono_id: str | None = None,
    ) -> None:  # fmt: skip
        about = f"graph checkpoint {key.checkpoint}"
        apart = ("channel_values", "channel_versions")
        data = dump(self.serde, {name: part for name, part in checkpoint.items() if name not in apart}, about)
        values = checkpoint["channel_values"]
        dumped = {channel: self._dump(values[channel], channel) for channel in new if channel in values}
        run = metadata.get("run_id")
        row = Row(
            key, parent, None if run is None else str(run), chrono_id, dict(checkpoint["channel_versions"]), data,
            dump(self.serde, metadata, f"the metadata of {about}"),
        )  # fmt: skip
        with self._database.transaction(write=True) as connection:
            rows.add_checkpoint(connection, row, dumped, new)

    def _dump(self, value: Any, channel: str) -> Typed:
        return dump(self.serde, value, f"the value of channel {channel}")

    def _matches(self, row: Row, filter: Mapping[str, Any] | None) -> bool:
        if not filter:
            return True
        metadata = metadata_of(self.serde, row)
        return all(metadata.get(name) == value for name, value in filter.items())

    def _deltas(self, row: Row) -> Sequence[str]:
        return tuple(cast("Mapping[str, Any]", metadata_of(self.serde, row).get(_DELTAS) or {}))

    def _history(self, writes: Sequence[Write], seed: Typed | None) -> DeltaChannelHistory:
        found: DeltaChannelHistory = {
            "writes": [
                (write.task, write.channel, load(self.serde, write.value, f"a write to {write.channel}"))
                for write in reversed(writes)
            ]
        }
        if seed is not None:
            found["seed"] = load(self.serde, seed, "the value of a channel")
        return found

    def _delete(self, work: Callable[[Connection], None]) -> None:
        with self._database.transaction(write=True) as connection:
            work(connection)
        self._database.give_back()
