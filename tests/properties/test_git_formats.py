"""What git prints is read, and what git reads is printed, exactly as git itself does it, for any name and content."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from chronos.errors import BadPathError
from chronos.files import check_tree_path
from chronos.git import EXECUTABLE_MODE, LINK_MODE, TreeEntry, new_file_patch, parse_status
from chronos.git.patch import quote_path
from chronos.git.scratch_index import write_scratch_index
from tests.properties import trees
from tests.properties.machine import read_tree
from tests.properties.profiles import examples
from tests.properties.scenes import Stages
from tests.properties.trees import File, Link, Node
from tests.support import RepoBuilder

_ABSENT, _FILE = "000000", "100644"


def _is_taken(path: bytes) -> bool:
    try:
        return check_tree_path(path) == path
    except BadPathError:
        return False


any_bytes_paths = st.binary(min_size=1, max_size=12).filter(_is_taken)
any_paths = st.one_of(trees.names(), any_bytes_paths, st.tuples(trees.names(), any_bytes_paths).map(b"/".join))
oids = st.sampled_from(("0" * 40, "a" * 40, "0123456789abcdef" * 4))
modes = st.sampled_from((_ABSENT, _FILE, "100755", "120000"))


@pytest.fixture(scope="module")
def stages(tmp_path_factory: pytest.TempPathFactory) -> Stages:
    return Stages(tmp_path_factory.mktemp("formats"))


@pytest.fixture(scope="module")
def repo(tmp_path_factory: pytest.TempPathFactory) -> RepoBuilder:
    return Stages(tmp_path_factory.mktemp("quoting")).open()


@dataclass(frozen=True)
class Record:
    """One record of porcelain version 2, and where the parser has to put its path."""

    text: bytes
    path: bytes
    place: str


def ordinary(path: bytes, states: str, modes: tuple[str, str, str], oids: tuple[str, str]) -> Record:
    fields = " ".join(("1", states, "N...", *modes, *oids)).encode()
    return Record(fields + b" " + path, path, "tracked" if int(modes[0], 8) else "not_in_head")


def unmerged(path: bytes, states: str, modes: tuple[str, str, str], oid: str) -> Record:
    fields = " ".join(("u", states, "N...", *modes, _FILE, oid, oid, oid)).encode()
    return Record(fields + b" " + path, path, "unmerged")


records = st.one_of(
    st.builds(
        ordinary, any_paths, st.sampled_from((".M", "M.", "A.", "D.", ".D", ".A", "AM", "MD", "T.", ".T", "DA")),
        st.tuples(modes, modes, modes), st.tuples(oids, oids),
    ),
    st.builds(unmerged, any_paths, st.sampled_from(("UU", "AA", "DD", "UA")), st.tuples(modes, modes, modes), oids),
    any_paths.map(lambda path: Record(b"? " + path, path, "untracked")),
    any_paths.map(lambda path: Record(b"? " + path + b"/", path, "nested")),
    any_paths.map(lambda path: Record(b"! " + path, path, "ignored")),
    any_paths.map(lambda path: Record(b"! " + path + b"/", path + b"/", "ignored")),
)  # fmt: skip
headers = st.lists(
    st.sampled_from((
        b"# branch.oid (initial)", b"# branch.oid " + b"c" * 40, b"# branch.head (detached)", b"# branch.head main",
        b"# branch.head \xff/(detached", b"# branch.upstream origin/main", b"# branch.ab +1 -2", b"# stash 3",
    )),
    max_size=4,
)  # fmt: skip


@examples(300)
@given(headers=headers, records=st.lists(records, max_size=8, unique_by=lambda record: record.path))
def test_every_record_of_a_status_is_read_whatever_bytes_its_name_has(
    headers: list[bytes], records: list[Record]
) -> None:
    status = parse_status(b"".join(line + b"\0" for line in (*headers, *(record.text for record in records))))
    for place in ("tracked", "not_in_head", "unmerged", "untracked", "nested", "ignored"):
        assert list(getattr(status, place)) == [record.path for record in records if record.place == place]
    staged = {row.path for row in status.staged}
    assert staged <= {record.path for record in records if record.place in ("tracked", "not_in_head", "unmerged")}


@examples(40)
@given(names=st.lists(any_paths, min_size=1, max_size=12, unique=True))
def test_names_are_quoted_as_git_quotes_them(repo: RepoBuilder, names: list[bytes]) -> None:
    names = [name for name in names if not any(other.startswith(name + b"/") for other in names)]
    rows = b"".join(b"100644 %s\t%s\0" % (b"e" * 40, name) for name in names)
    (repo.root / ".git/index").unlink(missing_ok=True)
    repo.git("update-index", "-z", "--add", "--index-info", input=rows)
    printed = repo.git_bytes("-c", "core.quotePath=true", "ls-files").split(b"\n")[:-1]
    assert printed == [quote_path(name) for name in sorted(names)]


@examples(40)
@given(
    names=st.lists(
        st.one_of(any_paths, any_paths.map(lambda name: b"long/" * 818 + name)), min_size=1, max_size=9, unique=True
    ),
    modes=st.lists(st.sampled_from((0o100644, EXECUTABLE_MODE, LINK_MODE)), min_size=9, max_size=9),
    object_format=st.sampled_from(("sha1", "sha256")),
)
def test_a_scratch_index_is_the_one_that_git_writes(
    stages: Stages, names: list[bytes], modes: list[int], object_format: str
) -> None:
    names = [name for name in names if len(name) < 4097 and not any(o.startswith(name + b"/") for o in names)]
    assume(names)
    oid = "e5" * (20 if object_format == "sha1" else 32)
    entries = [TreeEntry(name, mode, oid) for name, mode in zip(names, modes, strict=False)]
    repo = stages.open(git=False)
    repo.git("init", "-q", f"--object-format={object_format}")
    rows = b"".join(b"%o %s\t%s\0" % (entry.mode, oid.encode(), entry.path) for entry in entries)
    repo.git("update-index", "-z", "--index-info", input=rows)
    write_scratch_index(repo.root / "scratch", entries)
    assert (repo.root / "scratch").read_bytes() == (repo.root / ".git/index").read_bytes()


new_trees = st.dictionaries(any_paths, trees.nodes(), min_size=1, max_size=5).map(
    lambda tree: {path: node for path, node in tree.items() if not any(o.startswith(path + b"/") for o in tree)}
)


@examples(40)
@given(tree=new_trees, object_format=st.sampled_from(("sha1", "sha256")))
def test_git_apply_makes_the_very_bytes_of_a_new_file_patch(
    stages: Stages, tree: dict[bytes, Node], object_format: str
) -> None:
    patch = b"".join(new_file_patch(path, _mode(node), _content(node), object_format) for path, node in tree.items())
    empty = stages.open(git=False)
    empty.git("init", "-q", f"--object-format={object_format}")
    done = subprocess.run(
        ["git", "apply", "--whitespace=nowarn", "-"],
        cwd=empty.root, env=empty.environment, input=patch, capture_output=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b""), patch
    wanted = {
        path: File(_content(node), _mode(node) == EXECUTABLE_MODE) if isinstance(node, File) else node
        for path, node in tree.items()
    }
    assert read_tree(empty.root, (b".git",)) == wanted


def _mode(node: Node) -> int:
    if isinstance(node, Link):
        return LINK_MODE
    return EXECUTABLE_MODE if node.executable else 0o100644


def _content(node: Node) -> bytes:
    return node.target if isinstance(node, Link) else node.content
