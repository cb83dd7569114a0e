"""What a git command hits, told from its words: which are values of options, which subcommands, which refs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from historian.risk.arguments import Arguments, Word

# Options of git itself; after these verbs the same letters are options of their own.
GLOBAL_VALUED = (
    "-C",
    "-c",
    "--git-dir",
    "--work-tree",
    "--namespace",
    "--exec-path",
    "--config-env",
    "--super-prefix",
)
_OWN_LETTERS = frozenset(("switch", "branch", "checkout", "commit", "clean"))
# Options with a value in a word of its own (git 2.47), of the verbs whose words are told apart here.
_VALUED: Mapping[str, tuple[str, ...]] = {
    "commit": (
        "-m", "--message", "-F", "--file", "-C", "-c", "--reuse-message", "--reedit-message", "--author", "--date",
        "-t", "--template", "--fixup", "--squash", "--cleanup", "--trailer", "--pathspec-from-file",
    ),
    "push": ("-o", "--push-option", "--repo", "--receive-pack", "--exec"),
    "worktree": ("--reason", "--expire"),
    "tag": ("-m", "--message", "-F", "--file", "-u", "--local-user", "--cleanup", "--trailer"),
    "rebase": ("--onto", "-x", "--exec", "-s", "--strategy", "-X", "--strategy-option", "--whitespace", "--empty"),
    "reflog": ("--expire", "--expire-unreachable"),
    "update-ref": ("-m",),
    "stash": ("-m", "--message", "--pathspec-from-file"),
    "clean": ("-e", "--exclude"),
}  # fmt: skip
_FIRST = frozenset(("update-ref", "tag", "checkout", "switch", "replace", "symbolic-ref"))


def read_arguments(verb: str, words: Sequence[Word]) -> Arguments:
    """Return the arguments of git, the verb first, with values of its options told apart."""
    shared = () if verb in _OWN_LETTERS else GLOBAL_VALUED
    return Arguments("git", words, (*shared, *_VALUED.get(verb, ())))


def rewritten_refs(verb: str, arguments: Arguments) -> list[str]:
    """Return the refs of which a command rewrites the history; where it names none, that is HEAD."""
    names = arguments.names()[1:]
    if verb == "push":
        found = [_short(ref.rpartition(":")[2].lstrip("+")) for ref in names[1:] if ref != "tag"]
    elif verb == "branch":
        found = names[-1:] if arguments.has("-m", "-M", "-c", "-C", "--move", "--copy") else names[:1]
    elif verb in ("rebase", "reflog"):  # after what it is based on; after its own subcommand
        found = names[1:]
    else:
        found = names[:1] if verb in _FIRST else []
    return [_short(name) for name in found if name] or ["HEAD"]


def is_forced_twice(words: Sequence[Word]) -> bool:
    """Tell whether `clean` is forced twice, without which it skips the repositories that it finds."""
    options = [word.text for word in words if word.text.startswith("-")]
    letters = sum(text.count("f") for text in options if not text.startswith("--"))
    return letters + options.count("--force") > 1


def _short(ref: str) -> str:
    return ref.removeprefix("refs/heads/").removeprefix("refs/tags/")
