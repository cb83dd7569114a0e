"""Merging: what both timelines did to their files, committed or not, comes together, or nothing changes at all."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from chronos import ChronosEngine
from chronos.errors import (
    ChangedMeanwhileError,
    NoCommonCheckpointError,
    UnknownConflictError,
    UnknownTimelineError,
    UsageError,
)
from chronos.git import GitCommand
from chronos.merging import Choice, ConflictKind, Resolution
from tests.support import RepoBuilder, tree_digest
from tests.timelines.pairs import Executable, Files, Link, Pair, has, text, untouched, write

BASE: Files = {
    "a.txt": text(), "b.txt": text(l1="b"), "run.sh": "run\n", "link": Link("a.txt"), "data.bin": b"\0base",
    "sub/one.txt": text(l1="one"), "sub/two.txt": text(l1="two"), "keys.json": '{"a": 1, "b": 2}\n',
}  # fmt: skip


@dataclass(frozen=True)
class Way:
    """What each side does to `BASE`, and what comes of it: files, or conflicts by path."""

    ours: Files
    theirs: Files
    result: Files = field(default_factory=dict)
    conflicts: dict[str, ConflictKind] = field(default_factory=dict)


WAYS = {
    "lines on both sides": Way(
        {"a.txt": text(l2="ours")}, {"a.txt": text(l19="theirs")}, {"a.txt": text(l2="ours", l19="theirs")}
    ),
    "the same on both sides": Way({"a.txt": text(l2="both")}, {"a.txt": text(l2="both")}, {"a.txt": text(l2="both")}),
    "the same lines": Way(
        {"a.txt": text(l2="ours")}, {"a.txt": text(l2="theirs")}, conflicts={"a.txt": ConflictKind.CONTENT}
    ),
    "new files": Way({"ours.txt": "o\n"}, {"theirs/t.txt": "t\n"}, {"ours.txt": "o\n", "theirs/t.txt": "t\n"}),
    "the same new file": Way({"new.txt": "same\n"}, {"new.txt": "same\n"}, {"new.txt": "same\n"}),
    "another new file of one name": Way(
        {"new.txt": "o\n"}, {"new.txt": "t\n"}, conflicts={"new.txt": ConflictKind.ADDED}
    ),
    "a rename there and an edit here": Way(
        {"a.txt": text(l2="ours")}, {"a.txt": None, "moved.txt": text()}, {"a.txt": None, "moved.txt": text(l2="ours")}
    ),
    "a rename here and an edit there": Way(
        {"a.txt": None, "moved.txt": text()},
        {"a.txt": text(l2="theirs")},
        {"a.txt": None, "moved.txt": text(l2="theirs")},
    ),
    "two renames": Way(
        {"a.txt": None, "ours.txt": text()},
        {"a.txt": None, "theirs.txt": text()},
        conflicts={"ours.txt": ConflictKind.RENAMED, "theirs.txt": ConflictKind.RENAMED},
    ),
    "deleted there, untouched here": Way({"b.txt": "x\n"}, {"a.txt": None}, {"a.txt": None, "b.txt": "x\n"}),
    "deleted there, edited here": Way(
        {"a.txt": text(l2="ours")}, {"a.txt": None}, conflicts={"a.txt": ConflictKind.DELETED}
    ),
    "deleted here, edited there": Way(
        {"a.txt": None}, {"a.txt": text(l2="theirs")}, conflicts={"a.txt": ConflictKind.DELETED}
    ),
    "deleted on both sides": Way({"a.txt": None}, {"a.txt": None}, {"a.txt": None}),
    "a mode there and an edit here": Way(
        {"run.sh": "walk\n"}, {"run.sh": Executable("run\n")}, {"run.sh": Executable("walk\n")}
    ),
    "a link that leads elsewhere": Way({"a.txt": "x\n"}, {"link": Link("b.txt")}, {"link": Link("b.txt")}),
    "two links that lead elsewhere": Way(
        {"link": Link("b.txt")}, {"link": Link("sub")}, conflicts={"link": ConflictKind.BINARY}
    ),
    "a link that became a file": Way({"a.txt": "x\n"}, {"link": "a file now\n"}, {"link": "a file now\n"}),
    "a binary there": Way({"a.txt": "x\n"}, {"data.bin": b"\0theirs"}, {"data.bin": b"\0theirs"}),
    "two binaries": Way(
        {"data.bin": b"\0ours"}, {"data.bin": b"\0theirs"}, conflicts={"data.bin": ConflictKind.BINARY}
    ),
    "a file that became a folder": Way(
        {"b.txt": "x\n"}, {"a.txt": None, "a.txt/in.txt": "in\n"}, {"a.txt/in.txt": "in\n"}
    ),
    "a folder that became a file": Way(
        {"b.txt": "x\n"}, {"sub": None, "sub/one.txt": None, "sub/two.txt": None}, {"sub": None}
    ),
    "a folder against an edited file": Way(
        {"a.txt": text(l2="ours")}, {"a.txt": None, "a.txt/in.txt": "in\n"}, conflicts={"a.txt": ConflictKind.PLACE}
    ),
    "a folder renamed there and a new file in it here": Way(
        {"sub/three.txt": "three\n"},
        {
            "sub/one.txt": None,
            "sub/two.txt": None,
            "moved/one.txt": text(l1="one"),
            "moved/two.txt": text(l1="two"),
        },
        conflicts={"moved/three.txt": ConflictKind.RENAMED},
    ),
    "keys of one line": Way(
        {"keys.json": '{"a": 7, "b": 2}\n'}, {"keys.json": '{"a": 1, "b": 8}\n'}, {"keys.json": '{"a": 7, "b": 8}\n'}
    ),
    "names that are hard to write": Way(
        {"sp ace": "s\n", "quo\"te'": "q\n"},
        {"new\nline": "n\n", "-dash": "d\n", "é\udcff": "bytes\n"},
        {"sp ace": "s\n", "quo\"te'": "q\n", "new\nline": "n\n", "-dash": "d\n", "é\udcff": "bytes\n"},
    ),
}


@pytest.fixture
def pair(repo: RepoBuilder) -> Pair:
    """Two timelines that begin with `BASE`, committed."""
    write(repo, BASE)
    repo.commit("base")
    return Pair(repo)


@pytest.mark.parametrize(("ours", "theirs"), [("loose", "committed"), ("committed", "loose")])
@pytest.mark.parametrize("name", WAYS)
def test_what_both_did_comes_together(pair: Pair, name: str, ours: str, theirs: str) -> None:
    way = WAYS[name]
    write(pair.here, {path: node for path, node in way.ours.items() if path != "sub"})
    write(pair.there, {path: node for path, node in way.theirs.items() if path != "sub"})
    if ours == "committed":
        pair.here.commit("ours")
    if theirs == "committed":
        pair.there.commit("theirs")
    before, kept, kept_there = pair.files(), untouched(pair.here), pair.there.state()
    done = pair.engine.merge_timeline("exp")
    assert {one.path.decode(): one.kind for one in done.conflicts} == way.conflicts
    assert untouched(pair.here) == kept, "HEAD or the index was moved"
    assert pair.there.state() == kept_there, "the source was touched"
    if way.conflicts:
        assert pair.files() == before, "something was half merged"
        assert not done.is_done
        return
    assert done.is_done
    has(pair.here, way.result)
    changed = {*way.ours, *way.theirs, *way.result}
    has(pair.here, {path: node for path, node in BASE.items() if not any(path.startswith(one) for one in changed)})
    after = pair.files()
    pair.engine.undo()
    assert pair.files() == before
    pair.engine.redo()
    assert pair.files() == after
    assert pair.engine.verify() == []


def test_staged_state_of_both_sides_is_kept(pair: Pair) -> None:
    write(pair.here, {"a.txt": text(l2="staged")})
    pair.here.git("add", "a.txt")
    write(pair.here, {"a.txt": text(l2="staged", l3="edited")})
    write(pair.there, {"a.txt": text(l19="staged there"), "new.txt": "new\n"})
    pair.there.git("add", "-A")
    staged = pair.here.git("diff", "--cached")
    assert pair.engine.merge_timeline("exp").is_done
    has(pair.here, {"a.txt": text(l2="staged", l3="edited", l19="staged there"), "new.txt": "new\n"})
    assert pair.here.git("diff", "--cached") == staged != ""
    assert pair.here.git("ls-files", "new.txt") == "", "what is new is in the index of the other side only"


def test_git_is_asked_no_more_than_once_for_anything(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    write(pair.here, {"a.txt": text(l2="ours"), "sub/one.txt": text(l1="ours")})
    write(pair.there, {"b.txt": text(l1="theirs"), "run.sh": None, "keys.json": Executable("{}")})
    pair.engine.list_checkpoints()
    asked: list[str] = []
    argv_of = GitCommand.argv

    def note(self: GitCommand, arguments: Sequence[str | bytes]) -> list[str | bytes]:
        asked.append(str(arguments[0]))
        return argv_of(self, arguments)

    monkeypatch.setattr(GitCommand, "argv", note)
    write(pair.there, {"run.sh": "theirs\n"})
    assert pair.engine.merge_timeline("exp").is_done
    looks = Counter(asked) - Counter(["rev-parse", "config", "ls-files"] * 2)  # of the place, once in an engine's life
    assert looks == {"status": 3, "diff-files": 2, "cat-file": 2}, "each side's, and of the result whether it is there"


def test_what_is_known_of_a_commit_is_not_believed_of_the_next(pair: Pair) -> None:
    write(pair.there, {"a.txt": text(l2="theirs")})
    pair.engine.merge_timeline("exp")
    pair.engine.undo()
    write(pair.here, {"a.txt": text(l15="of the new commit")})
    pair.here.commit("next")
    assert pair.engine.merge_timeline("exp").is_done
    has(pair.here, {"a.txt": text(l2="theirs", l15="of the new commit")})
    pair.engine.undo()
    has(pair.here, {"a.txt": text(l15="of the new commit")})


def test_a_second_merge_begins_where_the_first_ended(pair: Pair) -> None:
    write(pair.there, {"a.txt": text(l2="first")})
    pair.engine.merge_timeline("exp")
    write(pair.here, {"a.txt": text(l2="changed again here")})
    write(pair.there, {"b.txt": text(l1="b", l5="second")})
    done = pair.engine.merge_timeline("exp")
    assert done.is_done
    assert [change.path for change in done.plan.change_set.changes] == [b"b.txt"]
    has(pair.here, {"a.txt": text(l2="changed again here"), "b.txt": text(l1="b", l5="second")})


def test_a_merge_in_the_other_direction_begins_where_the_first_ended(pair: Pair) -> None:
    write(pair.here, {"a.txt": text(l2="ours")})
    write(pair.there, {"a.txt": text(l19="theirs")})
    pair.engine.merge_timeline("exp")
    write(pair.here, {"b.txt": text(l1="b", l5="after")})
    done = pair.engine.merge_timeline("main", "exp")
    assert done.is_done
    assert pair.files()[0] == pair.files()[1]
    again = pair.engine.merge_timeline("exp")
    assert again.plan.change_set.is_empty
    assert not again.conflicts


def test_an_undone_merge_can_be_made_again(pair: Pair) -> None:
    write(pair.there, {"a.txt": text(l2="theirs")})
    pair.engine.merge_timeline("exp")
    pair.engine.undo()
    has(pair.here, {"a.txt": text()})
    done = pair.engine.merge_timeline("exp")
    assert done.is_done
    has(pair.here, {"a.txt": text(l2="theirs")})


def test_an_undone_merge_that_is_redone_counts_again(pair: Pair) -> None:
    write(pair.there, {"a.txt": text(l2="theirs")})
    pair.engine.merge_timeline("exp")
    pair.engine.undo()
    pair.engine.redo()
    write(pair.here, {"a.txt": text(l2="ours later")})
    again = pair.engine.merge_timeline("exp")
    assert (again.conflicts, again.plan.change_set.is_empty) == ((), True)


def test_the_checkpoint_of_a_merge_comes_from_both(pair: Pair) -> None:
    write(pair.there, {"a.txt": text(l2="theirs")})
    done = pair.engine.merge_timeline("exp")
    assert done.checkpoint is not None
    row = pair.engine.list_checkpoints("main")[0]
    assert (row.checkpoint_id, row.other_parents) == (done.checkpoint, (done.theirs.checkpoint_id,))
    assert row.parent == pair.engine.list_checkpoints("main")[1].checkpoint_id
    has(pair.here, {"a.txt": text(l2="theirs")})


def test_what_is_here_already_is_said_and_changes_nothing(pair: Pair) -> None:
    before = pair.files()
    pair.engine.merge_timeline("exp")
    done = pair.engine.merge_timeline("exp")
    assert (done.is_done, done.outcome, done.checkpoint, done.conflicts) == (True, None, None, ())
    assert pair.files() == before


def test_the_same_work_on_both_sides_is_noted_as_merged(pair: Pair) -> None:
    write(pair.here, {"a.txt": text(l2="both")})
    write(pair.there, {"a.txt": text(l2="both")})
    done = pair.engine.merge_timeline("exp")
    assert done.checkpoint is not None
    assert done.outcome is None
    write(pair.here, {"a.txt": text(l2="here")})
    assert pair.engine.merge_timeline("exp").plan.change_set.is_empty


def test_a_timeline_is_not_merged_into_itself(pair: Pair) -> None:
    with pytest.raises(UsageError, match="itself"):
        pair.engine.merge_timeline("main")
    with pytest.raises(UsageError, match="itself"):
        pair.engine.merge_timeline("exp", "exp")


def test_unknown_names_are_refused(pair: Pair) -> None:
    for source, target in (("nobody", None), ("exp", "nobody"), ("", None)):
        with pytest.raises(UnknownTimelineError):
            pair.engine.merge_timeline(source, target)
    with pytest.raises(UsageError):
        pair.engine.merge_timeline("exp", strategy="recursive")


def test_timelines_with_nothing_in_common_need_a_base(pair: Pair, tmp_path: Path) -> None:
    pair.here.git("worktree", "add", "-q", "-b", "topic", str(tmp_path / "topic"))
    topic = RepoBuilder(tmp_path / "topic", pair.here.environment)
    own = topic.engine()
    begun = own.create_checkpoint("as it began")
    write(topic, {"a.txt": text(l2="topic")})
    before = pair.files()
    with pytest.raises(NoCommonCheckpointError):
        pair.engine.merge_timeline("topic")
    assert pair.files() == before
    done = pair.engine.merge_timeline("topic", base=begun)
    assert done.is_done
    has(pair.here, {"a.txt": text(l2="topic")})
    write(topic, {"b.txt": text(l1="b", l5="later")})
    assert pair.engine.merge_timeline("topic").is_done, "now there is something in common"
    topic.close()


def test_a_target_that_changed_since_the_plan_is_not_touched(pair: Pair) -> None:
    write(pair.there, {"a.txt": text(l2="theirs")})
    plan = pair.engine.plan_merge_timeline("exp")
    assert not plan.is_done
    write(pair.here, {"a.txt": text(l2="meanwhile", l3="meanwhile")})
    before = pair.files()
    with pytest.raises(ChangedMeanwhileError):
        pair.engine.merge_timeline("exp", plan_id=plan.plan.plan_id)
    assert pair.files() == before


def test_a_source_that_changed_since_the_plan_is_not_merged(pair: Pair) -> None:
    write(pair.there, {"a.txt": text(l2="theirs")})
    plan = pair.engine.plan_merge_timeline("exp")
    write(pair.there, {"a.txt": text(l2="theirs, later")})
    before = pair.files()
    with pytest.raises(ChangedMeanwhileError):
        pair.engine.merge_timeline("exp", plan_id=plan.plan.plan_id)
    assert pair.files() == before


def test_a_plan_is_carried_out_as_it_was_shown(pair: Pair) -> None:
    write(pair.there, {"a.txt": text(l2="theirs"), "b.txt": None, "new.txt": "new\n"})
    before = pair.files()
    plan = pair.engine.plan_merge_timeline("exp")
    assert pair.files() == before
    done = pair.engine.merge_timeline("exp", plan_id=plan.plan.plan_id)
    assert done.plan.change_set == plan.plan.change_set
    assert {change.path for change in done.plan.change_set.changes} == {b"a.txt", b"b.txt", b"new.txt"}


def test_only_what_is_asked_for_is_merged_and_the_rest_comes_later(pair: Pair) -> None:
    write(pair.there, {"a.txt": text(l2="theirs"), "sub/one.txt": text(l1="one", l5="theirs"), "sub/new.txt": "n\n"})
    write(pair.here, {"b.txt": "of ours\n"})
    done = pair.engine.merge_timeline("exp", paths=["sub"])
    assert done.checkpoint is None, "a part does not count as a merge"
    has(pair.here, {"a.txt": text(), "sub/one.txt": text(l1="one", l5="theirs"), "sub/new.txt": "n\n"})
    pair.engine.merge_timeline("exp")
    has(pair.here, {"a.txt": text(l2="theirs"), "b.txt": "of ours\n"})


def test_a_path_at_which_nothing_is_and_to_which_nothing_comes_is_said(pair: Pair) -> None:
    write(pair.there, {"a.txt": text(l2="theirs"), "sub/new.txt": "n\n"})
    done = pair.engine.merge_timeline("exp", paths=["sbu", "sub/new.txt"])
    assert done.notes == ("there is nothing at sbu here, and nothing comes to it",)
    assert done.plan.warnings == list(done.notes)
    has(pair.here, {"a.txt": text(), "sub/new.txt": "n\n"})


def test_conflicts_elsewhere_do_not_stop_a_part_and_nobody_is_asked_about_them(pair: Pair) -> None:
    write(pair.here, {"a.txt": text(l2="ours")})
    write(pair.there, {"a.txt": text(l2="theirs"), "sub/new.txt": "n\n"})
    asked = []
    done = pair.engine.merge_timeline("exp", paths=["sub"], resolver=asked.append)  # type: ignore[arg-type]
    assert done.is_done
    assert asked == []
    has(pair.here, {"a.txt": text(l2="ours"), "sub/new.txt": "n\n"})


def test_a_merge_goes_into_another_timeline(pair: Pair) -> None:
    other = pair.branch("other")
    write(pair.there, {"a.txt": text(l2="theirs")})
    write(other, {"a.txt": text(l19="of the other")})
    before = tree_digest(pair.here.root)
    done = pair.engine.merge_timeline("exp", "other")
    assert done.is_done
    has(other, {"a.txt": text(l2="theirs", l19="of the other")})
    assert tree_digest(pair.here.root) == before
    with pair.engine.open_timeline("other") as there:
        there.undo()
    has(other, {"a.txt": text(l19="of the other")})


@pytest.mark.parametrize(
    ("strategy", "result"),
    [
        ("ours", {"a.txt": text(l2="ours", l19="t"), "data.bin": b"\0ours", "b.txt": text(l1="b", l5="ours")}),
        ("theirs", {"a.txt": text(l2="theirs", l19="t"), "data.bin": b"\0theirs", "b.txt": None}),
    ],
)
def test_a_strategy_takes_a_side_of_what_is_in_conflict_only(pair: Pair, strategy: str, result: Files) -> None:
    write(pair.here, {"a.txt": text(l2="ours"), "data.bin": b"\0ours", "b.txt": text(l1="b", l5="ours")})
    write(pair.there, {"a.txt": text(l2="theirs", l19="t"), "data.bin": b"\0theirs", "b.txt": None})
    done = pair.engine.merge_timeline("exp", strategy=strategy)
    assert done.is_done
    has(pair.here, result)
    assert set(done.settled.values()) == {"strategy"}


def test_a_union_has_the_lines_of_both_and_keeps_what_cannot_be_had(pair: Pair) -> None:
    write(pair.here, {"a.txt": text(l2="ours"), "b.txt": text(l1="b", l5="ours")})
    write(pair.there, {"a.txt": text(l2="theirs"), "b.txt": None})
    done = pair.engine.merge_timeline("exp", strategy="union")
    assert done.is_done
    has(pair.here, {"a.txt": text(l2="ours\ntheirs"), "b.txt": text(l1="b", l5="ours")})
    write(pair.here, {"data.bin": b"\0ours"})
    write(pair.there, {"data.bin": b"\0theirs"})
    left = pair.engine.merge_timeline("exp", strategy="union")
    assert [one.path for one in left.conflicts] == [b"data.bin"]


def test_a_resolver_decides_while_merging(pair: Pair) -> None:
    write(pair.here, {"a.txt": text(l2="ours"), "b.txt": "ours\n"})
    write(pair.there, {"a.txt": text(l2="theirs"), "b.txt": None})
    answers = {b"a.txt": Resolution(Choice.CONTENT, b"written\n"), b"b.txt": Resolution(Choice.THEIRS)}
    done = pair.engine.merge_timeline("exp", resolver=lambda one: answers[one.path])
    assert done.is_done
    has(pair.here, {"a.txt": "written\n", "b.txt": None})
    assert pair.engine.list_conflicts() is None


def test_a_function_that_answers_with_no_resolution_is_refused_and_changes_nothing(pair: Pair) -> None:
    write(pair.here, {"a.txt": text(l2="ours")})
    write(pair.there, {"a.txt": text(l2="theirs")})
    with pytest.raises(UsageError, match="answers with a str"):
        pair.engine.merge_timeline("exp", resolver=lambda _conflict: "ours")  # type: ignore[arg-type,return-value]
    pair.engine.merge_timeline("exp")
    with pytest.raises(UsageError, match="answers with a str"):
        pair.engine.resolve_conflict("a.txt", lambda _conflict: "ours")  # type: ignore[arg-type,return-value]
    has(pair.here, {"a.txt": text(l2="ours")})


def test_a_resolver_that_leaves_something_changes_nothing_and_its_answers_are_kept(pair: Pair) -> None:
    write(pair.here, {"a.txt": text(l2="ours"), "b.txt": "ours\n"})
    write(pair.there, {"a.txt": text(l2="theirs"), "b.txt": None})
    before = pair.files()

    def only_a(one: object) -> Resolution | None:
        return Resolution(Choice.THEIRS) if getattr(one, "path", b"") == b"a.txt" else None

    left = pair.engine.merge_timeline("exp", resolver=only_a)
    assert [one.path for one in left.conflicts] == [b"b.txt"]
    assert pair.files() == before
    pair.engine.resolve_conflict("b.txt", Resolution(Choice.OURS))
    assert pair.engine.merge_timeline("exp").is_done
    has(pair.here, {"a.txt": text(l2="theirs"), "b.txt": "ours\n"})


def test_a_source_whose_tree_is_gone_is_merged_as_of_its_newest_checkpoint(pair: Pair) -> None:
    write(pair.there, {"a.txt": text(l2="held")})
    with pair.engine.open_timeline("exp") as there:
        held = there.create_checkpoint("held")
    write(pair.there, {"a.txt": text(l2="lost")})
    shutil.rmtree(pair.there.root)
    done = pair.engine.merge_timeline("exp")
    assert (done.is_done, done.theirs.checkpoint_id) == (True, held)
    has(pair.here, {"a.txt": text(l2="held")})
    with pytest.raises(UnknownTimelineError, match="no working tree"):
        pair.engine.merge_timeline("main", "exp")


def test_history_that_moved_on_on_both_sides_is_merged_by_content(pair: Pair) -> None:
    write(pair.here, {"a.txt": text(l2="first")})
    pair.here.commit("first here")
    write(pair.there, {"a.txt": text(l19="first there")})
    pair.there.commit("first there")
    write(pair.there, {"b.txt": text(l1="b", l5="second there"), "a.txt": text(l19="loose there")})
    pair.here.git("checkout", "-q", "-b", "another")
    kept = untouched(pair.here)
    assert pair.engine.merge_timeline("exp").is_done
    has(pair.here, {"a.txt": text(l2="first", l19="loose there"), "b.txt": text(l1="b", l5="second there")})
    assert untouched(pair.here) == kept


def test_what_was_committed_here_and_is_loose_there_is_no_conflict(pair: Pair) -> None:
    write(pair.here, {"a.txt": text(l2="both"), "new.txt": "same\n"})
    pair.here.commit("both")
    write(pair.there, {"a.txt": text(l2="both"), "new.txt": "same\n", "b.txt": "more\n"})
    done = pair.engine.merge_timeline("exp")
    assert [change.path for change in done.plan.change_set.changes] == [b"b.txt"]


def test_a_plain_folder_is_merged_as_a_repository_is(folder: RepoBuilder) -> None:
    write(folder, BASE)
    pair = Pair(folder)
    write(pair.here, {"a.txt": text(l2="ours"), "b.txt": None})
    write(pair.there, {"a.txt": text(l19="theirs"), "new/n.txt": "n\n", "run.sh": Executable("run\n")})
    done = pair.engine.merge_timeline("exp")
    assert done.is_done
    has(folder, {"a.txt": text(l2="ours", l19="theirs"), "b.txt": None, "new/n.txt": "n\n"})
    has(folder, {"run.sh": Executable("run\n"), "link": Link("a.txt")})
    pair.engine.undo()
    has(folder, {"a.txt": text(l2="ours"), "new/n.txt": None})
    write(pair.here, {"new/n.txt": "mine\n"})
    assert [one.path for one in pair.engine.merge_timeline("exp").conflicts] == [b"new/n.txt"]


def test_repositories_inside_are_merged_by_their_own_files(repo: RepoBuilder, tmp_path: Path) -> None:
    library = RepoBuilder(tmp_path / "library", repo.environment)
    write(library, {"lib.txt": text(l1="lib"), "both.txt": "both\n"})
    library.commit()
    write(repo, BASE)
    repo.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(library.root), "module")
    repo.commit("with a submodule")
    embedded = RepoBuilder(repo.root / "embedded", repo.environment)
    write(embedded, {"own.txt": text(l1="own")})
    embedded.commit("its own history")
    pair = Pair(repo)
    write(pair.here, {"module/lib.txt": text(l1="lib", l2="ours"), "embedded/own.txt": text(l1="own", l2="ours")})
    write(pair.there, {"module/lib.txt": text(l1="lib", l19="theirs")})
    write(pair.there, {"embedded/own.txt": text(l1="own", l19="theirs")})
    RepoBuilder(pair.there.root / "module", repo.environment).commit("in the submodule there")
    RepoBuilder(pair.there.root / "embedded", repo.environment).commit("in the embedded one there")
    heads = [RepoBuilder(repo.root / name, repo.environment).head() for name in ("module", "embedded")]
    done = pair.engine.merge_timeline("exp")
    assert done.conflicts == ()
    has(repo, {"module/lib.txt": text(l1="lib", l2="ours", l19="theirs")})
    has(repo, {"embedded/own.txt": text(l1="own", l2="ours", l19="theirs")})
    assert [RepoBuilder(repo.root / name, repo.environment).head() for name in ("module", "embedded")] == heads
    write(pair.here, {"module/both.txt": "ours\n"})
    write(pair.there, {"module/both.txt": "theirs\n"})
    assert [one.path for one in pair.engine.merge_timeline("exp").conflicts] == [b"module/both.txt"]
    pair.engine.undo()
    has(repo, {"module/lib.txt": text(l1="lib", l2="ours"), "embedded/own.txt": text(l1="own", l2="ours")})


@pytest.mark.parametrize("owner", ["here", "there"])
def test_a_repository_that_only_one_side_has_is_left_to_it_and_said(pair: Pair, owner: str) -> None:
    mine, other = (pair.here, pair.there) if owner == "here" else (pair.there, pair.here)
    inner = RepoBuilder(mine.root / "inner", mine.environment)
    write(inner, {"x.txt": "of the repository\n"})
    inner.commit()
    write(other, {"inner/x.txt": "a plain file\n", "inner/y.txt": "another\n"})
    write(pair.there, {"a.txt": text(l2="theirs")})
    before = tree_digest(pair.here.path("inner"))
    done = pair.engine.merge_timeline("exp")
    assert done.is_done
    assert any("repository that only" in note for note in done.notes)
    assert tree_digest(pair.here.path("inner")) == before
    has(pair.here, {"a.txt": text(l2="theirs")})


def test_a_submodule_that_both_moved_keeps_its_commit_and_gets_the_files(repo: RepoBuilder, tmp_path: Path) -> None:
    library = RepoBuilder(tmp_path / "library", repo.environment)
    write(library, {"lib.txt": text(l1="lib")})
    library.commit()
    repo.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(library.root), "module")
    repo.commit("with a submodule")
    pair = Pair(repo)
    for tree, changes in ((pair.here, {"l2": "ours"}), (pair.there, {"l19": "theirs"})):
        write(tree, {"module/lib.txt": text(l1="lib", **changes)})
        RepoBuilder(tree.root / "module", repo.environment).commit("in the submodule")
        tree.commit("the submodule moved")
    head = RepoBuilder(repo.root / "module", repo.environment).head()
    done = pair.engine.merge_timeline("exp")
    assert (done.is_done, done.conflicts) == (True, ())
    assert any("commit of a submodule" in note for note in done.notes)
    has(repo, {"module/lib.txt": text(l1="lib", l2="ours", l19="theirs")})
    assert RepoBuilder(repo.root / "module", repo.environment).head() == head


@pytest.mark.parametrize("base", ["untracked", "tracked"])
def test_a_file_that_the_source_ignores_now_is_not_deleted(repo: RepoBuilder, base: str) -> None:
    write(repo, {"a.txt": "a\n", "cache/c.txt": "c\n", "local.txt": "local\n"})
    repo.git("add", "-A" if base == "tracked" else "a.txt")
    repo.commit("base", everything=False)
    pair = Pair(repo)
    write(pair.there, {".gitignore": "cache/\nlocal.txt\n"})
    if base == "tracked":
        pair.there.git("rm", "-rq", "--cached", "cache", "local.txt")
        pair.there.commit("ignored from now on")
    done = pair.engine.merge_timeline("exp")
    assert done.is_done
    has(repo, {".gitignore": "cache/\nlocal.txt\n", "cache/c.txt": "c\n", "local.txt": "local\n"})


def test_a_file_that_is_ignored_here_now_is_neither_overwritten_nor_deleted(pair: Pair) -> None:
    write(pair.here, {".gitignore": "local/\n", "local/l.txt": "precious\n", "other.txt": "o\n"})
    write(pair.there, {"local/l.txt": "theirs\n"})
    write(pair.there, {"a.txt": text(l2="theirs")})
    (held,) = pair.engine.merge_timeline("exp").conflicts
    assert (held.kind, held.path) == (ConflictKind.HELD, b"local/l.txt")
    has(pair.here, {"local/l.txt": "precious\n", "a.txt": text()})
    for resolution in (Resolution(Choice.THEIRS), Resolution(Choice.CONTENT, b"x")):
        with pytest.raises(UnknownConflictError, match="never overwritten"):
            pair.engine.resolve_conflict("local/l.txt", resolution)
    assert not pair.engine.merge_timeline("exp", strategy="theirs").is_done
    pair.engine.resolve_conflict("local/l.txt", Resolution(Choice.OURS))
    assert pair.engine.merge_timeline("exp").is_done
    has(pair.here, {"local/l.txt": "precious\n", "a.txt": text(l2="theirs")})


def test_what_stood_in_the_way_can_be_moved_away(pair: Pair) -> None:
    write(pair.here, {".gitignore": "*.log\n", "sub/x.log": "precious\n"})
    write(pair.there, {"sub/one.txt": None, "sub/two.txt": None})
    pair.there.write("sub", "a file now\n")
    before = pair.files()
    (held,) = pair.engine.merge_timeline("exp").conflicts
    assert (held.kind, held.path) == (ConflictKind.HELD, b"sub")
    assert pair.files() == before, "nothing in the folder went"
    pair.here.remove("sub/x.log")
    assert pair.engine.merge_timeline("exp").is_done
    has(pair.here, {"sub": "a file now\n"})


def test_files_left_out_of_checkpoints_are_never_overwritten(pair: Pair) -> None:
    pair.engine.close()
    pair.engine = pair.here.engine(CHRONOS_MAX_FILE_BYTES="1000")
    write(pair.here, {".env": "TOKEN=ours\n", "large.txt": "o" * 5000, "new.txt": "n" * 5000})
    write(pair.there, {".env": "TOKEN=theirs\n", "large.txt": "small\n", "a.txt": text(l2="theirs")})
    write(pair.there, {"new.txt": "small\n"})
    held = {one.path: one.kind for one in pair.engine.merge_timeline("exp").conflicts}
    assert held == {b"large.txt": ConflictKind.HELD, b"new.txt": ConflictKind.HELD}
    assert pair.engine.merge_timeline("exp", strategy="ours").is_done
    has(pair.here, {".env": "TOKEN=ours\n", "large.txt": "o" * 5000, "new.txt": "n" * 5000})
    has(pair.here, {"a.txt": text(l2="theirs")})


@pytest.mark.parametrize("path", ["b.txt", ".env"])
def test_what_no_checkpoint_holds_here_and_theirs_deleted_is_a_conflict(repo: RepoBuilder, path: str) -> None:
    write(repo, {**BASE, ".env": "TOKEN=base\n"})
    repo.commit("base")
    pair = Pair(repo)
    pair.engine.close()
    pair.engine = pair.here.engine(CHRONOS_MAX_FILE_BYTES="1000")
    write(pair.here, {path: "o" * 5000})
    write(pair.there, {path: None, "a.txt": text(l2="theirs")})
    (held,) = pair.engine.merge_timeline("exp", strategy="theirs").conflicts
    assert (held.kind, held.path) == (ConflictKind.HELD, path.encode())
    has(pair.here, {path: "o" * 5000, "a.txt": text()})
    pair.engine.resolve_conflict(path, Resolution(Choice.OURS))
    assert pair.engine.merge_timeline("exp").is_done
    has(pair.here, {path: "o" * 5000, "a.txt": text(l2="theirs")})


def test_a_tracked_file_that_is_ignored_here_now_and_deleted_there_is_no_conflict(pair: Pair) -> None:
    pair.here.git("rm", "-q", "--cached", "b.txt")
    write(pair.here, {".gitignore": "b.txt\n"})
    write(pair.there, {"b.txt": None})
    assert pair.engine.merge_timeline("exp").is_done
    has(pair.here, {"b.txt": BASE["b.txt"]})


def test_a_file_that_only_the_source_left_out_is_as_here(pair: Pair) -> None:
    pair.engine.close()
    pair.engine = pair.here.engine(CHRONOS_MAX_FILE_BYTES="1000")
    write(pair.there, {"a.txt": "t" * 5000, "b.txt": text(l1="b", l5="t")})
    write(pair.here, {"run.sh": "here\n"})
    done = pair.engine.merge_timeline("exp")
    assert done.is_done
    has(pair.here, {"a.txt": text(), "b.txt": text(l1="b", l5="t"), "run.sh": "here\n"})


def test_a_rename_to_what_no_checkpoint_takes_is_said_with_what_goes(pair: Pair) -> None:
    write(pair.there, {"a.txt": None, ".env": text(), "sub/new.txt": "new\n"})
    done = pair.engine.merge_timeline("exp")
    assert done.is_done
    has(pair.here, {"a.txt": None, ".env": None})
    (note,) = [note for note in done.plan.warnings if "renamed" in note]
    assert "a.txt" in note
    assert ".env" in note
    assert done.outcome is not None
    assert note in done.outcome.warnings


@pytest.mark.parametrize("theirs", ["loose", "committed"])
def test_converted_files_keep_the_ends_of_their_lines(repo: RepoBuilder, theirs: str) -> None:
    repo.git("config", "core.autocrlf", "true")
    base = text().replace("\n", "\r\n")
    write(repo, {"a.txt": base, "b.txt": base.replace("line 1\r", "b\r")})
    repo.commit("base")
    pair = Pair(repo)
    write(pair.here, {"a.txt": base.replace("line 2\r", "ours\r")})
    write(pair.there, {"a.txt": base.replace("line 19\r", "theirs\r"), "b.txt": "b\r\n", "new.txt": "new\r\n"})
    if theirs == "committed":
        pair.there.commit("theirs")
    assert pair.engine.merge_timeline("exp").is_done
    merged = base.replace("line 2\r", "ours\r").replace("line 19\r", "theirs\r")
    has(repo, {"a.txt": merged, "b.txt": "b\r\n", "new.txt": "new\r\n"})


def test_a_merge_of_a_half_done_git_merge_touches_nothing_of_it(pair: Pair) -> None:
    write(pair.there, {"sub/one.txt": text(l1="one", l5="theirs")})
    pair.here.git("checkout", "-q", "-b", "side")
    write(pair.here, {"a.txt": text(l2="side")})
    pair.here.commit("side")
    pair.here.git("checkout", "-q", "-")
    write(pair.here, {"a.txt": text(l2="main")})
    pair.here.commit("main")
    pair.here.git("merge", "-q", "side", ok=(1,))
    stages, content = pair.here.git("ls-files", "-s"), pair.here.read("a.txt")
    assert pair.engine.merge_timeline("exp").is_done
    assert (pair.here.git("ls-files", "-s"), pair.here.read("a.txt")) == (stages, content)
    has(pair.here, {"sub/one.txt": text(l1="one", l5="theirs")})


def test_a_merge_leaves_no_object_or_ref_in_the_repository_of_the_user(pair: Pair) -> None:
    write(pair.here, {"a.txt": text(l2="ours")})
    write(pair.there, {"a.txt": text(l19="theirs")})
    pair.engine.hold_timeline("exp")
    objects = pair.here.git("count-objects", "-v")
    pair.engine.merge_timeline("exp")
    assert pair.here.git("count-objects", "-v") == objects


def test_agents_that_merge_at_once_wait_for_each_other(pair: Pair) -> None:
    names = [f"agent-{number}" for number in range(4)]
    for number, name in enumerate(names):
        write(pair.branch(name), {f"{name}.txt": f"{name}\n", "a.txt": text(**{f"l{4 * number + 2}": name})})

    def merge(name: str) -> bool:
        with pair.engine.open_timeline(name) as own:
            return own.merge_timeline(name, "main").is_done

    with ThreadPoolExecutor(len(names)) as agents:
        assert list(agents.map(merge, names)) == [True] * len(names)
    has(pair.here, {f"{name}.txt": f"{name}\n" for name in names})
    has(pair.here, {"a.txt": text(**{f"l{4 * number + 2}": name for number, name in enumerate(names)})})
    assert pair.engine.verify() == []


def test_what_a_sparse_checkout_keeps_from_the_disk_stays_off_it(pair: Pair) -> None:
    pair.here.git("sparse-checkout", "set", "--no-cone", "/*", "!/sub/")
    assert not pair.here.exists("sub/one.txt")
    write(pair.there, {"a.txt": text(l2="theirs"), "sub/two.txt": None})
    kept = untouched(pair.here)
    assert pair.engine.merge_timeline("exp").is_done
    has(pair.here, {"a.txt": text(l2="theirs"), "sub/one.txt": None})
    assert untouched(pair.here) == kept


def test_an_agent_merges_itself_from_inside(pair: Pair) -> None:
    write(pair.here, {"a.txt": text(l2="ours")})
    write(pair.there, {"a.txt": text(l19="theirs")})
    with pair.engine.open_timeline("exp") as there:
        assert isinstance(there, ChronosEngine)
        done = there.merge_timeline("exp", "main")
    assert done.is_done
    has(pair.here, {"a.txt": text(l2="ours", l19="theirs")})
    has(pair.there, {"a.txt": text(l19="theirs")})
