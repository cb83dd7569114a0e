"""Whether a store needs looking after, decided after every create in a fraction of a millisecond."""

from __future__ import annotations

from chronos import clock
from chronos.checkpoints import Store, Trigger

_NEXT = "upkeep"
_PERIOD_NS = 24 * 3600 * 10**9


def is_due(store: Store, timeline: str, trigger: Trigger) -> bool:
    """Tell whether retention may have something to do: too many checkpoints, or a day since the last look at ages."""
    config = store.config
    if not config.auto_gc:
        return False
    if config.max_checkpoints_per_timeline:
        count = 0
        if config.retention_includes_named:
            count = store.catalog.count_checkpoints(timeline, safety=False)
        elif trigger is Trigger.AUTOMATIC:
            count = store.catalog.count_automatic(timeline)
        if count > config.max_checkpoints_per_timeline:
            return True
    moment, now = int(store.catalog.find_fact(_NEXT) or 0), clock.now_ns()
    if not moment:
        put_off(store)
    return moment != 0 and not now < moment <= now + _PERIOD_NS  # a clock that was set back is due as well


def put_off(store: Store) -> None:
    """Note that ages have been looked at: the next time is in a day."""
    store.catalog.set_fact(_NEXT, str(clock.now_ns() + _PERIOD_NS).encode())
