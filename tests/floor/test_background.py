"""Work in a thread is waited for to its end, whatever interrupts the wait."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from chronos.background import in_background


def test_what_it_returns_or_raises_comes_back_as_often_as_it_is_asked_for() -> None:
    value, failure = in_background(lambda: 7), in_background(lambda: 1 // 0)
    assert (value(), value()) == (7, 7)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            failure()


def test_a_wait_that_was_interrupted_can_be_begun_again() -> None:
    may_end = threading.Event()
    result = in_background(lambda: may_end.wait(60))
    assert threading.current_thread() is threading.main_thread()
    threading.Timer(0.1, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        result()
    threading.Timer(0.1, may_end.set).start()
    assert result() is True
