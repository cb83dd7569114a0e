"""Whether a store needs looking after, decided after every create in a fraction of a millisecond."""

from __future__ import annotations

from chronos import clock
from chronos.checkpoints import Store, Trigger, list_timelines

_NEXT = "upkeep"
_KEPT = "kept"
_PERIOD_NS = 24 * 3600 * 10**9


def is_due(store: Store, timeline: str, trigger: Trigger) -> bool:
    """Tell whether retention may have something to do: too many checkpoints, or a day since the last look at ages."""
    config = store.config
    if not config.auto_gc:
        return False
    if config.max_checkpoints_per_timeline:
        may_be_due = config.retention_includes_named or trigger is Trigger.AUTOMATIC
        count = _count(store, timeline) if may_be_due else 0
        if count > config.max_checkpoints_per_timeline and count > _bound(store, timeline):
            return True
    moment, now = int(store.catalog.find_fact(_NEXT) or 0), clock.now_ns()
    if not moment:
        put_off(store)
    return moment != 0 and not now < moment <= now + _PERIOD_NS  # a clock that was set back is due as well


def note_kept(store: Store) -> None:
    """Note how many checkpoints had to stay although they are too many, so that not every create asks again.

    The next look is due when a tenth of the limit has come to them.
    """
    limit = store.config.max_checkpoints_per_timeline
    for timeline in list_timelines(store.layout) if limit else ():
        count, known = _count(store, timeline), _bound(store, timeline)
        bound = count + max(1, limit // 10) if count > limit else 0
        if bound != known:
            store.catalog.set_fact(f"{_KEPT}:{timeline}", str(bound).encode())


def _count(store: Store, timeline: str) -> int:
    if store.config.retention_includes_named:
        return store.catalog.count_checkpoints(timeline, safety=False)
    return store.catalog.count_automatic(timeline)


def _bound(store: Store, timeline: str) -> int:
    return int(store.catalog.find_fact(f"{_KEPT}:{timeline}") or 0)


def put_off(store: Store) -> None:
    """Note that ages have been looked at: the next time is in a day."""
    store.catalog.set_fact(_NEXT, str(clock.now_ns() + _PERIOD_NS).encode())
