"""An embedding function of LanceDB's registry, as one setting names it: `name` or `name?option=value&other=value`.

It turns texts into vectors for the search index. The vectors are made here and not by the table itself, so that a table
can be opened by a process that does not know the function.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qsl

from chronos.errors import BadConfigError, OutsideError

_HINT = "see CHRONOS_LESSONS_EMBEDDING in docs/lessons.md"


class Embedding:
    """The function that `setting` names. It is loaded when it is used first.

    Raises BadConfigError for one that is not known or not installed, OutsideError when it fails.
    """

    def __init__(self, setting: str) -> None:
        self.setting = setting
        self._function: Any = None

    @property
    def dimensions(self) -> int:
        """How long a vector is."""
        found: int = _asked(self.setting, lambda: self._load().ndims())
        return found

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Return the vectors of texts that are searched."""
        return [
            list(map(float, row))
            for row in _asked(self.setting, lambda: self._load().compute_source_embeddings(list(texts)))
        ]

    def embed_query(self, text: str) -> list[float]:
        """Return the vector of a text that is searched for."""
        return list(map(float, _asked(self.setting, lambda: self._load().compute_query_embeddings(text))[0]))

    def _load(self) -> Any:
        if self._function is None:
            from lancedb.embeddings import get_registry

            name, _, options = self.setting.partition("?")
            try:
                kind: Any = get_registry().get(name)
                self._function = kind.create(**dict(parse_qsl(options, keep_blank_values=True)))
            except KeyError as cause:
                raise BadConfigError(
                    f"lessons_embedding: LanceDB knows no embedding function {name!r}", hint=_HINT
                ) from cause
            except (TypeError, ValueError, ImportError) as cause:
                raise BadConfigError(f"lessons_embedding = {self.setting!r}: {cause}", hint=_HINT) from cause
        return self._function


def _asked(setting: str, ask: Any) -> Any:
    try:
        return ask()
    except (OSError, RuntimeError, ValueError, TypeError, LookupError, ImportError) as cause:
        raise OutsideError(
            f"the embedding function {setting.partition('?')[0]!r} failed: {cause}",
            hint="search works by words meanwhile; the lessons are all there",
        ) from cause
