"""Each command, cut short at every call that could change something, leaves the old state or the new one and no damage.

A create, restore, undo, delete, gc and import are killed around every new, moved or removed name, and at 60 calls or
wherever the disk is another than at the call before. What branches, merges or deletes timelines is so as soon as that
is written down. Other commands and faults are sampled. `CHRONO_FAULT_STEP=k` takes every k-th call of all (1: each of
them), `CHRONO_FAULT_POINTS=57,58` just these, to replay a failure. What ran is printed at the end of the run and stored
with each test as "fault points".
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.faults import strace_log
from tests.faults.checks import (
    OUTSIDE_FAILED,
    check_again,
    check_not_swallowed,
    check_recovery,
    check_refusal,
)
from tests.faults.harness import KILL, KILL_AFTER, Call, Killpoint, Outcome, TracerError, fail_from_then_on, fail_once
from tests.faults.points import Choice, at_turns, chosen, every, every_state, moves, once_begun, promises
from tests.faults.scenarios import NAMES, Scenario, Workshop
from tests.faults.summary import POINTS
from tests.faults.timeline_scenarios import BUILDERS

EIO, ENOSPC, EROFS = 5, 28, 30
KILL_STEP, ERROR_STEP = 20, 96
# A kill behind a call mostly finds what the kill before the next one does, and errors take the same few ways out.
MOST_BEHIND, MOST_ERRORS = 8, 4
KILLED_EVERYWHERE = ("create", "restore", "undo", "delete", "gc", "import")
RUN_AGAIN, AGAIN_STEP = ("branch", "timeline-delete", "merge"), 20
_SHOWN_VIOLATIONS = 12
_ATTEMPTS = 3
_WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
_THREADS = max(1, (os.cpu_count() or 1) // _WORKERS)
# One worker builds a scenario and runs all of its tests.
EACH_COMMAND = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.xdist_group(f"faults-{name}")) for name in NAMES]
)
_RANDOM_NAMES = re.compile(
    r"(?<=^/tmp/)(chronos-db-)?\w{8}$|[0-9a-f]{8,}|\.\d+\.tmp$|(?<=/tmp_)(obj|pack|idx)_\w{6}$|(?<=/t)\w{6}$"
)
Check = Callable[[Workshop, Scenario, Path, Outcome, int], list[str]]
Strike = Callable[[str, str, Check, Choice], None]


@pytest.fixture(scope="session")
def workshop(killpoint: Killpoint, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    """The prepared repositories, shared by all tests here: each test works on copies."""
    workshop = Workshop(tmp_path_factory.mktemp("workshop"), killpoint)
    yield workshop
    workshop.world.close()


@dataclass(frozen=True)
class Battery:
    """One action against one command at many points."""

    workshop: Workshop
    scenario: Scenario
    action: str
    check: Check
    folder: Path

    def strike_all(self, points: Sequence[int]) -> tuple[str, list[str]]:
        """Strike at all `points`, several at a time; return what ran, for the report, and every violation."""
        self.scenario.copy_to(*map(self._root, points))
        with ThreadPoolExecutor(_THREADS) as threads:
            results = list(threads.map(self.strike, points))
        violations = [violation for _, found in results for violation in found]
        struck = sum(hits > 0 for hits, _ in results)
        if not struck:
            violations.append("no point was reached: nothing was tested")
        what, of = f"{self.scenario.name} {self.action}", len(self.scenario.calls)
        return f"{what}: {len(points)} of {of} points ran, {struck} struck, {len(violations)} violations", violations

    def strike(self, point: int) -> tuple[int, list[str]]:
        """Run the command with the fault on its copy; return how often it struck and what is wrong afterwards."""
        root = self._root(point)
        try:
            outcome = self.workshop.trace(root, self.scenario.arguments, point=point, action=self.action)
        except TracerError as trouble:
            return 0, [str(trouble)]
        violations = self.check(self.workshop, self.scenario, root, outcome, point)
        if not violations:
            shutil.rmtree(root)
        where = f"{self.scenario.name} {self.action} at {outcome.call_at(point)}"
        return outcome.hits, [f"{where}\n    {violation}" for violation in violations]

    def _root(self, point: int) -> Path:
        return self.folder / f"point{point}"


@pytest.fixture
def strike(workshop: Workshop, tmp_path: Path, record_property: Callable[[str, object], None]) -> Strike:
    """A function that runs the chosen points, reports what ran, and fails with the violations."""

    def strike(name: str, action: str, check: Check, choose: Choice) -> None:
        scenario = workshop.scenario(name)
        points = chosen(choose, scenario.calls)
        summary, violations = Battery(workshop, scenario, action, check, tmp_path).strike_all(points)
        record_property(POINTS, summary)
        shown = "\n".join(violations[:_SHOWN_VIOLATIONS])
        assert not violations, f"{summary}; repositories are kept in {tmp_path}\n{shown}"

    return strike


def _after_kill(workshop: Workshop, scenario: Scenario, root: Path, outcome: Outcome, _point: int) -> list[str]:
    """The tracer killed everything (or the command ended before the point), so only the disk can tell."""
    return check_recovery(workshop, scenario, root, outcome)


def _when_run_again(workshop: Workshop, scenario: Scenario, root: Path, _outcome: Outcome, _point: int) -> list[str]:
    return check_again(workshop, scenario, root)


def _after_error(workshop: Workshop, scenario: Scenario, root: Path, outcome: Outcome, point: int) -> list[str]:
    """The command lived on: it must also say what happened, and may not claim a success that it does not have."""
    violations = check_refusal(outcome, may_find=scenario.mends) + check_not_swallowed(outcome, point)
    claims_new = outcome.exit_code == 0 and scenario.reaches_new
    if claims_new and (difference := workshop.look(root).difference(scenario.new)):
        violations.append(f"exit code 0, but the tree is not the new state: {difference}")
    return violations + check_recovery(workshop, scenario, root, outcome)


def _only_the_claim(_w: Workshop, _scenario: Scenario, _root: Path, outcome: Outcome, point: int) -> list[str]:
    return check_not_swallowed(outcome, point)


@pytest.mark.parametrize("action", [KILL, KILL_AFTER])
@EACH_COMMAND
def test_a_killed_command_leaves_the_old_state_or_the_new_one(strike: Strike, name: str, action: str) -> None:
    """Killed before or behind a call; sampled runs take different points for the two."""
    if action == KILL_AFTER:
        choose = every_state(KILL_STEP, KILL_STEP // 2, behind=True, most=MOST_BEHIND)
    elif name in KILLED_EVERYWHERE:
        choose = at_turns
    elif name in BUILDERS:
        choose = once_begun(KILL_STEP)
    else:
        choose = every_state(KILL_STEP, 0, behind=False)
    strike(name, action, _after_kill, choose)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.xdist_group(f"faults-{name}")) for name in RUN_AGAIN]
)
def test_the_same_command_works_at_once_after_a_kill(strike: Strike, name: str) -> None:
    """Nothing that git or we left half-made is in the way; `git worktree add` by itself fails at most points."""
    strike(name, KILL, _when_run_again, every_state(AGAIN_STEP, AGAIN_STEP // 2, behind=False))


@pytest.mark.parametrize("error", [ENOSPC, EIO])
@EACH_COMMAND
def test_a_failing_call_is_reported_and_leaves_no_damage(strike: Strike, name: str, error: int) -> None:
    """One call fails, the rest of the machine is fine: exit code 5 with one line, or a success that is one."""
    strike(name, fail_once(error), _after_error, every(ERROR_STEP, error, MOST_ERRORS))


@pytest.mark.parametrize("error", [ENOSPC, EIO])
@EACH_COMMAND
def test_a_disk_that_stays_broken_is_reported_and_leaves_no_damage(strike: Strike, name: str, error: int) -> None:
    """From some call on nothing can be written, so not even cleaning up works; later the disk is fine again."""
    strike(name, fail_from_then_on(error), _after_error, every(ERROR_STEP, error + ERROR_STEP // 2, MOST_ERRORS))


@EACH_COMMAND
def test_a_success_is_never_claimed_after_a_failed_sync_or_rename(strike: Strike, name: str) -> None:
    """Every call that makes data durable or visible fails once; this is cheap, so no point is left out."""
    strike(name, fail_once(EIO), _only_the_claim, promises)


@pytest.mark.parametrize("action", [KILL_AFTER, fail_once(ENOSPC)])
@pytest.mark.xdist_group("faults-restore-memory")
def test_memory_comes_whole_with_the_rest_of_a_restore(strike: Strike, action: str) -> None:
    """A restore replaces a folder, and files beside it, among others: behind each step all or nothing is there."""
    strike("restore-memory", action, _after_kill if action == KILL_AFTER else _after_error, moves)


@EACH_COMMAND
def test_a_command_makes_the_same_calls_however_it_is_started(workshop: Workshop, name: str, tmp_path: Path) -> None:
    """Faults strike processes that were forked ready to run: whatever is found there holds for one started cold."""
    scenario, roots = workshop.scenario(name), [tmp_path / f"warm{number}" for number in range(_ATTEMPTS)]
    scenario.copy_to(*roots)
    cold = _what_is_done(scenario.calls, scenario.prepared.with_name(f"{name}-undisturbed"))
    found = []
    for root in roots:  # how often git refreshes an index depends on when it looks
        found.append(_what_is_done(workshop.trace(root, scenario.arguments).calls, root) ^ cold)
        if not found[-1]:
            return
    assert not found


@EACH_COMMAND
def test_a_command_changes_nothing_that_the_tracer_does_not_see(workshop: Workshop, name: str, tmp_path: Path) -> None:
    """With every counted call refused, each byte stays: the points really are all places where a crash matters."""
    root = tmp_path / "refused"
    scenario = workshop.scenario(name)
    scenario.copy_to(root)
    before = _every_byte(root)
    outcome = workshop.trace(root, scenario.arguments, point=1, action=fail_from_then_on(EROFS))
    assert _every_byte(root) == before
    assert outcome.exit_code == OUTSIDE_FAILED
    assert not check_refusal(outcome)


@EACH_COMMAND
def test_a_command_makes_no_system_call_of_an_unknown_kind(
    workshop: Workshop, killpoint: Killpoint, name: str, tmp_path: Path
) -> None:
    """Every name that strace sees is judged, and the only writable shared mapping is SQLite's own."""
    if strace_log.find_strace() is None:
        pytest.skip("strace is missing: nothing to compare the tracer with")
    root, world = tmp_path / "watched", workshop.world
    scenario = workshop.scenario(name)
    scenario.copy_to(root)
    argv = world.argv(root, scenario.arguments)
    seen = strace_log.run(argv, cwd=root, environment=world.environment, folder=tmp_path / "strace")
    assert not sorted({call.name for call in seen} - strace_log.HARMLESS - killpoint.names())
    mapped = {call.target for call in seen if call.name == "mmap" and "PROT_WRITE, MAP_SHARED" in call.arguments}
    assert not {target for target in mapped if target and not target.endswith("-shm")}


def _every_byte(root: Path) -> dict[str, object]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes() if path.is_file() else path.lstat().st_mode
        for path in root.rglob("*")
    }


def _what_is_done(calls: Sequence[Call], root: Path) -> set[str]:
    """Return the calls without numbers of processes and random names."""
    return {f"{call.name} {_RANDOM_NAMES.sub('*', call.target.removeprefix(str(root)))}" for call in calls}
