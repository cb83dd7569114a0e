"""The program that reads, checks and replaces databases, so that the process which asks never opens one.

It is started for one request (see `sqlite_reader`), answers over its standard output and ends. It imports only what it
needs: a capture of a small database is mostly the start of this program.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable
from functools import partial
from typing import Any, BinaryIO

from chronos.background import widen_pipe
from chronos.memory.sqlite_files import copy_new
from chronos.memory.sqlite_frames import (
    ANSWER,
    BEGIN,
    END,
    FAILURE,
    ID_BYTES,
    MACS,
    read_frame,
    read_json,
    send,
    send_json,
)
from chronos.memory.sqlite_macs import Macs
from chronos.memory.sqlite_pieces import Cutter, Encode
from chronos.memory.sqlite_view import MovedError, UnreadableError, View, open_raw, open_view

_LEAST_ATTEMPTS = 3
_PAUSE_S = 0.02


def main() -> None:
    """Answer the request on standard input and end, without taking the interpreter down object by object."""
    with open(0, "rb", closefd=False) as requests, open(1, "wb", closefd=False) as answers:
        request = read_json(read_frame(requests)[1])
        try:
            _WORK[request["work"]](request, requests, answers)
        except OSError as cause:
            send_json(answers.write, FAILURE, {"errno": cause.errno, "reason": cause.strerror or str(cause)})
        except sqlite3.Error as cause:
            code = getattr(cause, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
            send_json(answers.write, FAILURE, {"sqlite": code, "reason": str(cause)})
    os._exit(0)


def _capture(request: dict[str, Any], requests: BinaryIO, answers: BinaryIO) -> None:
    """Send the pieces of the database, again and again until it held still or the time is over."""
    widen_pipe(1)
    reused, packed = read_frame(requests)[1], read_frame(requests)[1]
    assert len(reused) % ID_BYTES == 0
    macs = Macs.unpack(packed) if packed else None
    place, began = bytes.fromhex(request["place"]), time.monotonic()
    deadline = began + request["timeout_s"]
    make_encoder = partial(_make_encoder, request["compresses"]) if request["wants_bytes"] else None
    attempt, is_held = 0, False
    while not is_held:
        attempt += 1
        is_last = attempt >= _LEAST_ATTEMPTS and time.monotonic() > deadline
        view = _open(place, deadline, is_last)
        if view is None:
            time.sleep(_PAUSE_S)
            continue
        waited_s = time.monotonic() - began
        # A new one for each attempt: whether the parent has kept what the one before it sent, nobody knows.
        is_database = bool(view.facts["readable"])
        cutter = Cutter(answers, reused, make_encoder, macs if is_database else None)
        parts = [(part.decode(), pages.size) for part, pages in view.parts.items()]
        send_json(answers.write, BEGIN, {"parts": parts, "facts": view.facts, "notes": view.notes})
        try:
            for part, pages in view.parts.items():
                # The device is not compared: the stat cache does not know it.
                is_same = view.base is not None and list(view.base[1:]) == request["base"]
                cutter.cut(part, pages, is_database=is_database, reused=reused if is_same else b"")
            is_held = view.is_held()
        except MovedError:
            is_held = False
        finally:
            view.close()
        end = {
            "is_held": is_held, "is_last": is_held or is_last, "identity": cutter.identity(), "waited_s": waited_s
        }  # fmt: skip
        send_json(answers.write, END, end)
        if macs is not None:
            send(answers.write, MACS, Macs(macs.key, bytes(cutter.codes)).pack())
        if is_last:
            return


def _make_encoder(compresses: bool) -> Encode:
    from chronos.pool import Compressor

    return Compressor(enabled=compresses).encode


def _open(place: bytes, deadline: float, is_last: bool) -> View | None:
    """Open a view, or return None when the database moved; the last attempt takes the files as they are."""
    reason = "it was written to all the time, and could not be locked"
    try:
        if not is_last:
            return open_view(place, deadline)
    except UnreadableError as cause:
        reason = str(cause)
    except (MovedError, FileNotFoundError):
        if os.path.lexists(place):
            return None
    if not os.path.lexists(place):
        reason = "the database is gone, and only its journal is left"
    view = open_raw(place, deadline)
    view.notes.append(f"captured as plain files: {reason}")
    return view


def _copy(request: dict[str, Any], _: BinaryIO, answers: BinaryIO) -> None:
    copy_new(bytes.fromhex(request["place"]), bytes.fromhex(request["target"]))
    send_json(answers.write, ANSWER, None)


def _check(request: dict[str, Any], _: BinaryIO, answers: BinaryIO) -> None:
    from chronos.memory.sqlite_checks import check_image

    send_json(answers.write, ANSWER, check_image(bytes.fromhex(request["place"]), is_sound=request["is_sound"]))


def _overwrite(request: dict[str, Any], _: BinaryIO, answers: BinaryIO) -> None:
    from chronos.memory.sqlite_checks import overwrite

    place, image = bytes.fromhex(request["place"]), bytes.fromhex(request["image"])
    send_json(answers.write, ANSWER, overwrite(place, image, request["expected"], request["timeout_s"]))


def _patch(request: dict[str, Any], requests: BinaryIO, answers: BinaryIO) -> None:
    from chronos.memory.sqlite_pages import overwrite_pages

    overwrite_pages(request, requests, answers)


def _settle(request: dict[str, Any], _: BinaryIO, answers: BinaryIO) -> None:
    from chronos.memory.sqlite_checks import settle

    settle(bytes.fromhex(request["place"]), request["timeout_s"])
    send_json(answers.write, ANSWER, None)


def _summarise(request: dict[str, Any], _: BinaryIO, answers: BinaryIO) -> None:
    from chronos.memory.sqlite_tables import open_image, summarise

    with open_image(bytes.fromhex(request["place"])) as connection:
        send_json(answers.write, ANSWER, summarise(connection))


def _compare(request: dict[str, Any], _: BinaryIO, answers: BinaryIO) -> None:
    from chronos.memory.sqlite_tables import compare

    old, new = bytes.fromhex(request["old"]), bytes.fromhex(request["new"])
    send_json(answers.write, ANSWER, compare(old, new, request["limit_s"]))


def _merge(request: dict[str, Any], requests: BinaryIO, answers: BinaryIO) -> None:
    from chronos.memory.sqlite_merging import merge_databases

    merge_databases(request, requests, answers)


_WORK: dict[str, Callable[[dict[str, Any], BinaryIO, BinaryIO], None]] = {
    "capture": _capture,
    "copy": _copy,
    "check": _check,
    "overwrite": _overwrite,
    "patch": _patch,
    "settle": _settle,
    "summarise": _summarise,
    "compare": _compare,
    "merge": _merge,
}
