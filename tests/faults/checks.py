"""What must hold after a fault, and nothing less: each check returns the violations that it finds, in words."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.faults.harness import Call, Outcome
from tests.faults.scenarios import Scenario, Workshop
from tests.faults.tree import STORE, TreeState, look_at_git

OUTSIDE_FAILED = 5
_CANNOT_BE_DONE = 3
# A failed call on these may pass unnoticed: the catalog (its folder is synced by SQLite, with fdatasync) and copies of
# indexes are caches, the stat refresh of an index is a comfort, locks carry no data, a trial of a patch is thrown away.
# Where git cannot link a pack into its name, it renames it.
_MAY_BE_SWALLOWED = re.compile(
    r"/\.store/(catalog|locks|index|tmp/[^/]+/(index|trial/)|journal/[^/]+\.trash/index)|^fdatasync .*/\.store$"
    r"|^link .*/objects/pack/pack-[0-9a-f]+\.(pack|idx)$"
)
_MAKES_DURABLE = ("fsync", "fdatasync", "syncfs", "rename", "renameat", "renameat2", "link", "linkat")


def check_recovery(workshop: Workshop, scenario: Scenario, root: Path, outcome: Outcome) -> list[str]:
    """Recover, then look at everything, then run the same command again (taken back first if it took effect)."""
    recovered = workshop.world.chrono(root, "recover", "--yes", "--json")
    violations = [] if recovered.exit_code == 0 else [f"recover: {recovered}"]
    state = workshop.look(root)
    violations += _check_state(scenario, state)
    violations += _check_user_git(workshop, scenario, root)
    violations += _check_litter(root)
    if scenario.mends:
        again = workshop.world.chrono(root, *scenario.arguments)
        violations += [] if again.exit_code == 0 else [f"the repair again: {again}"]
        violations += [] if (root / STORE / ".store/quarantine").is_dir() else ["nothing is in the quarantine"]
    verified = workshop.world.chrono(root, "verify", "--deep", "--json")
    if verified.exit_code != 0:
        violations.append(f"verify: {verified}")
    listed, complaints = _check_list(workshop, root, scenario.kept | _acknowledged(scenario, outcome))
    violations += complaints
    if state not in (scenario.old, scenario.new):  # from a third state the command would do something else
        return violations
    return violations + list(_check_retry(workshop, scenario, root, scenario.is_done(state, listed)))


def check_again(workshop: Workshop, scenario: Scenario, root: Path) -> list[str]:
    """Run the same command again at once: it is as if nobody had been killed, or it says that all is done already."""
    again = workshop.world.chrono(root, *scenario.arguments)
    state = workshop.look(root)
    violations = [f"not the new state: {difference}"] if (difference := state.difference(scenario.new)) else []
    if again.exit_code not in (0, _CANNOT_BE_DONE):
        violations.append(f"the same command again: {again}")
    recovered = workshop.world.chrono(root, "recover", "--yes", "--json")
    verified = workshop.world.chrono(root, "verify", "--deep", "--json")
    violations += [f"afterwards: {answer}" for answer in (recovered, verified) if answer.exit_code != 0]
    return violations + list(_check_litter(root)) + list(_check_user_git(workshop, scenario, root))


def check_refusal(outcome: Outcome, *, may_find: bool = False) -> list[str]:
    """After an injected error the command succeeded, or said in one line what failed outside.

    One that `may_find` something may also say that it did.
    """
    if "Traceback" in outcome.stderr + outcome.stdout:
        return [f"a traceback: {outcome.stderr[-2000:]}"]
    if outcome.exit_code == 0 or (may_find and outcome.exit_code == 1):
        return []
    violations = []
    if outcome.exit_code != OUTSIDE_FAILED:
        violations.append(f"exit code {outcome.exit_code} instead of {OUTSIDE_FAILED}: {outcome.stderr.strip()[-600:]}")
    try:
        error = json.loads(outcome.stderr)["error"]
    except (ValueError, KeyError, TypeError):
        return [*violations, f"stderr is not one error document: {outcome.stderr[-600:]!r}"]
    if not error.get("message") or "\n" in error["message"]:
        violations.append(f"the message is not one line: {error.get('message')!r}")
    return violations


def must_not_be_swallowed(call: Call) -> bool:
    """Tell whether a success would be a lie after this call failed: it makes data durable, or visible."""
    return call.name in _MAKES_DURABLE and not _MAY_BE_SWALLOWED.search(f"{call.name} {call.target}")


def check_not_swallowed(outcome: Outcome, point: int) -> list[str]:
    """No success is claimed when a call that makes data durable or visible failed."""
    call = outcome.calls[point - 1] if point <= len(outcome.calls) else None
    if outcome.exit_code != 0 or not outcome.hits or call is None or not must_not_be_swallowed(call):
        return []
    if call.name == "fsync" and _is_synced_already(outcome.calls[: point - 1], call.target):
        return []
    return [f"exit code 0 although {call} failed"]


def _is_synced_already(calls: Sequence[Call], folder: str) -> bool:
    """Tell whether nothing came into a folder since it was synced.

    Whoever meets packs for the first time syncs their folder, whoever published them; where that fails they are looked
    at again with an index in memory.
    """
    for call in reversed(calls):
        if call.target == folder and call.name == "fsync":
            return True
        if str(Path(call.target).parent) == folder:
            return False
    return False


def _check_state(scenario: Scenario, state: TreeState) -> Iterator[str]:
    if state in (scenario.old, scenario.new):
        return
    to_old, to_new = state.difference(scenario.old), state.difference(scenario.new)
    yield f"the tree is not the old state, which needs {to_old[:600]} -- nor the new one, which needs {to_new[:600]}"


def _check_user_git(workshop: Workshop, scenario: Scenario, root: Path) -> Iterator[str]:
    now = look_at_git(root, workshop.world.environment)
    parts = ["head", "config", "refs", "locks"]
    if scenario.leaves_tree_alone:  # and so the index as well
        parts.append("index")
    for part in parts:
        before, after = getattr(scenario.user_git, part), getattr(now, part)
        if before != after:
            yield f"the user's git {part} changed: {before!r} -> {after!r}"


def _check_litter(root: Path) -> Iterator[str]:
    """Nothing unfinished may lie around after `recover`: scratch folders, journals, temporary names anywhere."""
    system = root / STORE / ".store"
    left = [path for name in ("tmp", "journal") for path in (system / name).rglob("*")]
    left += [path for path in root.rglob("*.tmp") if path not in left]
    logged = (system / "operations.jsonl").read_text() if (system / "operations.jsonl").exists() else ""
    left += [path for path in (root / STORE).glob("*/.removed-*") if path.name.removeprefix(".removed-") not in logged]
    left += [path for path in (root / STORE).glob("[!.]*") if path.name != "main" and not _holds_anything(path)]
    if left:
        yield f"litter after recover: {sorted(path.relative_to(root).as_posix() for path in left)}"


def _holds_anything(timeline: Path) -> bool:
    """Tell whether there are checkpoints, or packs that no checkpoint came to need, which gc takes."""
    return any(any(timeline.glob(name)) for name in ("*/checkpoint.json", ".deleted/*/checkpoint.json", "packs/*.pack"))


def _check_list(workshop: Workshop, root: Path, expected: frozenset[str]) -> tuple[frozenset[str], list[str]]:
    """Return the listed ids, and what is wrong with them."""
    answer = workshop.world.chrono(root, "checkpoint", "list", "--all", "--json")
    if answer.exit_code != 0:
        return frozenset(), [f"checkpoint list: {answer}"]
    listed = frozenset(row["checkpoint_id"] for row in answer.document()["checkpoints"])
    missing = sorted(expected - listed)
    return listed, [f"acknowledged checkpoints are lost: {missing}"] if missing else []


def _acknowledged(scenario: Scenario, outcome: Outcome) -> frozenset[str]:
    """Return the id that the interrupted command managed to print, if it creates checkpoints."""
    if not {"create", "import"} & set(scenario.arguments):
        return frozenset()
    try:
        return frozenset({json.loads(outcome.stdout)["checkpoint_id"]})
    except (ValueError, KeyError, TypeError):
        return frozenset()


def _check_retry(workshop: Workshop, scenario: Scenario, root: Path, is_done: bool) -> Iterator[str]:
    """Take the command back if it took effect, then run it again: it must reach its own new state."""
    if is_done and scenario.reverse:
        yield from _check_reverse(workshop, scenario, root)
    again = workshop.world.chrono(root, *scenario.arguments)
    if again.exit_code != 0:
        yield f"the same command again: {again}"
    elif scenario.reaches_new and (difference := workshop.look(root).difference(scenario.new)):
        yield f"the same command again did not reach the new state: {difference}"
    listed, complaints = _check_list(workshop, root, scenario.kept)
    yield from complaints
    if scenario.adds is not None:
        yield from _check_arrival(workshop, scenario, root, scenario.adds)
    if scenario.removes & listed:
        yield f"still listed after the same command again: {sorted(scenario.removes & listed)}"


def _check_arrival(workshop: Workshop, scenario: Scenario, root: Path, checkpoint: str) -> Iterator[str]:
    """What came in from elsewhere is listed and whole: it can be written out, and the store verifies."""
    yield from _check_list(workshop, root, scenario.kept | {checkpoint})[1]
    out = root.with_name(f"{root.name}-out")
    written = workshop.world.chrono(root, "checkpoint", "restore", checkpoint, "--into", str(out), "--json")
    if written.exit_code != 0 or not (out / "same.txt").is_file() or not (out / "new/deep/file.txt").is_file():
        yield f"the imported checkpoint cannot be written out: {written}"
    shutil.rmtree(out, ignore_errors=True)
    verified = workshop.world.chrono(root, "verify", "--json")
    if verified.exit_code != 0:
        yield f"verify after the import: {verified}"


def _check_reverse(workshop: Workshop, scenario: Scenario, root: Path) -> Iterator[str]:
    back = workshop.world.chrono(root, *scenario.reverse)
    if back.exit_code != 0:
        yield f"{scenario.reverse[0]} after it: {back}"
    elif difference := workshop.look(root).difference(scenario.old):
        yield f"{scenario.reverse[0]} after it did not lead back to the old state: {difference}"
    if scenario.removes:
        yield from _check_list(workshop, root, scenario.removes)[1]
