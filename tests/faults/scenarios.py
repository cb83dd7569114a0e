"""The commands that are cut short: for each one a prepared repository, and the states that are allowed afterwards."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from chronos import ChronosEngine
from chronos.checkpoints import Trigger
from chronos.config import Surroundings
from tests.faults import timeline_scenarios
from tests.faults.harness import COUNT, KILL, Call, Killpoint, Outcome
from tests.faults.tree import STORE, TreeState, UserGit, look_at_git, look_at_tree
from tests.faults.world import World, copy_repository, edit_again, edit_once, edit_twice, make_repository
from tests.support.databases import add_notes, make_notes

_SETTLED_S = 0.06
_UNDO = ("undo", "--yes", "--json")
_REDO = ("redo", "--yes", "--json")


@dataclass(frozen=True)
class Scenario:
    """One command on one prepared repository.

    After a fault and recovery the tree is `old` or `new`. `kept` are the checkpoints that must still be listed,
    `removes` those that the command deletes, `adds` one that it brings in from elsewhere. `reverse` is the command that
    takes it back, if it took effect in spite of the fault. Where `reaches_new` is false, both states are a success. One
    that `mends` begins with a damaged store and may end with findings; when it is run again the store is sound.
    """

    name: str
    prepared: Path
    arguments: tuple[str, ...]
    old: TreeState
    new: TreeState
    user_git: UserGit
    kept: frozenset[str]
    calls: tuple[Call, ...]
    removes: frozenset[str] = frozenset()
    reverse: tuple[str, ...] = ()
    reaches_new: bool = True
    adds: str | None = None
    mends: bool = False

    def is_done(self, state: TreeState, listed: frozenset[str]) -> bool:
        """Tell whether the command took effect, so that it has to be taken back before it can be done again."""
        if self.removes:
            return not self.removes & listed
        return not self.reaches_new or (self.old != self.new and state == self.new)

    @property
    def leaves_tree_alone(self) -> bool:
        """Whether nothing in the first tree may change, whatever becomes of others."""
        return (self.old.files, self.old.status) == (self.new.files, self.new.status)

    def copy_to(self, *roots: Path) -> None:
        """Put fresh copies of the prepared repository at `roots`, all of them old enough to be believed.

        What changed less than 50 ms before a command began is not remembered (`chronos.stat_cache`): a command that
        started sooner would make other calls than the one whose calls were counted.
        """
        for root in roots:
            copy_repository(self.prepared, root)
        time.sleep(_SETTLED_S)


class Workshop:
    """Builds scenarios, each once."""

    def __init__(self, folder: Path, tracer: Killpoint) -> None:
        self.folder = folder
        self.tracer = tracer
        self.world = World(folder)
        self._built: dict[str, Scenario] = {}

    def scenario(self, name: str) -> Scenario:
        """Return the scenario `name`, built on first use."""
        if name not in self._built:
            self._built[name] = _BUILDERS[name](self)
        return self._built[name]

    def count(self, root: Path, arguments: tuple[str, ...]) -> Outcome:
        """Run `chrono` on `root`, as a program started by itself, and count its calls."""
        argv = self.world.argv(root, arguments)
        return self.tracer.run(argv, cwd=root, environment=self.world.environment)

    def trace(self, root: Path, arguments: tuple[str, ...], *, point: int = 0, action: str = COUNT) -> Outcome:
        """Run `chrono` on `root` under the tracer."""
        return self.world.trace(root, arguments, self.tracer, point, action)

    def repository(self, name: str) -> tuple[Path, str, str]:
        """Make a repository with two checkpoints and later work; return it and the two ids."""
        root = self.folder / "prepared" / name
        make_repository(self.world, root)
        edit_once(self.world, root)
        first = self.world.must(root, "checkpoint", "create", "first")["checkpoint_id"]
        edit_twice(self.world, root)
        second = self.world.must(root, "checkpoint", "create", "second")["checkpoint_id"]
        edit_again(self.world, root)
        return root, first, second

    def look(self, root: Path) -> TreeState:
        """Read the state of the working tree."""
        return look_at_tree(root, self.world.environment)

    def listed(self, root: Path) -> frozenset[str]:
        """Return the ids of all checkpoints that `chrono` lists, safety checkpoints included."""
        rows = self.world.must(root, "checkpoint", "list", "--all")["checkpoints"]
        return frozenset(row["checkpoint_id"] for row in rows)

    def finish(
        self,
        root: Path,
        arguments: tuple[str, ...],
        *,
        removes: frozenset[str] = frozenset(),
        reverse: tuple[str, ...] = (),
        adds: str | None = None,
    ) -> Scenario:
        """Complete a scenario with what one undisturbed run on a copy does."""
        trial, looked_at = (root.with_name(f"{root.name}-{what}") for what in ("undisturbed", "looked-at"))
        for copy in (trial, looked_at):
            copy_repository(root, copy)
        time.sleep(_SETTLED_S)
        outcome = self.count(trial, arguments)
        assert outcome.exit_code == 0, f"{arguments} fails without any fault: {outcome.stderr or outcome.stdout}"
        return Scenario(
            name=root.name,
            prepared=root,
            arguments=arguments,
            old=self.look(root),
            new=self.look(trial),
            user_git=look_at_git(root, self.world.environment),
            kept=(self.listed(looked_at) if (root / STORE).exists() else frozenset()) - removes,
            calls=outcome.calls,
            removes=removes,
            reverse=reverse,
            adds=adds,
        )


def _first_create(workshop: Workshop) -> Scenario:
    root = workshop.folder / "prepared" / "first"
    make_repository(workshop.world, root)
    edit_once(workshop.world, root)
    return workshop.finish(root, ("checkpoint", "create", "first", "--json"))


def _create(workshop: Workshop) -> Scenario:
    root, _, _ = workshop.repository("create")
    return workshop.finish(root, ("checkpoint", "create", "third", "--json"))


def _restore(workshop: Workshop) -> Scenario:
    root, first, _ = workshop.repository("restore")
    return workshop.finish(root, ("checkpoint", "restore", first, "--yes", "--json"), reverse=_UNDO)


def _undo(workshop: Workshop) -> Scenario:
    root, first, _ = workshop.repository("undo")
    workshop.world.must(root, "checkpoint", "restore", first, "--yes")
    return workshop.finish(root, _UNDO, reverse=_REDO)


def _redo(workshop: Workshop) -> Scenario:
    root, first, _ = workshop.repository("redo")
    workshop.world.must(root, "checkpoint", "restore", first, "--yes")
    workshop.world.must(root, "undo", "--yes")
    return workshop.finish(root, _REDO, reverse=_UNDO)


def _delete(workshop: Workshop) -> Scenario:
    root, first, _ = workshop.repository("delete")
    return workshop.finish(
        root, ("checkpoint", "delete", first, "--yes", "--json"), removes=frozenset({first}), reverse=_UNDO
    )


def _parcel(workshop: Workshop, name: str, root: Path) -> tuple[Path, str]:
    """Export a checkpoint, with its base, from the repository at `root`; return the file and the id."""
    edit_once(workshop.world, root)
    checkpoint = workshop.world.must(root, "checkpoint", "create", "from elsewhere")["checkpoint_id"]
    file = workshop.folder / f"{name}.chrono"
    workshop.world.must(root, "checkpoint", "export", checkpoint, str(file), "--base")
    return file, checkpoint


def _import(workshop: Workshop) -> Scenario:
    """The first import into a clone of the same history that has a store already."""
    root = workshop.folder / "prepared" / "import"
    make_repository(workshop.world, root)
    elsewhere = workshop.folder / "elsewhere"
    shutil.copytree(root, elsewhere, symlinks=True)
    file, checkpoint = _parcel(workshop, "import", elsewhere)
    edit_again(workshop.world, root)
    workshop.world.must(root, "checkpoint", "create", "own")
    return workshop.finish(root, ("checkpoint", "import", str(file), "--yes", "--json"), adds=checkpoint)


def _import_base(workshop: Workshop) -> Scenario:
    """An import that brings the base commit along, into a repository that never had it."""
    root = workshop.folder / "prepared" / "import-base"
    make_repository(workshop.world, root)
    workshop.world.git(root, "commit", "-q", "--amend", "-m", "another history")
    strangers = workshop.folder / "strangers"
    make_repository(workshop.world, strangers)
    workshop.world.git(strangers, "commit", "-q", "--allow-empty", "-m", "only here")
    file, checkpoint = _parcel(workshop, "import-base", strangers)
    workshop.world.must(root, "checkpoint", "create", "own")
    return workshop.finish(root, ("checkpoint", "import", str(file), "--yes", "--json"), adds=checkpoint)


def _gc(workshop: Workshop) -> Scenario:
    """Automatic checkpoints over the limit, a deleted one, and packs that are dead, half dead and wholly needed."""
    root, first, _ = workshop.repository("gc")
    surroundings = Surroundings(workshop.world.environment, root)
    removes = []
    with ChronosEngine(root=root, surroundings=surroundings) as engine:
        for number in range(3):
            (root / f"lasting{number}.bin").write_bytes(os.urandom(20_000))
            (root / "passing.bin").write_bytes(os.urandom(20_000))
            removes.append(engine.take_checkpoint(f"passing {number}", trigger=Trigger.AUTOMATIC).checkpoint_id)
            (root / "passing.bin").unlink()
        engine.create_checkpoint("third")
        engine.delete_checkpoint(first)
        (root / "fresh.txt").write_text("newer than everything else\n")
        engine.take_checkpoint("newest", trigger=Trigger.AUTOMATIC)
    limits = ["auto_gc = false", "max_checkpoints_per_timeline = 1"]
    limits += [f"keep_{rule} = 0" for rule in ("last", "hourly", "daily", "weekly")]
    (root / "chronos.toml").write_text("\n".join(limits))
    return workshop.finish(root, ("gc", "--deleted", "--yes", "--json"), removes=frozenset(removes))


def _recover(workshop: Workshop) -> Scenario:
    """A restore that was killed in the middle of its writes to the tree: the crash before the crash."""
    restore = workshop.scenario("restore")
    root = workshop.folder / "prepared" / "recover"
    restore.copy_to(root)
    inside = (restore.prepared.with_name("restore-undisturbed"), Path(".git"), STORE)
    in_tree = [call.number for call in restore.calls if _is_in_tree(Path(call.target), inside)]
    workshop.trace(root, restore.arguments, point=in_tree[len(in_tree) // 2], action=KILL)
    half_way = workshop.finish(root, ("recover", "--yes", "--json"))
    allowed = {"old": restore.old, "new": restore.new}
    assert half_way.old not in allowed.values(), "the prepared kill left nothing half-way"
    return Scenario(
        **{**vars(half_way), **allowed, "kept": restore.kept, "user_git": restore.user_git, "reaches_new": False}
    )


def _repository_with_memory(workshop: Workshop, name: str) -> tuple[Path, str]:
    """Make a repository with code, a database, a folder of facts and loose notes, a checkpoint, and work on all."""
    root = workshop.folder / "prepared" / name
    make_repository(workshop.world, root)
    database = make_notes(root / "data/memory/agent.db")
    facts = root / "data/memory/facts"
    facts.mkdir()
    (facts / "one.json").write_text("1")
    (facts / "two.json").write_text("2")
    for note in ("plan.md", "todo.md", "done.md"):
        (facts.parent / note).write_text("1")
    edit_once(workshop.world, root)
    first = workshop.world.must(root, "checkpoint", "create", "first")["checkpoint_id"]
    edit_twice(workshop.world, root)
    add_notes(database, "later", "later still")
    (facts / "one.json").write_text("one")
    (facts / "two.json").unlink()
    (facts / "three.json").write_text("3")
    (facts.parent / "plan.md").write_text("2")
    (facts.parent / "todo.md").write_text("2")
    (facts.parent / "done.md").unlink()
    return root, first


def _create_with_memory(workshop: Workshop) -> Scenario:
    root, _ = _repository_with_memory(workshop, "create-memory")
    return workshop.finish(root, ("checkpoint", "create", "second", "--json"))


def _restore_with_memory(workshop: Workshop) -> Scenario:
    root, first = _repository_with_memory(workshop, "restore-memory")
    return workshop.finish(root, ("checkpoint", "restore", first, "--yes", "--json"), reverse=_UNDO)


def _repair(workshop: Workshop) -> Scenario:
    """Frames, an index, members, a manifest and a base ref are damaged; all of it can be mended."""
    root, first, second = workshop.repository("repair")
    workshop.world.must(root, "checkpoint", "restore", first, "--yes")
    workshop.world.must(root, "undo", "--yes")
    store = root / STORE
    *others, largest = sorted((store / "main/packs").iterdir(), key=lambda path: path.stat().st_size)
    _damage(largest, 0.5)
    _damage(others[0], 0.99)
    _damage(store / "main" / second / "checkpoint.json", 0.3)
    _damage(store / "main" / first / "git_status.txt", 0.5)
    (store / "main" / second / "env_config.json").unlink()
    (ref,) = workshop.world.git(root, "for-each-ref", "--format=%(refname)", "refs/chronos").split()
    workshop.world.git(root, "update-ref", "-d", ref)
    mending = workshop.finish(root, ("verify", "--repair", "--yes", "--json"))
    return Scenario(**{**vars(mending), "mends": True})


def _damage(path: Path, place: float) -> None:
    data = bytearray(path.read_bytes())
    data[int(len(data) * place)] ^= 4
    path.chmod(0o600)
    path.write_bytes(data)


def _is_in_tree(target: Path, inside: tuple[Path, Path, Path]) -> bool:
    root, *hidden = inside
    return target.is_relative_to(root) and not any(target.is_relative_to(root / folder) for folder in hidden)


_BUILDERS: dict[str, Callable[[Workshop], Scenario]] = {
    "first": _first_create,
    "create": _create,
    "restore": _restore,
    "undo": _undo,
    "redo": _redo,
    "delete": _delete,
    "gc": _gc,
    "import": _import,
    "import-base": _import_base,
    "recover": _recover,
    "create-memory": _create_with_memory,
    "restore-memory": _restore_with_memory,
    "repair": _repair,
    **timeline_scenarios.BUILDERS,
}
NAMES = tuple(_BUILDERS)
