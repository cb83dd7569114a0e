"""Which of the changes since a checkpoint may have made something fail, the likeliest first, each with its reasons.

Weights are ours, chosen so that one strong sign (a changed line where the error arose, a module that was not found and
is gone, a table that the error names) beats any number of weak ones (size, age, words of the operation).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath

import msgspec

from historian.failures.parsed import Frame, ParsedError

_NEAR, _AROUND = 3, 20
_FRAME, _DEEPER = 0.45, 0.85
_MISSING, _NAMED, _MENTIONED, _WORD = 0.5, 0.3, 0.25, 0.15
_LARGE_LINES = 200
_QUOTED = re.compile(r"['\"`‘“]([^'\"`’”\n]{1,200})['\"`’”]")
_AFTER = re.compile(
    r"(?:no such (?:table|column)|has no column named|relation|column|table|cannot find module|no module named|"
    r"undefined:|undefined reference to|cannot find symbol|unresolved import|name)[: ]+['\"`‘“]?([\w./@$-]{1,200})",
    re.IGNORECASE,
)  # fmt: skip
_PATH = re.compile(r"[\w.@+~-]*(?:/[\w.@+~-]+)+|\b[\w-]+\.[A-Za-z]\w{0,5}\b")
_SCHEMA_ERROR = re.compile(
    r"no such (?:table|column)|has no column|(?:relation|table|column|type) \S+ (?:does not|already) exists?|"
    r"unknown column|constraint failed|duplicate column|doesn't exist", re.IGNORECASE,
)  # fmt: skip
_SCHEMA_FILE = re.compile(r"(?:^|/)(?:migrations?|alembic|schema|db|prisma)(?:/|[^/]*$)|\.sql$", re.IGNORECASE)
_MISSING_ERROR = re.compile(
    r"no module named|cannot find module|module_not_found|no such file|unresolved import|cannot find package|"
    r"package \S+ is not in|could not find or load|classnotfound|failed to resolve|can't open file|cannot find symbol",
    re.IGNORECASE,
)  # fmt: skip
_SIDE_FILE = re.compile(r"(?:^|/)(?:docs?|\.github)/|\.(?:md|rst|txt|lock|svg|png|min\.js|map)$", re.IGNORECASE)
_HUNK = re.compile(r"@@ -\d+(?:,\d+)? \+(\d+)(?:,\d+)? @@")


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One changed file as the ranking sees it: `status` as in a diff, the patch's text, and when it was written last.

    `renamed_to` is where a deleted file's content stands now, if anywhere. `age` is 0 for the newest, 1 for the oldest.
    """

    path: str
    status: str
    patch: str = ""
    added: int = 0
    removed: int = 0
    age: float = 1.0
    renamed_to: str = ""


class StoreChange(msgspec.Struct, frozen=True):
    """One changed memory store: its name and place, and for each table that differs what happened to it."""

    name: str
    path: str
    status: str
    tables: Mapping[str, str] = {}


class Suspect(msgspec.Struct, frozen=True):
    """A change that may be to blame. `score` is 0 to 1; a memory store has its name and place in `path`."""

    path: str
    status: str
    score: float
    reasons: tuple[str, ...]
    added: int = 0
    removed: int = 0


def rank_suspects(
    error: ParsedError, operation: str, changes: Sequence[Change], stores: Sequence[StoreChange], root: str
) -> list[Suspect]:
    """Return the changes, the most suspicious first; those for which nothing speaks but that they changed come last."""
    names = _names_in(error)
    frames = [frame for frame in error.frames if not frame.is_library] or list(error.frames)
    found = [_judge(change, frames, names, error, operation, root) for change in changes]
    found += [_judge_store(store, names, error, operation) for store in stores]
    return sorted(found, key=lambda one: (-one.score, one.path))


def _judge(
    change: Change, frames: Sequence[Frame], names: frozenset[str], error: ParsedError, operation: str, root: str
) -> Suspect:
    reasons: list[str] = []
    score = _by_frames(change, frames, root, reasons)
    score += _by_message(change, names, error, reasons)
    if _is_named(change.path, operation):
        score += _WORD
        reasons.append("the operation names it")
    size = min(change.added + change.removed, _LARGE_LINES) / _LARGE_LINES
    score += 0.05 * size + 0.05 * (1 - change.age)
    if _SIDE_FILE.search(change.path) and not reasons:
        score /= 2
    reasons.append(_what_happened(change))
    return Suspect(change.path, change.status, round(min(score, 1.0), 3), tuple(reasons), change.added, change.removed)


def _by_frames(change: Change, frames: Sequence[Frame], root: str, reasons: list[str]) -> float:
    """What the places in the error say: the nearest to where it arose counts most, and most near a changed line."""
    best = 0.0
    said = ""
    lines = changed_lines(change.patch)
    for depth, frame in enumerate(_unique_paths(frames)):
        if not is_same_file(frame.path, change.path, root):
            continue
        own = [one for one in frames if is_same_file(one.path, change.path, root) and one.line is not None]
        gap, line = min(
            ((abs(one.line - at), one.line) for one in own for at in lines if one.line), default=(None, None)
        )
        weight = _FRAME * _DEEPER**depth
        text = "it failed here" if depth == 0 else f"the failing call came through here ({depth} files above)"
        if gap is not None and gap <= _AROUND:
            weight += 0.35 if gap <= _NEAR else 0.15
            text += f"; line {line} " + ("is a changed one" if gap == 0 else f"is {gap} from a changed one")
        elif own:
            text += f", at line {own[0].line}"
        if weight > best:
            best, said = weight, text
    if said:
        reasons.append(said)
    return best


def _by_message(change: Change, names: frozenset[str], error: ParsedError, reasons: list[str]) -> float:
    score = 0.0
    text = " ".join((error.kind, *error.texts))
    named = sorted(name for name in names if _is_path_of(name, change.path))
    if named and change.status == "D" and _MISSING_ERROR.search(text):
        score += _MISSING
        where = f"; it is {change.renamed_to} now" if change.renamed_to else ""
        reasons.append(f"{named[0]} was not found, and this file is gone{where}")
    elif named:
        score += _NAMED
        reasons.append(f"the error names {named[0]}")
    touched = "\n".join(
        line[1:] for line in change.patch.splitlines() if line[:1] in "+-" and line[:3] not in ("+++", "---")
    )
    words = sorted((name for name in names if len(name) > 2 and _stands_in(name, touched)), key=len, reverse=True)
    if words and not named:
        score += _MENTIONED
        reasons.append(f"its changed lines speak of {words[0]}")
    if _SCHEMA_ERROR.search(text) and _SCHEMA_FILE.search(change.path):
        score += _NAMED
        reasons.append("the error is about a schema, and this file makes one")
    return score


def _judge_store(store: StoreChange, names: frozenset[str], error: ParsedError, operation: str) -> Suspect:
    reasons, score = [], 0.1
    text = " ".join((error.kind, *error.texts))
    named = sorted(table for table in store.tables if table.lower() in {name.lower() for name in names})
    if _SCHEMA_ERROR.search(text) or named:
        score += _NAMED if not named else _MISSING
        reasons.append(f"the error names its table {named[0]}" if named else "the error is about a schema")
    if _is_named(store.path, operation) or _stands_in(store.name, operation):
        score += _WORD
        reasons.append("the operation names it")
    reasons += [f"table {table}: {what}" for table, what in list(store.tables.items())[:5]]
    return Suspect(
        f"{store.name} ({store.path})", store.status, round(min(score, 1.0), 3), tuple(reasons) or ("it changed",)
    )


def changed_lines(patch: str) -> list[int]:
    """Return the numbers that changed lines have in the new file; where lines only went, those around the gap."""
    found: set[int] = set()
    number = 0
    for line in patch.splitlines():
        hunk = _HUNK.match(line)
        if hunk:
            number = int(hunk[1])
        elif number and line.startswith("+"):
            found.add(number)
            number += 1
        elif number and line.startswith("-"):
            found.add(number)
        elif number and line.startswith(" "):
            number += 1
    return sorted(found)


def is_same_file(named: str, path: str, root: str) -> bool:
    """Tell whether a path in an error is the file `path` of the tree at `root`, which may lie elsewhere there."""
    clean = named.removeprefix("./").replace("\\", "/")
    if clean.startswith(f"{root}/"):
        return clean[len(root) + 1 :] == path
    if clean == path:
        return True
    one, other = PurePosixPath(clean).parts, PurePosixPath(path).parts
    shorter = min(len(one), len(other))
    if one[-shorter:] == other[-shorter:]:
        return shorter > 1 or not clean.startswith("/")
    return False


def _unique_paths(frames: Iterable[Frame]) -> list[Frame]:
    return list({frame.path: frame for frame in reversed(list(frames))}.values())[::-1]


def _names_in(error: ParsedError) -> frozenset[str]:
    """Return what the messages name: quoted words, words after `no such table` and the like, paths."""
    names: set[str] = set()
    for text in error.texts:
        names |= (
            {found.strip("()") for found in _QUOTED.findall(text)}
            | set(_AFTER.findall(text))
            | set(_PATH.findall(text))
        )
    names |= {part for name in list(names) if "." in name and "/" not in name for part in name.split(".")}
    return frozenset(name.strip(".,:;") for name in names if name.strip(".,:; "))


def _is_path_of(name: str, path: str) -> bool:
    """Tell whether `name` is a file, or a module as Python, Node or Java write it, that the file `path` would be."""
    bare = name.removeprefix("./").removeprefix("../")
    whole, stem = PurePosixPath(path), str(PurePosixPath(path).with_suffix(""))
    places = {path, stem, stem.removesuffix("/__init__"), stem.removesuffix("/index"), whole.name}
    if "/" not in bare and "." in bare and bare != whole.name:
        bare = bare.replace(".", "/")
    if "/" not in bare and "." not in bare:
        return bare in {whole.stem, stem.removesuffix("/__init__").rpartition("/")[2]} and len(bare) > 2
    return any(
        place == bare or place.endswith(f"/{bare}") or (bare.endswith(f"/{place}") and "/" in place) for place in places
    )


def _is_named(path: str, text: str) -> bool:
    return path in text or _stands_in(PurePosixPath(path).name, text)


def _stands_in(word: str, text: str) -> bool:
    at = text.find(word) if word else -1
    while at >= 0:
        around = text[at - 1 : at] + text[at + len(word) : at + len(word) + 1]
        if not any(char.isalnum() or char == "_" for char in around):
            return True
        at = text.find(word, at + 1)
    return False


def _what_happened(change: Change) -> str:
    counts = f", +{change.added} −{change.removed} lines" if change.added or change.removed else ""
    verbs = {
        "A": "new since the checkpoint",
        "D": "deleted since",
        "T": "another kind of file since",
        "?": "cannot be compared",
    }
    return verbs.get(change.status, "changed since the checkpoint") + counts


def find_renames(changes: Sequence[tuple[str, str, str | None]]) -> dict[str, str]:
    """Return where deleted files' contents stand now; each change is a path, its status and the id of its content."""
    new = {content: path for path, status, content in changes if status == "A" and content}
    return {path: new[content] for path, status, content in changes if status == "D" and content in new}
