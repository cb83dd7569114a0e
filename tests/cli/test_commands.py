"""What each command says, to people and as JSON."""

from __future__ import annotations

import os

from tests.cli.conftest import Program
from tests.support import RepoBuilder


def test_create_prints_id_name_changed_files_and_grade_on_one_line(chrono: Program, repo: RepoBuilder) -> None:
    repo.write("new.txt", "new\n")
    result = chrono.good("checkpoint", "create", "before_migration")
    checkpoint_id, name, changed, grade = result.out.strip().split("  ")
    assert len(checkpoint_id) == 16
    assert (name, changed, grade) == ("before_migration", "1 changed file", "complete")


def test_create_counts_ignored_files_and_names_what_makes_it_partial(chrono: Program, repo: RepoBuilder) -> None:
    repo.write(".gitignore", "*.log\n")
    repo.write("x.log", "noise")
    repo.write(".env", "TOKEN=1")
    repo.write("big.bin", b"x" * 5000)
    os.mkfifo(repo.path("pipe"))
    result = chrono.good("checkpoint", "create", "partial one", CHRONOS_MAX_FILE_BYTES="4096")
    assert result.out.splitlines()[0].endswith("partial")
    assert "1 ignored" in result.out
    assert "x.log" not in result.out
    rows = [line.split() for line in result.out.splitlines()[2:]]
    assert ["secret", ".env", "7", "B"] in rows
    assert ["too", "large", "big.bin", "4.9", "KiB"] in rows


def test_create_as_json_has_the_promised_keys(chrono: Program, repo: RepoBuilder) -> None:
    repo.write(".env", "TOKEN=1")
    document = chrono.good("checkpoint", "create", "one", "-d", "why", "--tag", "x", "--tag", "y", "--json").json
    assert document["created"] is True
    assert document["grade"] == "partial"
    assert (document["name"], document["timeline"]) == ("one", "main")
    assert document["created_at"].endswith("Z")
    assert {"path": ".env", "reason": "secret", "bytes": 7}.items() <= document["receipt"][0].items()
    listed = chrono.good("checkpoint", "list", "--json").json["checkpoints"][0]
    assert listed["checkpoint_id"] == document["checkpoint_id"]
    assert (listed["description"], listed["tags"], listed["trigger"]) == ("why", ["x", "y"], "manual")
    assert {"parent", "created_at", "files_changed", "timeline", "name"} <= listed.keys()


def test_list_shows_the_newest_fifty_unless_told_otherwise(chrono: Program, repo: RepoBuilder) -> None:
    engine = repo.engine()
    for number in range(52):
        engine.create_checkpoint(f"number {number}")
    lines = chrono.good("checkpoint", "list").out.splitlines()
    assert len(lines) == 51
    assert "number 51" in lines[1]
    document = chrono.good("checkpoint", "list", "--json", "--limit", "3").json
    assert ([row["name"] for row in document["checkpoints"]], document["total"]) == (
        ["number 51", "number 50", "number 49"], 52,
    )  # fmt: skip
    assert len(chrono.good("checkpoint", "list", "--all").out.splitlines()) == 53


def test_list_before_the_first_checkpoint_is_empty_and_fine(chrono: Program, repo: RepoBuilder) -> None:
    assert chrono.good("checkpoint", "list", "--json").json["checkpoints"] == []
    assert chrono.good("checkpoint", "list").out == "no checkpoints\n"
    assert not repo.exists("data")


def test_list_in_a_pipe_has_aligned_columns_and_cuts_nothing_off(chrono: Program) -> None:
    name = "x" * 120
    chrono.create(name)
    chrono.create("日本語 名前")
    head, first, second = chrono.good("checkpoint", "list", COLUMNS="40").out.splitlines()
    assert name in second
    place = head.index("CREATED")
    assert second[place:].startswith("20")
    assert first.index("  20") + 2 == place - 5  # five wide characters take ten cells
    assert "\x1b" not in head + first + second


def test_show_says_what_the_checkpoint_is(chrono: Program, repo: RepoBuilder) -> None:
    repo.write("a.txt", "changed\n")
    checkpoint_id = chrono.create("one", "-d", "line 1\nline 2", "--tag", "t")
    text = chrono.good("checkpoint", "show", checkpoint_id[:6]).out
    for part in (checkpoint_id, "one", "line 1", "line 2", "complete", "on main", "1 changed"):
        assert part in text
    document = chrono.good("checkpoint", "show", "one", "--json").json
    assert document["code"][0]["base"] == repo.head()
    assert document["folder"].endswith(checkpoint_id)
    assert {"fs_diff.patch.zst", "git_status.txt", "env_config.json"} == document["members"].keys()


def test_diff_names_the_paths_that_changed_since(chrono: Program, repo: RepoBuilder) -> None:
    chrono.create("one")
    repo.write("a.txt", "changed\n")
    repo.remove("b.txt")
    repo.write("sub/c.txt", "new\n")
    result = chrono.good("checkpoint", "diff", "one")
    assert result.out.splitlines() == ["M  a.txt", "D  b.txt", "A  sub/c.txt"]
    rows = chrono.good("checkpoint", "diff", "one", "--json").json["differences"]
    assert [(row["status"], row["path"]) for row in rows] == [("M", "a.txt"), ("D", "b.txt"), ("A", "sub/c.txt")]
    assert chrono.good("checkpoint", "diff", "one", "--path", "sub").out == "A  sub/c.txt\n"


def test_diff_between_two_checkpoints_does_not_look_at_the_tree(chrono: Program, repo: RepoBuilder) -> None:
    chrono.create("one")
    repo.write("a.txt", "changed\n")
    chrono.create("two")
    repo.write("b.txt", "later\n")
    assert chrono.good("checkpoint", "diff", "one", "two").out == "M  a.txt\n"
    assert chrono.good("checkpoint", "diff", "two", "one", "--stat").out.splitlines()[-1] == "1 file, +1 -1"


def test_diff_patch_is_one_that_git_applies(chrono: Program, repo: RepoBuilder) -> None:
    chrono.create("one")
    repo.write("a.txt", "changed\r\nand more\n")
    chrono.create("two")
    patch = chrono.good("checkpoint", "diff", "one", "two", "--patch").out
    repo.write("a.txt", "one\n")
    repo.git("apply", "-", input=patch.encode())
    assert repo.read("a.txt") == b"changed\r\nand more\n"


def test_diff_json_carries_line_counts_and_patches(chrono: Program, repo: RepoBuilder) -> None:
    chrono.create("one")
    repo.write("a.txt", "changed\n")
    row = chrono.good("checkpoint", "diff", "one", "--patch", "--json").json["differences"][0]
    assert (row["status"], row["added"], row["removed"], row["binary"]) == ("M", 1, 1, False)
    assert "+changed\n" in row["patch"]
    assert "patch" not in chrono.good("checkpoint", "diff", "one", "--stat", "--json").json["differences"][0]


def test_diff_without_differences_says_so_and_is_fine(chrono: Program) -> None:
    chrono.create("one")
    assert chrono.good("checkpoint", "diff", "one").out == "no differences\n"
    assert chrono.good("checkpoint", "diff", "one", "--patch").out == ""


def test_search_finds_by_name_description_and_tag(chrono: Program) -> None:
    chrono.create("alpha", "-d", "needle in text")
    chrono.create("needle")
    chrono.create("gamma", "--tag", "needle")
    chrono.create("other")
    rows = chrono.good("checkpoint", "search", "needle", "--json").json["checkpoints"]
    assert [row["name"] for row in rows] == ["gamma", "needle", "alpha"]
    assert chrono.good("checkpoint", "search", "nothing like it").out == "no checkpoints\n"


def test_delete_needs_yes_without_a_terminal_and_can_be_undone(chrono: Program) -> None:
    checkpoint_id = chrono.create("one")
    refused = chrono.run("checkpoint", "delete", "one")
    assert (refused.code, chrono.good("checkpoint", "show", "one").code) == (7, 0)
    assert chrono.good("checkpoint", "delete", "one", "--yes", "--json").json["checkpoint_id"] == checkpoint_id
    assert chrono.run("checkpoint", "show", "one").code == 2
    chrono.good("undo")
    assert chrono.good("checkpoint", "show", "one", "--json").json["checkpoint_id"] == checkpoint_id


def test_undo_of_a_create_needs_yes_without_a_terminal(chrono: Program) -> None:
    checkpoint_id = chrono.create("one")
    refused = chrono.run("undo", "--json")
    assert (refused.code, refused.error["code"]) == (7, "confirmation_needed")
    assert chrono.good("undo", "--plan", "--json").json["checkpoints"] == [
        {"checkpoint_id": checkpoint_id, "back": False}
    ]
    chrono.good("undo", "--yes")
    assert chrono.good("redo", "--plan").out.endswith(f"bring back checkpoint {checkpoint_id}\n")
    assert chrono.good("redo").code == 0, "bringing a checkpoint back deletes nothing"


def test_the_plan_of_a_delete_deletes_nothing(chrono: Program) -> None:
    checkpoint_id = chrono.create("one")
    assert checkpoint_id in chrono.good("checkpoint", "delete", "one", "--plan").out
    document = chrono.good("checkpoint", "delete", "one", "--plan", "--json").json
    assert (document["checkpoint_id"], document["deleted"]) == (checkpoint_id, False)
    assert chrono.good("checkpoint", "show", "one").code == 0


def test_log_says_what_comes_next_for_undo_and_redo(chrono: Program, repo: RepoBuilder) -> None:
    chrono.create("one")
    repo.write("a.txt", "changed\n")
    chrono.good("checkpoint", "restore", "one", "--yes")
    chrono.good("undo", "--yes")
    document = chrono.good("log", "--json").json
    kinds = {row["operation"]: row["kind"] for row in document["operations"]}
    assert list(kinds.values()) == ["undo", "restore", "create"]
    assert (kinds[document["undo"]], kinds[document["redo"]]) == ("create", "undo")
    lines = chrono.good("log").out.splitlines()
    assert lines[1].endswith("next redo")
    assert lines[3].endswith("next undo")
    assert lines[-1] == "1 can be undone, 1 redone"
    assert len(chrono.good("log", "--limit", "1", "--json").json["operations"]) == 1


def test_status_says_where_things_stand(chrono: Program, repo: RepoBuilder) -> None:
    checkpoint_id = chrono.create("one")
    repo.write("a.txt", "changed\n")
    text = chrono.good("status").out
    for part in (str(repo.root), checkpoint_id, "1 path changed since", "M  a.txt", "create one"):
        assert part in text
    document = chrono.good("status", "--json").json
    assert document["newest"]["checkpoint_id"] == checkpoint_id
    assert document["changed"] == [{"path": "a.txt", "status": "M"}]
    assert (document["can_undo"], document["can_redo"], document["interrupted"]) == ("create one", None, 0)


def test_init_sets_the_store_up_and_shows_what_is_left_out(chrono: Program, repo: RepoBuilder) -> None:
    repo.write(".env", "TOKEN=1")
    document = chrono.good("init", "--json").json
    assert (document["root"], document["timeline"]) == (str(repo.root), "main")
    assert document["store"] == str(repo.store)
    assert repo.exists("data/timelines/.store/format")
    assert [row["path"] for row in document["excluded"]] == [".env"]
    assert document["config"]["max_file_bytes"] == 50 * 1024 * 1024
    assert "max_file_bytes" in chrono.good("init").out


def test_verify_of_a_sound_store_finds_nothing(chrono: Program) -> None:
    chrono.create("one")
    assert chrono.good("verify", "--json").json["findings"] == []
    assert chrono.good("verify", "--deep").out == "nothing is wrong\n"


def test_verify_names_a_damaged_pack_and_exits_with_1(chrono: Program, repo: RepoBuilder) -> None:
    repo.write("new.txt", "precious\n" * 100)
    chrono.create("one")
    pack = next((repo.store / "main/packs").glob("*.pack"))
    pack.write_bytes(b"\xff" * 100 + pack.read_bytes()[100:])
    result = chrono.run("verify", "--json")
    assert result.code == 1
    assert {"severity", "subject", "problem", "remedy"} == result.json["findings"][0].keys()
    assert any("pack" in row["subject"] and row["severity"] == "error" for row in result.json["findings"])
    assert chrono.run("verify").code == 1


def test_doctor_gives_notes_and_is_fine(chrono: Program) -> None:
    chrono.create("one")
    rows = chrono.good("doctor", "--json").json["findings"]
    assert {row["severity"] for row in rows} == {"note"}
    assert "git clean -ffdx" in chrono.good("doctor").out


def test_recover_has_nothing_to_do_in_a_sound_store(chrono: Program) -> None:
    chrono.create("one")
    assert chrono.good("recover", "--json").json["done"] == []
    assert chrono.good("recover", "--abort", "--yes").out == "nothing to recover\n"


def test_paths_that_are_no_utf8_are_lossless_in_json(chrono: Program, repo: RepoBuilder) -> None:
    chrono.create("one")
    repo.write(b"caf\xe9.txt", "x")
    row = chrono.good("checkpoint", "diff", "one", "--json").json["differences"][0]
    assert row["path"] == "caf\\xe9.txt"
    assert chrono.good("checkpoint", "diff", "one").out == "A  caf\\xe9.txt\n"


def test_root_option_works_in_another_folder(chrono: Program, repo: RepoBuilder) -> None:
    repo.write("sub/deep/x", "x")
    words = ("--root", str(repo.root / "sub"), "checkpoint", "create", "one", "--json")
    found = chrono.run(*words, folder=repo.root.parent)
    assert found.json["files_changed"] == 1
    assert repo.exists("data/timelines/main")


def test_undo_steps_over_a_damaged_record_only_when_told_to(chrono: Program, repo: RepoBuilder) -> None:
    chrono.create("one")
    chrono.create("two")
    assert chrono.run("undo", "--skip", "--json").error["code"] == "wrong_moment"
    log = repo.store / ".store/operations.jsonl"
    log.write_bytes(log.read_bytes() + b"no line of ours\n")
    refused = chrono.run("undo", "--yes")
    assert refused.code == 4
    assert "chrono undo --skip" in refused.err
    assert "stops undo" in chrono.good("log").out
    assert chrono.good("undo", "--skip", "--json").json["skipped"].startswith("unreadable-")
    chrono.good("undo", "--yes")


def test_a_plain_verification_says_that_it_did_not_read_the_bytes(chrono: Program, repo: RepoBuilder) -> None:
    chrono.create("one")
    assert "--deep" in chrono.good("verify").out
    assert chrono.good("verify", "--json").json["deep"] is False
    assert "--deep" not in chrono.good("verify", "--deep").out


def test_repair_shows_its_plan_and_needs_a_yes_without_a_terminal(chrono: Program, repo: RepoBuilder) -> None:
    repo.write("new.txt", "precious\n" * 100)
    chrono.create("one")
    pack = next((repo.store / "main/packs").glob("*.pack"))
    data = pack.read_bytes()
    pack.write_bytes(data[:10] + b"\xff" * 10 + data[20:])  # in the file's own chunk, which comes first
    assert chrono.run("verify", "--repair").code == 7
    assert chrono.run("verify", "--yes").code == 2
    planned = chrono.run("verify", "--repair", "--plan", "--json")
    assert planned.code == 1
    assert [row["action"] for row in planned.json["steps"]] == ["set aside", "fetch"]
    assert pack.exists()
    shown = chrono.run("verify", "--repair", "--plan")
    assert planned.json["plan_id"] in shown.out
    done = chrono.good("verify", "--repair", "--yes", "--json").json
    assert done["steps"] == planned.json["steps"]
    assert done["findings"] == []
    assert "nothing is wrong" in chrono.good("verify", "--repair", "--yes").out
