"""Rooms whose modules load when something in them is asked for: what people type all day needs few of them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module

# Between two searches for garbage, for a front door to set: loading a program makes many objects and no garbage, and
# with Python's 700 it is searched for 5 ms long. A merge of 200 files has 50,000 with it, one search takes 10 ms.
OBJECTS_PER_COLLECTION = 100_000


def load_msgspec() -> None:
    """Load msgspec without typing_extensions: 8 of its 16 ms, for what `typing` of Python 3.11 has as well.

    For a front door to call before anything else loads msgspec. Other imports find typing_extensions as ever.
    """
    if "typing_extensions" not in sys.modules:
        sys.modules["typing_extensions"] = None  # type: ignore[assignment] # what Python itself sets for "not there"
        try:
            import_module("msgspec")
        finally:
            del sys.modules["typing_extensions"]


def loader(package: str, homes: Mapping[str, str]) -> Callable[[str], object]:
    """Return the `__getattr__` of a package (PEP 562): `homes` says in which of its modules each name is."""

    def load(name: str) -> object:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        found: object = getattr(import_module(f"{package}.{homes[name]}"), name)
        vars(sys.modules[package])[name] = found
        return found

    return load
