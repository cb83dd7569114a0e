"""Reading rules: the two files of the package, and a project's own, with the file and line of what is wrong.

A project's rules stand in `[tool.chronos.risk]` of pyproject.toml (`[risk]` of chronos.toml) or in `chronos-risk.yaml`
at the root, in the form of the files of the package. They add: lists grow, numbers are set, and a word, a command or a
path that a project speaks of is what the project says.
"""

from __future__ import annotations

import os
import re
import stat
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from chronos.config import SETTINGS_FILES, read_section
from chronos.errors import BadConfigError
from chronos.files import read_limited

PROJECT_FILE = "chronos-risk.yaml"
_PACKAGE_FILES = ("rules.yaml", "commands.yaml")
_PACKED_FILE = "rules.json"
_LARGEST_BYTES = 1024 * 1024
_MOST_ENTRIES = 20_000
_LONGEST_ENTRY = 8000
_NUMBERS = ("weights", "thresholds", "path_weights")
_LISTS = ("data", "small", "nouns", "written", "production", "clouds")
_TABLES = ("words", "classes", "verbs", "verb_flags", "paths", "commands", "effects", "valued")
_HINT = "docs/risk.md shows the form of the rules"


class RuleTable(msgspec.Struct, frozen=True, kw_only=True):
    """All rules as they are written down; `docs/risk.md` says what each section means."""

    weights: dict[str, float]
    thresholds: dict[str, float]
    path_weights: dict[str, float]
    words: dict[str, list[str]]
    classes: dict[str, list[str]]
    data: list[str]
    small: list[str]
    nouns: list[str]
    written: list[str]
    production: list[str]
    verbs: dict[str, list[str]]
    verb_flags: dict[str, list[str]]
    paths: dict[str, list[str]]
    commands: dict[str, list[str]]
    effects: dict[str, list[str]]
    clouds: list[str]
    valued: dict[str, list[str]]
    own_commands: dict[str, list[str]] = {}


class _Source(msgspec.Struct, frozen=True):
    """A file with rules: its name, what it says, and the line of something in it by the keys that lead there."""

    name: str
    values: Any
    line_of: Callable[[tuple[str, ...]], int]

    def problem(self, keys: tuple[str, ...], text: str) -> BadConfigError:
        where = ".".join(keys)
        return BadConfigError(
            f"{self.name}, line {self.line_of(keys)}: {where + ': ' if where else ''}{text}", hint=_HINT
        )


class Packed(msgspec.Struct, frozen=True):
    """The rules of the package in the form that is read in 1 ms, where YAML takes 45; `check` is of the files."""

    check: int
    table: RuleTable


def read_package_rules() -> RuleTable:
    """Return the rules of the package: the packed ones when they are of these very files."""
    texts = [_read_own(name) for name in _PACKAGE_FILES]
    try:
        packed = msgspec.json.decode(_read_own(_PACKED_FILE), type=Packed)
    except (OSError, msgspec.MsgspecError):  # it only saves time
        return parse_package(texts)
    return packed.table if packed.check == check_of(texts) else parse_package(texts)


def pack_rules() -> None:
    """Write the packed rules beside the files that they are of: `python -m historian.risk.packing`."""
    texts = [_read_own(name) for name in _PACKAGE_FILES]
    packed = msgspec.json.encode(Packed(check_of(texts), parse_package(texts)))
    Path(__file__).with_name(_PACKED_FILE).write_bytes(packed + b"\n")


def _read_own(name: str) -> bytes:
    return Path(__file__).with_name(name).read_bytes()


def check_of(texts: Sequence[bytes]) -> int:
    """Return what tells the files that rules were packed from."""
    return zlib.crc32(b"\0".join(texts))


def parse_package(texts: Sequence[bytes]) -> RuleTable:
    """Return the rules that the files of the package say, one after the other."""
    import yaml

    values: dict[str, Any] = {}
    for text in texts:
        for section, value in yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)).items():
            before = values.setdefault(section, value)
            if before is not value:
                for action, entries in value.items():
                    before[action] = [*before.get(action, ()), *entries]
    return msgspec.convert(values, RuleTable)


def look_of_project_rules(root: Path) -> tuple[object, ...]:
    """Return what tells whether a file that may have rules of the project at `root` has changed."""
    folder = os.fspath(root)
    return tuple([_look_at(f"{folder}/{name}") for name in (*SETTINGS_FILES, PROJECT_FILE)])


def _look_at(path: str) -> tuple[int, ...] | None:
    """Return what a file looks like: () for a link to nothing, None where there is nothing. It takes 1 to 2 us."""
    try:
        found = os.lstat(path)
    except OSError:
        return None
    if stat.S_ISLNK(found.st_mode):
        try:
            found = os.stat(path)
        except OSError:
            return ()
    return (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def read_project_rules(root: Path, package: RuleTable) -> RuleTable | None:
    """Return the rules of the package with those of the project at `root`, or None when it has none.

    Raises BadConfigError with the file, the line and what is wrong.
    """
    sources = [
        _Source(name, values, lambda keys, text=text: _toml_line(text, keys))  # type: ignore[misc]
        for name, values, text in read_section(root, "risk")
    ]
    if os.path.lexists(root / PROJECT_FILE):
        sources.append(_read_yaml(root / PROJECT_FILE))
    table = package
    for source in sources:
        table = _extend(table, source)
    return table if sources else None


def _read_yaml(path: Path) -> _Source:
    import yaml

    if not path.is_file():
        raise BadConfigError(f"{path.name} is no file", hint=_HINT)
    data = read_limited(path, _LARGEST_BYTES, too_large=BadConfigError)
    try:
        node = yaml.compose(data, Loader=yaml.SafeLoader)
        lines: dict[tuple[str, ...], int] = {}
        if node is not None:
            _note_lines(node, (), lines, 0)
        values = {} if node is None else yaml.safe_load(data)
    except yaml.MarkedYAMLError as cause:
        mark = cause.problem_mark or cause.context_mark
        line = mark.line + 1 if mark is not None else 1
        raise BadConfigError(f"{path.name}, line {line}: {cause.problem or cause.context}", hint=_HINT) from cause
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as cause:
        text = " ".join(str(cause).split())[:200]
        raise BadConfigError(f"{path.name}, line 1: not valid YAML: {text}", hint=_HINT) from cause
    return _Source(path.name, values, lambda keys: _nearest(lines, keys))


def _note_lines(node: Any, keys: tuple[str, ...], lines: dict[tuple[str, ...], int], depth: int) -> None:
    """Remember the line of each key and item. Aliases are followed as far as rules go: three levels.

    Raises yaml.MarkedYAMLError for a key that stands twice, of which YAML would take the last one.
    """
    lines.setdefault(keys, node.start_mark.line + 1)
    if depth > 3 or isinstance(node.value, str):
        return
    for number, child in enumerate(node.value):
        if isinstance(child, tuple):
            key, value = child
            name = (*keys, str(key.value))
            if name in lines:
                raise _twice(name, lines[name], key.start_mark)
            lines[name] = key.start_mark.line + 1
            _note_lines(value, name, lines, depth + 1)
        else:
            _note_lines(child, (*keys, str(number)), lines, depth + 1)


def _twice(name: tuple[str, ...], first: int, mark: Any) -> Exception:
    import yaml

    return yaml.MarkedYAMLError(problem=f"{'.'.join(name)}: stands twice, first in line {first}", problem_mark=mark)


def _nearest(lines: Mapping[tuple[str, ...], int], keys: tuple[str, ...]) -> int:
    while keys and keys not in lines:
        keys = keys[:-1]
    return lines.get(keys, 1)


def _toml_line(text: str, keys: tuple[str, ...]) -> int:
    """Return the line of a key in TOML that has been read, by its look; the table's own line where it is not found."""
    path: list[str] | None = []
    found, first = 1, True
    wanted = [key for key in keys if not key.isdecimal()]
    for number, line in enumerate(text.splitlines(), start=1):
        header = re.match(r"\s*\[+\s*([^\]]+?)\s*\]+", line)
        if header:
            parts = [part.strip().strip("\"'") for part in header[1].split(".")]
            path = parts[parts.index("risk") + 1 :] if "risk" in parts else None
            if path is not None and path == wanted[: len(path)] and (first or path):
                found, first = number, False
        elif path is not None and (key := re.match(r"\s*[\"']?([^\"'=\s]+)[\"']?\s*=", line)):
            here = [*path, *key[1].split(".")]
            if here == wanted[: len(here)]:
                found = number
    return found


def _extend(table: RuleTable, source: _Source) -> RuleTable:
    if source.values is None:
        return table
    if not isinstance(source.values, dict):
        raise source.problem((), "the rules are not a table of sections")
    changed: dict[str, Any] = {}
    for section, value in source.values.items():
        if section in _NUMBERS:
            changed[section] = getattr(table, section) | _numbers(source, section, value)
        elif section in _LISTS:
            changed[section] = [*getattr(table, section), *_entries(source, (section,), value)]
        elif section == "commands":  # a project's go before those of the package that are as long
            changed["own_commands"] = _grown(table, source, section, value)
        elif section in _TABLES:
            changed[section] = _grown(table, source, section, value)
        else:
            known = ", ".join(sorted((*_NUMBERS, *_LISTS, *_TABLES)))
            raise source.problem((str(section),), f"no such section; known: {known}")
    extended = msgspec.structs.replace(table, **changed)
    if extended.thresholds["medium"] > extended.thresholds["high"]:
        raise source.problem(("thresholds",), "medium is above high")
    return extended


def _numbers(source: _Source, section: str, value: Any) -> dict[str, float]:
    if not isinstance(value, dict):
        raise source.problem((section,), "not a table of names and numbers")
    known = _known_numbers(section)
    for name, number in value.items():
        keys = (section, str(name))
        if name not in known:
            raise source.problem(keys, f"no such name; known: {', '.join(sorted(known))}")
        if isinstance(number, bool) or not isinstance(number, int | float) or not 0 <= number <= 1:
            raise source.problem(keys, f"{number!r} is not a number from 0 to 1")
    return {str(name): float(number) for name, number in value.items()}


def _known_numbers(section: str) -> set[str]:
    from historian.risk.rules import package_rules

    return set(getattr(package_rules().table, section))


def _entries(source: _Source, keys: tuple[str, ...], value: Any) -> list[str]:
    if not isinstance(value, list):
        raise source.problem(keys, "not a list of texts")
    if len(value) > _MOST_ENTRIES:
        raise source.problem(keys, f"more than {_MOST_ENTRIES:,} entries")
    for number, entry in enumerate(value):
        if not isinstance(entry, str) or not entry.strip() or len(entry) > _LONGEST_ENTRY:
            raise source.problem((*keys, str(number)), f"{str(entry)[:60]!r} is not a text")
    return value


def _grown(table: RuleTable, source: _Source, section: str, value: Any) -> dict[str, list[str]]:
    """Return a table of lists with the project's entries, which are taken out of where they stood before."""
    if not isinstance(value, dict):
        raise source.problem((section,), "not a table of names and lists")
    grown = {name: list(entries) for name, entries in getattr(table, section).items()}
    if section == "commands":
        grown = {name: list(table.own_commands.get(name, ())) for name in grown}
    is_open = section in ("valued", "effects", "classes")
    for name, entries in value.items():
        if not is_open and name not in grown:
            raise source.problem((section, str(name)), f"no such name; known: {', '.join(sorted(grown))}")
        new = _entries(source, (section, str(name)), entries)
        if section in ("words", "classes"):
            _check_lists(table, source, (section, str(name)), new)
        bare = {entry.removesuffix("~") for entry in new}
        for others in () if is_open else grown.values():
            others[:] = [entry for entry in others if entry.removesuffix("~") not in bare]
        before = grown.setdefault(str(name), [])
        grown[str(name)] = list(_first_of(new, before)) if section == "paths" else [*before, *new]
    if section == "paths":  # the first pattern that fits counts: what the project names goes to the front
        return {name: grown[name] for name in (*value, *(name for name in grown if name not in value))}
    return grown


def _check_lists(table: RuleTable, source: _Source, keys: tuple[str, ...], entries: list[str]) -> None:
    """Raise for an entry that names with @ a list that is not there."""
    known = {*table.classes, *_LISTS, *(source.values.get("classes") or ())}
    for number, entry in enumerate(entries):
        for name in re.findall(r"@([\w-]+)", entry):
            if name not in known:
                raise source.problem((*keys, str(number)), f"no list {name!r}; known: {', '.join(sorted(known))}")


def _first_of(new: list[str], before: list[str]) -> Iterator[str]:
    yield from new
    yield from before
