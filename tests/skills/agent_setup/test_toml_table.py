"""One table of a TOML file: what stands around it keeps its bytes, in whatever way the file is written."""

from __future__ import annotations

import tomllib

import pytest

from skills.agent_setup.toml_table import TomlError, put, take_out

VALUES = {"command": "/opt/a b/chrono", "args": ["mcp"]}
PLACES = {
    "empty": "",
    "other tables": "model = 'x' # best\n\n[mcp_servers.other]\ncommand = 'x'\n\n# about a\n[a]\nb = 1\n",
    "windows": "model = 'x'\r\n[a]\r\nb = '''\r\n[not a table]\r\n'''\r\n",
    "no end": "a = 1",
    "inline": "mcp_servers = { other = { command = 'x' } }\na = 1\n",
    "dotted": "[mcp_servers]\nother.command = 'x'\n# end\n",
    "before": "[mcp_servers.zeta]\ncommand = 'x'\n[[hooks.Stop]]\n[hooks.state]\n",
}


@pytest.mark.parametrize("text", PLACES.values(), ids=PLACES)
def test_a_table_goes_in_is_changed_and_goes_out(text: str) -> None:
    before = tomllib.loads(text)
    more = put(text, "mcp_servers", "chronomancer", VALUES)
    assert tomllib.loads(more)["mcp_servers"].pop("chronomancer") == VALUES
    assert put(more, "mcp_servers", "chronomancer", VALUES) == more
    other = put(more, "mcp_servers", "chronomancer", {"command": "/other"})
    assert tomllib.loads(other)["mcp_servers"]["chronomancer"] == {**VALUES, "command": "/other"}
    less = take_out(other, "mcp_servers", "chronomancer")
    assert tomllib.loads(less) == before
    assert less.rstrip() == text.rstrip()


def test_what_stands_between_and_after_stays() -> None:
    more = put(PLACES["other tables"], "mcp_servers", "chronomancer", VALUES)
    edited = more + "startup_timeout_sec = 20\n[mcp_servers.chronomancer.env]\nA = 'b'\n\n# about z\n[z]\ny = 1\n"
    assert take_out(edited, "mcp_servers", "chronomancer") == PLACES["other tables"] + "\n# about z\n[z]\ny = 1\n"
    changed = put(edited, "mcp_servers", "chronomancer", {"command": "/other"})
    assert changed == edited.replace(VALUES["command"], "/other")  # type: ignore[arg-type]


def test_a_text_that_looks_like_a_table_is_none() -> None:
    text = "a = '''\n[mcp_servers.chronomancer]\n'''\n[mcp_servers.chronomancer]\ncommand = 'chrono'\nargs = ['mcp']\n"
    assert tomllib.loads(take_out(text, "mcp_servers", "chronomancer")) == {"a": "[mcp_servers.chronomancer]\n"}


def test_a_comment_after_our_table_stays_also_where_a_text_looks_like_a_table() -> None:
    text = "a = '''\n[mcp_servers.chronomancer]\n'''\n"
    more = put(text, "mcp_servers", "chronomancer", VALUES)
    assert take_out(f"{more}# later\n", "mcp_servers", "chronomancer") == f"{text}# later\n"


def test_what_cannot_be_edited_is_refused() -> None:
    with pytest.raises(TomlError):
        put("[[mcp_servers]]\n", "mcp_servers", "chronomancer", VALUES)
    with pytest.raises(TomlError) as caught:
        put("a = 1\nb = \n", "mcp_servers", "chronomancer", VALUES)
    assert (caught.value.line, caught.value.column) == (2, 5)
