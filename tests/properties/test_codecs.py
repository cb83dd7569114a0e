"""Names and manifests: what is written is read back exactly, and what is wrong is refused, never guessed."""

from __future__ import annotations

import json
import os

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from chronos.checkpoints import Component, Grade, Manifest, Trigger, decode_manifest
from chronos.checkpoints.manifest import (
    ComponentKind,
    Entry,
    EntryKind,
    ListRef,
    Member,
    ReceiptRow,
    SecretRow,
    Unscanned,
    decode_rows,
    encode_manifest,
    encode_rows,
)
from chronos.errors import BadPathError, ChronosError, DamagedManifestError, IntegrityError, UnsupportedError
from chronos.files import check_tree_path, display, from_text, parse_tree_path, to_text
from chronos.pool import Content, digest
from tests.properties.forging import Json, json_values, replace_somewhere
from tests.properties.profiles import examples

_PIECES = (
    b"", b".", b"..", b"...", b"a", b".git", b".GIT", b".Git ", b".git.", b".git...", b".git::$INDEX_ALLOCATION",
    b"git~1", b"GIT~1", ".g\u200cit".encode(), ".gi\ufefft".encode(), b".gitignore", b".github", b"a\\..\\b", b"\xff",
    b"a\0b", b"\n", b"y" * 255, b"y" * 256, b"~", b"-rf", b" ", "ＧＩＴ".encode(), "\u202e.git".encode(),
)  # fmt: skip
_WILD = st.binary(min_size=1, max_size=6)
_HOSTILE = st.lists(st.one_of(st.sampled_from(_PIECES), _WILD), min_size=1, max_size=5).map(b"/".join)
_ANY_TEXT = st.text(st.characters(exclude_categories=()))
_HFS_IGNORED = (*range(0x200C, 0x2010), *range(0x202A, 0x202F), *range(0x206A, 0x2070), 0xFEFF)

_REF = ListRef("00" * 32, 0, 0)
_MANIFEST = Manifest(
    1, "main", 3, "before_migration", "why", ("0123456789abcdef",), "2024-01-02T03:04:05Z", Trigger.MANUAL,
    Grade.PARTIAL, "11" * 32,
    (Component("", ComponentKind.REPOSITORY, "a" * 40, "a" * 40, "main", _REF, _REF, _REF),),
    ListRef("22" * 32, 70_000, 12, "33" * 32), {"secret": 1}, {"git_status.txt": Member("44" * 32, 17)}, ("55" * 16,),
    ("tag",), ("a warning",), ListRef("66" * 32, 90, 2), {"forms": Unscanned(3, 4_000)},
)  # fmt: skip


@examples(500)
@given(path=_HOSTILE)
def test_a_path_that_is_taken_stays_under_its_root_and_out_of_git(path: bytes) -> None:
    """Judged by rules of their own: normalisation for the way out, and git's two documented foldings for `.git`."""
    try:
        taken = check_tree_path(path)
    except BadPathError:
        assert not _is_harmless(path), "a harmless path was refused"
        return
    assert taken == path
    assert os.path.normpath(b"/root/" + path) == b"/root/" + path
    assert b"\0" not in path
    for name in path.split(b"/"):
        assert len(name) <= 255
        assert _folded(name) not in (".git", "git~1")


@examples(300)
@given(path=_HOSTILE)
def test_a_path_written_as_text_is_read_back_exactly(path: bytes) -> None:
    assume(_is_harmless(path))
    text = to_text(path)
    assert from_text(text) == path
    assert json.loads(json.dumps(text)) == text.encode("utf-8").decode("utf-8")


@examples(300)
@given(text=st.one_of(_ANY_TEXT, _HOSTILE.map(os.fsdecode), _HOSTILE.map(to_text)))
def test_text_that_anybody_wrote_gives_a_safe_path_or_an_error(text: str) -> None:
    for read in (from_text, parse_tree_path):
        try:
            path = read(text)
        except BadPathError:
            continue
        assert path == b"" or check_tree_path(path) == path


@examples(300)
@given(name=st.one_of(_ANY_TEXT, st.binary()))
def test_a_name_that_is_shown_never_steers_a_terminal(name: str | bytes) -> None:
    shown = display(name)
    assert shown.isprintable()
    assert shown.encode("utf-8").decode("utf-8") == shown


@examples(200)
@given(
    paths=st.lists(st.binary(min_size=1, max_size=9), max_size=6),
    kind=st.sampled_from(EntryKind),
    content=st.one_of(st.none(), st.builds(Content, st.binary(min_size=32, max_size=32), st.integers(0, 2**60))),
)
def test_the_rows_of_a_list_are_read_back_exactly(paths: list[bytes], kind: EntryKind, content: Content | None) -> None:
    rows = [Entry(path, kind, number % 2 == 0, content) for number, path in enumerate(paths)]
    assert decode_rows(encode_rows(rows), Entry) == rows


@examples(400)
@given(data=st.binary(max_size=40), row_type=st.sampled_from((Entry, ReceiptRow, SecretRow)))
def test_bytes_that_are_no_list_are_refused_as_damage(data: bytes, row_type: type) -> None:
    try:
        rows = decode_rows(data, row_type)
    except IntegrityError:
        return
    assert all(isinstance(row, row_type) for row in rows)


def test_a_manifest_is_read_back_exactly() -> None:
    checkpoint_id, data = encode_manifest(_MANIFEST)
    assert decode_manifest(data, checkpoint_id) == _MANIFEST


@examples(400)
@given(data=st.data())
def test_a_manifest_with_any_byte_changed_is_refused(data: st.DataObject) -> None:
    checkpoint_id, whole = encode_manifest(_MANIFEST)
    place = data.draw(st.integers(0, len(whole) - 1))
    other = data.draw(st.integers(1, 255))
    changed = whole[:place] + bytes([whole[place] ^ other]) + whole[place + 1 :]
    cut = whole[:place]
    for damaged in (changed, cut, whole + b" "):
        with pytest.raises((DamagedManifestError, UnsupportedError)):
            decode_manifest(damaged, checkpoint_id)


@pytest.mark.parametrize("path", ["..", "../x", "/x", ".git", "\0", "a//b"])
def test_a_manifest_with_a_component_outside_the_tree_is_damaged(path: str) -> None:
    document = json.loads(encode_manifest(_MANIFEST)[1])
    document["code"].append({**document["code"][0], "path": path})
    forged = json.dumps(document).encode()
    with pytest.raises(IntegrityError):
        decode_manifest(forged, digest(forged).hex()[:16])


@examples(400)
@given(value=json_values, walk=st.lists(st.integers(0, 20), min_size=1, max_size=4))
def test_a_manifest_of_another_shape_is_refused_although_its_id_fits(value: Json, walk: list[int]) -> None:
    """A forger can compute the id of what he writes: the types and rules must hold by themselves."""
    document = json.loads(encode_manifest(_MANIFEST)[1])
    changed = replace_somewhere(document, walk, value)
    forged = json.dumps(changed).encode()
    try:
        taken = decode_manifest(forged, digest(forged).hex()[:16])
    except (IntegrityError, UnsupportedError):
        assert json.dumps(changed) != json.dumps(document), "a good manifest was refused"
        return
    assert decode_manifest(*reversed(encode_manifest(taken))) == taken
    assert all(part.tree_path == b"" or check_tree_path(part.tree_path) for part in taken.code)


@examples(200)
@given(document=json_values)
def test_json_that_is_no_manifest_is_refused(document: Json) -> None:
    forged = json.dumps(document).encode()
    with pytest.raises((IntegrityError, UnsupportedError)) as caught:
        decode_manifest(forged, digest(forged).hex()[:16])
    assert isinstance(caught.value, ChronosError)


def _folded(name: bytes) -> str:
    """Fold a name as HFS+ and NTFS do, for comparing it with `.git`."""
    text = "".join(char for char in name.decode("utf-8", "replace") if ord(char) not in _HFS_IGNORED)
    return text.partition(":")[0].rstrip(". ").lower()


def _is_harmless(path: bytes) -> bool:
    names = path.split(b"/")
    if b"\0" in path or len(path) > 4096 or any(name in (b"", b".", b"..") or len(name) > 255 for name in names):
        return False
    return not any(_folded(name) in (".git", "git~1") for name in names)
