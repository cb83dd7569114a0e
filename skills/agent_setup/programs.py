"""The scripts that settings name: where this installation has them, how a command line names them, whether they work.

Settings get absolute paths: agents do not start hooks with the PATH of a terminal, and a shim of pyenv would cost 60 ms
a call. Nothing that a settings file names is ever run here; a file that came with a clone could name anything.
"""

from __future__ import annotations

import os
import shlex
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

import msgspec

from chronos.errors import StateError, UnsupportedError
from chronos.files import display

HOOK, SERVER_PROGRAM = "chrono-hook", "chrono"
_SHEBANG_BYTES = 512
# Where uvx and `pipx run` make environments that go again.
_CACHES = ("/uv/archive-v", "/uv/environments-v", "/uv/builds-v", "/pipx/.cache/", "/.cache/pipx/")
_TEMPORARY = ("/tmp/", "/var/tmp/", "/var/folders/", "/private/var/folders/")
_MEANING = frozenset(";&|<>$`#*?~(){}[]!\\")  # what a shell reads as more than a word
_GUARD = ["[", "!", "-x"], ["]", "||", "exec"]


class Programs(msgspec.Struct, frozen=True):
    """The folder with our two scripts."""

    folder: Path

    @classmethod
    def current(cls) -> Programs:
        """Find the scripts of this installation: beside its interpreter, or where pip puts a user's own.

        Raises StateError when there are none.
        """
        places = [os.path.dirname(sys.executable), sysconfig.get_path("scripts")]
        places.append(sysconfig.get_path("scripts", sysconfig.get_preferred_scheme("user")))
        for place in places:
            if os.access(os.path.join(place, SERVER_PROGRAM), os.X_OK):
                return cls(Path(place))
        raise StateError(
            f"there is no script {SERVER_PROGRAM} beside {sys.executable}",
            hint="install chronomancer with `pipx install chronomancer` or `uv tool install chronomancer`",
        )

    def path(self, name: str) -> str:
        """Return the path of a script. Raises StateError when it is not there, UnsupportedError for an odd name."""
        path = str(self.folder / name)
        problem = find_problem(path)
        if problem:
            raise StateError(
                f"{display(path)} {problem}", hint="install chronomancer again: `pipx install chronomancer`"
            )
        if not path.isprintable():
            raise UnsupportedError(
                f"no settings file can name {display(path)}", hint="install chronomancer in a folder with a plain name"
            )
        return path

    @property
    def is_fleeting(self) -> bool:
        """Whether the scripts will soon be gone: in an environment of uvx or `pipx run`, or in a temporary folder."""
        place = f"{os.path.realpath(self.folder)}/"
        return place.startswith(_TEMPORARY) or any(part in place for part in _CACHES)


def hook_line(program: str, agent: str, *, is_guarded: bool, arguments: Sequence[str] = ()) -> str:
    """Return a hook's command line. A guarded one does nothing, and says that all is well, when the script is gone."""
    line = shlex.join([program, agent, *arguments])
    return f"[ ! -x {shlex.quote(program)} ] || exec {line}" if is_guarded else line


def parse_hook_line(line: str) -> tuple[str, list[str]] | None:
    """Return the script and its arguments of a command line that we wrote; None for every other one.

    A line that does something else beside, such as setting a variable, is its author's own.
    """
    try:
        words = [] if "\n" in line else shlex.split(line)
    except ValueError:
        return None
    if words[:3] == _GUARD[0] and words[4:7] == _GUARD[1] and words[3:4] == words[7:8]:
        words = words[7:]
    if not words or os.path.basename(words[0]) != HOOK or any(_MEANING & set(word) for word in words[1:]):
        return None
    return words[0], words[1:]


def mentions_hook(line: str) -> bool:
    """Tell whether a command line runs our hook in whatever way."""
    return HOOK in line


def find_problem(path: str) -> str | None:
    """Return what keeps a script from being started, or None: it is looked at, not run."""
    if not os.path.isabs(path):
        return "is no absolute path"
    if not os.path.isfile(path):
        return "is not there"
    if not os.access(path, os.X_OK):
        return "cannot be executed"
    try:
        with open(path, "rb") as stream:
            first = stream.read(_SHEBANG_BYTES).partition(b"\n")[0]
    except OSError as cause:
        return f"cannot be read: {cause.strerror}"
    interpreter = os.fsdecode(first[2:].split()[0]) if first.startswith(b"#!") and first[2:].split() else ""
    if interpreter and not os.access(interpreter, os.X_OK):
        return f"needs {display(interpreter)}, which is not there"
    return None
