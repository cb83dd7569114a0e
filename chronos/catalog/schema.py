"""The tables of the catalog. Triggers keep the sum of what packs and checkpoints take, so that asking costs one row.

A file of another version is made anew: it is a cache.
"""

VERSION = 4
SCHEMA = """
CREATE TABLE IF NOT EXISTS timelines (name TEXT PRIMARY KEY, folder_ns INT, packs_ns INT, deleted_ns INT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS checkpoints (
  id TEXT PRIMARY KEY, timeline TEXT, sequence INT, name TEXT, description TEXT, parent TEXT, created_at TEXT,
  trigger TEXT, tags TEXT, files_changed INT, grade TEXT, state TEXT, deleted INT, other_parents TEXT, pinned INT,
  verdict TEXT, bytes INT) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS checkpoints_by_timeline ON checkpoints (timeline, sequence);
CREATE INDEX IF NOT EXISTS automatic_checkpoints ON checkpoints (timeline, sequence)
  WHERE deleted = 0 AND trigger = 'automatic';
CREATE TABLE IF NOT EXISTS packs (
  number INTEGER PRIMARY KEY, timeline TEXT, name TEXT, size INT, UNIQUE (timeline, name));
CREATE TABLE IF NOT EXISTS chunks (
  id BLOB, pack INT, offset INT, stored INT, raw INT, codec INT, PRIMARY KEY (id, pack)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS stats (
  component TEXT, path BLOB, size INT, mtime_ns INT, ctime_ns INT, inode INT, mode INT, content BLOB, chunk BLOB,
  PRIMARY KEY (component, path)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS facts (key TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS totals (one INTEGER PRIMARY KEY, bytes INT);
INSERT OR IGNORE INTO totals VALUES (1, 0);
CREATE TRIGGER IF NOT EXISTS pack_in AFTER INSERT ON packs BEGIN UPDATE totals SET bytes = bytes + NEW.size; END;
CREATE TRIGGER IF NOT EXISTS pack_out AFTER DELETE ON packs BEGIN UPDATE totals SET bytes = bytes - OLD.size; END;
CREATE TRIGGER IF NOT EXISTS checkpoint_in AFTER INSERT ON checkpoints
  BEGIN UPDATE totals SET bytes = bytes + NEW.bytes; END;
CREATE TRIGGER IF NOT EXISTS checkpoint_out AFTER DELETE ON checkpoints
  BEGIN UPDATE totals SET bytes = bytes - OLD.bytes; END;
"""
