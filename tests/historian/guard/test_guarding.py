"""The guard: what each policy does before an operation, and that the guarded code's own error is what comes out."""

from __future__ import annotations

import asyncio
import logging
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from chronos.errors import BadConfigError, RefusedError, UsageError
from historian.errors import BlockedError, NotConfirmedError, UnprotectedError
from historian.risk import Operation, RiskAssessment
from tests.historian.guard.judging import JudgedHistorian
from tests.support import RepoBuilder


def names(historian: JudgedHistorian) -> list[str]:
    return [row.name for row in historian.engine.list_checkpoints()]


@pytest.mark.parametrize(
    ("policy", "words", "is_taken"),
    [
        (None, "low look around", False), (None, "medium change", True), (None, "high destroy", True),
        ("off", "high destroy", False), ("advise", "high destroy", False), ("medium=off", "medium change", False),
        ("low=auto", "low look around", True), ({"medium": "advise"}, "medium change", False),
    ],
)  # fmt: skip
def test_a_checkpoint_is_taken_where_the_policy_says_so(
    historian: JudgedHistorian, policy: object, words: str, is_taken: bool
) -> None:
    with historian.guard(words, policy=policy) as passage:  # type: ignore[arg-type]
        assert (passage.checkpoint_id is not None) == is_taken == passage.was_taken
    assert names(historian) == ([f"before {words}"] if is_taken else [])


def test_the_state_before_the_operation_is_what_can_be_restored(tree: RepoBuilder, historian: JudgedHistorian) -> None:
    tree.write("b.txt", "uncommitted\n")
    with historian.guard("high migration") as passage:
        tree.write("b.txt", "broken\n")
    assert passage.checkpoint_id is not None
    historian.engine.restore_checkpoint(passage.checkpoint_id)
    assert tree.read("b.txt") == b"uncommitted\n"


def test_nothing_is_taken_when_the_newest_checkpoint_has_this_state(historian: JudgedHistorian) -> None:
    own = historian.engine.create_checkpoint("mine")
    with historian.guard("high destroy") as passage:
        assert (passage.checkpoint_id, passage.was_taken) == (own, False)
    assert names(historian) == ["mine"]


def test_what_somebody_else_does_can_be_let_through(tree: RepoBuilder) -> None:
    with JudgedHistorian(engine=tree.engine(), origin=lambda: "agent: somebody") as historian:
        passage = historian.let_through("high destroy")
        with pytest.raises(BlockedError):
            historian.let_through("high destroy", policy="block")
        (row,) = historian.engine.list_checkpoints()
    assert (passage.checkpoint_id, passage.was_taken) == (row.checkpoint_id, True)
    assert row.description.splitlines() == ["risk high 0.90", "the words say high", "agent: somebody"]


def test_advise_says_it_and_goes_on(historian: JudgedHistorian) -> None:
    with historian.guard("high destroy", policy="advise") as passage:
        pass
    assert "the words say high" in passage.warnings[0]
    assert passage.warnings[0] in historian.engine.notices


def test_block_refuses_with_reasons_before_anything_happens(historian: JudgedHistorian) -> None:
    is_run = False
    with pytest.raises(BlockedError, match="the words say high"), historian.guard("high destroy", policy="block"):
        is_run = True
    assert not is_run
    assert names(historian) == []
    with historian.guard("medium change", policy="high=block"):
        pass


def test_confirm_asks_and_takes_a_checkpoint_when_the_answer_is_yes(tree: RepoBuilder) -> None:
    asked: list[str] = []

    def ask(operation: Operation, assessment: RiskAssessment) -> bool:
        asked.append(f"{operation.text}: {assessment.level.value}")
        return "yes" in operation.text

    with JudgedHistorian(engine=tree.engine(), asker=ask) as historian:
        with historian.guard("high yes", policy="confirm") as passage:
            assert passage.was_taken
        with pytest.raises(NotConfirmedError), historian.guard("high no", policy="confirm"):
            pytest.fail("it went on")
        with historian.guard("low look", policy="confirm"):
            pass
    assert asked == ["high yes: high", "high no: high"]


def test_confirm_is_refused_with_nobody_to_ask(historian: JudgedHistorian) -> None:
    with pytest.raises(RefusedError, match="nobody to ask"), historian.guard("high destroy", policy="confirm"):
        pytest.fail("it went on")


@pytest.mark.parametrize("policy", ["never", "low", "high=perhaps", "huge=off", "high=off,high=block", 3])
def test_a_policy_that_is_none_is_refused_by_name(historian: JudgedHistorian, policy: object) -> None:
    with pytest.raises(BadConfigError):
        historian.guard("high destroy", policy=policy)  # type: ignore[arg-type]


def test_settings_say_which_policy_holds(tree: RepoBuilder) -> None:
    tree.write("chronos.toml", '[guard]\nhigh = "block"\n')
    with JudgedHistorian(engine=tree.engine()) as historian:
        with historian.guard("medium change") as passage:
            assert passage.was_taken
        with pytest.raises(BlockedError), historian.guard("high destroy"):
            pass
    with (
        JudgedHistorian(engine=tree.engine(CHRONOS_GUARD="high=advise")) as historian,
        historian.guard("high x") as one,
    ):
        assert one.checkpoint_id is None
    quiet = tree.engine(CHRONOS_GUARD="auto", CHRONOS_AUTO_CHECKPOINT="false")
    with JudgedHistorian(engine=quiet) as historian, historian.guard("high x") as one:
        assert one.policy.value == "advise"


# when no checkpoint can be taken


def test_what_is_of_high_risk_is_refused_without_a_checkpoint(tree: RepoBuilder) -> None:
    with JudgedHistorian(engine=tree.engine(CHRONOS_QUOTA_BYTES="1")) as historian:
        with pytest.raises(UnprotectedError, match="no checkpoint could be taken before 'high destroy'"):
            historian.guard("high destroy").__enter__()
        for policy in ("confirm", "high=confirm"):
            with pytest.raises(RefusedError):
                historian.guard("high destroy", policy=policy).__enter__()


def test_what_is_of_medium_risk_goes_on_with_a_loud_warning(
    tree: RepoBuilder, caplog: pytest.LogCaptureFixture
) -> None:
    with JudgedHistorian(engine=tree.engine(CHRONOS_QUOTA_BYTES="1")) as historian:
        with caplog.at_level(logging.WARNING, "historian"), historian.guard("medium change") as passage:
            assert passage.checkpoint_id is None
        assert "no checkpoint could be taken" in caplog.text
        assert any("it goes on without one" in notice for notice in historian.engine.notices)


def test_switched_off_checkpoints_stop_nothing_and_are_said(tree: RepoBuilder) -> None:
    with JudgedHistorian(engine=tree.engine(ENABLE_CHRONOS="false")) as historian:
        with historian.guard("high destroy") as passage:
            pass
        assert "switched off" in passage.warnings[0]
        with pytest.raises(BlockedError):
            historian.guard("high destroy", policy="block").__enter__()


# errors


def test_the_functions_own_error_wins_over_the_guards(
    historian: JudgedHistorian, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[tuple[str, str, str | None]] = []

    def record(operation: str, error: str, checkpoint: str | None) -> None:
        seen.append((operation, error, checkpoint))
        raise RuntimeError("the lessons are broken")

    historian.record_failure = record  # type: ignore[attr-defined]

    @historian.guard("high migration")
    def migrate() -> None:
        raise ZeroDivisionError("the migration is broken")

    with caplog.at_level(logging.WARNING, "historian"), pytest.raises(ZeroDivisionError, match="the migration"):
        migrate()
    assert "the lessons are broken" in caplog.text
    (operation, error, checkpoint), = seen  # fmt: skip
    assert operation == "high migration"
    assert "ZeroDivisionError: the migration is broken" in error
    assert checkpoint == historian.engine.list_checkpoints()[0].checkpoint_id


def test_an_interrupt_is_no_failure(historian: JudgedHistorian) -> None:
    historian.record_failure = lambda *_: pytest.fail("recorded")  # type: ignore[attr-defined]
    with pytest.raises(KeyboardInterrupt), historian.guard("high destroy"):
        raise KeyboardInterrupt


def test_effects_that_no_restore_takes_back_are_recorded_before_they_happen(historian: JudgedHistorian) -> None:
    recorded: list[tuple[tuple[str, ...], str]] = []
    historian.engine.record_effects = lambda effects, what: recorded.append((effects, what))  # type: ignore
    historian.effects = ("pushes to origin",)
    with historian.guard("high push --token abc") as passage:
        assert recorded == [(("pushes to origin",), "high push --token …")]
    assert "no restore takes this back: pushes to origin" in passage.warnings


# decorators, nesting, threads, tasks


def test_a_decorated_function_passes_anew_at_each_call(tree: RepoBuilder, historian: JudgedHistorian) -> None:
    @historian.guard("medium change")
    def change(text: str) -> str:
        """Change it."""
        tree.write("a.txt", text)
        return text

    assert [change("x\n"), change("y\n")] == ["x\n", "y\n"]
    assert (change.__name__, change.__doc__) == ("change", "Change it.")
    assert len(names(historian)) == 2


def test_a_generator_is_refused_when_it_is_decorated(historian: JudgedHistorian) -> None:
    def steps() -> object:
        yield 1

    with pytest.raises(UsageError, match="steps is a generator"):
        historian.guard("medium change")(steps)


def test_nested_guards_take_one_checkpoint(tree: RepoBuilder, historian: JudgedHistorian) -> None:
    guard = historian.guard("high outer")
    with guard as outer:
        tree.write("a.txt", "changed\n")
        with historian.guard("high inner") as inner, guard as again:
            assert inner.checkpoint_id == again.checkpoint_id == outer.checkpoint_id
            assert not inner.was_taken
    with historian.guard("high later") as later:
        assert later.was_taken
    assert names(historian) == ["before high later", "before high outer"]


def test_threads_pass_one_guard_side_by_side(tree: RepoBuilder, historian: JudgedHistorian) -> None:
    guard, together = historian.guard("high destroy"), threading.Barrier(4)

    def work(number: int) -> str | None:
        with guard as passage:
            together.wait(30)
            tree.write(f"{number}.txt", "x")
            return passage.checkpoint_id

    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(work, range(4)))
    assert len(set(found)) == 1
    assert len(names(historian)) == 1


def test_tasks_are_guarded_without_holding_the_loop(tree: RepoBuilder, historian: JudgedHistorian) -> None:
    @historian.guard("high async")
    async def change(number: int) -> int:
        async with historian.guard("high inner") as inner:
            assert not inner.was_taken
            tree.write(f"{number}.txt", "x")
            await asyncio.sleep(0)
        if number == 2:
            raise LookupError(number)
        return number

    async def all_of_them() -> list[int | BaseException]:
        return await asyncio.gather(*(change(number) for number in range(3)), return_exceptions=True)

    found = asyncio.run(all_of_them())
    assert found[:2] == [0, 1]
    assert isinstance(found[2], LookupError)
    assert set(names(historian)) == {"before high async"}


def test_a_task_that_outlives_the_guard_relies_on_it_no_more(tree: RepoBuilder, historian: JudgedHistorian) -> None:
    async def later(go: asyncio.Event) -> bool:
        await go.wait()
        async with historian.guard("high later") as passage:
            return passage.was_taken

    async def main() -> bool:
        go = asyncio.Event()
        async with historian.guard("high outer"):
            task = asyncio.create_task(later(go))
            await asyncio.sleep(0)
            tree.write("a.txt", "changed\n")
        go.set()
        return await task

    assert asyncio.run(main())


def test_a_safety_checkpoint_is_named_and_goes_with_retention(historian: JudgedHistorian) -> None:
    first = historian.create_safety_checkpoint("pre_migration_v1", "Before migration to schema version 2.0")
    second = historian.create_safety_checkpoint("pre_migration_v2")
    rows = historian.engine.list_checkpoints()
    assert [(row.checkpoint_id, row.name, row.trigger) for row in rows] == [
        (second, "pre_migration_v2", "automatic"), (first, "pre_migration_v1", "automatic"),
    ]  # fmt: skip
    assert historian.engine.list_operations() == []


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("rm -rf 'a b' && ls | wc", "before rm -rf a b ls wc"), ("../../x; y", "before ././x y"),
        ("deploy --token abc123 now", "before deploy --token now"), ("curl https://me:pw@host/x", "before curl https://host/x"),
        ("x " * 200, "before " + ("x " * 30).strip()), ("\x1b[31m", "before x1b 31m"),
    ],
)  # fmt: skip
def test_names_of_checkpoints_tell_the_operation_and_no_secret(words: str, name: str) -> None:
    from historian.guard.naming import checkpoint_name

    assert checkpoint_name(Operation(text=words)) == name
