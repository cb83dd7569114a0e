"""What agents are told to do names actions, wherever an action does what the command for people would."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chronos.errors import ChronosError
from skills.actions import ACTIONS, ActionSession, describe_error, find_action, for_agents, to_document
from tests.support import RepoBuilder

PROJECT = Path(__file__).resolve().parents[3]
# Front doors of their own: what they say is for the person who runs them.
FOR_PEOPLE = ("chronos/cli/", "chronos/maintenance/doctor.py", "skills/agent_setup/", "skills/agent_hooks/front.py",
              "skills/actions/hints.py")  # fmt: skip
# What no action does: a command of these, or one with an option that no action has, stays a command.
NO_ACTION = {
    "undo --skip", "recover", "verify --repair", "memory add", "memory remove", "memory extract", "gc", "du", "run",
    "doctor", "lessons import", "checkpoint export", "log --graph", "mcp --http", "--help", "bisect run",
    "timeline run",
}  # fmt: skip


def texts() -> Iterator[tuple[str, str]]:
    """Yield every text of the packages that names a command, but for docstrings, with its place."""
    for top in ("chronos", "historian", "skills"):
        for path in sorted((PROJECT / top).rglob("*.py")):
            place = path.relative_to(PROJECT).as_posix()
            tree = ast.parse(path.read_text())
            skipped = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
            for node in ast.walk(tree):
                if isinstance(node, ast.JoinedStr):
                    skipped |= {id(part) for part in node.values}
                text = as_text(node)
                if id(node) not in skipped and "chrono " in text and not place.startswith(FOR_PEOPLE):
                    yield f"{place}:{node.lineno}", text  # type: ignore[attr-defined]


def as_text(node: ast.AST) -> str:
    if isinstance(node, ast.JoinedStr):
        return "".join(as_text(part) or "{x}" for part in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def commands_in(text: str) -> list[str]:
    found = re.findall(r"`chrono ([^`]*)`", text)
    return [text.removeprefix("chrono ")] if text.startswith("chrono ") else found


def test_no_text_that_an_agent_may_see_names_a_command_that_is_an_action() -> None:
    found = dict(texts())
    assert len(found) > 60
    left = {
        place: command for place, text in found.items() for command in commands_in(for_agents(text))
        if not any(command == known or command.startswith(f"{known} ") for known in NO_ACTION)
    }  # fmt: skip
    assert left == {}


def test_every_command_in_a_text_is_marked_as_one() -> None:
    words = r"(?<![`\w/.-])chrono (?:checkpoint|timeline|memory|lessons|risk|undo|redo|verify|status|log|gc|restore) "
    loose = {
        place: text for place, text in texts()
        if re.search(words, f"{text} ") and not text.startswith("chrono ") and "git/refs" not in place
    }  # fmt: skip
    assert loose == {}


def test_every_action_that_is_named_exists_and_takes_what_it_is_given() -> None:
    calls = {call for _, text in texts() for call in re.findall(r"`([a-z_]+(?:\([^`]*\))?)`", for_agents(text))}
    named = [call for call in calls if call.partition("(")[0] in {one.name for one in ACTIONS}]
    assert len(named) > 10
    for call in named:
        name, _, given = call.partition("(")
        known = {one.name for one in find_action(name).parameters}
        assert set(re.findall(r"(\w+)=", given)) <= known, call


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("run `chrono recover`", "run `chrono recover`"),
        ("`chrono checkpoint restore ID --path P`", "`restore_checkpoint`"),
        ("`chrono checkpoint restore a1b2 --path 'my file' --path LICENSE`",
         '`restore_checkpoint(checkpoint_id="a1b2", paths=["my file","LICENSE"])`'),
        ("`chrono checkpoint restore a1b2 --store notes`", "`chrono checkpoint restore a1b2 --store notes`"),
        ("`chrono checkpoint restore a1b2 --memory`", '`restore_checkpoint(checkpoint_id="a1b2", code=false)`'),
        ("chrono timeline merge x --into main", 'merge_timeline(source="x", target="main")'),
        ("`chrono timeline branch NAME --from main@`", '`branch_timeline(checkpoint_id="main@")`'),
        ("`chrono undo` or `chrono undo --skip`", "`undo` or `chrono undo --skip`"),
        ("`chrono verify --deep`", "`verify(deep=true)`"),
        ("`chrono checkpoint show a b`", "`chrono checkpoint show a b`"),
        ("`chrono restore 'unclosed`", "`chrono restore 'unclosed`"),
        ("`chrono`, chrono undo", "`chrono`, chrono undo"),
    ],
)  # fmt: skip
def test_commands_become_the_actions_that_do_the_same(text: str, told: str) -> None:
    assert for_agents(text) == told


def call(session: ActionSession, name: str, /, **arguments: Any) -> dict[str, Any]:
    return to_document(session.call(name, arguments))


def test_results_name_actions_in_our_words_and_leave_the_projects_alone(tree: RepoBuilder) -> None:
    tree.write("`chrono undo`.txt", "a name is a name\n")
    with ActionSession(engine=tree.engine()) as session:
        risk = call(session, "assess_risk", operation="git reset --hard")
        assert "`create_checkpoint`" in risk["advice"]
        taken = call(session, "create_checkpoint", name="one", description="before `chrono undo`")
        tree.write("a.txt", "broken\n")
        found = call(session, "analyze_failure", operation="`chrono undo`", error="ValueError: in a.txt")
        back = f'restore_checkpoint(checkpoint_id="{taken["checkpoint_id"]}")'
        assert found["restore"] == back
        assert f"`{back}`" in found["advice"]
        assert found["operation"] == "`chrono undo`"
        (lesson,) = call(session, "search_lessons")["lessons"]
        assert (lesson["situation"], f"`{back}`" in lesson["feedback"]) == ("`chrono undo`", True)
        shown = call(session, "show_checkpoint", checkpoint_id="one")
        assert shown["description"] == "before `chrono undo`"
        assert [one["path"] for one in call(session, "diff_checkpoints", old="@")["differences"]] == ["a.txt"]
        tree.remove("`chrono undo`.txt")
        changed = call(session, "status")["changed"]
        assert "`chrono undo`.txt" in [one["path"] for one in changed]


def test_what_waits_is_called_by_its_action(tree: RepoBuilder) -> None:
    with ActionSession(engine=tree.engine()) as session:
        branch = call(session, "branch_timeline", name="other")
        Path(branch["path"], "a.txt").write_text("theirs\n")
        tree.write("a.txt", "ours\n")
        call(session, "merge_timeline", source="other")
        assert call(session, "list_conflicts")["command"] == 'merge_timeline(source="other")'


def test_what_an_engine_has_to_tell_names_actions(tree: RepoBuilder) -> None:
    with ActionSession(engine=tree.engine()) as session:
        session.engine.notices.append("it was taken back; `chrono redo` does it again")
        assert session.take_notices() == ["it was taken back; `redo` does it again"]
        with pytest.raises(ChronosError) as caught:
            session.call("show_checkpoint", {"checkpoint_id": "nope"})
        assert describe_error(caught.value)["hint"] == "run `create_checkpoint`"
