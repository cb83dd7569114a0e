"""`chrono gc`, `du`, `checkpoint pin` and `tag` as people and programs meet them."""

from __future__ import annotations

import os

import pytest

from tests.cli.conftest import Program
from tests.support import RepoBuilder

ONLY_NEWEST = {
    "CHRONOS_MAX_CHECKPOINTS_PER_TIMELINE": "1",
    **{f"CHRONOS_KEEP_{rule}": "0" for rule in ("LAST", "HOURLY", "DAILY", "WEEKLY")},
}


@pytest.fixture
def ids(chrono: Program, repo: RepoBuilder) -> list[str]:
    found = []
    for number in range(3):
        repo.write("data.bin", os.urandom(50_000))
        found.append(chrono.create(f"number {number}"))
    return found


def test_gc_shows_its_plan_and_needs_a_yes_without_a_terminal(chrono: Program, ids: list[str]) -> None:
    refused = chrono.run("gc", "--named", **ONLY_NEWEST)
    assert refused.code == 7
    plan = chrono.good("gc", "--named", "--plan", "--json", **ONLY_NEWEST).json
    assert [row["goes"] for row in plan["checkpoints"]] == [False, True, True]
    assert plan["checkpoints"][1]["reasons"] == ["1 are newer"]
    assert "newest of its timeline" in plan["checkpoints"][0]["reasons"]
    assert plan["freed_bytes"] > 100_000
    assert len(chrono.good("checkpoint", "list", "--json").json["checkpoints"]) == 3
    done = chrono.good("gc", "--named", "--yes", "--json", **ONLY_NEWEST).json
    assert done["problems"] == []
    assert done["plan_id"] == plan["plan_id"]
    assert [row["checkpoint_id"] for row in chrono.good("checkpoint", "list", "--json").json["checkpoints"]] == ids[2:]


def test_gc_asks_on_a_terminal_and_no_means_no(chrono: Program, ids: list[str]) -> None:
    said = chrono.on_terminal("gc", "--named", answers=[("[y/N]", "n\n")], **ONLY_NEWEST)
    assert said.code == 7
    assert "2 to remove, 1 to keep" in said.out
    assert chrono.on_terminal("gc", "--named", answers=[("[y/N]", "y\n")], **ONLY_NEWEST).code == 0
    assert len(chrono.good("checkpoint", "list", "--json").json["checkpoints"]) == 1


def test_gc_that_could_not_do_everything_exits_with_one(chrono: Program, repo: RepoBuilder, ids: list[str]) -> None:
    manifest = repo.store / "main" / ids[0] / "checkpoint.json"
    manifest.write_bytes(b"damaged")
    done = chrono.run("gc", "--yes", "--json")
    assert done.code == 1
    assert ids[0] in done.json["problems"][0]


def test_du_tells_own_bytes_from_shared_ones(chrono: Program, ids: list[str]) -> None:
    found = chrono.good("du", "--json").json
    assert {row["checkpoint_id"] for row in found["checkpoints"]} == set(ids)
    assert all(row["unique_bytes"] > 50_000 for row in found["checkpoints"])
    assert found["timelines"][0]["timeline"] == "main"
    assert found["dead_bytes"] == 0
    assert "quota" not in chrono.good("du", CHRONOS_QUOTA_BYTES="0").err
    assert "own" in chrono.good("du").out.lower()


def test_pins_and_tags_show_in_lists_and_keep_from_gc(chrono: Program, ids: list[str]) -> None:
    assert chrono.good("checkpoint", "pin", ids[0], "--json").json["pinned"] is True
    assert chrono.good("checkpoint", "tag", "number 1", "green", "release", "--json").json["tags"] == [
        "green",
        "release",
    ]
    listing = chrono.good("checkpoint", "list").out
    assert "manual, pinned" in listing
    assert "green, release" in listing
    assert chrono.good("checkpoint", "search", "relea", "--json").json["checkpoints"][0]["checkpoint_id"] == ids[1]
    assert chrono.good("gc", "--named", "--plan", "--json", **ONLY_NEWEST).json["freed_bytes"] == 0
    chrono.good("checkpoint", "unpin", ids[0])
    chrono.good("checkpoint", "tag", ids[1], "green", "release", "--remove")
    chrono.good("gc", "--named", "--yes", **ONLY_NEWEST)
    assert len(chrono.good("checkpoint", "list", "--json").json["checkpoints"]) == 1


def test_a_quota_that_is_exceeded_has_its_own_code_and_says_what_to_do(chrono: Program, ids: list[str]) -> None:
    refused = chrono.run("checkpoint", "create", "too much", "--json", CHRONOS_QUOTA_BYTES="100000")
    assert refused.code == 7
    assert refused.error["code"] == "quota_exceeded"
    assert "chrono" in refused.error["hint"]
