"""Secrets are said by their place, and never printed or stored themselves."""

from __future__ import annotations

from tests.cli.conftest import Program
from tests.support import RepoBuilder
from tests.support.planting import is_stored

TOKEN = "gh" + "p_" + "a1B2c3" * 6
URL_SECRET = "ax7" + "q9wTokenInUrl"


def test_no_secret_of_the_environment_or_of_a_remote_is_stored_or_printed(chrono: Program, repo: RepoBuilder) -> None:
    # pains.md row 25, faults.md T9.
    remote = f"https://joe:{URL_SECRET}@git.corp.net/a.git"
    repo.git("remote", "add", "origin", remote)
    repo.git("update-ref", "refs/remotes/origin/main", "HEAD")
    repo.git("branch", "--set-upstream-to=origin/main")
    secrets = {
        "MY_SETTING": TOKEN, "MY_TOKEN": "plain-9f31", "DB_PASSWD": "plain-9f32", "HTTP_PROXY": f"http://j:{URL_SECRET}@p.net",
        "SOURCE_URL": f"https://{URL_SECRET}@git.corp.net/", "NOT_ALLOWED": "plain-9f33",
    }  # fmt: skip
    allowed = ":".join([*(name for name in secrets if name != "NOT_ALLOWED"), "PLAIN"])
    variables = {**secrets, "PLAIN": "shown-9f34", "CHRONOS_ENVIRONMENT_VARIABLES": allowed}
    repo.write("a.txt", "edited\n")
    printed = ""
    for words in (("checkpoint", "create", "one"), ("checkpoint", "show", "one", "--json"), ("status", "--json"),
                  ("init",), ("doctor",), ("verify",), ("log", "--json"), ("checkpoint", "show", "nothing"),
                  ("checkpoint", "create", "bad//../name")):  # fmt: skip
        result = chrono.run(*words, **variables)
        printed += result.out + result.err
    for canary in (TOKEN, URL_SECRET, "plain-9f3"):
        assert canary not in printed
        assert not is_stored(repo.store, canary.encode())
    assert is_stored(repo.store, b"shown-9f34")


def test_create_and_show_say_where_and_never_what(chrono: Program, repo: RepoBuilder) -> None:
    repo.write("b.txt", f"one\n{TOKEN}\n")
    created = chrono.good("checkpoint", "create", "one")
    assert "b.txt:2 looks like a secret: a GitHub token" in created.err
    again = chrono.good("checkpoint", "create", "two")
    assert "b.txt" not in again.err and "1 place, as before" in again.err
    shown = chrono.good("checkpoint", "show", "two")
    assert "b.txt:2  a GitHub token" in shown.out
    document = chrono.good("checkpoint", "show", "two", "--json").json
    assert document["secrets"] == [{"path": "b.txt", "line": 2, "what": "a GitHub token", "scanner": "forms"}]
    assert chrono.good("checkpoint", "create", "three", "--json").json["secrets"][0]["new"] is False
    for result in (created, again, shown):
        assert TOKEN not in result.out + result.err


def test_doctor_says_once_that_detect_secrets_is_missing(chrono: Program, repo: RepoBuilder) -> None:
    broken = repo.root.parent / "shadow"
    broken.mkdir()
    (broken / "sitecustomize.py").write_text("import sys\nsys.modules['detect_secrets'] = None\n")
    path = f"{broken}:{chrono.environment['PYTHONPATH']}"
    repo.write("a.py", "x = 1\n")
    assert "detect-secrets" not in chrono.good("doctor").out
    assert "detect-secrets is not installed" in chrono.run("doctor", PYTHONPATH=path).out
    created = chrono.good("checkpoint", "create", "one", PYTHONPATH=path)
    assert created.err == ""
    assert chrono.good("checkpoint", "show", "one", "--scan", PYTHONPATH=path).code == 0
