"""Texts that tools are given to run: SQL, code and commands behind `query`, `runner`, `--execute` and the like."""

from __future__ import annotations

import re

from historian.risk.arguments import split_name, verb_of
from historian.risk.invocation import Invocation
from historian.risk.listing import late, listed

_RUNS_TEXT = listed(
    "runner r tinker query sql-query sqlq sql exec execute eval shell console dbshell cli run-command send-command "
    "graphql script-shell rpc"
)
_OPTIONS = listed(
    "-e -c -q --eval --execute --command --commands --script --scripts --query --sql --parameters -f -F --field "
    "--statement --cmd"
)
_MUTATION = late(r"\bmutation\b[^{]*\{\s*(?:\w+\s*:\s*)?(\w+)")
_LISTED = late(r"commands=\[?[\"']?(.+?)[\"']?\]?$", re.S)


def judge_given(call: Invocation) -> None:
    """Judge the arguments of a tool that it runs as a text of some language."""
    names = call.arguments.names()
    is_named = any(name in _RUNS_TEXT for name in names[:4]) or "shell" in split_name(call.name)
    for number, word in enumerate(call.words[1:]):
        flag, equals, value = word.text.partition("=")
        before = call.words[number].text
        if word.text.startswith("-"):
            text = value if equals and flag in _OPTIONS else ""
        else:
            text = word.text if is_named or before in _OPTIONS else ""
        if text.strip():
            _judge_text(call, text)


def _judge_text(call: Invocation, text: str) -> None:
    from historian.risk.interpreters import Code, judge_code, looks_like_sql, removes  # 2 ms, and few texts are given
    from historian.risk.programs import program_name

    if match := _MUTATION.search(text):
        if verb_of(match[1], call.case.rules.verbs) == "destroys":
            call.case.add("destroys", "http.mutation", f"{call.name} sends the mutation {match[1][:40]}")
        return
    listing = _LISTED.match(text)
    bare = listing[1] if listing else text
    if looks_like_sql(bare):
        from historian.risk.sql import judge_sql

        judge_sql(call.case, bare)
    elif removes(bare) or re.search(r"\w\(['\"]", bare):
        judge_code(call.case, Code(call.name, bare), call.inner)
    elif program_name(bare.split(maxsplit=1)[0]) in call.case.rules.commands:
        call.inner(bare)
