"""Parcels taken apart and put together again: whole, well hashed, and as hostile as a test wants them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from chronos.checkpoints import Entry
from chronos.checkpoints.manifest import encode_rows
from chronos.parcel import Parcel, ParcelWriter
from chronos.pool import HashingSink, StoredChunk, digest

FOOTER_BYTES = 48
_PIECE_BYTES = 1 << 20


@dataclass
class Parts:
    """What is in a parcel, in the order of the format."""

    manifest: bytes
    omissions: bytes | None
    members: dict[str, bytes]
    chunks: list[StoredChunk]
    bundles: list[tuple[str, str, bytes]] = field(default_factory=list)

    @classmethod
    def of(cls, path: Path) -> Parts:
        with Parcel(path) as parcel:
            return cls(
                parcel.manifest,
                parcel.omissions,
                {name: parcel.read(span) for name, span in parcel.members.items()},
                [parcel.read_stored(chunk_id) for chunk_id in parcel.chunks],
                [(bundle.component, bundle.commit, parcel.read(bundle.span)) for bundle in parcel.bundles],
            )

    def write(self, path: Path) -> Path:
        with open(path, "wb") as stream:
            writer = ParcelWriter(stream)
            writer.add_manifest(self.manifest)
            if self.omissions is not None:
                writer.add_omissions(self.omissions)
            for name, data in self.members.items():
                writer.add_member(name, data)
            for chunk in self.chunks:
                writer.add_chunk(chunk)
            for component, commit, data in self.bundles:
                writer.add_bundle(component, commit, len(data), [data])
            writer.finish()
        return path

    def change_manifest(self, change: Callable[[dict[str, Any]], object]) -> Parts:
        document = json.loads(self.manifest)
        changed = change(document)
        self.manifest = changed if isinstance(changed, bytes) else json.dumps(document).encode()
        return self

    def set_entries(self, *entries: Entry, contents: Sequence[bytes] = ()) -> Parts:
        """Give the root component exactly these entries; those that want one get the first content."""
        sink = HashingSink()
        data = [b"#!/bin/sh\necho hacked\n", *contents]
        first = sink.add_bytes(data[0])
        rows = [msgspec.structs.replace(entry, content=entry.content or first) for entry in entries]
        return self.set_list(encode_rows(rows), len(rows), *data)

    def set_long_list(self, rows: bytes, count: int, *contents: bytes) -> Parts:
        """See `set_list`; the list is cut into pieces."""
        pieces = [rows[start : start + _PIECE_BYTES] for start in range(0, len(rows), _PIECE_BYTES)]
        ids = b"".join(map(digest, pieces))
        self.set_list(rows, count, *contents)
        self.chunks = [raw_chunk(data) for data in dict.fromkeys((ids, *pieces, *contents))]
        return self.change_manifest(lambda d: d["code"][0]["entries"].update(chunks=digest(ids).hex()))

    def set_list(self, rows: bytes, count: int, *contents: bytes) -> Parts:
        """Make `rows` the list of the root's entries, and `contents` all that the file has beside it."""
        ref = {"blake3": digest(rows).hex(), "bytes": len(rows), "count": count}
        empty = {"blake3": digest(b"").hex(), "bytes": 0, "count": 0}
        self.chunks = [raw_chunk(data) for data in dict.fromkeys((rows, *contents)) if data]

        def change(document: dict[str, Any]) -> None:
            del document["code"][1:]
            document["code"][0] |= {"entries": ref, "staged": empty, "hidden": empty}
            document["receipt"] = empty

        return self.change_manifest(change)


def raw_chunk(data: bytes) -> StoredChunk:
    return StoredChunk(digest(data), 0, data, len(data))


def reseal(data: bytes) -> bytes:
    """Give the bytes of a parcel, altered before its end, an end that fits."""
    body = data[:-FOOTER_BYTES]
    return body + len(body).to_bytes(8, "little") + digest(body) + b"CHRONEND"
