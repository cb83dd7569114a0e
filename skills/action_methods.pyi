"""The methods of ChronoSkill. Written by `python -m chronos.cli.reference`; change the actions instead."""

from collections.abc import Sequence
from typing import Literal

from skills.actions.results import (
    Analysis,
    Assessment,
    Branched,
    Checkpoint,
    Checkpoints,
    Conflicts,
    Deleted,
    Details,
    Differences,
    Done,
    LearnedLesson,
    Lessons,
    MemoryStores,
    Merged,
    Planned,
    PlannedDeletion,
    Problems,
    Status,
    Taken,
    Timelines,
)

class ActionMethods:
    """A method for each action. It raises ChronosError."""

    def create_checkpoint(
        self,
        name: str,
        description: str = "",
        timeline: str | None = None,
        tags: Sequence[str] = (),
    ) -> Taken:
        """Take a checkpoint of the whole working state: every file that differs from the last commit, and the memory.

        Do it before anything risky (a migration, a refactoring, deleting, a command you have not run before) and after each
        step that works. It takes a fraction of a second, changes nothing, and everything can be brought back from it.

        name: What to call it, such as 'before_migration'; names may repeat
        description: Why it is taken, in a sentence
        timeline: The timeline in whose working tree it is done; that of this working tree if absent
        tags: Short words to find it by, such as 'migration' or 'release'
        """

    def list_checkpoints(
        self,
        timeline: str | None = None,
        text: str = "",
        limit: int = 20,
    ) -> Checkpoints:
        """List the checkpoints of a timeline, the newest first.

        timeline: The timeline that has the checkpoint; that of this working tree if absent
        text: Only those with this text in name, description or tags
        limit: At most so many, the newest or best first
        """

    def show_checkpoint(
        self,
        checkpoint_id: str,
        timeline: str | None = None,
    ) -> Details:
        """Show what one checkpoint holds, and what it does not.

        checkpoint_id: A checkpoint: its id or the beginning of it, its name (the newest of that name), '@' for the newest, '@~2' for the second before it, 'main@~1' on another timeline, 'last-green' for the newest that passed
        timeline: The timeline that has the checkpoint; that of this working tree if absent
        """

    def diff_checkpoints(
        self,
        old: str,
        new: str | None = None,
        paths: Sequence[str] = (),
        patch: bool = False,
        rows: bool = False,
    ) -> Differences:
        """Show which files and memory stores differ from one checkpoint to another, or to the working tree now.

        old: A checkpoint: its id or the beginning of it, its name (the newest of that name), '@' for the newest, '@~2' for the second before it, 'main@~1' on another timeline, 'last-green' for the newest that passed
        new: The checkpoint to compare with, given like the first; the working tree now if absent
        paths: Only these files and folders, from the root of the project; all if empty
        patch: Show the changed lines too
        rows: Count the rows that differ in each table of the memory stores
        """

    def plan_restore(
        self,
        checkpoint_id: str,
        timeline: str | None = None,
        paths: Sequence[str] = (),
        code: bool = True,
        memory: bool = True,
    ) -> Planned:
        """Show what restore_checkpoint with the same arguments would write, delete and leave alone. Nothing changes.

        checkpoint_id: A checkpoint: its id or the beginning of it, its name (the newest of that name), '@' for the newest, '@~2' for the second before it, 'main@~1' on another timeline, 'last-green' for the newest that passed
        timeline: The timeline that has the checkpoint; that of this working tree if absent
        paths: Only these files and folders, from the root of the project; all if empty
        code: Whether files come back
        memory: Whether databases and other memory stores come back
        """

    def restore_checkpoint(
        self,
        checkpoint_id: str,
        timeline: str | None = None,
        paths: Sequence[str] = (),
        code: bool = True,
        memory: bool = True,
        plan_id: str = "",
    ) -> Done:
        """Give files and memory of this working tree the state of a checkpoint.

        What is there now is held by a safety checkpoint first, and undo takes the restore back. Files that no checkpoint
        could bring back are kept.

        checkpoint_id: A checkpoint: its id or the beginning of it, its name (the newest of that name), '@' for the newest, '@~2' for the second before it, 'main@~1' on another timeline, 'last-green' for the newest that passed
        timeline: The timeline that has the checkpoint; that of this working tree if absent
        paths: Only these files and folders, from the root of the project; all if empty
        code: Whether files come back
        memory: Whether databases and other memory stores come back
        plan_id: The plan_id that the planning action gave; nothing is done when the plan has changed since
        """

    def plan_undo(self) -> Planned:
        """Show which operation undo would take back, and what that does. Nothing changes."""

    def undo(
        self,
        plan_id: str = "",
    ) -> Done:
        """Take back the last operation of this timeline: a restore, a merge, a deletion. Files edited since are kept.

        plan_id: The plan_id that the planning action gave; nothing is done when the plan has changed since
        """

    def plan_redo(self) -> Planned:
        """Show which undo redo would take back, and what that does. Nothing changes."""

    def redo(
        self,
        plan_id: str = "",
    ) -> Done:
        """Take back the last undo of this timeline.

        plan_id: The plan_id that the planning action gave; nothing is done when the plan has changed since
        """

    def plan_revert(
        self,
        checkpoint_id: str,
        paths: Sequence[str] = (),
    ) -> Merged:
        """Show what revert_checkpoint with the same arguments would take back, and which conflicts it has.

        checkpoint_id: A checkpoint: its id or the beginning of it, its name (the newest of that name), '@' for the newest, '@~2' for the second before it, 'main@~1' on another timeline, 'last-green' for the newest that passed
        paths: Only these files and folders, from the root of the project; all if empty
        """

    def revert_checkpoint(
        self,
        checkpoint_id: str,
        paths: Sequence[str] = (),
        plan_id: str = "",
    ) -> Merged:
        """Take back what one checkpoint changed against the one before it, and keep what came later. undo takes it back.

        While there are conflicts nothing changes: decide them with resolve_conflict and revert again.

        checkpoint_id: A checkpoint: its id or the beginning of it, its name (the newest of that name), '@' for the newest, '@~2' for the second before it, 'main@~1' on another timeline, 'last-green' for the newest that passed
        paths: Only these files and folders, from the root of the project; all if empty
        plan_id: The plan_id that the planning action gave; nothing is done when the plan has changed since
        """

    def plan_delete_checkpoint(
        self,
        checkpoint_id: str,
        timeline: str | None = None,
    ) -> PlannedDeletion:
        """Show which checkpoint delete_checkpoint would delete. Nothing changes.

        checkpoint_id: A checkpoint: its id or the beginning of it, its name (the newest of that name), '@' for the newest, '@~2' for the second before it, 'main@~1' on another timeline, 'last-green' for the newest that passed
        timeline: The timeline that has the checkpoint; that of this working tree if absent
        """

    def delete_checkpoint(
        self,
        checkpoint_id: str,
        timeline: str | None = None,
        plan_id: str = "",
    ) -> Deleted:
        """Delete a checkpoint. No file changes, and undo brings it back until its bytes are collected.

        checkpoint_id: A checkpoint: its id or the beginning of it, its name (the newest of that name), '@' for the newest, '@~2' for the second before it, 'main@~1' on another timeline, 'last-green' for the newest that passed
        timeline: The timeline that has the checkpoint; that of this working tree if absent
        plan_id: The plan_id that the planning action gave; nothing is done when the plan has changed since
        """

    def set_verdict(
        self,
        checkpoint_id: str,
        verdict: Literal["passed", "failed"],
        note: str = "",
        timeline: str | None = None,
    ) -> Checkpoint:
        """Say that the tests of a checkpoint passed or failed; the newest that passed is found as 'last-green'.

        checkpoint_id: A checkpoint: its id or the beginning of it, its name (the newest of that name), '@' for the newest, '@~2' for the second before it, 'main@~1' on another timeline, 'last-green' for the newest that passed
        verdict: How the tests ended
        note: What was found, in a sentence
        timeline: The timeline that has the checkpoint; that of this working tree if absent
        """

    def branch_timeline(
        self,
        name: str,
        checkpoint_id: str | None = None,
    ) -> Branched:
        """Make a timeline: a working tree of its own, with its own copy of the memory, in the present state.

        Work in the folder that comes back as 'path'; nothing done there touches this tree. merge_timeline brings it back.

        name: What to call the new timeline, such as 'experiment'
        checkpoint_id: The checkpoint whose state it gets; the present state if absent
        """

    def list_timelines(self) -> Timelines:
        """List the timelines, with the folder in which each is worked on."""

    def plan_merge(
        self,
        source: str,
        target: str | None = None,
        strategy: Literal["conflict", "ours", "theirs", "union"] = "conflict",
        paths: Sequence[str] = (),
    ) -> Merged:
        """Show what merge_timeline with the same arguments would bring, and which conflicts it has. No file changes.

        source: The timeline whose changes are to come
        target: The timeline into which they go; that of this working tree if absent
        strategy: What is done with conflicts: 'conflict' lists them and changes nothing, 'ours' and 'theirs' take one side of each, 'union' takes both where both can be had
        paths: Only these files and folders, from the root of the project; all if empty
        """

    def merge_timeline(
        self,
        source: str,
        target: str | None = None,
        strategy: Literal["conflict", "ours", "theirs", "union"] = "conflict",
        paths: Sequence[str] = (),
        plan_id: str = "",
    ) -> Merged:
        """Merge what one timeline changed into another: text by lines, JSON, YAML and TOML by keys, databases by rows.

        While there are conflicts nothing changes: decide them with resolve_conflict and merge again. undo takes it back.

        source: The timeline whose changes are to come
        target: The timeline into which they go; that of this working tree if absent
        strategy: What is done with conflicts: 'conflict' lists them and changes nothing, 'ours' and 'theirs' take one side of each, 'union' takes both where both can be had
        paths: Only these files and folders, from the root of the project; all if empty
        plan_id: The plan_id that the planning action gave; nothing is done when the plan has changed since
        """

    def list_conflicts(
        self,
        timeline: str | None = None,
    ) -> Conflicts:
        """List the conflicts of the merge that waits for decisions, if one does.

        timeline: The timeline in whose working tree it is done; that of this working tree if absent
        """

    def resolve_conflict(
        self,
        subject: str,
        choice: Literal["ours", "theirs", "content"],
        content: str | None = None,
        timeline: str | None = None,
    ) -> Conflicts:
        """Decide a conflict. No file changes before the merge is made again.

        subject: The path, the memory store's name or the conflict's id
        choice: 'ours' (the target's), 'theirs' (the source's), or 'content' that you give
        content: With 'content': the whole file as it should be, or the row as a JSON object
        timeline: The timeline in whose working tree it is done; that of this working tree if absent
        """

    def plan_delete_timeline(
        self,
        name: str,
    ) -> PlannedDeletion:
        """Show what delete_timeline would take away, and what of it no checkpoint could hold. Nothing changes.

        name: The timeline's name
        """

    def delete_timeline(
        self,
        name: str,
        plan_id: str = "",
    ) -> Deleted:
        """Take a timeline and its working tree away, after a checkpoint of what is there. undo brings it back.

        name: The timeline's name
        plan_id: The plan_id that the planning action gave; nothing is done when the plan has changed since
        """

    def assess_risk(
        self,
        operation: str,
        kind: Literal["words", "shell", "sql", "git", "file", "tool"] | None = None,
    ) -> Assessment:
        """Say how dangerous an operation is before it is done, what it would hit, and what no checkpoint would cover.

        Ask when you are about to run a command that you are not sure of. Past failures that resemble it are reasons too.

        operation: What is to be done: in words, or the command, the SQL, the git command
        kind: What 'operation' is; told from the text if absent
        """

    def search_lessons(
        self,
        query: str = "",
        tags: Sequence[str] = (),
        limit: int = 10,
    ) -> Lessons:
        """Find what was learned from earlier work on this project. Do it before you start what may have been tried.

        query: What it is about, in words; all lessons if empty
        tags: Short words to find it by, such as 'migration' or 'release'
        limit: At most so many, the newest or best first
        """

    def add_lesson(
        self,
        situation: str,
        action: str,
        result: str,
        feedback: str = "",
        tags: Sequence[str] = (),
        checkpoint_before: str | None = None,
        checkpoint_after: str | None = None,
    ) -> LearnedLesson:
        """Write down what was learned, so that the next one who does this finds it. No secrets.

        situation: When this holds, such as 'migrating the orders table'
        action: What was done
        result: How it went; begin with 'success' or 'failure'
        feedback: What to do next time
        tags: Short words to find it by, such as 'migration' or 'release'
        checkpoint_before: The checkpoint of before: its id, its name, or '@' for the newest
        checkpoint_after: The checkpoint of after, given like that of before
        """

    def analyze_failure(
        self,
        operation: str,
        error: str,
        checkpoint_before: str | None = None,
    ) -> Analysis:
        """Find out what made something fail: read the error, rank what changed since the checkpoint, learn the lesson.

        operation: What is to be done: in words, or the command, the SQL, the git command
        error: The whole error text: traceback, test output, message of the compiler
        checkpoint_before: The checkpoint of before: its id, its name, or '@' for the newest
        """

    def status(self) -> Status:
        """Show what has changed since the newest checkpoint, what undo would take back, and whether a merge waits."""

    def list_memory(self) -> MemoryStores:
        """List the databases and other memory that checkpoints hold beside the files."""

    def verify(
        self,
        deep: bool = False,
    ) -> Problems:
        """Check that everything the checkpoints need is there and undamaged. Nothing is changed.

        deep: Read every stored byte too; takes long in a large store
        """
