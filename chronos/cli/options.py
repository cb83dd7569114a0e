"""The arguments and options that several commands share, each described once."""

from __future__ import annotations

from typing import Annotated

from chronos.cli.declaring import Argument, Option

MOST = 2**31 - 1  # of a number that counts rows: what SQLite takes, and nobody has more of them

CheckpointId = Annotated[
    str,
    Argument(metavar="ID", show_default=False, help="An id, a unique prefix, a name, @, @~2, main@~1 or last-green."),
]
OtherId = Annotated[
    str | None,
    Argument(metavar="[ID2]", show_default=False, help="Another checkpoint; without it, the files now."),
]
Yes = Annotated[bool, Option("--yes", "-y", help="Do not ask.")]
PlanOnly = Annotated[bool, Option("--plan", help="Show what would happen, and change nothing.")]
Paths = Annotated[
    list[str] | None,
    Option(
        "--path", metavar="P", show_default=False,
        help="Only this file or folder, relative to the working folder (or the root, from outside it); repeatable.",
    ),
]  # fmt: skip
Timeline = Annotated[
    str | None, Option("--timeline", metavar="T", show_default=False, help="A timeline other than this one.")
]
Overwrite = Annotated[bool, Option("--overwrite", help="Replace also what was edited since.")]
Stores = Annotated[
    list[str] | None,
    Option("--store", metavar="NAME", show_default=False, help="Only this memory store; repeatable."),
]
