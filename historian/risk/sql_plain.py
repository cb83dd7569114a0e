"""SQL that no parser has read: statements by their first words, and by whether there is a WHERE."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from historian.risk.case import Case
from historian.risk.listing import late, listed
from historian.risk.subcommands import name_says

_NOISE = late(r"--[^\n]*|/\*.*?\*/|\b[eE]'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'", re.S)
_BODY = late(r"\$(\w*)\$(.*?)\$\1\$", re.S)
_STATEMENTS = {
    "reads": listed(
        "select show describe desc explain with use values table help list fetch declare print go begin "
        "start commit rollback end savepoint release delimiter close check checksum abort status "
        "deallocate get discard listen cache optional unwind"
    ),
    "changes": listed(
        "insert replace merge upsert create comment set reset grant vacuum analyze reindex refresh "
        "cluster copy load lock unlock attach detach optimize kill import export flush backup undrop put "
        "security notify msck repair kill_query checkpoint dbcc"
    ),
    "runs": listed("call exec execute do prepare source if"),
    "where": listed("delete update"),
    "destroys": listed("drop truncate purge restore remove expire"),
    "migrates": listed("alter rename exchange"),
    "permits": listed("revoke deny reassign"),
    "stops": listed("shutdown"),
    "pragma": listed("pragma"),
}
_FIRST = {word: action for action, words in _STATEMENTS.items() for word in words}
_INNER = late(r"\b(drop|truncate|alter|delete|update|insert|revoke|execute)\b", re.I)
_SAID = {
    "destroys": "removes data", "migrates": "changes the schema", "permits": "takes rights away",
    "stops": "stops the server",
}  # fmt: skip


_PROCEDURE = late(r"\w+\s+(?:procedure\s+|immediate\s+)?(?:@\w+\s*=\s*)?([\w.\[\]\"`]+)", re.I)
_READ_PROCEDURES = late(
    r"(?:sp_(?:help|who|lock|spaceused|columns|tables|depends|databases|stored_procedures|statistics|pkeys|fkeys"
    r"|describe)"
    r"|xp_(?:fixeddrives|readerrorlog|msver|dirtree|fileexist))",
    re.I,
)
_LONGEST_DYNAMIC = 64 * 1024
_DYNAMIC = late(
    r"\b(?:exec|execute(?!\s+(?:function|on|procedure))|prepare|sp_executesql|"
    r"sp_msforeach\w+|dblink\w*|openquery|openrowset|"
    r"query_to_xml|exec_ddl\w*|exec_sql|execute_sql|dbms_sql|pg_background_launch)\b",
    re.I,
)
_STRING = late(r"N?'((?:[^']|'')*)'|\"([^\"]*\s[^\"]*)\"")
_LOOKS = late(
    r"\s*(?:drop|truncate|alter|delete|update|insert|create|grant|revoke|merge|shutdown|reindex"
    r"|rename)\s+[\w\"'`\[%?]|\s*(?:drop|truncate)\s+\w+\s*$",
    re.I,
)
# Statements of one dialect whose first word does not decide.
_SPECIAL = {
    "reset": [(r"^reset (?:master|slave|replica|binary)", "destroys")],
    "system": [
        (r"drop .*cache", "changes"),
        (r"^system (?:drop|restore)", "destroys"),
        (r"^system (?:shutdown|kill)", "stops"),
    ],
    "match": [(r"\bdelete\b", "destroys"), (r"\b(?:set|create|merge|remove)\b", "changes"), (r"\breturn\b", "reads")],
    "flashback": [(r"to before drop", "changes"), (r"", "destroys")],
    "vacuum": [(r"retain 0\b", "destroys")],
    "dbcc": [(r"repair_", "destroys"), (r"^dbcc (?:check|show|sqlperf|opentran|inputbuffer|loginfo)", "reads")],
    "set": [
        (r"^set password", "permits"),
        (r"^set (?:session characteristics|transaction|local transaction)", "reads"),
    ],
    "detach": [(r"permanently|^detach delete", "destroys")],
    "msck": [(r"drop partitions", "destroys")],
    "copy": [(r"^copy .*[\w)\"] to stdout\b", "reads")],
    "restore": [(r"^restore (?:filelistonly|headeronly|verifyonly|labelonly)", "reads")],
}


_COPIED = late(r"copy\s*\((.+)\)\s*to\b", re.I)
_ALWAYS = late(r"\s*(?:\(?\s*)?(?:1\s*=\s*1|true|1)\s*\)?\s*", re.I)
_WRITES = ("where", "changes", "destroys")


def split_statements(text: str) -> Iterator[str]:
    """Yield statements of a text that is not parsed: parts between semicolons that stand in no string or comment."""
    start = 0
    for match in re.finditer(
        r"--[^\n]*|/\*.*?\*/|\b[eE]'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'|\"[^\"]*\"|\$(\w*)\$.*?\$\1\$|;", text, re.S
    ):
        if match[0] == ";":
            if text[start : match.start()].strip():
                yield text[start : match.start()].strip()
            start = match.end()
    if text[start:].strip():
        yield text[start:].strip()


def judge_plain(case: Case, statement: str) -> None:
    """Judge one statement."""
    bodies = [match[2] for match in _BODY.finditer(statement)]
    bare = re.sub(r"\s+", " ", _NOISE.sub(" ", _BODY.sub(" ", statement))).strip(" (;")
    words = re.findall(r"\w+", bare.lower())[:60]
    if not words:
        return
    first = words[0]
    if first == "explain" and "analyze" in words[:4] and not re.search(r"analyze\s+(?:false|off|0)\b", bare, re.I):
        inner = next((word for word in words[1:8] if _FIRST.get(word) in _WRITES and word != "analyze"), None)
        if inner is not None:
            judge_plain(case, bare[bare.lower().find(inner) :])
            return
    if first == "with" and (inner_word := _INNER.search(bare)):
        judge_plain(case, bare[inner_word.start() :])
    else:
        _judge_first(case, bare, words)
    if first == "copy" and (query := _COPIED.match(bare)):
        judge_plain(case, query[1])
    if first in ("do", "begin", "declare", "if") and len(words) > 2:
        bodies.append(" ".join(words[1:]))
    for body in bodies if first != "create" else ():
        for inner_statement in _INNER.finditer(body):
            judge_plain(case, body[inner_statement.start() :].split(";")[0])


def _judge_first(case: Case, bare: str, words: Sequence[str]) -> None:
    first, shown = words[0], bare[:60]
    action = _FIRST.get(first, "runs" if first in _SPECIAL else "")
    if not action:
        say_unparsed(case, bare)
        return
    if first in ("call", "exec", "execute"):
        _judge_procedure(case, bare, words)
        return
    if first == "begin" and len(words) > 2 and words[1] not in ("transaction", "tran", "work", "isolation"):
        action = "runs"
    if first in _SPECIAL:
        action = next((said for pattern, said in _SPECIAL[first] if re.search(pattern, bare, re.I)), action)
    if action == "where":
        condition = re.search(r"\bwhere\b(.*)", bare, re.I | re.S)
        is_all = condition is None or _ALWAYS.fullmatch(condition[1])
        rows = "every row" if is_all else "some rows"
        case.add("destroys" if is_all else "changes", f"sql.{first}", f"{shown}: {rows}")
    elif action == "pragma":
        _judge_pragma(case, bare)
    elif first == "alter" and words[1:2] == ["session"]:
        case.add("changes", "sql.set", shown)
    elif first == "create" and words[1:3] == ["or", "replace"] and "table" in words[3:5]:
        case.add("destroys", "sql.replace", f"{shown}: replaces a table")
    elif first == "copy" and "program" in words:
        case.add("foreign", "sql.copy_program", "COPY … PROGRAM runs a program on the server")
    else:
        case.add(action, f"sql.{first}", f"{shown}: {_SAID.get(action, case.rules.says(action))}")


def say_unparsed(case: Case, statement: str) -> None:
    """Note that nobody can tell what a statement does."""
    case.add("runs", "sql.unparsed", f"cannot be parsed as SQL, so what it does is not known: {statement[:60]}")


def _judge_procedure(case: Case, bare: str, words: Sequence[str]) -> None:
    """Judge the call of a procedure by its name."""
    match = _PROCEDURE.match(bare)
    name = re.split(r"\.", match[1])[-1].strip('[]"`') if match else ""
    said = name_says(name, case.rules.verbs)
    if _READ_PROCEDURES.match(name):
        case.add("reads", "sql.call", f"{name} only shows")
    elif name.lower() in ("sp_rename", "sp_renamedb", "sp_detach_db", "sp_dropserver"):
        case.add("migrates", "sql.call", f"{name} changes the schema")
    elif name.lower() == "xp_cmdshell":
        case.add("foreign", "sql.shell", "runs a command on the server")
    else:
        action = said if said in ("destroys", "migrates", "stops", "permits") else "runs"
        case.add(action, "sql.call", f"{bare[:60]}: a procedure")


def dynamic_statements(text: str) -> list[str]:
    """Return the statements that stand in strings of a text which executes strings."""
    if len(text) > _LONGEST_DYNAMIC or not _DYNAMIC.search(text):
        return []
    joined = re.sub(r"'\s*(?:\|\||\+)\s*N?'", "", text)
    found = [match[1] or match[2] for match in _STRING.finditer(joined)]
    for match in re.finditer(r"\b0x([0-9a-fA-F]{12,})\b", joined):
        found.append(bytes.fromhex(match[1][: len(match[1]) // 2 * 2]).decode("latin-1").replace("\0", ""))
    parts = [part for one in found[:100] if one for part in one.split(";")]
    return [part for part in parts if _LOOKS.match(part)]


def _judge_pragma(case: Case, text: str) -> None:
    name = text.lower().removeprefix("pragma").strip()
    if "writable_schema" in name and "=" in name:
        case.add("migrates", "sql.pragma", "lets the schema be written")
    elif "=" in name or re.match(r"(?:wal_checkpoint|optimize|incremental_vacuum|shrink_memory)", name):
        case.add("changes", "sql.pragma", f"sets {name[:40]}")
    else:
        case.add("reads", "sql.pragma", f"asks for {name[:40]}")
