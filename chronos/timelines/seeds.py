"""Seeds: files that git ignores and that a new working tree needs all the same, copied from the tree it is branched in.

They go from tree to tree and into no checkpoint. A secret file is taken only by a rule that names it exactly.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from chronos.errors import BadPathError
from chronos.files import SafeRoot, TreePath, display, is_tree_path, to_text
from chronos.operations import Workspace

_PIECE_BYTES = 1 << 20


def find_seeds(workspace: Workspace, patterns: Sequence[str]) -> list[TreePath]:
    """Return the ignored files of the tree that `patterns` (gitignore syntax) name. Raises BadPathError for a slip."""
    if not patterns:
        return []
    policy = msgspec.structs.replace(workspace.policy(), patterns=tuple(patterns))
    repository = workspace.repository
    index = repository.index if not repository.is_plain else workspace.store.layout.temporary / "none"
    named = sorted(path for path in policy.included(repository, index, b"") if not path.endswith(b"/"))
    found = [path for path in named if is_tree_path(path) and policy.refusal(path, 0, included=True) is None]
    if not found:
        secret = f"; {display(named[0])} holds secrets and must be named exactly" if named else ""
        raise BadPathError(f"no ignored file is named by {', '.join(map(display, patterns))}{secret}")
    return found


def copy_seeds(workspace: Workspace, place: Path, paths: Sequence[TreePath]) -> tuple[str, ...]:
    """Copy files of the tree to the same places in the one at `place`; what is there already stays. Returns them."""
    done = []
    with SafeRoot(workspace.root) as source, SafeRoot(place) as target:
        for path in paths:
            stat = source.find_stat(path)
            if stat is None or target.find_stat(path) is not None:
                continue
            target.make_parents(path)
            if stat.kind.value == "symlink":
                target.write_link(path, source.read_link(path))
            elif stat.kind.value == "file":
                with source.reading(path) as descriptor:
                    about = os.fstat(descriptor)
                    target.write_file(path, _pieces(descriptor), executable=stat.is_executable, like=about)
            else:
                continue
            done.append(to_text(path))
    return tuple(done)


def _pieces(descriptor: int) -> Iterator[bytes]:
    while piece := os.read(descriptor, _PIECE_BYTES):
        yield piece
