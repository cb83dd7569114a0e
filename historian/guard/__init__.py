"""The guard: assess, checkpoint, let go on; for code, commands, changes of one file, and what other tools change."""

from typing import TYPE_CHECKING

from chronos.lazy import loader

if TYPE_CHECKING:
    from historian.guard.gate import Gate, Passage
    from historian.guard.guarding import Guard
    from historian.guard.naming import as_operation, fitting_name, public_words_of, words_of
    from historian.guard.policies import Wanted, find_rules, policy_for
    from historian.guard.running import CommandRun, run_command
    from historian.guard.updating import FileChange, FileUpdate, apply_update, plan_update
    from historian.guard.watching import Pace, Watched, watch

__all__ = [
    "CommandRun",
    "FileChange",
    "FileUpdate",
    "Gate",
    "Guard",
    "Pace",
    "Passage",
    "Wanted",
    "Watched",
    "apply_update",
    "as_operation",
    "find_rules",
    "fitting_name",
    "plan_update",
    "policy_for",
    "public_words_of",
    "run_command",
    "watch",
    "words_of",
]

_HOMES = {
    "Gate": "gate", "Passage": "gate",
    "Guard": "guarding",
    "as_operation": "naming", "fitting_name": "naming", "public_words_of": "naming",
    "words_of": "naming",
    "Wanted": "policies", "find_rules": "policies", "policy_for": "policies",
    "CommandRun": "running", "run_command": "running",
    "FileChange": "updating", "FileUpdate": "updating", "apply_update": "updating", "plan_update": "updating",
    "Pace": "watching", "Watched": "watching", "watch": "watching",
}  # fmt: skip

__getattr__ = loader(__name__, _HOMES)
