"""Running a bisection: ends, rounds of tries, verdicts as they come, and what the first bad checkpoint changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from chronos.checkpoints import VerdictResult
from chronos.errors import (
    IntegrityError,
    StateError,
    TimelineExistsError,
    ToolFailedError,
    UnknownCheckpointError,
    UsageError,
)
from historian.bisecting.ends import Ends, find_ends, find_verdict
from historian.bisecting.results import Bisection, Request, Result, Try
from historian.bisecting.searching import Search
from historian.bisecting.workers import Workers

if TYPE_CHECKING:
    from pathlib import Path

    from chronos.catalog import CheckpointRow
    from chronos.engine import ChronosEngine

_MOST_JOBS = 64
# What a shell ends with when a command is not executable or not there (POSIX, 2.8.2).
_NOT_FOUND = (126, 127)
_IS_GOOD = {Result.GOOD: True, Result.BAD: False, Result.SKIPPED: None}
_VERDICTS = {Result.GOOD: VerdictResult.PASSED, Result.BAD: VerdictResult.FAILED}
_RESULTS = {verdict: result for result, verdict in _VERDICTS.items()}


def run_bisection(engine: ChronosEngine, request: Request, on_try: Callable[[Try], None] | None = None) -> Bisection:
    """Find the first checkpoint of a line at which a command fails; `on_try` is told of each try as it is done.

    Nothing of the user's tree, repository or memory stores is touched; whatever happens, no tree is left. Raises
    UsageError, UnknownCheckpointError, ToolFailedError when the command ends in a way that says nothing, OutsideError
    when it cannot be started, StateError when the bad end cannot be tried.
    """
    if not request.command:
        raise UsageError("which command?", hint="chrono bisect run -- CMD")
    if not 1 <= request.jobs <= _MOST_JOBS:
        raise UsageError(f"--jobs is 1 to {_MOST_JOBS}, not {request.jobs}")
    ends = find_ends(engine, request)
    with Workers(engine, request.command, request.jobs, request.seeds).open() as try_all:
        run = _Run(engine, request, ends, try_all, on_try or (lambda _: None))
        search = run.search()
    found = run.conclude(search)
    return msgspec.structs.replace(found, kept=_keep(engine, found)) if request.keeps else found


class _Run:
    """One bisection under way."""

    def __init__(
        self, engine: ChronosEngine, request: Request, ends: Ends,
        try_all: Callable[[Sequence[CheckpointRow]], Iterator[Try]], on_try: Callable[[Try], None],
    ) -> None:  # fmt: skip
        self._engine = engine
        self._request = request
        self._ends = ends
        self._try_all = try_all
        self._on_try = on_try
        self._tries: list[Try] = []
        self._by_state: dict[str, Try] = {}
        self._doubted: list[Try] = []
        self._was_found = False  # the command

    def search(self) -> Search | None:
        """Go through the rounds; return the search at its end, or None when nothing fails."""
        ends = self._ends
        search = Search(ends.floor - 1, ends.bad)  # what is before the floor counts as good, for want of anything else
        if ends.good is not None and ends.is_good_known:
            search.note(ends.good, True)
        checked = [] if ends.is_bad_known else [ends.bad]
        if not ends.is_good_known and (ends.good is not None or self._request.checks_ends) and ends.bad > ends.floor:
            checked.append(ends.floor if ends.good is None else ends.good)
        for some in [checked] if self._request.jobs > 1 else [[place] for place in checked]:
            results = self._ask(some)
            if results.get(ends.bad) is Result.GOOD:
                return None
            if results.get(ends.bad) is Result.SKIPPED:
                raise StateError(
                    f"the bad end, {ends.line[-1].checkpoint_id} ({ends.line[-1].name}), cannot be tried: "
                    f"{self._tries[-1].words.strip()[-200:] or 'the command skips it'}",
                    hint="name another one with --to",
                )
            self._note(search, results)
        while places := search.next_places(self._request.jobs) or self._places_for_doubt(search):
            self._note(search, self._ask(places))
        if self._doubted:
            one = self._doubted[0]
            raise ToolFailedError(
                f"the command ended with exit code {one.code} wherever it was tried, as one that is not found or not "
                f"executable: {one.words.strip()[-200:] or 'it said nothing'}",
                hint="a script that is not in every checkpoint is named by its absolute path",
            )
        return search

    def conclude(self, search: Search | None) -> Bisection:
        """Return what came of it, with what the first bad checkpoint changed."""
        line, engine = self._ends.line, self._engine
        timeline = self._request.timeline or engine.timeline
        found = Bisection(self._request.text, timeline, line, tuple(self._tries))
        if search is None:
            return found
        bad = line[search.bad]
        found = msgspec.structs.replace(
            found, first_bad=bad, last_good=line[search.good] if search.good >= self._ends.floor else None,
            candidates=tuple(line[place] for place in search.skipped),
            reversals=tuple((line[first], line[second]) for first, second in search.reversals()),
            is_older=search.good < self._ends.floor,
        )  # fmt: skip
        if search.bad == 0:
            return found
        before = line[search.bad - 1]
        found = msgspec.structs.replace(found, before=before)
        with suppress(IntegrityError, UnknownCheckpointError):  # gone or damaged: the answer stands without
            ids = before.checkpoint_id, bad.checkpoint_id
            found = msgspec.structs.replace(found, differences=engine.diff(*ids), stores=engine.diff_memory(*ids))
        return found

    def _ask(self, places: Sequence[int]) -> dict[int, Result]:
        """Return what is known of some places by now, trying those of which nothing is."""
        rows = {self._ends.line[place].checkpoint_id: place for place in places}
        found: dict[int, Result] = {}
        left = []
        for place in places:
            row = self._ends.line[place]
            known = self._find_known(row)
            if known is None:
                left.append(row)
            else:
                self._judge(known)
                self._take(known)
                found[place] = known.result
        for done in self._try_all(left):
            self._by_state.setdefault(done.row.state, done)
            self._judge(done)
            self._take(done)
            found[rows[done.row.checkpoint_id]] = done.result
        return found

    def _take(self, one: Try) -> None:
        self._tries.append(one)
        self._on_try(one)

    def _find_known(self, row: CheckpointRow) -> Try | None:
        same = self._by_state.get(row.state)
        if same is not None and same.result is not Result.SKIPPED:
            return Try(row, same.result, known=f"its state is that of {same.row.checkpoint_id}")
        verdict = find_verdict(self._engine, self._request, row) if self._request.reuses else None
        return Try(row, _RESULTS[verdict], known="by its verdict") if verdict is not None else None

    def _judge(self, done: Try) -> None:
        """Store the verdict; not yet of a command of which it is not known that it can be found at all."""
        if done.result is Result.GOOD or done.code not in (None, *_NOT_FOUND):
            self._was_found = True
        elif done.code is not None and not self._was_found:
            self._doubted.append(done)
            return
        if done.code is not None:
            self._keep_verdict(done)
        while self._was_found and self._doubted:
            self._keep_verdict(self._doubted.pop())

    def _places_for_doubt(self, search: Search) -> list[int]:
        """Return the good end, when it was not tried and all else ended as if there were no such command."""
        is_tried = any(self._ends.line[search.good].checkpoint_id == one.row.checkpoint_id for one in self._tries)
        return [search.good] if self._doubted and search.good >= self._ends.floor and not is_tried else []

    def _keep_verdict(self, done: Try) -> None:
        if not self._request.keeps_verdicts or done.result not in _VERDICTS:
            return
        row, verdict, metrics = done.row, _VERDICTS[done.result], {"seconds": round(done.run_s, 3)}
        with suppress(StateError, UnknownCheckpointError):  # it was deleted meanwhile
            self._engine.set_verdict(
                row.checkpoint_id, verdict, row.timeline, metrics=metrics, command=self._request.text
            )

    def _note(self, search: Search, results: dict[int, Result]) -> None:
        for place in sorted(results):
            if place != self._ends.bad:
                search.note(place, _IS_GOOD[results[place]])


def _keep(engine: ChronosEngine, found: Bisection) -> Path | None:
    """Branch a timeline from the first bad checkpoint, to look at; one of that name is there from another time."""
    if found.first_bad is None:
        return None
    name = f"bisect-{found.first_bad.checkpoint_id[:8]}"
    try:
        return engine.branch_timeline(name, found.first_bad.checkpoint_id).path
    except TimelineExistsError:
        return engine.timeline_path(name)
