"""Unified diffs (the format of GNU diffutils, as git writes it), applied to the letter: no fuzz, nothing is guessed.

A hunk goes where its header says. Where its lines do not stand there it goes to the only place behind the hunk before
at which they do, since line numbers are often off by what came earlier; two such places are refused.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from historian.errors import PatchRejectedError

_HEADER = re.compile(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
_NOTHING = "/dev/null"


class Hunk(msgspec.Struct):
    """One hunk: the line (from 1) that it says it begins at, what stands there, and what is to stand there.

    Lines keep their ends; one without is the last of the file.
    """

    start: int
    old: list[str]
    new: list[str]


class FileDiff(msgspec.Struct):
    """A diff of one file; a name is None where none is given, and `/dev/null` where there is no file."""

    old_name: str | None
    new_name: str | None
    hunks: list[Hunk]


def parse_diff(text: str) -> FileDiff:
    """Read a diff of one file. Raises PatchRejectedError with the line that is wrong."""
    lines = text.split("\n")
    if lines and not lines[-1]:
        lines.pop()
    found = FileDiff(None, None, [])
    number = 0
    while number < len(lines):
        line = lines[number]
        following = lines[number + 1] if number + 1 < len(lines) else ""
        if line.startswith("--- ") and following.startswith("+++ "):
            if found.new_name is not None or found.hunks:
                raise PatchRejectedError("the diff is of more than one file", hint="give each file its own diff")
            found.old_name, found.new_name = _name_of(line[4:]), _name_of(following[4:])
            number += 2
        elif line.startswith("@@"):
            hunk, number = _read_hunk(lines, number)
            found.hunks.append(hunk)
        elif line.startswith(("GIT binary patch", "Binary files ")):
            raise PatchRejectedError("a binary diff cannot be applied here", hint="give the whole content")
        elif not found.hunks and line.startswith(("rename to ", "copy to ")):
            verb = "renames" if line.startswith("rename") else "copies"
            raise PatchRejectedError(f"the diff {verb} the file", hint="only what stands in a file is changed here")
        elif found.hunks and line.rstrip() == "--":  # what `git format-patch` puts below
            break
        elif found.hunks and line.strip() and not line.startswith(("diff ", "index ")):
            raise PatchRejectedError(f"line {number + 1} of the diff belongs to no hunk: {line[:60]!r}")
        else:
            number += 1
    if not found.hunks:
        raise PatchRejectedError("no hunk (`@@ -1,3 +1,4 @@`) is in the diff")
    return found


def apply_diff(text: str, hunks: Sequence[Hunk]) -> str:
    """Return `text` with the hunks applied. Raises PatchRejectedError when one does not fit, and says where."""
    lines = re.findall(r"[^\n]*\n|[^\n]+", text)  # `splitlines` knows ends that no diff does
    done: list[str] = []
    position = shift = 0
    for number, hunk in enumerate(hunks, start=1):
        stated = hunk.start - 1 + shift if hunk.old else hunk.start + shift
        place = _find_place(lines, hunk, position, stated, number)
        shift += place - stated
        done += [*lines[position:place], *hunk.new]
        position = place + len(hunk.old)
    rest = lines[position:]
    if rest and done and not done[-1].endswith("\n"):
        raise PatchRejectedError("a hunk ends the file, but lines come after it")
    return "".join((*done, *rest))


def _find_place(lines: list[str], hunk: Hunk, first: int, stated: int, number: int) -> int:
    size = len(hunk.old)
    if stated >= first and lines[stated : stated + size] == hunk.old and (size or stated <= len(lines)):
        return stated
    if not size:
        raise PatchRejectedError(f"hunk {number} adds lines behind line {hunk.start}, and the file has {len(lines)}")
    places = [at for at in range(first, len(lines) - size + 1) if lines[at : at + size] == hunk.old]
    if len(places) == 1:
        return places[0]
    if places:
        where = ", ".join(str(at + 1) for at in places[:5])
        raise PatchRejectedError(f"hunk {number} fits at more than one line ({where}), and not where it says")
    wrong = _first_difference(lines, hunk, stated)
    raise PatchRejectedError(f"hunk {number} does not fit: {wrong}")


def _first_difference(lines: list[str], hunk: Hunk, stated: int) -> str:
    for offset, wanted in enumerate(hunk.old):
        at = stated + offset
        found = lines[at] if 0 <= at < len(lines) else None
        if found != wanted:
            what = "the file ends before" if found is None else f"the file has {_shown(found)}"
            return f"line {at + 1} should be {_shown(wanted)}, {what}"
    return "an earlier hunk is in its place"


def _shown(line: str) -> str:
    return repr(line if len(line) <= 80 else f"{line[:80]}…")


def _read_hunk(lines: list[str], number: int) -> tuple[Hunk, int]:
    header = _HEADER.match(lines[number])
    if header is None:
        raise PatchRejectedError(f"line {number + 1} of the diff is no hunk header: {lines[number][:60]!r}")
    start, old_count, new_count = int(header[1]), int(header[2] or "1"), int(header[4] or "1")
    hunk = Hunk(start, [], [])
    number += 1
    last: tuple[str, ...] = ()
    while len(hunk.old) < old_count or len(hunk.new) < new_count:
        if number >= len(lines):
            raise PatchRejectedError(f"the hunk at line {start} is cut short: its header counts more lines")
        line = lines[number]
        sign, body = line[:1] or " ", line[1:] + "\n"  # mail programs eat the space of an empty line
        if sign not in " +-":
            raise PatchRejectedError(f"line {number + 1} of the diff is no line of a hunk: {line[:60]!r}")
        last = ("old", "new") if sign == " " else ("old",) if sign == "-" else ("new",)
        for side in last:
            getattr(hunk, side).append(body)
        number += 1
        if number < len(lines) and lines[number].startswith("\\"):
            _cut_last(hunk, last)
            number += 1
    if len(hunk.old) != old_count or len(hunk.new) != new_count:
        raise PatchRejectedError(f"the hunk at line {start} has other lines than its header counts")
    return hunk, number


def _cut_last(hunk: Hunk, sides: tuple[str, ...]) -> None:
    for side in sides:
        kept: list[str] = getattr(hunk, side)
        kept[-1] = kept[-1].removesuffix("\n")


def _name_of(text: str) -> str | None:
    name = text.partition("\t")[0].strip().strip('"')
    return name or None


def creates(diff: FileDiff) -> bool:
    """Tell whether the diff makes a file that was not there."""
    return diff.old_name == _NOTHING


def deletes(diff: FileDiff) -> bool:
    """Tell whether the diff takes a file away."""
    return diff.new_name == _NOTHING


def is_about(diff: FileDiff, path: str) -> bool:
    """Tell whether the names in the diff, if any, can mean the file at `path`: one ends like the other."""
    names = [name for name in (diff.old_name, diff.new_name) if name not in (None, _NOTHING)]
    wanted = path.split("/")
    for name in names:
        parts = [part for part in str(name).split("/") if part not in ("", ".")]
        parts = parts[1:] if parts[:1] in (["a"], ["b"]) and len(parts) > 1 else parts
        shorter = min(len(parts), len(wanted))
        if parts and parts[-shorter:] == wanted[-shorter:]:
            return True
    return not names
