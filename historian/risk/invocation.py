"""One program as it is about to be started: its words, what flows in, and where."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

from historian.risk.arguments import Arguments, Word
from historian.risk.case import Case
from historian.risk.shell_flow import Flow, ShellState


class Invocation:
    """A program with its arguments. `inner` judges a text that it gives to a shell, with what flows into that."""

    def __init__(
        self,
        case: Case,
        name: str,
        words: Sequence[Word],
        flow: Flow,
        state: ShellState,
        inner: Callable[..., Flow],
    ) -> None:
        self.case, self.name, self.words = case, name, list(words)
        self.flow, self.state, self.inner = flow, state, inner

    @cached_property
    def arguments(self) -> Arguments:
        """The arguments, told apart by what the rules know of the program's options."""
        return Arguments(self.name, self.words[1:], self.case.rules.table.valued.get(self.name, ()))

    @property
    def shown(self) -> str:
        """The command as a reason shows it."""
        return " ".join(word.text for word in self.words)[:80]
