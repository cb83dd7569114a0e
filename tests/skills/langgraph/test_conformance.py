"""LangGraph's own suite for savers, in full."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.conformance import checkpointer_test, validate
from langgraph.checkpoint.conformance.capabilities import ALL_CAPABILITIES

from skills.langgraph import ChronoSaver
from tests.support import RepoBuilder


def test_every_capability_of_a_saver_is_there_and_passes(repo: RepoBuilder) -> None:
    @checkpointer_test(name="ChronoSaver")
    async def savers() -> AsyncGenerator[BaseCheckpointSaver[str], None]:
        with ChronoSaver(repo.root) as saver:
            yield saver

    report = asyncio.run(validate(savers))
    report.print_report()
    found = {name: (result.detected, result.passed, result.failures) for name, result in report.results.items()}
    assert found == {capability.value: (True, True, []) for capability in ALL_CAPABILITIES}
    assert report.conformance_level() == "FULL"
    assert all(result.tests_passed > 0 for result in report.results.values())
