"""Just enough of the Lance table format to know which files a version of a table needs.

A table is a folder with `_versions/*.manifest`; a branch is one too, inside `tree/`. A manifest file ends with the
position of its protobuf message; all numbers of fields here are those of `protos/table.proto` of the Lance format
(https://lance.org/format/table/), compared with files of lancedb 0.25 to 0.40.
"""

from __future__ import annotations

import os
import struct
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

import msgspec

from chronos.files import TreePath

VERSIONS = b"_versions"
INDICES = b"_indices/"
# What only manifests give a meaning; everything else in a table (`_refs`, `_mem_wal`) is taken as it lies.
HEAVY = frozenset((b"data", b"_deletions", b"_indices", b"_transactions"))
_HINT = b"latest_version_hint.json"
_MANIFEST = b".manifest"
_END = struct.Struct("<QHH4s")
_LENGTH = struct.Struct("<I")
_NEWEST = 2**64 - 1
# Flags 0-7 and 9; 8 is reserved. Of a table with others we do not know what its versions need.
_KNOWN_FLAGS = 0b10_1111_1111
_EXTERNAL_IDS = (6, 8, 10)

_Message: TypeAlias = bytes


class _Fragment(msgspec.Struct, frozen=True):
    """The files of one fragment: those of the table, and those that hang on a base path."""

    own: tuple[bytes, ...]
    based: tuple[tuple[int, bytes], ...]


class Manifest(msgspec.Struct, frozen=True):
    """What one version of a table needs.

    `required` and `helpful` files and whole `folders` are paths in the table's folder, or absolute ones where the
    version `leans` on other places (a branch, a shallow clone). `is_known` is false when it may need other files too.
    """

    version: int
    required: frozenset[bytes]
    helpful: frozenset[bytes]
    folders: frozenset[bytes]
    leans: bool
    is_known: bool


class ManifestReader:
    """Reads manifests of one store; fragments, most of which one version takes from another, are read once."""

    def __init__(self) -> None:
        self._fragments: dict[bytes, _Fragment] = {}

    def read(self, data: bytes) -> Manifest:
        """Read a manifest file. Raises ValueError when it is none."""
        try:
            return self._read(data)
        except (IndexError, KeyError, struct.error) as cause:
            raise ValueError("the manifest is cut short or damaged") from cause

    def _read(self, data: bytes) -> Manifest:
        position, _, _, magic = _END.unpack(data[-_END.size :])
        if magic != b"LANC":
            raise ValueError("the file does not end as a manifest does")
        version, flags, section, helpful = 0, 0, None, set()
        bases: dict[int, tuple[bytes, bool]] = {}
        fragments: list[_Fragment] = []
        for field, value in _fields(_message_at(data, position)):
            if field == 2 and isinstance(value, bytes):
                fragments.append(self._fragment(value))
            elif field == 3:
                version = _number(value)
            elif field == 6:
                section = _number(value)
            elif field == 9:
                flags = _number(value)
            elif field == 12:
                helpful.add(b"_transactions/" + _bytes(value))
            elif field == 18:
                base = dict(_fields(_bytes(value)))
                bases[_number(base.get(1, 0))] = _bytes(base.get(4, b"")).rstrip(b"/"), bool(base.get(3))
        required: set[bytes] = set().union(
            *(fragment.own for fragment in fragments)
        )  # not one by one: there can be thousands
        required.update(_located(bases, *file) for fragment in fragments for file in fragment.based)
        folders = set()
        for base_id, folder, files in _indices(data, section):
            folders.add(_located(bases, base_id, folder))
            required.update(_located(bases, base_id, folder + b"/" + name) for name in files)
        parts = frozenset(required), frozenset(helpful), frozenset(folders)
        return Manifest(version, *parts, leans=bool(bases), is_known=not flags & ~_KNOWN_FLAGS)

    def _fragment(self, message: _Message) -> _Fragment:
        known = self._fragments.get(message)
        if known is None:
            files = list(_fragment_files(message))
            own = tuple(path for base, path in files if base is None)
            known = _Fragment(own, tuple((base, path) for base, path in files if base is not None))
            self._fragments[message] = known
        return known


def version_of(manifest: TreePath) -> int:
    """Return the version that a manifest's path stands for; 0, which no version has, for detached ones and other files.

    Version n is called `n.manifest`, or by the newer scheme 2^64 - 1 - n, so that the newest comes first.
    """
    stem, _, rest = manifest.rpartition(b"/")[2].partition(_MANIFEST)
    if rest or not stem.isdigit():
        return 0
    number = int(stem)
    return _NEWEST - number if number >= 2**63 else number


def is_manifest(path: TreePath) -> bool:
    """Tell whether `path` is a finished manifest of any table."""
    folder, _, name = path.rpartition(b"/")
    return folder.rpartition(b"/")[2] == VERSIONS and name.endswith(_MANIFEST) and not is_passing(path)


def is_passing(path: TreePath) -> bool:
    """Tell whether a file of a table is one that comes and goes, or is only a hint and not part of its state."""
    name = path.rpartition(b"/")[2]
    return name == _HINT or name.startswith(b".tmp") or b"#" in name


def table_of(manifest: TreePath) -> TreePath:
    """Return the folder of the table that a manifest belongs to."""
    return manifest.rpartition(b"/")[0][: -len(VERSIONS)].rstrip(b"/")


def has_table(folder: Path) -> bool:
    """Tell whether `folder` is the folder of a table."""
    try:
        return any(name.endswith(_MANIFEST) for name in os.listdir(os.fsencode(folder / os.fsdecode(VERSIONS))))
    except OSError:
        return False


def find_tables(place: Path) -> list[TreePath]:
    """Return the tables at `place`, of any depth, as far as folders can be listed; its own folder is the empty path."""
    found, pending = [], [b""]
    while pending:
        folder = pending.pop()
        try:
            entries = list(os.scandir(os.path.join(os.fsencode(place), folder)))
        except OSError:
            continue
        names = {entry.name for entry in entries if entry.is_dir(follow_symlinks=False)}
        if VERSIONS in names and has_table(place / os.fsdecode(folder)):
            found.append(folder)
            names -= {VERSIONS, *HEAVY}
        pending += [folder + b"/" + name if folder else name for name in names]
    return sorted(found)


def newest_manifest(place: Path, table: TreePath) -> tuple[bytes, bytes]:
    """Return name and bytes of the newest manifest of a table. Raises OSError."""
    folder = os.path.join(os.fsencode(place), table, VERSIONS)
    newest = max(os.listdir(folder), key=version_of)
    with open(os.path.join(folder, newest), "rb") as stream:
        return newest, stream.read()


def enter_light(folder: TreePath, siblings: list[TreePath]) -> bool:
    """Tell `walk` to pass over the folders of tables that can be large."""
    parent, _, name = folder.rpartition(b"/")
    return name not in HEAVY or (parent + b"/" + VERSIONS if parent else VERSIONS) not in siblings


def _fragment_files(message: _Message) -> Iterator[tuple[int | None, bytes]]:
    """Yield the files of a DataFragment, each with the base path that it hangs on."""
    number, deletion = 0, None
    for field, value in _fields(message):
        if field == 1:
            number = _number(value)
        elif field == 2:
            yield _data_file(_bytes(value))
        elif field == 3:
            deletion = dict(_fields(_bytes(value)))
        elif field in _EXTERNAL_IDS:
            yield None, _bytes(dict(_fields(_bytes(value))).get(1, b""))
        elif field == 11:
            yield _data_file(_bytes(dict(_fields(_bytes(value))).get(1, b"")))
    if deletion is not None:
        read_version, own_id = _number(deletion.get(2, 0)), _number(deletion.get(3, 0))
        suffix = b"bin" if deletion.get(1) else b"arrow"
        yield _base(deletion), b"_deletions/%d-%d-%d.%s" % (number, read_version, own_id, suffix)


def _data_file(message: _Message) -> tuple[int | None, bytes]:
    file = dict(_fields(message))
    return _base(file), b"data/" + _bytes(file.get(1, b""))


def _base(file: dict[int, int | bytes]) -> int | None:
    return _number(file[7]) if 7 in file else None


def _located(bases: dict[int, tuple[bytes, bool]], base: int | None, path: bytes) -> bytes:
    if base is None:
        return path
    root, is_table = bases.get(base, (b"/unknown", True))
    return root + b"/" + (path if is_table else path.partition(b"/")[2])


def _indices(data: bytes, section: int | None) -> Iterator[tuple[int | None, bytes, list[bytes]]]:
    if section is None:
        return
    for field, value in _fields(_message_at(data, section)):
        if field != 1:
            continue
        name, base, files = b"", None, []
        for inner, content in _fields(_bytes(value)):
            if inner == 1:
                name = str(uuid.UUID(bytes=_bytes(dict(_fields(_bytes(content)))[1]))).encode()
            elif inner == 9:
                base = _number(content)
            elif inner == 10:
                files.append(_bytes(dict(_fields(_bytes(content))).get(1, b"")))
        yield base, INDICES + name, files


def _message_at(data: bytes, position: int) -> _Message:
    (length,) = _LENGTH.unpack_from(data, position)
    message = data[position + _LENGTH.size : position + _LENGTH.size + length]
    if len(message) != length:
        raise ValueError("the manifest is cut short")
    return message


def _fields(message: _Message) -> Iterator[tuple[int, int | bytes]]:
    """Yield the fields of a protobuf message: numbers as they are, everything else as bytes."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        kind = key & 7
        if kind == 0:
            value, at = _varint(message, at)
            yield key >> 3, value
            continue
        if kind == 2:
            length, at = _varint(message, at)
        elif kind in (1, 5):
            length = 8 if kind == 1 else 4
        else:
            raise ValueError("the manifest is no protobuf message")
        if at + length > len(message):
            raise ValueError("the manifest is cut short")
        yield key >> 3, message[at : at + length]
        at += length


def _varint(message: _Message, at: int) -> tuple[int, int]:
    byte = message[at]
    if byte < 128:
        return byte, at + 1
    value, shift = byte & 127, 7
    while True:
        at += 1
        byte = message[at]
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at + 1
        shift += 7
        if shift > 63:
            raise ValueError("the manifest has a number that is too long")


def _number(value: int | bytes) -> int:
    if not isinstance(value, int):
        raise ValueError("the manifest has bytes where a number belongs")
    return value


def _bytes(value: int | bytes) -> bytes:
    if not isinstance(value, bytes):
        raise ValueError("the manifest has a number where bytes belong")
    return value
