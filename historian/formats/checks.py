"""Whether a file can be read in the format that its name promises. Nothing in it is executed or constructed."""

from __future__ import annotations

import warnings

from historian.formats.texts import TextStyle

_FORMATS = {
    ".json": "json", ".ipynb": "json", ".geojson": "json", ".webmanifest": "json",
    ".toml": "toml", ".yaml": "yaml", ".yml": "yaml", ".py": "python", ".pyi": "python",
    ".xml": "xml", ".svg": "xml", ".xsd": "xml", ".xsl": "xml", ".xslt": "xml", ".csproj": "xml",
}  # fmt: skip


def find_fault(path: str, data: bytes) -> str | None:
    """Return what keeps `data` from being valid in the format that `path` ends with, or None, also for no known one."""
    name = _FORMATS.get("." + path.rpartition("/")[2].rpartition(".")[2].lower())
    if name is None:
        return None
    if name == "xml":
        return _fault_of_xml(data)
    if name == "python" and not data.startswith(b"\xef\xbb\xbf"):
        return _fault_of_python(data)
    style = TextStyle.of(data)
    if style is None:
        return f"{name}: it is no text"
    text = style.decode(data)
    check = {"json": _fault_of_json, "toml": _fault_of_toml, "yaml": _fault_of_yaml, "python": _fault_of_python}[name]
    return check(text)


def _fault_of_json(text: str) -> str | None:
    import json

    try:
        json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as cause:
        return f"json: {cause}"
    return None


def _refuse_constant(word: str) -> object:
    raise ValueError(f"{word} is no JSON")


def _fault_of_toml(text: str) -> str | None:
    import tomllib

    try:
        tomllib.loads(text)
    except (ValueError, RecursionError) as cause:
        return f"toml: {cause}"
    return None


def _fault_of_yaml(text: str) -> str | None:
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        for _ in yaml.compose_all(text, Loader=loader):
            pass
    except (yaml.YAMLError, ValueError, RecursionError) as cause:
        return f"yaml: {' '.join(str(cause).split())}"
    return None


def _fault_of_python(source: str | bytes) -> str | None:
    import ast

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(source)
    except SyntaxError as cause:
        where = f" (line {cause.lineno})" if cause.lineno else ""
        return f"python: {cause.msg}{where}"
    except (ValueError, RecursionError, MemoryError) as cause:
        return f"python: {cause or 'nested too deeply'}"
    return None


def _fault_of_xml(data: bytes) -> str | None:
    from xml.parsers import expat  # it bounds what entities grow to since 2.4.1, and nothing is built here

    parser = expat.ParserCreate()
    try:
        parser.Parse(data, True)
    except expat.ExpatError as cause:
        return f"xml: {cause}"
    return None
