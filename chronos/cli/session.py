"""One run of `chrono`: the root and format that were asked for, the engine, the notices, the exit code."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from chronos.cli import output
from chronos.cli.progress import ProgressBar
from chronos.errors import BadPathError, ChronosError, ConfirmationNeededError, RefusedError
from chronos.files import display
from chronos.lazy import load_engine_libraries

if TYPE_CHECKING:
    from chronos.engine import ChronosEngine
    from historian import HistorianAgent
    from historian.risk import Operation, RiskAssessment

_Value = TypeVar("_Value")
FOUND_SOMETHING = 1


class Session:
    """What the commands of one run share. `code` is the exit code when nothing fails."""

    def __init__(self, *, as_json: bool = False, root: Path | None = None) -> None:
        self.as_json = as_json
        self.root = root
        self.code = 0
        self.notices: list[str] = []
        self._progress: ProgressBar | None = None

    @property
    def is_interactive(self) -> bool:
        """Whether there is somebody to ask."""
        return not self.as_json and output.is_interactive()

    @contextmanager
    def engine(self) -> Iterator[ChronosEngine]:
        """Open the engine, and show what it has to tell afterwards."""
        load_engine_libraries()
        from chronos.app import open_engine

        if output.has_progress() and not self.as_json:
            self._progress = ProgressBar()
        with open_engine(self.root, progress=self._progress) as engine:
            self.notices = engine.notices
            try:
                yield engine
            finally:
                if self._progress is not None:
                    self._progress.close()
                if not self.as_json:
                    for notice in engine.notices:
                        output.write_error(f"chrono: {output.harmless(notice)}")

    @contextmanager
    def historian(self, *, yes: bool = False) -> Iterator[HistorianAgent]:
        """Open a historian, with the engine if there can be one: the policy of its guard says what to do without.

        It asks here before what the policy `confirm` is about, unless `yes`; with nobody to ask nothing is confirmed.
        """
        import logging

        from chronos.app import open_historian

        logging.getLogger("historian").addHandler(logging.NullHandler())  # what it says there is shown here anyway
        asker = (lambda *_: True) if yes else self._confirm if self.is_interactive else None
        with ExitStack() as stack:
            try:
                engine = stack.enter_context(self.engine())
            except ChronosError:
                engine = None
            yield stack.enter_context(open_historian(self.root, engine=engine, asker=asker, notify=self._tell))

    def _tell(self, message: str) -> None:
        if self.as_json:
            self.notices.append(message)
        else:
            output.write_error(f"chrono: warning: {output.harmless(message)}")

    def _confirm(self, operation: Operation, assessment: RiskAssessment) -> bool:
        from chronos.cli.guard_report import judged

        output.write_error(judged(operation, assessment))
        return output.ask("Go on?")

    def from_root(self, engine: ChronosEngine, paths: Sequence[str] | None) -> list[str]:
        """Return paths as they were typed, relative to the working folder inside the tree, as paths from the root.

        The root itself is `.`. Raises BadPathError for what leaves the tree.
        """
        folder = Path.cwd()
        return [_from_root(engine.root, folder, path) for path in paths or ()]

    def show(self, value: _Value, document: Callable[[_Value], dict[str, Any]], view: Callable[[_Value], None]) -> None:
        """Render `value` in the format that was asked for."""
        if self.as_json:
            output.write_json({**document(value), "notices": list(self.notices)})
        else:
            view(value)

    def found_something(self) -> None:
        """Finish with the exit code for findings."""
        self.code = FOUND_SOMETHING

    def require_terminal(self, what: str, *, has_plan: bool = True) -> None:
        """Raise ConfirmationNeededError when there is nobody to ask."""
        if not self.is_interactive:
            hint = None if has_plan else "add --yes"
            raise ConfirmationNeededError(f"{what}, and there is no terminal to ask on", hint=hint)

    def ask(self, question: str) -> None:
        """Ask before something is overwritten or deleted. Raises RefusedError when the answer is not yes."""
        if not output.ask(question):
            raise RefusedError("nothing was changed", hint="")
        if self._progress is not None:
            self._progress.restart()


def _from_root(root: Path, folder: Path, typed: str) -> str:
    """Resolve `.` and `..` by name; links on the way to the root are followed, those inside it are not."""
    path = os.path.normpath((folder if folder.is_relative_to(root) else root) / typed)
    if not Path(path).is_relative_to(root):
        path = os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))
    if not typed or not Path(path).is_relative_to(root):
        raise BadPathError(f"'{display(typed[:60])}' is not inside the working tree {display(str(root))}")
    return os.path.relpath(path, root)
