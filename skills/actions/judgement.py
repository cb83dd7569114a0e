"""How dangerous something is, what was learned, what made something fail."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from historian.risk import Operation, OperationKind
from skills.actions import inputs, results
from skills.actions.access import Access
from skills.actions.action import Effect, action

_Operation = Annotated[str, Meta(description="What is to be done: in words, or the command, the SQL, the git command")]
_Kind = Annotated[OperationKind | None, Meta(description="What 'operation' is; told from the text if absent")]
_Query = Annotated[str, Meta(description="What it is about, in words; all lessons if empty")]
_Situation = Annotated[str, Meta(description="When this holds, such as 'migrating the orders table'")]
_Done = Annotated[str, Meta(description="What was done")]
_Result = Annotated[str, Meta(description="How it went; begin with 'success' or 'failure'")]
_Feedback = Annotated[str, Meta(description="What to do next time")]
_Before = Annotated[str | None, Meta(description="The checkpoint of before: its id, its name, or '@' for the newest")]
_After = Annotated[str | None, Meta(description="The checkpoint of after, given like that of before")]
_Error = Annotated[str, Meta(description="The whole error text: traceback, test output, message of the compiler")]


@action("Assess a risk", Effect.READS)
def assess_risk(access: Access, operation: _Operation, kind: _Kind = None) -> results.Assessment:
    """Say how dangerous an operation is before it is done, what it would hit, and what no checkpoint would cover.

    Ask when you are about to run a command that you are not sure of. Past failures that resemble it are reasons too.
    """
    wanted = operation if kind is None else Operation(text=operation, kind=kind)
    return results.Assessment.of(access.historian.assess(wanted))


@action("Search lessons", Effect.READS)
def search_lessons(
    access: Access, query: _Query = "", tags: inputs.Tags = (), limit: inputs.Limit = 10
) -> results.Lessons:
    """Find what was learned from earlier work on this project. Do it before you start what may have been tried."""
    store = access.historian.lessons
    found = store.search(query, limit, tags=tags) if query.strip() else store.list_lessons(limit, tags=tags)
    return results.Lessons(lessons=tuple(map(results.LearnedLesson.of, found)))


@action("Add a lesson", Effect.ADDS)
def add_lesson(
    access: Access, situation: _Situation, action: _Done, result: _Result, feedback: _Feedback = "",
    tags: inputs.Tags = (), checkpoint_before: _Before = None, checkpoint_after: _After = None,
) -> results.LearnedLesson:  # fmt: skip
    """Write down what was learned, so that the next one who does this finds it. No secrets."""
    given = (checkpoint_before, checkpoint_after)
    before, after = (access.engine.find_checkpoint(one).checkpoint_id if one else None for one in given)
    found = access.historian.lessons.add_lesson(situation, action, result, feedback, tags, before, after)
    return results.LearnedLesson.of(found)


@action("Analyze a failure", Effect.ADDS)
def analyze_failure(
    access: Access, operation: _Operation, error: _Error, checkpoint_before: _Before = None
) -> results.Analysis:
    """Find out what made something fail: read the error, rank what changed since the checkpoint, learn the lesson."""
    return results.Analysis.of(access.historian.analyze_failure(operation, error, checkpoint_before))
