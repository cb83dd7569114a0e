"""Which kind of operation a plain text is: words, a shell command, SQL or git.

A text that could be a command or a sentence is judged as both, and the higher counts.
"""

from __future__ import annotations

import re

from historian.risk.listing import late, listed
from historian.risk.operations import OperationKind
from historian.risk.rules import Rules
from historian.risk.sql_clients import CLIENTS
from historian.risk.wrappers import WRAPPERS

_SQL = late(
    r"""(?xis)\s*(?:(?:--[^\n]*\n|/\*.*?\*/)\s*)*(?:
    select\s+(?:.{1,2000}?\sfrom\s+[\w"`\[(.]|[\d'"*(]|\w+\()|insert\s+(?:or\s+\w+\s+)?(?:into|overwrite)\s+\S
    |replace\s+into\s|update\s+[\w."`\[\]]+\s+(?:as\s+\w+\s+|\w+\s+)?set\s+[\w."`\[]+\s*=
    |delete\s+from\s+[\w."`\[\]]+\s*(?:$|;|where\b|using\b|returning\b|as\b|limit\b|order\b|--)
    |drop\s+(?:table|database|index|view|schema|column|user|role|function|trigger|procedure|sequence|type
    |materialized|extension|keyspace|constraint|owned|warehouse|stage|publication|subscription|policy|tablespace
    |partition|login|aggregate|domain|synonym|package|profile|rule|event|server|foreign|pipe|share
    |catalog)\s+(?:if\s+exists\s+)?[\w."`\[]+
    |truncate\s+(?:table\s+)?(?:only\s+)?[\w."`\[\]]+\s*(?:$|;|,|cascade|restart|restrict)
    |alter\s+(?:table|database|user|role|index|view|schema|column|type|sequence|system|session|default)\s+\S
    |create\s+(?:or\s+replace\s+)?(?:temp(?:orary)?\s+|unique\s+|unlogged\s+|materialized\s+|external\s+)*(?:table
    |database|index|view|schema|user|role|function|trigger|procedure|sequence|type|extension
    |virtual)\s+(?:concurrently\s+)?(?:if\s+not\s+exists\s+)?[\w."`\[]+\s*(?:[(;.]|$|as\b|on\b|with\b|using\b
    |returns\b|like\b|for\b|before\b|after\b|password\b)
    |grant\s.+\s(?:on|to)\s|revoke\s.+\sfrom\s+\w+\s*;?\s*$
    |with\s+(?:recursive\s+)?[\w"]+\s*(?:\([^)]*\)\s*)?as\s+(?:not\s+)?(?:materialized\s+)?\(
    |merge\s+into\s+\S+\s+(?:as\s+\w+\s+|\w+\s+)?using\b
    |explain\s+(?:\(.*?\)\s*)?(?:analyze\s+|verbose\s+)*(?:select|insert|update|delete|with)\s
    |explain\s+query\s+plan\s|begin\s*(?:transaction|work)?\s*;|start\s+transaction\s*;|(?:commit|rollback)\s*;
    |pragma\s+\w+|vacuum(?:\s+full)?(?:\s+[\w.]+)?\s*;?\s*$|analyze\s+\w+\s*;|reindex\s+(?:table|index|database)\s
    |(?:db|rs|sh)\.(?:\w+\.)?\w+\(.*\)\s*;?\s*$|(?:optional\s+)?match\s*\(|deny\s.+\s(?:on|to)\s
    |(?:restore|backup)\s+(?:database|log)\s+\w+\s+(?:to|from|with)\b|dbcc\s+\w+
    |prepare\s+\w+\s+(?:from|as)\s|vacuum\s+\w+\s+retain\s|call\s+[\w.]+\s*\(
    |(?:flashback|restore)\s+table\s+\S+\s+to\s|exchange\s+tables\s|rename\s+(?:user|index)\s+\S+\s+to\s
    |set\s+password\s+for\s|set\s+@\w+\s*:?=|msck\s+repair\s|detach\s+delete\s|exec(?:ute)?\s*\(
    |exec(?:ute)?\s+(?:[\w.]*xp_\w+|n?'|@\w+|[\w.]*sp_\w+|dbo\.\w+|immediate\b|procedure\b|\w+\.\w+)
    |copy\s+[\w."(]+.*\s(?:from|to)\s|comment\s+on\s+(?:table|column)\s
    |show\s+(?:tables|databases|columns|create\s+table|processlist|index|grants|variables|full|status)\b
    |describe\s+\w+\s*;|desc\s+\w+\s*;|set\s+\w+\s*=\s*\S+\s*;|load\s+data\s|do\s+\$|declare\s+@|use\s+\w+\s*;
    |optimize\s+table\s|rename\s+table\s|kill\s+(?:query\s+|connection\s+)?\d+\s*;|lock\s+tables?\s
    |refresh\s+materialized|attach\s+database|detach\s+database|undrop\s|values\s*\(|reassign\s+owned
    |drop\s+all\s+tables\s*;)"""
)
_STRONG_SHELL = late(
    r"\|\s*\w|&&|\|\||\$\(|\$\{|\$\w|(?:^|\s)\d?>{1,2}\s*[\w./&$~\"'-]|<<|(?:^|\s)--?(?:[A-Za-z][\w-]*|\d(?!\S))"
    r"|(?:^|\s)[A-Z_][A-Z0-9_]*=|;\s*\w+\s+-|(?:^|\s)(?:~|\.{1,2})?/\w|\*\.\w|(?:^|\s)\*(?:\s|$)|&\s*$"
)
_STOPWORDS = listed(
    "the a an all any of to from and then with for in into our my your this that these those is are it its "
    "them please on onto at by be was were not should would could will if when what how why which where who i we "
    "you they every each everything"
)
_MARKS = late(r"[|&$<>*/=-]")
_PATH = late(r"(?<=\s)(?:~|\.{1,2})?/[\w./-]*")
_QUOTED = late(r"'[^']*'|\"[^\"]*\"|`[^`]*`")
# What a sentence has that begins like a statement: "grant the contractor root on all machines".
_CHANGES_SQL = late(r"\s*(?:grant|revoke|exec(?:ute)?|drop|update|restore|backup|alter)\b", re.I)
_SPOKEN = late(r"\s(?:the|my|our|your|every|please|everyone|it|them|these|those)\s|\.\w+\s+(?:on|in|against)\s", re.I)
_COMMIT_MESSAGE = late(r"(?:feat|fix|docs|style|refactor|perf|tests?|build|ci|chore|revert)(?:\([\w./-]+\))?!?: \S")
_CMDLET = late(r"[A-Z][a-z]+-[A-Z][A-Za-z]+")
_PROMPT = late(r"^(?:[\w.-]+@[\w.-]+:\S*[$#]|[$%]|PS [^>\n]*>|(?:sqlite|mysql|MariaDB [^>\n]*|SQL)>|\w+=[#>])\s+", re.M)
# An issue's number is none: "#1234: remove the button".
_REMARKS = late(r"(?:\s*#(?!\d)[^\n]*(?:\n|$))+\s*")
_COMPOUND = late(
    r"\s*(?:(?:if|elif)\b[^\n;]*(?:;|\n)\s*then|(?:while|until|for|select)\b[^\n;]*(?:;|\n)\s*do|case\s+\S+\s+in)(?:\s|$)"
)
_DEFINES = late(r"\s*(?:function\s+)?[\w-]+\s*\(\)\s*\{")
_HEAD = 4096
_ABOUT_PROGRAMS = frozenset(("type", "alias", "unalias", "hash", "whatis"))
_COMMENT = late(r"/\*(?:!\d*(.*?)|.*?)\*/", re.S)
_FIRST_WORD = late(r"[^\s;|&<>()]+")
_PREFIX = late(r"\s*(?:[A-Za-z_]\w*=(?:'[^']*'|\"[^\"]*\"|[^\s;]*)[\s;]+)*(?:[({!]\s+|\()?")
_KEYWORDS = frozenset(("if", "for", "while", "until", "case", "function", "[", "[[", "{", "(", "!", "time"))
_PLAIN_WORDS = listed(
    "make find sort test kill install split join cut patch link file watch time which who head more less touch "
    "host expand clear reset history diff format wait type read set let date look write fold service mount at "
    "print source yes command trash move copy rename open start stop erase wipe purge undo show list help "
    "convert import fetch apply scan shutdown reboot halt clean up go truncate rename deploy unlink strip "
    "locate last column sync script trap export alias just task drop switch merge push pull release publish "
    "upgrade update migrate"
)


def detect_kinds(rules: Rules, text: str) -> tuple[OperationKind, ...]:
    """Return the kinds that a text can be, the likelier first."""
    head = without_remarks(text)[:_HEAD]
    if not head:
        return (OperationKind.SHELL,)
    if _COMMIT_MESSAGE.match(head):
        return (OperationKind.WORDS,)
    if _DEFINES.match(head) or _COMPOUND.match(head):
        return (OperationKind.SHELL,)
    if looks_like_sql(head):
        is_spoken = _CHANGES_SQL.match(head) is not None and _SPOKEN.search(_QUOTED.sub("", head)) is not None
        return (OperationKind.SQL, OperationKind.WORDS) if is_spoken else (OperationKind.SQL,)
    start = _PREFIX.match(head)
    match = _FIRST_WORD.match(head, start.end() if start else 0)
    first = match[0] if match else ""
    bare = _QUOTED.sub(" Q ", head) if "'" in head or '"' in head or "`" in head else head
    if first == "git":
        return (OperationKind.GIT,) if not _looks_spoken(bare) else (OperationKind.GIT, OperationKind.WORDS)
    return _words_or_shell(rules, first, bare, has_prefix=bool(start and "=" in start[0]))


def without_prompt(text: str) -> str:
    """Return a text that was copied from a terminal without the prompts of its lines."""
    return _PROMPT.sub("", text) if _PROMPT.match(text) else text


def without_remarks(text: str) -> str:
    """Return a text without the comments of a shell before it; "" where it is nothing else."""
    remarks = _REMARKS.match(text) if text.lstrip()[:1] == "#" else None
    return text[remarks.end() :] if remarks else text


def looks_like_sql(text: str) -> bool:
    """Tell whether a text begins with a statement."""
    head = text[:_HEAD]
    return _SQL.match(_COMMENT.sub(r" \1 ", head) if "/*" in head else head) is not None


def _looks_spoken(bare: str) -> bool:
    words = bare.lower().split()
    return sum(word.strip(",.") in _STOPWORDS for word in words) >= 2 and not _STRONG_SHELL.search(bare)


def _words_or_shell(rules: Rules, first: str, bare: str, *, has_prefix: bool) -> tuple[OperationKind, ...]:
    words = bare.lower().split()
    spoken = sum(word.strip(",.:;?!") in _STOPWORDS for word in words)
    name = first.rsplit("/", 1)[-1]
    is_path = first.startswith(("./", "../", "/", "~/", "$", "\\")) or (
        (first.count("'") > 1 or first.count('"') > 1) and len(words) > 1
    )
    is_program = (
        name in rules.commands
        or (name.lower() in rules.commands and "-" in name)
        or is_path
        or first in _KEYWORDS
        or name in _MORE_PROGRAMS
        or name in CLIENTS
        or name in WRAPPERS
        or name.endswith((".sh", ".py", ".ps1"))
        or _CMDLET.fullmatch(name) is not None
    )
    strong = _MARKS.search(bare) is not None and _STRONG_SHELL.search(bare) is not None
    if (name in ("make", "just", "task") and len(words) == 2) or (name in _ABOUT_PROGRAMS and not spoken):
        return (OperationKind.SHELL,)
    is_said = name in _PLAIN_WORDS or (name in rules.words and bool(rules.words[name].action))
    if has_prefix and (is_program or strong):
        return (OperationKind.SHELL,)
    if is_program and strong and spoken >= (1 if is_said else 2) and not _STRONG_SHELL.search(_PATH.sub(" ", bare)):
        return (OperationKind.SHELL, OperationKind.WORDS)
    if is_program and (not is_said or strong):
        if spoken >= 2 and not strong and not is_path:
            return (OperationKind.SHELL, OperationKind.WORDS)
        if spoken >= 1 and strong and is_said and first.islower() and spoken >= 3:
            return (OperationKind.SHELL, OperationKind.WORDS)
        return (OperationKind.SHELL,)
    if is_program:
        if spoken or first[:1].isupper() or (bare.rstrip().endswith((".", "?", "!")) and len(words) > 2):
            return (OperationKind.WORDS,)
        return (OperationKind.SHELL, OperationKind.WORDS)
    if spoken or first[:1].isupper() or first.lower() in rules.words:
        return (OperationKind.WORDS,)
    looks_like_program = re.fullmatch(r"[a-z][a-z0-9]*(?:[-_.][a-z0-9]+)*", first) is not None and 1 < len(words) <= 8
    if strong and looks_like_program:
        return (OperationKind.SHELL,)
    if strong and len(words) > 1:
        return (OperationKind.SHELL, OperationKind.WORDS)
    return (OperationKind.WORDS, OperationKind.SHELL) if looks_like_program else (OperationKind.WORDS,)


_MORE_PROGRAMS = listed(
    "iex sudo doas env nohup timeout nice ionice xargs ssh busybox su eval source . npx bunx poetry uv pipenv "
    "bundle parallel watch strace flock chroot exec stdbuf setsid unshare pwsh powershell cmd"
)
