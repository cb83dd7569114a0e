"""Programs about files and networks that have a judge of their own: what counts is which paths, and where it goes."""

from __future__ import annotations

import re
from collections.abc import Callable

from historian.risk.arguments import Arguments, Word
from historian.risk.invocation import Invocation
from historian.risk.paths import is_device, is_wide, judge_change, kind_of_path
from historian.risk.shell_flow import Flow
from historian.risk.shell_text import decode_base64, decode_hex, translate_letters

_MODE = re.compile(r"^(?:[0-7]{3,4}|[ugoa]*[-+=][rwxXst]*(?:,[ugoa]*[-+=][rwxXst]*)*)$")
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
_LOCAL_HOSTS = re.compile(r"(?:\w+://)?(?:localhost|127\.0\.0\.1|\[::1\]|0\.0\.0\.0|host\.docker\.internal)(?=[:/]|$)")
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


def _remove(call: Invocation) -> Flow:
    """Rm and its kin: high, unless all of it is temporary."""
    arguments = Arguments(call.name, call.words[1:], ("-n", "-s", "-u") if call.name in ("shred", "truncate") else ())
    for word in arguments.positionals:
        judge_change(call.case, word.text, call.state.folder, "delete", call.name)
    if not arguments.positionals:
        call.case.add("destroys", "path.delete", f"{call.name} removes what it is given")
    return Flow(sources=(call.name,))


def _truncate(call: Invocation) -> Flow:
    arguments = Arguments("truncate", call.words[1:], ("-s", "--size", "-r", "--reference"))
    size = arguments.values.get("-s", arguments.values.get("--size", ""))
    for word in arguments.positionals:
        judge_change(
            call.case, word.text, call.state.folder, "update" if size.startswith("+") else "delete", "truncate"
        )
    return Flow(sources=(call.name,))


def _move(call: Invocation) -> Flow:
    names = call.arguments.positionals
    target = call.arguments.values.get("-t", "") or (names[-1].text if names else "")
    if target.rstrip("/") == "/dev/null":
        for word in names[:-1]:
            judge_change(call.case, word.text, call.state.folder, "delete", "mv")
        return Flow()
    for word in names[:-1]:
        judge_change(call.case, word.text, call.state.folder, "rename", "mv")
    judge_change(
        call.case, target, call.state.folder, "append" if call.arguments.has("-n", "--no-clobber") else "update", "mv"
    )
    return Flow()


def _copy(call: Invocation) -> Flow:
    names = call.arguments.positionals
    if names:
        is_emptied = len(names) > 1 and names[0].text == "/dev/null"
        change = "delete" if is_emptied else "append" if call.arguments.has("-n", "--no-clobber") else "update"
        judge_change(call.case, names[-1].text, call.state.folder, change, call.name)
    call.case.add("changes", "path.copy", f"{call.name} writes")
    return Flow()


def _link(call: Invocation) -> Flow:
    names = call.arguments.positionals
    if names:
        judge_change(
            call.case,
            names[-1].text,
            call.state.folder,
            "update" if call.arguments.has("-f", "--force") else "create",
            "ln",
        )
    call.case.add("changes", "path.link", "ln makes a link")
    return Flow()


def _tee(call: Invocation) -> Flow:
    for word in call.arguments.positionals:
        change = "append" if call.arguments.has("-a", "--append") else "update"
        if change == "update" and call.flow.text is not None:
            call.state.files[word.text] = call.flow.text
            change = "update" if call.flow.text.strip() else "delete"
        judge_change(call.case, word.text, call.state.folder, change, "tee")
    return call.flow


def _modes(call: Invocation) -> Flow:
    """Chmod and chown: high when they go through very much."""
    positionals = [word for word in call.arguments.positionals if word.text]
    targets = positionals[1:] if not call.arguments.has("--reference") else positionals
    is_deep = call.arguments.has("-R", "--recursive")
    for word in targets:
        kind = kind_of_path(call.case.rules, word.text, call.state.folder)
        if is_deep and (is_wide(word.text) or not word.is_sure or kind in ("system", "protected")):
            call.case.add("permits", "path.modes", f"{call.name} changes all of {word.text[:60]}")
        else:
            call.case.add("changes", "path.modes", f"{call.name} changes {word.text[:60]}")
        call.case.hit("path", word.text, call.state.folder)
    call.case.add("changes", "path.modes", f"{call.name} changes who may do what")
    return Flow()


def _dd(call: Invocation) -> Flow:
    values = dict(word.text.partition("=")[::2] for word in call.words[1:] if "=" in word.text)
    target = values.get("of", "")
    if is_device(target):
        call.case.add("disks", "path.device", f"dd writes to {target[:60]}")
    elif target and target != "/dev/null":
        kind = kind_of_path(call.case.rules, target, call.state.folder)
        action = "changes" if kind == "temporary" else "disks"
        call.case.add(action, "path.dd", f"dd writes to {target[:60]}")
        call.case.hit("overwritten", target, call.state.folder)
    else:
        call.case.add("reads", "path.dd", "dd only reads")
    return Flow(sources=("dd",))


def _curl(call: Invocation) -> Flow:
    """curl: reads, writes a file, or writes somewhere over HTTP."""
    case = call.case
    arguments = Arguments("curl", call.words[1:], _CURL_VALUED)
    method = arguments.values.get("-X", arguments.values.get("--request", "")).upper()
    sends = arguments.has(*_DATA_FLAGS) and not arguments.has("-G", "--get")
    url = next(
        (
            word.text
            for word in arguments.positionals
            if "." in word.text or "/" in word.text or "localhost" in word.text
        ),
        "",
    )
    if method == "DELETE" or method == "PURGE":
        case.add("destroys", "http.delete", f"{call.name} sends a {method} to {url[:60]}")
    elif method in _WRITES_HTTP or (sends and method not in ("GET", "HEAD")):
        case.add("sends", "http.write", f"{call.name} sends a {method or 'POST'} to {url[:60]}")
    elif arguments.has("-o", "-O", "--output", "--remote-name", "-J"):
        target = arguments.values.get("-o", arguments.values.get("--output", ""))
        if target not in ("/dev/null", "-"):
            case.add("changes", "http.file", f"{call.name} writes a file")
            judge_change(case, target, call.state.folder, "update", call.name)
        else:
            case.add("reads", "http.read", f"{call.name} only reads")
    else:
        case.add("reads", "http.read", f"{call.name} only reads")
    if method in _WRITES_HTTP or sends:
        where = "this machine" if _LOCAL_HOSTS.match(url) else url[:60]
        case.effect(f"HTTP {method or 'POST'} to {where}")
        case.hit("remote", url)
    return Flow(sources=(call.name,), is_foreign=True)


def _wget(call: Invocation) -> Flow:
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
    if arguments.has("--spider") or target in ("-", "/dev/null", "/dev/stdout"):
        call.case.add("reads", "http.read", "wget only reads")
    else:
        call.case.add("changes", "http.file", "wget writes a file")
        judge_change(call.case, target, call.state.folder, "update", "wget")
    return Flow(sources=("wget",), is_foreign=True)


def _httpie(call: Invocation) -> Flow:
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


def _find(call: Invocation) -> Flow:
    """find: reads, unless it removes or starts something for what it finds."""
    words = call.words[1:]
    acts = False
    for number, word in enumerate(words):
        if word.text == "-delete":
            acts = True
            for root in _roots(words):
                judge_change(call.case, root, call.state.folder, "delete", "find -delete")
        elif word.text in ("-exec", "-execdir", "-ok", "-okdir"):
            acts = True
            end = next((at for at in range(number + 1, len(words)) if words[at].text in (";", "+", "\\;")), len(words))
            found = _roots(words)[0] if _roots(words) else "."
            _start(
                call,
                [
                    Word(found if other.text == "{}" else other.text, other.is_sure, other.is_quoted)
                    for other in words[number + 1 : end]
                ],
            )
        elif word.text in ("-fprint", "-fls", "-fprintf", "-fprint0"):
            acts = True
            call.case.add("changes", "path.find", "find writes a list into a file")
    if not acts:
        call.case.add("reads", "path.find", "find only looks")
    return Flow(sources=("find",))


def _roots(words: list[Word]) -> list[str]:
    roots = []
    for word in words:
        if word.text.startswith(("-", "(", "!")):
            if not roots and word.text in ("-L", "-H", "-P"):
                continue
            break
        roots.append(word.text)
    return roots or ["."]


def _fd(call: Invocation) -> Flow:
    words = call.words[1:]
    for number, word in enumerate(words):
        if word.text in ("-x", "-X", "--exec", "--exec-batch"):
            _start(call, [*words[number + 1 :], Word("(what is found)", is_sure=False)])
            return Flow(sources=("fd",))
    call.case.add("reads", "path.find", "fd only looks")
    return Flow(sources=("fd",))


def _start(call: Invocation, words: list[Word]) -> None:
    from historian.risk.programs import judge_program

    if words:
        call.state.depth += 1
        judge_program(call.case, words, Flow(), call.state, call.inner)
        call.state.depth -= 1


def _sed(call: Invocation) -> Flow:
    arguments = call.arguments
    in_place = any(flag.startswith(("-i", "--in-place")) for flag in arguments.flags) or (
        arguments.has("-i") and not arguments.has("--posix")
    )
    texts = arguments.names()
    if in_place:
        scripts = arguments.values.get("-e", "") or (texts[0] if texts else "")
        change = "delete" if re.fullmatch(r"\s*(?:1,\$)?d\s*", scripts) else "append"
        for word in arguments.positionals[0 if arguments.has("-e", "-f") else 1 :]:
            judge_change(call.case, word.text, call.state.folder, change, "sed -i")
        call.case.add("changes", "path.sed", "sed changes files in place")
    elif texts and re.search(r"(?:^|[;}\s\d$])(?:w\s+\S|e\s*$)|/[gip\d]*w\s+\S|/[gip\d]*e[gip\d]*$", texts[0]):
        call.case.add("changes", "path.sed", "sed writes a file or runs what it makes")
    else:
        call.case.add("reads", "path.sed", "sed only prints")
    return Flow(sources=("sed", *call.flow.sources), is_foreign=call.flow.is_foreign)


def _awk(call: Invocation) -> Flow:
    text = next((word.text for word in call.arguments.positionals), "")
    for match in re.finditer(r"system\(\s*\"((?:[^\"\\]|\\.)*)\"", text):
        call.inner(match[1])
    if "system(" in text or re.search(r"\|\s*\"?(?:sh|bash)\"?", text) or "|getline" in text.replace(" ", ""):
        call.case.add("runs", "code.awk", "awk starts commands")
        call.inner(" ".join(re.findall(r"\"((?:[^\"\\]|\\.)*)\"", text)))
    elif (
        re.search(r">\s*[\"$\w]", re.sub(r"\"[^\"]*\"|/[^/]*/|\$?\w+\s*>\s*=?\s*[\d$]\S*", "", text))
        and "print" in text
        and re.search(r"print[^;}]*>\s*(?:\"|\()", text)
    ):
        call.case.add("changes", "code.awk", "awk writes files")
    elif call.arguments.has("-i", "--include"):
        call.case.add("changes", "code.awk", "awk changes files in place")
    else:
        call.case.add("reads", "code.awk", "awk only prints")
    return Flow(sources=("awk", *call.flow.sources), is_foreign=call.flow.is_foreign)


def _decode(call: Invocation) -> Flow | None:
    """base64 -d and its kin: what comes out is known when what goes in is."""
    text = call.flow.text
    arguments = call.arguments
    if call.name == "openssl" and not {"base64", "enc", "-base64", "-a"} & {word.text for word in call.words[1:]}:
        return None
    made: str | None = None
    if text is None:
        made = None
    elif call.name in ("base64", "openssl"):
        made = decode_base64(text) if arguments.has("-d", "--decode", "-D") else None
    elif call.name == "xxd":
        made = decode_hex(text) if arguments.has("-r") else None
    elif call.name == "rev":
        made = "\n".join(line[::-1] for line in text.split("\n"))
    elif call.name == "tr":
        names = arguments.names()
        made = (
            translate_letters(text, names[0], names[1])
            if len(names) == 2
            else text.replace(names[0], "")
            if names and arguments.has("-d")
            else None
        )
    elif call.name == "cat":
        made = text if not arguments.positionals or arguments.names() == ["-"] else None
    call.case.add("reads", "shell.filter", f"{call.name} only passes on")
    return Flow(text=made, sources=(call.name, *call.flow.sources), is_foreign=call.flow.is_foreign)


def _cat(call: Invocation) -> Flow | None:
    names = call.arguments.names()
    if names and all(name in call.state.files for name in names):
        call.case.add("reads", "shell.filter", "cat only passes on")
        return Flow(text="".join(call.state.files[name] for name in names), sources=("cat",))
    if names == ["/dev/null"]:
        call.case.add("reads", "shell.filter", "cat only passes on")
        return Flow(text="", sources=("cat",), is_empty=True)
    if not names or names == ["-"]:
        return _decode(call)
    return None


def _tar(call: Invocation) -> Flow | None:
    words = [word.text for word in call.words[1:]]
    mode = words[0].lstrip("-") if words and not words[0].startswith("--") else ""
    if "--remove-files" in words:
        call.case.add("destroys", "path.tar", "tar removes what it has stored")
    elif ("t" in mode and "x" not in mode and "c" not in mode) or "--list" in words:
        call.case.add("reads", "path.tar", "tar only lists")
    elif ("c" in mode and "f" not in mode and "-f" not in words) or (words and "O" in mode):
        call.case.add("reads", "path.tar", "tar writes to its output")
    else:
        call.case.add("changes", "path.tar", "tar writes files")
    return Flow(sources=("tar", *call.flow.sources), is_foreign=call.flow.is_foreign)


def _text_queue(call: Invocation) -> Flow | None:
    """at, batch and crontab: what flows in is run later."""
    if call.name == "crontab":
        if call.arguments.has("-l"):
            call.case.add("reads", "shell.later", "crontab lists")
        elif call.arguments.has("-r"):
            call.case.add("destroys", "shell.later", "crontab -r removes every job")
        else:
            call.case.add("changes", "shell.later", "crontab replaces the jobs")
            if call.flow.text is not None:
                for line in call.flow.text.split("\n"):
                    call.inner(re.sub(r"^\s*(?:@\w+|(?:\S+\s+){5})", "", line))
        return Flow()
    if call.flow.text is not None:
        call.inner(call.flow.text)
    call.case.add("runs", "shell.later", f"{call.name} runs something later")
    return Flow()


def _kill(call: Invocation) -> Flow:
    if call.arguments.has("-l", "-L", "-0") and not call.arguments.has("-9"):
        call.case.add("reads", "process.kill", "only asks")
    elif call.name == "kill" and ("-1" in [word.text for word in call.words[2:]]):
        call.case.add("stops", "process.kill", "kill ends every process")
    else:
        call.case.add("changes", "process.kill", f"{call.shown} ends processes")
    return Flow()


def _trap(call: Invocation) -> Flow:
    if len(call.words) > 1 and not call.words[1].text.startswith("-"):
        call.inner(call.words[1].text)
    return Flow()


def _change_folder(call: Invocation) -> Flow:
    import os

    names = call.arguments.names()
    call.case.add("reads", "shell.folder", "goes into another folder")
    if names and call.arguments.positionals[0].is_sure:
        call.state.folder = (
            os.path.normpath(os.path.join(call.state.folder, names[0]))
            if call.state.folder or names[0].startswith("/")
            else names[0]
        )
    return Flow()


JUDGES: dict[str, Callable[[Invocation], Flow | None]] = {
    **dict.fromkeys(
        (
            "rm",
            "rmdir",
            "unlink",
            "shred",
            "srm",
            "rimraf",
            "trash",
            "del",
            "erase",
            "rd",
            "Remove-Item",
            "ri",
            "trash-put",
            "wipe",
            "safe-rm",
        ),
        _remove,
    ),
    "truncate": _truncate,
    "mv": _move,
    "cp": _copy,
    "install": _copy,
    "ln": _link,
    "tee": _tee,
    "sponge": _tee,
    "chmod": _modes,
    "chown": _modes,
    "chgrp": _modes,
    "setfacl": _modes,
    "dd": _dd,
    "curl": _curl,
    "wget": _wget,
    "http": _httpie,
    "https": _httpie,
    "xh": _httpie,
    "find": _find,
    "fd": _fd,
    "fdfind": _fd,
    "sed": _sed,
    "gsed": _sed,
    "awk": _awk,
    "gawk": _awk,
    "mawk": _awk,
    "nawk": _awk,
    "base64": _decode,
    "xxd": _decode,
    "rev": _decode,
    "tr": _decode,
    "openssl": _decode,
    "cat": _cat,
    "tar": _tar,
    "bsdtar": _tar,
    "at": _text_queue,
    "batch": _text_queue,
    "crontab": _text_queue,
    "kill": _kill,
    "pkill": _kill,
    "killall": _kill,
    "trap": _trap,
    "cd": _change_folder,
    "pushd": _change_folder,
}
