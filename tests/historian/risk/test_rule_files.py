"""A project's own rules: what they change, and where a mistake in them is said to be."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from chronos.errors import BadConfigError
from historian import HistorianAgent
from historian.risk import Assessor, load_rules, rule_files
from tests.support import RepoBuilder

RULES = Path(rule_files.__file__).parent


def assessor(root: Path) -> Assessor:
    return Assessor(load_rules(root))


def test_a_project_without_rules_has_those_of_the_package(tmp_path: Path) -> None:
    assert load_rules(tmp_path) is load_rules(None)
    (tmp_path / "pyproject.toml").write_text("[tool.chronos]\nquota_bytes = 1\n")
    assert load_rules(tmp_path) is load_rules(None)


def test_words_commands_paths_and_weights_can_be_added(tmp_path: Path) -> None:
    (tmp_path / "chronos-risk.yaml").write_text(
        "words:\n  destroys: [yeet~]\n  reads: [purge~]\n"
        'commands:\n  destroys: ["frob widget"]\n  reads: ["make clean"]\n'
        'paths:\n  protected: ["*/contracts/*"]\nweights:\n  changes: 0.5\n'
    )
    found = assessor(tmp_path)
    assert found.assess("yeeting the table").level.value == "high"
    assert found.assess("purge the queue").level.value == "low"
    assert found.assess("frob widget 4").level.value == "high"
    assert found.assess("make clean").level.value == "low"
    assert found.assess("echo x > contracts/a.txt").level.value == "high"
    assert found.assess("update the page").score == 0.5
    assert Assessor().assess("make clean").level.value == "medium"


def test_rules_stand_in_pyproject_or_in_chronos_toml(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.chronos.risk.words]\ndestroys = ["yeet~"]\n')
    (tmp_path / "chronos.toml").write_text("[risk.thresholds]\nhigh = 0.99\n")
    found = assessor(tmp_path).assess("yeet the table")
    assert (found.level.value, found.score) == ("medium", 0.85)


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("words:\n  destroys: [a, [b]]\n", 2, "is not a text"),
        ("words:\n  destroys: [a]\n  destroies: [b]\n", 3, "no such name"),
        ("weights:\n  reads: 0.1\n  changes: much\n", 3, "not a number"),
        ("weights:\n  reads: 7\n", 2, "not a number"),
        ("thresholds:\n  medium: 0.9\n", 1, "medium is above high"),
        ("word:\n  a: 1\n", 1, "no such section"),
        ("words:\n  destroys:\n    - a\n    - false\n", 4, "is not a text"),
        ("words: 3\n", 1, "not a table"),
        ("- a\n", 1, "not a table"),
        ("words:\n  destroys: [a\nweights: {}\n", 3, "expected"),
        ("a: &a [*a]\n", 1, ""),
        ("words: !!python/object:os.system {}\n", 1, ""),
        ("words: {}\nweights: {reads: 0.1}\nwords: {}\n", 3, "words: stands twice, first in line 1"),
        ("words:\n  reads: [a]\n  destroys: [b]\n  reads: [c]\n", 4, "words.reads: stands twice, first in line 2"),
        ("words:\n  reads: [a @nothing]\n", 2, "no list 'nothing'"),
        ("classes:\n  tools: [axe]\n  ours: ['@tools', '@nothing']\n", 3, "no list 'nothing'"),
    ],
)
def test_a_mistake_in_yaml_is_said_with_its_line(tmp_path: Path, text: str, line: int, said: str) -> None:
    (tmp_path / "chronos-risk.yaml").write_text(text)
    with pytest.raises(BadConfigError, match=rf"chronos-risk.yaml, line {line}: .*{said}"):
        load_rules(tmp_path)


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to("nowhere")])
def test_rules_that_cannot_be_read_are_not_passed_over(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "chronos-risk.yaml")
    with pytest.raises(BadConfigError, match=r"chronos-risk\.yaml is no file"):
        load_rules(tmp_path)


@pytest.mark.parametrize("probe", [True, False])
def test_rules_hold_below_the_root_and_where_nothing_is_looked_at(
    repo: RepoBuilder, monkeypatch: pytest.MonkeyPatch, probe: bool
) -> None:
    repo.write("chronos-risk.yaml", "words:\n  destroys: [yeet~]\n")
    repo.write("below/a.txt", "a")
    monkeypatch.chdir(repo.root / "below")
    with HistorianAgent() as historian:
        assert historian.assess("yeet the servers", probe=probe).level.value == "high"


@pytest.mark.parametrize("probe", [True, False])
def test_settings_that_cannot_be_read_are_said_by_an_assessment(
    repo: RepoBuilder, monkeypatch: pytest.MonkeyPatch, probe: bool
) -> None:
    repo.write("chronos.toml", '[risk.words]\ndestroys = ["yeet~"\n')
    monkeypatch.chdir(repo.root)
    with HistorianAgent() as historian, pytest.raises(BadConfigError, match=r"chronos\.toml is not valid"):
        historian.assess("yeet the servers", probe=probe)


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ('[project]\nname = "x"\n\n[tool.chronos.risk.weights]\nreads = "x"\n', 5, "not a number"),
        ('[tool.chronos]\nquota_bytes = 1\n[tool.chronos.risk]\nwods = ["a"]\n', 4, "no such section"),
        ("[tool.chronos.risk]\nwords = { destroys = 3 }\n", 2, "not a list"),
    ],
)
def test_a_mistake_in_toml_is_said_with_its_line(tmp_path: Path, text: str, line: int, said: str) -> None:
    (tmp_path / "pyproject.toml").write_text(text)
    with pytest.raises(BadConfigError, match=rf"pyproject.toml, line {line}: .*{said}"):
        load_rules(tmp_path)


def test_a_turn_of_a_project_names_lists_of_its_own(tmp_path: Path) -> None:
    rules = tmp_path / "chronos-risk.yaml"
    rules.write_text('classes:\n  boats: [dinghy, raft]\nwords:\n  destroys: ["sink|scuttle~ ... @boats"]\n')
    found = assessor(tmp_path)
    assert found.assess("scuttling the old wooden raft").level.value == "high"
    assert found.assess("sink the cost").level.value == "medium"
    rules.write_text('words:\n  destroys: ["sink ... @ships"]\n')
    with pytest.raises(BadConfigError, match=r"line 2: words\.destroys\.0: no list 'ships'"):
        load_rules(tmp_path)


def test_the_packed_rules_are_those_of_the_files() -> None:
    files = [(RULES / name).read_bytes() for name in ("rules.yaml", "commands.yaml")]
    packed = msgspec.json.decode((RULES / "rules.json").read_bytes(), type=rule_files.Packed)
    assert packed.table == rule_files.parse_package(files), "run `python -m historian.risk.packing`"
    assert packed.check == rule_files.check_of(files), "run `python -m historian.risk.packing`"


def test_packed_rules_of_other_files_or_none_only_cost_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("rules.yaml", "commands.yaml"):
        (tmp_path / name).write_bytes((RULES / name).read_bytes())
    monkeypatch.setattr(rule_files, "__file__", str(tmp_path / "rule_files.py"))
    whole = rule_files.read_package_rules()
    for packed in (b"", b"{", (RULES / "rules.json").read_bytes().replace(b'"check":', b'"check":1', 1)):
        (tmp_path / "rules.json").write_bytes(packed)
        assert rule_files.read_package_rules() == whole
    rule_files.pack_rules()
    assert (tmp_path / "rules.json").read_bytes() == (RULES / "rules.json").read_bytes()


def test_rules_of_a_project_are_read_again_once_they_change(repo: RepoBuilder) -> None:
    with HistorianAgent(engine=repo.engine()) as historian:
        assert historian.assess("frobnicate the widgets", probe=False).level == "medium"
        repo.write("chronos-risk.yaml", "words:\n  destroys: [frobnicate]\n")
        assert historian.assess("frobnicate the widgets", probe=False).level == "high"
        repo.remove("chronos-risk.yaml")
        assert historian.assess("frobnicate the widgets", probe=False).level == "medium"
        repo.link("chronos-risk.yaml", "nowhere")
        with pytest.raises(BadConfigError):
            historian.assess("frobnicate the widgets", probe=False)
