"""Builds the tracer once a session, and says at the end what was injected and what had to be left out."""

from __future__ import annotations

import pytest

from tests.faults.harness import Killpoint, TracingForbiddenError, compile_killpoint, find_obstacle
from tests.faults.summary import pytest_terminal_summary

__all__ = ["killpoint", "pytest_terminal_summary"]


@pytest.fixture(scope="session")
def killpoint(tmp_path_factory: pytest.TempPathFactory) -> Killpoint:
    """The compiled tracer; every test that asks for it is skipped where it cannot work."""
    if obstacle := find_obstacle():
        pytest.skip(obstacle)
    try:
        return compile_killpoint(tmp_path_factory.mktemp("tracer"))
    except TracingForbiddenError as trouble:
        pytest.skip(f"no tracing here: {trouble}")
