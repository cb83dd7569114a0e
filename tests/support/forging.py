"""Forged checkpoints and journals: well hashed, and hostile."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from chronos.checkpoints import Change, ChangeSet, Entry, Journal, Side, SideKind, encode_journal
from chronos.checkpoints.manifest import encode_rows
from chronos.pool import PoolWriter, digest, strip_check
from tests.support.repository import RepoBuilder

ESCAPES = [
    b"../outside", b"/etc/chronos-was-here", b"a/../../outside", b".git/hooks/pre-commit", b".GIT/config",
    b"sub/.git/config", b"git~1/config", b".git \x00", b"", b"a//b", b"./a", b".git/", ".g\u200cit/config".encode(),
    b".git::$INDEX_ALLOCATION/x", b"x" * 256, b"/".join([b"d"] * 3000),
]  # fmt: skip


def forge(work: RepoBuilder, change: Callable[[dict[str, Any]], object]) -> str:
    """Write a manifest that is changed by `change` and yet hashes to the id of its folder; return that id."""
    with work.engine() as engine:
        folder = engine.show_checkpoint("wanted").folder
    document = json.loads((folder / "checkpoint.json").read_bytes())
    document["name"], document["sequence"] = "forged", 99
    changed = change(document)
    data = changed if isinstance(changed, bytes) else json.dumps(document).encode()
    checkpoint = digest(data).hex()[:16]
    target = folder.parent / checkpoint
    target.mkdir()
    for name in ("fs_diff.patch.zst", "git_status.txt", "env_config.json"):
        (target / name).write_bytes((folder / name).read_bytes())
    (target / "checkpoint.json").write_bytes(data)
    return checkpoint


def with_entries(work: RepoBuilder, *entries: Entry, pool: Sequence[bytes] = ()) -> str:
    """Forge a checkpoint with these entries; those without content get that of a shell script."""
    folder = work.root.parent / "forging"
    folder.mkdir()
    writer = PoolWriter(folder, lambda _: False)
    for data in pool:
        writer.add_bytes(data)
    content = writer.add_bytes(b"#!/bin/sh\necho hacked\n")
    rows = [msgspec.structs.replace(entry, content=content) if entry.content is None else entry for entry in entries]
    content = writer.add_bytes(encode_rows(rows))
    for pack in writer.finish():
        os.rename(pack.path, work.store / "main/packs" / f"{pack.name}.pack")
    folder.rmdir()

    def change(document: dict[str, Any]) -> None:
        document["code"][0]["entries"] = {"blake3": content.id.hex(), "bytes": content.size, "count": len(rows)}

    return forge(work, change)


def plant(work: RepoBuilder, path: bytes, **changes: Any) -> Path:
    """Leave a journal behind, as if a restore had been cut short, that writes `path`."""
    with work.engine() as engine:
        after = Side(SideKind.FILE, True, engine.plan_restore("wanted").writes[0].after.content)
    change = Change(path, Side(SideKind.ABSENT), after)
    journal = Journal(1, "0123456789ab", "restore", "main", "restore wanted", "0" * 16, ChangeSet((change,)))
    document = json.loads(strip_check(encode_journal(journal))) | changes
    place = work.store / ".store/journal/0123456789ab.json"
    place.write_text(json.dumps(document))
    return place
