"""What a checkpoint does not hold is said, with the reason; and what was left out is never deleted by a restore."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import RepoBuilder, kept_paths, receipt_of

SECRETS = [
    ".env", ".env.local", "prod.env", "id_rsa", "id_ed25519", "server.pem", "private.key", "store.p12", ".netrc",
    ".pypirc", ".git-credentials", "credentials.json", "deep/folder/.env", ".aws/credentials",
]  # fmt: skip
TEMPLATES = [".env.example", ".env.sample", ".env.template", ".env.dist", "id_rsa.pub", "example.env"]


def start(repo: RepoBuilder) -> None:
    repo.write("a.txt", "a\n")
    repo.commit()


def test_secrets_by_name_are_never_captured(repo: RepoBuilder) -> None:
    # pains.md row 25 (entire PR #156): secrets ended up in snapshots.
    start(repo)
    for name in SECRETS:
        repo.write(name, "THE-SECRET-9f31\n")
    engine = repo.engine(CHRONOS_COMPRESS_SNAPSHOTS="false")
    created = engine.take_checkpoint("wanted")
    assert receipt_of(engine, created.checkpoint_id) == dict.fromkeys(SECRETS, "secret")
    assert created.grade.value == "partial"
    found = [path for path in repo.store.rglob("*") if path.is_file() and b"THE-SECRET-9f31" in path.read_bytes()]
    assert found == []


def test_a_tracked_secret_that_was_edited_is_left_out_too(repo: RepoBuilder) -> None:
    repo.write(".env", "committed\n")
    repo.commit()
    repo.write(".env", "THE-SECRET-9f31\n")
    engine = repo.engine(CHRONOS_COMPRESS_SNAPSHOTS="false")
    assert receipt_of(engine, engine.create_checkpoint("wanted")) == {".env": "secret"}
    found = [path for path in repo.store.rglob("*") if path.is_file() and b"THE-SECRET-9f31" in path.read_bytes()]
    assert found == []


def test_templates_of_secret_files_are_captured(repo: RepoBuilder) -> None:
    start(repo)
    for name in TEMPLATES:
        repo.write(name, "TOKEN=\n")
    engine = repo.engine()
    created = engine.take_checkpoint("wanted")
    assert created.receipt == ()
    repo.remove(*TEMPLATES)
    engine.restore_checkpoint(created.checkpoint_id)
    assert {name: repo.read(name) for name in TEMPLATES} == dict.fromkeys(TEMPLATES, b"TOKEN=\n")


@pytest.mark.parametrize("rule", [".env", "/.env"])
def test_a_rule_with_the_exact_name_lets_a_secret_in(repo: RepoBuilder, rule: str) -> None:
    start(repo)
    repo.write(".env", "TOKEN=1\n")
    repo.write(".chronoinclude", f"# our choice\n{rule}\n")
    engine = repo.engine()
    checkpoint = engine.create_checkpoint("wanted")
    assert receipt_of(engine, checkpoint) == {}
    repo.write(".env", "wrecked\n")
    engine.restore_checkpoint(checkpoint)
    assert repo.read(".env") == b"TOKEN=1\n"


@pytest.mark.parametrize("rule", ["*", ".e*", "*.env", "[.]env"])
def test_a_rule_with_wildcards_lets_no_secret_in(repo: RepoBuilder, rule: str) -> None:
    start(repo)
    repo.write(".env", "TOKEN=1\n")
    repo.write(".chronoinclude", f"{rule}\n")
    engine = repo.engine()
    assert receipt_of(engine, engine.create_checkpoint("wanted"))[".env"] == "secret"


def test_a_secret_that_came_after_the_checkpoint_is_not_deleted(repo: RepoBuilder) -> None:
    start(repo)
    engine = repo.engine()
    checkpoint = engine.create_checkpoint("wanted")
    repo.write(".env", "TOKEN=1\n")
    repo.write("a.txt", "wrecked\n")
    engine.restore_checkpoint(checkpoint)
    assert repo.read(".env") == b"TOKEN=1\n"
    assert repo.read("a.txt") == b"a\n"


def test_an_edited_tracked_secret_is_kept_and_listed(repo: RepoBuilder) -> None:
    repo.write(".env", "committed\n")
    repo.write("a.txt", "a\n")
    repo.commit()
    engine = repo.engine()
    checkpoint = engine.create_checkpoint("clean")
    repo.write(".env", "edited, and held by nothing\n")
    repo.write("a.txt", "wrecked\n")
    outcome = engine.restore_checkpoint(checkpoint)
    assert repo.read(".env") == b"edited, and held by nothing\n"
    assert kept_paths(outcome.kept) == {".env"}
    assert repo.read("a.txt") == b"a\n"


def test_a_file_over_the_size_limit_is_said_and_not_deleted_by_a_restore(repo: RepoBuilder) -> None:
    # pains.md row 3 (hermes PR #95491): files skipped by the cap looked "created later" and were deleted.
    start(repo)
    repo.write("large.bin", b"x" * 5000)
    engine = repo.engine(CHRONOS_MAX_FILE_BYTES="4000")
    created = engine.take_checkpoint("wanted")
    assert [(row.path, row.reason.value, row.size) for row in created.receipt] == [(b"large.bin", "too large", 5000)]
    repo.write("a.txt", "wrecked\n")
    outcome = engine.restore_checkpoint(created.checkpoint_id)
    assert repo.read("large.bin") == b"x" * 5000
    assert outcome.deleted == 0
    assert repo.read("a.txt") == b"a\n"


def test_a_file_that_has_shrunk_since_it_was_too_large_is_not_deleted(repo: RepoBuilder) -> None:
    # pains.md row 3: the checkpoint says "not taken", which is not "was not there".
    start(repo)
    repo.write("large.bin", b"x" * 5000)
    engine = repo.engine(CHRONOS_MAX_FILE_BYTES="4000")
    checkpoint = engine.create_checkpoint("wanted")
    repo.write("large.bin", b"small now")
    outcome = engine.restore_checkpoint(checkpoint)
    assert repo.read("large.bin") == b"small now"
    assert outcome.deleted == 0


def test_a_tracked_file_that_grew_over_the_limit_is_kept_and_listed(repo: RepoBuilder) -> None:
    repo.write("data.bin", b"small")
    repo.commit()
    engine = repo.engine(CHRONOS_MAX_FILE_BYTES="4000")
    checkpoint = engine.create_checkpoint("small")
    repo.write("data.bin", b"x" * 5000)
    outcome = engine.restore_checkpoint(checkpoint)
    assert repo.read("data.bin") == b"x" * 5000
    assert kept_paths(outcome.kept) == {"data.bin"}


def test_a_capture_over_its_own_limit_leaves_the_rest_out_and_says_so(repo: RepoBuilder) -> None:
    # pains.md row 15 (codex#19588): a huge untracked file filled the disk.
    start(repo)
    for number in range(4):
        repo.write(f"part{number}.bin", bytes([number]) * 1000)
    engine = repo.engine(CHRONOS_MAX_CAPTURE_BYTES="2500")
    created = engine.take_checkpoint("wanted")
    assert [(row.path, row.reason.value) for row in created.receipt] == [
        (b"part2.bin", "over the capture limit"),
        (b"part3.bin", "over the capture limit"),
    ]
    assert created.grade.value == "partial"
    before = repo.state()
    engine.restore_checkpoint(created.checkpoint_id)
    assert repo.state() == before


def test_ignored_paths_are_listed_with_their_folders_collapsed(repo: RepoBuilder) -> None:
    # pains.md row 16 (cline#4519): walking node_modules took longer than the work itself.
    repo.write(".gitignore", "node_modules/\n*.log\n")
    repo.commit()
    for number in range(50):
        repo.write(f"node_modules/package{number}/index.js", "x\n")
    repo.write("build.log", "log\n")
    engine = repo.engine()
    created = engine.take_checkpoint("wanted")
    ignored = {row.path: row.reason.value for row in created.receipt}
    assert ignored == {b"node_modules/": "ignored", b"build.log": "ignored"}
    assert created.grade.value == "complete", "ignored paths are left out by request"


def test_a_global_ignore_file_is_honoured(repo: RepoBuilder, tmp_path: Path) -> None:
    # Measured trap: with the global configuration cut off, everything it ignores would be captured.
    (tmp_path / "global ignore").write_text("*.swp\n")
    repo.set_global("core.excludesFile", str(tmp_path / "global ignore"))
    start(repo)
    repo.write("notes.swp", "swap\n")
    engine = repo.engine()
    checkpoint = engine.create_checkpoint("wanted")
    assert receipt_of(engine, checkpoint) == {"notes.swp": "ignored"}
    assert engine.show_checkpoint(checkpoint).manifest.files_changed == 0
    repo.write("notes.swp", "swap, later\n")
    repo.write("later.swp", "later\n")
    engine.restore_checkpoint(checkpoint)
    assert repo.read("notes.swp") == b"swap, later\n"
    assert repo.read("later.swp") == b"later\n"


def test_the_ignore_file_in_the_users_configuration_folder_is_honoured(repo: RepoBuilder) -> None:
    home = Path(repo.environment["HOME"])
    (home / ".config/git").mkdir(parents=True)
    (home / ".config/git/ignore").write_text("*.swp\n")
    start(repo)
    repo.write("notes.swp", "swap\n")
    engine = repo.engine()
    assert receipt_of(engine, engine.create_checkpoint("wanted")) == {"notes.swp": "ignored"}


PROGRAM = """
import sys
from chronos import ChronosEngine
with ChronosEngine(root=sys.argv[1]) as engine:
    created = engine.take_checkpoint("wanted")
    print(created.grade.value, *(f"{row.path.decode()}={row.reason.value}" for row in created.receipt), sep="|")
    open(sys.argv[1] + "/a.txt", "w").write("wrecked")
    outcome = engine.restore_checkpoint(created.checkpoint_id)
    print(outcome.deleted, *(row.path.decode() for row in outcome.kept), sep="|")
"""


@pytest.mark.skipif(os.getuid() != 0 or not shutil.which("setpriv"), reason="needs root and setpriv to be another user")
def test_an_unreadable_file_is_said_and_stays() -> None:
    import tempfile

    with tempfile.TemporaryDirectory(prefix="chronos-other-user-") as top:
        os.chmod(top, 0o755)
        home = Path(top, "home")
        home.mkdir()
        (home / "gitconfig").write_text("[user]\nname=a\nemail=b@example.invalid\n[safe]\ndirectory=*\n")
        environment = {**os.environ, "HOME": str(home), "GIT_CONFIG_GLOBAL": str(home / "gitconfig")}
        repo = RepoBuilder(Path(top, "repo"), environment)
        repo.write("a.txt", "a\n")
        repo.write("locked.txt", "tracked\n")
        for name in ("uv.lock", "shut/clean.txt", "shut/edited.txt", "shut/staged.txt"):
            repo.write(name, "tracked\n")
        repo.commit()
        repo.write("shut/edited.txt", "edited\n")
        repo.write("shut/staged.txt", "staged\n")
        repo.git("add", "shut/staged.txt")
        repo.write("locked.txt", "edited\n")
        repo.write("untracked.txt", "untracked\n")
        repo.write("closed/inside.txt", "inside\n")
        subprocess.run(["chown", "-R", "65534:65534", top], check=True)
        for name in ("locked.txt", "untracked.txt", "uv.lock", "closed", "shut"):
            repo.path(name).chmod(0)
            os.chown(repo.path(name), 0, 0)
        shutil.copytree(Path(__file__).parents[2] / "chronos", Path(top, "code/chronos"))
        command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", _readable_python(), "-c", PROGRAM]
        done = subprocess.run(
            [*command, str(repo.root)],
            env={**environment, "PYTHONPATH": f"{top}/code"},
            capture_output=True,
            text=True,
            cwd=top,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        grade, receipt = done.stdout.splitlines()[0].partition("|")[::2]
        assert grade == "partial"
        assert set(receipt.split("|")) >= {
            f"{name}=unreadable"
            for name in ("locked.txt", "untracked.txt", "closed", "shut", "shut/clean.txt", "shut/staged.txt")
        }
        environment_file = next(repo.store.glob("main/*/env_config.json"))
        assert json.loads(environment_file.read_bytes())["unreadable_lock_files"] == ["uv.lock"]
        assert done.stdout.splitlines()[1].split("|")[0] == "0"
        assert repo.read("a.txt") == b"a\n"
        kept = {
            "locked.txt": b"edited\n",
            "untracked.txt": b"untracked\n",
            "closed/inside.txt": b"inside\n",
            "shut/edited.txt": b"edited\n",
            "shut/staged.txt": b"staged\n",
        }
        assert {name: repo.read(name) for name in kept} == kept


def _readable_python() -> str:
    """Return this interpreter, if another user may run it."""
    able = [
        "setpriv",
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
        sys.executable,
        "-c",
        "import blake3, msgspec",
    ]
    if subprocess.run(able, capture_output=True).returncode:
        pytest.skip(f"another user may not run {sys.executable}")
    return sys.executable


KEYS = {
    "deploy.py": 'KEY = "AKIA' + 'Q3EXAMPLE7EXAMPL"\n',
    "ci.yml": "token: ghp_" + "a1B2" * 9 + "\n",
    "notes.txt": "-----BEGIN " + "OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAA\n",
}


def test_a_secret_inside_another_file_is_captured_and_warned_of(repo: RepoBuilder) -> None:
    # pains.md row 25: a scan at capture; leaving the file out would lose work.
    start(repo)
    for name, text in KEYS.items():
        repo.write(name, text)
    repo.write("prose.txt", "AKIA is how such keys begin, ghp_ and sk-ant- too\n")
    engine = repo.engine()
    created = engine.take_checkpoint("wanted")
    assert created.receipt == ()
    assert created.grade.value == "complete"
    assert [(found.path, found.line, found.what) for found in created.secrets] == [
        (b"ci.yml", 1, "a GitHub token"),
        (b"deploy.py", 1, "an AWS access key"),
        (b"notes.txt", 1, "a private key"),
    ]
    assert created.warnings == ()
    repo.remove(*KEYS)
    assert engine.restore_checkpoint(created.checkpoint_id).warnings == ()
    assert {name: repo.read(name).decode() for name in KEYS} == KEYS


def test_a_secret_deep_in_a_large_file_and_in_the_index_alone_is_warned_of(repo: RepoBuilder) -> None:
    start(repo)
    repo.write("large.log", "a line of a log\n" * 200_000 + KEYS["deploy.py"] + "another line\n" * 200_000)
    repo.write("staged.py", KEYS["ci.yml"])
    repo.git("add", "staged.py")
    repo.write("staged.py", "cleaned up\n")
    engine = repo.engine()
    found = engine.show_checkpoint(engine.create_checkpoint("wanted"), scan=True).secrets
    assert [(row.path, row.what) for row in found] == [
        (b"large.log", "an AWS access key"),
        (b"staged.py", "a GitHub token"),
    ]
