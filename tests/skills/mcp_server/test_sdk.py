"""Which SDK is served, and what is said where it is missing; nothing of it is loaded before it is needed."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import PackageNotFoundError

import pytest

from chronos.errors import UnsupportedError
from skills.mcp_server import sdk


@pytest.mark.parametrize(("found", "major"), [("1.26.0", 1), ("1.30.1", 1), ("2.0.0rc1", 2), ("2.3.0", 2)])
def test_both_majors_are_served(monkeypatch: pytest.MonkeyPatch, found: str, major: int) -> None:
    monkeypatch.setattr(sdk, "version", lambda _: found)
    assert sdk.find_major() == major


@pytest.mark.parametrize("found", ["1.25.3", "0.9", "3.0.0", "10.0", None])
def test_others_are_refused_with_what_to_install(monkeypatch: pytest.MonkeyPatch, found: str | None) -> None:
    def version(_: str) -> str:
        if found is None:
            raise PackageNotFoundError("mcp")
        return found

    monkeypatch.setattr(sdk, "version", version)
    with pytest.raises(UnsupportedError) as caught:
        sdk.find_major()
    assert "pip install 'chronomancer[mcp]'" in caught.value.hint


def test_the_door_of_the_room_loads_no_sdk() -> None:
    code = "import sys; from skills.mcp_server import parse_address; print({'mcp', 'anyio'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
