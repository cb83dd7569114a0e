"""Between LangGraph and the rows: which graph checkpoint a config names, and values through the serializer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from langgraph.checkpoint.base import CheckpointTuple

from chronos.errors import UnreadableStoreError, UsageError
from chronos.files import display
from skills.langgraph.contents import Typed
from skills.langgraph.rows import Key, Row, Wanted

if TYPE_CHECKING:
    from langchain_core.runnables import RunnableConfig
    from langgraph.checkpoint.base import Checkpoint, CheckpointMetadata
    from langgraph.checkpoint.serde.base import SerializerProtocol

    from skills.langgraph.rows import Loaded

_CONFIG_HINT = 'give a config such as {"configurable": {"thread_id": "1"}}'
# What a graph checkpoint's metadata calls the checkpoint of chrono that has the files.
CHRONO_ID = "chrono_checkpoint"


def place_of(config: RunnableConfig) -> tuple[str, str, str | None]:
    """Return the thread, the namespace and, if it is named, the id of a graph checkpoint. Raises UsageError."""
    place = config.get("configurable") or {}
    thread, checkpoint = place.get("thread_id"), place.get("checkpoint_id")
    if thread is None:
        raise UsageError("the config names no thread", hint=_CONFIG_HINT)
    return str(thread), str(place.get("checkpoint_ns") or ""), str(checkpoint) if checkpoint else None


def key_of(config: RunnableConfig) -> Key:
    """Return which graph checkpoint a config names. Raises UsageError when it names none."""
    thread, namespace, checkpoint = place_of(config)
    if checkpoint is None:
        raise UsageError("the config names no graph checkpoint", hint="add its checkpoint_id")
    return Key(thread, namespace, checkpoint)


def wanted_of(config: RunnableConfig | None, before: RunnableConfig | None) -> Wanted:
    """Return what `list` is asked for."""
    place = (config or {}).get("configurable") or {}
    values = [place.get(name) for name in ("thread_id", "checkpoint_ns")]
    ids = [((one or {}).get("configurable") or {}).get("checkpoint_id") or None for one in (config, before)]
    return Wanted(*(None if value is None else str(value) for value in (*values, *ids)))


def config_of(key: Key) -> RunnableConfig:
    """Return the config that names a graph checkpoint."""
    return {"configurable": {"thread_id": key.thread, "checkpoint_ns": key.namespace, "checkpoint_id": key.checkpoint}}


def dump(serde: SerializerProtocol, value: Any, what: str) -> Typed:
    """Return a value as it is stored. Raises UsageError when the serializer does not take it."""
    try:
        return serde.dumps_typed(value)
    except (TypeError, ValueError, NotImplementedError) as cause:
        raise UsageError(
            f"{display(what)} cannot be stored: {cause}",
            hint="keep plain data in it, or give ChronoSaver another serde",
        ) from cause


def load(serde: SerializerProtocol, value: Typed, what: str) -> Any:
    """Return a value as it was. Raises UnreadableStoreError when the serializer cannot read it."""
    try:
        return serde.loads_typed(value)
    except (TypeError, ValueError, NotImplementedError) as cause:
        raise UnreadableStoreError(
            f"{display(what)} cannot be read: {cause}",
            hint="give ChronoSaver the serde, and key, that it was written with",
        ) from cause


def metadata_of(serde: SerializerProtocol, row: Row) -> CheckpointMetadata:
    """Return what is known of a graph checkpoint, with the checkpoint of chrono that has its files."""
    found = load(serde, row.metadata, f"the metadata of graph checkpoint {row.key.checkpoint}")
    return cast("CheckpointMetadata", {**found, CHRONO_ID: row.chrono_id} if row.chrono_id else found)


def tuple_of(serde: SerializerProtocol, loaded: Loaded) -> CheckpointTuple:
    """Return a graph checkpoint as LangGraph knows it."""
    row = loaded.row
    rest = load(serde, row.data, f"graph checkpoint {row.key.checkpoint}")
    values = {channel: load(serde, value, f"channel {channel}") for channel, value in loaded.values.items()}
    writes = [
        (write.task, write.channel, load(serde, write.value, f"a write to {write.channel}")) for write in loaded.writes
    ]
    checkpoint = cast("Checkpoint", {**rest, "channel_versions": dict(row.versions), "channel_values": values})
    parent = config_of(row.key._replace(checkpoint=row.parent)) if row.parent else None
    return CheckpointTuple(config_of(row.key), checkpoint, metadata_of(serde, row), parent, writes)
