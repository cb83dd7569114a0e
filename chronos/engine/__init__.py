"""ChronosEngine: the verbs of the product, each a short call downward; one module for each group of verbs.

It never prints or prompts. Ids are accepted as ids, unique prefixes, names (the newest with that name), `@` for the
newest checkpoint, `@~2` for the second before it, `main@~1`, or `last-green` for the newest that passed.
"""

from chronos.engine.annotations import AnnotationVerbs
from chronos.engine.checkpoints import CheckpointVerbs, Details
from chronos.engine.memory import MemoryVerbs
from chronos.engine.merging import MergeVerbs
from chronos.engine.timelines import TimelineVerbs
from chronos.engine.transfer import TransferVerbs
from chronos.engine.upkeep import UpkeepVerbs

__all__ = ["ChronosEngine", "Details"]


class ChronosEngine(
    CheckpointVerbs, AnnotationVerbs, MemoryVerbs, MergeVerbs, TimelineVerbs, TransferVerbs, UpkeepVerbs
):
    """Checkpoints of one working tree. Close it, or use it in a `with` block, to let go of its files.

    `notices` collects things that a front door should show, such as an interrupted restore that was finished.
    """
