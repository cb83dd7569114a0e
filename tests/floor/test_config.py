"""Settings: what is no value of its kind is refused by name, wherever it stands, and nothing else goes wrong."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from chronos.config import load, read_guard
from chronos.errors import BadConfigError


@pytest.mark.parametrize(
    "line",
    [
        "max_file_bytes = inf", "max_file_bytes = nan", "max_file_bytes = 1.9", "max_file_bytes = -1",
        "max_file_bytes = true", "max_file_bytes = []", "lock_timeout_s = nan", "lock_timeout_s = inf",
        "lock_timeout_s = -0.1", 'timelines_dir = "a\\u0000b"', 'timelines_dir = ""', "timelines_dir = 1",
        "include = [1]", "enabled = 2", "unheard_of = 1",
    ],
)  # fmt: skip
def test_a_value_of_the_wrong_kind_is_refused_by_name(tmp_path: Path, line: str) -> None:
    (tmp_path / "chronos.toml").write_text(line)
    with pytest.raises(BadConfigError, match=line.split()[0]):
        load(tmp_path, {})


@pytest.mark.parametrize("variable", ["CHRONOS_LOCK_TIMEOUT", "CHRONOS_MAX_FILE_BYTES"])
@pytest.mark.parametrize("value", ["nan", "inf", "-1", "x"])
def test_a_number_in_the_environment_is_finite(tmp_path: Path, variable: str, value: str) -> None:
    with pytest.raises(BadConfigError):
        load(tmp_path, {variable: value})


@pytest.mark.parametrize(
    "text", ['tool = "tool.chronos"', '[tool]\nchronos = "tool.chronos"', 'tool = ["tool.chronos"]']
)
def test_a_table_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "pyproject.toml").write_text(text)
    with pytest.raises(BadConfigError, match="is not a table"):
        load(tmp_path, {})


def test_a_whole_number_may_be_written_as_one(tmp_path: Path) -> None:
    (tmp_path / "chronos.toml").write_text("max_file_bytes = 2e3\nlock_timeout_s = 3\n")
    config = load(tmp_path, {})
    assert (config.max_file_bytes, config.lock_timeout_s) == (2000, 3.0)
    assert math.isfinite(config.lock_timeout_s)


def test_a_project_file_that_is_too_large_to_read_is_not_called_damaged(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_bytes(b"# a comment\n" * 400_000)
    with pytest.raises(BadConfigError, match=r"pyproject\.toml is larger"):
        load(tmp_path, {})


@pytest.mark.parametrize("name", ["chronos.toml", "pyproject.toml"])
@pytest.mark.parametrize("place", ["/srv/store", "../victim", "a/../../victim", "~/store"])
def test_a_projects_own_files_may_not_put_the_store_outside(tmp_path: Path, name: str, place: str) -> None:
    table = "" if name == "chronos.toml" else "[tool.chronos]\n"
    (tmp_path / name).write_text(f'{table}timelines_dir = "{place}"\n')
    with pytest.raises(BadConfigError, match="leads out of the project"):
        load(tmp_path, {})
    assert load(tmp_path / "..", {"CHRONOS_TIMELINES_DIR": place}).timelines_dir == place


@pytest.mark.parametrize(
    ("files", "environment", "wanted"),
    [
        ({}, {}, "auto"),
        ({"chronos.toml": "guard = 'block'\nunheard = 1\n"}, {}, "block"),
        ({"pyproject.toml": "[tool.chronos]\nguard = 'confirm'\n", "chronos.toml": "guard = ["}, {}, "confirm"),
        ({"chronos.toml": "guard = ["}, {"CHRONOS_GUARD": "high=block"}, "block"),
        ({"chronos.toml": "guard = 'block'\n"}, {"CHRONOS_GUARD": "often"}, "block"),
        ({"chronos.toml": "guard = 'block'\n"}, {"CHRONOS_GUARD": "advise"}, "advise"),
    ],
)
def test_the_guards_policy_is_read_also_where_other_settings_are_wrong(
    tmp_path: Path, files: dict[str, str], environment: dict[str, str], wanted: str
) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert read_guard(tmp_path, environment).high.value == wanted
