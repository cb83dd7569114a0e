"""Bisecting: the first checkpoint at which a command fails, each tried in a throw-away tree with its own memory."""

from typing import TYPE_CHECKING

from chronos.lazy import loader

if TYPE_CHECKING:
    from historian.bisecting.results import Bisection, Request, Result, Try
    from historian.bisecting.running import run_bisection
    from historian.bisecting.searching import Search

__all__ = ["Bisection", "Request", "Result", "Search", "Try", "run_bisection"]

_HOMES = {
    "Bisection": "results", "Request": "results", "Result": "results", "Try": "results",
    "run_bisection": "running",
    "Search": "searching",
}  # fmt: skip

__getattr__ = loader(__name__, _HOMES)
