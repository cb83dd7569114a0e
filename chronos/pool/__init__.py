"""The pool: pieces of content named by their BLAKE3, compressed and kept in packs. Owns zstandard and blake3."""

from typing import TYPE_CHECKING

from chronos.lazy import loader
from chronos.pool.checked import add_check, check_of, strip_check
from chronos.pool.chunker import FILE_PROFILE, LIST_PROFILE, PAGED_PIECE_BYTES, ChunkProfile
from chronos.pool.codec import LARGEST_CHUNK_BYTES, StoredChunk, compress_text, decompress_text, digest, new_digest
from chronos.pool.content import (
    CHUNK_ID_BYTES,
    Content,
    ContentInspector,
    ContentSink,
    HashingSink,
    PickingSink,
    PoolWriter,
)
from chronos.pool.pack import (
    PACK_LIMIT_BYTES,
    RECORD_BYTES,
    ChunkLocation,
    PackFile,
    PackWriter,
    WrittenPack,
    check_ends,
    check_pack,
    copy_chunks,
    read_pack_index,
)
from chronos.pool.reader import PoolReader

if TYPE_CHECKING:
    from chronos.pool.salvage import salvage_chunks

__all__ = [
    "CHUNK_ID_BYTES",
    "FILE_PROFILE",
    "LARGEST_CHUNK_BYTES",
    "LIST_PROFILE",
    "PACK_LIMIT_BYTES",
    "PAGED_PIECE_BYTES",
    "RECORD_BYTES",
    "ChunkLocation",
    "ChunkProfile",
    "Content",
    "ContentInspector",
    "ContentSink",
    "HashingSink",
    "PackFile",
    "PackWriter",
    "PickingSink",
    "PoolReader",
    "PoolWriter",
    "StoredChunk",
    "WrittenPack",
    "add_check",
    "check_ends",
    "check_of",
    "check_pack",
    "compress_text",
    "copy_chunks",
    "decompress_text",
    "digest",
    "new_digest",
    "read_pack_index",
    "salvage_chunks",
    "strip_check",
]

# Only a repair needs it: it loads when it is asked for (PEP 562).
__getattr__ = loader(__name__, {"salvage_chunks": "salvage"})
