"""Builds the engine for every front door, so that all of them read the surroundings in one way."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from chronos import merging
from chronos.config import Surroundings
from chronos.engine import ChronosEngine
from chronos.errors import UsageError
from chronos.process import become

if TYPE_CHECKING:
    from historian import HistorianAgent
    from historian.risk import Operation, RiskAssessment

__all__ = ["editor_argv", "open_engine", "open_historian", "run_in", "tool_resolver"]
# What git sets for its hooks would lead a program in another tree to this repository's index.
_NOT_PASSED_ON = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_COMMON_DIR", "PWD", "OLDPWD")


def open_engine(
    root: Path | None = None,
    *,
    surroundings: Surroundings | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> ChronosEngine:
    """Return an engine for the working tree that holds `root`, by default where `Surroundings.start` is.

    `progress` is told (done, total) during long work. Close the engine, or use it in a `with` block.
    """
    return ChronosEngine(root, surroundings=surroundings or Surroundings.current(), progress=progress)


def open_historian(
    root: Path | None = None,
    *,
    engine: ChronosEngine | None = None,
    asker: Callable[[Operation, RiskAssessment], bool] | None = None,
    notify: Callable[[str], None] | None = None,
    origin: Callable[[], str] | None = None,
) -> HistorianAgent:
    """Return a historian for the working tree that holds `root`; see HistorianAgent. Close it, or use it in a block."""
    from historian import HistorianAgent  # most commands need none

    return HistorianAgent(root=root, engine=engine, asker=asker, notify=notify, origin=origin)


def run_in(command: Sequence[str], variables: Mapping[str, str]) -> NoReturn:
    """Be `command` from now on, in CHRONOS_ROOT of `variables`, which are added to the environment.

    Raises UsageError for no command, OutsideError when it cannot be started.
    """
    if not command or not command[0]:
        raise UsageError("no command to run", hint="chrono timeline run NAME -- CMD …")
    kept = {key: value for key, value in Surroundings.current().environment.items() if key not in _NOT_PASSED_ON}
    root = Path(variables["CHRONOS_ROOT"])
    become(command, environment={**kept, **variables, "PWD": str(root)}, cwd=root)


@contextmanager
def tool_resolver(command: str | None) -> Iterator[merging.Resolver]:
    """Give a resolver that runs a shell command for each conflict, by default the user's editor.

    Raises UsageError when no editor is set.
    """
    import tempfile  # 4 ms, and only this needs it

    environment = Surroundings.current().environment
    argv = ["/bin/sh", "-c", command] if command is not None else editor_argv(environment)
    with tempfile.TemporaryDirectory(prefix="chronos-") as folder:
        yield merging.ToolResolver(argv, environment, Path(folder), must_write=command is not None)


def editor_argv(environment: Mapping[str, str]) -> list[str]:
    """Return the command that edits the file MERGED, as git finds the editor (git-var(1)). Raises UsageError."""
    names = ("VISUAL", "EDITOR")
    editor = next((environment[name] for name in names if environment.get(name)), None)
    if editor is None:
        raise UsageError("no editor is set", hint="set EDITOR, or use --with CMD, --ours or --theirs")
    return ["/bin/sh", "-c", f'{editor} "$MERGED"']
