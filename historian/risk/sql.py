"""SQL: each statement by its kind, as sqlglot parses it; by its first words where it does not.

A SELECT reads whatever it names, unless a part of it writes; DELETE and UPDATE are judged by whether a condition can
leave a row out. What stands between BEGIN and ROLLBACK is a rehearsal, but for statements that commit by themselves.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from historian.risk.arguments import verb_of
from historian.risk.case import Case
from historian.risk.listing import late
from historian.risk.mongo import SHELL, judge_mongo
from historian.risk.sql_plain import dynamic_statements, judge_plain, say_unparsed, split_statements

if TYPE_CHECKING:
    from sqlglot.expressions import Expr

LONGEST_PARSED = 16 * 1024
_MOST_GUESSED = 4 * 1024
_LONGEST_TREE = 2 * 1024
_MOST_TREES = 200
_MOST_STATEMENTS = 500
_MOST_SPLIT = 5000
# What sqlglot reads as something else, or writes anew so that its words are lost.
_AS_WRITTEN = late(
    r"\s*(?:exec(?:ute)?|call|prepare|declare|reset|system|match|optional|unwind|flashback|purge|vacuum|dbcc"
    r"|detach|pragma)\b",
    re.I,
)
_RUN_COMMENT = late(r"/\*!\d*(.*?)\*/", re.S)  # MySQL runs what stands in it
_QUERY = late(r"\s*(?:--[^\n]*\n\s*)*\(*\s*(?:select|with|values)\b", re.I)
_GUESSES = ("", "postgres", "mysql", "tsql", "bigquery", "oracle", "sqlite")
_COMMITS_BY_ITSELF = frozenset(("mysql", "mariadb", "oracle"))


def judge_sql(case: Case, text: str, dialect: str = "") -> None:
    """Judge statements in a dialect of sqlglot, or in whichever of the common ones they parse."""
    text = _RUN_COMMENT.sub(r" \1 ", text)
    if SHELL.match(text):
        judge_mongo(case, text)
        return
    if len(text) > LONGEST_PARSED:
        case.add(
            "runs", "bounds", f"longer than {LONGEST_PARSED:,} characters: each statement once, most by its first words"
        )
        found = list(islice(split_statements(text), _MOST_SPLIT))
        for number, statement in enumerate(dict.fromkeys(found)):
            trees = _parse(statement, dialect) if number < _MOST_TREES and len(statement) < _LONGEST_TREE else None
            for tree in trees or ():
                _judge_tree(case, tree, dialect, statement)
            if trees is None and number < _MOST_STATEMENTS:
                judge_plain(case, statement)
        return
    for statement in dynamic_statements(text):
        judge_plain(case, statement)
    sources = list(islice(split_statements(text), _MOST_STATEMENTS + 1))
    if len(sources) > _MOST_STATEMENTS:
        case.add("runs", "bounds", f"more than {_MOST_STATEMENTS} statements, of which the first were judged")
    parsed = _parse(text, dialect)
    if parsed is None:
        statements: list[tuple[Case, Callable[[Case], None], str]] = [
            (Case(case.rules), lambda own, source=source: judge_plain(own, source), source.lower())  # type: ignore[misc]
            for source in sources[:_MOST_STATEMENTS]
        ]
        _note_unparsed(case, sources, dialect)
    else:
        written = sources if len(sources) == len(parsed) else [""] * len(parsed)
        statements = [
            (
                Case(case.rules),
                lambda own, tree=tree, source=source: _judge_tree(own, tree, dialect, source),  # type: ignore[misc]
                _first_words(tree),
            )
            for tree, source in zip(parsed, written, strict=True)
        ]
    for own, judge, _ in statements:
        judge(own)
    _settle_transactions(case, [(own, words) for own, _, words in statements], dialect)
    if not statements:
        case.add("reads", "sql.empty", "no statement")


def _parse(text: str, dialect: str) -> list[Expr] | None:
    import logging

    import sqlglot
    from sqlglot.errors import SqlglotError

    logging.getLogger("sqlglot").setLevel(logging.ERROR)  # it warns of what it takes as a plain command
    guesses = (dialect,) if dialect else _GUESSES if len(text) <= _MOST_GUESSED else _GUESSES[:2]
    for guess in guesses:
        try:
            found = sqlglot.parse(text, read=guess or None)
        except (SqlglotError, ValueError, RecursionError):
            continue
        return [tree for tree in found[:_MOST_STATEMENTS] if tree is not None]
    return None


def _note_unparsed(case: Case, sources: Sequence[str], dialect: str) -> None:
    """Say of the first query that does not parse that it may do anything, whatever its first word is."""
    queries = [source for source in sources[:_MOST_TREES] if _QUERY.match(source)]
    for source in queries:
        if len(sources) == 1 or _parse(source, dialect) is None:
            say_unparsed(case, source)
            return


def _settle_transactions(case: Case, statements: list[tuple[Case, str]], dialect: str) -> None:
    """Give the findings on, those of a transaction that is rolled back as rehearsals."""
    opened: int | None = None
    rehearsed: set[int] = set()
    for number, (_, words) in enumerate(statements):
        if re.match(r"begin\b|start transaction\b", words) and "atomic" not in words:
            opened = number
        elif re.match(r"commit\b|end\b", words):
            opened = None
        elif re.match(r"rollback\b(?! to\b)|abort\b", words) and opened is not None:
            rehearsed |= set(range(opened, number))
            opened = None
    for number, (own, words) in enumerate(statements):
        commits = dialect in _COMMITS_BY_ITSELF and re.match(r"drop|alter|truncate|create|rename", words)
        for finding in own.findings:
            if number in rehearsed and finding.action != "reads" and not commits:
                case.add("rehearses", "sql.rolled_back", f"{finding.reason}, and rolls it back")
            else:
                case.add(finding.action, finding.rule, finding.reason, weight=finding.weight)
        for hit in own.hits:
            if number not in rehearsed:
                case.hit(hit.kind, hit.what, hit.folder)


def _first_words(tree: Any) -> str:
    name = type(tree).__name__.lower()
    if name == "transaction":
        return "begin"
    if name in ("commit", "rollback"):
        return f"{name} to" if tree.args.get("savepoint") else name
    return _words_of(tree).lower()[:60] if name == "command" else name.removesuffix("table")


def _words_of(tree: Any) -> str:
    """Return a statement that sqlglot keeps as text, or wrote anew."""
    if type(tree).__name__ != "Command":
        return str(tree.sql())
    rest = tree.args.get("expression")
    return f"{tree.this} {rest.name if hasattr(rest, 'name') else rest or ''}"


def _judge_tree(case: Case, tree: Expr, dialect: str, source: str = "") -> None:
    from sqlglot import expressions as exp

    if isinstance(tree, exp.Command | exp.Alias | exp.Column | exp.Identifier) or _AS_WRITTEN.match(source):
        judge_plain(case, source or _words_of(tree))
        return
    if isinstance(tree, exp.Copy):
        judge_plain(case, source or _words_of(tree))
        query = tree.this.unnest() if isinstance(tree.this, exp.Subquery) else None
        if query is not None:
            _judge_tree(case, query, dialect)
        return
    if isinstance(tree, exp.Describe):
        inner = tree.this
        is_off = re.search(r"analyze\s+(?:false|off|0)\b", source, re.I) is not None
        runs = not is_off and "ANALYZE" in str(tree.args.get("style") or tree.args.get("kind") or "").upper()
        if runs and isinstance(inner, exp.Expression) and not isinstance(inner, exp.Table):
            _judge_tree(case, inner, dialect)
        else:
            case.add("reads", "sql.explain", "only explains or describes")
        return
    is_stored = isinstance(tree, exp.Create) and str(tree.args.get("kind")).lower() in (
        "procedure",
        "function",
        "trigger",
    )
    writes = (
        []
        if is_stored
        else list(tree.find_all(exp.Delete, exp.Update, exp.Insert, exp.Merge, exp.Drop, exp.TruncateTable))
    )
    for node in (tree, *(node for node in writes if node is not tree)):
        _judge_node(case, node, exp)


def _judge_node(case: Case, node: Any, exp: Any) -> None:
    tables = [table.sql() for table in node.find_all(exp.Table)][:5]
    shown = tables[0] if tables else ""
    if isinstance(node, exp.Delete | exp.Update):
        _judge_rows(case, node, shown, exp)
    elif isinstance(node, exp.Drop):
        kind = str(node.args.get("kind") or "").lower()
        held = node.args.get("tables") or ()  # sqlglot keeps them in a list since 30
        names = [_name(node)] if node.this is not None else [found.sql()[:80] for found in held]
        altered = f" of {_name(node.parent)}" if isinstance(node.parent, exp.Alter) else ""
        case.add("destroys", "sql.drop", f"drops {kind} {', '.join(names[:5])}{altered}".replace("  ", " "))
        for name in names if not altered else ():
            case.hit("table", name)
    elif isinstance(node, exp.TruncateTable):
        case.add("destroys", "sql.truncate", f"empties {', '.join(tables)}")
        for table in tables:
            case.hit("table", table)
    elif isinstance(node, exp.Alter):
        case.add("migrates", "sql.alter", f"alters {_name(node)}")
        case.hit("table", _name(node))
    elif isinstance(node, exp.Create):
        _judge_create(case, node, shown)
    elif isinstance(node, exp.Insert):
        action = "destroys" if node.args.get("overwrite") else "changes"
        case.add(action, "sql.insert", f"inserts into {shown}" if action == "changes" else f"overwrites {shown}")
        case.hit("table", shown)
    elif isinstance(node, exp.Merge):
        _judge_merge(case, node, shown, exp)
        case.hit("table", shown)
    elif isinstance(node, exp.Query):
        _judge_query(case, node, exp)
    else:
        _judge_other(case, node, exp)


def _judge_merge(case: Case, node: Any, shown: str, exp: Any) -> None:
    for when in node.find_all(exp.When):
        then = when.args.get("then")
        is_delete = "DELETE" in str(then).upper().split()[:1] or isinstance(then, exp.Delete)
        if is_delete and when.args.get("source") and when.args.get("condition") is None:
            case.add("destroys", "sql.merge_delete", f"deletes every row of {shown} that is not in the source")
    case.add("changes", "sql.merge", f"merges into {shown}")


def _name(node: Any) -> str:
    return node.this.sql()[:80] if hasattr(node.this, "sql") else str(node.this or "")[:80]


def _judge_create(case: Case, node: Any, shown: str) -> None:
    kind = str(node.args.get("kind") or "").lower()
    if node.args.get("replace") and kind in ("table", "schema", "database"):
        case.add("destroys", "sql.replace", f"replaces {kind} {shown}")
    else:
        case.add("changes", "sql.create", f"creates {kind} {shown}".rstrip())
    case.hit("table", shown)


def _judge_rows(case: Case, node: Any, shown: str, exp: Any) -> None:
    verb = "deletes" if isinstance(node, exp.Delete) else "updates"
    where = node.args.get("where")
    if where is None and not isinstance(node.parent, exp.When):
        case.add("destroys", f"sql.{verb}_all", f"{verb} every row of {shown}: no WHERE")
    elif where is not None and (_is_always_true(where.this, exp) or _takes_all_of(where.this, shown, exp)):
        case.add("destroys", f"sql.{verb}_all", f"{verb} every row of {shown}: its WHERE is always true")
    else:
        case.add("changes", f"sql.{verb}", f"{verb} rows of {shown}")
    case.hit("table", shown)


def _judge_query(case: Case, node: Any, exp: Any) -> None:
    if node.find(exp.Into) is not None:
        case.add("changes", "sql.select_into", "writes the result of a SELECT into a table")
    for call in node.find_all(exp.Anonymous):
        name = str(call.this)
        action = "destroys" if name.lower() == "lo_unlink" else verb_of(name, case.rules.verbs)
        if action not in ("", "reads") and (
            name.lower().startswith(("pg_", "lo_", "dblink", "sys_")) or action == "destroys"
        ):
            case.add(action, "sql.function", f"calls {name[:60]}, which {case.rules.says(action)}")
        elif name.lower() in ("setval", "nextval", "pg_notify", "pg_advisory_lock", "lo_import", "lo_export"):
            case.add("changes", "sql.function", f"calls {name}")
    case.add("reads", "sql.select", "a SELECT only reads")


def _judge_other(case: Case, node: Any, exp: Any) -> None:
    name = type(node).__name__.lower()
    text = node.sql()
    if name in ("transaction", "commit", "rollback", "use", "show", "summarize", "cache", "uncache"):
        case.add("reads", f"sql.{name}", f"a {name.upper()} changes no data")
    elif name == "grant":
        case.add("changes", "sql.grant", "grants rights")
    elif name == "revoke":
        case.add("permits", "sql.revoke", "revokes rights")
    elif name == "pragma":
        judge_plain(case, text)
    elif name == "kill":
        case.add("changes", "sql.kill", "ends a connection")
    else:
        judge_plain(case, text)


def _is_always_true(node: Any, exp: Any) -> bool:
    """Tell whether a condition leaves no row out: true, x = x, an OR with such a side, an id above nothing."""
    if isinstance(node, exp.Paren):
        return _is_always_true(node.this, exp)
    if isinstance(node, exp.Or):
        return _is_always_true(node.left, exp) or _is_always_true(node.right, exp)
    if isinstance(node, exp.And):
        return _is_always_true(node.left, exp) and _is_always_true(node.right, exp)
    if isinstance(node, exp.Boolean):
        return bool(node.this)
    if isinstance(node, exp.Literal):
        return node.is_string is False and node.this not in ("0", "0.0")
    if isinstance(node, exp.Not):
        inner = node.this.this if isinstance(node.this, exp.Paren) else node.this
        if isinstance(inner, exp.Is) and isinstance(inner.expression, exp.Null):
            return _is_key(inner.this, exp)
        return _is_never_true(inner, exp)
    if isinstance(node, exp.Exists):
        return node.find(exp.From) is None
    if isinstance(node, exp.Like | exp.ILike):
        return isinstance(node.expression, exp.Literal) and set(str(node.expression.this)) == {"%"}
    if isinstance(node, exp.EQ | exp.GTE | exp.LTE | exp.GT | exp.LT | exp.NEQ | exp.NullSafeEQ):
        return _compare(node, exp)
    return False


def _takes_all_of(node: Any, table: str, exp: Any) -> bool:
    """`id IN (SELECT id FROM the same table)`, without a condition of its own."""
    if not isinstance(node, exp.In) or node.args.get("query") is None:
        return False
    select = node.args["query"].find(exp.Select)
    tables = [found.sql() for found in select.find_all(exp.Table)] if select is not None else []
    names = [found.sql() for found in select.expressions] if select is not None else []
    is_bare = select is not None and not any(select.args.get(part) for part in ("where", "limit", "having", "group"))
    return is_bare and tables == [table] and names == [node.this.sql()]


def _is_never_true(node: Any, exp: Any) -> bool:
    if isinstance(node, exp.Boolean):
        return not node.this
    if isinstance(node, exp.EQ) and isinstance(node.left, exp.Literal) and isinstance(node.right, exp.Literal):
        return bool(node.left.this != node.right.this)
    return isinstance(node, exp.Literal) and node.this == "0"


def _is_key(node: Any, exp: Any) -> bool:
    return (
        isinstance(node, exp.Column)
        and re.fullmatch(r"(?i)(?:.*_)?(?:id|pk|key|rowid|uuid|guid)", node.name) is not None
    )


def _compare(node: Any, exp: Any) -> bool:
    left, right = node.left, node.right
    if left.sql() == right.sql():
        return isinstance(node, exp.EQ | exp.GTE | exp.LTE | exp.NullSafeEQ)
    if isinstance(left, exp.Literal) and isinstance(right, exp.Literal):
        try:
            first, second = float(left.this), float(right.this)
        except ValueError:
            return isinstance(node, exp.NEQ)
        return {
            "EQ": first == second, "GT": first > second, "GTE": first >= second, "LT": first < second,
            "LTE": first <= second, "NEQ": first != second,
        }.get(type(node).__name__, False)  # fmt: skip
    is_low = (isinstance(right, exp.Literal) and right.this in ("0", "-1")) or isinstance(right, exp.Neg)
    return isinstance(node, exp.GT | exp.GTE | exp.NEQ) and is_low and _is_key(left, exp)
