"""What came by import, beside the rest of a store: quota, retention, damage to its records, findings of secrets."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from chronos.checkpoints import Trigger
from chronos.errors import QuotaExceededError
from tests.support import RepoBuilder, store_digest
from tests.transfer.conftest import MakeClone

TOKEN = "ghp_" + "R7tQ2mWx9LkVb4ZpNc81sYdHf6JgUe3TaBio"
PASSWORD = "Xk29vwqLm7rT"
STRICT = {
    "CHRONOS_MAX_CHECKPOINTS_PER_TIMELINE": "1", "CHRONOS_RETENTION_DAYS": "1", "CHRONOS_KEEP_LAST": "0",
    "CHRONOS_KEEP_HOURLY": "0", "CHRONOS_KEEP_DAILY": "0", "CHRONOS_KEEP_WEEKLY": "0",
}  # fmt: skip


@pytest.fixture
def other(repo: RepoBuilder, make: MakeClone) -> RepoBuilder:
    """A clone with a checkpoint of its own, and a repository with changes beside it."""
    repo.write("a.txt", "base\n")
    repo.commit()
    repo.write("a.txt", "changed\n")
    clone = make("other", repo)
    clone.engine().create_checkpoint("own")
    return clone


def test_an_import_over_the_quota_is_refused_and_leaves_nothing(
    repo: RepoBuilder, other: RepoBuilder, file: Path
) -> None:
    repo.write("large.bin", os.urandom(300_000))
    repo.engine().create_checkpoint("wanted")
    repo.engine().export_checkpoint("wanted", file)
    used = other.engine().measure_usage().total_bytes
    before = store_digest(other.store)
    tight = other.engine(CHRONOS_QUOTA_BYTES=str(used + 200_000))
    with pytest.raises(QuotaExceededError):
        tight.import_checkpoint(file)
    assert store_digest(other.store) == before
    assert other.engine(CHRONOS_QUOTA_BYTES=str(used + 2_000_000)).import_checkpoint(file).imported


def test_retention_takes_no_imported_checkpoint(repo: RepoBuilder, other: RepoBuilder, file: Path) -> None:
    engine = repo.engine()
    wanted = []
    for number in range(3):
        repo.write("a.txt", f"{number}\n")
        wanted.append(engine.take_checkpoint(f"automatic {number}", trigger=Trigger.AUTOMATIC).checkpoint_id)
        target = file.with_name(f"{number}.chrono")
        engine.export_checkpoint(wanted[-1], target)
        other.engine().import_checkpoint(target)
    strict = other.engine(**STRICT)
    plan = strict.gc().plan
    assert plan.expiry.going == []
    assert {row.checkpoint_id for row in strict.list_checkpoints("imported")} == set(wanted)


def test_a_damaged_record_of_imports_is_written_again_by_a_repair(
    repo: RepoBuilder, other: RepoBuilder, file: Path
) -> None:
    checkpoint = repo.engine().create_checkpoint("wanted")
    repo.engine().export_checkpoint(checkpoint, file)
    other.engine().import_checkpoint(file)
    record = other.store / "imported/timeline.json"
    record.write_bytes(record.read_bytes().replace(b"imported", b"imparted"))
    with other.engine() as engine:
        assert any(finding.severity for finding in engine.verify())
        assert [finding for finding in engine.repair().findings if finding.severity] == []
        assert [row.checkpoint_id for row in engine.list_checkpoints("imported")] == [checkpoint]


@pytest.mark.parametrize("place", [0.2, 0.5, 0.9])
def test_one_wrong_byte_in_what_says_what_is_left_out_is_found(
    repo: RepoBuilder, other: RepoBuilder, file: Path, place: float
) -> None:
    repo.write("token.txt", f"{TOKEN}\n")
    checkpoint = repo.engine().create_checkpoint("wanted")
    repo.engine().export_checkpoint(checkpoint, file)
    other.engine().import_checkpoint(file)
    path = other.store / "imported" / checkpoint / "left_out.json"
    data = bytearray(path.read_bytes())
    data[int(len(data) * place)] ^= 1
    path.write_bytes(bytes(data))
    assert any(checkpoint in finding.subject for finding in other.engine().verify() if finding.severity)


def test_a_password_in_a_line_stays_out_and_so_does_the_patch_that_removes_one(repo: RepoBuilder, file: Path) -> None:
    repo.write("settings.py", f'password = "{PASSWORD}"\n')
    repo.commit()
    repo.write("settings.py", 'password = read("password")\n')
    engine = repo.engine()
    engine.create_checkpoint("removed")
    exported = engine.export_checkpoint("removed", file)
    assert (exported.left_out, exported.members_left_out) == ((), ("fs_diff.patch.zst",))
    repo.write("other.py", f'password = "{PASSWORD}"\n')
    engine.create_checkpoint("there")
    exported = engine.export_checkpoint("there", file.with_name("there.chrono"))
    assert [row.path for row in exported.left_out] == ["other.py"]


def test_paths_that_the_settings_do_not_scan_are_looked_at_for_an_export(repo: RepoBuilder, file: Path) -> None:
    repo.write("fixtures/token.txt", "none\n")
    repo.commit()
    repo.write("fixtures/token.txt", f'password = "{PASSWORD}"\n')
    engine = repo.engine(CHRONOS_SECRET_SKIP="fixtures/", CHRONOS_SECRET_SCAN="off")
    engine.create_checkpoint("wanted")
    exported = engine.export_checkpoint("wanted", file)
    assert [row.path for row in exported.left_out] == ["fixtures/token.txt"]


def test_what_looks_like_a_secret_is_known_where_it_was_imported(
    repo: RepoBuilder, other: RepoBuilder, file: Path
) -> None:
    repo.write("token.txt", f"first\n{TOKEN}\n")
    engine = repo.engine()
    checkpoint = engine.create_checkpoint("wanted")
    engine.export_checkpoint(checkpoint, file, include_secrets=True)
    other.engine().import_checkpoint(file)
    found = other.engine().show_checkpoint(checkpoint).secrets
    assert [(row.path, row.line, row.what) for row in found] == [(b"token.txt", 2, "a GitHub token")]
    assert [(row.path, row.line) for row in found] == [
        (row.path, row.line) for row in engine.show_checkpoint(checkpoint).secrets
    ]
