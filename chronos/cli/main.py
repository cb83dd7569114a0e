"""The front door of `chrono`: runs a command and turns whatever happens into an exit code and a message.

Here is the one `except Exception` of this interface. `chrono --version` is answered before typer is imported.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import NoReturn

from chronos import __version__
from chronos.cli import output
from chronos.errors import ChronosError, StorageError
from chronos.forking import claim_process
from chronos.lazy import OBJECTS_PER_COLLECTION, load_msgspec

_INTERRUPTED = 130


def run() -> NoReturn:
    """Be the process `chrono`: run its arguments and end.

    All that is open has been closed by then, and taking the interpreter down object by object would cost 15 ms more.
    """
    claim_process()
    gc.set_threshold(OBJECTS_PER_COLLECTION)
    code = main()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):  # None where it was closed from the start
            stream.flush()
    os._exit(code)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `chrono` with `arguments` (those of the process by default) and return its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    as_json = "--json" in (words[: words.index("--")] if "--" in words else words)
    output.prepare()
    code = 0
    try:
        code = _run(words)
        output.finish()
    except output.ReaderGoneError:
        return code
    except KeyboardInterrupt:
        _complain("interrupted", "interrupted", "run `chrono status` to see where things stand", as_json)
        return _INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the outermost door of this interface
        return _report(_cause(error), as_json)
    return code


def _run(words: list[str]) -> int:
    if words == ["--version"]:
        output.write(f"chrono {__version__}")
        return 0
    load_msgspec()
    from chronos.cli.program import run_program

    return run_program(words)


def _cause(error: Exception) -> Exception:
    """Return `error`, or what is wrong with standard output when that is why typer could not print a help text."""
    if isinstance(error, OSError):
        try:
            output.finish()
        except (output.ReaderGoneError, ChronosError) as found:
            return found
    return error


def _report(error: Exception, as_json: bool) -> int:
    """Say what went wrong and return the exit code for it."""
    if isinstance(error, output.ReaderGoneError):
        return 0
    if os.environ.get("CHRONOS_DEBUG"):
        import traceback

        traceback.print_exception(error)
    if isinstance(error, ChronosError):
        _complain(error.code, error.message, error.hint, as_json)
        return error.exit_code
    if isinstance(error, OSError):
        _complain(
            StorageError.code,
            f"{error.strerror or error}: {error.filename or 'a file'}",
            StorageError.default_hint,
            as_json,
        )
        return StorageError.exit_code
    message = " ".join(f"{type(error).__name__}: {error}".split())
    hint = f"{ChronosError.default_hint}; set CHRONOS_DEBUG=1 for the traceback"
    _complain(ChronosError.code, f"unexpected {message}", hint, as_json)
    return ChronosError.exit_code


def _complain(code: str, message: str, hint: str, as_json: bool) -> None:
    if as_json:
        import json  # 2 ms, and most runs print text

        document = {"code": code, "message": _encodable(message), "hint": _encodable(hint)}
        output.write_error(json.dumps({"error": document}))
        return
    lines = [f"chrono: {message}", *([f"  {hint}"] if hint else [])]
    output.write_error(output.harmless("\n".join(lines)))


def _encodable(text: str) -> str:
    """An argument that was no UTF-8 has lone surrogates, which JSON readers refuse."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
