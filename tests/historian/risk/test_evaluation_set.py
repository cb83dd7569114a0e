"""The labelled operations are many, varied and clean, and what is made of them is counted rightly."""

from __future__ import annotations

import re
from collections import Counter
from functools import partial
from pathlib import Path

import pytest

from benchmarks.risk import labelled
from benchmarks.risk.__main__ import main
from benchmarks.risk.labelled import PARTS, LabelError, Labelled, describe, load_part
from benchmarks.risk.pace import measure_pace
from benchmarks.risk.scores import Judged, Scores
from benchmarks.sections import write_around_sections, write_section
from chronos.secrets import find_by_form
from historian import HistorianAgent
from historian.risk import Operation, OperationKind, RiskAssessment, RiskLevel

LOW, MEDIUM, HIGH = RiskLevel
SOURCES = {"file", "git", "ops", "shell", "sql", "tool", "words"}


@pytest.fixture(scope="module")
def parts() -> dict[str, list[Labelled]]:
    return {part: load_part(part) for part in PARTS}


def say(level: RiskLevel) -> RiskAssessment:
    return RiskAssessment(level=level, score=0.5, kind=OperationKind.WORDS, reasons=("said so",))


def say_by_word(operation: Operation) -> RiskAssessment:
    return say(HIGH if "rm" in describe(operation) else LOW)


def judge(*pairs: tuple[RiskLevel, RiskLevel], source: str = "words") -> Scores:
    return Scores(Judged(Labelled(Operation(text="x"), label, source), say(said)) for label, said in pairs)


def words_of(one: Labelled) -> tuple[str, ...]:
    return tuple(sorted(set(re.findall(r"\w+", describe(one.operation).casefold()))))


def test_both_parts_are_large_and_have_every_level_and_source(parts: dict[str, list[Labelled]]) -> None:
    assert sum(map(len, parts.values())) >= 1_000
    for part in parts.values():
        assert len(part) >= 500
        assert min(Counter(one.level for one in part)[level] for level in RiskLevel) >= 150
        cells = Counter((one.source, one.level) for one in part)
        assert {source for source, _ in cells} == SOURCES
        # A change of a file never only reads.
        assert min(cells[source, level] for source in SOURCES - {"file"} for level in RiskLevel) >= 12
        assert min(cells["file", level] for level in (MEDIUM, HIGH)) >= 10


def test_about_half_say_of_what_kind_they_are(parts: dict[str, list[Labelled]]) -> None:
    for part in parts.values():
        said = Counter(one.operation.kind for one in part)
        assert 0.4 <= said[None] / len(part) <= 0.6
        assert min(said[kind] for kind in OperationKind) >= 10


def test_operations_are_given_in_every_form(parts: dict[str, list[Labelled]]) -> None:
    for part in parts.values():
        operations = [one.operation for one in part]
        assert sum(bool(one.argv) for one in operations) >= 10
        assert sum("\n" in one.text for one in operations) >= 5
        assert len({one.tool for one in operations if one.tool}) >= 15
        assert len({one.dialect for one in operations if one.dialect}) >= 5
        assert {one.change for one in operations if one.path} == {"create", "update", "delete", "rename"}
        assert any(one.size_bytes is not None for one in operations)


def test_nothing_stands_twice_or_in_both_parts(parts: dict[str, list[Labelled]]) -> None:
    told = [(part, " ".join(describe(one.operation).casefold().split())) for part in PARTS for one in parts[part]]
    assert [text for text, count in Counter(text for _, text in told).items() if count > 1] == []
    words = [{words_of(one) for one in parts[part] if one.source == "words"} for part in PARTS]
    assert words[0] & words[1] == set()


def test_a_kind_that_is_said_fits_what_is_given(parts: dict[str, list[Labelled]]) -> None:
    for one in (one for part in parts.values() for one in part):
        kind, given = one.operation.kind, one.operation
        if kind is not None:
            assert (kind is OperationKind.FILE) == bool(given.path), describe(given)
            assert (kind is OperationKind.TOOL) == bool(given.tool), describe(given)
        if kind is OperationKind.GIT:
            assert (given.argv or given.text.split())[0] == "git"


def test_no_entry_looks_like_a_secret() -> None:
    files = sorted(Path(labelled.__file__).parent.glob("*/*.yaml"))
    assert len(files) == len(SOURCES) * len(PARTS)
    assert {path.name: found for path in files if (found := find_by_form(path.read_bytes()))} == {}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("low:\n  - text: ls\n    level: low\n", "level"),
        ("awful:\n  - text: ls\n", "awful"),
        ("low:\n  - kind: shell\n", "one of text, argv, path and tool"),
        ("low:\n  - text: ls\n    argv: [ls]\n", "one of text, argv, path and tool"),
        ("low:\n  - text: ls\n    kind: bash\n", "bash"),
        ("low: [\n", "test/odd.yaml"),
    ],
)
def test_an_entry_that_is_none_is_named_with_its_file(tmp_path: Path, text: str, complaint: str) -> None:
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / "odd.yaml").write_text(text)
    with pytest.raises(LabelError, match=r"^test/odd\.yaml: ") as caught:
        load_part("test", tmp_path)
    assert complaint in str(caught.value)


def test_precision_recall_and_accuracy_are_the_shares_that_they_say() -> None:
    scores = judge(
        (HIGH, HIGH), (HIGH, HIGH), (HIGH, HIGH), (HIGH, MEDIUM), (MEDIUM, HIGH), (MEDIUM, MEDIUM), (LOW, LOW)
    )
    assert scores.recall(HIGH) == 3 / 4
    assert scores.precision(HIGH) == 3 / 4
    assert scores.recall(MEDIUM) == 1 / 2
    assert scores.precision(MEDIUM) == 1 / 2
    assert scores.recall(LOW) == scores.precision(LOW) == 1
    assert scores.accuracy == 5 / 7
    assert [(one.labelled.level, one.said.level) for one in scores.misses] == [(HIGH, MEDIUM), (MEDIUM, HIGH)]
    assert (scores.count(HIGH, MEDIUM), scores.count(MEDIUM, HIGH), scores.count(LOW, HIGH)) == (1, 1, 0)


def test_recall_and_precision_are_not_mixed_up() -> None:
    timid = judge((HIGH, HIGH), (HIGH, LOW), (HIGH, LOW), (LOW, LOW))
    assert (timid.recall(HIGH), timid.precision(HIGH)) == (1 / 3, 1)
    assert (timid.recall(LOW), timid.precision(LOW)) == (1, 1 / 3)


def test_a_share_of_nothing_is_none() -> None:
    scores = judge((LOW, LOW))
    assert scores.recall(HIGH) is scores.precision(HIGH) is judge().accuracy is None


def test_each_source_is_counted_by_itself() -> None:
    scores = Scores([*judge((LOW, LOW), source="sql").judged, *judge((LOW, HIGH), (LOW, LOW), source="git").judged])
    assert {name: one.accuracy for name, one in scores.by_source().items()} == {"sql": 1, "git": 0.5}


def test_pace_asks_for_texts_that_were_never_seen() -> None:
    seen: list[str] = []

    def remember(operation: Operation) -> RiskAssessment:
        seen.append(operation.text)
        return say(LOW)

    given = [Labelled(Operation(text="fix it"), MEDIUM, "words"), Labelled(Operation(text="ls"), LOW, "shell")]
    given.append(Labelled(Operation(text="cat <<X\nX"), LOW, "shell"))
    pace = measure_pace(given, remember, rounds=2)
    assert len(seen) == len(set(seen)) == 2 * 3
    assert pace.words_per_s > 0
    assert 0 < pace.shell_mean_s <= pace.shell_longest_s


def test_the_command_prints_its_tables_and_keeps_those_of_the_test_part(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / "benchmarks.md"
    report.write_text("# Benchmarks\n\nolder\n")
    assert main(["--write"], say_by_word, report) == 1
    printed = capsys.readouterr().out
    assert "### The development part" in printed
    assert "### The test part" in printed
    written = report.read_text()
    assert written.startswith("# Benchmarks\n\nolder\n\n<!-- risk: begin -->\n## Assessments of risk\n")
    assert "### The test part" in written
    assert "### The development part" not in written
    assert "Measured with Python" in written
    assert main(["--write", "--part", "test"], say_by_word, report) == 1
    assert report.read_text().count("risk: begin") == 1


def test_the_command_is_content_when_every_level_is_right_and_quick(
    parts: dict[str, list[Labelled]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    right = {describe(one.operation): say(one.level) for part in parts.values() for one in part}

    def answer(operation: Operation) -> RiskAssessment:
        return right.get(describe(operation)) or say(LOW)

    report = tmp_path / "none.md"
    assert main(["--misses"], answer, report) == 0
    assert not report.exists()
    assert "MISSED" not in capsys.readouterr().out


def test_misses_are_listed_with_what_was_said_for_them(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--part", "test", "--misses"], lambda operation: say(HIGH))
    lines = [line for line in capsys.readouterr().out.splitlines() if ", called high as words: " in line]
    assert len(lines) == sum(one.level is not HIGH for one in load_part("test"))
    assert all(line.endswith("[said so]") for line in lines)


def test_only_the_test_part_is_kept(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--part", "development", "--write"], say_by_word)
    assert ended.value.code == 2
    assert "--write keeps the test part" in capsys.readouterr().err


def test_a_section_outlives_a_new_document_around_it(tmp_path: Path) -> None:
    path = tmp_path / "report.md"
    path.write_text("# Old\n")
    write_section(path, "risk", "one\n")
    assert path.read_text() == "# Old\n\n<!-- risk: begin -->\none\n<!-- risk: end -->\n"
    write_section(path, "lessons", "two")
    sections = path.read_text().removeprefix("# Old\n")
    for title in ("# New\n", "# Newer\n"):
        write_around_sections(path, title)
        assert path.read_text() == title + sections
    write_section(path, "risk", "three")
    assert path.read_text() == "# Newer\n" + sections.replace("one", "three")


def test_a_document_without_sections_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "docs" / "report.md"
    write_around_sections(path, "# Old\n")
    write_around_sections(path, "# New\n")
    assert path.read_text() == "# New\n"
    write_section(tmp_path / "only.md", "risk", "one")
    assert (tmp_path / "only.md").read_text() == "<!-- risk: begin -->\none\n<!-- risk: end -->\n"


def test_the_rules_stay_as_good_as_they_are_on_the_test_part() -> None:
    """What is measured stands in docs/benchmarks.md; this keeps a change of the rules from losing it."""
    with HistorianAgent() as historian:
        assess = partial(historian.assess, probe=False)
        scores = Scores(Judged(one, assess(one.operation)) for one in load_part("test"))
    assert scores.recall(RiskLevel.HIGH) >= 0.98
    assert scores.precision(RiskLevel.HIGH) >= 0.985
    assert scores.accuracy >= 0.975
