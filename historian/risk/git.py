"""git: a command by its structure, its aliases, and by what is not saved now, where that may be looked at."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from historian.risk.arguments import Arguments, Word, best_rule
from historian.risk.case import Case
from historian.risk.git_targets import GLOBAL_VALUED, is_forced_twice, read_arguments, rewritten_refs

if TYPE_CHECKING:
    from historian.risk.probing import Unsaved
    from historian.risk.shell_flow import Flow, ShellState

_MOST_NAMED = 20
_SETS_CONFIG = (
    "--add",
    "--unset",
    "--unset-all",
    "--replace-all",
    "--rename-section",
    "--remove-section",
    "-e",
    "--edit",
)
_RUNS_TEXT = {"rebase": ("-x", "--exec"), "filter-branch": (), "submodule": (), "bisect": ()}


def judge_git(
    case: Case, words: list[Word], state: ShellState, inner: Callable[[str], Flow], seen: tuple[str, ...] = ()
) -> None:
    """Judge `git` with these words, the program's name first."""
    folder, settings, rest = _take_global(words[1:])
    if not rest:
        case.add("reads", "git.help", "git says what it can do")
        return
    verb = rest[0].text
    if any(word.text in ("--help", "-h") for word in rest[:3]) or verb in (
        "--version",
        "--help",
        "--exec-path",
        "--html-path",
    ):
        case.add("reads", "git.help", "only shows help")
        return
    alias = settings.get(f"alias.{verb}") or state.git_aliases.get(verb) or _alias_of(case, verb)
    if alias and verb not in seen and len(seen) < 4:
        given = " ".join(_quoted(word.text) for word in rest[1:])
        if alias.startswith("!"):
            inner(f"{alias[1:]} {given}")
        else:
            inner_words = [words[0], *(Word(part) for part in alias.split()), *rest[1:]]
            judge_git(case, inner_words, state, inner, (*seen, verb))
        return
    if verb == "config" and len(rest) > 2 and rest[-2].text.startswith("alias."):
        state.git_aliases[rest[-2].text.removeprefix("alias.")] = rest[-1].text
    arguments = read_arguments(verb, rest)
    _judge_verb(case, verb, arguments, rest, os.path.join(state.folder, folder) if folder else state.folder, inner)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'" if text else "''"


def _take_global(words: list[Word]) -> tuple[str, dict[str, str], list[Word]]:
    """Split off git's own options before the verb: the folder of `-C`, and settings of `-c`."""
    folder, settings, place = "", {}, 0
    while place < len(words) and words[place].text.startswith("-"):
        text = words[place].text
        if text in ("--version", "--help", "-h", "-v", "--exec-path", "--html-path"):
            break
        if text in GLOBAL_VALUED and place + 1 < len(words):
            value = words[place + 1].text
            if text == "-C":
                folder = os.path.join(folder, value)
            elif text == "-c":
                key, _, said = value.partition("=")
                settings[key] = said
            place += 1
        place += 1
    return folder, settings, words[place:]


def _alias_of(case: Case, verb: str) -> str:
    if case.probe is None or any(
        verb in part for rule in case.rules.commands.get("git", ()) for part in rule.parts[:1]
    ):
        return ""
    return case.probe.git_aliases().get(verb, "")


def _judge_verb(
    case: Case, verb: str, arguments: Arguments, rest: list[Word], folder: str, inner: Callable[[str], Flow]
) -> None:
    rules = case.rules
    shown = f"git {' '.join(word.text for word in rest)}"[:80]
    rehearsed = _is_rehearsed(verb, arguments)
    if verb == "config" and len(arguments.names()) == 2 and not arguments.has(*_SETS_CONFIG):
        case.add("reads", "git.config", f"{shown} only shows")
        return
    rule = best_rule(rules.commands["git"], arguments)
    action = rule.action if rule is not None else "runs"
    if verb == "push":
        action = _push(case, arguments, rehearsed)
    elif verb == "checkout" and action == "changes":
        action = _checkout(case, arguments, folder)
    elif (verb == "clean" and action == "discards" and not arguments.has("-f", "--force", "-i")) or (
        verb == "restore" and arguments.has("--staged", "-S") and not arguments.has("--worktree", "-W")
    ):
        action = "changes"
    elif verb in ("bisect", "rebase", "submodule"):
        _judge_started(verb, arguments, rest, inner)
    if rehearsed:
        case.add("rehearses", "git.rehearsal", f"{shown} only says what it would do")
        return
    if action == "discards" or (verb == "reset" and arguments.has("--hard")):
        _judge_discard(case, verb, arguments, folder, shown)
        return
    said = rules.says(action) if rule is not None else "is no command of git that is known"
    case.add(action, f"git.{verb}", f"{shown} {said}")
    if verb == "rm" and action == "destroys":
        for name in arguments.names()[1:]:
            case.hit("path", name, folder)
    elif action == "rewrites":
        for name in rewritten_refs(verb, arguments):
            case.hit("commits", name)
    elif verb == "worktree" and action == "destroys":
        for name in arguments.names()[2:]:
            case.hit("path", name, folder)
    elif verb in ("branch", "tag") and action == "destroys":
        for name in arguments.names()[1:]:
            case.hit("branch", name)


def _is_rehearsed(verb: str, arguments: Arguments) -> bool:
    if arguments.has("--dry-run"):
        return verb in (
            "add",
            "rm",
            "mv",
            "push",
            "fetch",
            "clean",
            "commit",
            "prune",
            "gc",
            "stash",
            "pull",
            "send-email",
            "prune-packed",
            "worktree",
            "remote",
            "lfs",
            "svn",
        )
    return arguments.has("-n") and verb in ("add", "rm", "mv", "push", "clean", "prune", "prune-packed", "worktree")


def _judge_started(verb: str, arguments: Arguments, rest: list[Word], inner: Callable[[str], Flow]) -> None:
    """Judge the command of `bisect run`, `rebase --exec` and `submodule foreach`."""
    names = arguments.names()
    if verb == "rebase":
        for flag in _RUNS_TEXT["rebase"]:
            if flag in arguments.values:
                inner(arguments.values[flag])
    elif names[1:2] in (["run"], ["foreach"]):
        words = [word.text for word in rest[2:] if word.text != "--recursive"]
        inner(words[0] if len(words) == 1 else " ".join(map(_quoted, words)))


def _push(case: Case, arguments: Arguments, rehearsed: bool) -> str:
    names = arguments.names()[1:]
    refs = names[1:]
    action = "sends"
    if (
        arguments.has("-f", "--force", "--mirror", "--delete", "-d", "--prune")
        or any(flag.startswith("--force") for flag in arguments.flags)
        or any(ref.startswith(("+", ":")) for ref in refs)
    ):
        action = "rewrites"
    if not rehearsed:
        case.hit("remote", names[0] if names else "origin")
        case.effect(f"push to {names[0] if names else 'the remote'}"[:80])
    return action


def _checkout(case: Case, arguments: Arguments, folder: str) -> str:
    """Tell a branch from files: after `--`, after a commit, or a word that looks like a path or is one here."""
    names = arguments.names()[1:]
    if arguments.has_separator or len(names) > 1:
        return "discards" if not arguments.has("-b", "-B", "--orphan", "--track", "-t") else "changes"
    if not names or arguments.has("-b", "--orphan", "--track", "-t", "--detach"):
        return "changes"
    name = names[0]
    if name in (".", "*", ":/", "..") or name.startswith(("./", "../", "*", ":(")) or name.endswith("/"):
        return "discards"
    if case.probe is not None:
        return "discards" if case.probe.exists(name, folder) and not case.probe.is_ref(name) else "changes"
    stem, dot, ending = name.rpartition("/")[2].rpartition(".")
    return "discards" if dot and stem and ending.isalpha() and len(ending) <= 4 else "changes"


def _judge_discard(case: Case, verb: str, arguments: Arguments, folder: str, shown: str) -> None:
    """Judge what throws uncommitted work away, by what there is of it."""
    if verb == "stash":
        case.add("discards", "git.stash", f"{shown} throws stashed work away")
        case.hit("commits", "stash")
        return
    unsaved = case.probe.unsaved(folder) if case.probe is not None else None
    if unsaved is None:
        case.add("discards", f"git.{verb}", f"{shown} discards what is not committed")
        return
    _judge_unsaved(case, verb, arguments, folder, shown, unsaved)


def _judge_unsaved(case: Case, verb: str, arguments: Arguments, folder: str, shown: str, unsaved: Unsaved) -> None:
    if verb == "clean":
        with_ignored = arguments.has("-x", "-X")
        found = [] if arguments.has("-X") else list(unsaved.untracked)
        if with_ignored:
            found += unsaved.ignored
        if not is_forced_twice(arguments.words):
            found = [path for path in found if not _is_repository(case, path, unsaved.root)]
    elif verb in ("checkout", "restore"):
        found = _below(unsaved.changed, _pathspecs(verb, arguments), unsaved.prefix)
    else:
        found = list(unsaved.changed)
    if not found:
        case.add("changes", f"git.{verb}", f"{shown} finds nothing that is not committed")
        if verb == "reset" and len(arguments.names()) > 1:
            case.hit("commits", "HEAD")
        return
    few = ", ".join(found[:3]) + (f" and {len(found) - 3} more" if len(found) > 3 else "")
    case.add("discards", f"git.{verb}", f"{shown} discards {few}")
    for path in found[:_MOST_NAMED]:
        case.hit("path", path, unsaved.root)


def _is_repository(case: Case, path: str, root: str) -> bool:
    return path.endswith("/") and case.probe is not None and case.probe.exists(f"{path}.git", root)


def _pathspecs(verb: str, arguments: Arguments) -> list[str]:
    names = arguments.names()[1:]
    if verb == "checkout" and len(names) > 1 and not arguments.has_separator:
        return names[1:]
    if arguments.has("-f", "--force") and not arguments.has_separator:
        return []
    return names


def _below(changed: tuple[str, ...], specs: list[str], prefix: str) -> list[str]:
    if not specs or ":/" in specs:
        return list(changed)
    tops = [os.path.normpath(os.path.join(prefix, spec.rstrip("*") or ".")) for spec in specs]
    if any(top == "." or "*" in top for top in tops):
        return list(changed)
    return [path for path in changed if any(path == top or path.startswith(f"{top}/") for top in tops)]
