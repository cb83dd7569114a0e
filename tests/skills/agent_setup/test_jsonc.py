"""Documents that hypothesis makes, with comments, odd spaces and trailing commas: read right, and edited in place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from skills.agent_setup import AGENTS, Scope
from skills.agent_setup.hook_entries import HookSettings
from skills.agent_setup.jsonc import JsoncError, parse
from skills.agent_setup.server_entries import with_server, without_server

PATH = Path("settings.json")
HOOK, SERVER = "/opt/a b/chrono-hook", "/opt/a b/chrono"
EXAMPLES = 40  # 2,000 were tried when it was written
QUICK = settings(max_examples=EXAMPLES, deadline=None, database=None)

SPACES = st.sampled_from(["", " ", "\n", "\n    ", "\r\n", "\t", "  "])
COMMENTS = st.sampled_from(["", "", "", "// a, {\n", "/* b */", '/* "c\n */', "//\r\n", "/**/"])
GAPS = st.tuples(SPACES, COMMENTS, SPACES).map("".join)
KEYS = st.text(max_size=6).filter(lambda key: key not in ("hooks", "mcpServers", "version"))
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8), st.sampled_from(["// no comment", "/* nor here */", "a, b", "}"]),
)  # fmt: skip
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYS, inner, max_size=2), max_leaves=5
)


@st.composite
def written(draw: st.DrawFn, value: Any) -> str:
    """Write a value with gaps that mean nothing."""
    if isinstance(value, dict | list):
        pairs = list(value.items()) if isinstance(value, dict) else [(None, item) for item in value]
        parts = []
        for key, item in pairs:
            name = "" if key is None else f"{json.dumps(key)}{draw(GAPS)}:{draw(GAPS)}"
            parts.append(f"{draw(GAPS)}{name}{draw(written(item))}{draw(GAPS)}")
        end = "," + draw(GAPS) if parts and draw(st.booleans()) else "" if parts else draw(GAPS)
        first, last = "{}" if isinstance(value, dict) else "[]"
        return first + ",".join(parts) + end + last
    return json.dumps(value, ensure_ascii=draw(st.booleans()))


@st.composite
def documents(draw: st.DrawFn) -> tuple[Any, str]:
    """Make settings with hooks and servers of somebody else, and the text that says them."""
    value: dict[str, Any] = draw(st.dictionaries(KEYS, VALUES, max_size=3))
    some = [{"matcher": "x", "hooks": [{"type": "command", "command": "say"}]}]
    events = st.dictionaries(st.sampled_from(["PreToolUse", "Stop", "Notification"]), st.just(some), min_size=1)
    if draw(st.booleans()):
        value["hooks"] = draw(events)
    if draw(st.booleans()):
        value["mcpServers"] = {"other": {"command": "x"}}
    value.update(draw(st.dictionaries(KEYS, VALUES, max_size=2)))
    return value, f"{draw(GAPS)}{draw(written(value))}{draw(GAPS)}"


@QUICK
@given(documents())
def test_a_document_says_what_was_written(document: tuple[Any, str]) -> None:
    value, text = document
    assert parse(text).data == value


@QUICK
@given(documents())
@example(({"u": "http://x"}, '{"u": "http://x"}'))
@example(({"a": 1}, '{"a": 1// b\n}'))
def test_our_entries_go_in_and_out_again_and_leave_every_byte(document: tuple[Any, str]) -> None:
    value, text = document
    agent = AGENTS["claude"]
    more = HookSettings(text, PATH, agent).installed(HOOK)
    both = with_server(more, PATH, agent, next(iter(agent.servers)), SERVER)
    found = parse(both).data
    ours = found.get("hooks", {})
    assert found["mcpServers"]["chronomancer"] == {"command": SERVER, "args": ["mcp"]}
    assert all(ours[event][-1]["hooks"][0]["command"] == f"'{HOOK}' claude" for event in agent.events)
    assert {key: item for key, item in found.items() if key not in ("hooks", "mcpServers")} == {
        key: item for key, item in value.items() if key not in ("hooks", "mcpServers")
    }
    for comment in ("// a, {", "/* b */", '/* "c\n */'):
        assert both.count(comment) == text.count(comment)
    assert HookSettings(both, PATH, agent).installed(HOOK) == both
    less = HookSettings(without_server(both, PATH, agent), PATH, agent).removed()
    if value:  # the inside of an empty object is not remembered in the text
        assert less == text
    else:
        assert parse(less).data == {}


@pytest.mark.parametrize(
    "text",
    [
        '{"hooks": {/* mine */}}', '{"hooks": {"Stop": [/* mine */]}}', '{"hooks": {"Stop": [ // mine\n]}}',
        '{"mcpServers": {/* mine */}}', '{"mcpServers": {\n  // mine\n}, "hooks": {}}',
    ],
)  # fmt: skip
def test_a_comment_where_nothing_else_was_stays(text: str) -> None:
    agent = AGENTS["claude"]
    both = with_server(HookSettings(text, PATH, agent).installed(HOOK), PATH, agent, Scope.PROJECT, SERVER)
    less = HookSettings(without_server(both, PATH, agent), PATH, agent).removed()
    assert less.count("mine") == 1
    assert "chrono" not in less
    assert parse(less).data.items() <= parse(text).data.items()


@QUICK
@given(documents(), st.integers(min_value=0, max_value=2))
def test_entries_added_after_ours_stay_when_ours_go(document: tuple[Any, str], place: int) -> None:
    value, text = document
    agent = AGENTS["claude"]
    event = agent.events[place]
    more = HookSettings(text, PATH, agent).installed(HOOK)
    ours = parse(more).find("hooks")
    assert ours is not None
    groups = ours.node.find(event)
    assert groups is not None
    last = groups.node.end - 1
    comma = "" if more[:last].rstrip().endswith(",") and (groups.node.items or [])[-1].comma else ","
    edited = f'{more[:last]}{comma}\n{{"hooks": [{{"command": "later"}}]}}\n{more[last:]}'
    try:
        parse(edited)
    except JsoncError:  # a line comment just before the bracket swallows what was put there
        return
    left = parse(HookSettings(edited, PATH, agent).removed()).data
    assert left["hooks"][event][-1] == {"hooks": [{"command": "later"}]}
    for key, item in value.items():
        if key != "hooks":
            assert left[key] == item
    for name, item in value.get("hooks", {}).items():
        assert left["hooks"][name][: len(item)] == item


@QUICK
@given(VALUES.filter(lambda value: isinstance(value, dict)), st.sampled_from([None, 1, 2, "\t"]))
def test_plain_json_stays_plain_json_in_its_own_style(value: Any, indent: int | str | None) -> None:
    text = json.dumps(value, indent=indent)
    new = HookSettings(text, PATH, AGENTS["cursor"]).installed(HOOK)
    found = json.loads(new)
    assert found["version"] == 1
    assert set(found["hooks"]) == set(AGENTS["cursor"].events)
    if value and indent:
        unit = indent if isinstance(indent, str) else " " * indent
        assert all(line.startswith(unit) for line in new.splitlines()[1:-1])
    if value and indent is None:
        assert "\n" not in new
