"""Three-way merges of contents: what both sides changed, brought together, and what cannot be, as conflicts."""

from typing import TYPE_CHECKING

from chronos.lazy import loader

if TYPE_CHECKING:
    from chronos.merging.conflicts import Choice, Conflict, ConflictKind, Resolution, Resolver, Strategy

__all__ = ["Choice", "Conflict", "ConflictKind", "Resolution", "Resolver", "Strategy"]

_HOMES = {
    "Choice": "conflicts", "Conflict": "conflicts", "ConflictKind": "conflicts", "Resolution": "conflicts",
    "Resolver": "conflicts", "Strategy": "conflicts",
}  # fmt: skip
__getattr__ = loader(__name__, _HOMES)
