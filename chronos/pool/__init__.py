"""The pool: pieces of content named by their BLAKE3, compressed and kept in packs. Owns zstandard and blake3.

What the room offers is loaded on first use (PEP 562): the child program that reads databases needs its compressor only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chronos.lazy import loader

if TYPE_CHECKING:
    from chronos.pool.checked import add_check, check_of, strip_check
    from chronos.pool.chunker import FILE_PROFILE, LIST_PROFILE, PAGED_PIECE_BYTES, ChunkProfile
    from chronos.pool.codec import LARGEST_CHUNK_BYTES, StoredChunk, compress_text, decompress_text, digest, new_digest
    from chronos.pool.compressor import Compressor
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
        PackFile,
        PackWriter,
        WrittenPack,
        check_ends,
        check_pack,
        copy_chunks,
        read_pack_index,
    )
    from chronos.pool.reader import PoolReader
    from chronos.pool.salvage import salvage_chunks

__all__ = [
    "CHUNK_ID_BYTES",
    "FILE_PROFILE",
    "LARGEST_CHUNK_BYTES",
    "LIST_PROFILE",
    "PACK_LIMIT_BYTES",
    "PAGED_PIECE_BYTES",
    "RECORD_BYTES",
    "ChunkProfile",
    "Compressor",
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
_HOMES = {
    "CHUNK_ID_BYTES": "content",
    "FILE_PROFILE": "chunker",
    "LARGEST_CHUNK_BYTES": "codec",
    "LIST_PROFILE": "chunker",
    "PACK_LIMIT_BYTES": "pack",
    "PAGED_PIECE_BYTES": "chunker",
    "RECORD_BYTES": "pack",
    "ChunkProfile": "chunker",
    "Compressor": "compressor",
    "Content": "content",
    "ContentInspector": "content",
    "ContentSink": "content",
    "HashingSink": "content",
    "PackFile": "pack",
    "PackWriter": "pack",
    "PickingSink": "content",
    "PoolReader": "reader",
    "PoolWriter": "content",
    "StoredChunk": "codec",
    "WrittenPack": "pack",
    "add_check": "checked",
    "check_ends": "pack",
    "check_of": "checked",
    "check_pack": "pack",
    "compress_text": "codec",
    "copy_chunks": "pack",
    "decompress_text": "codec",
    "digest": "codec",
    "new_digest": "codec",
    "read_pack_index": "pack",
    "salvage_chunks": "salvage",
    "strip_check": "checked",
}
__getattr__ = loader(__name__, _HOMES)
