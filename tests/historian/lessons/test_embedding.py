"""With an embedding function of LanceDB's registry lessons are found by meaning too."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import pytest

from chronos.errors import BadConfigError
from historian.lessons import LessonsStore


@pytest.fixture
def meaning() -> Any:
    """A function of three dimensions that knows what a few words are about, without a network."""
    from lancedb.embeddings import TextEmbeddingFunction, get_registry

    class Meaning(TextEmbeddingFunction):
        size: int = 3
        about: ClassVar[dict[str, int]] = {"cat": 0, "feline": 0, "boat": 1, "ship": 1}
        is_down: ClassVar[bool] = False

        def generate_embeddings(self, texts: Any) -> Any:
            if type(self).is_down:
                raise RuntimeError("no connection")
            rows = []
            for text in texts:
                row = [0.01] * int(self.size)
                for word, place in self.about.items():
                    row[place] += word in text
                rows.append(row)
            return rows

        def ndims(self) -> int:
            return int(self.size)

    get_registry()._functions["meaning"] = Meaning
    yield Meaning
    del get_registry()._functions["meaning"]


def test_a_lesson_is_found_by_what_it_means(tmp_path: Path, meaning: Any) -> None:
    words = LessonsStore(tmp_path / "lessons")
    words.add_lesson("the feline escaped", "closed it", "SUCCESS")
    words.add_lesson("the ship sank", "pumped", "FAILURE")
    assert words.search("cat") == []
    store = LessonsStore(tmp_path / "lessons", embedding="meaning?size=3")
    assert store.search("cat", 1)[0].situation == "the feline escaped"
    store.add_lesson("another boat", "rowed", "SUCCESS")
    assert {one.situation for one in store.search("ship", 2)} == {"the ship sank", "another boat"}
    assert store.search("ship", 5, result="failure")[0].situation == "the ship sank"
    assert store.notices == []
    assert LessonsStore(tmp_path / "lessons").search("cat") == []


def test_what_an_embedding_function_misses_is_made_up_for(tmp_path: Path, meaning: Any) -> None:
    meaning.is_down = True
    store = LessonsStore(tmp_path / "lessons", embedding="meaning")
    store.add_lesson("the feline escaped", "closed it", "SUCCESS")
    assert store.search("feline")[0].situation == "the feline escaped"
    assert "by words only" in store.notices[0]
    meaning.is_down = False
    assert LessonsStore(tmp_path / "lessons", embedding="meaning").search("cat")[0].situation == "the feline escaped"


def test_a_function_that_is_not_known_is_said(tmp_path: Path) -> None:
    store = LessonsStore(tmp_path / "lessons", embedding="nothing-of-that-name")
    store.add_lesson("a", "b", "c")
    with pytest.raises(BadConfigError, match="nothing-of-that-name"):
        store.search("a")
    assert store.count() == 1
