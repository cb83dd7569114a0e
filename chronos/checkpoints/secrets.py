"""Where in a state something looks like a secret: found now, or known from the checkpoint before.

What is found is kept by the content that it stands in, so that it holds wherever that content is, and is carried from
checkpoint to checkpoint as long as the state has it. A finding leaves nothing out: losing work would be worse.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from fnmatch import fnmatchcase

import msgspec

from chronos.catalog import CheckpointRow
from chronos.checkpoints.manifest import Entry, Manifest, SecretRow, StagedEntry, Unscanned
from chronos.checkpoints.states import State
from chronos.checkpoints.store import Store
from chronos.config import Config, SecretScan
from chronos.errors import ChronosError
from chronos.files import TreePath, unescape
from chronos.pool import Content
from chronos.secrets import DETECTOR, FORMS, Budget, Found, SecretScanner, Unlimited, merge_findings


class FoundSecret(msgspec.Struct, frozen=True):
    """A place in a captured file that looks like a secret: what, in which line (0 is unknown), which scanner says so.

    `path` is from the root, or absolute in a memory store outside of it; `content` is the id of what stands there.
    `is_new` says that no checkpoint before has said so.
    """

    path: bytes
    line: int
    what: str
    scanner: str
    content: bytes
    is_new: bool = False


class Findings(msgspec.Struct, frozen=True):
    """What looks like a secret in one state: as it is sealed, as people see it, and what was not looked at."""

    rows: list[SecretRow] = []
    found: tuple[FoundSecret, ...] = ()
    unscanned: dict[str, Unscanned] = {}


class _Remembered(msgspec.Struct, frozen=True, array_like=True):
    """What the catalog remembers of the last checkpoint that was sealed on a timeline, be it deleted since."""

    checkpoint_id: str
    rows: list[SecretRow]


def open_scanner(config: Config) -> SecretScanner | None:
    """Return a scanner for one checkpoint, whose time begins now; None when nobody wants it."""
    if config.secret_scan is SecretScan.OFF:
        return None
    return SecretScanner(Budget(), lines=config.secret_scan is SecretScan.FULL)


def settle(store: Store, timeline: str, state: State, scanner: SecretScanner, newest: CheckpointRow | None) -> Findings:
    """Let `scanner` finish, add what is known from before, and return what is in `state`."""
    known = _known_rows(store, timeline, newest)
    of_interest = {*scanner.seen, *(row.content for row in known)}
    if not of_interest:
        return Findings()
    paths = _paths(state, of_interest, store.config.secret_skip)
    scanner.finish({content: os.fsdecode(places[0]) for content, places in paths.items()})
    rows = _merge(known, {content: scanner.found.get(content, []) for content in paths})
    unscanned = {
        name: Unscanned(len(sizes), sum(sizes))
        for name in ((FORMS, DETECTOR) if store.config.secret_scan is SecretScan.FULL else (FORMS,))
        if (sizes := scanner.unscanned(name, paths))
    }
    return Findings(rows, tuple(_locate(rows, paths, known)), unscanned)


def remember(store: Store, timeline: str, checkpoint_id: str, findings: Findings) -> None:
    """Keep the findings of a sealed checkpoint beside the stat cache: what that spares reading is not found again."""
    if store.config.secret_scan is SecretScan.OFF:
        return
    data = msgspec.msgpack.encode(_Remembered(checkpoint_id, findings.rows))
    store.catalog.set_fact(f"secrets:{timeline}", data)


def find_secrets(
    store: Store, manifest: Manifest, state: State, *, scan: bool = False, everywhere: bool = False
) -> list[FoundSecret]:
    """Return every place in a sealed state that looks like a secret, by path.

    What its capture had no time for is only found with `scan`: that reads every content again, and takes its time.
    Paths that the settings skip are left out, but for `everywhere`. Raises IntegrityError when something cannot be
    read.
    """
    rows = store.read_secrets(manifest)
    skipped = () if everywhere else store.config.secret_skip
    paths = _paths(state, None if scan else {row.content for row in rows}, skipped)
    if not scan:
        return list(_locate(rows, paths, rows))
    scanner = SecretScanner(Unlimited(), lines=store.config.secret_scan is not SecretScan.VENDOR)
    contents = {content.id: content for content in state.contents() if content.id in paths}
    for content in (content for content in contents.values() if content.id != content.chunks):  # no paged ones
        scanner.begin()
        for piece in store.pool.iter_content(content):
            scanner.look(piece, is_new=True)
        scanner.end(content.id, content.size)
        scanner.finish({content.id: os.fsdecode(paths[content.id][0])})
    found = {content: scanner.found.get(content, []) for content in paths}
    return list(_locate(_merge(rows, found), paths, rows))


def _merge(known: Iterable[SecretRow], found: Mapping[bytes, Iterable[Found]]) -> list[SecretRow]:
    """Return what is known and what was found of the contents in `found`, in an order that depends on neither."""
    before: defaultdict[bytes, list[Found]] = defaultdict(list)
    for row in known:
        before[row.content].append(Found(row.what, row.line, row.scanner))
    return [
        SecretRow(content, item.what, item.line, item.scanner)
        for content in sorted(found)
        for item in sorted(merge_findings(before[content], found[content]), key=lambda item: (item.line, item.what))
    ]


def _known_rows(store: Store, timeline: str, newest: CheckpointRow | None) -> list[SecretRow]:
    """Return what the last checkpoint sealed, and what the newest says when that is another one."""
    fact = store.catalog.find_fact(f"secrets:{timeline}")
    remembered = msgspec.msgpack.decode(fact, type=_Remembered) if fact is not None else _Remembered("", [])
    rows = dict.fromkeys(remembered.rows)
    if newest is not None and newest.checkpoint_id != remembered.checkpoint_id:
        with suppress(ChronosError):  # verify says what is wrong with it
            rows |= dict.fromkeys(store.read_secrets(store.read_manifest(newest.timeline, newest.checkpoint_id)))
    return list(rows)


def _locate(
    rows: Iterable[SecretRow], paths: Mapping[bytes, Sequence[TreePath]], known: Iterable[SecretRow]
) -> Iterator[FoundSecret]:
    """Give each row the paths that have its content, in the order of the paths."""
    before = set(known)
    places = [(path, row.line, row.what, row) for row in rows for path in paths.get(row.content, ())]
    for path, line, what, row in sorted(places, key=lambda place: place[:3]):
        yield FoundSecret(path, line, what, row.scanner, row.content, row not in before)


def _paths(state: State, wanted: Collection[bytes] | None, skipped: Sequence[str]) -> dict[bytes, list[TreePath]]:
    """Return where in the state the wanted contents stand (all by default), but for paths that are to be skipped."""
    found: defaultdict[bytes, list[TreePath]] = defaultdict(list)
    for path, content in _places(state):
        is_wanted = wanted is None or content.id in wanted
        if is_wanted and path not in found.get(content.id, ()) and not _is_skipped(path, skipped):
            found[content.id].append(path)
    return dict(found)


def _places(state: State) -> Iterator[tuple[TreePath, Content]]:
    for component in state.components.values():
        rows: list[Entry | StagedEntry] = [*component.entries.values(), *component.staged]
        yield from ((component.from_root(row.path), row.content) for row in rows if row.content is not None)
    for store in state.memory.values():
        place = unescape(store.record.path)
        for file in store.files:
            if file.content is not None:
                yield place + b"/" + file.path if file.path else place, file.content


def _is_skipped(path: TreePath, patterns: Sequence[str]) -> bool:
    """Tell whether a pattern is the path, its file name, or a folder above it; `*` also stands for slashes."""
    text = os.fsdecode(path)
    name = text.rpartition("/")[2]
    return any(
        text.startswith(pattern) if pattern.endswith("/") else fnmatchcase(text, pattern) or fnmatchcase(name, pattern)
        for pattern in patterns
    )
