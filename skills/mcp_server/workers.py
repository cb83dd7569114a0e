"""Threads that do the work while the event loop talks: each owns a session, as an engine belongs to one thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from skills.actions import ActionSession

Progress = Callable[[int, int], None]
Opener = Callable[[Progress], ActionSession]
_Result = TypeVar("_Result")
_Job = tuple["Future[Any]", Callable[[ActionSession], Any], Progress | None]
# What changes the store is done one after the other anyway; the others keep short questions answered beside long ones.
_MOST = 8


class Workers:
    """At most `most` threads, started when no other is free. `open_session` is called in each of them.

    A job that has begun is done to its end, whatever becomes of whoever asked; one that has not can be cancelled.
    """

    def __init__(self, open_session: Opener, most: int = _MOST) -> None:
        self._open = open_session
        self._most = most
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._unfinished = 0
        self._is_closed = False

    def submit(self, job: Callable[[ActionSession], _Result], progress: Progress | None = None) -> Future[_Result]:
        """Have `job` done and return what will come of it; after `close` that is cancelled.

        `progress` is told (done, total) in the thread that works.
        """
        future: Future[_Result] = Future()
        with self._lock:
            if self._is_closed:
                future.cancel()
                return future
            self._unfinished += 1
            self._jobs.put((future, job, progress))
            if len(self._threads) < min(self._unfinished, self._most):
                thread = threading.Thread(target=self._work, daemon=True)
                self._threads.append(thread)
                thread.start()
        return future

    def close(self, timeout_s: float) -> bool:
        """Cancel what waits, let what runs come to its end, and return whether it did within `timeout_s` seconds."""
        with self._lock:
            self._is_closed = True
            threads = list(self._threads)
        self._cancel_waiting()
        for _ in threads:
            self._jobs.put(None)
        deadline = time.monotonic() + timeout_s
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in threads)

    def _cancel_waiting(self) -> None:
        try:
            while True:
                job = self._jobs.get_nowait()
                if job is not None:
                    job[0].cancel()
        except Empty:
            return

    def _work(self) -> None:
        asker: list[Progress | None] = [None]

        def report(done: int, total: int) -> None:
            if asker[0] is not None:
                asker[0](done, total)

        try:
            with self._open(report) as session:
                while (job := self._jobs.get()) is not None:
                    asker[0] = job[2]
                    self._do(session, job)
        finally:
            with self._lock:
                self._threads.remove(threading.current_thread())

    def _do(self, session: ActionSession, job: _Job) -> None:
        future, work, _ = job
        if not future.set_running_or_notify_cancel():
            self._finish_one()
            return
        try:
            result = work(session)
        except BaseException as error:  # noqa: BLE001 - it is for whoever asked
            self._finish_one()
            future.set_exception(error)
            return
        self._finish_one()  # before the answer: whoever hears it may ask again at once
        future.set_result(result)

    def _finish_one(self) -> None:
        with self._lock:
            self._unfinished -= 1
