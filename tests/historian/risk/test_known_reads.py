"""What is told at a glance to only read is judged to be of low risk, and what writes is never told so."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from historian.risk import Assessor, Operation, OperationKind, is_known_read, known_reads

FOLDER = Path(__file__).parent
ASSESSOR = Assessor()


@pytest.mark.parametrize(
    "command",
    [
        "git status", "git status --short && git diff | head -50", "git -C sub log --oneline -5 -- a.txt",
        "git branch -a",
        "git --no-pager diff HEAD~3 -- 'a b.txt'", "git stash list", "ls -la src/ 2>/dev/null", "pwd; ls",
        "cat a.txt|wc -l",
        "grep -rn \"x|y; rm\" src | sort -rn | head", "rg -n 'TODO: .*' -g '*.py'",
        "find . -name '*.py' -not -path './x/*'",
        "cd src && ls", "sed -n '10,20p' a.txt", "head -5 a.txt 2>&1", "node --version", "echo 'a; rm -rf b'",
        "ls *.py",
        "diff a.txt b.txt || true", "jq -r '.[] | .name' a.json", "sha256sum a.txt && md5sum a.txt",
        "ps aux | grep node",
        "tac a.txt | paste - -", "sleep 1; uptime", "strings a.bin | head", "seq 3 | rev",
        "column -t a.txt", "id; nproc; free", "awk 1 a.txt", "awk -F: -v n=2 '{print $n}' a.txt | sort -u",
        "tar tzf a.tgz",
        "awk -F ',' 'NR==2 {print $1}' a.csv", "tar -tvf a.tar | head", "tree -L 2 -I node_modules src", "date +%s",
        "date -u", "npm ls --depth=0", "pip show x", "docker ps -a", "gh pr view 3", "date",
        "command -v node", "test -f a.txt && cat a.txt", "[ -d src ] || echo none", "git grep -n TODO", "tree",
        "git cat-file -p HEAD", "systemctl status x",
    ],
)  # fmt: skip
def test_a_plain_reader_is_known(command: str) -> None:
    assert is_known_read(command)
    assert ASSESSOR.assess(Operation(text=command, kind=OperationKind.SHELL)).level.value == "low"


@pytest.mark.parametrize(
    "command",
    [
        "", " ", "npm test", "rm a", "ls; rm a", "ls & rm a", "ls\nrm a", "ls \\\n; rm a", "ls `rm a`", "ls $(rm a)",
        "cat <(rm a)",
        "echo \"$(rm a)\"", "echo \"`rm a`\"", "echo hi > a", "echo hi >> a", "ls 2>a", "ls >&a", "cat a | tee b",
        "cat a | sh",
        "find . -delete", "find . -exec rm {} +", "find . -fprint a", "sort -o a b", "sort -no a b",
        "sort --output=a b",
        "git branch new", "git branch -D old", "git stash", "git tag v1", "git remote add x y", "git diff --output=a",
        "git grep -Oless x", "git -c alias.status=!rm status", "git checkout a", "git worktree prune", "rg --pre ./x y",
        "sed -i s/a/b/ a", "sed -n 'w b' a", "sed -n 5p -i a", "A=1 ls", "./ls", "~/bin/ls", "sudo ls", "xargs rm",
        "env ls",
        "! ls", "(ls)", "{ ls; }", "ls # a", "echo \"a\\\"; rm b\"", "if ls; then rm a; fi", "cd a && make",
        "awk '{print > \"out\"}' a.txt", "awk 'BEGIN {system(\"rm a\")}'", "awk -f run.awk a.txt",
        "awk -i inplace 1 a.txt",
        "awk '{print | \"sh\"}' a", "awk '{\"date\" | getline x}'", "awk '@load \"filefuncs\"; 1' a", "awk",
        "awk -vx=1 1 a",
        "awk --source 1 a", "tar xf a.tar", "tar -tf a.tar --to-command=sh", "tar -tIsh -f a", "tar -cf a.tar b", "tar",
        "tree -o out", "tree -R -L 1", "date -s 12:00", "date 11261200", "npm install", "npm", "pip install x",
        "docker run x", "kubectl delete pod x", "kubectl -n x get pods", "gh pr merge 3", "gh pr", "command rm a",
        "cargo tree", "kubectl get pods", "pnpm list", "pip list --log a", "arch -x86_64 rm a", "tar tf host:a.tar",
        "git cat-file --filters HEAD:a", "tar tf '' -I sh", "awk -F",
        "command -p rm a", "systemctl stop x", "git grep -O x", "git update-ref x y", "file -C -m a", "xxd a b",
        "ls " + "a" * 3000,
    ],
)  # fmt: skip
def test_all_else_is_not_known(command: str) -> None:
    assert not is_known_read(command)


def test_every_labelled_command_that_is_known_is_labelled_low() -> None:
    lines = (FOLDER / "labelled_commands.txt").read_text("utf-8").splitlines()
    cases = [(level, text.replace("\\n", "\n")) for *_, level, text in (line.split("\t") for line in lines if line)]
    known = {text: level for level, text in cases if is_known_read(text)}
    assert len(known) > 5
    assert set(known.values()) == {"low"}


@given(
    st.lists(st.sampled_from([*"a.b/:@,%+^~=*?[]- \t", "ls", "git", "status", "-n", "1p", "sed", "find"]), max_size=9)
)
def test_plain_words_are_told_apart_as_others_are(parts: list[str]) -> None:
    command = "".join(parts)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(known_reads, "_PLAIN", frozenset())
        by_pattern = is_known_read(command)
    assert is_known_read(command) is by_pattern
