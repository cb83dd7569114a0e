"""Trying checkpoints side by side: each worker is a thread with a throw-away tree of its own, used again and again."""

from __future__ import annotations

import os
import queue
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from chronos.errors import GitFailedError, IntegrityError, OutsideError, UnknownCheckpointError
from chronos.files import translate_os_errors
from chronos.process import Logged
from historian.bisecting.results import Result, Try, read_code

if TYPE_CHECKING:
    from chronos.catalog import CheckpointRow
    from chronos.engine import ChronosEngine
    from chronos.timelines import Standing, Trial

_TAIL_BYTES = 4096
_LOOK_S = 0.2
_PATIENCE_S = 3.0


class _StoppedError(Exception):
    """Somebody does not want to wait any longer."""


class Workers:
    """Up to `jobs` threads that try checkpoints with one command. Use it in a `with` block: nothing is left after it.

    On any error, Ctrl-C included, running commands get SIGINT, and SIGKILL when they do not end by themselves.
    """

    def __init__(self, engine: ChronosEngine, command: Sequence[str], jobs: int, seeds: Sequence[str]) -> None:
        self._engine = engine
        self._command = tuple(command)
        self._jobs = jobs
        self._seeds = tuple(seeds)
        self._asked: queue.SimpleQueue[CheckpointRow | None] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[Try | BaseException] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._running: set[Logged] = set()
        self._lock = threading.Lock()
        self._is_stopped = False

    @contextmanager
    def open(self) -> Iterator[Callable[[Sequence[CheckpointRow]], Iterator[Try]]]:
        """Give the function that tries some checkpoints and yields each try as it is done."""
        try:
            yield self._try_all
        except BaseException:
            self._stop()
            raise
        finally:
            for _ in self._threads:
                self._asked.put(None)
            for thread in self._threads:
                thread.join()

    def _try_all(self, rows: Sequence[CheckpointRow]) -> Iterator[Try]:
        while len(self._threads) < min(self._jobs, len(rows)):
            thread = threading.Thread(target=self._work)
            self._threads.append(thread)
            thread.start()
        for row in rows:
            self._asked.put(row)
        for _ in rows:
            answer = self._wait()
            if isinstance(answer, BaseException):
                raise answer
            yield answer

    def _wait(self) -> Try | BaseException:
        """Wait for an answer, with a look at signals now and then: one right before a wait does not end it."""
        while True:
            with suppress(queue.Empty):
                return self._answers.get(timeout=_LOOK_S)

    def _stop(self) -> None:
        with self._lock:
            self._is_stopped = True
            running = list(self._running)
        for how in (signal.SIGINT, signal.SIGKILL):
            for program in running:
                program.stop(how)
            deadline = time.monotonic() + _PATIENCE_S
            while self._running and time.monotonic() < deadline:
                time.sleep(0.01)

    def _work(self) -> None:
        """Try what is asked until nothing more is; an error is an answer, and the last one."""
        try:
            with self._engine.open_trial(self._seeds) as trial:
                while (row := self._asked.get()) is not None and not self._is_stopped:
                    self._answers.put(self._try(trial, row))
        except _StoppedError:
            return
        except BaseException as error:  # noqa: BLE001 - raised again by whoever asked
            self._answers.put(error)

    def _try(self, trial: Trial, row: CheckpointRow) -> Try:
        start_s = time.monotonic()
        try:
            standing = trial.take_on(row)
        except (UnknownCheckpointError, IntegrityError, GitFailedError) as cause:
            return Try(row, Result.SKIPPED, words=cause.message, prepare_s=time.monotonic() - start_s)
        prepared_s = time.monotonic()
        code, words = self._run(standing, row)
        result = read_code(code, row, words)
        return Try(
            row, result, code, "", words, standing.notes, prepared_s - start_s, time.monotonic() - prepared_s
        )  # fmt: skip

    def _run(self, standing: Standing, row: CheckpointRow) -> tuple[int, str]:
        """Run the command in the tree; return its exit code and the last of what it said."""
        path = standing.root.with_name("output")
        environment = {**standing.environment, "CHRONOS_CHECKPOINT": row.checkpoint_id}
        with translate_os_errors(f"cannot write {path}"), open(path, "wb") as log:
            with self._lock:
                if self._is_stopped:
                    raise _StoppedError
                program = self._start(standing, environment, log, row)
                self._running.add(program)
            try:
                code = program.wait()
            finally:
                self._running.discard(program)
        if self._is_stopped:
            raise _StoppedError
        return code, _read_end(path)

    def _start(self, standing: Standing, environment: dict[str, str], log: BinaryIO, row: CheckpointRow) -> Logged:
        try:
            return Logged(self._command, environment=environment, cwd=standing.root, log=log)
        except OutsideError as cause:
            raise OutsideError(
                f"{cause.message} (at checkpoint {row.checkpoint_id}, {row.name})",
                hint="a script that is not in every checkpoint is named by its absolute path",
            ) from cause


def _read_end(path: Path) -> str:
    with translate_os_errors(f"cannot read {path}"), open(path, "rb") as log:
        log.seek(max(0, os.fstat(log.fileno()).st_size - _TAIL_BYTES))
        return log.read().decode("utf-8", "replace")
