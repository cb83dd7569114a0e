"""The arguments that several actions share, with the words that a model reads about them."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from chronos.merging import Strategy

CheckpointId = Annotated[
    str,
    Meta(
        description="A checkpoint: its id or the beginning of it, its name (the newest of that name), '@' for the "
        "newest, '@~2' for the second before it, 'main@~1' on another timeline, 'last-green' for the newest that passed"
    ),
]
OtherCheckpointId = Annotated[
    str | None, Meta(description="The checkpoint to compare with, given like the first; the working tree now if absent")
]
OfTimeline = Annotated[
    str | None, Meta(description="The timeline that has the checkpoint; that of this working tree if absent")
]
InTimeline = Annotated[
    str | None, Meta(description="The timeline in whose working tree it is done; that of this working tree if absent")
]
PlanId = Annotated[
    str, Meta(description="The plan_id that the planning action gave; nothing is done when the plan has changed since")
]
Paths = Annotated[
    tuple[str, ...], Meta(description="Only these files and folders, from the root of the project; all if empty")
]
Limit = Annotated[int, Meta(ge=1, le=200, description="At most so many, the newest or best first")]
Tags = Annotated[tuple[str, ...], Meta(description="Short words to find it by, such as 'migration' or 'release'")]
Conflicting = Annotated[
    Strategy,
    Meta(
        description="What is done with conflicts: 'conflict' lists them and changes nothing, 'ours' and 'theirs' take "
        "one side of each, 'union' takes both where both can be had"
    ),
]
