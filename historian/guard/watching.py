"""Watching a tree: a checkpoint after each burst of changes, whoever makes them. Owns watchfiles.

A burst has ended when nothing has changed for a while. What git, the store or an ignored file does is none; neither is
a state that the newest checkpoint has. Checkpoints keep a distance, and there are only so many in an hour: what comes
between is held by the next one, and by a last one when the watch ends.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Iterator
from enum import Enum
from typing import TYPE_CHECKING

import msgspec

from chronos.checkpoints import Trigger
from chronos.errors import OutsideError, RefusedError, StateError, UsageError
from chronos.files import TreePath, display

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chronos.checkpoints import Created
    from chronos.engine import ChronosEngine

_TICK_S = 0.25
_HOUR_S = 3600.0
# A burst that never ends is held all the same, after so many times the pause that would end it.
_PATIENCE = 20
_MOST_ASKED = 2_000
_NAMED = 5
# Readers of a database make and remove these beside it; what is written to it shows in the database or its `-wal`.
_QUIET_ENDINGS = (b"-shm",)
_TEMPORARY = b".chronos-"


class Pace(msgspec.Struct, frozen=True):
    """How eager a watch is: seconds of quiet that end a burst, seconds between checkpoints, checkpoints in an hour."""

    settle_s: float = 2.0
    every_s: float = 10.0
    quota: int = 60

    def __post_init__(self) -> None:
        if not 0.05 <= self.settle_s <= _HOUR_S or not 0 <= self.every_s <= 24 * _HOUR_S or self.quota < 1:
            raise UsageError(
                "no such pace", hint="settle is 0.05 to 3600 seconds, every 0 to 86400, and the quota at least 1"
            )


class WatchedKind(str, Enum):
    """What a watch tells of: that it began, a new checkpoint, one that could not be taken, a quota that is used up."""

    STARTED = "started"
    CHECKPOINT = "checkpoint"
    FAILED = "failed"
    QUOTA = "quota"
    STOPPED = "stopped"


class Watched(msgspec.Struct, frozen=True):
    """Something that a watch tells of; `paths` are some of those that changed, from the root."""

    kind: WatchedKind
    message: str = ""
    created: Created | None = None
    paths: tuple[TreePath, ...] = ()
    changed: int = 0


def watch(engine: ChronosEngine, pace: Pace, stop: threading.Event) -> Iterator[Watched]:
    """Watch the engine's tree until `stop` is set; yield what happens. Begins with a checkpoint of what is there.

    Raises LockedError when somebody watches this tree already, OutsideError when the system cannot watch it.
    """
    with engine.hold_watch():
        yield from _Watch(engine, pace, stop).run()


class _Watch:
    def __init__(self, engine: ChronosEngine, pace: Pace, stop: threading.Event) -> None:
        self._engine = engine
        self._pace = pace
        self._stop = stop
        self._root = os.fsencode(os.path.realpath(engine.root))
        self._paths: dict[TreePath, None] = {}
        self._first_s = self._last_s = 0.0
        self._not_before_s = 0.0
        self._taken: deque[float] = deque()
        self._is_quota_told = False

    def run(self) -> Iterator[Watched]:
        """Watch until the end."""
        changes = self._changes()
        next(changes)  # from here on nothing is missed
        yield Watched(WatchedKind.STARTED, display(str(self._engine.root)))
        yield from self._take("watch begins")
        for batch in changes:
            now = time.monotonic()
            if batch and self._note(batch):
                self._first_s = self._first_s or now
                self._last_s = now
            if self._paths and self._is_time(now):
                yield from self._within_quota(now)
        yield from self._take("watch ends")  # also of what the system had no time to tell of
        yield Watched(WatchedKind.STOPPED)

    def _changes(self) -> Iterator[set[TreePath]]:
        """Yield what has changed, from the root, also nothing when it is time to look at the clock."""
        import watchfiles  # 30 ms, and only a watch needs it

        settings = {"debounce": 1_000, "step": 50, "rust_timeout": int(_TICK_S * 1000), "yield_on_timeout": True}
        try:
            for batch in watchfiles.watch(
                self._root.decode("utf-8", "surrogateescape"), watch_filter=self._is_ours_to_see, stop_event=self._stop,
                raise_interrupt=False, ignore_permission_denied=True, **settings,  # type: ignore[arg-type]
            ):  # fmt: skip
                yield {self._from_root(path) for _, path in batch}
        except (OSError, RuntimeError) as cause:
            raise OutsideError(
                f"the system cannot watch {display(str(self._engine.root))}: {cause}",
                hint="on Linux raise fs.inotify.max_user_watches with sysctl",
            ) from cause

    def _is_ours_to_see(self, _: object, path: str) -> bool:
        """What is cheap to tell without git: its own folders, and what readers of databases and writes leave."""
        own = self._from_root(path)
        name = own.rpartition(b"/")[2]
        is_gits = own == b".git" or own.startswith(b".git/") or b"/.git/" in own or name == b".git"
        return bool(own) and not is_gits and not name.endswith(_QUIET_ENDINGS) and not name.startswith(_TEMPORARY)

    def _from_root(self, path: str) -> TreePath:
        return os.fsencode(path).removeprefix(self._root).lstrip(b"/")

    def _note(self, paths: Iterable[TreePath]) -> bool:
        """Remember what changed and counts; tell whether anything did. Once something does, few are asked about."""
        new = [path for path in paths if path not in self._paths]
        if self._paths and len(new) > _MOST_ASKED:
            self._paths.update(dict.fromkeys(new))
            return True
        for start in range(0, len(new), _MOST_ASKED):
            asked = new[start : start + _MOST_ASKED]
            unheard = self._engine.find_unheard(asked)
            self._paths.update(dict.fromkeys(path for path in asked if path not in unheard))
        return any(path in self._paths for path in paths)

    def _is_time(self, now: float) -> bool:
        has_settled = now - self._last_s >= self._pace.settle_s
        is_overdue = now - self._first_s >= max(self._pace.every_s, self._pace.settle_s * _PATIENCE)
        return now >= self._not_before_s and (has_settled or is_overdue)

    def _within_quota(self, now: float) -> Iterator[Watched]:
        while self._taken and now - self._taken[0] >= _HOUR_S:
            self._taken.popleft()
            self._is_quota_told = False
        if len(self._taken) < self._pace.quota:
            yield from self._take("watch")
        elif not self._is_quota_told:
            self._is_quota_told = True
            minutes = int((_HOUR_S - (now - self._taken[0])) / 60) + 1
            yield Watched(
                WatchedKind.QUOTA, f"{self._pace.quota} checkpoints in an hour; the next in {minutes} minutes"
            )

    def _take(self, name: str) -> Iterator[Watched]:
        """Take a checkpoint of the pending changes. One that fails stays pending, and is said."""
        pending, self._paths = self._paths, {}
        first_s, self._first_s = self._first_s, 0.0
        about = "\n".join(display(path) for path in list(pending)[:_NAMED])
        try:
            created = self._engine.take_checkpoint(name, about, trigger=Trigger.AUTOMATIC)
        except (StateError, OutsideError, RefusedError) as cause:
            self._paths, self._first_s = pending, first_s
            self._not_before_s = time.monotonic() + max(self._pace.every_s, 1.0)
            yield Watched(WatchedKind.FAILED, f"{cause.message}; {cause.hint}".rstrip("; "))
            return
        if created.created:
            now = time.monotonic()
            self._taken.append(now)
            self._not_before_s = now + self._pace.every_s
            some = tuple(list(pending)[:_NAMED])
            yield Watched(WatchedKind.CHECKPOINT, created=created, paths=some, changed=len(pending))
