"""Capturing one repository (or plain folder): its status, what status hides, its staged state, its own entries."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from pathlib import Path

import msgspec

from chronos.catalog import StatRow
from chronos.checkpoints.asking import AskedStatus, moment_of
from chronos.checkpoints.manifest import STAGED, ComponentKind, Reason, ReceiptRow, StagedEntry
from chronos.checkpoints.policy import CapturePolicy
from chronos.checkpoints.reading import Budget, PathReader, is_clean_blob, look
from chronos.checkpoints.states import ComponentState
from chronos.checkpoints.store import Store
from chronos.errors import BadPathError
from chronos.files import FileStat, PathKind, SafeRoot, TreePath, is_inside, is_log, to_text
from chronos.git import (
    EXECUTABLE_MODE,
    GITLINK_MODE,
    BlobReader,
    HiddenEntry,
    IndexFacts,
    Repository,
    StagedRow,
    Status,
    TreeEntry,
    attributes_fingerprint,
    find_tree_entries,
    identity_of,
    is_converting,
    list_converted,
    list_index_paths,
    object_format_of,
    parse_status,
    read_index_facts,
    settle_conflicts,
    settle_intents,
    settle_loops,
)
from chronos.memory import COMPANION_ENDINGS, DATABASE_ENDINGS, LOG_ENDINGS
from chronos.pool import Content, ContentSink
from chronos.stat_cache import StatCache

# Threads that read at once only hand each other the interpreter lock: both take twice as long as one after the other.
_reading = threading.Lock()
_DECLARE = "a database, by its name; `chrono memory add` has it captured"
_HELD_STORES = "but the memory stores in it are captured"


class CaptureContext(msgspec.Struct):
    """What all components of one capture share.

    The paths of the store, of `lessons` and of memory stores (from the root) stay out.
    """

    store: Store
    policy: CapturePolicy
    sink: ContentSink
    budget: Budget
    store_paths: list[TreePath]
    lessons: list[TreePath]
    memory_paths: set[TreePath]


class CapturedComponent(msgspec.Struct):
    """One component with everything that its capture found out.

    `index` is our copy of the user's index, which had the identity `index_identity`. `nested` are folders that may be
    repositories; `is_patchable` is false where skip-worktree keeps a path from the disk, and where something stands in
    the place of a submodule. `databases` (from the root) are no entries but memory stores. `moment` says where HEAD and
    the index were, `seen` what stood at the paths that were read, `started_ns` when reading them began; the bytes of
    those in `known` were not read, because of their stat.
    `has_new_sizes` says that git was asked how large blobs of the base are.
    """

    state: ComponentState
    repository: Repository
    index: Path
    index_identity: str
    status_output: bytes
    key: str
    receipt: list[ReceiptRow] = msgspec.field(default_factory=list)
    nested: list[TreePath] = msgspec.field(default_factory=list)
    torn: list[TreePath] = msgspec.field(default_factory=list)
    converted: list[TreePath] = msgspec.field(default_factory=list)
    may_convert: bool = False
    base_entries: dict[TreePath, TreeEntry] = msgspec.field(default_factory=dict)
    stats: tuple[list[StatRow], list[TreePath]] = msgspec.field(default_factory=lambda: ([], []))
    store_is_visible: bool = False
    is_patchable: bool = True
    databases: list[TreePath] = msgspec.field(default_factory=list)
    moment: object = None
    seen: dict[TreePath, FileStat | str | None] = msgspec.field(default_factory=dict)
    started_ns: int = 0
    has_new_sizes: bool = False
    known: set[TreePath] = msgspec.field(default_factory=set)

    def has_moved(self, *, is_thorough: bool) -> bool:
        """Tell whether HEAD or the index moved since the capture, or with `is_thorough` any path that was read."""
        if moment_of(self.repository) != self.moment:
            return True
        if not is_thorough:
            return False
        with SafeRoot(self.repository.root) as tree:
            return any(look(tree, path) != stat for path, stat in self.seen.items())


class ComponentCapture:
    """The steps of capturing one component, in order."""

    def __init__(self, context: CaptureContext, path: TreePath, kind: ComponentKind, asked: AskedStatus) -> None:
        self._context = context
        self._store, self._lessons = _prefixes(context.store_paths), _prefixes(context.lessons)
        self._repository = repository = asked.repository
        self._key, self._index = asked.key, asked.index
        output, unlisted, looped = asked.wait()
        self._status = parse_status(output)
        self._facts = self._index_facts(asked.identity)
        settle_conflicts(repository, self._status)
        settle_loops(repository, self._status, looped)
        settle_intents(repository, self._index, self._status, self._facts.hidden)
        self._loose: list[TreePath] = []
        self._included = context.policy.included(repository, self._index, path)
        commit = self._status.commit
        state = ComponentState(
            path,
            kind,
            base=None if kind is ComponentKind.EMBEDDED else commit,
            head=commit,
            branch=self._status.branch,
            object_format=object_format_of(commit) if commit else "sha1",
            git_dir=_linked_git_dir(repository) if kind is ComponentKind.SUBMODULE else None,
            in_progress=repository.in_progress(),
            hidden=self._facts.hidden,
        )
        self.result = CapturedComponent(state, repository, self._index, asked.identity, output, self._key)
        self.result.moment = asked.moment
        rows = [ReceiptRow(state.from_root(p), Reason.UNREADABLE, 0, "git cannot list it") for p in unlisted]
        self.result.receipt += rows

    def run(self) -> CapturedComponent:
        """Read everything that differs and return it."""
        with SafeRoot(self._repository.root) as tree:
            self._find_nested(tree)
            replaced = self._read_entries(tree)
            self._add_nested(tree, replaced)
            self._note_store(replaced)
        self.result.state.staged = self._staged()
        self._note_ignored()
        self._note_lessons()
        return self.result

    def _index_facts(self, identity: str) -> IndexFacts:
        """Take the facts of this very index from the catalog, or ask git and remember them."""
        catalog = self._context.store.catalog
        known = catalog.find_fact(f"index:{self._key}")
        if known is not None:
            facts = msgspec.msgpack.decode(known, type=IndexFacts)
            if facts.identity == identity:
                return facts
        facts = read_index_facts(self._repository, self._index, identity)
        catalog.set_fact(f"index:{self._key}", msgspec.msgpack.encode(facts))
        return facts

    def _find_nested(self, tree: SafeRoot) -> None:
        links = [entry.path for entry in self._facts.hidden if entry.is_gitlink]
        included = [path.rstrip(b"/") for path in self._included if path.endswith(b"/")]
        candidates = {*links, *self._status.nested}
        self._add_nested(tree, candidates.union(included))
        loose = [link for link in links if link not in self.result.nested and _is_folder(tree, link)]
        self._loose = [path for link in loose for path in tree.list_files(link)]  # status says nothing of them
        self._note_store((*candidates, *self._status.untracked))

    def _note_store(self, paths: Iterable[TreePath]) -> None:
        self.result.store_is_visible |= any(self._is_in(self._store, path) for path in paths)

    def _add_nested(self, tree: SafeRoot, paths: Iterable[TreePath]) -> None:
        """Note those of `paths` that may be repositories of their own."""
        known = {*self.result.nested}
        known |= {path for path in paths if _is_folder(tree, path) and _has_git(tree, path) and not self._is_own(path)}
        self.result.nested = sorted(known)

    def _read_entries(self, tree: SafeRoot) -> list[TreePath]:
        """Read what differs, and return the tracked paths at which a folder stands instead."""
        state, status = self.result.state, self._status
        context, catalog = self._context, self._context.store.catalog
        included = {path for path in self._included if not path.endswith(b"/")}
        stats = StatCache(catalog.stats(self._key))
        reader = PathReader(tree, state.path, context.policy, context.sink, stats, included, context.budget)
        converted = self._converted()
        changed, gone = self._hidden_changes(tree)
        self._find_live_databases(tree)
        tracked = {path for path in (*status.tracked, *gone) if not self._is_memory(path)}
        nested = _prefixes(self.result.nested)  # which take in themselves what lies in them
        forced = {path for path in self._forced() if not path.startswith(nested)}
        asked_for = {*included, *converted, *forced, *self._loose}
        others = {*status.untracked, *status.not_in_head, *changed, *asked_for}
        if state.kind is ComponentKind.EMBEDDED:
            links = {entry.path for entry in self._facts.hidden if entry.is_gitlink}
            others |= {*tracked, *list_index_paths(self._repository, self._index)} - links
            tracked = set()
        with _reading:
            reader.read_all(tracked, self._without_own(others - tracked))
        state.entries = reader.entries
        self.result.is_patchable &= not any(path in reader.entries for path in status.gitlinks)
        self.result.receipt += self._as_git_only(reader.receipt.values(), converted, status)
        self.result.torn = reader.torn
        self.result.databases += reader.databases
        self.result.known = reader.known
        self.result.seen, self.result.started_ns = reader.seen, stats.started_ns
        if state.base is not None:
            flagged = {e.path: TreeEntry(e.path, e.mode, e.oid) for e in self._facts.hidden if not e.is_gitlink}
            self.result.base_entries = {**{path: flagged[path] for path in (*changed, *gone)}, **status.tracked}
            self._find_clean_entries(asked_for)
            self._repository.learn(state.base, self.result.base_entries)
        self.result.converted = converted
        self.result.stats = (list(stats.fresh.values()), [path for path in stats.known if path not in reader.entries])
        return [path for path in reader.folders if path in status.tracked]

    def _find_live_databases(self, tree: SafeRoot) -> None:
        """What lies beside a database in use must not even be opened: it is known by that, as is one that is gone."""
        status = self._status
        for path in {*status.untracked, *status.tracked, *status.ignored}:
            if not path.endswith(COMPANION_ENDINGS):
                continue
            base = path[: path.rindex(b"-")]
            if self._is_memory(base):
                continue
            is_code = path in status.tracked or self._is_memory(path)
            if tree.is_database(base) or (not is_code and _is_left_behind(tree, path, base)):
                full_path = self.result.state.from_root(base)
                self.result.databases.append(full_path)
                self._context.memory_paths |= {full_path, *(full_path + other for other in COMPANION_ENDINGS)}

    def _find_clean_entries(self, asked_for: set[TreePath]) -> None:
        """What was read although status says nothing of it may be as in the base: the patch must not make it anew."""
        known = self.result.base_entries.keys() | {*self._status.untracked, *self._status.not_in_head}
        paths = sorted((asked_for - known) & self.result.state.entries.keys())
        found = find_tree_entries(self._repository, self.result.state.base, paths)
        self.result.base_entries |= {path: entry for path, entry in found.items() if entry.mode != GITLINK_MODE}

    def _converted(self) -> list[TreePath]:
        """Return the clean files that git converts, asking only when the index, a stat or an attribute changed."""
        if self._repository.is_plain or not is_converting(self._repository, self._has_attributes()):
            return []
        self.result.may_convert = True
        fingerprint = attributes_fingerprint(self._repository, (*self._status.tracked, *self._status.untracked))
        moment = f"{identity_of(self._index)} {fingerprint}"
        catalog = self._context.store.catalog
        known = catalog.find_fact(f"converted:{self._key}")
        if known is not None:
            seen, paths = msgspec.msgpack.decode(known, type=tuple[str, list[bytes]])
            if seen == moment:
                return paths
        paths = list_converted(self._repository, self._index, fingerprint, self._index.with_suffix(".conversions"))
        catalog.set_fact(f"converted:{self._key}", msgspec.msgpack.encode((moment, paths)))
        return paths

    def _has_attributes(self) -> bool:
        changed = (*self._status.tracked, *self._status.untracked, *self._status.not_in_head)
        return self._facts.has_attributes or any(path.rpartition(b"/")[2] == b".gitattributes" for path in changed)

    def _hidden_changes(self, tree: SafeRoot) -> tuple[list[TreePath], list[TreePath]]:
        """Return the assume-unchanged and skip-worktree paths to read, and those that are gone from the disk."""
        present, gone = [], []
        not_in_head = set(self._status.not_in_head)
        for entry in self._facts.hidden:
            if entry.is_gitlink or entry.path in not_in_head:
                continue
            try:
                stat = tree.find_stat(entry.path)
            except OSError:  # reading it will say why
                present.append(entry.path)
                continue
            if stat is None or stat.kind is PathKind.FOLDER:
                self.result.is_patchable &= not entry.is_skipped
                gone += [] if entry.is_skipped else [entry.path]
            elif entry.is_skipped or not _is_unchanged(tree, stat, entry):
                present.append(entry.path)
        return present, gone

    def _forced(self) -> list[TreePath]:
        """Return what is taken whatever the rules say; there may be nothing at such a path."""
        state = self.result.state
        inside = [path for path in self._context.policy.forced if is_inside(path, state.path) and path != state.path]
        return [state.own_path(path) for path in inside]

    def _staged(self) -> list[StagedEntry]:
        """Take the blobs of staged rows into the sink, under the same rules as files."""
        rows = sorted(self._status.staged, key=lambda row: (row.path, row.stage))
        contents: dict[StagedRow, Content] = {}
        wanted = [row for row in rows if row.mode and row.mode != GITLINK_MODE and not row.is_intent]
        if wanted:
            with BlobReader(self._repository.command) as blobs:
                sizes = blobs.find_sizes(row.oid for row in wanted)
                for row in wanted:
                    if self._may_take(row, sizes.get(row.oid, 0)):
                        contents[row] = self._context.sink.add_bytes(blobs.read(row.oid))
        return [StagedEntry(r.path, r.mode, r.oid, r.stage, r.is_intent, contents.get(r)) for r in rows]

    def _may_take(self, row: StagedRow, size: int) -> bool:
        path, context = self.result.state.from_root(row.path), self._context
        reason = context.budget.refusal(context.policy, path, size, included=row.path in self._included)
        if reason is not None:
            self.result.receipt.append(ReceiptRow(path, reason, size, STAGED))
        return reason is None

    def _note_ignored(self) -> None:
        state, memory = self.result.state, self._context.memory_paths
        for path in self._status.ignored:
            own, full_path = path.rstrip(b"/"), state.from_root(path)
            if own not in state.entries and not self._is_own(own):
                holds_stores = path.endswith(b"/") and any(place.startswith(full_path) for place in memory)
                detail = _HELD_STORES if holds_stores else _DECLARE if own.lower().endswith(DATABASE_ENDINGS) else ""
                self.result.receipt.append(ReceiptRow(full_path, Reason.IGNORED, 0, detail))

    def _note_lessons(self) -> None:
        """Say so when there are lessons, for a folder of that name may hold something of the user's."""
        seen = (*self._status.tracked, *self._status.untracked, *self._status.ignored)
        for folder, prefix in zip(self._context.lessons, self._lessons, strict=True):
            if any(self._is_in((prefix,), path) for path in seen):
                row = ReceiptRow(folder + b"/", Reason.IGNORED, 0, "lessons are neither captured nor rewound")
                self.result.receipt.append(row)

    def _as_git_only(self, rows: Iterable[ReceiptRow], converted: list[TreePath], status: Status) -> list[ReceiptRow]:
        """A converted file that git calls clean is still in git when it is too large for us."""
        clean = {self.result.state.from_root(path) for path in converted} - {
            self.result.state.from_root(path) for path in status.tracked
        }
        kept = {Reason.TOO_LARGE, Reason.OVER_LIMIT}
        return [
            ReceiptRow(row.path, Reason.GIT_ONLY, row.size) if row.path in clean and row.reason in kept else row
            for row in sorted(rows, key=lambda row: row.path)
        ]

    def _without_own(self, paths: set[TreePath]) -> set[TreePath]:
        return {path for path in paths if not self._is_own(path)}

    def _is_own(self, path: TreePath) -> bool:
        return self._is_in(self._store + self._lessons, path) or self._is_memory(path)

    def _is_memory(self, path: TreePath) -> bool:
        paths = self._context.memory_paths
        folder = self.result.state.from_root(path.rstrip(b"/")) if paths else b""
        while folder:
            if folder in paths:
                return True
            folder = folder.rpartition(b"/")[0]
        return False

    def _is_in(self, prefixes: tuple[bytes, ...], path: TreePath) -> bool:
        return (self.result.state.from_root(path.rstrip(b"/")) + b"/").startswith(prefixes)


def _prefixes(folders: Iterable[TreePath]) -> tuple[bytes, ...]:
    """Return what the paths of these folders, and all below them, begin with when a slash is put behind them."""
    return tuple(folder + b"/" if folder else b"" for folder in folders)


def _is_folder(tree: SafeRoot, path: TreePath) -> bool:
    try:
        stat = tree.find_stat(path)
    except (BadPathError, OSError):
        return False
    return stat is not None and stat.kind is PathKind.FOLDER


def _is_left_behind(tree: SafeRoot, path: TreePath, base: TreePath) -> bool:
    """Tell whether a `-wal` or a journal lies at `path` whose database, at `base`, is gone."""
    try:
        if not path.endswith(LOG_ENDINGS) or tree.find_stat(base) is not None:
            return False
        with tree.reading(path) as descriptor:
            return is_log(descriptor)
    except (BadPathError, OSError):
        return False


def _has_git(tree: SafeRoot, path: TreePath) -> bool:
    return (tree.root / os.fsdecode(path) / ".git").exists()


def _is_unchanged(tree: SafeRoot, stat: FileStat, entry: HiddenEntry) -> bool:
    """Tell whether a file that status does not look at is the one of the index, bytes and executable bit."""
    if stat.kind is not PathKind.FILE or stat.is_executable != (entry.mode == EXECUTABLE_MODE):
        return False
    return is_clean_blob(tree, entry.path, entry.oid)


def _linked_git_dir(repository: Repository) -> str | None:
    try:
        return to_text(os.fsencode(os.path.relpath(repository.git_dir, repository.root)))
    except ValueError:
        return None
