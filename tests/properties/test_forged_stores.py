"""A checkpoint or pack that somebody forged, with all its hashes right, harms nothing but itself.

Whatever it says: commands on other checkpoints work, verify returns, and nothing is written outside the folder that
was asked for.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
from blake3 import blake3
from hypothesis import example, given, reject
from hypothesis import strategies as st

from chronos import ChronosEngine
from chronos.checkpoints import Trigger
from chronos.errors import IntegrityError, StorageError, UnsupportedError
from tests.properties.forging import Json, forge_pack, json_values, replace_somewhere
from tests.properties.profiles import examples
from tests.properties.scenes import Stages
from tests.support import RepoBuilder, tree_digest


@dataclass
class Victim:
    """A repository with one good checkpoint, in which forgeries appear and disappear."""

    repo: RepoBuilder
    good: str

    @property
    def timeline(self) -> Path:
        return self.repo.store / "main"

    def document(self) -> dict[str, Json]:
        return json.loads((self.timeline / self.good / "checkpoint.json").read_bytes())

    def add_checkpoint(self, document: Json) -> str:
        """Put a forged manifest in place, under the id that fits it."""
        data = json.dumps(document).encode()
        forged = blake3(data).hexdigest()[:16]
        shutil.copytree(self.timeline / self.good, self.timeline / forged)
        (self.timeline / forged / "checkpoint.json").write_bytes(data)
        return forged

    def add_list(self, rows: object) -> dict[str, Json]:
        """Put a forged list into a forged pack; return the reference that a manifest makes to it."""
        try:
            data = msgspec.msgpack.encode(rows)
        except OverflowError:  # MessagePack itself cannot say that number
            reject()
        chunk = blake3(data)
        forge_pack(self.timeline / "packs", data, [(chunk.digest(), 8, len(data), len(data), 0)])
        return {"blake3": chunk.hexdigest(), "bytes": len(data), "count": 1}


@pytest.fixture(scope="module")
def victim(tmp_path_factory: pytest.TempPathFactory) -> Victim:
    stages = Stages(tmp_path_factory.mktemp("forged"))
    repo = stages.open()
    repo.write("kept.txt", "one\n")
    repo.commit("first")
    repo.write("kept.txt", "two\n")
    repo.write("fresh.txt", "fresh\n")
    engine = repo.engine()
    good = engine.create_checkpoint("good")
    engine.close()
    return Victim(repo, good)


@examples(60)
@given(value=json_values, walk=st.lists(st.integers(0, 20), min_size=1, max_size=4))
@example(value=2**63, walk=[16])
@example(value=-1, walk=[16])
def test_a_forged_manifest_stops_no_command(victim: Victim, value: Json, walk: list[int]) -> None:
    document = replace_somewhere(victim.document(), walk, value)
    with_forgery(victim, lambda: victim.add_checkpoint(document))


@pytest.mark.parametrize("key", ["sequence", "left_out", "code"])
def test_a_number_beyond_sixty_four_bits_stops_no_command(victim: Victim, key: str) -> None:
    document = victim.document()
    if key == "sequence":
        document["sequence"] = 2**63
    elif key == "left_out":
        document["left_out"] = {"secret": 2**63}
    else:
        document["code"][0]["entries"]["count"] = 2**63  # type: ignore[index,call-overload]
    with_forgery(victim, lambda: victim.add_checkpoint(document))


paths = st.one_of(
    st.sampled_from((b"kept.txt", b"a", b"a/b", b"link", b"link/x", b"../x", b"/x", b".git/x", b".GIT/x", b"")),
    st.binary(max_size=6),
)  # fmt: skip
contents = st.one_of(
    st.none(),
    st.tuples(st.just(blake3(b"two\n").digest()), st.integers(0, 2**62)),
    st.tuples(st.binary(max_size=33), st.integers(-5, 2**40), st.one_of(st.none(), st.binary(max_size=33))),
    st.just((blake3(b"two\n").digest(), 4)),
    st.just((blake3(b"two\n").digest(), 4, blake3(b"two\n").digest())),
)
rows = st.lists(
    st.one_of(
        st.tuples(paths, st.sampled_from(("file", "symlink", "deleted")), st.booleans(), contents),
        st.tuples(paths, st.sampled_from(("file", "symlink", "deleted")), st.booleans(), contents),
        st.lists(json_values, max_size=5),
    ),
    max_size=4,
)


@examples(60)
@given(rows=rows)
@example(rows=[(b"link", "symlink", False, (blake3(b"two\n").digest(), 4)), (b"link/x", "file", False, None)])
@example(rows=[(b"../x", "file", False, (blake3(b"two\n").digest(), 4))])
def test_forged_entries_write_nothing_outside_and_stop_no_command(victim: Victim, rows: list[object]) -> None:
    def forge() -> str:
        document = victim.document()
        document["code"][0]["entries"] = victim.add_list(rows)  # type: ignore[index,call-overload]
        return victim.add_checkpoint(document)

    with_forgery(victim, forge)


@examples(30)
@given(
    numbers=st.tuples(
        *[st.one_of(st.integers(0, 100), st.integers(0, 2**64 - 1))],
        *[st.one_of(st.integers(0, 100), st.integers(0, 2**32 - 1))] * 2,
        st.integers(0, 255),
    ),
    taken=st.booleans(),
)
@example(numbers=(2**63, 3, 3, 0), taken=False)
def test_a_forged_pack_stops_no_command(victim: Victim, numbers: tuple[int, int, int, int], taken: bool) -> None:
    """A record of the forged index may even claim a chunk that another pack has."""
    chunk = blake3(b"two\n").digest() if taken else b"\1" * 32

    def forge() -> str:
        forge_pack(victim.timeline / "packs", b"abc", [(chunk, *numbers)])
        return victim.good

    with_forgery(victim, forge)


def with_forgery(victim: Victim, forge: Callable[[], str]) -> None:
    """Run all verbs beside a forgery, and take it away again."""
    before = {path for folder in (victim.timeline, victim.timeline / "packs") for path in folder.iterdir()}
    try:
        forged = forge()
        with victim.repo.engine() as engine:
            _work_beside(victim, engine, forged)
    finally:
        for path in [path for folder in (victim.timeline / "packs", victim.timeline) for path in folder.iterdir()]:
            if path not in before:
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def _work_beside(victim: Victim, engine: ChronosEngine, forged: str) -> None:
    outside = tree_digest(victim.repo.root.parent, without=(b"home",))
    target = victim.repo.root.parent / "into"
    assert victim.good in [row.checkpoint_id for row in engine.list_checkpoints()]
    engine.verify(deep=True)
    engine.take_checkpoint("beside", trigger=Trigger.AUTOMATIC)
    assert engine.diff(victim.good) == []
    for work in _touching(engine, forged, target):
        with suppress(IntegrityError, UnsupportedError, StorageError):
            work()
    shutil.rmtree(target, ignore_errors=True)
    after = tree_digest(victim.repo.root.parent, without=(b"home",))
    assert {
        path for path in {*outside, *after} if outside.get(path) != after.get(path) and b"/.store/" not in path
    } == set()
    assert victim.repo.read("kept.txt") == b"two\n"


def _touching(engine: ChronosEngine, forged: str, target: Path) -> Iterator[Callable[[], object]]:
    yield engine.status
    yield lambda: engine.show_checkpoint(forged)
    yield lambda: engine.plan_restore(forged)
    yield lambda: engine.diff(forged)
    yield lambda: engine.restore_into(forged, target)


def test_a_good_checkpoint_is_not_taken_for_a_forgery(victim: Victim) -> None:
    """The tests above would pass on a victim that refuses everything."""
    with victim.repo.engine() as engine:
        assert engine.show_checkpoint(victim.good).manifest.name == "good"
        target = victim.repo.root.parent / "good"
        assert engine.restore_into(victim.good, target) == 2
        assert (target / "fresh.txt").read_bytes() == b"fresh\n"
        with pytest.raises(IntegrityError):
            forged = victim.add_checkpoint({**victim.document(), "code": []})
            engine.show_checkpoint(forged)
        shutil.rmtree(victim.timeline / forged)
