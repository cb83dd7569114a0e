"""Lessons: learned once and found at once, merged, forgotten, confirmed, exchanged, and never lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from chronos.errors import BadConfigError, NewerFormatError
from historian.errors import BadLessonError, UnknownLessonError
from historian.lessons import LessonsStore
from historian.lessons.lesson import Promoted, class_of, id_of
from historian.risk import Operation

PROJECT = Path(__file__).resolve().parents[3]
FAILED = ("database_migration_v1", "ran the migration", "FAILURE: OperationalError: no such column: email")


@pytest.fixture
def store(tmp_path: Path) -> LessonsStore:
    return LessonsStore(tmp_path / "data" / "lessons")


def run(source: str, folder: Path, *words: str) -> subprocess.CompletedProcess[bytes]:
    head = f"import sys; sys.path.insert(0, {str(PROJECT)!r})\nfrom historian.lessons import LessonsStore\n"
    head += f"store = LessonsStore({str(folder)!r})\n"
    return subprocess.run([sys.executable, "-c", head + source, *words], capture_output=True, check=False)


def test_looking_makes_nothing(store: LessonsStore) -> None:
    assert store.search("anything") == [] and store.list_lessons() == [] and store.count() == 0
    assert store.precedents(Operation(text="drop the table")) == ()
    assert not store.folder.exists()


def test_a_lesson_of_a_moment_ago_is_found_and_stays_after_reopening(store: LessonsStore) -> None:
    learned = store.add_lesson(*FAILED, "add the column first", ["database"], checkpoint_before="ab12")
    for found in (store.search("column email")[0], LessonsStore(store.folder).search("Migrations")[0]):
        assert (found.lesson_id, found.checkpoint_before, found.tags) == (learned.lesson_id, "ab12", ("database",))
    store.add_lesson("cache warmup", "started the zebra service", "SUCCESS")
    assert [one.situation for one in store.search("zebra")] == ["cache warmup"]
    assert store.search("zebra", result="failure") == [] and store.search("zebra", tags=["o'brien"]) == []
    assert store.notices == []


def test_the_same_lesson_counts_once_more_and_has_what_is_newest(store: LessonsStore) -> None:
    first = store.add_lesson(*FAILED, "first", ["a"], "c1", "d1")
    again = store.add_lesson(
        "Database migration V1!", "Ran  the migration.", "failed: OperationalError: other", "", ["b"], "c2"
    )
    assert (again.lesson_id, again.count, again.tags) == (first.lesson_id, 2, ("a", "b"))
    assert (again.feedback, again.checkpoint_before, again.checkpoint_after) == ("first", "c2", "d1")
    assert again.result == "failed: OperationalError: other"
    assert store.add_lesson(*FAILED[:2], "FAILURE: KeyError: x").count == 1
    assert store.add_lesson(*FAILED[:2], "SUCCESS").count == 1
    assert len(store.list_lessons()) == 3


def test_an_event_that_its_last_line_tells_is_learned_once(store: LessonsStore) -> None:
    for line in ("call: 1", "call: 1", "call: 2"):
        newest = store.add_lesson(*FAILED, f"seen\n{line}", once=True)
    assert (newest.count, newest.feedback) == (2, "seen\ncall: 2")
    assert store.add_lesson(*FAILED, "seen\ncall: 2").count == 3


def test_what_was_reported_and_changed_nothing_is_no_precedent(store: LessonsStore) -> None:
    operation = Operation(text="database migration v1")
    store.add_lesson(*FAILED, tags=["reported", "claude"])
    assert store.precedents(operation) == []
    store.add_lesson(*FAILED, tags=["reported", "changed"])
    assert len(store.precedents(operation)) == 1


def test_results_have_classes() -> None:
    assert class_of("SUCCESS") == class_of("Succeeded: all 12 tables") == "success"
    assert class_of("FAILURE: ValueError: a") == class_of("error: ValueError: b") == "failure valueerror"
    assert class_of("failed somehow, we do not know") == "failure"
    assert class_of("Partly there") == "partly there"
    assert id_of("a", "b", "ok") != id_of("a b", "", "ok")


def test_what_is_forgotten_is_found_no_more_until_it_is_recalled_or_learned_again(store: LessonsStore) -> None:
    lesson = store.add_lesson(*FAILED)
    other = store.add_lesson("rename", "renamed", "SUCCESS")
    assert store.precedents(Operation(text="database migration")) != ()
    store.forget(lesson.lesson_id[:6])
    assert store.search("migration") == [] and store.precedents(Operation(text="database migration")) == []
    assert [one.lesson_id for one in store.list_lessons(forgotten=True)] == [lesson.lesson_id]
    assert store.recall(lesson.lesson_id).count == 1 and len(store.search("migration")) == 1
    store.forget(lesson.lesson_id)
    assert store.add_lesson(*FAILED).count == 2 and len(store.search("migration")) == 1
    store.forget(lesson.lesson_id)
    assert b"no such column" in (store.folder / "lessons.jsonl").read_bytes()
    assert store.purge() == 1
    assert b"no such column" not in (store.folder / "lessons.jsonl").read_bytes()
    assert [one.lesson_id for one in store.list_lessons()] == [other.lesson_id]
    assert store.list_lessons(forgotten=True) == [] and store.search("migration") == []


def test_a_confirmed_lesson_comes_first(store: LessonsStore) -> None:
    store.add_lesson("deploy the service", "deployed deploy deploy", "SUCCESS")
    second = store.add_lesson("deploy the service", "rolled it back slowly", "SUCCESS")
    assert store.search("deploy service")[0].lesson_id != second.lesson_id
    assert store.promote(second.lesson_id).standing == 1
    assert store.search("deploy service")[0].lesson_id == store.list_lessons()[0].lesson_id == second.lesson_id
    assert store.promote(second.lesson_id, undo=True).standing == 0
    assert store.promote(second.lesson_id, undo=True).standing == 0


def test_exports_come_back_once_and_are_checked_whole(store: LessonsStore, tmp_path: Path) -> None:
    store.add_lesson(*FAILED, "look", ["a"])
    store.add_lesson(*FAILED)
    store.promote(store.list_lessons()[0].lesson_id)
    lines = list(store.export_lines())
    other = LessonsStore(tmp_path / "other")
    assert [other.import_lines(lines).added, other.import_lines(lines).unchanged] == [1, 1]
    assert other.list_lessons()[0].count == 2 and other.list_lessons()[0].standing == 1
    assert list(other.export_lines()) == lines
    other.forget(other.list_lessons()[0].lesson_id)
    other.import_lines(lines)
    assert other.list_lessons() == []
    for bad in (
        b"{",
        b'{"situation": "a"}',
        b'{"situation": 1, "action": "b", "result": "c"}',
        b"[" * 100_000,
        b"\xff",
    ):
        with pytest.raises(BadLessonError, match="line 3"):
            other.import_lines([b'{"situation":"new","action":"b","result":"c"}', b"", bad])
    assert other.search("new") == []


@pytest.mark.parametrize("query", ["", "   ", "\n\t"])
def test_an_empty_query_is_refused(store: LessonsStore, query: str) -> None:
    with pytest.raises(BadLessonError, match="nothing to search"):
        store.search(query)


@pytest.mark.parametrize(
    "query", ["'; DROP TABLE lessons", '"a" AND (', "*", "!!!", "a:b^2 ~", "%_", "x" * 1_000_000, "\0"]
)
def test_a_query_is_only_words(store: LessonsStore, query: str) -> None:
    store.add_lesson(*FAILED)
    assert len(store.search(query)) <= 1
    assert len(store.search("migration")) == 1 and store.notices == []


@pytest.mark.parametrize(
    "text", ["naïve 数据库 迁移", "emoji 🧨 \u202e", "lone \udc80 surrogate", "nul \0 inside", "a\r\nb", "é" * 3]
)
def test_odd_text_is_kept(store: LessonsStore, text: str) -> None:
    lesson = store.add_lesson(text, text, f"FAILURE: {text}", text, [text])
    assert (
        LessonsStore(store.folder).get(lesson.lesson_id).situation == text.encode("utf-8", "backslashreplace").decode()
    )
    assert store.search(f"{text} failure")[0].lesson_id == lesson.lesson_id


def test_a_megabyte_is_kept_and_more_is_refused(store: LessonsStore) -> None:
    lesson = store.add_lesson("large", "needle " + "x " * 500_000, "FAILURE")
    assert len(store.get(lesson.lesson_id).action) > 1_000_000 and store.search("needle")
    with pytest.raises(BadLessonError, match="at most"):
        store.add_lesson("larger", "x" * 3_000_000, "FAILURE")
    assert store.count() == 1


def test_what_is_no_lesson_is_refused(store: LessonsStore) -> None:
    for bad in (("", "a", "b"), ("a", " ", "b"), ("a", "b", "")):
        with pytest.raises(BadLessonError, match="needs"):
            store.add_lesson(*bad)
    with pytest.raises(BadLessonError, match="no text"):
        store.add_lesson("a", "b", None)  # type: ignore[arg-type]
    for unknown in ("", "xyz", "0" * 16, "../x"):
        with pytest.raises(UnknownLessonError):
            store.get(unknown)
    with pytest.raises(BadLessonError, match="kind of result"):
        store.list_lessons(result="great")


def test_two_processes_that_add_at_once_lose_nothing(store: LessonsStore) -> None:
    source = "for n in range(25):\n    store.add_lesson(f'thing {sys.argv[1]} {n}', 'did', 'SUCCESS')\n"
    source += "    store.add_lesson('same', 'did', 'OK')"
    head = f"import sys; sys.path.insert(0, {str(PROJECT)!r})\nfrom historian.lessons import LessonsStore\n"
    command = [sys.executable, "-c", f"{head}store = LessonsStore({str(store.folder)!r})\n{source}"]
    running = [subprocess.Popen([*command, str(number)]) for number in range(3)]
    assert [process.wait(120) for process in running] == [0, 0, 0]
    assert store.count() == 76
    assert store.search("same")[0].count == 75


@pytest.mark.parametrize("point", ["os.fsync", "os.ftruncate", "os.replace", "os.write", "sqlite"])
def test_a_writer_that_is_killed_loses_no_lesson(store: LessonsStore, point: str) -> None:
    store.add_lesson("first of all", "did it", "SUCCESS")
    for number in range(1, 4):
        kill = "os.kill(os.getpid(), 9)"
        if point == "sqlite":
            patch = f"import historian.lessons.register as r\nr.Register._write = lambda *_: {kill}"
        elif point == "os.write":
            patch = (
                "import chronos.files.durable as d, historian.lessons.log as g\n"
                f"def half(fd, data):\n    os.write(fd, data[:len(data) // 2]); {kill}\n"
                "d.write_all = g.write_all = half"
            )
        else:
            patch = (
                f"old, left = {point}, [{number}]\ndef dying(*a, **k):\n    left[0] -= 1\n"
                f"    if left[0] == 0: {kill}\n    return old(*a, **k)\n{point} = dying"
            )
        done = run(
            f"import os\n{patch}\nstore.add_lesson('killed {number}', 'did it', 'SUCCESS'); print('told')", store.folder
        )
        assert done.returncode in (0, -signal.SIGKILL), done.stderr
        found = {one.situation for one in store.list_lessons()}
        assert "first of all" in found
        assert done.returncode or f"killed {number}" in found, "told and lost"
        store.add_lesson(f"after {number}", "did it", "SUCCESS")
        assert store.search(f"after {number}")[0].situation == f"after {number}"
    assert store.notices == []


def test_a_log_of_a_newer_format_is_left_alone(store: LessonsStore) -> None:
    store.folder.mkdir(parents=True)
    (store.folder / "lessons.jsonl").write_text('{"event":"begun","format":2,"log":"x","at":"y"}\n')
    for work in (lambda: store.add_lesson(*FAILED), lambda: store.list_lessons()):
        with pytest.raises(NewerFormatError):
            work()
    assert "format" in (store.folder / "lessons.jsonl").read_text()


def test_a_place_that_is_somebody_elses_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "mine.md").write_text("mine")
    for name in ("file", "folder"):
        with pytest.raises(BadConfigError):
            LessonsStore(tmp_path / name).add_lesson(*FAILED)
    assert sorted(os.listdir(tmp_path / "folder")) == ["mine.md"]


def test_a_secret_in_a_lesson_is_not_kept(store: LessonsStore) -> None:
    secret = "gh" + "p_" + "a1B2c3" * 6
    lesson = store.add_lesson("deploy", f"push --token {secret}", f"FAILURE: 401 for {secret}", secret, [secret])
    line = {"situation": "imported", "action": "a", "result": "ok", "feedback": f"password={secret}"}
    store.import_lines([json.dumps(line).encode()])
    assert lesson.result == "FAILURE: 401 for …"
    assert all(secret.encode() not in path.read_bytes() for path in store.folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("number", ["99999999999999999999999", "9223372036854775807", "-1"])
def test_numbers_that_nobody_counts_to_are_refused(store: LessonsStore, number: str) -> None:
    for name in ("count", "standing"):
        line = f'{{"situation":"a","action":"b","result":"c","{name}":{number}}}'
        with pytest.raises(BadLessonError, match="line 1"):
            store.import_lines([line.encode()])
    assert store.list_lessons() == []


def test_a_log_that_counts_beyond_measure_is_read(store: LessonsStore) -> None:
    lesson = store.add_lesson(*FAILED)
    store._log.append([Promoted(lesson.lesson_id, lesson.updated_at, 2**80), Promoted(lesson.lesson_id, "", 2**80)])
    assert store.list_lessons()[0].standing == 10**9
    assert store.promote(lesson.lesson_id, undo=True).standing == 10**9 - 1


def test_a_lesson_that_comes_from_the_future_is_of_today(store: LessonsStore) -> None:
    line = {"situation": "a", "action": "b", "result": "c", "updated_at": "2999-01-01T00:00:00Z"}
    store.import_lines([json.dumps(line).encode()])
    assert store.list_lessons()[0].updated_at <= store.add_lesson("d", "e", "f").updated_at
    assert [one.situation for one in store.list_lessons()] == ["d", "a"]


def test_of_two_that_add_at_once_one_is_killed_and_the_other_goes_on(store: LessonsStore) -> None:
    source = "for n in range(20):\n    store.add_lesson(f'thing {sys.argv[1]} {n}', 'did', 'SUCCESS')\n"
    source += "    print(n, flush=True)"
    head = f"import sys; sys.path.insert(0, {str(PROJECT)!r})\nfrom historian.lessons import LessonsStore\n"
    command = [sys.executable, "-c", f"{head}store = LessonsStore({str(store.folder)!r})\n{source}"]
    killed, other = (subprocess.Popen([*command, str(number)], stdout=subprocess.PIPE) for number in range(2))
    assert killed.stdout is not None
    killed.stdout.readline()
    killed.kill()
    told = [1 + len(killed.communicate()[0].splitlines()), len(other.communicate(timeout=120)[0].splitlines())]
    assert told[1] == 20
    store.add_lesson("meanwhile", "did", "SUCCESS")
    found = {one.situation for one in store.list_lessons()}
    assert {f"thing {number} {n}" for number in range(2) for n in range(told[number])} <= found
    assert store.search("meanwhile")[0].situation == "meanwhile" and store.notices == []


def test_what_is_purged_stands_in_no_file_any_more(store: LessonsStore) -> None:
    lesson = store.add_lesson("embarrassing zebra", "did it", "FAILURE: zebra", "zebra", ["zebra"])
    store.add_lesson("other", "did it", "FAILURE: x")
    with LessonsStore(store.folder) as other:  # another process that has it all open
        assert other.search("zebra")
        store.forget(lesson.lesson_id)
        assert store.purge() == 1
        assert other.search("zebra") == [] and [one.situation for one in other.search("other")] == ["other"]
    assert store.search("zebra") == [] and len(store.search("other")) == 1
    files = [path for path in store.folder.rglob("*") if path.is_file()]
    assert [path for path in files if b"zebra" in path.read_bytes().lower()] == []
    assert store.notices == []


def test_forgotten_failures_hide_none_that_is_known(store: LessonsStore) -> None:
    known = store.add_lesson(*FAILED)
    for number in range(30):
        text = f"database_migration_v1 {'abcdefghijklmnopqrstuvwxyz'[number % 26] * (3 + number // 26)}"
        store.forget(store.add_lesson(text, "ran the migration", FAILED[2]).lesson_id)
    found = store.precedents(Operation(text="database_migration_v1"))
    assert [one.lesson_id for one in found] == [known.lesson_id]
    store.recall(store.list_lessons(1, forgotten=True)[0].lesson_id)
    assert len(store.precedents(Operation(text="database_migration_v1"))) == 2
