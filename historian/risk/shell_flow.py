"""What is known while a shell command is run in the head: what flows between programs, and the state of the shell."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import msgspec

from historian.risk.listing import listed
from historian.risk.shell_text import Heredoc

if TYPE_CHECKING:
    from tree_sitter import Node

NETWORK = listed(
    "curl wget http https xh fetch aria2c lynx w3m iwr irm "
    "Invoke-WebRequest Invoke-RestMethod nc ncat ftp scp aws gsutil gh"
)
_LARGEST_TEXT = 64 * 1024


class Flow(msgspec.Struct, frozen=True):
    """What one program gives to the next: its text where that is known, and which programs it has passed through.

    `guess` is text with parts that are not known, `is_empty` says that nothing comes (from /dev/null).
    """

    text: str | None = None
    sources: tuple[str, ...] = ()
    is_foreign: bool = False
    is_empty: bool = False
    guess: str = ""

    @staticmethod
    def together(flows: Sequence[Flow]) -> Flow:
        """Return the flow of programs that run one after another."""
        if len(flows) == 1:
            return flows[0]
        texts = [flow.text for flow in flows if flow.text is not None or flow.sources]
        known = [text for text in texts if text is not None]
        return Flow(
            "".join(known)[:_LARGEST_TEXT] if known and len(known) == len(texts) else None,
            tuple(dict.fromkeys(source for flow in flows for source in flow.sources)),
            any(flow.is_foreign for flow in flows),
            guess="\n".join(flow.guess for flow in flows if flow.guess)[:_LARGEST_TEXT],
        )

    @staticmethod
    def from_network(programs: Iterable[str]) -> bool:
        """Tell whether one of the programs fetches from elsewhere."""
        return not NETWORK.isdisjoint(programs)


class ShellState:
    """Variables, functions, aliases and files that a text has made, and how deep it stands in others.

    `foreign` are the files that it has fetched from elsewhere.
    """

    def __init__(self, folder: str = "", depth: int = 0) -> None:
        self.folder = folder
        self.depth = depth
        self.variables: dict[str, tuple[str, bool]] = {}
        self.functions: dict[str, Node] = {}
        self.called: set[str] = set()
        self.aliases: dict[str, str] = {}
        self.git_aliases: dict[str, str] = {}
        self.files: dict[str, str] = {}
        self.foreign: set[str] = set()
        self.heredocs: dict[str, Heredoc] = {}

    def inner(self) -> ShellState:
        """Return the state of a shell that this one starts: it sees the variables and files."""
        state = ShellState(self.folder, self.depth + 1)
        state.variables = dict(self.variables)
        state.files, state.foreign = self.files, self.foreign
        return state
