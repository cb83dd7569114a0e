"""curl, wget and HTTPie: whether they read, write a file, or write somewhere over HTTP."""

from __future__ import annotations

import re

from historian.risk.arguments import Arguments, split_name, verb_of
from historian.risk.case import Case
from historian.risk.invocation import Invocation
from historian.risk.listing import late
from historian.risk.paths import judge_change
from historian.risk.shell_flow import Flow

_WRITES_HTTP = ("POST", "PUT", "PATCH", "DELETE", "MKCOL", "MOVE", "COPY", "PURGE")
_DATA_FLAGS = (
    "-d",
    "--data",
    "--data-raw",
    "--data-binary",
    "--data-urlencode",
    "--json",
    "-F",
    "--form",
    "-T",
    "--upload-file",
    "--form-string",
)
_LOCAL_HOSTS = late(r"(?:\w+://)?(?:localhost|127\.0\.0\.1|\[::1\]|0\.0\.0\.0|host\.docker\.internal)(?=[:/]|$)")
_METHOD = late(r"-[a-zA-Z]*X([A-Z]{3,})")
_CURL_VALUED = (
    "-X",
    "--request",
    "-o",
    "--output",
    "-H",
    "--header",
    "-u",
    "--user",
    "-A",
    "-e",
    "-b",
    "-c",
    "-m",
    "--max-time",
    "--retry",
    "--url",
    "-w",
    "-x",
    "--connect-timeout",
    "--cacert",
    "--cert",
    "--key",
    *_DATA_FLAGS,
)


def _destroys_by(case: Case, method: str, sends: bool, url: str, arguments: Arguments) -> bool:
    """Tell whether what is written over HTTP destroys by its path (`…/_delete_by_query`) or by its GraphQL mutation."""
    if not (sends or method in _WRITES_HTTP):
        return False
    path = re.sub(r"^\w+://", "", url).partition("?")[0].partition("/")[2]
    if any(
        case.rules.verbs.get(part) in ("destroys", "stops") for name in path.split("/") for part in split_name(name)[:1]
    ):
        return True
    data = " ".join(arguments.values.get(flag, "") for flag in _DATA_FLAGS)
    mutation = re.search(r"mutation\b[^{]*\{\s*(?:\w+\s*:\s*)?(\w+)", data)
    return mutation is not None and verb_of(mutation[1], case.rules.verbs) == "destroys"


def judge_curl(call: Invocation) -> Flow:
    """curl: reads, writes a file, or writes somewhere over HTTP."""
    case = call.case
    arguments = Arguments("curl", call.words[1:], _CURL_VALUED)
    joined = next((match[1] for word in call.words[1:] if (match := _METHOD.fullmatch(word.text))), "")
    method = arguments.values.get("-X", arguments.values.get("--request", joined)).upper()
    sends = arguments.has(*_DATA_FLAGS) and not arguments.has("-G", "--get")
    url = next(
        (
            word.text
            for word in arguments.positionals
            if "." in word.text or "/" in word.text or "localhost" in word.text
        ),
        "",
    )
    if method == "DELETE" or method == "PURGE" or _destroys_by(case, method, sends, url, arguments):
        case.add("destroys", "http.delete", f"{call.name} sends a {method} to {url[:60]}")
    elif method in _WRITES_HTTP or (sends and method not in ("GET", "HEAD")):
        case.add("sends", "http.write", f"{call.name} sends a {method or 'POST'} to {url[:60]}")
    elif arguments.has("-o", "-O", "--output", "--remote-name", "-J"):
        target = arguments.values.get("-o", arguments.values.get("--output", ""))
        if target not in ("/dev/null", "-"):
            case.add("changes", "http.file", f"{call.name} writes a file")
            judge_change(case, target, call.state.folder, "update", call.name)
            call.state.foreign.add(target or url.partition("?")[0].rpartition("/")[2])
        else:
            case.add("reads", "http.read", f"{call.name} only reads")
    else:
        case.add("reads", "http.read", f"{call.name} only reads")
    if method in _WRITES_HTTP or sends:
        where = "this machine" if _LOCAL_HOSTS.match(url) else url[:60]
        case.effect(f"HTTP {method or 'POST'} to {where}")
        case.hit("remote", url)
    return Flow(sources=(call.name,), is_foreign=True)


def judge_wget(call: Invocation) -> Flow:
    """Judge `wget`: what it fetches, where that goes, and what it sends."""
    arguments = Arguments(
        "wget",
        call.words[1:],
        (
            "-O",
            "-o",
            "-P",
            "--output-document",
            "--header",
            "--method",
            "--post-data",
            "--post-file",
            "--body-data",
            "-U",
            "-t",
            "-T",
        ),
    )
    method = arguments.values.get("--method", "").upper()
    if arguments.has("--post-data", "--post-file") or method in _WRITES_HTTP:
        action = "destroys" if method == "DELETE" else "sends"
        call.case.add(action, "http.write", f"wget sends a {method or 'POST'}")
        call.case.effect("HTTP write (wget)")
    target = arguments.values.get("-O", arguments.values.get("--output-document", ""))
    is_piped = any(re.fullmatch(r"-[a-zA-Z]*O-", word.text) for word in call.words[1:])
    if is_piped or arguments.has("--spider") or target in ("-", "/dev/null", "/dev/stdout"):
        call.case.add("reads", "http.read", "wget only reads")
    else:
        call.case.add("changes", "http.file", "wget writes a file")
        judge_change(call.case, target, call.state.folder, "update", "wget")
        names = call.arguments.names()
        call.state.foreign.update([target] if target else [name.partition("?")[0].rpartition("/")[2] for name in names])
    return Flow(sources=("wget",), is_foreign=True)


def judge_httpie(call: Invocation) -> Flow:
    """Judge `http` and `xh` by the method that they are given, or that a body makes it."""
    names = call.arguments.names()
    method = next((name for name in names[:2] if name.upper() in (*_WRITES_HTTP, "GET", "HEAD", "OPTIONS")), "").upper()
    has_body = any(re.match(r"[\w.-]+:?=", name) and "==" not in name for name in names[1:])
    if method == "DELETE":
        call.case.add("destroys", "http.delete", f"{call.name} sends a DELETE")
    elif method in _WRITES_HTTP or (has_body and method not in ("GET", "HEAD")):
        call.case.add("sends", "http.write", f"{call.name} sends a {method or 'POST'}")
    else:
        call.case.add("reads", "http.read", f"{call.name} only reads")
        return Flow(sources=(call.name,), is_foreign=True)
    call.case.effect(f"HTTP {method or 'POST'}")
    return Flow(sources=(call.name,), is_foreign=True)
