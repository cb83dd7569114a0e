"""`chrono memory` and the memory parts of other commands, as a person or a script uses them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Program
from tests.support import RepoBuilder
from tests.support.databases import add_notes, make_notes, read_notes

DB = "data/memory/agent.db"


@pytest.fixture
def memory(repo: RepoBuilder) -> RepoBuilder:
    repo.write("app.py", "1\n")
    repo.commit()
    make_notes(repo.path(DB))
    return repo


def test_what_is_covered_is_listed_with_its_tables(memory: RepoBuilder, chrono: Program) -> None:
    found = chrono.good("memory", "list", "--tables", "--json").json["stores"]
    assert [(store["name"], store["kind"], store["declared"]) for store in found] == [("agent.db", "sqlite", False)]
    assert {table["name"]: table["rows"] for table in found[0]["tables"]} == {"notes": 20, "totals": 1}
    assert "agent.db" in chrono.good("memory", "list").out


def test_a_store_is_declared_and_taken_back(memory: RepoBuilder, chrono: Program, tmp_path: Path) -> None:
    outside = make_notes(tmp_path / "far" / "notes.db")
    assert chrono.good("memory", "add", str(outside), "--name", "far", "--json").json == {
        "name": "far", "kind": "sqlite", "path": str(outside), "declared": True, "notices": [],
    }  # fmt: skip
    assert "far" in chrono.good("memory", "list").out
    chrono.good("memory", "remove", "far")
    assert "far" not in chrono.good("memory", "list").out
    result = chrono.run("memory", "remove", "far", "--json")
    assert (result.code, result.error["code"]) == (2, "unknown_store")


def test_what_is_declared_as_a_kind_that_it_is_not_says_so(memory: RepoBuilder, chrono: Program) -> None:
    memory.write("state/notes.db", "no database\n")
    said = chrono.good("memory", "add", "state/notes.db", "--kind", "sqlite", "--json").json["notices"]
    assert ["notes.db is no sqlite store now" in notice for notice in said] == [True]


def test_what_cannot_be_declared_says_why(memory: RepoBuilder, chrono: Program) -> None:
    for words, code in (
        (("add", "nowhere.db"), "bad_path"),
        (("add", DB, "--kind", "oracle"), "unknown_kind"),
        (("add", DB, "--name", "../evil"), "bad_config"),
        (("add", "/etc"), "bad_config"),
        (("add", "."), "bad_config"),
    ):
        result = chrono.run("memory", *words, "--json")
        assert (result.code, result.error["code"]) == (2, code), words
        assert result.error["hint"] or code == "bad_config"


def test_a_checkpoint_shows_its_memory_and_differs_by_rows(memory: RepoBuilder, chrono: Program) -> None:
    first = chrono.create("first")
    shown = chrono.good("checkpoint", "show", first, "--json").json
    assert [(store["name"], store["kind"], store["files"]) for store in shown["memory"]] == [("agent.db", "sqlite", 1)]
    assert "agent.db" in chrono.good("checkpoint", "show", first).out
    add_notes(memory.path(DB), "later")
    found = chrono.good("memory", "diff", first, "--json").json["stores"]
    assert [(table["name"], table["added"], table["removed"]) for table in found[0]["tables"]] == [
        ("notes", 1, 0), ("totals", 1, 1),
    ]  # fmt: skip
    assert "+1" in chrono.good("memory", "diff", first).out
    assert [store["status"] for store in chrono.good("checkpoint", "diff", first, "--json").json["stores"]] == ["M"]
    assert "memory: agent.db" in chrono.good("checkpoint", "diff", first).out
    assert "memory: agent.db" in chrono.good("status").out


def test_a_plan_shows_stores_and_a_restore_names_them(memory: RepoBuilder, chrono: Program) -> None:
    first = chrono.create("first")
    add_notes(memory.path(DB), "later")
    plan = chrono.good("checkpoint", "restore", first, "--plan", "--json").json
    assert [(store["name"], store["action"]) for store in plan["stores"]] == [("agent.db", "replace")]
    assert "is replaced as a whole" in chrono.good("checkpoint", "restore", first, "--plan").out
    done = chrono.good("checkpoint", "restore", first, "--memory", "--yes", "--json").json
    assert done["stores"] == ["agent.db"]
    assert len(read_notes(memory.path(DB))) == 20
    assert "memory: agent.db" in chrono.good("undo", "--yes").out
    assert len(read_notes(memory.path(DB))) == 21


def test_a_plain_copy_is_extracted(memory: RepoBuilder, chrono: Program, tmp_path: Path) -> None:
    first = chrono.create("first")
    add_notes(memory.path(DB), "later")
    found = chrono.good("memory", "extract", first, "agent.db", str(tmp_path / "out"), "--json").json
    assert len(read_notes(Path(found["path"]))) == 20
    full = chrono.run("memory", "extract", first, "agent.db", str(tmp_path / "out"), "--json")
    assert (full.code, full.error["code"]) == (7, "target_not_empty")
    unknown = chrono.run("memory", "extract", first, "nobody", str(tmp_path / "other"), "--json")
    assert (unknown.code, unknown.error["code"]) == (2, "unknown_store")
    assert not (tmp_path / "other").exists()


def test_settings_for_everybody_are_obeyed(memory: RepoBuilder, chrono: Program) -> None:
    make_notes(memory.path("state/other.db"))
    memory.write("chronos.toml", '[memory]\nother = "state/other.db"\n')
    found = chrono.good("memory", "list", "--json").json["stores"]
    assert {(store["name"], store["declared"]) for store in found} == {("agent.db", False), ("other", True)}
    memory.write("chronos.toml", "memory = 3\n")
    result = chrono.run("memory", "list", "--json")
    assert (result.code, result.error["code"]) == (2, "bad_config")
    memory.write("chronos.toml", '[memory]\nother = "state/other.db"\n')
    assert chrono.good("init", "--json").json["config"]["memory"]["other"]["path"] == "state/other.db"
