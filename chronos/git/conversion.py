"""Clean files that git converts (line endings, ident, filters such as LFS): their bytes on disk are not git's.

git calls such a file clean although a checkout would write other bytes, so "comes from the base" would not give the
disk back. Found by reading each tracked file once and comparing its blob id with the index; remembered by stat. The
answer errs on one side only: a file named here without need costs an entry, never a wrong restore.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from enum import Enum
from pathlib import Path

import msgspec

from chronos.files import FileStat, PathKind, TreePath, open_regular, stat_of, translate_os_errors
from chronos.git.objects import matches_blob
from chronos.git.repository import Repository

_SPECIAL = (b"ident", b"filter", b"working-tree-encoding")
_UNSET = (b"unspecified", b"unset", b"")
_LARGEST_READ_BYTES = 64 * 1024 * 1024
SETTINGS = (b"core.autocrlf", b"core.eol", b"core.attributesfile")


class _Verdict(msgspec.Struct, array_like=True):
    """What was found at a path: its index record, the stat it had, and whether git would write other bytes."""

    record: bytes
    stat: tuple[int, int, int, int]
    differs: bool


class _Memory(msgspec.Struct):
    fingerprint: str
    verdicts: dict[bytes, _Verdict]


def is_converting(repository: Repository, has_attributes: bool) -> bool:
    """Tell cheaply whether git could convert any file here at all."""
    if has_attributes or any(repository.setting(key) not in (None, b"false") for key in SETTINGS):
        return True
    return any(path.exists() for path in _attribute_files(repository))


def attributes_fingerprint(repository: Repository, changed: Iterable[TreePath]) -> str:
    """Return a text that changes whenever the attributes or settings that steer conversions may have changed."""
    names = [path for path in changed if path.rpartition(b"/")[2] == b".gitattributes"]
    files = [repository.root / os.fsdecode(name) for name in names] + _attribute_files(repository)
    stats = [f"{path}:{path.stat().st_mtime_ns}" for path in files if path.exists()]
    return "|".join([*stats, *(f"{key!r}={repository.setting(key)!r}" for key in SETTINGS)])


def list_converted(repository: Repository, index: Path, fingerprint: str, memory: Path) -> list[TreePath]:
    """Return the tracked files whose bytes on disk differ from a checkout of their index entry, sorted.

    `memory` is a cache file of ours; verdicts of files whose stat and index entry are unchanged come from there.
    """
    old = _load(memory, fingerprint)
    records = _index_records(repository, index)
    attributes = _read_attributes(repository, list(records))
    fresh: dict[bytes, _Verdict] = {}
    for path, record in records.items():
        ending = _Ending.of(repository, attributes[path])
        if ending is _Ending.KEPT:
            continue
        stat = _find_stat(repository.root, path)
        if stat is None or stat.kind is not PathKind.FILE:
            continue
        key = (stat.size, stat.mtime_ns, stat.ctime_ns, stat.inode)
        known = old.get(path)
        if known is None or known.record != record or known.stat != key:
            known = _Verdict(record, key, _differs(repository, path, record, stat, ending))
        fresh[path] = known
    with translate_os_errors(f"cannot write {memory}"):
        memory.write_bytes(msgspec.msgpack.encode(_Memory(fingerprint, fresh)))
    return sorted(path for path, verdict in fresh.items() if verdict.differs)


def converts_any(repository: Repository, paths: list[TreePath]) -> bool:
    """Tell whether git may store other bytes than those on disk for a file at any of `paths`."""
    attributes = _read_attributes(repository, paths)
    return any(_Ending.of(repository, attributes[path]) is not _Ending.KEPT for path in paths)


def _load(memory: Path, fingerprint: str) -> dict[bytes, _Verdict]:
    try:
        found = msgspec.msgpack.decode(memory.read_bytes(), type=_Memory)
    except (OSError, msgspec.MsgspecError):
        return {}
    return found.verdicts if found.fingerprint == fingerprint else {}


def _index_records(repository: Repository, index: Path) -> dict[TreePath, bytes]:
    output = repository.command.with_index(index).output("ls-files", "-s", "-z")
    rows = (row.partition(b"\t") for row in output.split(b"\0") if row.startswith(b"100"))
    return {path: head for head, _, path in rows}


def _read_attributes(repository: Repository, paths: list[TreePath]) -> dict[TreePath, dict[bytes, bytes]]:
    names = ("text", "eol", *(name.decode("ascii") for name in _SPECIAL))
    question = b"".join(path + b"\0" for path in paths)
    fields = repository.command.output("check-attr", "-z", "--stdin", *names, input_bytes=question).split(b"\0")
    found: dict[TreePath, dict[bytes, bytes]] = {path: {} for path in paths}
    for path, name, value in zip(fields[0::3], fields[1::3], fields[2::3], strict=False):
        found[path][name] = value
    return found


class _Ending(Enum):
    """What a checkout does to a file: keep it, write it with LF or CRLF, or run it through something else."""

    KEPT = "kept"
    LF = "lf"
    CRLF = "crlf"
    OTHER = "other"

    @classmethod
    def of(cls, repository: Repository, attributes: dict[bytes, bytes]) -> _Ending:
        """Decide by attributes first, then by core.autocrlf and core.eol (gitattributes(5), "text" and "eol")."""
        if any(attributes[name] not in _UNSET for name in _SPECIAL):
            return cls.OTHER
        text, eol = attributes[b"text"], attributes[b"eol"]
        autocrlf = repository.setting(b"core.autocrlf") or b"false"
        if text == b"unset" or (text == eol == b"unspecified" and autocrlf == b"false"):
            return cls.KEPT
        if eol in (b"lf", b"crlf"):
            return cls(eol.decode("ascii"))
        writes_crlf = autocrlf == b"true" or (autocrlf == b"false" and repository.setting(b"core.eol") == b"crlf")
        return cls.CRLF if writes_crlf else cls.LF


def _differs(repository: Repository, path: TreePath, record: bytes, stat: FileStat, ending: _Ending) -> bool:
    if ending is _Ending.OTHER or stat.size > _LARGEST_READ_BYTES:
        return True
    try:
        with open(open_regular(os.path.join(os.fsencode(repository.root), path)), "rb") as stream:
            if ending is _Ending.CRLF:
                data = stream.read()
                return data.count(b"\n") != data.count(b"\r\n")
            return not matches_blob(record.split(b" ")[1].decode("ascii"), stream)
    except OSError:
        return False


def _find_stat(root: Path, path: TreePath) -> FileStat | None:
    try:
        return stat_of(os.lstat(os.path.join(os.fsencode(root), path)))
    except OSError:
        return None


def _attribute_files(repository: Repository) -> list[Path]:
    home = repository.base_command.environment.get("HOME", "/nonexistent")
    folder = repository.base_command.environment.get("XDG_CONFIG_HOME") or f"{home}/.config"
    return [repository.common_dir / "info" / "attributes", Path(folder) / "git" / "attributes"]
