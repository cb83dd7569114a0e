"""Command lines that are known to only read, told without rules, parser or anything else that takes time to load.

A shortcut in front of an assessment, which would find each of them low: what is not certain at a glance is not known.
"""

from __future__ import annotations

from historian.risk.listing import late, listed

_LONGEST = 2000
_WORD = r"(?:[\w./:,@%+^~=*?\[\]-]+|'[^'\n]*'|\"[^\"$`\\\n!]*\")+"
_TOKEN = late(rf"[ \t]*(?:(?P<quiet>2>&1|[12]?> ?/dev/null)(?=[ \t|;]|&&|$)|(?P<end>&&|\|\||\||;)|(?P<word>{_WORD}))")
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./:,@%+^~=*?[]- \t")
_QUOTES = late(r"'([^'\n]*)'|\"([^\"\n]*)\"")
_ANY = listed(
    "ls cat head tail wc pwd echo which stat du df whoami uname basename dirname realpath readlink true diff cmp grep "
    "egrep fgrep cut tr nl comm cd jq tac rev fold paste join seq sleep ps id nproc uptime free md5sum sha1sum "
    "sha256sum sha512sum shasum cksum strings column printf expr test [ type lscpu lsblk printenv pgrep od hexdump "
    "zcat zgrep"
)
# Those that only read with one of these words behind them, or two. Not cargo, which may write its lock file, nor what
# runs a program that an option or a file names.
_VERBS = {
    "npm": listed("ls list view outdated"),
    "pip": listed("list show freeze"),
    "pip3": listed("list show freeze"),
    "docker": listed("ps images logs inspect version"),
    "systemctl": listed("status"),
    "gh": frozenset(
        f"{noun} {verb}" for noun in ("pr", "issue", "run", "release") for verb in ("view", "list", "diff", "checks")
    ),
    "command": listed("-v"),
}
_VERSIONS = listed("python python3 node npm pip pip3 cargo rustc git docker go java ruby php")
_FIND = listed(
    "-name -iname -path -ipath -type -maxdepth -mindepth -newer -mtime -mmin -size -not -o -a -print -print0 -prune "
    "-empty -regex -wholename -xdev"
)
_GIT = listed(
    "status diff log show blame rev-parse ls-files ls-tree describe shortlog grep cat-file rev-list merge-base "
    "for-each-ref name-rev diff-tree check-ignore"
)
_GIT_LISTS = {
    "branch": listed("--list -a -r -v -vv --all --remotes --show-current"),
    "remote": frozenset(("-v", "--verbose")),
    "tag": frozenset(("-l", "--list")),
    "stash": frozenset(("list",)),
    "worktree": frozenset(("list",)),
}
_GIT_WRITES = ("--output", "--ext-diff", "--textconv", "--filters", "-O", "--open-files-in-pager", "-o")
# An awk program that writes, starts or includes something does so by one of these.
_AWK_ACTS = late(r"[>|@]|system|getline|close|fflush")
_AWK_OPTION = late(r"-F\S*|-v")
_TAR_LISTS = late(r"-?(?=[a-zA-Z]*t)[tzjJvf]+")
_TREE_OPTION = late(r"-[adfhilpsugDFCnNAL]+|-[IP]|--(?:noreport|dirsfirst|gitignore|du|prune)")
_DATE = late(r"\+.*|-[uRI]|--(?:utc|iso-8601|rfc-3339)(?:=\w+)?")
_SED_PRINTS = late(r"(?:\d+|\$)(?:,(?:\d+|\$))?p")


def is_known_read(command: str) -> bool:
    """Tell whether it can be seen at a glance that a command line only reads. False says nothing."""
    if len(command) > _LONGEST or not command.strip():
        return False
    parts: list[list[str]] = [[]]
    place, end = 0, len(command.rstrip())
    if _PLAIN.issuperset(command):  # one program and its words: the pattern would take longer to compile
        parts, place = [command.split()], end
    while place < end:
        token = _TOKEN.match(command, place)
        if token is None:
            return False
        place = token.end()
        if token["end"]:
            parts.append([])
        elif token["word"]:
            parts[-1].append(_QUOTES.sub(lambda found: found[1] if found[1] is not None else found[2], token["word"]))
    return all(words and _only_reads(words[0], words[1:]) for words in parts)


def _only_reads(program: str, words: list[str]) -> bool:
    if words == ["--version"]:
        return program in _VERSIONS or program in _ANY
    if program == "git":
        return _git_reads(words)
    if program == "find":
        return all(word in _FIND for word in words if word.startswith("-") and len(word) > 1)
    if program == "rg":
        return not any(word.startswith(("--pre", "--hostname-bin")) for word in words)
    if program == "sort":
        return not any(word.startswith("--") or set(word) & set("oST") for word in _options(words))
    if program == "sed":
        return (
            len(words) >= 2 and words[0] == "-n" and bool(_SED_PRINTS.fullmatch(words[1])) and not _options(words[2:])
        )
    if program == "awk":
        return _awk_reads(words)
    if program == "tar":
        is_local = not any(":" in word or word.startswith("-") for word in words[1:])
        return is_local and bool(words) and bool(_TAR_LISTS.fullmatch(words[0]))
    if program == "tree":
        return all(_TREE_OPTION.fullmatch(word) for word in _options(words))
    if program == "date":
        return all(_DATE.fullmatch(word) for word in words)
    if program in _VERBS:
        is_quiet = not any(word.startswith("--log") for word in words)  # pip writes one
        return is_quiet and not _VERBS[program].isdisjoint((" ".join(words[:1]), " ".join(words[:2])))
    return program in _ANY


def _awk_reads(words: list[str]) -> bool:
    while words and words[0].startswith("-"):
        if not _AWK_OPTION.fullmatch(words[0]):
            return False
        words = words[2:] if words[0] in ("-F", "-v") else words[1:]
    return bool(words) and not _AWK_ACTS.search(words[0])


def _git_reads(words: list[str]) -> bool:
    while words[:1] == ["--no-pager"] or (words[:1] == ["-C"] and len(words) > 2):
        words = words[1:] if words[0] == "--no-pager" else words[2:]
    if not words:
        return False
    verb, rest = words[0], words[1:]
    if verb in _GIT_LISTS:
        named = _GIT_LISTS[verb]
        needs_one = verb in ("stash", "worktree")
        return all(word in named for word in rest) and (bool(rest) or not needs_one)
    return verb in _GIT and not any(word.startswith(_GIT_WRITES) for word in rest)


def _options(words: list[str]) -> list[str]:
    return [word for word in words if word.startswith("-")]
