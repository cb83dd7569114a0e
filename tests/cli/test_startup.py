"""Start-up: a command imports what it uses and nothing else, since imports are most of its time."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Program
from tests.support import RepoBuilder

HEAVY = {"pygit2", "git", "rich", "lancedb", "filelock", "yaml", "psutil", "tomllib", "jsonpatch", "tomlkit", "asyncio"}
# All that a plain `chrono checkpoint create` may load, room by room: every module costs it a third of a millisecond.
# What compares, restores, repairs, exports, or reads memory stores stays out.
CREATE = {
    "": "app background clock config errors forking layout lazy locate locks process stat_cache",
    "catalog": "database rows schema",
    "checkpoints": "allowance annotations asking capture component create decoding environment manifest members memory "
    "moves omissions opening owner packs policy reading reconcile seal secrets set_up states store",
    "cli": "checkpoint declaring documents main options output plans program progress reading render session tables "
    "transfers views wording",
    "engine": "annotations checkpoints memory merging place timelines transfer upkeep",
    "files": "databases durable paths safe_root",
    "git": "command conversion index inner intents objects patch refs repository scratch_index status",
    "maintenance": "due",
    "memory": "kinds finding places registry",
    "operations": "checkpoints hiding journals log opening shelf workspace",
    "pool": "checked chunker codec compressor content pack reader",
    "secrets": "budget forms keywords names scanner",
    "merging": "",
    "timelines": "",
    "transfer": "",
}
# A list looks into the catalog: nothing that captures or seals either.
CAPTURING = {"capture", "component", "create", "members", "reading", "seal", "secrets"}
REPORT = """
import sys
before = set(sys.modules)  # an editable installation has imported things already
from chronos.cli.main import main
code = main(sys.argv[1:])
print("\\n" + " ".join(set(sys.modules) - before))
sys.exit(code)
"""


def imported(chrono: Program, *words: str) -> set[str]:
    """Run a command in a process of its own and return the modules that it had imported at the end."""
    done = subprocess.run(
        [sys.executable, "-c", REPORT, *words], cwd=chrono.folder, env=chrono.environment,
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return set(done.stdout.splitlines()[-1].split())


def test_version_imports_neither_typer_nor_the_engine(chrono: Program) -> None:
    modules = imported(chrono, "--version")
    assert not modules & {*HEAVY, "typer", "msgspec", "sqlite3", "subprocess", "chronos.engine", "pathlib"}


def test_help_imports_no_engine(chrono: Program) -> None:
    assert not imported(chrono, "checkpoint", "restore", "--help") & {*HEAVY, "sqlite3", "chronos.engine"}


@pytest.mark.parametrize(
    "words",
    [("checkpoint", "create", "two"), ("checkpoint", "list"), ("checkpoint", "show", "one"), ("status",), ("log",),
     ("checkpoint", "create", "three", "--json"), ("checkpoint", "diff", "one"), ("undo", "--yes")],
)  # fmt: skip
def test_everyday_commands_import_nothing_heavy(chrono: Program, repo: RepoBuilder, words: tuple[str, ...]) -> None:
    chrono.create("one")
    repo.write("a.txt", "changed\n")
    repo.write("new.txt", "new\n")
    assert not imported(chrono, *words) & HEAVY


def allowed_in_a_create() -> set[str]:
    rooms = {f"chronos.{room}" if room else "chronos": modules.split() for room, modules in CREATE.items()}
    return {*rooms, *(f"{room}.{module}" for room, modules in rooms.items() for module in modules)}


def test_a_create_loads_what_it_needs_and_no_more(chrono: Program, repo: RepoBuilder) -> None:
    chrono.create("one")
    repo.write("a.txt", "changed\n")
    repo.write("new.txt", "new\n")
    modules = imported(chrono, "checkpoint", "create", "two")
    ours = {name for name in modules if name.partition(".")[0] == "chronos"}
    assert ours - allowed_in_a_create() == set(), "is it needed? a room loads when it is asked (chronos/lazy.py)"
    assert not modules & {
        "typer", "inspect", "hashlib", "filecmp", "importlib.metadata", "tempfile", "ahocorasick_rs", "shutil", "json",
    }  # fmt: skip


def test_a_list_loads_nothing_that_captures(chrono: Program) -> None:
    chrono.create("one")
    modules = imported(chrono, "checkpoint", "list")
    assert not modules & {f"chronos.checkpoints.{module}" for module in CAPTURING}


def test_a_create_starts_git_four_times(chrono: Program, repo: RepoBuilder, tmp_path: Path) -> None:
    # Where it is, its settings, what differs, and the patch. The index of the patch, the sizes of what the base has and
    # git's version need no process once a checkpoint has been taken.
    repo.write("a.txt", "a\n")
    repo.commit()
    folder, log = tmp_path / "bin", tmp_path / "log"
    folder.mkdir()
    program = folder / "git"
    program.write_text(f'#!/bin/sh\necho "$*" >> {log}\nexec {shutil.which("git")} "$@"\n')
    program.chmod(0o755)
    chrono.environment["PATH"] = f"{folder}:{chrono.environment['PATH']}"
    for count in range(3):
        log.unlink(missing_ok=True)
        repo.write("a.txt", f"changed {count}\n")
        repo.write("new.txt", f"new {count}\n")
        chrono.create(f"number {count}")
    verbs = ("rev-parse", "config --list", "status", "diff-files")
    assert [next(verb for verb in verbs if f" {verb} " in line) for line in log.read_text().splitlines()] == [*verbs]


@pytest.mark.parametrize("words", [("checkpoint", "create", "two", "--json"), ("status",), ("undo", "--yes")])
def test_a_plain_line_is_read_without_typer(chrono: Program, words: tuple[str, ...]) -> None:
    chrono.create("one")
    assert "typer" not in imported(chrono, *words)
    assert "typer" in imported(chrono, "checkpoint", "--help")


def test_the_report_would_show_a_heavy_import(chrono: Program, repo: RepoBuilder) -> None:
    chrono.create("one")
    repo.write("a.txt", "changed\n")
    assert "pygit2" in imported(chrono, "checkpoint", "diff", "one", "--patch")
