"""Resolvers by name: which there are, what they are made with, and those that other packages bring."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest

from chronos.config import Config, load
from chronos.errors import BadConfigError, UnknownResolverError, UnsupportedError
from chronos.merging import (
    Choice,
    Conflict,
    ConflictKind,
    Resolution,
    ResolverSettings,
    list_resolvers,
    open_resolver,
    resolvers,
)

CONFLICT = Conflict(ConflictKind.CONTENT, b"a.txt", "both changed a line", b"0\n", b"1\n", b"2\n")
SETTINGS = ResolverSettings(print, "http://127.0.0.1:9/v1", "small", "k3y", 5.0)


@pytest.fixture
def other_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A distribution of somebody else, as an installer leaves it: a module, and its metadata with entry points."""
    (tmp_path / "peacemaker.py").write_text(
        "from chronos.merging import Choice, Resolution\n"
        "closed = []\n"
        "class Peace:\n"
        "    def __init__(self, settings): self.settings = settings\n"
        "    def __call__(self, conflict):\n"
        "        self.settings.notify('peace')\n"
        "        return Resolution(Choice.CONTENT, conflict.ours + self.settings.model.encode() + conflict.theirs)\n"
        "    def close(self): closed.append(self)\n"
        "def careless(settings): return lambda conflict: b'bytes'\n"
        "def silent(settings): return lambda conflict: None\n"
        "def empty(settings): return None\n"
    )
    info = tmp_path / "peacemaker-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: peacemaker\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[chronos.merge_resolvers]\npeace = peacemaker:Peace\ncareless = peacemaker:careless\n"
        "silent = peacemaker:silent\nempty = peacemaker:empty\n"
        "nowhere = peacemaker_gone:Peace\nnothing = peacemaker:Gone\nopenai = peacemaker:Peace\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "peacemaker", raising=False)
    return tmp_path


def test_the_installed_package_registers_its_resolver() -> None:
    from importlib.metadata import distribution

    (point,) = distribution("chronomancer").entry_points.select(group=resolvers.ENTRY_POINTS)
    assert point.name == "openai"
    from chronos.merging.asking import ModelResolver

    assert point.load() is ModelResolver


@pytest.mark.usefixtures("other_package")
def test_a_resolver_of_another_package_is_found_asked_and_closed() -> None:
    said: list[str] = []
    with open_resolver("peace", ResolverSettings(said.append, model=" and ")) as resolver:
        assert resolver(CONFLICT) == Resolution(Choice.CONTENT, b"1\n and 2\n")
        assert sys.modules["peacemaker"].closed == []
    assert len(sys.modules["peacemaker"].closed) == 1
    assert said == ["peace"]
    with open_resolver("silent", SETTINGS) as resolver:
        assert resolver(CONFLICT) is None


@pytest.mark.usefixtures("other_package")
def test_a_resolver_is_closed_when_the_merge_fails() -> None:
    with pytest.raises(KeyError), open_resolver("peace", SETTINGS):
        raise KeyError
    assert len(sys.modules["peacemaker"].closed) == 1


@pytest.mark.usefixtures("other_package")
def test_no_other_package_takes_the_place_of_ours() -> None:
    with open_resolver("openai", SETTINGS):
        assert "peacemaker" not in sys.modules
    assert list_resolvers().count("openai") == 1


@pytest.mark.usefixtures("other_package")
@pytest.mark.parametrize("name", ["openai2", "", "OpenAI", "pea\x1bce"])
def test_an_unknown_name_is_refused_with_those_that_there_are(name: str) -> None:
    with pytest.raises(UnknownResolverError) as refused, open_resolver(name, SETTINGS):
        pass
    assert refused.value.exit_code == 2
    assert "openai" in refused.value.hint
    assert "peace" in refused.value.hint
    assert "\x1b" not in refused.value.message


@pytest.mark.usefixtures("other_package")
@pytest.mark.parametrize("name", ["nowhere", "nothing", "empty"])
def test_a_resolver_that_cannot_be_had_is_refused_by_name(name: str) -> None:
    with pytest.raises(UnsupportedError, match=name), open_resolver(name, SETTINGS):
        pass


@pytest.mark.usefixtures("other_package")
def test_an_answer_that_is_no_resolution_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="answers with a bytes"), open_resolver("careless", SETTINGS) as resolver:
        resolver(CONFLICT)


def test_without_httpx_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith(("httpx", "chronos.merging."))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "httpx", None)
    with pytest.raises(UnsupportedError, match="httpx") as refused, open_resolver("openai", SETTINGS):
        pass
    assert "pip install 'chronomancer[llm]'" in refused.value.hint


# settings


def test_a_resolver_is_set_by_variables_and_its_key_is_never_shown(tmp_path: Path) -> None:
    variables = {
        "CHRONOS_MERGE_RESOLVER_URL": "https://llm.example.invalid/v1", "CHRONOS_MERGE_RESOLVER_MODEL": "small",
        "CHRONOS_MERGE_RESOLVER_TIMEOUT": "7", "CHRONOS_MERGE_RESOLVER_KEY": "k3y", "OPENAI_API_KEY": "other",
    }  # fmt: skip
    config = load(tmp_path, variables)
    settings = ResolverSettings.from_config(config, variables, print)
    assert (settings.url, settings.model) == ("https://llm.example.invalid/v1", "small")
    assert (settings.key, settings.timeout_s) == ("k3y", 7.0)
    assert "k3y" not in f"{config!r} {settings!r} {settings}"


@pytest.mark.parametrize(
    ("variables", "key"),
    [
        ({}, ""),
        ({"OPENAI_API_KEY": "general"}, "general"),
        ({"OPENAI_API_KEY": "general", "CHRONOS_MERGE_RESOLVER_KEY": "own\n"}, "own"),
        ({"OPENAI_API_KEY": "general", "CHRONOS_MERGE_RESOLVER_KEY": ""}, ""),
    ],
)
def test_the_key_for_resolvers_goes_before_the_general_one(variables: dict[str, str], key: str) -> None:
    assert ResolverSettings.from_config(Config(), variables, print).key == key


@pytest.mark.parametrize("name", ["chronos.toml", "pyproject.toml"])
@pytest.mark.parametrize(
    "line",
    [
        'merge_resolver_url = "https://thief.example.invalid/v1"', 'merge_resolver_model = "thief/large"',
        "merge_resolver_timeout_s = 1e6", 'merge_resolver_key = "x"',
    ],
)  # fmt: skip
def test_a_projects_own_files_may_not_say_to_whom_contents_go(tmp_path: Path, name: str, line: str) -> None:
    (tmp_path / name).write_text(("" if name == "chronos.toml" else "[tool.chronos]\n") + line)
    with pytest.raises(BadConfigError, match=line.split()[0]):
        load(tmp_path, {"CHRONOS_MERGE_RESOLVER_URL": "http://127.0.0.1:1/v1"})


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"url": ""}, "none by default"),
        ({"url": "llm.example.invalid/v1"}, "no URL of an endpoint"),
        ({"url": "file:///etc/passwd"}, "no URL of an endpoint"),
        ({"url": "http://"}, "no URL of an endpoint"),
        ({"url": "http://[::1/v1"}, "URL is none"),
        ({"url": "http://127.0.0.1:port/v1"}, "URL is none"),
        ({"url": "http://127.0.0.1/v1?to=x"}, "no URL of an endpoint"),
        ({"url": "http://127.0.0.1/v1?"}, "no URL of an endpoint"),
        ({"url": "http://127.0.0.1\n.example.invalid/v1"}, "URL is none"),
        ({"url": "http://127.0.0.1\\@llm.example.invalid/v1"}, "a password in it"),
        ({"url": "https://me:hunter2@llm.example.invalid/v1"}, "a password in it"),
        ({"url": "http://llm.example.invalid/v1"}, "unencrypted"),
        ({"url": "http://127.0.0.1.example.invalid/v1"}, "unencrypted"),
        ({"model": ""}, "no model"),
        ({"timeout_s": 0.0}, "needs time"),
        ({"key": "a\r\nHost: b"}, "no key has"),
        ({"key": "schlüssel"}, "no key has"),
    ],
)
def test_settings_that_cannot_work_are_refused_before_anything_is_sent(settings: dict[str, str], match: str) -> None:
    values = {"notify": print, "url": "http://127.0.0.1:9/v1", "model": "small", "key": "k3y", **settings}
    with pytest.raises(BadConfigError, match=match) as refused, open_resolver("openai", ResolverSettings(**values)):
        pass
    assert refused.value.exit_code == 2
    assert "CHRONOS_MERGE_RESOLVER_" in refused.value.hint
    assert "hunter2" not in refused.value.message
    assert "k3y" not in refused.value.message


@pytest.mark.parametrize("url", ["http://localhost:1/v1", "http://[::1]:1/v1", "https://llm.example.invalid/v1/"])
def test_a_key_goes_over_loopback_or_encrypted(url: str) -> None:
    with open_resolver("openai", ResolverSettings(print, url, "small", "k3y")):
        pass
    with open_resolver("openai", ResolverSettings(print, "http://llm.example.invalid/v1", "small")):
        pass  # without a key


def test_the_example_of_the_documents_is_a_resolver() -> None:
    text = (Path(__file__).parents[2] / "docs/resolvers.md").read_text("utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    space: dict[str, Any] = {}
    exec(compile(code, "resolvers.md", "exec"), space)
    said: list[str] = []
    resolver = space["make_resolver"](ResolverSettings(said.append))
    assert resolver(CONFLICT) is None
    assert resolver(Conflict(ConflictKind.CONTENT, b"VERSION", "both")) == Resolution(Choice.THEIRS)
    assert said == ["VERSION: took theirs"]
