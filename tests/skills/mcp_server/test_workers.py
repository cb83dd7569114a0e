"""Threads that work: side by side, each with its session, to the end of what they began."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from skills.actions import ActionSession
from skills.mcp_server.workers import Progress, Workers


class Sessions:
    """Counts sessions that are opened and closed, and says in which threads."""

    def __init__(self) -> None:
        self.opened: list[int] = []
        self.closed: list[int] = []
        self.tell: Progress | None = None

    def open(self, progress: Progress) -> ActionSession:
        sessions = self
        sessions.tell = progress

        class Watched(ActionSession):
            def close(self) -> None:
                sessions.closed.append(threading.get_ident())
                super().close()

        self.opened.append(threading.get_ident())
        return Watched("/")


@pytest.fixture
def sessions() -> Sessions:
    return Sessions()


def identify(_: ActionSession) -> int:
    return threading.get_ident()


def blocker(gate: threading.Event) -> Callable[[ActionSession], str]:
    def wait(_: ActionSession) -> str:
        assert gate.wait(10)
        return "done"

    return wait


def test_who_asks_one_after_the_other_gets_one_thread_and_its_session(sessions: Sessions) -> None:
    workers = Workers(sessions.open)
    found = {workers.submit(identify).result() for _ in range(50)}
    assert len(found) == 1 and sessions.opened == list(found)
    assert workers.close(5) and sessions.closed == sessions.opened


def test_a_long_job_holds_up_no_other(sessions: Sessions) -> None:
    workers, gate = Workers(sessions.open, most=3), threading.Event()
    long = [workers.submit(blocker(gate)) for _ in range(2)]
    assert all(workers.submit(identify).result(5) for _ in range(20))
    assert len(sessions.opened) == 3
    gate.set()
    assert [one.result(5) for one in long] == ["done", "done"]
    assert workers.close(5)


def test_what_is_cancelled_before_it_began_is_not_done_and_what_began_is_finished(sessions: Sessions) -> None:
    workers, gate, done = Workers(sessions.open, most=1), threading.Event(), []
    first = workers.submit(blocker(gate))
    while not first.running():
        time.sleep(0.001)
    second = workers.submit(lambda _: done.append("second"))
    assert second.cancel() and not first.cancel()
    gate.set()
    assert first.result(5) == "done"
    workers.submit(lambda _: done.append("third")).result(5)
    assert done == ["third"] and workers.close(5)


def test_closing_waits_for_what_runs_and_cancels_what_waits(sessions: Sessions) -> None:
    workers, gate = Workers(sessions.open, most=1), threading.Event()
    first, second = workers.submit(blocker(gate)), workers.submit(identify)
    while not first.running():
        time.sleep(0.001)
    assert not workers.close(0.05)
    assert second.cancelled() and workers.submit(identify).cancelled()
    gate.set()
    assert workers.close(5) and first.result() == "done"


def test_an_error_reaches_who_asked_and_the_thread_goes_on(sessions: Sessions) -> None:
    def fail(_: ActionSession) -> Any:
        raise ValueError("no")

    workers = Workers(sessions.open, most=1)
    with pytest.raises(ValueError, match="no"):
        workers.submit(fail).result(5)
    assert workers.submit(identify).result(5) == sessions.opened[0]
    assert workers.close(5)


def test_progress_is_told_to_who_asked_for_this_job(sessions: Sessions) -> None:
    workers, told = Workers(sessions.open, most=1), []

    def work(_: ActionSession) -> None:
        assert sessions.tell is not None
        sessions.tell(1, 2)

    workers.submit(work, lambda done, total: told.append((done, total))).result(5)
    workers.submit(work).result(5)
    assert told == [(1, 2)] and workers.close(5)
