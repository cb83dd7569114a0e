"""Command-line clients of databases: which SQL they are given, on which database, and on whose machine."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import msgspec

from historian.risk.arguments import Arguments, verb_of
from historian.risk.case import Case
from historian.risk.listing import late
from historian.risk.paths import kind_of_path

if TYPE_CHECKING:
    from historian.risk.shell_flow import Flow, ShellState

_LOCAL = ("", "localhost", "127.0.0.1", "::1", ".", "(local)", "(localdb)", "db", "postgres", "mysql")
_URL = late(r"\w+(?:\+\w+)?://(?:[^@/\s]*@)?([^/:?\s]*)")


class Client(msgspec.Struct, frozen=True):
    """How a client takes its SQL: options with a text, with a file, with a value, and the place of a word."""

    dialect: str = ""
    texts: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    valued: tuple[str, ...] = ()
    place: int | None = None
    database: int | None = None
    hosts: tuple[str, ...] = ("-h", "--host")
    reads: tuple[str, ...] = ("--help", "--version", "-V")
    verb: str = ""


_MYSQL = Client(
    "mysql",
    ("-e", "--execute"),
    (),
    ("-u", "-h", "-P", "-D", "--user", "--host", "--port", "--database", "-S"),
)
_FILE_DATABASE = Client(
    "sqlite", ("-cmd", "--cmd", "-c"), ("-init",), ("-cmd", "-init", "-separator", "-nullvalue"), place=1, database=0
)
CLIENTS = {
    "psql": Client(
        "postgres",
        ("-c", "--command"),
        ("-f", "--file"),
        (
            "-c",
            "-f",
            "-h",
            "-p",
            "-U",
            "-d",
            "-v",
            "-o",
            "-P",
            "-F",
            "-R",
            "-T",
            "-L",
            "--command",
            "--file",
            "--host",
            "--port",
            "--username",
            "--dbname",
            "--set",
            "--variable",
            "--output",
        ),
        reads=("-l", "--list", "--version", "-V", "--help"),
    ),
    "pgcli": Client("postgres", ("-c",), (), ("-h", "-p", "-U", "-d", "-c")),
    "cockroach": Client("postgres", ("-e", "--execute"), ("-f", "--file"), ("--host", "--url", "-e"), verb="sql"),
    "mysql": _MYSQL,
    "mariadb": _MYSQL,
    "mycli": _MYSQL,
    "tidb": _MYSQL,
    "sqlite3": _FILE_DATABASE,
    "sqlite": _FILE_DATABASE,
    "litecli": _FILE_DATABASE,
    "duckdb": Client(
        "duckdb", ("-c", "-s", "--c", "-cmd"), ("-init", "-f"), ("-c", "-s", "-cmd", "-init", "-f"), place=1, database=0
    ),
    "clickhouse-client": Client(
        "clickhouse",
        ("-q", "--query"),
        ("--queries-file",),
        ("-q", "--query", "-h", "--host", "-u", "-d", "--user", "--password", "--database"),
    ),
    "clickhouse": Client("clickhouse", ("-q", "--query"), (), ("-q", "--query", "-h", "--host")),
    "sqlcmd": Client("tsql", ("-Q", "-q"), ("-i",), ("-S", "-U", "-P", "-d", "-Q", "-q", "-i", "-o"), hosts=("-S",)),
    "cqlsh": Client("", ("-e", "--execute"), ("-f", "--file"), ("-e", "-f", "-u", "-p", "-k")),
    "snowsql": Client(
        "snowflake", ("-q", "--query"), ("-f", "--filename"), ("-q", "-f", "-a", "-u", "-d", "-s", "-c"), hosts=("-a",)
    ),
    "snow": Client("snowflake", ("-q", "--query"), ("-f", "--filename"), ("-q", "-f"), verb="sql"),
    "bq": Client(
        "bigquery",
        (),
        (),
        ("--project_id", "--location", "--format", "--dataset_id", "--destination_table"),
        place=1,
        verb="query",
    ),
    "trino": Client(
        "trino",
        ("--execute",),
        ("-f", "--file"),
        ("--server", "--catalog", "--schema", "--execute", "--file"),
        hosts=("--server",),
    ),
    "presto": Client(
        "presto", ("--execute",), ("-f", "--file"), ("--server", "--catalog", "--execute"), hosts=("--server",)
    ),
    "spark-sql": Client("spark", ("-e",), ("-f",), ("-e", "-f", "--master")),
    "hive": Client("hive", ("-e",), ("-f",), ("-e", "-f")),
    "beeline": Client("hive", ("-e",), ("-f",), ("-e", "-f", "-u", "-n", "-p")),
    "impala-shell": Client("hive", ("-q",), ("-f",), ("-q", "-f", "-i", "-d"), hosts=("-i",)),
    "influx": Client("", ("-execute", "--execute"), (), ("-execute", "-database", "-host")),
    "turso": Client("sqlite", (), (), (), place=3, verb="db"),
    "dolt": Client("mysql", ("-q", "--query"), (), ("-q", "--query"), verb="sql"),
    "usql": Client("", ("-c", "--command"), ("-f", "--file"), ("-c", "-f")),
    "sqlplus": Client("oracle", (), (), ()),
    "wrangler": Client("sqlite", ("--command",), ("--file",), ("--command", "--file"), verb="d1"),
    "isql": Client("", (), (), ()),
    "prisma": Client("postgres", (), ("--file",), ("--file", "--url", "--schema"), verb="db"),
    "pscale": Client("mysql", (), (), (), place=3, verb="shell"),
    "heroku": Client("postgres", ("-c", "--command"), ("-f", "--file"), ("-c", "-a", "--app", "-f"), verb="pg:psql"),
    "mongosh": Client(
        "",
        ("--eval",),
        ("--file",),
        ("--eval", "--host", "--port", "-u", "-p", "--username", "--password", "--authenticationDatabase"),
    ),
    "mongo": Client(
        "",
        ("--eval",),
        (),
        ("--eval", "--host", "--port", "-u", "-p", "--username", "--password", "--authenticationDatabase"),
    ),
}


def judge_client(
    case: Case, name: str, arguments: Arguments, flow: Flow, state: ShellState, inner: Callable[[str], Flow]
) -> bool:
    """Judge a client of a database; False where these arguments are none of SQL, and the rules have to say it."""
    client = CLIENTS.get(name)
    names = arguments.names()
    if client is None or (client.verb and (not names or names[0] != client.verb)):
        return False
    if name == "influx" and not arguments.has(*client.texts):
        return False
    if client.verb and client.place is None and not arguments.has(*client.texts, *client.files) and flow.text is None:
        return False
    if arguments.has("--dry_run", "--dry-run", "--dryrun"):
        case.add("rehearses", "sql.rehearsal", f"{name} only says what it would do")
        return True
    if name == "bq" and arguments.has("--replace"):
        case.add("destroys", "sql.replace", "bq replaces a table with the result")
    _note_place(case, client, arguments, names, state.folder)
    texts = _texts(client, arguments)
    files = [arguments.values[flag] for flag in client.files if flag in arguments.values]
    if client.place is not None:
        texts += names[client.place :]
    if arguments.has(*client.reads) and not texts:
        case.add("reads", "sql.client", f"{name} only lists")
        return True
    for text in texts:
        source = re.fullmatch(r"\s*(?:source|\\\.|\\i|@)\s*([\w./-]+)\s*;?\s*", text)
        if source:
            files.append(source[1])
        else:
            _judge_text(case, name, text, client.dialect, inner)
    for file in files:
        _judge_file(case, name, file, client.dialect, state, inner)
    if texts or files:
        return True
    if flow.guess and flow.sources[:1] == ("<",):
        _judge_file(case, name, flow.guess, client.dialect, state, inner)
    elif flow.text is not None or flow.guess:
        _judge_text(case, name, flow.guess if flow.text is None else flow.text, client.dialect, inner)
    elif flow.is_foreign:
        case.add("foreign", "sql.foreign", f"{name} runs what comes from elsewhere")
    else:
        case.add("runs", "sql.unknown", f"{name} runs statements that are not known here")
    return True


def made_statements(texts: Iterable[str]) -> list[str]:
    """Return the statements that queries print: `SELECT 'drop table ' || name`."""
    found = [literal for text in texts for literal in re.findall(r"'((?:[^']|'')*)'", text)]
    return [literal for literal in found[:50] if re.match(r"\s*(?:drop|truncate|delete\s+from|alter)\s", literal, re.I)]


def _texts(client: Client, arguments: Arguments) -> list[str]:
    """Return every text that was given by an option; the same option may be given several times."""
    found, words = [], [word.text for word in arguments.words]
    for number, word in enumerate(words):
        flag, equals, value = word.partition("=")
        if flag not in client.texts:
            short = next(
                (text for text in client.texts if len(text) == 2 and word.startswith(text) and len(word) > 2), None
            )
            clustered = (
                len(word) > 2
                and word[0] == "-"
                and word[1] != "-"
                and f"-{word[-1]}" in client.texts
                and word[1:].isalpha()
            )
            if clustered and len(word) <= 6 and number + 1 < len(words):
                found.append(words[number + 1])
            elif short and not word.startswith("--") and client.dialect != "sqlite":
                found.append(word[2:])
        elif equals and flag.startswith("--"):
            found.append(value)
        elif number + 1 < len(words):
            found.append(words[number + 1])
    return found


def _note_place(case: Case, client: Client, arguments: Arguments, names: list[str], folder: str) -> None:
    """Note the file or the machine on which the statements run."""
    if client.database is not None:
        if len(names) > client.database and not names[client.database].startswith(":"):
            case.hit("database", names[client.database], folder)
        return
    host = next((arguments.values[flag] for flag in client.hosts if flag in arguments.values), "")
    for word in arguments.words:
        url = _URL.match(word.text) or re.search(r"\bhost(?:addr)?=(\S+)", word.text)
        if url:
            host = url[1]
    if host.lower() not in _LOCAL and not host.startswith("/"):
        case.hit("remote", host)
        case.effect(f"change of the remote database at {host[:80]}")


def _judge_text(case: Case, name: str, text: str, dialect: str, inner: Callable[[str], Flow]) -> None:
    if name in ("mongosh", "mongo"):
        from historian.risk.mongo import judge_mongo

        judge_mongo(case, text)
        return
    statements: list[str] = []
    for line in text.split("\n"):
        bare = line.strip()
        if bare.startswith("\\") or (bare.startswith(".") and bare[1:2].isalpha()):
            _judge_meta(case, bare, inner)
        else:
            statements.append(line)
    rest = "\n".join(statements)
    rest = re.sub(r"\\(?:g|gx|G|gset|gexec)\b", ";", rest)
    if rest.strip():
        from historian.risk.sql import judge_sql  # 1 ms, and few programs are clients

        judge_sql(case, rest, dialect)


def _judge_meta(case: Case, line: str, inner: Callable[[str], Flow]) -> None:
    r"""Judge a command of the client itself: `\dt` and `.tables` read, `\!` and `.shell` run a program."""
    word, _, rest = line.partition(" ")
    if word.startswith("\\!") or word in (".shell", ".system"):
        inner((word[2:] + " " + rest if word.startswith("\\!") else rest).strip())
    elif word in (
        "\\i",
        "\\ir",
        "\\include",
        ".read",
        ".import",
        ".restore",
        ".clone",
        ".load",
        "\\copy",
        "\\o",
        ".output",
        ".once",
        ".save",
        ".backup",
        "\\e",
        "\\lo_import",
        "\\password",
        ".recover",
        ".archive",
        ".excel",
    ):
        action = (
            "destroys" if word == ".restore" else "reads" if word == "\\copy" and " to " in rest.lower() else "changes"
        )
        case.add(action, "sql.meta", f"{word} {rest[:40]}")
    elif word in ("\\lo_unlink",):
        case.add("destroys", "sql.meta", f"{word} {rest[:40]}")
    else:
        case.add("reads", "sql.meta", f"{word} only shows")


def _judge_file(
    case: Case, name: str, file: str, dialect: str, state: ShellState, inner: Callable[[str], Flow]
) -> None:
    text = state.files.get(file)
    if text is None and case.probe is not None:
        text = case.probe.read_text(file, state.folder)
    is_migration = kind_of_path(case, file, state.folder) == "migration"
    if text is not None:
        if is_migration:
            case.add("migrates", "sql.file", f"{name} runs the statements in {file[:80]}, which changes a schema")
        _judge_text(case, name, text, dialect, inner)
        return
    action = verb_of(file.rpartition("/")[2].partition(".")[0], case.rules.verbs)
    if is_migration or re.search(r"migrat|schema", file, re.I):
        action = "migrates"
    action = action if action in ("destroys", "migrates") else "runs"
    case.add(action, "sql.file", f"{name} runs the statements in {file[:80]}, which were not read")
