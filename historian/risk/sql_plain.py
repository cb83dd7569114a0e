"""SQL that no parser has read: statements by their first words, and by whether there is a WHERE."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from historian.risk.arguments import verb_of
from historian.risk.case import Case
from historian.risk.listing import listed

_NOISE = re.compile(r"--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'", re.S)
_BODY = re.compile(r"\$(\w*)\$(.*?)\$\1\$", re.S)
_STATEMENTS = {
    "reads": listed(
        "select show describe desc explain with use values table help list fetch declare print go begin "
        "start commit rollback end savepoint release delimiter close check checksum abort status "
        "deallocate get discard listen cache"
    ),
    "changes": listed(
        "insert replace merge upsert create comment set reset grant vacuum analyze reindex refresh "
        "cluster copy load lock unlock attach detach optimize kill import export flush backup undrop put "
        "security notify msck repair kill_query checkpoint dbcc"
    ),
    "runs": listed("call exec execute do prepare source"),
    "where": listed("delete update"),
    "destroys": listed("drop truncate purge restore remove expire"),
    "migrates": listed("alter rename"),
    "permits": listed("revoke deny reassign"),
    "stops": listed("shutdown"),
    "pragma": listed("pragma"),
}
_FIRST = {word: action for action, words in _STATEMENTS.items() for word in words}
_INNER = re.compile(r"\b(drop|truncate|alter|delete|update|insert|revoke|execute)\b", re.I)
_SAID = {
    "destroys": "removes data", "migrates": "changes the schema", "permits": "takes rights away",
    "stops": "stops the server",
}  # fmt: skip


_ALWAYS = re.compile(r"\s*(?:\(?\s*)?(?:1\s*=\s*1|true|1)\s*\)?\s*", re.I)
_WRITES = ("where", "changes", "destroys")


def split_statements(text: str) -> Iterator[str]:
    """Yield statements of a text that is not parsed: parts between semicolons that stand in no string or comment."""
    start = 0
    for match in re.finditer(r"--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'|\"[^\"]*\"|\$(\w*)\$.*?\$\1\$|;", text, re.S):
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
    if first == "explain" and "analyze" in words[:4]:
        inner = next((word for word in words[1:8] if _FIRST.get(word) in _WRITES and word != "analyze"), None)
        if inner is not None:
            judge_plain(case, bare[bare.lower().find(inner) :])
            return
    if first == "with" and (inner_word := _INNER.search(bare)):
        judge_plain(case, bare[inner_word.start() :])
    else:
        _judge_first(case, bare, words)
    if first in ("do", "begin", "declare", "if") and len(words) > 2:
        bodies.append(" ".join(words[1:]))
    for body in bodies if first != "create" else ():
        for inner_statement in _INNER.finditer(body):
            judge_plain(case, body[inner_statement.start() :].split(";")[0])


def _judge_first(case: Case, bare: str, words: Sequence[str]) -> None:
    first, shown = words[0], bare[:60]
    action = _FIRST.get(first, "runs")
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
    elif first in ("call", "exec", "execute") and len(words) > 1:
        is_qualified = words[1] in ("procedure", "immediate", "dbo", "sys") and len(words) > 2
        said = verb_of(words[2] if is_qualified else words[1], case.rules.verbs)
        said = "migrates" if words[1] == "sp_rename" else said
        action = said if said in ("destroys", "migrates", "stops") else "runs"
        case.add(action, "sql.call", f"{shown}: a procedure")
    elif first == "copy" and "program" in words:
        case.add("foreign", "sql.copy_program", "COPY … PROGRAM runs a program on the server")
    elif first == "reset" and words[1:2] in (["master"], ["slave"], ["replica"]):
        case.add("destroys", "sql.reset", shown)
    else:
        case.add(action, f"sql.{first}", f"{shown}: {_SAID.get(action, case.rules.says(action))}")


def _judge_pragma(case: Case, text: str) -> None:
    name = text.lower().removeprefix("pragma").strip()
    if "writable_schema" in name and "=" in name:
        case.add("migrates", "sql.pragma", "lets the schema be written")
    elif "=" in name or re.match(r"(?:wal_checkpoint|optimize|incremental_vacuum|shrink_memory)", name):
        case.add("changes", "sql.pragma", f"sets {name[:40]}")
    else:
        case.add("reads", "sql.pragma", f"asks for {name[:40]}")
