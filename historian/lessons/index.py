"""The search index: a LanceDB table with a row for each lesson, full text by words and, where asked for, vectors.

It is made of the register and never asked for more than ids; whatever is wrong with it, another one can be made. The
owner of LanceDB in the historian: it is loaded (a second) with the first search.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec

from chronos.errors import ChronosError, OutsideError
from historian.lessons.embedding import Embedding
from historian.lessons.lesson import Lesson, Outcome
from historian.lessons.register import DamagedRegisterError, Register
from historian.lessons.words import spelled_out

_TABLE = "lessons"
_FACT = "index"
_BATCH = 5000
_INCOMPLETE = "!"
_MOST_TEXT_CHARS = 32 * 1024
_MOST_QUERY_CHARS = 2000
# Rows that the full-text index does not have yet are looked at one by one: 2,000 take some 3 ms.
_MOST_UNINDEXED = 2000
_MOST_FRAGMENTS = 64
_KEPT_VERSIONS = timedelta(hours=1)
# A panic of LanceDB arrives as one of these, which no module offers.
_PANICS = frozenset({"PanicException", "RustPanic"})


class BrokenIndexError(Exception):
    """The table cannot be read: the answer is another one."""


class _Mark(msgspec.Struct, frozen=True):
    """How far a table has come: its own name, what makes its vectors, and the last change that is in it."""

    table: str = ""
    embedding: str = ""
    changed: int = 0


class LessonIndex:
    """The index in `folder`. `warn` is told what does not work as it should."""

    def __init__(self, folder: Path, embedding: Embedding | None, warn: Callable[[str], None]) -> None:
        self.folder = folder
        self._embedding = embedding
        self._warn = warn
        self._table: Any = None
        self._can_embed: bool | None = None

    def is_behind(self, register: Register) -> bool:
        """Tell whether there are lessons that the index does not have."""
        mark = self._read_mark(register)
        is_other = not self._has(mark) or self._is_made_otherwise(mark)
        return is_other or bool(register.changed_since(mark.changed, 1))

    def refresh(self, register: Register) -> None:
        """Take in what has changed. The lock must be held. Raises BrokenIndexError, OutsideError, BadConfigError."""
        mark = self._read_mark(register)
        vectors = self._embedding.setting if self._embedding else ""
        with _Translated(self._judge):
            if not self._has(mark) or self._is_made_otherwise(mark) or self._open_name() != mark.table:
                mark = _Mark(self._make(), vectors)
            while changed := register.changed_since(mark.changed, _BATCH):
                is_whole = self._put([lesson for _, lesson in changed])
                embedding = mark.embedding if is_whole else vectors + _INCOMPLETE
                mark = msgspec.structs.replace(mark, changed=changed[-1][0], embedding=embedding)
                register.set_fact(_FACT, msgspec.json.encode(mark).decode())
            self._tidy()

    def search(
        self, query: str, limit: int, *, tags: Sequence[str] = (), outcome: Outcome | None = None
    ) -> list[tuple[str, float]]:
        """Return ids with scores, the best first. Raises BrokenIndexError."""
        where = [f"array_has(tags, {_quoted(tag)})" for tag in tags]
        where += [f"outcome = {_quoted(outcome.value)}"] if outcome is not None else []
        with _Translated(self._judge):
            rows = self._ask(query[:_MOST_QUERY_CHARS], limit, " AND ".join(where))
        return [(row["lesson"], float(row.get("_relevance_score", row.get("_score")) or 0.0)) for row in rows]

    def _ask(self, query: str, limit: int, where: str) -> list[dict[str, Any]]:
        from lancedb.query import MatchQuery

        table = self._open()
        words = f"{query} {spelled_out(query)}".strip()
        vector = self._query_vector(query)
        if vector is not None:
            from lancedb.rerankers import RRFReranker

            asked = (
                table.search(query_type="hybrid", fts_columns="text").vector(vector).text(words).rerank(RRFReranker())
            )
            found = (asked.where(where, prefilter=True) if where else asked).limit(limit).to_list()
            return [dict(row) for row in found]
        match: Any = MatchQuery  # type checkers do not see its defaults
        asked = table.search(match(words, "text"), query_type="fts")
        asked = asked.where(where, prefilter=True) if where else asked
        return [dict(row) for row in asked.select(["lesson", "_score"]).limit(limit).to_list()]

    def _query_vector(self, query: str) -> list[float] | None:
        if self._embedding is None:
            return None
        try:
            return self._embedding.embed_query(query)
        except OutsideError as error:
            self._warn(f"searched by words only: {error.message}")
            return None

    def _vectors(self, texts: list[str]) -> list[list[float]] | None:
        assert self._embedding is not None
        try:
            return self._embedding.embed(texts)
        except OutsideError as error:
            self._warn(f"some lessons are found by words only: {error.message}")
            return None

    # the table

    def _is_made_otherwise(self, mark: _Mark) -> bool:
        """Tell whether the vectors are others than those that are wanted, or missing ones can be made by now."""
        vectors = self._embedding.setting if self._embedding else ""
        if mark.embedding != vectors + _INCOMPLETE:
            return mark.embedding != vectors
        if self._can_embed is None:  # asked once: a provider that is down may take its time to say so
            self._can_embed = self._query_vector("a lesson") is not None
        return self._can_embed

    def _has(self, mark: _Mark) -> bool:
        return bool(mark.table) and os.path.isdir(self.folder / f"{_TABLE}.lance")

    def _read_mark(self, register: Register) -> _Mark:
        text = register.find_fact(_FACT)
        return msgspec.json.decode(text, type=_Mark) if text else _Mark()

    def _database(self) -> Any:
        import lancedb

        return lancedb.connect(self.folder, read_consistency_interval=timedelta(0))

    def _open(self) -> Any:
        if self._table is None:
            self._table = self._database().open_table(_TABLE)
        return self._table

    def _open_name(self) -> str:
        metadata = self._open().schema.metadata or {}
        found: str = metadata.get(b"chronos.name", b"").decode()
        return found

    def _make(self) -> str:
        import pyarrow

        name = os.urandom(8).hex()
        columns = [
            pyarrow.field("lesson", pyarrow.string()), pyarrow.field("text", pyarrow.string()),
            pyarrow.field("tags", pyarrow.list_(pyarrow.string())), pyarrow.field("outcome", pyarrow.string()),
        ]  # fmt: skip
        if self._embedding is not None:
            columns.append(pyarrow.field("vector", pyarrow.list_(pyarrow.float32(), self._embedding.dimensions)))
        schema = pyarrow.schema(columns, metadata={"chronos.name": name})
        mode = "overwrite" if os.path.isdir(self.folder / f"{_TABLE}.lance") else "create"
        self._table = self._database().create_table(_TABLE, schema=schema, mode=mode)
        return name

    def _put(self, lessons: Sequence[Lesson]) -> bool:
        """Write rows; tell whether they have all that they should, for an embedding function may fail."""
        import pyarrow

        table = self._open()
        gone = [lesson.lesson_id for lesson in lessons if lesson.forgotten]
        if gone:
            table.delete(f"lesson IN ({', '.join(map(_quoted, gone))})")
        rows = self._rows(lesson for lesson in lessons if not lesson.forgotten)
        if not rows:
            return True
        data = pyarrow.Table.from_pylist(rows, schema=table.schema)
        if table.count_rows():
            table.merge_insert("lesson").when_matched_update_all().when_not_matched_insert_all().execute(data)
        else:
            table.add(data)
        return self._embedding is None or "vector" in rows[0]

    def _rows(self, lessons: Iterable[Lesson]) -> list[dict[str, Any]]:
        rows = [
            {"lesson": lesson.lesson_id, "text": text_of(lesson), "tags": list(lesson.tags),
             "outcome": lesson.outcome.value}
            for lesson in lessons
        ]  # fmt: skip
        if self._embedding is None or not rows:
            return rows
        vectors = self._vectors([str(row["text"]) for row in rows])
        if vectors is None:
            return rows
        return [{**row, "vector": vector} for row, vector in zip(rows, vectors, strict=True)]

    def _tidy(self) -> None:
        """Index what is not, and join small pieces, now and then: a fifth of a second for 10,000 lessons."""
        from lancedb.index import FTS

        table = self._open()
        if not table.count_rows():
            return
        names = {index.name for index in table.list_indices()}
        if "text_idx" not in names:
            table.create_index("text", config=FTS(remove_stop_words=False))
            return
        found = table.index_stats("text_idx")
        is_large = found is not None and found.num_unindexed_rows > _MOST_UNINDEXED
        if is_large or table.stats()["fragment_stats"]["num_fragments"] > _MOST_FRAGMENTS:
            table.optimize(cleanup_older_than=_KEPT_VERSIONS)

    def _judge(self, cause: BaseException) -> Exception:
        """Return the error for what LanceDB said: another table is the answer only when this one cannot be read."""
        self._table = None
        try:
            with _Translated(lambda error: BrokenIndexError(str(error))):
                table = self._database().open_table(_TABLE)
                if table.to_arrow().num_rows and table.list_indices():
                    table.search("anything", query_type="fts", fts_columns="text").limit(1).to_list()
        except BrokenIndexError as broken:
            return broken
        return OutsideError(f"LanceDB refused to work on the search index of lessons: {cause}")


class _Translated:
    """Turns whatever LanceDB or Arrow raises in the block, panics too, into what `judge` makes of it."""

    def __init__(self, judge: Callable[[BaseException], Exception]) -> None:
        self._judge = judge

    def __enter__(self) -> None:
        return

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        is_ours = isinstance(error, ChronosError | DamagedRegisterError)
        if error is not None and not is_ours and (isinstance(error, Exception) or type(error).__name__ in _PANICS):
            raise self._judge(error) from error


def text_of(lesson: Lesson) -> str:
    """Return what a lesson is found by: its texts and tags, and the words inside of their identifiers."""
    text = "\n".join((lesson.situation, lesson.action, lesson.result, lesson.feedback, " ".join(lesson.tags)))
    return f"{text[:_MOST_TEXT_CHARS]}\n{spelled_out(text)}".replace("\0", " ")


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
