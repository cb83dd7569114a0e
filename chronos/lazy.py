"""What loads when, since loading is most of what a short command takes.

Rooms whose modules load when something in them is asked for, libraries without what hardly anybody uses of them, and
what loads while a program that was started works.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib import import_module
from types import ModuleType
from typing import Any

# Between two searches for garbage, for a front door to set: loading a program makes many objects and no garbage, and
# with Python's 700 it is searched for 5 ms long. A merge of 200 files has 50,000 with it, one search takes 10 ms.
OBJECTS_PER_COLLECTION = 100_000
_expected: list[str] = []


class _Later(ModuleType):
    """Stands for a module that is loaded when something is asked for that `given` does not have."""

    def __init__(self, name: str, given: Mapping[str, object]) -> None:
        super().__init__(name)
        vars(self).update(given)

    def __getattr__(self, name: str) -> object:
        if name == "__path__":  # what an import asks of every module: packages have it
            raise AttributeError(name)
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        found: object = getattr(import_module(self.__name__), name)
        return found


def load_msgspec() -> None:
    """Load pathlib and msgspec without what they import and hardly anybody uses: 14 of their 22 ms in Python 3.11.

    For a front door to call before anything else loads them. `Path.as_uri` loads urllib.parse when it is called, paths
    of Windows ntpath; uuid asks platform for one word; schemas of msgspec load textwrap and msgspec.inspect, and its
    other formats load when they are used; what it takes of typing_extensions, typing has as well. Whoever else imports
    these gets them as ever.
    """

    def quote_from_bytes(data: bytes | bytearray, safe: str | bytes = "/") -> str:
        from urllib.parse import quote_from_bytes as quote

        return quote(data, safe)

    _load("pathlib", {"ntpath": {}, "urllib.parse": {"quote_from_bytes": quote_from_bytes}})
    if hasattr(os, "uname"):
        _load("uuid", {"platform": {"system": lambda: os.uname().sysname}})
    later: dict[str, Mapping[str, object]] = {f"msgspec.{name}": {} for name in ("inspect", "msgpack", "toml", "yaml")}
    _load("msgspec", {**later, "textwrap": {}, "typing_extensions": None})


def load_engine_libraries() -> None:
    """Load what the engine is built on in the same way, before something that needs it: 2 of 6 ms.

    subprocess reads text by the locale where it is asked to, and zstandard asks platform for the word "CPython".
    """
    _load("subprocess", {"locale": {}})
    if sys.implementation.name == "cpython":
        _load("zstandard", {"platform": {"python_implementation": lambda: "CPython"}})


def _load(name: str, spared: Mapping[str, Mapping[str, object] | None]) -> None:
    """Load a module while others, unless they are loaded, are not there (None), or later but for what is given."""
    if name in sys.modules:
        return
    stand_ins: dict[str, Any] = {
        other: _Later(other, given) if given is not None else None  # what Python itself sets for "not there"
        for other, given in spared.items()
        if other not in sys.modules
    }
    sys.modules.update(stand_ins)
    try:
        import_module(name)
    finally:
        for other, stand_in in stand_ins.items():
            if other in sys.modules and sys.modules[other] is stand_in:
                del sys.modules[other]


def expect(*modules: str) -> None:
    """Say which modules will be needed in any case: they are loaded while a program that was started works."""
    _expected.extend(name for name in modules if name not in sys.modules)


def load_expected(is_over: Callable[[], bool]) -> None:
    """Load what is expected, one module after the other, until `is_over` or there is no more.

    What this Python does not have is left to whoever asks for it.
    """
    while _expected and not is_over():
        with suppress(ImportError):
            import_module(_expected.pop(0))


def loader(package: str, homes: Mapping[str, str]) -> Callable[[str], object]:
    """Return the `__getattr__` of a package (PEP 562): `homes` says in which of its modules each name is."""

    def load(name: str) -> object:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        found: object = getattr(import_module(f"{package}.{homes[name]}"), name)
        vars(sys.modules[package])[name] = found
        return found

    return load
