"""What a front door spares itself of the libraries that it loads: nobody else notices."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
SPARED = (
    "ntpath", "urllib.parse", "platform", "textwrap", "msgspec.inspect", "msgspec.msgpack", "msgspec.toml",
    "msgspec.yaml", "typing_extensions", "locale",
)  # fmt: skip


def run(code: str, before: str = "") -> str:
    """Run code in a process of its own, after what is imported `before` and all that is spared; return what it says."""
    loads = "from chronos.lazy import load_engine_libraries, load_msgspec; load_msgspec(); load_engine_libraries()"
    lines = (before, loads, code)
    done = subprocess.run(
        [sys.executable, "-I", "-c", "\n".join((f"import sys; sys.path.insert(0, {str(PROJECT)!r})", *lines))],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.strip()


def test_nothing_stands_in_for_a_module_afterwards() -> None:
    assert run(f"print([name for name in {SPARED} if name in sys.modules])") == "[]"


@pytest.mark.parametrize("name", SPARED)
def test_who_imports_a_spared_module_gets_the_real_one(name: str) -> None:
    said = run(f"from importlib import import_module; print(import_module({name!r}).__spec__.name)")
    assert said == name


@pytest.mark.parametrize("name", SPARED)
def test_a_module_that_is_loaded_already_stays(name: str) -> None:
    said = run(f"print(sys.modules[{name!r}] is before)", f"import {name}; before = sys.modules[{name!r}]")
    assert said == "True"


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("pathlib.Path('/a b\\xe9').as_uri()", "file:///a%20b%C3%A9"),
        ("pathlib.PureWindowsPath('c:/x y').as_uri()", "file:///c:/x%20y"),
        ("pathlib.PureWindowsPath('C:/x/y.z').with_suffix('.q').as_posix()", "C:/x/y.q"),
        ("pathlib.PureWindowsPath('C:/x') == pathlib.PureWindowsPath('c:/X')", "True"),
        ("(uuid.getnode() == uuid.getnode(), uuid.uuid1().version, uuid.uuid4().version)", "(True, 1, 4)"),
        ("msgspec.json.schema(list[int])", "{'type': 'array', 'items': {'type': 'integer'}}"),
        ("(msgspec.msgpack.decode(msgspec.msgpack.encode([1])), msgspec.toml.decode('a = 1'))", "([1], {'a': 1})"),
        ("subprocess.run(['echo', 'é'], capture_output=True, text=True).stdout == 'é\\n'", "True"),
        ("zstandard.decompress(zstandard.compress(b'a')), zstandard.backend", "b'a' cext"),
        ("msgspec.inspect.type_info(int) == msgspec.inspect.IntType()", "True"),
        ("(msgspec.json.decode(b'{\"a\": 1}', type=Row).a, Row.__doc__ in str(msgspec.json.schema(Row)))", "(1, True)"),
    ],
)
def test_what_was_spared_works_when_it_is_used(expression: str, value: str) -> None:
    row = "class Row(msgspec.Struct):\n    'One of several.'\n    a: int"
    assert run(f"import msgspec, pathlib, subprocess, uuid, zstandard\n{row}\nprint({expression})") == value


def test_uuid_asks_for_the_same_system_as_platform_says() -> None:
    code = "import uuid, platform; print(getattr(uuid, 'platform', platform).system() == platform.system())"
    assert run(code) == "True"


def test_what_a_stand_in_lacks_comes_from_the_module_itself() -> None:
    code = "import platform, uuid; print(getattr(uuid, 'platform', platform).python_version())"
    assert run(code) == sys.version.split()[0].rstrip("+")
