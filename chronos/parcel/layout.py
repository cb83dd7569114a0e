"""How a parcel is laid out (format 1 of `docs/format.md`): header, records in a fixed order, footer.

The header has a check of its own, so that a newer format is told from an altered byte. The footer says how long the
file is and what all of it hashes to, so that a file that is cut short is told from one that was altered.
"""

from __future__ import annotations

import struct

import msgspec

from chronos.pool import CHUNK_ID_BYTES

MAGIC = b"\x89CHRONO\n"  # as in PNG: a transfer that takes it for text damages the magic first
END = b"CHRONEND"
FORMAT = 1
HEADER = struct.Struct("<8sI4s")
RECORD = struct.Struct("<cQ")
LABEL = struct.Struct("<H")
CHUNK = struct.Struct(f"<{CHUNK_ID_BYTES}sIB")
FOOTER = struct.Struct("<Q32s8s")

MANIFEST, OMISSIONS, MEMBER, CHUNKS, BUNDLE = KINDS = (b"M", b"O", b"F", b"C", b"B")

LARGEST_TEXT_BYTES = 16 * 1024 * 1024
LARGEST_COUNT = 4 * 1024 * 1024  # of chunks: about 1 GB of memory, 4 TiB of large files
MOST_MEMBERS = 16
MOST_BUNDLES = 4096


class Span(msgspec.Struct, frozen=True):
    """Where some bytes lie in the file."""

    offset: int
    length: int


class Bundle(msgspec.Struct, frozen=True):
    """A git bundle with the history of `commit`, for the component at `component` (text, '' for the root)."""

    component: str
    commit: str
    span: Span
