"""Include rules reach into ignored paths and lift the size limit; nothing ignored is taken without one."""

from __future__ import annotations

from tests.support import RepoBuilder, check_round_trip, receipt_of, tree_digest


def start(repo: RepoBuilder, rules: str) -> None:
    repo.write(".gitignore", "out/\n*.log\nlocal.db\n")
    repo.write("a.txt", "a\n")
    repo.commit()
    repo.write(".chronoinclude", rules)
    repo.write("out/keep/result.csv", "1,2\n")
    repo.write("out/scratch.tmp", "scratch\n")
    repo.write("build.log", "log\n")
    repo.write("local.db", "db\n")


def test_an_ignored_file_that_a_rule_names_is_captured_and_comes_back(repo: RepoBuilder) -> None:
    start(repo, "# results are work\nout/keep/\nlocal.db\n")
    engine = repo.engine()

    def damage(tree: RepoBuilder) -> None:
        tree.write("out/keep/result.csv", "wrecked\n")
        tree.remove("local.db")

    check_round_trip(repo, damage, engine)
    left_out = receipt_of(engine, "wanted")
    assert left_out["build.log"] == "ignored"
    assert "local.db" not in left_out


def test_a_rule_can_take_an_ignored_folder_but_for_a_part(repo: RepoBuilder) -> None:
    start(repo, "out/**\n!out/*.tmp\n")
    engine = repo.engine()
    checkpoint = engine.create_checkpoint("wanted")
    repo.write("out/keep/result.csv", "wrecked\n")
    repo.write("out/scratch.tmp", "scratch, later\n")
    engine.restore_checkpoint(checkpoint)
    assert repo.read("out/keep/result.csv") == b"1,2\n"
    assert repo.read("out/scratch.tmp") == b"scratch, later\n"


def test_without_a_rule_ignored_files_stay_as_they_are(repo: RepoBuilder) -> None:
    start(repo, "")
    engine = repo.engine()
    checkpoint = engine.create_checkpoint("wanted")
    repo.write("out/keep/result.csv", "later\n")
    repo.write("out/more.csv", "more\n")
    repo.remove("build.log")
    engine.restore_checkpoint(checkpoint)
    assert repo.read("out/keep/result.csv") == b"later\n"
    assert repo.read("out/more.csv") == b"more\n"
    assert not repo.exists("build.log")


def test_a_rule_lifts_the_size_limit(repo: RepoBuilder) -> None:
    start(repo, "out/large.bin\n")
    content = b"".join(b"%d\n" % number for number in range(300_000))
    repo.write("out/large.bin", content)
    repo.write("other.bin", b"x" * 200_000)
    engine = repo.engine(CHRONOS_MAX_FILE_BYTES="100000")
    checkpoint = engine.create_checkpoint("wanted")
    left_out = receipt_of(engine, checkpoint)
    assert left_out["other.bin"] == "too large"
    assert "out/large.bin" not in left_out
    repo.remove("out/large.bin")
    engine.restore_checkpoint(checkpoint)
    assert repo.read("out/large.bin") == content


def test_rules_from_the_configuration_count_like_those_of_the_file(repo: RepoBuilder) -> None:
    start(repo, "")
    repo.write("pyproject.toml", '[tool.chronos]\ninclude = ["local.db"]\n')
    engine = repo.engine()
    checkpoint = engine.create_checkpoint("wanted")
    repo.remove("local.db")
    engine.restore_checkpoint(checkpoint)
    assert repo.read("local.db") == b"db\n"


def test_an_included_file_that_came_after_the_checkpoint_goes_again(repo: RepoBuilder) -> None:
    start(repo, "out/keep/\n")
    engine = repo.engine()
    checkpoint = engine.create_checkpoint("wanted")
    repo.write("out/keep/later.csv", "later\n")
    engine.restore_checkpoint(checkpoint)
    assert repo.read("out/keep/result.csv") == b"1,2\n"
    outcome = engine.undo() if not repo.exists("out/keep/later.csv") else None
    assert repo.read("out/keep/later.csv") == b"later\n", f"held by nothing: {outcome}"


def test_rules_reach_into_a_submodule_and_an_embedded_repository(repo: RepoBuilder) -> None:
    start(repo, "inner/out.log\n")
    inner = RepoBuilder(repo.root / "inner", repo.environment)
    inner.write(".gitignore", "*.log\n")
    inner.write("b.txt", "b\n")
    inner.commit()
    inner.write("out.log", "wanted\n")
    engine = repo.engine()
    checkpoint = engine.create_checkpoint("wanted")
    inner.write("out.log", "wrecked\n")
    engine.restore_checkpoint(checkpoint)
    assert inner.read("out.log") == b"wanted\n"


def test_a_rules_file_that_is_a_link_is_not_followed(repo: RepoBuilder) -> None:
    start(repo, "")
    outside = repo.root.parent / "rules"
    outside.write_text("local.db\n")
    repo.link(".chronoinclude", str(outside))
    engine = repo.engine()
    assert receipt_of(engine, engine.create_checkpoint("wanted"))["local.db"] == "ignored"


def test_a_file_that_a_rule_names_on_another_line_end_is_found(repo: RepoBuilder) -> None:
    start(repo, "local.db\r\n\r\nbuild.log   \r\n")
    engine = repo.engine()
    assert not {"local.db", "build.log"} & receipt_of(engine, engine.create_checkpoint("wanted")).keys()


def test_a_repository_inside_an_included_ignored_folder_is_captured(repo: RepoBuilder) -> None:
    repo.write(".gitignore", "vendor/\n")
    repo.write(".chronoinclude", "vendor/\n")
    repo.commit()
    inner = RepoBuilder(repo.root / "vendor/lib", repo.environment)
    inner.write("tracked.txt", "tracked\n")
    inner.commit()
    inner.write("new.txt", "new\n")
    wanted = tree_digest(repo.root)
    engine = repo.engine()
    created = engine.take_checkpoint("wanted")
    assert "vendor/lib/.git/" in receipt_of(engine, created.checkpoint_id)
    assert not created.store_is_visible
    repo.remove("vendor")
    engine.restore_checkpoint(created.checkpoint_id)
    assert tree_digest(repo.root) == wanted
