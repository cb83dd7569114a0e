"""What actions give back: the keys of the command line's JSON documents, cut to a length that a model can read.

Paths are written by `chronos.files.to_text`, which is lossless; times are UTC. Lists of paths have at most 100 entries,
and a count beside them says how many there are.
"""

from skills.actions.results.checkpoints import (
    Checkpoint,
    Checkpoints,
    Details,
    Differences,
    LeftOut,
    MemoryDifference,
    PathDifference,
    TableRows,
    Taken,
    join_patches,
)
from skills.actions.results.judgement import Analysis, Assessment, BlamedChange, LearnedLesson, Lessons
from skills.actions.results.plans import Deleted, Done, Planned, PlannedDeletion
from skills.actions.results.shape import MOST_LISTED, KeptPath, Result, cut, to_document
from skills.actions.results.timelines import Branched, Clash, Conflicts, Merged, Timeline, Timelines
from skills.actions.results.upkeep import MemoryStore, MemoryStores, Problem, Problems, Status

__all__ = [
    "MOST_LISTED",
    "Analysis",
    "Assessment",
    "BlamedChange",
    "Branched",
    "Checkpoint",
    "Checkpoints",
    "Clash",
    "Conflicts",
    "Deleted",
    "Details",
    "Differences",
    "Done",
    "KeptPath",
    "LearnedLesson",
    "LeftOut",
    "Lessons",
    "MemoryDifference",
    "MemoryStore",
    "MemoryStores",
    "Merged",
    "PathDifference",
    "Planned",
    "PlannedDeletion",
    "Problem",
    "Problems",
    "Result",
    "Status",
    "TableRows",
    "Taken",
    "Timeline",
    "Timelines",
    "cut",
    "join_patches",
    "to_document",
]
