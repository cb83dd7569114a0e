"""The verdict as a whole: reasons, weights, past failures, tool calls and files, and inputs of any size."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from chronos.errors import UsageError
from historian.risk import Assessor, Operation, OperationKind, Precedent, RiskLevel

ASSESSOR = Assessor()


def level(**given: object) -> str:
    return ASSESSOR.assess(Operation(**given)).level.value  # type: ignore[arg-type]


def test_nothing_is_nothing_to_assess() -> None:
    with pytest.raises(UsageError):
        ASSESSOR.assess("  \n")


def test_a_verdict_says_why_and_what_every_rule_counted() -> None:
    found = ASSESSOR.assess("ls && rm -rf src")
    assert found.reasons == ("rm removes src",)
    assert [signal.rule for signal in found.signals] == ["path.delete", "command.ls"]
    assert found.targets[0].what == "src"
    assert found.covered is None


def test_a_past_failure_that_resembles_it_raises_the_score_and_is_named() -> None:
    asked: list[Operation] = []

    def find(operation: Operation) -> Sequence[Precedent]:
        asked.append(operation)
        return [Precedent("l1", "the import left half of the rows", 0.9)]

    plain = ASSESSOR.assess("update the prices")
    found = Assessor(precedents=find).assess("update the prices")
    assert plain.score < found.score <= 1
    assert found.reasons[0] == "resembles a past failure (lesson l1): the import left half of the rows"
    assert found.signals[-1].rule == "lesson.l1"
    assert asked[0].text == "update the prices"


@pytest.mark.parametrize(
    ("text", "kind"),
    [("explain how the database migration works", None), ("SELECT * FROM users", OperationKind.SQL),
     ("cat migrations/0001.sql", OperationKind.SHELL)],
)  # fmt: skip
def test_what_only_reads_stays_low_whatever_failed_that_it_speaks_of(text: str, kind: OperationKind | None) -> None:
    failures = [Precedent(f"l{number}", "it failed", 1.0) for number in range(3)]
    found = Assessor(precedents=lambda _: failures).assess(Operation(text=text, kind=kind))
    assert found.level is RiskLevel.LOW
    assert found.score > ASSESSOR.assess(Operation(text=text, kind=kind)).score
    assert "l0" in found.reasons[0]


def test_what_leaves_the_machine_is_named_also_behind_a_wrapper() -> None:
    assert ASSESSOR.assess("git push").effects == ("push to the remote",)
    assert any("POST" in effect for effect in ASSESSOR.assess("sudo curl -d a=1 https://x.example.org/y").effects)
    assert ASSESSOR.assess("PGHOST=x psql -h db.example.org -c 'delete from t'").effects == (
        "change of the remote database at db.example.org",
    )
    assert ASSESSOR.assess("git push --dry-run").effects == ()
    assert ASSESSOR.assess("publish the release to npm").effects == ("publication",)


def test_a_command_that_does_not_parse_says_so_and_is_never_low() -> None:
    found = ASSESSOR.assess("ls 'src")
    assert found.level.value == "medium"
    assert any("does not parse" in reason for reason in found.reasons)
    assert ASSESSOR.assess("if then ((; rm -rf src").level.value == "high"


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (OperationKind.SHELL, "ls; " * 20_000),
        (OperationKind.SHELL, "a|" * 40_000),
        (OperationKind.SHELL, ")" * 70_000),
        (OperationKind.SHELL, "echo $(" * 3000),
        (OperationKind.SHELL, "eval " * 30_000 + "x"),
        (OperationKind.SHELL, "for i in a; do " * 2000 + "ls"),
        (OperationKind.SHELL, "seq 9; printf '" + "a\\n" * 20 + "' | " + "xargs -I{} " * 25 + "touch {}"),
        (OperationKind.SQL, "SELECT 1;" * 3000),
        (OperationKind.SQL, "SELECT " + "(" * 20_000),
        (OperationKind.SQL, "select " + "a " * 20_000),
    ],
)
def test_of_a_huge_text_a_bounded_part_is_judged_and_it_is_never_low(kind: OperationKind, text: str) -> None:
    found = ASSESSOR.assess(Operation(text=text, kind=kind))
    assert found.level.value == "medium"
    assert len(found.signals) < 250
    assert any(signal.rule in ("bounds", "shell.unparsed") for signal in found.signals)


@pytest.mark.parametrize(
    "text",
    [
        "'" * 70_000,
        "x=" + "$x" * 5000,
        "\0" * 70_000,
        "rm \ud800",
        "run codespan" + "9" * 5000 + " `ls`",
        "read the log " * 10_000,
    ],
)
def test_a_text_of_any_form_is_assessed(text: str) -> None:
    assert ASSESSOR.assess(text).score >= 0


def test_many_findings_do_not_hide_the_worst() -> None:
    text = "\n".join(f"echo {number}" for number in range(400)) + "\nrm -rf src"
    assert ASSESSOR.assess(text).level.value == "high"
    assert ASSESSOR.assess("ls && " * 1200 + "rm -rf src").level.value == "high"
    assert (
        ASSESSOR.assess(Operation(text="SELECT 1;\n" * 4000 + "DROP TABLE x", kind=OperationKind.SQL)).level.value
        == "high"
    )


def test_a_command_inside_a_long_text_is_still_found() -> None:
    assert ASSESSOR.assess("read the log. " * 6000 + "Then drop the database.").level.value == "high"
    assert ASSESSOR.assess("true\n" * 20_000 + "rm -rf src").level.value == "high"


def test_commands_within_commands_end_somewhere() -> None:
    text = "rm -rf src"
    for _ in range(4):
        text = "sh -c '" + text.replace("'", "'\\''") + "'"
    assert ASSESSOR.assess(text).level.value == "high"
    assert ASSESSOR.assess("f() { f; }; f").level.value == "medium"


def test_arguments_are_taken_as_they_are() -> None:
    assert level(argv=("rm", "-rf", "a b")) == "high"
    assert level(argv=("git", "reset", "--hard")) == "high"
    assert level(argv=("grep", "; rm -rf x", "file")) == "low"
    assert level(argv=("bash", "-c", "rm x")) == "high"


@pytest.mark.parametrize(
    ("wanted", "tool", "arguments"),
    [
        ("high", "Bash", {"command": "rm -rf src"}),
        ("low", "Bash", {"command": "git status"}),
        ("high", "run_terminal_cmd", {"command": "terraform destroy"}),
        ("high", "shell", {"command": ["bash", "-lc", "rm -rf src"]}),
        ("medium", "Write", {"file_path": "src/a.py", "content": "x"}),
        ("medium", "str_replace_based_edit_tool", {"command": "str_replace", "path": "a.py"}),
        ("low", "str_replace_based_edit_tool", {"command": "view", "path": "a.py"}),
        ("low", "Read", {"file_path": "migrations/1.py"}),
        ("high", "delete_file", {"path": "src/a.py"}),
        ("high", "mcp__postgres__query", {"sql": "DROP TABLE x"}),
        ("low", "execute_sql", {"query": "SELECT 1"}),
        ("medium", "send_email", {"to": "a@example.org"}),
        ("low", "web_search", {"query": "how to delete everything"}),
        ("low", "browser_snapshot", {}),
        ("high", "deleteCustomer", {"id": 4}),
        ("high", "python", {"code": "import shutil; shutil.rmtree('x')"}),
        ("medium", "frobnicate", {}),
        ("high", "http_request", {"method": "DELETE", "url": "https://x.example.org"}),
    ],
)
def test_a_tool_call_is_what_it_does(wanted: str, tool: str, arguments: dict[str, object]) -> None:
    assert level(tool=tool, arguments=arguments) == wanted


@pytest.mark.parametrize(
    ("wanted", "path", "change"),
    [
        ("medium", "src/app.py", "update"), ("medium", "src/app.py", "create"), ("high", "src/app.py", "delete"),
        ("high", ".git/config", "update"), ("high", "data/timelines/main/timeline.json", "update"),
        ("high", "db/migrations/0001_init.py", "update"), ("medium", "db/migrations/0002_new.py", "create"),
        ("high", ".env", "update"), ("medium", "poetry.lock", "update"),
        ("medium", ".github/workflows/ci.yml", "update"),
        ("medium", "/tmp/x/y", "delete"), ("medium", "src/app.py", "rename"), ("low", "src/app.py", "read"),
        ("high", "infra/terraform.tfstate", "update"),
    ],
)  # fmt: skip
def test_a_file_counts_by_what_it_is(wanted: str, path: str, change: str) -> None:
    assert level(kind=OperationKind.FILE, path=path, change=change) == wanted


def test_a_large_change_of_a_file_counts_more() -> None:
    small, large = (ASSESSOR.assess(Operation(path="a.py", size_bytes=size)).score for size in (100, 1_000_000))
    assert small < large
