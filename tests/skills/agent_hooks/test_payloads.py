"""Every recorded payload, through the real process: what it is answered with, and which checkpoint it leaves."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from skills.agent_hooks import AGENTS, registrations
from skills.agent_hooks.agents import Moment, find_moment
from skills.agent_hooks.events import parse_event
from tests.skills.agent_hooks.conftest import PAYLOADS, Hook, furnish, read_payload
from tests.support import RepoBuilder, make_home, sealed_environment

NAMES = sorted(str(path.relative_to(PAYLOADS).with_suffix("")) for path in PAYLOADS.rglob("*.json"))
READS = ("Read", "view", "read_file", "Agent", "reads")
_TIME_LIMIT_S = 30


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hook]:
    """One repository for all of them."""
    folder = tmp_path_factory.mktemp("payloads")
    repo = RepoBuilder(folder / "repo", sealed_environment(make_home(folder / "home")))
    furnish(repo)
    yield Hook(repo)
    repo.close()


def beginning_of_name(name: str) -> str:
    """Return what the checkpoint is called that a payload leaves, "" for one that leaves none."""
    agent, _, rest = name.partition("/")
    event = parse_event(agent, read_payload(name, Path("/project")))
    if event.moment is Moment.TOOL:
        return "" if rest.rpartition(".")[2] in READS else "before "
    return {Moment.PROMPT: "prompt: ", Moment.STOP: f"after {agent} "}.get(event.moment or Moment.OTHER, "")


@pytest.mark.parametrize("name", NAMES)
def test_a_payload_leaves_the_checkpoint_that_its_event_asks_for(shared: Hook, name: str) -> None:
    shared.tree.write("a.txt", f"before {name}\n")
    known = shared.names()
    output, _ = shared.run(name.partition("/")[0], read_payload(name, shared.tree.root), CHRONOS_AUTO_GC="false")
    assert output == "" or "systemMessage" in output
    wanted = beginning_of_name(name)
    end = time.monotonic() + _TIME_LIMIT_S
    while wanted and shared.names() == known and time.monotonic() < end:
        time.sleep(0.02)  # what nobody waits for is done in the background
    new = shared.names()[: len(shared.names()) - len(known)]
    assert len(new) == bool(wanted)
    assert all(one.startswith(wanted) for one in new)


def test_every_event_that_an_agent_is_set_up_to_send_is_recorded() -> None:
    for agent in AGENTS:
        recorded = {name.partition("/")[2].partition(".")[0] for name in NAMES if name.startswith(f"{agent}/")}
        assert {one.event for one in registrations(agent)} <= recorded
        assert all(find_moment(agent, one.event) not in (None, Moment.OTHER) for one in registrations(agent))


def test_copilots_own_form_tells_its_event_by_its_fields() -> None:
    own = [name for name in NAMES if name.startswith("copilot/") and name[8].islower()]
    found = {name: parse_event("copilot", read_payload(name, Path("/project"))).name for name in own}
    assert found == {name: name.removeprefix("copilot/").partition(".")[0] for name in own}
