"""What looks like a secret in a checkpoint is said, sealed, carried on, and never a reason to leave work out."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from chronos import ChronosEngine
from chronos.checkpoints import FoundSecret, Trigger, Unscanned, decode_manifest, find_secrets, open_checkpoint
from chronos.errors import BadConfigError
from chronos.secrets import Budget, SecretScanner, Spot, find_by_form
from tests.support import RepoBuilder
from tests.support.planting import planted

TOKEN = "gh" + "p_" + "a1B2c3" * 6


def start(repo: RepoBuilder) -> ChronosEngine:
    repo.write("a.txt", "a\n")
    repo.commit()
    return repo.engine()


def places(found: tuple[FoundSecret, ...]) -> list[tuple[str, int]]:
    return [(row.path.decode(), row.line) for row in found]


def test_thirty_kinds_of_secrets_in_thirty_files_are_all_found_by_default(repo: RepoBuilder) -> None:
    # pains.md row 25: a scan at capture.
    engine = start(repo)
    plants = planted()
    assert len(plants) >= 30
    for name, (text, _) in plants.items():
        repo.write(f"src/{name}", text)
    created = engine.take_checkpoint("wanted")
    assert created.grade.value == "complete" and created.receipt == ()
    assert {(row.path.decode(), row.line, row.what) for row in created.secrets} == {
        (f"src/{name}", 3 if name == "ssh_in_yaml.yml" else 2, what) for name, (_, what) in plants.items()
    }
    assert "forms" not in created.unscanned
    assert all(row.is_new and row.scanner == "forms" for row in created.secrets)


def test_a_file_with_a_secret_in_it_is_captured_and_comes_back(repo: RepoBuilder) -> None:
    engine = start(repo)
    repo.write("deploy.sh", f"curl -H 'Authorization: {TOKEN}'\n")
    checkpoint = engine.create_checkpoint("wanted")
    repo.remove("deploy.sh")
    outcome = engine.restore_checkpoint(checkpoint)
    assert repo.read("deploy.sh").decode() == f"curl -H 'Authorization: {TOKEN}'\n"
    assert outcome.warnings == ()


def test_a_later_checkpoint_that_still_has_the_file_still_says_so(repo: RepoBuilder) -> None:
    engine = start(repo)
    repo.write("deploy.sh", f"\n{TOKEN}\n")
    first = engine.take_checkpoint("first")
    repo.write("a.txt", "edited\n")
    second = engine.take_checkpoint("second")
    assert places(first.secrets) == places(second.secrets) == [("deploy.sh", 2)]
    assert [row.is_new for row in (*first.secrets, *second.secrets)] == [True, False]
    assert places(engine.show_checkpoint(second.checkpoint_id).secrets) == [("deploy.sh", 2)]
    manifests = [engine.show_checkpoint(name).manifest for name in ("first", "second")]
    assert manifests[0].secrets == manifests[1].secrets, "an unchanged list costs one id"


@pytest.mark.parametrize("memory", ["kept", "lost"])
def test_a_finding_follows_its_content_to_another_path(repo: RepoBuilder, memory: str) -> None:
    engine = start(repo)
    repo.write("deploy.sh", TOKEN)
    engine.create_checkpoint("first")
    repo.path("deploy.sh").rename(repo.path("moved.sh"))
    repo.write("copy.sh", TOKEN)
    if memory == "lost":
        engine.close()
        for path in (repo.store / ".store").glob("catalog.sqlite*"):
            path.unlink()
        engine = repo.engine()
    assert places(engine.take_checkpoint("second").secrets) == [("copy.sh", 1), ("moved.sh", 1)]


def test_a_finding_ends_with_its_content_and_comes_back_with_it(repo: RepoBuilder) -> None:
    engine = start(repo)
    repo.write("deploy.sh", TOKEN)
    engine.create_checkpoint("first")
    repo.write("deploy.sh", "cleaned up\n")
    cleaned = engine.take_checkpoint("second")
    assert cleaned.secrets == () and engine.show_checkpoint("second").manifest.secrets is None
    repo.write("deploy.sh", TOKEN)
    assert places(engine.take_checkpoint("third").secrets) == [("deploy.sh", 1)]


def test_a_finding_of_a_checkpoint_that_was_undone_is_not_forgotten(repo: RepoBuilder) -> None:
    """The file is not read again: the stat cache knows it, and the pool has its bytes."""
    engine = start(repo)
    engine.create_checkpoint("before")
    repo.write("deploy.sh", TOKEN)
    engine.create_checkpoint("first")
    engine.undo()
    again = engine.take_checkpoint("again")
    assert places(again.secrets) == places(engine.show_checkpoint("again").secrets) == [("deploy.sh", 1)]
    engine.undo()
    engine.redo()
    assert places(engine.take_checkpoint("once more").secrets) == [("deploy.sh", 1)]


def test_a_safety_checkpoint_and_an_automatic_one_say_so_too(repo: RepoBuilder) -> None:
    engine = start(repo)
    checkpoint = engine.create_checkpoint("clean")
    repo.write("deploy.sh", TOKEN)
    engine.restore_checkpoint(checkpoint)
    safety = engine.list_checkpoints(safety=True)[0]
    assert safety.trigger == "safety"
    assert places(engine.show_checkpoint(safety.checkpoint_id).secrets) == [("deploy.sh", 1)]
    repo.write("deploy.sh", TOKEN)
    assert places(engine.take_checkpoint("auto", trigger=Trigger.AUTOMATIC).secrets) == [("deploy.sh", 1)]


def test_staged_content_and_repositories_inside_are_looked_at(repo: RepoBuilder) -> None:
    engine = start(repo)
    repo.write("staged.py", TOKEN)
    repo.git("add", "staged.py")
    repo.write("staged.py", "cleaned up\n")
    repo.write("inner/b.txt", TOKEN)
    repo.git("-C", "inner", "init", "-q")
    assert places(engine.take_checkpoint("wanted").secrets) == [("inner/b.txt", 1), ("staged.py", 1)]


def test_a_plain_folder_is_looked_at(folder: RepoBuilder) -> None:
    folder.write("deep/b.txt", TOKEN)
    assert places(folder.engine().take_checkpoint("wanted").secrets) == [("deep/b.txt", 1)]


def test_a_lost_list_of_findings_stops_no_restore_and_verify_names_it(repo: RepoBuilder) -> None:
    engine = start(repo)
    repo.write("deploy.sh", TOKEN)
    checkpoint = engine.create_checkpoint("wanted")
    folder = engine.show_checkpoint(checkpoint).folder
    document: dict[str, Any] = json.loads((folder / "checkpoint.json").read_bytes())
    document["secrets"]["blake3"] = "5" * 64
    forged = _forge(folder, document)
    repo.remove("deploy.sh")
    with repo.engine() as other:
        other.restore_checkpoint(forged)
        assert repo.read("deploy.sh").decode() == TOKEN
        assert [(found.severity.name, found.subject) for found in other.verify()] == [
            ("WARNING", f"checkpoint {forged}")
        ]


def test_a_manifest_from_before_there_were_findings_is_read(repo: RepoBuilder) -> None:
    engine = start(repo)
    repo.write("a.txt", "edited\n")
    folder = engine.show_checkpoint(engine.create_checkpoint("wanted")).folder
    document = json.loads((folder / "checkpoint.json").read_bytes())
    document.pop("unscanned", None)
    data = json.dumps(document).encode()
    manifest = decode_manifest(data, _id(data))
    assert (manifest.secrets, manifest.unscanned) == (None, {})


# what was not looked at


def test_what_a_slow_scanner_had_no_time_for_is_sealed_and_found_by_a_full_look(repo: RepoBuilder) -> None:
    engine = start(repo)
    texts = {f"t{number}.txt": b"text %d\n" % number + TOKEN.encode() + b"\nmore" * 3000 for number in range(100)}
    for name, text in texts.items():
        repo.write(name, text)
    took: list[float] = []

    def find(data: bytes) -> list[Spot]:
        begun = time.perf_counter()
        time.sleep(0.02)
        took.append(time.perf_counter() - begun)
        return find_by_form(data)

    begun = time.perf_counter()
    with engine._here.workspace() as here, here.store.working_on(here.timeline):
        scanner = SecretScanner(Budget(), lines=False, find=find)
        request = here.request("wanted", Trigger.MANUAL)
        with open_checkpoint(here.store, here.repository, here.policy(), request, scanner) as pending:
            created = pending.seal()
    others = time.perf_counter() - begun - sum(took)
    always = math.ceil(128 * 1024 / 15_000)  # of the texts
    assert sum(took) <= max(sum(took[:always]), 0.2 * others) + max(took)
    found = {name for name, _ in places(created.secrets)}
    assert len(found) == len(took)
    missed = sorted(texts.keys() - found)
    assert missed and created.unscanned["forms"] == Unscanned(len(missed), sum(len(texts[name]) for name in missed))
    details = engine.show_checkpoint(created.checkpoint_id, scan=True)
    assert details.manifest.unscanned == created.unscanned
    assert places(details.secrets) == sorted((name, 2) for name in texts)


def test_what_is_not_found_is_counted_whatever_the_speed(repo: RepoBuilder) -> None:
    engine = start(repo)
    for number in range(12):
        repo.write(f"log{number}.txt", b"a line of a log, number %d\n" % number * 30_000 + TOKEN.encode() + b"\n")
    created = engine.take_checkpoint("wanted")
    missed = created.unscanned.get("forms", Unscanned(0, 0))
    assert missed.count + len(created.secrets) >= 12
    assert missed.bytes >= missed.count * 700_000
    found = engine.show_checkpoint(created.checkpoint_id, scan=True).secrets
    assert places(found) == sorted((f"log{number}.txt", 30_001) for number in range(12))


def test_a_full_look_adds_to_what_is_sealed_and_repeats_nothing(repo: RepoBuilder) -> None:
    engine = start(repo)
    repo.write("b.py", TOKEN + '\npassword = "' + 'hunter2hunter2"\n')
    checkpoint = engine.create_checkpoint("wanted")
    row = engine.find_checkpoint(checkpoint)
    store = engine._here.get_store()
    manifest = store.read_manifest(row.timeline, checkpoint)
    found = find_secrets(store, manifest, store.read_checkpoint(row), scan=True)
    assert [(item.line, item.scanner) for item in found] == [(1, "forms"), (2, "detect-secrets")]


# settings


def test_scanning_can_be_switched_off(repo: RepoBuilder) -> None:
    start(repo)
    repo.write("b.txt", TOKEN)
    created = repo.engine(CHRONOS_SECRET_SCAN="off").take_checkpoint("wanted")
    assert (created.secrets, created.unscanned) == ((), {})


def test_what_was_known_before_it_was_switched_off_is_known_after(repo: RepoBuilder) -> None:
    start(repo)
    repo.write("b.txt", TOKEN)
    engines = [repo.engine(CHRONOS_SECRET_SCAN=value) for value in ("full", "off", "full")]
    found = [engine.take_checkpoint("wanted").secrets for engine in engines]
    assert [places(rows) for rows in found] == [[("b.txt", 1)], [], [("b.txt", 1)]]


def test_vendor_forms_alone_promise_nothing_of_detect_secrets(repo: RepoBuilder) -> None:
    start(repo)
    repo.write("b.txt", TOKEN)
    created = repo.engine(CHRONOS_SECRET_SCAN="vendor").take_checkpoint("wanted")
    assert places(created.secrets) == [("b.txt", 1)]
    assert created.unscanned == {}


@pytest.mark.parametrize("pattern", ["fixtures/", "fixtures/*", "*.fixture", "fixtures/deep/b.fixture"])
def test_paths_can_be_skipped(repo: RepoBuilder, pattern: str) -> None:
    start(repo)
    repo.write("fixtures/deep/b.fixture", TOKEN)
    repo.write("c.txt", f"{TOKEN}\n")
    repo.write("chronos.toml", f'secret_skip = ["{pattern}"]\n')
    engine = repo.engine()
    created = engine.take_checkpoint("wanted")
    assert places(created.secrets) == [("c.txt", 1)]
    assert places(engine.show_checkpoint(created.checkpoint_id, scan=True).secrets) == [("c.txt", 1)]


def test_a_setting_that_nobody_knows_is_refused_with_those_that_exist(repo: RepoBuilder) -> None:
    start(repo)
    with pytest.raises(BadConfigError, match="off, vendor, full"):
        repo.engine(CHRONOS_SECRET_SCAN="some")


def _id(data: bytes) -> str:
    from blake3 import blake3

    return blake3(data).hexdigest()[:16]


def _forge(folder: Path, document: dict[str, Any]) -> str:
    data = msgspec.json.encode(document)
    target = folder.parent / _id(data)
    target.mkdir()
    for path in folder.iterdir():
        (target / path.name).write_bytes(path.read_bytes())
    (target / "checkpoint.json").write_bytes(data)
    return target.name
