"""The pool: pieces of content named by their BLAKE3, compressed and kept in packs. Owns zstandard and blake3."""

from chronos.pool.chunker import FILE_PROFILE, LIST_PROFILE, PAGED_PIECE_BYTES, ChunkProfile
from chronos.pool.codec import LARGEST_CHUNK_BYTES, StoredChunk, compress_text, decompress_text, digest, new_digest
from chronos.pool.content import CHUNK_ID_BYTES, Content, ContentSink, HashingSink, PoolWriter
from chronos.pool.pack import ChunkLocation, PackFile, WrittenPack, check_pack, read_pack_index
from chronos.pool.reader import PoolReader

__all__ = [
    "CHUNK_ID_BYTES",
    "FILE_PROFILE",
    "LARGEST_CHUNK_BYTES",
    "LIST_PROFILE",
    "PAGED_PIECE_BYTES",
    "ChunkLocation",
    "ChunkProfile",
    "Content",
    "ContentSink",
    "HashingSink",
    "PackFile",
    "PoolReader",
    "PoolWriter",
    "StoredChunk",
    "WrittenPack",
    "check_pack",
    "compress_text",
    "decompress_text",
    "digest",
    "new_digest",
    "read_pack_index",
]
