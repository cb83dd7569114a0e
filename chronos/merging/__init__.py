"""Three-way merges of contents: what both sides changed, brought together, and what cannot be, as conflicts."""

from typing import TYPE_CHECKING

from chronos.lazy import loader

if TYPE_CHECKING:
    from chronos.merging.conflicts import Choice, Conflict, ConflictKind, Resolution, Resolver, Strategy, parse_strategy
    from chronos.merging.contents import MergedFile, Origin
    from chronos.merging.resolvers import ResolverSettings, list_resolvers, open_resolver
    from chronos.merging.structured import merge_structured, set_key
    from chronos.merging.tools import ToolResolver
    from chronos.merging.trees import MergedTree, Settled, merge_trees

__all__ = [
    "Choice",
    "Conflict",
    "ConflictKind",
    "MergedFile",
    "MergedTree",
    "Origin",
    "Resolution",
    "Resolver",
    "ResolverSettings",
    "Settled",
    "Strategy",
    "ToolResolver",
    "list_resolvers",
    "merge_structured",
    "merge_trees",
    "open_resolver",
    "parse_strategy",
    "set_key",
]

_HOMES = {
    "Choice": "conflicts", "Conflict": "conflicts", "ConflictKind": "conflicts", "Resolution": "conflicts",
    "Resolver": "conflicts", "Strategy": "conflicts", "parse_strategy": "conflicts",
    "MergedFile": "contents", "Origin": "contents",
    "ResolverSettings": "resolvers", "list_resolvers": "resolvers", "open_resolver": "resolvers",
    "merge_structured": "structured", "set_key": "structured",
    "ToolResolver": "tools",
    "MergedTree": "trees", "Settled": "trees", "merge_trees": "trees",
}  # fmt: skip
__getattr__ = loader(__name__, _HOMES)
