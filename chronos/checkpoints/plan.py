"""What of a checkpoint is asked for, and what a restore or undo of it would do, as data that can be shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from chronos.checkpoints.changes import Change, ChangeSet, SideKind
from chronos.checkpoints.manifest import Grade
from chronos.files import TreePath, is_inside, unescape
from chronos.pool import digest

if TYPE_CHECKING:
    from chronos.checkpoints.annotations import Annotation


class Options(msgspec.Struct, frozen=True):
    """What of a checkpoint to restore. No `paths` means everything; `head` moves HEAD and its branch too.

    With `stores` only the memory stores of these names, with `code` or `memory` alone only that part.
    `forced` paths were taken into the safety checkpoint by request and may go although they were ignored then. Memory
    stores whose paths are `aside` stay as they are.
    """

    paths: tuple[TreePath, ...] = ()
    head: bool = False
    overwrite: bool = False
    forced: frozenset[TreePath] = frozenset()
    code: bool = True
    memory: bool = True
    stores: tuple[str, ...] = ()
    aside: tuple[str, ...] = ()

    @property
    def has_code(self) -> bool:
        """Whether any code is asked for."""
        return self.code and not self.stores

    @property
    def is_whole_code(self) -> bool:
        """Whether all of the code is asked for, the index with it."""
        return self.has_code and not self.paths

    def covers(self, path: TreePath) -> bool:
        """Tell whether `path` of the code is asked for."""
        return self.has_code and (not self.paths or any(is_inside(path, wanted) for wanted in self.paths))

    def covers_store(self, name: str, path: str) -> bool:
        """Tell whether a memory store is asked for."""
        if path in self.aside:
            return False
        if self.stores:
            return name in self.stores
        return self.memory and (not self.paths or any(is_inside(unescape(path), wanted) for wanted in self.paths))


class Kept(msgspec.Struct, frozen=True):
    """A path that the plan leaves as it is, and why."""

    path: TreePath
    reason: str


class Plan(msgspec.Struct):
    """What a restore or undo would do. `effects` are those recorded since that it does not take back."""

    change_set: ChangeSet
    kept: list[Kept] = msgspec.field(default_factory=list)
    warnings: list[str] = msgspec.field(default_factory=list)
    grade: Grade = Grade.COMPLETE
    operation: str = ""
    effects: list[Annotation] = msgspec.field(default_factory=list)
    made_of: str = ""

    @property
    def plan_id(self) -> str:
        """A hash of everything the plan would change, with the operation that it takes back.

        Stores that a merge made count as what they were `made_of`: the same rows may be other bytes each time.
        """
        shown = msgspec.structs.replace(self.change_set, stores=()) if self.made_of else self.change_set
        return digest(f"{self.operation} {self.made_of} {shown.identity()}".encode()).hex()[:16]

    @property
    def writes(self) -> list[Change]:
        """The changes that leave something at their path."""
        return [change for change in self.change_set.changes if change.after.kind is not SideKind.ABSENT]

    @property
    def deletes(self) -> list[Change]:
        """The changes that leave nothing at their path."""
        return [change for change in self.change_set.changes if change.after.kind is SideKind.ABSENT]
