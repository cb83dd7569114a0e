"""The historian: says how dangerous something is before it is done, checkpoints when it should, and learns."""

from typing import TYPE_CHECKING

from chronos.lazy import loader

if TYPE_CHECKING:
    from historian.agent import HistorianAgent

__all__ = ["HistorianAgent"]

_HOMES = {"HistorianAgent": "agent"}

__getattr__ = loader(__name__, _HOMES)
