"""Filters: sed, awk, tar, cat and decoders; what they pass on is known where what goes in is."""

from __future__ import annotations

import re

from historian.risk.invocation import Invocation
from historian.risk.listing import late
from historian.risk.paths import judge_change
from historian.risk.shell_flow import Flow
from historian.risk.shell_text import decode_base64, decode_hex, translate_letters

_SED_WRITES = late(r"(?:^|[;}\s\d$])(?:w\s+\S|e\s*$)|/[gip\d]*w\s+\S|[/|#][gip\d]*e[gip\d]*$")
_SUBSTITUTION = late(r"s([/|#,@!])(?:\\.|(?!\1).)*\1((?:\\.|(?!\1).)*)\1")
_PRINTS = late(r"\bprintf?\b\s*\(?([^;}|>]*)")


def judge_sed(call: Invocation) -> Flow:
    """Judge `sed`, in place or as a filter, and what its script writes and starts."""
    arguments = call.arguments
    in_place = any(flag.startswith(("-i", "--in-place")) for flag in arguments.flags) or (
        arguments.has("-i") and not arguments.has("--posix")
    )
    texts = arguments.names()
    scripts = arguments.values.get("-e", "") or (texts[0] if texts else "")
    if in_place:
        change = "delete" if re.fullmatch(r"\s*(?:1,\$|0,/nothing/|/\.?\*?\^?/)?\s*d\s*", scripts) else "append"
        for word in arguments.positionals[0 if arguments.has("-e", "-f") else 1 :]:
            judge_change(call.case, word.text, call.state.folder, change, "sed -i")
        call.case.add("changes", "path.sed", "sed changes files in place")
    elif texts and (match := _SED_WRITES.search(texts[0])):
        call.case.add("changes", "path.sed", "sed writes a file or runs what it makes")
        if "e" in match[0]:
            call.inner(_replacements(scripts))
    else:
        call.case.add("reads", "path.sed", "sed only prints")
    return Flow(sources=("sed", *call.flow.sources), is_foreign=call.flow.is_foreign, guess=_replacements(scripts))


def _replacements(script: str) -> str:
    """Return what the substitutions of a sed script put in, a line for each; what they match stands as `it`."""
    found = [match[2] for match in _SUBSTITUTION.finditer(script)]
    return "\n".join(re.sub(r"(?<!\\)&|\\[0-9]", " it ", text).replace("\\", "") + " it" for text in found)


def judge_awk(call: Invocation) -> Flow:
    """Judge `awk` by what its program starts and writes."""
    text = next((word.text for word in call.arguments.positionals), "")
    for match in re.finditer(r"system\(\s*\"((?:[^\"\\]|\\.)*)\"", text):
        call.inner(match[1])
    if "system(" in text or re.search(r"\|\s*\"?(?:sh|bash)\"?", text) or "|getline" in text.replace(" ", ""):
        call.case.add("runs", "code.awk", "awk starts commands")
        call.inner(" ".join(re.findall(r"\"((?:[^\"\\]|\\.)*)\"", text)))
    elif written := re.search(r"\bprintf?\b([^;}]*?)>>?\s*(?:\"(?!/dev/std)([^\"]*)\"|\()", text):
        call.case.add("changes", "code.awk", "awk writes files")
        if written[2] and ">>" not in written[0]:
            change = "delete" if written[1].strip() == '""' else "update"
            judge_change(call.case, written[2], call.state.folder, change, "awk")
    elif call.arguments.has("-i", "--include"):
        call.case.add("changes", "code.awk", "awk changes files in place")
    else:
        call.case.add("reads", "code.awk", "awk only prints")
    guess = "\n".join(
        re.sub(r"%\d*[sd]|\\n", " it ", " ".join(re.findall(r"\"((?:[^\"\\]|\\.)*)\"", match[1])))
        for match in _PRINTS.finditer(text)
    )
    return Flow(sources=("awk", *call.flow.sources), is_foreign=call.flow.is_foreign, guess=guess.strip())


def judge_decode(call: Invocation) -> Flow | None:
    """base64 -d and its kin: what comes out is known when what goes in is."""
    text = call.flow.text
    arguments = call.arguments
    if call.name == "openssl" and not {"base64", "enc", "-base64", "-a"} & {word.text for word in call.words[1:]}:
        if {"req", "genrsa", "genpkey", "ca", "pkcs12"} & {word.text for word in call.words[1:2]} or call.arguments.has(
            "-out"
        ):
            call.case.add("changes", "path.openssl", "openssl writes a file")
            return Flow(sources=("openssl",))
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


def judge_cat(call: Invocation) -> Flow | None:
    """Judge `cat` of files that were written a moment ago; of others the rules say it."""
    names = call.arguments.names()
    if names and all(name in call.state.files for name in names):
        call.case.add("reads", "shell.filter", "cat only passes on")
        return Flow(text="".join(call.state.files[name] for name in names), sources=("cat",))
    if names == ["/dev/null"]:
        call.case.add("reads", "shell.filter", "cat only passes on")
        return Flow(text="", sources=("cat",), is_empty=True)
    if not names or names == ["-"]:
        return judge_decode(call)
    call.case.add("reads", "shell.filter", "cat only passes on")
    return Flow(sources=("<", "cat"), guess=names[0])


def judge_tar(call: Invocation) -> Flow | None:
    """Judge `tar` by what it does: list, store, take out, remove what it stored."""
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
