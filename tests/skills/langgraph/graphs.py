"""A graph that writes files as it goes, and graph checkpoints made by hand."""

from __future__ import annotations

import operator
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, TypedDict, cast

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import Checkpoint, empty_checkpoint
from langgraph.checkpoint.base.id import uuid6
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import interrupt

from skills.langgraph import ChronoSaver


class Steps(TypedDict):
    """What has been done."""

    steps: Annotated[list[str], operator.add]


def build(saver: ChronoSaver, root: Path) -> CompiledStateGraph[Steps]:
    """A plan, a file, a question to a person, and another file."""

    def plan(state: Steps) -> Steps:
        return {"steps": ["plan"]}

    def draft(state: Steps) -> Steps:
        (root / "draft.txt").write_text("draft\n")
        return {"steps": ["draft"]}

    def ask(state: Steps) -> Steps:
        return {"steps": [f"ask: {interrupt('good?')}"]}

    def publish(state: Steps) -> Steps:
        (root / "draft.txt").unlink()
        (root / "final.txt").write_text(f"{state['steps'][-1]}\n")
        return {"steps": ["publish"]}

    graph = StateGraph(Steps)
    nodes = (plan, draft, ask, publish)
    for node in nodes:
        graph.add_node(node)
    names = [START, *(node.__name__ for node in nodes), END]
    for one, other in pairwise(names):
        graph.add_edge(one, other)
    return graph.compile(checkpointer=saver)


def thread(name: str, namespace: str = "", checkpoint: str | None = None) -> RunnableConfig:
    place: dict[str, Any] = {"thread_id": name, "checkpoint_ns": namespace}
    return {"configurable": place if checkpoint is None else {**place, "checkpoint_id": checkpoint}}


def checkpoint_of(values: dict[str, Any], versions: dict[str, Any], number: int = 0) -> Checkpoint:
    made = {"id": str(uuid6(clock_seq=number)), "channel_values": values, "channel_versions": versions}
    return cast("Checkpoint", {**empty_checkpoint(), **made})


def put_steps(
    saver: ChronoSaver, name: str, count: int, value: Any = "x", *, namespace: str = "", run: str = "run"
) -> list[RunnableConfig]:
    """Put `count` graph checkpoints one after the other, each with a write; `value` may be made from the number."""
    found: list[RunnableConfig] = []
    for number in range(count):
        config = found[-1] if found else thread(name, namespace)
        version = f"{number:010}.{hash((name, namespace)) & 0xFFFF:x}"
        made = value(number) if callable(value) else value
        checkpoint = checkpoint_of({"messages": made}, {"messages": version}, number)
        found.append(
            saver.put(config, checkpoint, {"source": "update", "step": number, "run_id": run}, {"messages": version})
        )
        saver.put_writes(found[-1], [("messages", made)], "task", "path")
    return found


def ids(saver: ChronoSaver, name: str, namespace: str = "") -> list[str]:
    return [one.config["configurable"]["checkpoint_id"] for one in saver.list(thread(name, namespace))]
