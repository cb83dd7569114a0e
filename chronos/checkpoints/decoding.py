"""Looking at types before two threads decode them: where both do it first, msgspec crashes (0.22, tried)."""

from __future__ import annotations

import sys
from _thread import allocate_lock
from importlib import import_module

import msgspec

# What a capture and its sealing decode, by module.
_DECODED = {
    "chronos.checkpoints.manifest": (
        "Manifest", "MemoryDump", "Entry", "StagedEntry", "ReceiptRow", "SecretRow", "MemoryFile", "HiddenEntry",
    ),
    "chronos.checkpoints.component": ("IndexFacts",),
    "chronos.checkpoints.omissions": ("Omissions",),
    "chronos.checkpoints.owner": ("TimelineRecord",),
    "chronos.checkpoints.secrets": ("_Remembered",),
    "chronos.memory.finding": ("_Remembered",),
    "chronos.memory.places": ("_Declared",),
    "chronos.git.conversion": ("_Memory",),
    "chronos.stat_cache": ("Content",),
}  # fmt: skip
_lock = allocate_lock()
_done: list[str] = []


def prepare_decoding() -> None:
    """Let msgspec look at every type once, in one thread, where this process has several; it takes 1.5 ms."""
    threading = sys.modules.get("threading")
    if threading is None or threading.active_count() == 1:
        return
    with _lock:
        if not _done:
            for module, names in _DECODED.items():
                for name in names:
                    msgspec.msgpack.Decoder(getattr(import_module(module), name))
                _done.append(module)
