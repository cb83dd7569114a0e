"""Which kind a store is of, and kinds that other packages bring."""

from __future__ import annotations

import tomllib
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import pytest

from chronos.errors import UnknownKindError
from chronos.memory import detect_kind, get_kind, registry
from chronos.memory.plain import FilesKind
from tests.memory.stores import ADAPTERS, own_kinds


@pytest.fixture(autouse=True)
def kinds_that_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_OWN", {name: registry._OWN[name] for name in own_kinds()})


def test_each_store_is_known_by_what_stands_there(tmp_path: Path) -> None:
    tried = [adapter for adapter in ADAPTERS if adapter.kind in own_kinds()]
    for number, adapter in enumerate(tried):
        folder = tmp_path / f"{number}"
        folder.mkdir()
        assert detect_kind(adapter.make(folder)).name == adapter.kind
    assert len(tried) >= 3


def test_what_nobody_knows_is_plain_files(tmp_path: Path) -> None:
    (tmp_path / "x.lance").mkdir()  # by its name alone
    (tmp_path / "calls-itself.db").write_bytes(b"SQLite, it says")
    for place in (tmp_path, tmp_path / "x.lance", tmp_path / "calls-itself.db", tmp_path / "nothing"):
        assert detect_kind(place).name == "files"


def test_an_unknown_kind_is_named_with_those_that_are_known() -> None:
    with pytest.raises(UnknownKindError) as refused:
        get_kind("chroma")
    assert "chroma" in refused.value.message
    assert "lancedb" in (refused.value.hint or "")


def test_the_package_registers_its_own_kinds() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))["project"]
    points = project["entry-points"][registry.ENTRY_POINTS]
    assert {"sqlite", "lancedb", "files"} <= points.keys()
    for name in own_kinds():
        assert EntryPoint(name, points[name], registry.ENTRY_POINTS).load() is type(get_kind(name))


class ForeignKind(FilesKind):
    """Something that an entry point may lead to."""

    name = "foreign"


def test_a_kind_of_another_package_is_found_by_its_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("foreign", f"{__name__}:ForeignKind", registry.ENTRY_POINTS)
    monkeypatch.setattr("importlib.metadata.entry_points", lambda **wanted: EntryPoints([point]).select(**wanted))
    assert isinstance(get_kind("foreign"), ForeignKind)
    with pytest.raises(UnknownKindError):
        get_kind("foreigner")
