"""Packs and manifests whose own hashes are right and whose content is anything."""

from __future__ import annotations

import copy
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

from blake3 import blake3
from hypothesis import strategies as st

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

_RECORD = struct.Struct("<32sQIIB")
_FOOTER = struct.Struct("<QI32s32s8s")

json_values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**64), 2**64),
        st.sampled_from((0, -1, 2**31, 2**53, 2**63 - 1, 2**63)),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(max_size=5),
        st.sampled_from(("../x", "/etc/passwd", "\0", "main", "0" * 16, "0" * 40, "0" * 64, "a" * 300)),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)),
    max_leaves=6,
)


def forge_pack(folder: Path, frames: bytes, records: Sequence[tuple[bytes, int, int, int, int]]) -> Path:
    """Write a pack from the layout in docs/format.md; return its path. Records may say anything."""
    head = b"CHRPACK1" + frames
    index = b"".join(_RECORD.pack(*record) for record in records)
    footer = _FOOTER.pack(len(head), len(records), blake3(head).digest(), blake3(index).digest(), b"CHRPKEND")
    path = folder / f"{blake3(index).hexdigest()[:32]}.pack"
    path.write_bytes(head + index + footer)
    return path


def replace_somewhere(document: Json, walk: Sequence[int], value: Json) -> Json:
    """Return a copy of the document with the place that `walk` leads to replaced by `value`."""
    whole = copy.deepcopy(document)
    place = whole
    for number, step in enumerate(walk):
        assert isinstance(place, dict | list)
        keys = sorted(place) if isinstance(place, dict) else list(range(len(place)))
        key = keys[step % len(keys)]
        inner = place[key]  # type: ignore[index]
        if number + 1 == len(walk) or not isinstance(inner, dict | list) or not inner:
            place[key] = value  # type: ignore[index]
            break
        place = inner
    return whole
