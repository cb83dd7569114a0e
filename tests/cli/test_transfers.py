"""`chrono checkpoint export` and `import` in a process: documents, text, confirmation and exit codes."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tests.cli.conftest import Program
from tests.support import RepoBuilder

README = (Path(__file__).resolve().parents[2] / "README.md").read_text("utf-8")


@pytest.fixture
def other(chrono: Program, repo: RepoBuilder, tmp_path: Path) -> Program:
    """`chrono` in an empty repository beside the first."""
    repo.write("a.txt", "base\n")
    repo.commit()
    repo.write("a.txt", "work\n")
    repo.write("token.txt", "ghp_" + "a1B2" * 9 + "\n")
    chrono.good("checkpoint", "create", "before_migration")
    RepoBuilder(tmp_path / "other", repo.environment)
    return Program(tmp_path / "other", repo.environment)


def test_the_export_of_the_readme_comes_in_elsewhere(chrono: Program, other: Program, repo: RepoBuilder) -> None:
    lines = re.findall(r"^chrono (checkpoint (?:export|import) .*)$", README, re.MULTILINE)
    chrono.good(*shlex.split(lines[0]))
    (repo.root / "migration.chrono").rename(other.folder / "migration.chrono")
    assert len(lines) == 3
    for line in lines[1:]:
        other.good(*shlex.split(line))
    other.good("checkpoint", "restore", "before_migration", "--yes")
    assert (other.folder / "a.txt").read_text() == "work\n"


def test_the_documents_of_export_and_import(chrono: Program, other: Program, tmp_path: Path) -> None:
    file = str(tmp_path / "x.chrono")
    exported = chrono.good("checkpoint", "export", "@", file, "--json").json
    assert exported["left_out"] == [{"path": "token.txt", "reason": "seems to hold a GitHub token"}]
    assert (exported["file"], exported["bases"], exported["members_left_out"]) == (file, [], ["fs_diff.patch.zst"])
    assert exported["bytes"] == Path(file).stat().st_size
    plan = other.good("checkpoint", "import", file, "--plan", "--json").json
    assert not (other.folder / "data").exists(), "a plan sets no store up"
    assert (plan["checkpoint_id"], plan["present"], plan["left_out"]) == (exported["checkpoint_id"], None, 1)
    assert [base["brought"] for base in plan["missing_bases"]] == [False]
    first = other.good("checkpoint", "import", file, "--yes", "--json").json
    again = other.good("checkpoint", "import", file, "--yes", "--json").json
    assert [(one["imported"], one["timeline"]) for one in (first, again)] == [(True, "imported"), (False, "imported")]
    text = other.good("checkpoint", "import", file, "--yes")
    assert "is here already" in text.out
    assert "base commit" in text.err
    assert "import before_migration" in other.good("log").out


def test_without_a_terminal_nothing_comes_in_unasked(chrono: Program, other: Program, tmp_path: Path) -> None:
    file = str(tmp_path / "x.chrono")
    chrono.good("checkpoint", "export", "@", file)
    refused = other.run("checkpoint", "import", file, "--json")
    assert (refused.code, refused.error["code"]) == (7, "confirmation_needed")
    assert not (other.folder / "data").exists()


def test_secrets_leave_only_when_somebody_says_yes(chrono: Program, other: Program, tmp_path: Path) -> None:
    file = tmp_path / "x.chrono"
    refused = chrono.run("checkpoint", "export", "@", str(file), "--include-secrets", "--json")
    assert (refused.code, refused.error["code"], file.exists()) == (7, "confirmation_needed", False)
    assert "--plan" not in refused.error["hint"]
    done = chrono.good("checkpoint", "export", "@", str(file), "--include-secrets", "--yes", "--json").json
    assert done["left_out"] == []


@pytest.mark.parametrize(
    ("data", "code", "error"),
    [(b"", 4, "damaged_parcel"), (b"\x89CHRONO\n", 4, "damaged_parcel"), (b"PK" * 50, 6, "unsupported")],
)
def test_a_file_that_is_no_export_has_an_exit_code_of_its_own(
    other: Program, tmp_path: Path, data: bytes, code: int, error: str
) -> None:
    file = tmp_path / "bad.chrono"
    file.write_bytes(data)
    result = other.run("checkpoint", "import", str(file), "--yes", "--json")
    assert (result.code, result.error["code"]) == (code, error)


def test_a_name_that_begins_with_a_dash_goes_behind_two_dashes(chrono: Program, other: Program) -> None:
    chrono.good("checkpoint", "export", "@", "--", "-x.chrono")
    chrono.good("checkpoint", "import", "--plan", "--", "-x.chrono")
    assert (chrono.folder / "-x.chrono").is_file()
    taken = chrono.run("checkpoint", "export", "@", "--json", "--", "-x.chrono")
    assert (taken.code, taken.error["code"]) == (7, "target_exists")
