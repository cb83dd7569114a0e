"""What a git command hits is named: the branch, tag, reflog or folder, never an option's value or a subcommand."""

from __future__ import annotations

import pytest

from historian.risk import Assessor

ASSESSOR = Assessor()


@pytest.mark.parametrize(
    ("command", "targets"),
    [
        ("git commit --amend -m x", ["HEAD"]),
        ("git commit --amend -am x", ["HEAD"]),
        ("git commit --amend --author x --no-edit a.txt", ["HEAD"]),
        ("git worktree remove --force ../wt", ["../wt"]),
        ("git reflog expire --expire=now --all", ["HEAD"]),
        ("git reflog expire --expire now main", ["main"]),
        ("git reflog delete HEAD@{1}", ["HEAD@{1}"]),
        ("git push origin :main", ["origin", "main"]),
        ("git push origin +main:prod", ["origin", "prod"]),
        ("git push --force origin main", ["origin", "main"]),
        ("git push --force-with-lease origin HEAD:refs/heads/main", ["origin", "main"]),
        ("git push --delete origin old older", ["origin", "old", "older"]),
        ("git push origin --delete tag v1", ["origin", "v1"]),
        ("git push -o ci.skip -f origin main", ["origin", "main"]),
        ("git push --force", ["origin", "HEAD"]),
        ("git push origin main", ["origin"]),
        ("git rebase -i HEAD~3", ["HEAD"]),
        ("git rebase --onto main topic~2 topic", ["topic"]),
        ("git rebase -x 'make test' main", ["HEAD"]),
        ("git branch -f old HEAD~2", ["old"]),
        ("git branch -M old new", ["new"]),
        ("git branch -D old older", ["old", "older"]),
        ("git checkout -B old origin/main", ["old"]),
        ("git switch -C old origin/main", ["old"]),
        ("git tag -f -m x v1 HEAD~1", ["v1"]),
        ("git tag -d v1", ["v1"]),
        ("git update-ref -m x refs/heads/main 1a2b3c", ["main"]),
        ("git update-ref -d refs/heads/main", ["main"]),
        ("git gc --prune=now", ["HEAD"]),
        ("git stash drop stash@{0}", ["stash"]),
        ("git rm -r src", ["src"]),
    ],
)
def test_the_target_is_what_is_rewritten_or_removed(command: str, targets: list[str]) -> None:
    assert [target.what for target in ASSESSOR.assess(command).targets] == targets


@pytest.mark.parametrize("command", ["git stash", "git stash -u", "git stash --keep-index", "git stash -- a.txt"])
def test_a_bare_stash_is_a_known_command(command: str) -> None:
    found = ASSESSOR.assess(command)
    assert found.level.value == "medium"
    assert not any("no command of git" in reason for reason in found.reasons)
