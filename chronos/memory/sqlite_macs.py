"""Telling by a keyed hash that a piece of a large database has not changed: three times as fast as naming it anew.

The hash is GMAC (NIST SP 800-38D) with one nonce, and so a universal hash: two different pieces of 64 KiB share a code
with a chance below 2^-115 for whoever chose them without knowing the key. That is drawn for each database and kept
in the catalog, with the codes; who can read it can also write all that is ours. See decision 26.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

from blake3 import blake3

from chronos.memory.sqlite_frames import ID_BYTES

MAC_BYTES = 16
# Fewer are named faster than the library loads: 20 ms, in which 170 MB are named.
LEAST_BYTES = 256 << 20
_KEY_BYTES = 16
_NONCE = bytes(12)

# Names consecutive pieces, given the ids and the codes that were known in their place: returns the ids of all, back to
# back, and their codes or nothing.
Name: TypeAlias = Callable[[Sequence[memoryview], bytes, bytes], tuple[bytes, bytes]]


class Macs(NamedTuple):
    """A key, and the codes under it of known pieces, back to back; zeros where there is none."""

    key: bytes
    codes: bytes = b""

    @classmethod
    def new(cls) -> Macs:
        """Return a new key without codes."""
        return cls(os.urandom(_KEY_BYTES))

    @classmethod
    def unpack(cls, data: bytes) -> Macs | None:
        """Return what was packed, or None when this cannot be it."""
        return cls(data[:_KEY_BYTES], data[_KEY_BYTES:]) if len(data) >= _KEY_BYTES else None

    def pack(self) -> bytes:
        """Return key and codes, back to back."""
        return self.key + self.codes

    def within(self, first: int, behind: int) -> bytes:
        """Return the codes of a range of pieces."""
        return self.codes[first * MAC_BYTES : behind * MAC_BYTES].ljust((behind - first) * MAC_BYTES, b"\0")

    def make_namer(self) -> Name:
        """Return what names pieces: those that have their code still by the known id, the others by their bytes.

        Where the library cannot be had, all of them by their bytes, and without codes.
        """
        try:
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        except ImportError:  # not installed, or not where the child looks
            return name_plainly
        encrypt = AESGCM(self.key).encrypt

        def name(pieces: Sequence[memoryview], known_ids: bytes, known_codes: bytes) -> tuple[bytes, bytes]:
            codes = [encrypt(_NONCE, b"", piece) for piece in pieces]
            joined = b"".join(codes)
            if joined == known_codes and len(known_ids) == len(pieces) * ID_BYTES:
                return known_ids, joined
            ids = []
            for at, (piece, code) in enumerate(zip(pieces, codes, strict=True)):
                known_id = known_ids[at * ID_BYTES : (at + 1) * ID_BYTES]
                is_same = known_id and code == known_codes[at * MAC_BYTES : (at + 1) * MAC_BYTES]
                ids.append(known_id if is_same else blake3(piece).digest())
            return b"".join(ids), joined

        return name


def name_plainly(pieces: Sequence[memoryview], _known_ids: bytes, _known_codes: bytes) -> tuple[bytes, bytes]:
    """Name consecutive pieces by their bytes alone."""
    return b"".join([blake3(piece).digest() for piece in pieces]), b""
