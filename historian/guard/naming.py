"""What an operation is called: in messages, and in the name of its checkpoint, which never takes a secret along."""

from __future__ import annotations

import re
from collections.abc import Sequence

from chronos.files import display
from chronos.secrets import mask_beginning
from historian.risk import Operation, OperationKind

_LONGEST = 60
_LONGEST_WORDS = 500
_NO_NAME = r"[^\w .:@/+#,()\-]+"


def as_operation(operation: str | Operation) -> Operation:
    """Return the operation that was described in words or otherwise."""
    return operation if isinstance(operation, Operation) else Operation(text=operation)


def words_of(operation: Operation) -> str:
    """Return an operation as people read it, in one line."""
    if operation.kind is OperationKind.FILE or (operation.path and not operation.text):
        text = f"{operation.change} {operation.path}"
    else:
        text = operation.text or _joined(operation.argv) or operation.tool
    return " ".join(display(text).split())


def _joined(argv: Sequence[str]) -> str:
    from shlex import join  # few operations are given as arguments

    return join(argv)


def public_words_of(operation: Operation) -> str:
    """Return an operation as it may be written down: without what looks like a secret, and not too long."""
    return mask_beginning(words_of(operation), _LONGEST_WORDS)


def checkpoint_name(operation: Operation) -> str:
    """Return a name for the checkpoint that is taken before an operation."""
    return fitting_name("before", public_words_of(operation))


def fitting_name(first: str, words: str) -> str:
    """Return a name of a checkpoint that begins with the word `first`: `words` shortened, without what no name has."""
    text = " ".join(re.sub(_NO_NAME, " ", words).split())
    text = re.sub(r"\.{2,}", ".", text)
    short = text if len(text) <= _LONGEST else text[:_LONGEST].rpartition(" ")[0] or text[:_LONGEST]
    return f"{first} {short}".rstrip()
