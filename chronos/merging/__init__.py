"""Three-way merges of contents: what both sides changed, brought together, and what cannot be, as conflicts."""

from typing import TYPE_CHECKING

from chronos.lazy import loader

if TYPE_CHECKING:
    from chronos.merging.conflicts import Choice, Conflict, ConflictKind, Resolution, Resolver, Strategy
    from chronos.merging.resolvers import ResolverSettings, list_resolvers, open_resolver

__all__ = [
    "Choice",
    "Conflict",
    "ConflictKind",
    "Resolution",
    "Resolver",
    "ResolverSettings",
    "Strategy",
    "list_resolvers",
    "open_resolver",
]

_HOMES = {
    "Choice": "conflicts", "Conflict": "conflicts", "ConflictKind": "conflicts", "Resolution": "conflicts",
    "Resolver": "conflicts", "Strategy": "conflicts",
    "ResolverSettings": "resolvers", "list_resolvers": "resolvers", "open_resolver": "resolvers",
}  # fmt: skip
__getattr__ = loader(__name__, _HOMES)
