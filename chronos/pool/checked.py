"""Small JSON documents that carry a hash of themselves, for what is named by no hash: journals, log lines, records.

The last key is `check`: the first 16 hex digits of the BLAKE3 of the document without that key. Documents without it
are older, or written by hand, and are read as they are; the readers' schemas refuse a `check` that damage renamed.
"""

from __future__ import annotations

import re

from chronos.pool.codec import digest

_DIGITS = 16
_CHECK = re.compile(rb',"check":"([0-9a-f]{16})"\}\n?\Z')


def add_check(document: bytes) -> bytes:
    """Return the JSON object `document`, which must have a key and no `check`, with its check as the last key."""
    return b'%s,"check":"%s"}' % (document[:-1], check_of(document))


def strip_check(document: bytes) -> bytes:
    """Return `document` without its check, if it has one. Raises ValueError when the check is of other bytes."""
    found = _CHECK.search(document)
    if found is None:
        return document
    bare = document[: found.start()] + b"}"
    if found[1] != check_of(bare):
        raise ValueError("its check is of other bytes")
    return bare


def check_of(document: bytes) -> bytes:
    """Return the check of `document`."""
    return digest(document).hex()[:_DIGITS].encode("ascii")
