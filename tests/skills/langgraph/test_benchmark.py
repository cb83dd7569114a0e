"""The benchmark beside LangGraph's own saver runs, whether that is installed or not."""

from __future__ import annotations

from pathlib import Path

from benchmarks import langgraph
from benchmarks.bars import judge
from benchmarks.results import Missing, Samples
from skills.langgraph import ChronoSaver


def test_every_call_of_each_graph_is_measured_on_both_sides(tmp_path: Path) -> None:
    outcomes, project = {}, tmp_path / "project"
    (project / "data/memory").mkdir(parents=True)
    for name, make in langgraph.graphs().items():
        savers = {side: ChronoSaver(project, path=project / f"data/memory/{name}{side}.db") for side in ("a", "b")}
        sides = {"ours": langgraph.Side(savers["a"]), "SqliteSaver": langgraph.Side(savers["b"])}
        outcomes |= langgraph.measure_graph(name, make, 12, sides)
        for saver in savers.values():
            saver.close()
    bars = [bar for bar in langgraph.list_bars() if bar.unit == "s"]
    assert len(bars) == 18
    assert all(isinstance(outcomes[key], Samples) for bar in bars for key in (bar.subject, bar.reference) if key)
    assert all(judge(bar, outcomes).ratio for bar in bars)


def test_a_peer_that_is_missing_is_said_and_counts_as_not_measured(tmp_path: Path) -> None:
    outcomes = langgraph.measure(tmp_path, 10)
    kinds = {type(one) for one in outcomes.values()}
    assert kinds in ({Samples}, {Missing})
    verdicts = {judge(bar, outcomes).verdict.value for bar in langgraph.list_bars()}
    assert ("**NOT MEASURED**" in verdicts) is (kinds == {Missing})
