"""What an export leaves out: contents in which something looks like a secret, and whatever shares those bytes.

Every piece of every content is searched by form here, databases and other binary files too, and every text once more as
`chrono checkpoint show --scan` does it.

A secret taints the chunks in which it stands. A content with a tainted chunk is left out wherever it is needed, and a
memory store with such a content as a whole; no tainted chunk is ever written. What is sealed cannot be left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import msgspec

from chronos.checkpoints import ContentWalk, FoundSecret, HeldContent, Omissions
from chronos.errors import IntegrityError, SecretInSealError
from chronos.files import display, to_text
from chronos.pool import Content, PoolReader
from chronos.secrets import REACH_BYTES, SecretScanner, Unlimited, find_by_form, is_secret_name

_TEXTS_PER_LOOK = 4096
# Lines are looked at one piece of a long text after the other: a scanner keeps 4 MiB.
_PIECE_BYTES = 1024 * 1024


class LeftOutFile(msgspec.Struct, frozen=True):
    """A path (or the file of a memory store) that an export leaves out, as text, and why."""

    path: str
    reason: str


class Screened(msgspec.Struct, frozen=True):
    """What an export leaves out: the declaration that goes with it, and the paths for people."""

    omissions: Omissions
    files: tuple[LeftOutFile, ...] = ()


def screen(
    walk: ContentWalk, known: Omissions, has_chunk: Callable[[bytes], bool],
    find: Callable[[], Iterable[FoundSecret]] | None,
) -> Screened:  # fmt: skip
    """Decide what stays out; `find` gives what else is known to look like a secret, and None lets secrets pass.

    `known` was left out of the checkpoint before.

    Raises SecretInSealError, and what reading the pool raises.
    """
    reasons = {key: why for key, why in known.contents.items() if not has_chunk(bytes.fromhex(key))}
    if find is not None:
        _check_sealed_texts(walk)
        _find_secrets(walk, reasons, find)
    _add_stores(walk, reasons)
    rows = {
        LeftOutFile(to_text(held.path) if held.store is None else _name_in_store(held.store, held.path), why): None
        for held in walk.contents()
        if held.content.size and (why := reasons.get(held.content.key.hex())) is not None
    }
    return Screened(Omissions(contents=reasons, members=dict(known.members)), tuple(rows))


@contextmanager
def naming(held: HeldContent) -> Iterator[None]:
    """Say whose chunk is lost or damaged."""
    try:
        yield
    except IntegrityError as cause:
        name = to_text(held.path) if held.store is None else f"memory store {held.store}"
        raise IntegrityError(
            f"{name} cannot be exported: {cause.message}; nothing was written",
            hint="run `chrono verify` to see what else is damaged",
        ) from cause


class _Scan:
    """Look at contents once each by form, and remember the chunks in which a secret stands."""

    def __init__(self, pool: PoolReader) -> None:
        self._pool = pool
        self._tainted: dict[bytes, str] = {}
        self._seen: set[bytes] = set()

    def look(self, content: Content) -> None:
        """Look for secrets in a content."""
        key = content.key
        if key in self._seen:
            return
        self._seen.add(key)
        before, tail = b"", b""
        for chunk_id in self._pieces(content):
            data = self._pool.read_chunk(chunk_id)
            if (what := _form_in(data)) is not None:
                self._tainted[chunk_id] = what
            elif tail and (what := _form_in(tail + data[:REACH_BYTES])) is not None:
                self._tainted[before] = self._tainted[chunk_id] = what
            before, tail = chunk_id, data[-REACH_BYTES:]

    def note(self, content_id: bytes, what: str) -> None:
        """Remember a content in which something was found by other means; one of one chunk is that chunk."""
        self._tainted.setdefault(content_id, what)

    def verdict(self, content: Content) -> str | None:
        """Return what stands in a chunk of the content, once everything was looked at."""
        if not self._tainted:
            return None
        ids = (content.id, *self._pieces(content))
        return next((self._tainted[one] for one in ids if one in self._tainted), None)

    def _pieces(self, content: Content) -> list[bytes]:
        return self._pool.chunk_ids(content)[1 if content.chunks is not None else 0 :]


def find_in_text(data: bytes, name: str) -> str | None:
    """Return what in a text looks like a secret, by form or in one of its lines."""
    what = _form_in(data)
    if what is not None:
        return what
    scanner = SecretScanner(Unlimited())
    for number, piece in enumerate(_cut_at_lines(data)):
        content_id = b"%d" % number
        scanner.begin()
        scanner.look(piece, is_new=True)
        scanner.end(content_id, len(piece))
        scanner.finish({content_id: name})
        if content_id in scanner.found:
            return scanner.found[content_id][0].what
    return None


def _cut_at_lines(data: bytes) -> Iterator[bytes]:
    start = 0
    while start < len(data):
        end = data.rfind(b"\n", start, start + _PIECE_BYTES) + 1 or start + _PIECE_BYTES
        yield data[start:end]
        start = end


def _form_in(data: bytes) -> str | None:
    return next((spot.what for spot in find_by_form(data)), None)


def _find_secrets(walk: ContentWalk, reasons: dict[str, str], find: Callable[[], Iterable[FoundSecret]]) -> None:
    scan = _Scan(walk.pool)
    for held in walk.contents():
        if held.content.size and held.content.key.hex() not in reasons:
            with naming(held):
                scan.look(held.content)
    for found in find():
        scan.note(found.content, found.what)
    for held in walk.contents():
        key = held.content.key.hex()
        if not held.content.size or key in reasons:
            continue
        what = scan.verdict(held.content)
        if what is not None:
            reasons[key] = f"seems to hold {what}"
        elif is_secret_name(held.path):
            reasons[key] = "has the name of a secret"


def _add_stores(walk: ContentWalk, reasons: dict[str, str]) -> None:
    """A store of which something is left out goes as a whole, but for what files outside of it need as well."""
    hit = {
        held.store
        for held in walk.contents()
        if held.store is not None and held.content.size and held.content.key.hex() in reasons
    }
    if not hit:
        return
    needed = {held.content.key for held in walk.contents() if held.store not in hit}
    for held in walk.contents():
        key = held.content.key
        if held.store in hit and held.content.size and key not in needed:
            reasons.setdefault(key.hex(), "belongs to a memory store of which something is left out")


def _check_sealed_texts(walk: ContentWalk) -> None:
    """Raise SecretInSealError when a name or path holds a secret of a documented form."""
    manifest = walk.manifest
    names = [manifest.name, manifest.description, *manifest.tags, *manifest.warnings]
    for part in manifest.code:
        names += [part.path, part.branch or ""]
    for record in walk.records:
        names += [record.name, record.path, *record.notes, *record.facts, *map(str, record.facts.values())]
        names += record.beside
    _look(names)
    _look(walk.check_others())
    _look(display(held.path) for held in walk.contents())


def _look(texts: Iterable[str]) -> None:
    batch: list[str] = []
    for text in texts:
        batch.append(text)
        if len(batch) == _TEXTS_PER_LOOK:
            _look_at(batch)
            batch = []
    _look_at(batch)


def _look_at(batch: list[str]) -> None:
    what = _form_in("\n".join(batch).encode("utf-8", "replace"))
    if what is not None:
        raise SecretInSealError(f"a name or path in the checkpoint seems to hold a secret: {what}")


def _name_in_store(store: str, path: bytes) -> str:
    return f"{store}: {to_text(path)}" if path else store
